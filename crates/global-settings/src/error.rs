//! What can go wrong with the global settings.

use mai_storage::TransactionError;
use thiserror::Error;

use crate::secret::SecretError;

/// The result of working with the global settings.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the settings could not be read or changed.
#[derive(Debug, Error)]
pub enum Error {
    /// The database refused; a second `create_settings` shows here as a unique violation.
    #[error(transparent)]
    Storage(#[from] mai_storage::Error),
    /// A secret could not be sealed or opened.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// OpenRouter charges in US dollars, and so do we.
    #[error("the billing currency must be USD, not `{0}`")]
    Currency(String),
    /// The provisioning key is empty, too long, or holds white space or other invisible characters.
    #[error("the provisioning key must be 1 to 512 visible ASCII characters")]
    ProvisioningKey,
}

impl TransactionError for Error {
    fn storage(&self) -> Option<&mai_storage::Error> {
        match self {
            Self::Storage(error) => Some(error),
            _ => None,
        }
    }
}
