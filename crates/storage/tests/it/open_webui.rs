//! Reading the user registry of an Open WebUI, as 0.6 and 0.12 make it.

use diesel::{Connection, PgConnection, SqliteConnection, connection::SimpleConnection};
use mai_storage::{
    DatabaseUrl, Error,
    open_webui::{OpenWebUiUser, open_webui_users},
    testing::TestDb,
};

/// Open WebUI 0.12.
const CURRENT: &str = r#"CREATE TABLE "user"(id VARCHAR NOT NULL PRIMARY KEY, name VARCHAR, email VARCHAR, role VARCHAR,
    profile_image_url TEXT, last_active_at BIGINT, updated_at BIGINT, created_at BIGINT, username VARCHAR(50), bio TEXT,
    gender TEXT, date_of_birth DATE, profile_banner_image_url TEXT, timezone VARCHAR, presence_state VARCHAR,
    status_emoji VARCHAR, status_message TEXT, status_expires_at BIGINT, oauth JSON, info JSON, settings JSON, scim JSON,
    variables JSON);"#;

/// Open WebUI 0.6.
const OLD: &str = r#"CREATE TABLE "user"(id VARCHAR(255) NOT NULL PRIMARY KEY, name VARCHAR(255) NOT NULL,
    email VARCHAR(255) NOT NULL, role VARCHAR(255) NOT NULL, profile_image_url TEXT NOT NULL, api_key VARCHAR(255) UNIQUE,
    created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, last_active_at BIGINT NOT NULL, settings TEXT, info TEXT,
    oauth_sub TEXT UNIQUE);"#;

fn rows(more: &str) -> String {
    let insert = r#"INSERT INTO "user" (id, name, email, role, profile_image_url, created_at, updated_at, last_active_at)"#;
    format!(
        "{insert} VALUES ('u2', 'Żółw', 'zolw@x.example', 'admin', '/user.png', 1700000000, 1, 1), \
         ('u1', 'Ewa', 'ewa@x.example', 'pending', '/user.png', 1700000001, 1, 1){more};"
    )
}

fn expected() -> [OpenWebUiUser; 2] {
    let user = |id: &str, name: &str, email: &str, role: &str, created_at| OpenWebUiUser {
        id: id.into(),
        name: Some(name.into()),
        email: Some(email.into()),
        role: Some(role.into()),
        created_at: Some(created_at),
    };
    [
        user("u1", "Ewa", "ewa@x.example", "pending", 1_700_000_001),
        user("u2", "Żółw", "zolw@x.example", "admin", 1_700_000_000),
    ]
}

fn sqlite(folder: &tempfile::TempDir, name: &str) -> (DatabaseUrl, SqliteConnection) {
    let path = folder.path().join(name);
    let connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    (DatabaseUrl::Sqlite(path), connection)
}

#[test]
fn both_schemas_on_sqlite_while_open_webui_writes() {
    for schema in [CURRENT, OLD] {
        let folder = tempfile::tempdir().unwrap();
        // A name that would be something else in a URI.
        let (url, mut theirs) = sqlite(&folder, "webui 100%?#.db");
        theirs.batch_execute("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;").unwrap();
        theirs.batch_execute(schema).unwrap();
        theirs.batch_execute(&rows("")).unwrap();
        // The rows are in the log only, and another transaction is being written.
        theirs.batch_execute("BEGIN IMMEDIATE; UPDATE \"user\" SET name = 'half'").unwrap();
        assert_eq!(open_webui_users(&url, 10).unwrap(), expected());
        assert_eq!(open_webui_users(&url, 1).unwrap(), expected()[..1]);
        theirs.batch_execute("ROLLBACK").unwrap();
        drop(theirs);
        assert_eq!(open_webui_users(&url, 10).unwrap(), expected(), "after Open WebUI has stopped");
    }
}

#[test]
fn both_schemas_on_postgresql() {
    for schema in [CURRENT, OLD] {
        let database = TestDb::postgres();
        let DatabaseUrl::Postgres(text) = database.storage.url() else { panic!("not PostgreSQL") };
        let mut theirs = PgConnection::establish(text).unwrap();
        theirs.batch_execute(schema).unwrap();
        theirs.batch_execute(&rows("")).unwrap();
        assert_eq!(open_webui_users(database.storage.url(), 10).unwrap(), expected());
    }
}

#[test]
fn columns_that_may_be_null_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let (url, mut theirs) = sqlite(&folder, "webui.db");
    theirs.batch_execute(CURRENT).unwrap();
    theirs.batch_execute("INSERT INTO \"user\" (id) VALUES ('u')").unwrap();
    let nothing = OpenWebUiUser { id: "u".into(), name: None, email: None, role: None, created_at: None };
    assert_eq!(open_webui_users(&url, 10).unwrap(), [nothing]);
}

#[test]
fn nothing_is_made_and_nothing_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let missing = DatabaseUrl::Sqlite(folder.path().join("missing.db"));
    assert!(matches!(open_webui_users(&missing, 10), Err(Error::Unavailable(_))));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no file came into being");

    let (url, mut theirs) = sqlite(&folder, "webui.db");
    theirs.batch_execute("PRAGMA journal_mode = WAL; CREATE TABLE chat (id TEXT)").unwrap();
    drop(theirs);
    let before = std::fs::read(folder.path().join("webui.db")).unwrap();
    let refused = open_webui_users(&url, 10).unwrap_err();
    assert!(matches!(&refused, Error::Query(_)), "{refused:?}: it is not Open WebUI's");
    assert_eq!(std::fs::read(folder.path().join("webui.db")).unwrap(), before);
}
