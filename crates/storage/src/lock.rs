//! Locks by a name, for work that the locks of rows cannot keep apart.
//!
//! Rows lock what is there. Work that must also see what others are about to insert, such as moving all
//! usage of a member, needs a lock on the name of the whole. PostgreSQL's advisory locks are taken in the
//! order of asking, so that whoever wants one alone gets it also while others never stop sharing it, and
//! they end with the transaction. On SQLite a write transaction is alone anyway.
//!
//! The locks belong to the server that the connection goes to: all processes must use the same one.

use diesel::prelude::*;

use self::functions::{hashtextextended, pg_advisory_xact_lock, pg_advisory_xact_lock_shared};
use crate::{connection::DbConnection, error::Result};

/// Keeps our names apart from advisory locks that others take in the same database.
const SEED: i64 = 6_247_002;

/// Functions of PostgreSQL, as Diesel calls them.
mod functions {
    use diesel::{
        define_sql_function,
        sql_types::{BigInt, SqlType, Text},
    };

    /// Nothing.
    #[derive(SqlType)]
    #[diesel(postgres_type(name = "void", schema = "pg_catalog"))]
    pub struct Void;

    define_sql_function! {
        /// 64 bits of a hash.
        fn hashtextextended(text: Text, seed: BigInt) -> BigInt;
    }
    define_sql_function! {
        /// Locks until the transaction ends.
        fn pg_advisory_xact_lock(key: BigInt) -> Void;
    }
    define_sql_function! {
        /// Locks against those who want it alone, until the transaction ends.
        fn pg_advisory_xact_lock_shared(key: BigInt) -> Void;
    }
}

/// Waits until nobody has the lock of this name alone, and keeps it until the transaction ends. Asking
/// again in the same transaction changes nothing.
pub fn lock_shared(conn: &mut DbConnection, name: &str) -> Result<()> {
    if let DbConnection::Postgres(inner) = conn {
        diesel::select(pg_advisory_xact_lock_shared(hashtextextended(name, SEED))).execute(inner)?;
    }
    Ok(())
}

/// Waits until nobody else has the lock of this name, shared or alone, and keeps it until the
/// transaction ends. A transaction must not ask for it after it has shared it.
pub fn lock_alone(conn: &mut DbConnection, name: &str) -> Result<()> {
    if let DbConnection::Postgres(inner) = conn {
        diesel::select(pg_advisory_xact_lock(hashtextextended(name, SEED))).execute(inner)?;
    }
    Ok(())
}
