//! Real, empty, migrated databases for tests, and gone afterwards.
//!
//! SQLite gets a file in a temporary folder. PostgreSQL gets a schema of its own in the database
//! that the environment variable `MAI_TEST_POSTGRES_URL` names; `cargo xtask test` starts one.

pub mod open_webui;

use diesel::{Connection as _, PgConnection, connection::SimpleConnection};

use crate::{
    connection::DatabaseUrl,
    migrate,
    pool::{PoolSettings, Storage},
};

/// The variable that names the PostgreSQL server for tests.
pub const POSTGRES_VARIABLE: &str = "MAI_TEST_POSTGRES_URL";

/// A database that lives as long as this value.
pub struct TestDb {
    /// The migrated database.
    pub storage: Storage,
    _cleanup: Cleanup,
}

/// What has to happen when the test is over.
enum Cleanup {
    Folder { _folder: tempfile::TempDir },
    Schema { server: String, schema: String },
}

impl TestDb {
    /// A new SQLite database in a temporary folder.
    #[expect(clippy::expect_used, reason = "a test cannot go on without its database")]
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = DatabaseUrl::Sqlite(folder.path().join("test.db"));
        migrate::run(&url).expect("migrations run on SQLite");
        Self {
            storage: Storage::open(&url, PoolSettings::default()),
            _cleanup: Cleanup::Folder { _folder: folder },
        }
    }

    /// A new schema on the PostgreSQL server for tests.
    #[expect(
        clippy::expect_used,
        clippy::panic,
        reason = "a test cannot go on without its database, and never skips"
    )]
    pub fn postgres() -> Self {
        let Ok(server) = std::env::var(POSTGRES_VARIABLE) else {
            panic!(
                "{POSTGRES_VARIABLE} is not set. Run the tests by `cargo xtask test`, which starts a PostgreSQL of \
                 its own, or name a server: {POSTGRES_VARIABLE}=postgres://user@host/database"
            );
        };
        let schema = format!("test_{}", uuid::Uuid::new_v4().simple());
        let mut connection =
            PgConnection::establish(&server).expect("the PostgreSQL server for tests answers");
        connection.batch_execute(&format!("CREATE SCHEMA {schema}")).expect("a schema can be created");
        let separator = if server.contains('?') { '&' } else { '?' };
        let url = DatabaseUrl::Postgres(format!("{server}{separator}options=-csearch_path%3D{schema}"));
        let cleanup = Cleanup::Schema { server, schema };
        migrate::run(&url).expect("migrations run on PostgreSQL");
        Self { storage: Storage::open(&url, PoolSettings::default()), _cleanup: cleanup }
    }

    /// Runs a test on each database in turn. The name of the database is printed, so that a failed
    /// test tells which it was.
    #[expect(clippy::print_stdout, reason = "shown by the test runner when the test fails")]
    pub fn each(test: impl Fn(&Storage)) {
        println!("on SQLite");
        test(&Self::sqlite().storage);
        println!("on PostgreSQL");
        test(&Self::postgres().storage);
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        if let Self::Schema { server, schema } = self
            && let Ok(mut connection) = PgConnection::establish(server)
        {
            // A schema that stays behind disappears with the throw-away server.
            connection.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).unwrap_or_default();
        }
    }
}
