//! What can go wrong with prices.

use mai_openrouter::{LookupError, PricingError};
use mai_primitives::ModelName;
use mai_storage::TransactionError;
use thiserror::Error;

/// The result of working with prices.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why prices could not be read. The last good copy stays in use.
#[derive(Debug, Error)]
pub enum Error {
    /// The database refused.
    #[error(transparent)]
    Storage(#[from] mai_storage::Error),
    /// OpenRouter gave no whole list.
    #[error("OpenRouter's price list cannot be had")]
    Upstream(#[from] LookupError),
    /// A stored price cannot be read, which our own writing does not leave behind.
    #[error("the stored price of `{model}` cannot be read: {cause}")]
    Stored {
        /// Whose price it is.
        model: ModelName,
        /// What is wrong with it.
        cause: PricingError,
    },
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
            Self::Upstream(_) | Self::Stored { .. } => None,
        }
    }
}
