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
    /// The database answers and cannot do its work at the moment: its disk is full or failing, or it
    /// takes no writes, as a standby does.
    #[error("the database cannot do its work at the moment")]
    Impaired(#[source] DieselError),
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

    /// Whether the connection that produced this error must not be used again. A new one may reach a
    /// database that is in order, for example after a standby was promoted.
    pub fn breaks_connection(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Impaired(_))
    }

    /// Whether the state of the database is at fault and not what was asked of it, so that the same
    /// work will succeed some time.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy(_) | Self::Unavailable(_) | Self::Refused(_) | Self::Impaired(_))
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
            DatabaseErrorKind::ReadOnlyTransaction => Self::Impaired(error),
            DatabaseErrorKind::Unknown if is_collision(message) => Self::Busy(error),
            DatabaseErrorKind::Unknown if is_disconnect(message) => Self::Unavailable(message.to_owned()),
            DatabaseErrorKind::Unknown if is_impaired(message) => Self::Impaired(error),
            DatabaseErrorKind::Unknown if is_overflow(message) => Self::OutOfRange("in the database"),
            _ => Self::Query(error),
        }
    }
}

// Diesel tells the most common conditions by their code, and only the text of all others. SQLite's
// texts are fixed; PostgreSQL's are the untranslated ones, which every connection asks for.

/// Deadlock (40P01) and the locks of SQLite.
fn is_collision(message: &str) -> bool {
    contains(
        message,
        &["database is locked", "database table is locked", "locking protocol", "deadlock detected"],
    )
}

/// The server went away under an open connection (classes 08 and 57P0), as libpq or the server says it.
fn is_disconnect(message: &str) -> bool {
    contains(
        message,
        &[
            "server closed the connection",
            "terminating connection",
            "connection to server",
            "no connection to the server",
            "could not receive data",
            "could not send data",
            "SSL connection has been closed",
            "the database system is",
        ],
    )
}

/// SQLite's FULL, READONLY, IOERR, CANTOPEN, NOMEM and CORRUPT, and PostgreSQL's classes 53 (out of
/// disk, memory, slots), 57014 and 55P03 (a timeout of the server's) and 58 (failing files).
fn is_impaired(message: &str) -> bool {
    contains(
        message,
        &[
            "database or disk is full",
            "attempt to write a readonly database",
            "disk I/O error",
            "unable to open database file",
            "database disk image is malformed",
            "out of memory",
            "No space left on device",
            "Disk quota exceeded",
            "out of shared memory",
            "remaining connection slots",
            "too many clients already",
            "too many connections",
            "temporary file size exceeds",
            "canceling statement due to",
            "could not access file",
            "could not extend file",
            "could not fsync file",
            "could not open file",
            "could not read block",
            "could not read file",
            "could not resize shared memory segment",
            "could not write block",
            "could not write to file",
            "Input/output error",
        ],
    )
}

/// 22003 of PostgreSQL. SQLite makes a sum of columns that overflows a float, which a strict table does
/// not store in a column declared INT or INTEGER; its own `sum` says what happened.
fn is_overflow(message: &str) -> bool {
    contains(
        message,
        &[
            "bigint out of range",
            "integer out of range",
            "out of range for type",
            "numeric field overflow",
            "cannot store REAL value in INT",
            "integer overflow",
        ],
    )
}

fn contains(message: &str, known: &[&str]) -> bool {
    known.iter().any(|known| message.contains(known))
}
