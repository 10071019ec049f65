//! Freezes what the seats of months that are over cost, once for each active organization.

use std::sync::Arc;

use mai_billing::SubscriptionTable;
use serde::Serialize;

use crate::{
    error::Result,
    step::{Context, Failures, Outcome},
};

#[derive(Debug, Serialize)]
struct FreezeResult {
    /// How many months of organizations were frozen.
    frozen: usize,
    #[serde(flatten)]
    failures: Failures,
}

pub(crate) async fn run(context: &Context<'_>) -> Result<Outcome> {
    let table = SubscriptionTable::new(context.storage.clone(), Arc::clone(context.clock));
    let months = table.unfrozen_months().await?;
    context.progress.count_to(months.len());
    let (mut failures, mut frozen) = (Failures::default(), 0);
    for (organization, month) in months {
        // What another process has frozen meanwhile stays as it is.
        match table.freeze_month(&organization, month).await {
            Ok(_) => frozen += 1,
            Err(cause) => failures.note(&organization, cause.into())?,
        }
        context.progress.add(1);
    }
    let failure = failures.text();
    Ok(Outcome { failure, ..Outcome::done(FreezeResult { frozen, failures })? })
}
