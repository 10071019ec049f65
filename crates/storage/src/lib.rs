//! Connections, transactions and migrations for SQLite and PostgreSQL, both in one binary.
//!
//! Nothing outside of this crate knows which database it talks to. A query is written once in
//! Diesel's language: most run directly on [`DbConnection`]; upserts, batches and `RETURNING` go
//! through [`on_backend!`], which compiles the same text for each database, and reads that lock
//! through [`load_for_update!`]. Work happens inside of [`Storage::read`] (one consistent snapshot) and
//! [`Storage::write`] (one transaction that takes the right lock at its start and is tried again when
//! two writers collide).

pub mod backup;
pub mod connection;
pub mod error;
pub mod expression;
pub mod lock;
pub mod migrate;
pub mod open_webui;
pub mod planner;
pub mod pool;
#[cfg(feature = "testing")]
pub mod testing;
pub mod text_enum;

pub use connection::{DatabaseUrl, DbConnection};
pub use error::{Error, Result, TransactionError};
pub use expression::sum_i64;
pub use lock::{lock_alone, lock_shared};
pub use planner::learn_sizes;
pub use pool::{PoolSettings, Storage};

/// How many rows one statement of a batch may carry. SQLite binds at most 32,766 values, and our
/// widest table has fewer than 30 columns.
pub const BATCH_ROWS: usize = 1_000;

/// Runs one Diesel statement that the common backend does not support (upsert, batch insert,
/// `RETURNING` of a struct), type-checked against each database on its own.
///
/// ```ignore
/// on_backend!(conn, c => diesel::insert_into(t::table).values(rows).on_conflict_do_nothing().execute(c))?;
/// ```
#[macro_export]
macro_rules! on_backend {
    ($conn:expr, $inner:ident => $body:expr) => {
        match $conn {
            $crate::DbConnection::Postgres($inner) => $body,
            $crate::DbConnection::Sqlite($inner) => $body,
        }
    };
}

/// Loads the rows of a query and keeps others from changing them until the transaction ends, in the
/// query's order. On SQLite a write transaction is alone anyway.
#[macro_export]
macro_rules! load_for_update {
    ($conn:expr, $query:expr) => {
        match $conn {
            $crate::DbConnection::Postgres(inner) => $query.for_update().load(inner),
            $crate::DbConnection::Sqlite(inner) => $query.load(inner),
        }
    };
}

/// As [`load_for_update!`], but rows that another transaction has locked are left out instead of waited
/// for.
#[macro_export]
macro_rules! load_unlocked_for_update {
    ($conn:expr, $query:expr) => {
        match $conn {
            $crate::DbConnection::Postgres(inner) => $query.for_update().skip_locked().load(inner),
            $crate::DbConnection::Sqlite(inner) => $query.load(inner),
        }
    };
}

/// As [`load_for_update!`], but others may lock the rows in the same way and change what is no key;
/// only who wants a row for itself alone has to wait.
#[macro_export]
macro_rules! load_for_key_share {
    ($conn:expr, $query:expr) => {
        match $conn {
            $crate::DbConnection::Postgres(inner) => $query.for_key_share().load(inner),
            $crate::DbConnection::Sqlite(inner) => $query.load(inner),
        }
    };
}
