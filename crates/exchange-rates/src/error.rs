//! What can go wrong with exchange rates.

use mai_storage::TransactionError;
use thiserror::Error;

use crate::nbp::NbpError;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the exchange rates.
#[derive(Debug, Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] mai_storage::Error),
    /// NBP did not tell its tables.
    #[error(transparent)]
    Nbp(#[from] NbpError),
    /// The row of known days, which the migration made, is gone.
    #[error("the table nbp_calendar has lost its row")]
    NoCalendar,
    /// What is asked for would take more requests than a life has days.
    #[error("the tables could not be brought up to date within {0} requests")]
    TooManyRounds(u32),
}

impl TransactionError for Error {
    fn storage(&self) -> Option<&mai_storage::Error> {
        match self {
            Self::Storage(error) => Some(error),
            _ => None,
        }
    }
}
