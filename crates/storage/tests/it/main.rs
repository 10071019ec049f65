//! Storage on both real databases.
#![cfg(test)]

mod availability;
mod errors;
mod locks;
mod migrations;
mod open_webui;
mod transactions;

use diesel::{connection::SimpleConnection, prelude::*};
use mai_storage::{DatabaseUrl, DbConnection, Error, Result, Storage, TransactionError, on_backend};
use schema::counters;

/// The tables of these tests.
mod schema {
    diesel::table! {
        counters (id) {
            id -> BigInt,
            value -> BigInt,
        }
    }

    diesel::table! {
        notes (id) {
            id -> BigInt,
            word -> Text,
            counter -> BigInt,
        }
    }
}

/// An error of a domain crate, as far as the storage layer cares.
#[derive(Debug)]
enum Domain {
    Storage(Error),
    Refused,
}

impl From<Error> for Domain {
    fn from(error: Error) -> Self {
        Self::Storage(error)
    }
}

impl From<diesel::result::Error> for Domain {
    fn from(error: diesel::result::Error) -> Self {
        Self::Storage(error.into())
    }
}

impl TransactionError for Domain {
    fn storage(&self) -> Option<&Error> {
        match self {
            Self::Storage(error) => Some(error),
            Self::Refused => None,
        }
    }
}

/// Makes the tables, which have both kinds of constraint, and two counters of value 0. As all tables of
/// ours they are strict on SQLite.
fn create_counters(storage: &Storage) {
    let (integer, strict) = match storage.url() {
        DatabaseUrl::Sqlite(_) => ("INT", "STRICT"),
        DatabaseUrl::Postgres(_) => ("BIGINT", ""),
    };
    let tables = format!(
        "CREATE TABLE counters (id {integer} NOT NULL PRIMARY KEY, value {integer} NOT NULL) {strict}; \
         CREATE TABLE notes (id {integer} NOT NULL PRIMARY KEY, word TEXT NOT NULL UNIQUE, \
                             counter {integer} NOT NULL REFERENCES counters (id)) {strict}; \
         INSERT INTO counters (id, value) VALUES (1, 0), (2, 0);"
    );
    storage.write_blocking(|conn| Ok::<_, Error>(conn.batch_execute(&tables)?)).unwrap();
}

/// Adds to a counter, which is made when it is missing, and tells its value.
fn add(conn: &mut DbConnection, id: i64, more: i64) -> Result<i64> {
    let row = (counters::id.eq(id), counters::value.eq(more));
    Ok(on_backend!(conn, c => diesel::insert_into(counters::table)
        .values(row)
        .on_conflict(counters::id)
        .do_update()
        .set(counters::value.eq(counters::value + diesel::upsert::excluded(counters::value)))
        .returning(counters::value)
        .get_result(c))?)
}

fn value(conn: &mut DbConnection, id: i64) -> Result<i64> {
    Ok(counters::table.find(id).select(counters::value).first(conn)?)
}

fn stored(storage: &Storage, id: i64) -> i64 {
    storage.read_blocking(|conn| value(conn, id)).unwrap()
}
