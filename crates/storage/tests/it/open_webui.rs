//! Reading the user registry of an Open WebUI, as 0.6 and 0.12 make it.

use diesel::{Connection, SqliteConnection, connection::SimpleConnection};
use mai_storage::{
    DatabaseUrl, Error,
    open_webui::{OpenWebUiUser, open_webui_users},
    testing::{
        TestDb,
        open_webui::{Version, create, execute, sign_up},
    },
};

const VERSIONS: [Version; 2] = [Version::Current, Version::Old];

fn sign_up_two(url: &DatabaseUrl) {
    sign_up(url, "u2", "Żółw", "zolw@x.example", "admin", 1_700_000_000);
    sign_up(url, "u1", "Ewa", "ewa@x.example", "pending", 1_700_000_001);
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

fn sqlite(folder: &tempfile::TempDir, name: &str) -> DatabaseUrl {
    DatabaseUrl::Sqlite(folder.path().join(name))
}

#[test]
fn every_version_on_sqlite_while_open_webui_writes() {
    for version in VERSIONS {
        let folder = tempfile::tempdir().unwrap();
        // A name that would be something else in a URI.
        let name = "webui 100%?#.db";
        let url = sqlite(&folder, name);
        create(&url, version);
        let path = folder.path().join(name);
        let mut theirs = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
        theirs.batch_execute("PRAGMA wal_autocheckpoint = 0").unwrap();
        // The rows are in the log only, and another transaction is being written.
        sign_up_two(&url);
        theirs.batch_execute("BEGIN IMMEDIATE; UPDATE \"user\" SET name = 'half'").unwrap();
        assert_eq!(open_webui_users(&url, 10).unwrap(), expected());
        assert_eq!(open_webui_users(&url, 1).unwrap(), expected()[..1]);
        theirs.batch_execute("ROLLBACK").unwrap();
        drop(theirs);
        assert_eq!(open_webui_users(&url, 10).unwrap(), expected(), "after Open WebUI has stopped");
    }
}

#[test]
fn every_version_on_postgresql() {
    for version in VERSIONS {
        let database = TestDb::postgres();
        let url = database.storage.url();
        create(url, version);
        sign_up_two(url);
        assert_eq!(open_webui_users(url, 10).unwrap(), expected());
    }
}

#[test]
fn columns_that_may_be_null_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite(&folder, "webui.db");
    create(&url, Version::Current);
    execute(&url, "INSERT INTO \"user\" (id) VALUES ('u')");
    let nothing = OpenWebUiUser { id: "u".into(), name: None, email: None, role: None, created_at: None };
    assert_eq!(open_webui_users(&url, 10).unwrap(), [nothing]);
}

#[test]
fn nothing_is_made_and_nothing_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let missing = sqlite(&folder, "missing.db");
    assert!(matches!(open_webui_users(&missing, 10), Err(Error::Unavailable(_))));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no file came into being");

    let url = sqlite(&folder, "webui.db");
    execute(&url, "PRAGMA journal_mode = WAL; CREATE TABLE chat (id TEXT)");
    let before = std::fs::read(folder.path().join("webui.db")).unwrap();
    let refused = open_webui_users(&url, 10).unwrap_err();
    assert!(matches!(&refused, Error::Query(_)), "{refused:?}: it is not Open WebUI's");
    assert_eq!(std::fs::read(folder.path().join("webui.db")).unwrap(), before);
}
