//! One connection type for both databases, chosen by the scheme of the URL.

use std::{borrow::Cow, fmt, path::PathBuf, str::FromStr};

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

/// What each PostgreSQL session begins with.
///
/// The journal forgets a record after our commit, so the commit must survive a crash of the server,
/// whatever it is set to; stronger settings are kept. And errors are told apart by their texts where
/// Diesel does not pass the code on, so they must come untranslated; only a superuser, or a role that
/// was granted it, may ask for that, and for others the server's own language stays.
const SESSION: &str = "SELECT set_config('synchronous_commit', 'on', false) \
    WHERE current_setting('synchronous_commit') = 'off'; \
    DO $$ BEGIN PERFORM set_config('lc_messages', 'C', false); \
    EXCEPTION WHEN insufficient_privilege THEN NULL; END $$";

/// How long a PostgreSQL server that is gone may go unnoticed, in libpq's parameters: seconds, and
/// milliseconds for the last one. Without them a silent host holds a thread for minutes or for ever.
/// <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS>
const BOUNDS: [(&str, &str); 5] = [
    ("connect_timeout", "5"),
    ("keepalives_idle", "10"),
    ("keepalives_interval", "5"),
    ("keepalives_count", "3"),
    ("tcp_user_timeout", "15000"),
];

/// The connection string with the [`BOUNDS`] that it does not set itself.
fn bounded(url: &str) -> Cow<'_, str> {
    let own = url.split_once('?').map_or("", |(_, parameters)| parameters);
    let is_set = |name: &str| own.split('&').any(|one| one.split('=').next() == Some(name));
    let mut bounded = Cow::Borrowed(url);
    for (name, value) in BOUNDS.iter().filter(|(name, _)| !is_set(name)) {
        let separator = if bounded.contains('?') { '&' } else { '?' };
        bounded = Cow::Owned(format!("{bounded}{separator}{name}={value}"));
    }
    bounded
}

/// Whether the text with which libpq failed to connect means that nobody is there or ready, in which
/// case waiting helps; else the server or the parameters are at fault, and only a person helps. libpq
/// tells no code here. Its own texts are English in any locale; a server that speaks another language
/// while it starts is taken for one that refuses.
fn is_away(text: &str) -> bool {
    [
        "Is the server running",
        "could not translate host name",
        "timeout expired",
        "server closed the connection",
        "could not receive data",
        "could not send",
        "the database system is",
        "too many clients",
        "connection slots are reserved",
        "terminating connection",
    ]
    .iter()
    .any(|known| text.contains(known))
}

/// What a connection is for. Only SQLite treats the two differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Read,
    Write,
}

impl DbConnection {
    /// Opens a connection for `purpose`. [`Error::Unavailable`] where nobody is there,
    /// [`Error::Refused`] where somebody is.
    pub(crate) fn open(url: &DatabaseUrl, purpose: Purpose) -> Result<Self> {
        match url {
            DatabaseUrl::Postgres(url) => {
                let connection = PgConnection::establish(&bounded(url));
                let mut connection = connection.map_err(|error| {
                    // libpq breaks lines; a log and an answer want one.
                    let text = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
                    if is_away(&text) { Error::Unavailable(text) } else { Error::Refused(text) }
                })?;
                connection.batch_execute(SESSION)?;
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
    fn a_postgres_url_gets_the_bounds_that_it_does_not_set() {
        let plain = bounded("postgres://mai@db/usage");
        assert!(plain.starts_with("postgres://mai@db/usage?connect_timeout=5&"), "{plain}");
        assert!(plain.ends_with("&tcp_user_timeout=15000"), "{plain}");
        let own = bounded("postgres:///usage?host=/run&connect_timeout=60&tcp_user_timeout=0");
        assert!(
            own.starts_with("postgres:///usage?host=/run&connect_timeout=60&tcp_user_timeout=0&"),
            "{own}"
        );
        assert_eq!(own.matches("connect_timeout").count(), 1);
        assert_eq!(own.matches("tcp_user_timeout").count(), 1);
        assert!(own.contains("keepalives_idle=10"), "{own}");
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
