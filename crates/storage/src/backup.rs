//! A copy of the whole database as it is at one moment, made while others write.

use std::path::Path;

use diesel::{Connection as _, SqliteConnection, connection::SimpleConnection};

use crate::{
    connection::DatabaseUrl,
    error::{Error, Result},
};

/// Copies a SQLite database to a new file, compact and in one piece, and checks the copy. Blocks the
/// calling thread; writers go on meanwhile. False for PostgreSQL, which is copied by its own programs.
///
/// The copy is durable when this returns. A file that is there already is an error, and so is a copy that
/// SQLite itself finds damaged.
pub fn copy_to(url: &DatabaseUrl, target: &Path) -> Result<bool> {
    let DatabaseUrl::Sqlite(source) = url else { return Ok(false) };
    execute(source, &format!("VACUUM INTO {}", quoted(target)?))?;
    // Its result would be rows; as a condition it is an error.
    execute(
        target,
        "CREATE TEMP TABLE damage (line TEXT CHECK (line = 'ok')); \
         INSERT INTO damage SELECT quick_check FROM pragma_quick_check;",
    )?;
    std::fs::File::open(target)
        .and_then(|copy| copy.sync_all())
        .map_err(|cause| Error::Unavailable(format!("the copy could not be made durable: {cause}")))?;
    Ok(true)
}

fn execute(path: &Path, statements: &str) -> Result<()> {
    let path = path.to_str().ok_or_else(not_utf8)?;
    let mut connection = SqliteConnection::establish(path)
        .map_err(|cause| Error::Unavailable(format!("cannot open the SQLite file {path}: {cause}")))?;
    connection.batch_execute("PRAGMA busy_timeout = 5000;")?;
    connection.batch_execute(statements)?;
    Ok(())
}

/// A path as a text of SQL.
fn quoted(path: &Path) -> Result<String> {
    let path = path.to_str().ok_or_else(not_utf8)?;
    Ok(format!("'{}'", path.replace('\'', "''")))
}

fn not_utf8() -> Error {
    Error::Url("the path of a SQLite file must be UTF-8".into())
}
