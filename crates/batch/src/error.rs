//! What can go wrong with a daily run.

use mai_primitives::{OrganizationId, UsageDate};
use mai_storage::TransactionError;
use thiserror::Error;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the daily run.
#[derive(Debug, Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] mai_storage::Error),
    /// The ledger could not be cleaned up.
    #[error(transparent)]
    Ledger(#[from] mai_generation_processing::Error),
    /// Daily rows could not be compared or made right.
    #[error(transparent)]
    Usage(#[from] mai_usage_tracking::Error),
    /// The organizations could not be read.
    #[error(transparent)]
    Organization(#[from] mai_client_organization::Error),
    /// The exchange rates could not be brought up to date.
    #[error(transparent)]
    Rates(#[from] mai_exchange_rates::Error),
    /// The price list could not be read.
    #[error(transparent)]
    Prices(#[from] mai_model_prices::Error),
    /// A month of seats could not be frozen.
    #[error(transparent)]
    Billing(#[from] mai_billing::Error),
    /// A result could not be written as JSON.
    #[error("a result could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Another process has taken over; this one must not write any more.
    #[error("another process has taken over the daily run")]
    LeaseLost,
    /// A run is going on.
    #[error("a daily run is going on in process {0}")]
    Busy(String),
    /// The service stops. Another process goes on, or this one after its next start.
    #[error("the service is stopping; the daily run goes on in another process or after the next start")]
    Stopping,
    /// The day is not over in the service's time zone.
    #[error("{date} is not over; the last day that can be processed is {last}")]
    NotOver {
        /// The day.
        date: UsageDate,
        /// The last one that is over.
        last: UsageDate,
    },
    /// There is no such run.
    #[error("there is no run `{0}`")]
    UnknownRun(String),
    /// A stored run has a step that this version does not know.
    #[error("this version knows no step `{0}`")]
    UnknownStep(String),
    /// The daily rows of a day differ from the ledger after they were made right. Nothing was changed.
    #[error(
        "{date} of organization {org} differs from the ledger also after its correction; nothing was changed"
    )]
    NotCorrected {
        /// The organization.
        org: OrganizationId,
        /// Its local day.
        date: UsageDate,
    },
    /// The backup could not be written.
    #[error("the backup could not be written: {0}")]
    Backup(String),
    /// A figure left the range that can be stored.
    #[error("{0} left the range that can be stored")]
    OutOfRange(&'static str),
    /// There is no such anomaly of this organization.
    #[error("there is no such anomaly")]
    UnknownAnomaly,
}

impl Error {
    /// Whether the process has to leave the run as it is, for another one to go on with.
    pub(crate) const fn ends_work(&self) -> bool {
        matches!(self, Self::LeaseLost | Self::Stopping)
    }
}

impl TransactionError for Error {
    fn storage(&self) -> Option<&mai_storage::Error> {
        match self {
            Self::Storage(error) => Some(error),
            Self::Ledger(error) => error.storage(),
            Self::Usage(error) => error.storage(),
            Self::Organization(error) => error.storage(),
            _ => None,
        }
    }
}
