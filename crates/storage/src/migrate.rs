//! The schema's history, compiled into the binary, one tree per database.

use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::{
    connection::{DatabaseUrl, DbConnection, Purpose},
    error::{Error, Result},
};

const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// Runs what has not run yet and returns the names of the migrations that ran, in order.
///
/// PostgreSQL runs them under an advisory lock, so several processes may start at once.
pub fn run(url: &DatabaseUrl) -> Result<Vec<String>> {
    let mut connection = DbConnection::open(url, Purpose::Write)?;
    lock(&mut connection)?;
    let ran = match &mut connection {
        DbConnection::Postgres(inner) => names(inner.run_pending_migrations(POSTGRES)),
        DbConnection::Sqlite(inner) => names(inner.run_pending_migrations(SQLITE)),
    }?;
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

/// The number is arbitrary and only has to stay the same. The lock ends with the connection.
fn lock(connection: &mut DbConnection) -> Result<()> {
    use diesel::connection::SimpleConnection;
    match connection {
        DbConnection::Postgres(inner) => {
            inner.batch_execute("SELECT pg_advisory_lock(6247001)").map_err(Error::from)
        }
        DbConnection::Sqlite(_) => Ok(()),
    }
}
