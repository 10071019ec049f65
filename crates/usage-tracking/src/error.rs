//! What can go wrong with recording usage and reading it.

use mai_primitives::{GenerationId, OrganizationId, UsageDate, Usd, UserId};
use mai_storage::TransactionError;
use thiserror::Error;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of usage tracking.
#[derive(Debug, Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] mai_storage::Error),
    /// The ledger refused a generation.
    #[error(transparent)]
    Ledger(#[from] mai_generation_processing::Error),
    /// A text is not an id.
    #[error(transparent)]
    Id(#[from] mai_primitives::IdError),
    /// The organizations could not be read.
    #[error(transparent)]
    Organization(#[from] mai_client_organization::Error),
    /// The exchange rates could not be read.
    #[error(transparent)]
    ExchangeRates(#[from] mai_exchange_rates::Error),
    /// There is no such organization.
    #[error("there is no organization `{0}`")]
    UnknownOrganization(OrganizationId),
    /// A generation was handed in for an organization that it does not belong to.
    #[error("generation {id} belongs to another organization than `{org}`")]
    ForeignGeneration {
        /// The generation.
        id: GenerationId,
        /// The organization that was named.
        org: OrganizationId,
    },
    /// A sum left the range that can be stored; nothing was booked.
    #[error("the sum of {0} left the range that can be stored")]
    OutOfRange(&'static str),
    /// The client's price that the caller named is not the one that follows from its rate.
    #[error("the client's price is {computed}, not {named}, by the organization's rate")]
    MarkupMismatch {
        /// The price that the caller named.
        named: Usd,
        /// The price by the rate of that day.
        computed: Usd,
    },
    /// Usage cannot be recorded for a day that has not begun.
    #[error("{0} has not begun in the organization's time zone")]
    FutureDate(UsageDate),
    /// Ledger rows of this day were cleaned up, so that nothing can be computed from them.
    #[error("ledger rows of {date} were cleaned up; the ledger is complete from {complete_from} on")]
    LedgerCleaned {
        /// The day.
        date: UsageDate,
        /// The first day of which the ledger has every row.
        complete_from: UsageDate,
    },
    /// Usage cannot be assigned as it was asked for.
    #[error("{field}: {reason}")]
    NotAssignable {
        /// Which part of what was asked for.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Usage of an active member is only assigned where the two are to be merged.
    #[error("`{0}` is an active member; usage moves only if the two are to be merged")]
    IsMember(UserId),
    /// An assignment would have added usage or lost some. Nothing was changed.
    #[error("the sums before and after the assignment differ; nothing was changed")]
    Unbalanced,
    /// The range ends before it begins.
    #[error("the range from {0} to {1} ends before it begins")]
    InvalidRange(UsageDate, UsageDate),
}

impl TransactionError for Error {
    fn storage(&self) -> Option<&mai_storage::Error> {
        match self {
            Self::Storage(error) => Some(error),
            Self::Ledger(error) => error.storage(),
            Self::Organization(error) => error.storage(),
            Self::ExchangeRates(error) => error.storage(),
            _ => None,
        }
    }
}
