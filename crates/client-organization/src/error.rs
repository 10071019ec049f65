//! What can go wrong with organizations and what belongs to them.

use mai_global_settings::SecretError;
use mai_primitives::IdError;
use mai_storage::TransactionError;
use thiserror::Error;

/// The result of working with organizations.
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
    /// A text is not an id.
    #[error(transparent)]
    Id(#[from] IdError),
    /// There is no such thing, or it belongs to another organization.
    #[error("there is no {what} `{id}`")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// Under which id.
        id: String,
    },
    /// Another row has what must be unique. The value is not named, as it may be a secret.
    #[error("the {0} is already in use")]
    Taken(&'static str),
    /// A field of a form was refused.
    #[error("{field}: {reason}")]
    Invalid {
        /// The name of the field.
        field: &'static str,
        /// What is wrong, and what is expected.
        reason: String,
    },
    /// The organization's managed provider key is not the one that the caller knows of.
    #[error("the organization's provider key was changed meanwhile")]
    ProviderKeyChanged,
    /// An API token does not open anything.
    #[error(transparent)]
    Token(#[from] TokenRefusal),
}

/// Why an API token was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenRefusal {
    /// We never made this token.
    #[error("the token is unknown")]
    Unknown,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// It was taken back.
    #[error("the token was revoked")]
    Revoked,
}

impl Error {
    pub(crate) fn not_found(what: &'static str, id: impl Into<String>) -> Self {
        Self::NotFound { what, id: id.into() }
    }

    pub(crate) fn invalid(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid { field, reason: reason.into() }
    }
}

/// A bare Diesel error inside of a query; the storage layer translates it.
impl From<diesel::result::Error> for Error {
    fn from(error: diesel::result::Error) -> Self {
        Self::Storage(error.into())
    }
}

impl TransactionError for Error {
    fn storage(&self) -> Option<&mai_storage::Error> {
        match self {
            Self::Storage(error) => Some(error),
            _ => None,
        }
    }
}
