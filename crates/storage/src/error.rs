//! What can go wrong between us and a database, in terms that a caller can act on.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use thiserror::Error;

/// The result of a query.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the storage layer. Diesel's errors are translated once, here.
#[derive(Debug, Error)]
pub enum Error {
    /// The database URL cannot be used; the text says why and what is expected.
    #[error("{0}")]
    Url(String),
    /// No row where one was asked for.
    #[error("no such row")]
    NotFound,
    /// The row exists already, or another row has the same unique value.
    #[error("a row with the same key exists")]
    Unique(#[source] DieselError),
    /// The row refers to one that does not exist.
    #[error("a referenced row does not exist")]
    ForeignKey(#[source] DieselError),
    /// Two writers collided and the bounded retries were used up.
    #[error("the database is busy")]
    Busy(#[source] DieselError),
    /// The database cannot be reached, or the connection broke.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// A server answered and let nobody in: a wrong password, no such database, or parameters that do not
    /// fit. Only opening a connection for the migrations tells this from [`Error::Unavailable`]; a pool
    /// does not.
    #[error("the database refuses the connection: {0}")]
    Refused(String),
    /// The migrations could not be read or run.
    #[error("migration failed: {0}")]
    Migration(String),
    /// A sum or a product left the range that can be stored.
    #[error("a number left the range that can be stored: {0}")]
    OutOfRange(&'static str),
    /// Any other failure of a query.
    #[error("the database refused the query")]
    Query(#[source] DieselError),
}

impl Error {
    /// Whether the same work may succeed when it is tried again at once.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Busy(_))
    }

    /// Whether the connection that produced this error must not be used again.
    pub fn breaks_connection(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// An error of a domain crate that may carry one of the storage layer, so that
/// [`crate::Storage::write`] can tell a collision from a refusal.
pub trait TransactionError: From<Error> {
    /// The storage error inside, if it is one.
    fn storage(&self) -> Option<&Error>;
}

impl TransactionError for Error {
    fn storage(&self) -> Option<&Error> {
        Some(self)
    }
}

impl From<DieselError> for Error {
    fn from(error: DieselError) -> Self {
        let DieselError::DatabaseError(kind, information) = &error else {
            return match error {
                DieselError::NotFound => Self::NotFound,
                DieselError::BrokenTransactionManager => Self::Unavailable(error.to_string()),
                other => Self::Query(other),
            };
        };
        let message = information.message();
        match kind {
            DatabaseErrorKind::UniqueViolation => Self::Unique(error),
            DatabaseErrorKind::ForeignKeyViolation => Self::ForeignKey(error),
            DatabaseErrorKind::SerializationFailure => Self::Busy(error),
            DatabaseErrorKind::ClosedConnection => Self::Unavailable(message.to_owned()),
            DatabaseErrorKind::Unknown if is_collision(message) => Self::Busy(error),
            DatabaseErrorKind::Unknown if is_disconnect(message) => Self::Unavailable(message.to_owned()),
            _ => Self::Query(error),
        }
    }
}

/// SQLite and PostgreSQL report these only by their text.
fn is_collision(message: &str) -> bool {
    ["database is locked", "database table is locked", "deadlock detected"]
        .iter()
        .any(|known| message.contains(known))
}

/// What libpq says when the server went away under an open connection.
fn is_disconnect(message: &str) -> bool {
    [
        "server closed the connection",
        "terminating connection",
        "connection to server",
        "no connection to the server",
        "could not receive data",
        "could not send data",
        "SSL connection has been closed",
        "the database system is",
    ]
    .iter()
    .any(|known| message.contains(known))
}
