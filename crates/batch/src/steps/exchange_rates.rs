//! Brings the exchange rates up to date, and gives each day that is over its own.
//!
//! The job of the service does the same all day long; here it is done at a known time, and its failure is
//! seen. Every write is one that may be done by several processes at once.

use std::sync::Arc;

use mai_exchange_rates::{query::latest, warsaw};
use mai_usage_tracking::ClientUsageTable;
use serde::Serialize;

use crate::{
    error::Result,
    step::{Context, Outcome},
};

/// The figures of the original, and what was done.
#[derive(Debug, Serialize)]
struct ExchangeRateResult {
    /// The latest mid rate of NBP's table A, as a decimal text; null while none is known.
    usd_pln_rate: Option<String>,
    effective_date: Option<String>,
    table_no: Option<String>,
    /// How many tables are new.
    tables_added: usize,
    /// Of how many tables NBP now says something else than is stored.
    tables_differing: usize,
    /// How many days were given their rate, and of how many organizations.
    days_fixed: usize,
    organizations: usize,
}

pub(crate) async fn run(context: &Context<'_>) -> Result<Outcome> {
    let Some(sources) = &context.settings.sources else { return Outcome::without_sources() };
    let usage = ClientUsageTable::new(context.storage.clone(), Arc::clone(context.clock));
    let today = warsaw().usage_date(context.clock.now());
    let first = usage.first_day_without_rate().await?.unwrap_or(today);
    let update = sources.rates.bring_up_to_date(first).await;
    // Where NBP is away, the days are given what is known.
    let fixed = usage.fix_daily_rates().await?;
    let update = update?;
    let latest = context.storage.read(latest).await?;
    let mut outcome = Outcome::done(ExchangeRateResult {
        usd_pln_rate: latest.as_ref().map(|latest| latest.rate.to_string()),
        effective_date: latest.as_ref().map(|latest| latest.effective_date.to_string()),
        table_no: latest.map(|latest| latest.table_no),
        tables_added: update.added.len(),
        tables_differing: update.differing.len(),
        days_fixed: fixed.days,
        organizations: fixed.organizations,
    })?;
    if !update.differing.is_empty() {
        outcome.failure = Some("NBP tells other rates than are stored; what is stored stays".to_owned());
    }
    Ok(outcome)
}
