//! What the planner of queries knows about the tables.

use diesel::connection::SimpleConnection as _;

use crate::{connection::DbConnection, error::Result};

/// Lets SQLite count how its rows are spread, where it does not know it or a table has grown tenfold since.
/// Without that it takes ten rows for one organization, and reads all days of all members where an index would
/// find the one that is asked for. PostgreSQL does this by itself.
///
/// It reads the concerned indexes as a whole: a third of a second for a million rows.
pub fn learn_sizes(conn: &mut DbConnection) -> Result<()> {
    match conn {
        // Tables that need it, also those that this connection did not use.
        DbConnection::Sqlite(inner) => Ok(inner.batch_execute("PRAGMA optimize = 0x10002;")?),
        DbConnection::Postgres(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestDb;

    #[test]
    fn sizes_are_known_afterwards() {
        TestDb::each(|storage| {
            let fill = |conn: &mut DbConnection| {
                for day in 1..=9 {
                    conn.batch_execute(&format!(
                        "INSERT INTO nbp_rates VALUES ('2026-07-0{day}', 'x{day}', 36078, 1)"
                    ))?;
                }
                learn_sizes(conn)
            };
            storage.write_blocking(fill).unwrap();
            let known = |conn: &mut DbConnection| {
                // An error where nothing is known.
                if matches!(conn, DbConnection::Sqlite(_)) {
                    conn.batch_execute(
                        "CREATE TEMP TABLE known (stat TEXT NOT NULL); \
                         INSERT INTO known VALUES ((SELECT stat FROM sqlite_stat1 WHERE tbl = 'nbp_rates'));",
                    )?;
                }
                Ok::<_, crate::Error>(())
            };
            storage.write_blocking(known).unwrap();
        });
    }
}
