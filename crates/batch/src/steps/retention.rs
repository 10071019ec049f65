//! Deletes what was kept long enough: old rows of the ledger, and what is about days or runs that long ago.
//! Daily usage stays for ever. Then lets the database look at what is left.

use std::sync::Arc;

use mai_generation_processing::{cleanup::Cleanup, query::complete_from};
use mai_primitives::{UnixTime, UsageDate};
use mai_storage::learn_sizes;
use serde::Serialize;

use crate::{
    error::{Error, Result},
    runs,
    step::{Context, Outcome},
    steps::validation,
};

/// For how many days runs and their steps are kept.
const RUNS_KEPT_DAYS: u64 = 400;

/// What the step has done; most names are the original's.
#[derive(Debug, Serialize)]
struct CleanupResult {
    days_to_keep: i32,
    cutoff_date: UsageDate,
    records_before: i64,
    records_deleted: i64,
    records_remaining: i64,
    old_tokens_removed: i64,
    /// A decimal text in USD.
    old_cost_removed: String,
    storage_saved_kb: String,
    cleanup_timestamp: UnixTime,
    /// Notes on days that cannot be compared with the ledger any more.
    validations_forgotten: usize,
    runs_deleted: usize,
}

pub(crate) async fn run(context: &Context<'_>) -> Result<Outcome> {
    let cleanup = Cleanup::new(context.clock.now(), context.settings.retention_days)?;
    let (clock, date) = (Arc::clone(context.clock), context.run.processing_date);
    let cleaned = context.lease.write(move |conn| {
        let result = cleanup.run(conn, || clock.now())?;
        let validations_forgotten = match complete_from(conn)? {
            Some(first) => validation::forget_before(conn, first)?,
            None => 0,
        };
        let runs_deleted = runs::delete_before(conn, date.minus_days(RUNS_KEPT_DAYS))?;
        Ok((result, validations_forgotten, runs_deleted))
    });
    match cleaned.await {
        Ok((result, validations_forgotten, runs_deleted)) => {
            let mut outcome = Outcome::done(CleanupResult {
                days_to_keep: result.days_to_keep,
                cutoff_date: result.cutoff_date,
                records_before: result.records_before,
                records_deleted: result.records_deleted,
                records_remaining: result.records_remaining,
                old_tokens_removed: result.old_tokens_removed,
                old_cost_removed: result.old_cost_removed.to_string(),
                storage_saved_kb: result.storage_saved_kb,
                cleanup_timestamp: result.cleanup_timestamp,
                validations_forgotten,
                runs_deleted,
            })?;
            match context.lease.write(|conn| Ok(learn_sizes(conn)?)).await {
                Err(Error::LeaseLost) => return Err(Error::LeaseLost),
                Err(cause) => {
                    outcome.failure = Some(format!("the database did not look at its tables: {cause}"));
                }
                Ok(()) => {}
            }
            Ok(outcome)
        }
        Err(Error::LeaseLost) => Err(Error::LeaseLost),
        Err(cause) => {
            let (failure, now) = (cause.to_string(), context.clock.now());
            let logged = context.lease.write(move |conn| Ok(cleanup.log_failure(conn, &failure, now)?));
            if let Err(second) = logged.await {
                tracing::error!(error = %second, "the failure of a ledger cleanup could not be logged");
            }
            Err(cause)
        }
    }
}
