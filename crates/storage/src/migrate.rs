//! The schema's history, compiled into the binary, one tree per database.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::{
    connection::{DatabaseUrl, DbConnection, Purpose},
    error::{Error, Result},
};

const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// How long PostgreSQL waits for each lock: that of another process that migrates, and those of the
/// tables. The work itself may take as long as it needs.
const LOCK_PATIENCE: &str = "60s";

/// Runs what has not run yet and returns the names of the migrations that ran, in order.
///
/// They run under a lock, so that several processes may start at once. Fails with
/// [`Error::Unavailable`] where the database cannot be reached or went away meanwhile, with
/// [`Error::Refused`] where it lets nobody in, and with [`Error::Migration`] where the schema is at
/// fault.
pub fn run(url: &DatabaseUrl) -> Result<Vec<String>> {
    let mut connection = open_patiently(url)?;
    lock(&mut connection, LOCK_PATIENCE)?;
    let ran = match &mut connection {
        DbConnection::Postgres(inner) => names(inner.run_pending_migrations(POSTGRES)),
        DbConnection::Sqlite(inner) => names(inner.run_pending_migrations(SQLITE)),
    };
    let ran = ran.map_err(|cause| if is_gone(&mut connection) { went_away(&cause) } else { cause })?;
    unlock(&mut connection)?;
    Ok(ran)
}

/// Whether the server does not answer any more.
fn is_gone(connection: &mut DbConnection) -> bool {
    match connection {
        DbConnection::Postgres(inner) => inner.batch_execute("SELECT 1").is_err(),
        DbConnection::Sqlite(_) => false,
    }
}

fn went_away(cause: &Error) -> Error {
    Error::Unavailable(format!("it went away during a migration: {cause}"))
}

/// The names of the migrations that have not run yet.
pub fn pending(url: &DatabaseUrl) -> Result<Vec<String>> {
    let mut connection = DbConnection::open(url, Purpose::Write)?;
    let named = |error| Error::Migration(format!("{error}"));
    let pending = match &mut connection {
        DbConnection::Postgres(inner) => inner
            .pending_migrations(POSTGRES)
            .map_err(named)?
            .iter()
            .map(|one| one.name().to_string())
            .collect(),
        DbConnection::Sqlite(inner) => inner
            .pending_migrations(SQLITE)
            .map_err(named)?
            .iter()
            .map(|one| one.name().to_string())
            .collect(),
    };
    Ok(pending)
}

fn names(
    outcome: diesel::migration::Result<Vec<diesel::migration::MigrationVersion<'_>>>,
) -> Result<Vec<String>> {
    let versions = outcome.map_err(|error| Error::Migration(format!("{error}")))?;
    Ok(versions.iter().map(ToString::to_string).collect())
}

/// While another process makes the same SQLite file, SQLite refuses at once and does not wait.
fn open_patiently(url: &DatabaseUrl) -> Result<DbConnection> {
    let mut pause = Duration::from_millis(10);
    loop {
        match DbConnection::open(url, Purpose::Write) {
            Err(error) if error.is_retryable() && pause < Duration::from_secs(2) => {
                std::thread::sleep(pause);
                pause *= 2;
            }
            outcome => return outcome,
        }
    }
}

/// PostgreSQL takes an advisory lock, which ends with the connection; its number is arbitrary and only
/// has to stay the same. SQLite has no such lock, so a transaction of the writer goes around them all.
fn lock(connection: &mut DbConnection, patience: &str) -> Result<()> {
    match connection {
        DbConnection::Postgres(inner) => {
            inner.batch_execute(&format!("SET lock_timeout = '{patience}'"))?;
            let locked = inner.batch_execute("SELECT pg_advisory_lock(6247001)").map_err(Error::from);
            locked.map_err(|cause| match cause {
                Error::Query(cause) | Error::Impaired(cause) => Error::Migration(format!(
                    "another process kept the lock for longer than {patience}: {cause}"
                )),
                other => other,
            })
        }
        DbConnection::Sqlite(_) => connection.begin(Purpose::Write),
    }
}

fn unlock(connection: &mut DbConnection) -> Result<()> {
    match connection {
        DbConnection::Postgres(_) => Ok(()),
        DbConnection::Sqlite(_) => connection.commit(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_another_process_keeps_is_not_waited_for_for_ever() {
        let server = std::env::var("MAI_TEST_POSTGRES_URL").expect("run the tests by `cargo xtask test`");
        let url = DatabaseUrl::Postgres(server);
        let open = || DbConnection::open(&url, Purpose::Write).unwrap();
        let mut other = open();
        lock(&mut other, LOCK_PATIENCE).unwrap();
        let refused = lock(&mut open(), "50ms").unwrap_err();
        assert!(matches!(&refused, Error::Migration(why) if why.contains("another process")), "{refused}");
        drop(other);
        lock(&mut open(), LOCK_PATIENCE).unwrap();
    }
}
