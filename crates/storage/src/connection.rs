//! One connection type for both databases, chosen by the scheme of the URL.

use std::{fmt, path::PathBuf, str::FromStr};

use diesel::{
    Connection as _, PgConnection, SqliteConnection,
    connection::{AnsiTransactionManager, SimpleConnection, TransactionManager},
};

use crate::error::{Error, Result};

/// A module of its own, because the derive's imports would clash with ours.
mod multi {
    use diesel::{PgConnection, SqliteConnection};

    /// A connection to either database. Plain Diesel queries run on it directly.
    #[derive(diesel::MultiConnection)]
    pub enum DbConnection {
        /// PostgreSQL by libpq.
        Postgres(PgConnection),
        /// SQLite, compiled in.
        Sqlite(SqliteConnection),
    }
}

pub use multi::DbConnection;

/// Where the database is: `sqlite:path/to/file.db` or `postgres://…`.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file. Its folder must exist.
    Sqlite(PathBuf),
    /// A PostgreSQL connection string, which may contain a password.
    Postgres(String),
}

impl FromStr for DatabaseUrl {
    type Err = Error;

    /// Refuses unknown schemes, so that a mistyped URL never becomes a new SQLite file.
    fn from_str(text: &str) -> Result<Self> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        match text.strip_prefix("sqlite:").map(|rest| rest.strip_prefix("//").unwrap_or(rest)) {
            Some("" | ":memory:") => {
                Err(Error::Url("SQLite needs the path of a file, for example sqlite:data/mai-usage.db".into()))
            }
            Some(path) => Ok(Self::Sqlite(path.into())),
            None => Err(Error::Url(
                "the database URL must begin with sqlite: or postgres://, for example sqlite:data/mai-usage.db".into(),
            )),
        }
    }
}

/// Never shows a password, which may stand before the `@` or among the parameters.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => {
                let address = url.split_once('?').map_or(url.as_str(), |(address, _)| address);
                match (address.split_once("://"), address.rsplit_once('@')) {
                    (Some((scheme, _)), Some((_, rest))) => write!(f, "{scheme}://…@{rest}"),
                    _ => f.write_str("postgres://…"),
                }
            }
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Errors are told apart by PostgreSQL's texts where Diesel does not pass the code on, so they must
/// come untranslated. Only a superuser, or a role that was granted it, may ask for that; for others
/// the server's own language stays.
const UNTRANSLATED: &str = "DO $$ BEGIN PERFORM set_config('lc_messages', 'C', false); \
                            EXCEPTION WHEN insufficient_privilege THEN NULL; END $$";

/// What a connection is for. Only SQLite treats the two differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Read,
    Write,
}

impl DbConnection {
    /// Opens a connection for `purpose`.
    pub(crate) fn open(url: &DatabaseUrl, purpose: Purpose) -> Result<Self> {
        let unavailable = |error: &dyn fmt::Display| Error::Unavailable(error.to_string());
        match url {
            DatabaseUrl::Postgres(url) => {
                let mut connection = PgConnection::establish(url).map_err(|error| unavailable(&error))?;
                connection.batch_execute(UNTRANSLATED)?;
                Ok(Self::Postgres(connection))
            }
            DatabaseUrl::Sqlite(path) => {
                let path = path.to_str().ok_or_else(|| Error::Url("the SQLite path is not UTF-8".into()))?;
                let mut connection = SqliteConnection::establish(path).map_err(|error| {
                    Error::Unavailable(format!("cannot open the SQLite file {path}: {error}"))
                })?;
                // FULL: the journal forgets a record after our commit, so the commit must survive power loss.
                connection.batch_execute(
                    "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                     PRAGMA foreign_keys = ON; PRAGMA cache_size = -16000;",
                )?;
                if purpose == Purpose::Read {
                    connection.batch_execute("PRAGMA query_only = ON;")?;
                }
                Ok(Self::Sqlite(connection))
            }
        }
    }

    /// Begins a transaction that suits `purpose`: a snapshot to read from, or a writer's lock.
    pub(crate) fn begin(&mut self, purpose: Purpose) -> Result<()> {
        match (self, purpose) {
            (Self::Postgres(inner), Purpose::Read) => AnsiTransactionManager::begin_transaction_sql(
                inner,
                "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
            ),
            (Self::Postgres(inner), Purpose::Write) => {
                AnsiTransactionManager::begin_transaction_sql(inner, "BEGIN TRANSACTION")
            }
            (Self::Sqlite(inner), Purpose::Read) => {
                AnsiTransactionManager::begin_transaction_sql(inner, "BEGIN DEFERRED")
            }
            // A deferred transaction that reads and then writes fails at once when another writer
            // was faster; an immediate one waits for its turn.
            (Self::Sqlite(inner), Purpose::Write) => {
                AnsiTransactionManager::begin_transaction_sql(inner, "BEGIN IMMEDIATE")
            }
        }
        .map_err(Error::from)
    }

    pub(crate) fn commit(&mut self) -> Result<()> {
        crate::on_backend!(self, inner => AnsiTransactionManager::commit_transaction(inner))
            .map_err(Error::from)
    }

    pub(crate) fn rollback(&mut self) -> Result<()> {
        crate::on_backend!(self, inner => AnsiTransactionManager::rollback_transaction(inner))
            .map_err(Error::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_by_their_scheme_only() {
        assert_eq!(
            "sqlite:data/x.db".parse::<DatabaseUrl>().unwrap(),
            DatabaseUrl::Sqlite("data/x.db".into())
        );
        assert_eq!(
            "sqlite:///tmp/x.db".parse::<DatabaseUrl>().unwrap(),
            DatabaseUrl::Sqlite("/tmp/x.db".into())
        );
        for wrong in ["", "data/x.db", "mysql://x", "sqlite:", "sqlite::memory:", "postgress://x"] {
            assert!(matches!(wrong.parse::<DatabaseUrl>(), Err(Error::Url(_))), "{wrong}");
        }
    }

    #[test]
    fn a_shown_url_hides_the_password() {
        let url: DatabaseUrl = "postgres://mai:s3cr@t@db.example/usage".parse().unwrap();
        assert_eq!(url.to_string(), "postgres://…@db.example/usage");
        assert!(!format!("{url:?}").contains("s3cr"));
        for secret in [
            "postgres://db.example/usage?user=mai&password=s3cr@t",
            "postgres://mai@db.example/usage?password=s3cr@t&sslmode=require",
            "postgres://mai:s3cr?t@db.example/usage",
            "postgres://mai:s3cr/t@db.example/usage",
            "postgresql://mai:s3cr%40t@db.example:5432/usage",
        ] {
            let shown = secret.parse::<DatabaseUrl>().unwrap().to_string();
            assert!(!shown.contains("s3cr") && !shown.ends_with('t'), "{shown}");
        }
    }
}
