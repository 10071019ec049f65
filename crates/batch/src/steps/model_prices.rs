//! Reads OpenRouter's price list. Without it the last good copy stays in use.

use mai_primitives::UnixTime;
use serde::Serialize;

use crate::{
    error::Result,
    step::{Context, Outcome},
};

#[derive(Debug, Serialize)]
struct PricingUpdateResult {
    models_count: usize,
    /// Unix seconds.
    fetched_at: UnixTime,
}

pub(crate) async fn run(context: &Context<'_>) -> Result<Outcome> {
    let Some(sources) = &context.settings.sources else { return Outcome::without_sources() };
    let refreshed = sources.prices.refresh().await?;
    Outcome::done(PricingUpdateResult { models_count: refreshed.models, fetched_at: refreshed.fetched_at })
}
