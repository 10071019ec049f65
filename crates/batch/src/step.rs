//! [`Step`]: what a run does, in order.
//!
//! A step is a variant here and an asynchronous function in [`steps`](crate::steps). A further one needs a
//! variant at its place, a name, and a line in [`run`]; what it needs of the outside world comes with
//! [`BatchSettings`](crate::BatchSettings).

use std::sync::Arc;

use mai_primitives::{Clock, OrganizationId, UnixTime};
use mai_storage::{DatabaseUrl, Storage};
use serde::Serialize;
use serde_json::Value;

use crate::{
    error::Result,
    lease::Lease,
    model::RunModel,
    progress::Progress,
    service::BatchSettings,
    steps::{
        backup, exchange_rates, model_prices, month_totals, reconcile, retention, subscription, validation,
    },
};

/// A step of the daily run. The order is that in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Fetches NBP's tables, and gives each day that is over its rate.
    ExchangeRates,
    /// Reads OpenRouter's price list.
    ModelPrices,
    /// Makes every unvalidated day equal to the ledger.
    Validation,
    /// Adds up the month so far.
    MonthTotals,
    /// Freezes what seats cost in the month before.
    Subscription,
    /// Holds what we booked against what OpenRouter charged.
    Reconcile,
    /// Finds what stands out.
    Anomalies,
    /// Deletes what was kept long enough.
    Retention,
    /// Copies the database.
    Backup,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 9] = [
        Self::ExchangeRates,
        Self::ModelPrices,
        Self::Validation,
        Self::MonthTotals,
        Self::Subscription,
        Self::Reconcile,
        Self::Anomalies,
        Self::Retention,
        Self::Backup,
    ];

    /// The name under which it is stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ExchangeRates => "exchange_rate_update",
            Self::ModelPrices => "model_pricing_update",
            Self::Validation => "daily_validation",
            Self::MonthTotals => "monthly_totals_update",
            Self::Subscription => "subscription_freeze",
            Self::Reconcile => "reconcile",
            Self::Anomalies => "anomalies",
            Self::Retention => "data_cleanup",
            Self::Backup => "backup",
        }
    }

    /// The step of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }

    /// Whether the run fails with it. Without a new price list the last good copy stays, and backups of
    /// PostgreSQL are made by its own programs.
    pub const fn is_required(self, url: &DatabaseUrl) -> bool {
        match self {
            Self::ExchangeRates
            | Self::Validation
            | Self::MonthTotals
            | Self::Subscription
            | Self::Reconcile
            | Self::Anomalies
            | Self::Retention => true,
            Self::ModelPrices => false,
            Self::Backup => matches!(url, DatabaseUrl::Sqlite(_)),
        }
    }
}

/// What a step works with.
pub(crate) struct Context<'a> {
    pub(crate) storage: &'a Storage,
    pub(crate) clock: &'a Arc<dyn Clock>,
    pub(crate) settings: &'a BatchSettings,
    pub(crate) lease: &'a Lease,
    pub(crate) run: &'a RunModel,
    pub(crate) progress: &'a Progress,
}

impl Context<'_> {
    pub(crate) fn now(&self) -> UnixTime {
        self.clock.now().into()
    }
}

/// What a step has done.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// A JSON object with its result.
    pub(crate) details: Value,
    /// Why it failed, where it did all that it could and that was not everything.
    pub(crate) failure: Option<String>,
}

impl Outcome {
    /// A step that had nobody to ask, because the run was set up without [`Sources`](crate::Sources).
    pub(crate) fn without_sources() -> Result<Self> {
        Self::done(serde_json::json!({ "asked": false }))
    }

    /// A step that did all that it had to.
    pub(crate) fn done(details: impl Serialize) -> Result<Self> {
        Ok(Self { details: serde_json::to_value(details)?, failure: None })
    }
}

/// Organizations whose part of a step failed, which does not keep the others from theirs.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Failures {
    /// How many.
    pub(crate) failed: usize,
    /// The first of them.
    pub(crate) failures: Vec<Failure>,
}

/// One organization's failure.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    client_id: OrganizationId,
    error: String,
}

/// How many failures a step tells in full.
const FAILURES_SHOWN: usize = 20;

impl Failures {
    /// Notes a failure, in the log as well. One that ends the work of this process is returned.
    pub(crate) fn note(&mut self, org: &OrganizationId, cause: crate::Error) -> Result<()> {
        if cause.ends_work() {
            return Err(cause);
        }
        tracing::error!(organization = %org, error = %cause, "a step of the daily run failed for an organization");
        self.failed += 1;
        if self.failures.len() < FAILURES_SHOWN {
            self.failures.push(Failure { client_id: org.clone(), error: cause.to_string() });
        }
        Ok(())
    }

    /// What the step failed with, if it did.
    pub(crate) fn text(&self) -> Option<String> {
        let first = self.failures.first()?;
        Some(format!("{} organizations failed; the first: {}: {}", self.failed, first.client_id, first.error))
    }
}

/// Does a step.
pub(crate) async fn run(step: Step, context: &Context<'_>) -> Result<Outcome> {
    match step {
        Step::ExchangeRates => exchange_rates::run(context).await,
        Step::ModelPrices => model_prices::run(context).await,
        Step::Validation => validation::run(context).await,
        Step::MonthTotals => month_totals::run(context).await,
        Step::Subscription => subscription::run(context).await,
        Step::Reconcile => reconcile::run(context).await,
        Step::Anomalies => crate::anomalies::detect::run(context).await,
        Step::Retention => retention::run(context).await,
        Step::Backup => backup::run(context).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_lead_back() {
        for step in Step::ALL {
            assert_eq!(Step::named(step.name()), Some(step));
        }
        assert_eq!(Step::named("exchange"), None);
    }
}
