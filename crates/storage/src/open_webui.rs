//! The user registry of Open WebUI in Open WebUI's own database, which is read and never written.
//!
//! The columns that are read are the same in 0.6 and in 0.12; all others are left alone.

use std::path::Path;

use diesel::{Connection as _, SqliteConnection, connection::SimpleConnection, prelude::*};

use crate::{
    connection::{DatabaseUrl, DbConnection, Purpose},
    error::{Error, Result},
};

mod schema {
    diesel::table! {
        #[sql_name = "user"]
        open_webui_users (id) {
            id -> Text,
            name -> Nullable<Text>,
            email -> Nullable<Text>,
            role -> Nullable<Text>,
            created_at -> Nullable<BigInt>,
        }
    }
}

use schema::open_webui_users;

/// A row of Open WebUI's table `user`, as it is.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = open_webui_users)]
pub struct OpenWebUiUser {
    /// A UUID.
    pub id: String,
    /// What people call the user.
    pub name: Option<String>,
    /// The user's address.
    pub email: Option<String>,
    /// `admin`, `user` or `pending`.
    pub role: Option<String>,
    /// When the user signed up, in Unix seconds.
    pub created_at: Option<i64>,
}

/// At most `limit` users of an Open WebUI, by id. Opens a connection of its own that cannot write, and
/// closes it. Blocks the calling thread.
pub fn open_webui_users(url: &DatabaseUrl, limit: i64) -> Result<Vec<OpenWebUiUser>> {
    let mut connection = open(url)?;
    let users = open_webui_users::table
        .order(open_webui_users::id)
        .limit(limit)
        .select(OpenWebUiUser::as_select())
        .load(&mut connection)?;
    Ok(users)
}

fn open(url: &DatabaseUrl) -> Result<DbConnection> {
    match url {
        DatabaseUrl::Postgres(_) => {
            let mut connection = DbConnection::open(url, Purpose::Read)?;
            if let DbConnection::Postgres(inner) = &mut connection {
                inner.batch_execute(
                    "SET default_transaction_read_only = on; SET statement_timeout = '60s'; \
                     SET lock_timeout = '10s'",
                )?;
            }
            Ok(connection)
        }
        DatabaseUrl::Sqlite(path) => open_sqlite(path).map(DbConnection::Sqlite),
    }
}

/// Opens the file read-only. While Open WebUI runs, its `-wal` and `-shm` files are there and tell what
/// is newer than the file; nothing of them is changed.
fn open_sqlite(path: &Path) -> Result<SqliteConnection> {
    let uri = uri(path)?;
    let ready = |uri: &str| -> Result<SqliteConnection> {
        let unavailable = |why: &dyn std::fmt::Display| {
            Error::Unavailable(format!("cannot open {}: {why}", path.display()))
        };
        let mut connection = SqliteConnection::establish(uri).map_err(|error| unavailable(&error))?;
        // SQLite opens the file at the first statement that needs it.
        connection
            .batch_execute("PRAGMA busy_timeout = 5000; PRAGMA query_only = ON; SELECT 1 FROM sqlite_schema")
            .map_err(|error| unavailable(&error))?;
        Ok(connection)
    };
    let opened = ready(&format!("{uri}?mode=ro"));
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    match opened {
        // A file in WAL mode of which nothing is newer, in a folder where no `-shm` can be made.
        Err(_) if path.exists() && !Path::new(&log).exists() => ready(&format!("{uri}?mode=ro&immutable=1")),
        opened => opened,
    }
}

/// <https://www.sqlite.org/uri.html>
fn uri(path: &Path) -> Result<String> {
    let path = path.to_str().ok_or_else(|| Error::Url("the SQLite path is not UTF-8".into()))?;
    let mut uri = "file:".to_owned();
    for character in path.chars() {
        match character {
            '%' => uri.push_str("%25"),
            '?' => uri.push_str("%3f"),
            '#' => uri.push_str("%23"),
            other => uri.push(other),
        }
    }
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_does_not_become_a_parameter() {
        assert_eq!(uri(Path::new("/data/webui.db")).unwrap(), "file:/data/webui.db");
        assert_eq!(uri(Path::new("a?mode=rw#b%20")).unwrap(), "file:a%3fmode=rw%23b%2520");
    }
}
