//! What can go wrong while seeding.

use mai_primitives::{CalendarError, IdError};
use mai_storage::TransactionError;
use thiserror::Error;

/// The result of seeding.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why seeding stopped. Whole transactions that were committed before stay.
#[derive(Debug, Error)]
pub enum Error {
    /// The plan asks for nothing, or for more than there can be.
    #[error("{what} must be between 1 and {most}")]
    Plan {
        /// The number that is wrong.
        what: &'static str,
        /// The greatest that is possible.
        most: u64,
    },
    /// The database refused. A row that exists already means that this seed was planted before.
    #[error("cannot write the seed's rows")]
    Storage(#[from] mai_storage::Error),
    /// The generations could not be booked.
    #[error("cannot book the generations")]
    Usage(#[from] mai_organization::usage_tracking::Error),
    /// An id that was made from the seed is too long.
    #[error("cannot make an id from the seed")]
    Id(#[from] IdError),
    /// The zone of the organizations is unknown.
    #[error("cannot use the time zone of the organizations")]
    Calendar(#[from] CalendarError),
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
            Self::Usage(error) => error.storage(),
            Self::Plan { .. } | Self::Id(_) | Self::Calendar(_) => None,
        }
    }
}
