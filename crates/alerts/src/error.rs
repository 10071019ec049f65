//! What can go wrong with alerts.

use mai_global_settings::SecretError;
use mai_storage::TransactionError;
use thiserror::Error;

/// The result of working with alerts.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why nothing was read or changed.
#[derive(Debug, Error)]
pub enum Error {
    /// The database refused.
    #[error(transparent)]
    Storage(#[from] mai_storage::Error),
    /// A secret could not be sealed or opened.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The organization or the member could not be read.
    #[error(transparent)]
    Organization(#[from] mai_client_organization::Error),
    /// There is no such organization.
    #[error("there is no such organization")]
    UnknownOrganization,
    /// There is no such destination, or it is another organization's.
    #[error("there is no such destination of alerts")]
    UnknownDestination,
    /// There is no such delivery, or it is another organization's.
    #[error("there is no such delivery")]
    UnknownDelivery,
    /// A field of a form was refused. The value is not named.
    #[error("{field}: {reason}")]
    Invalid {
        /// The name of the field.
        field: &'static str,
        /// What is wrong, and what is expected.
        reason: String,
    },
    /// The thing is in a state in which this cannot be done.
    #[error("{0}")]
    WrongState(&'static str),
    /// An alert could not be written as JSON or as e-mail.
    #[error("an alert cannot be written: {0}")]
    Unwritable(String),
}

impl Error {
    pub(crate) fn invalid(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid { field, reason: reason.into() }
    }
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
            _ => None,
        }
    }
}
