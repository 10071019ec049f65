//! The schema's history, compiled into the binary, one tree per database.

use std::time::Duration;

use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::{
    connection::{DatabaseUrl, DbConnection, Purpose},
    error::{Error, Result},
};

const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// Runs what has not run yet and returns the names of the migrations that ran, in order.
///
/// They run under a lock, so that several processes may start at once.
pub fn run(url: &DatabaseUrl) -> Result<Vec<String>> {
    let mut connection = open_patiently(url)?;
    lock(&mut connection)?;
    let ran = match &mut connection {
        DbConnection::Postgres(inner) => names(inner.run_pending_migrations(POSTGRES)),
        DbConnection::Sqlite(inner) => names(inner.run_pending_migrations(SQLITE)),
    }?;
    unlock(&mut connection)?;
    Ok(ran)
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
fn lock(connection: &mut DbConnection) -> Result<()> {
    use diesel::connection::SimpleConnection;
    match connection {
        DbConnection::Postgres(inner) => {
            inner.batch_execute("SELECT pg_advisory_lock(6247001)").map_err(Error::from)
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
