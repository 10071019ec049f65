//! What can go wrong with organizations and what belongs to them.

use mai_global_settings::SecretError;
use mai_primitives::{IdError, UserId};
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
    /// The id stands for a member who is registered under another one.
    #[error("`{id}` is a further id of the member `{member}`")]
    ExternalId {
        /// The further id.
        id: UserId,
        /// Whose it is.
        member: UserId,
    },
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
    /// The organization's provider key was made at OpenRouter, which must know when it is not used any
    /// more.
    #[error(
        "the organization has a key that was made at OpenRouter; take it back first, by DELETE on its \
         provider-key"
    )]
    ManagedKey,
    /// An API token does not open anything.
    #[error(transparent)]
    Token(#[from] TokenRefusal),
    /// A session does not open anything.
    #[error(transparent)]
    Session(#[from] SessionRefusal),
    /// Nobody was signed in.
    #[error(transparent)]
    SignIn(#[from] SignInRefusal),
    /// Somebody has to be able to let others in.
    #[error("the last active account of the reseller must stay as it is")]
    LastReseller,
    /// A password could not be hashed, or what is stored is not a hash.
    #[error("a password cannot be hashed or compared: {0}")]
    Password(String),
    /// More passwords wait to be compared than can be.
    #[error("too many passwords are being compared; please try again")]
    Busy,
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
    /// Its organization is inactive.
    #[error("the organization of this token is inactive")]
    InactiveOrganization,
    /// Its member no longer belongs to the organization.
    #[error("the member of this token no longer belongs to the organization")]
    InactiveMember,
}

/// Why a session was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SessionRefusal {
    /// We never made this session, or it ended long ago.
    #[error("the session is unknown; please sign in")]
    Unknown,
    /// It is too old, or was not used for too long.
    #[error("the session has expired; please sign in again")]
    Expired,
    /// Somebody signed out, or it was taken back.
    #[error("the session was ended; please sign in again")]
    Revoked,
    /// Its organization is inactive.
    #[error("the organization of this account is inactive")]
    InactiveOrganization,
    /// Its member no longer belongs to the organization.
    #[error("the member of this account no longer belongs to the organization")]
    InactiveMember,
}

/// Why nobody was signed in, or a password not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignInRefusal {
    /// There is no such account, it is inactive, it has no password, the password is another one, or no
    /// password is looked at for a while. One answer for all, so that it does not tell which.
    #[error(
        "the e-mail address or the password is wrong; after several wrong passwords none is accepted for a \
         while"
    )]
    Password,
    /// The present password of whoever is signed in is another one.
    #[error("the current password is wrong; after several wrong passwords none is accepted for a while")]
    CurrentPassword,
    /// We never made this link.
    #[error("the link is unknown")]
    UnknownLink,
    /// Somebody has used the link.
    #[error("the link was used already; ask for another one")]
    UsedLink,
    /// The link is too old.
    #[error("the link has expired; ask for another one")]
    ExpiredLink,
    /// The link was for making the reseller's first account, which there is by now.
    #[error("the reseller has an account by now; sign in with that")]
    SupersededLink,
    /// The account of the link is inactive.
    #[error("the account of this link is inactive")]
    InactiveAccount,
    /// The account's organization is inactive.
    #[error("the organization of this account is inactive")]
    InactiveOrganization,
    /// The account's member no longer belongs to the organization.
    #[error("the member of this account no longer belongs to the organization")]
    InactiveMember,
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
