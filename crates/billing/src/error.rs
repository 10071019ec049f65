//! What can go wrong with billing.

use mai_primitives::OrganizationId;
use mai_storage::TransactionError;
use thiserror::Error;

use crate::month::BillingMonth;

/// The result of billing.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why nothing was computed or frozen.
#[derive(Debug, Error)]
pub enum Error {
    /// The database refused.
    #[error(transparent)]
    Storage(#[from] mai_storage::Error),
    /// The organization could not be read.
    #[error(transparent)]
    Organization(#[from] mai_client_organization::Error),
    /// There is no such organization.
    #[error("there is no organization `{0}`")]
    UnknownOrganization(OrganizationId),
    /// The text is not a month.
    #[error("`{0}` is not a month of the form YYYY-MM")]
    NotAMonth(String),
    /// Nobody knows who will need a seat.
    #[error("the month {0} has not begun")]
    NotBegun(BillingMonth),
    /// Only a month that is over can be frozen.
    #[error("the month {0} is not over")]
    NotOver(BillingMonth),
    /// A sum leaves the range that can be billed.
    #[error("an amount of the month {0} leaves the range that can be billed")]
    OutOfRange(BillingMonth),
    /// Usage could not be read or added up.
    #[error(transparent)]
    Usage(#[from] mai_usage_tracking::Error),
    /// The rates could not be read.
    #[error(transparent)]
    Rates(#[from] mai_exchange_rates::Error),
    /// A field of a form cannot be used.
    #[error("{field}: {reason}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// Why.
        reason: String,
    },
    /// The JSON of a statement cannot be written or read.
    #[error("a statement's document cannot be written or read")]
    Document(#[source] serde_json::Error),
    /// The PDF of a statement cannot be made.
    #[error(transparent)]
    Pdf(#[from] mai_pdf::Error),
    /// What is stored cannot be what this program stored.
    #[error("the database has {0}, which nothing here writes")]
    Stored(String),
    /// What was spent leaves the range that limits can be compared with.
    #[error("the spending of the organization `{0}` leaves the range of amounts")]
    LimitOutOfRange(OrganizationId),
}

impl From<diesel::result::Error> for Error {
    fn from(error: diesel::result::Error) -> Self {
        Self::Storage(error.into())
    }
}

impl TransactionError for Error {
    fn storage(&self) -> Option<&mai_storage::Error> {
        match self {
            Self::Storage(error) => Some(error),
            Self::Organization(error) => error.storage(),
            Self::Usage(error) => error.storage(),
            Self::Rates(error) => error.storage(),
            _ => None,
        }
    }
}
