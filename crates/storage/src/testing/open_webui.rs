//! The user registry of an Open WebUI, as its own migrations make it, for tests of whoever reads it.

use diesel::{Connection as _, PgConnection, SqliteConnection, connection::SimpleConnection};

use crate::connection::DatabaseUrl;

/// The tables of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 0.12.
    Current,
    /// 0.6.
    Old,
}

/// The table `user` of Open WebUI 0.12.
const CURRENT: &str = r#"CREATE TABLE "user"(id VARCHAR NOT NULL PRIMARY KEY, name VARCHAR, email VARCHAR, role VARCHAR,
    profile_image_url TEXT, last_active_at BIGINT, updated_at BIGINT, created_at BIGINT, username VARCHAR(50), bio TEXT,
    gender TEXT, date_of_birth DATE, profile_banner_image_url TEXT, timezone VARCHAR, presence_state VARCHAR,
    status_emoji VARCHAR, status_message TEXT, status_expires_at BIGINT, oauth JSON, info JSON, settings JSON, scim JSON,
    variables JSON);"#;

/// The table `user` of Open WebUI 0.6.
const OLD: &str = r#"CREATE TABLE "user"(id VARCHAR(255) NOT NULL PRIMARY KEY, name VARCHAR(255) NOT NULL,
    email VARCHAR(255) NOT NULL, role VARCHAR(255) NOT NULL, profile_image_url TEXT NOT NULL, api_key VARCHAR(255) UNIQUE,
    created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, last_active_at BIGINT NOT NULL, settings TEXT, info TEXT,
    oauth_sub TEXT UNIQUE);"#;

/// Makes the table in a database, which on SQLite is in WAL mode as Open WebUI has it.
#[expect(clippy::expect_used, reason = "a test cannot go on without its database")]
pub fn create(url: &DatabaseUrl, version: Version) {
    let schema = if version == Version::Current { CURRENT } else { OLD };
    execute(url, schema);
    if let DatabaseUrl::Sqlite(path) = url {
        let mut connection =
            SqliteConnection::establish(path.to_str().expect("UTF-8")).expect("it can be opened");
        connection.batch_execute("PRAGMA journal_mode = WAL").expect("a mode");
    }
}

/// Signs up a user. Texts must not have quotation marks.
pub fn sign_up(url: &DatabaseUrl, id: &str, name: &str, email: &str, role: &str, created_at: i64) {
    let columns = "id, name, email, role, profile_image_url, created_at, updated_at, last_active_at";
    let values = format!("'{id}', '{name}', '{email}', '{role}', '/user.png', {created_at}, 1, 1");
    execute(url, &format!("INSERT INTO \"user\" ({columns}) VALUES ({values})"));
}

/// Runs a statement of Open WebUI's own.
#[expect(clippy::expect_used, reason = "a test cannot go on without its database")]
pub fn execute(url: &DatabaseUrl, statement: &str) {
    match url {
        DatabaseUrl::Sqlite(path) => {
            let path = path.to_str().expect("UTF-8");
            let mut connection = SqliteConnection::establish(path).expect("it can be opened");
            connection.batch_execute(statement).expect("it can be executed");
        }
        DatabaseUrl::Postgres(url) => {
            let mut connection = PgConnection::establish(url).expect("it answers");
            connection.batch_execute(statement).expect("it can be executed");
        }
    }
}
