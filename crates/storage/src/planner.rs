//! What the planner of queries knows about the tables.

use diesel::connection::SimpleConnection as _;

use crate::{connection::DbConnection, error::Result};

/// Lets SQLite count how its rows are spread, where it does not know it or a table has grown tenfold since.
/// Without that it takes ten rows for one organization, and reads all days of all members where an index would
/// find the one that is asked for. PostgreSQL does this by itself.
///
/// It looks at some thousand rows of each index that needs it, so that writers wait for milliseconds.
pub fn learn_sizes(conn: &mut DbConnection) -> Result<()> {
    match conn {
        // To analyze (0x2) within bounds (0x10), also tables that this connection did not use (0x10000).
        // Connections read what was found with the schema, and that anew when it changes: hence the table.
        DbConnection::Sqlite(inner) => Ok(inner.batch_execute(
            "PRAGMA optimize = 0x10012; CREATE TABLE sizes_learned (at INTEGER) STRICT; DROP TABLE sizes_learned;",
        )?),
        DbConnection::Postgres(_) => Ok(()),
    }
}
