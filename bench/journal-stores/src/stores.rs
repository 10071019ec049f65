//! The stores, each set so that a commit survives a power loss.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use diesel::{connection::SimpleConnection, prelude::*, sqlite::SqliteConnection};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use mai_journal::{Admission, Journal, JournalSettings, Position};

pub trait Store: Sized + Send + 'static {
    fn open(dir: &Path) -> Result<Self>;
    /// Returns once all are durable.
    fn commit(&mut self, payloads: Vec<Vec<u8>>) -> Result<()>;
    /// Removes everything; need not be durable at once.
    fn forget_all(&mut self) -> Result<()>;
    /// Visits all records in order and returns their number.
    fn read_all(&mut self, visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<u64>;
}

pub struct Fjall {
    database: Database,
    records: Keyspace,
    next: u64,
    first: u64,
}

impl Store for Fjall {
    fn open(dir: &Path) -> Result<Self> {
        let database = Database::builder(dir.join("fjall")).open()?;
        let records = database.keyspace("records", KeyspaceCreateOptions::default)?;
        let next = match records.iter().next_back() {
            Some(last) => u64::from_be_bytes(last.key()?.as_ref().try_into()?) + 1,
            None => 0,
        };
        Ok(Self { database, records, next, first: 0 })
    }

    fn commit(&mut self, payloads: Vec<Vec<u8>>) -> Result<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for payload in payloads {
            batch.insert(&self.records, self.next.to_be_bytes(), payload);
            self.next += 1;
        }
        Ok(batch.commit()?)
    }

    fn forget_all(&mut self) -> Result<()> {
        let mut batch = self.database.batch();
        for position in self.first..self.next {
            batch.remove(&self.records, position.to_be_bytes());
        }
        self.first = self.next;
        Ok(batch.commit()?)
    }

    fn read_all(&mut self, visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<u64> {
        let mut count = 0;
        for record in self.records.iter() {
            visit(&record.value()?)?;
            count += 1;
        }
        Ok(count)
    }
}

diesel::table! {
    records (position) {
        position -> BigInt,
        payload -> Binary,
    }
}

pub struct Sqlite {
    connection: SqliteConnection,
}

/// SQLite takes at most 32,766 parameters in one statement.
const ROWS_PER_STATEMENT: usize = 256;

impl Store for Sqlite {
    fn open(dir: &Path) -> Result<Self> {
        let path = dir.join("journal.db");
        let mut connection = SqliteConnection::establish(path.to_str().context("a path of text")?)?;
        connection.batch_execute(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE IF NOT EXISTS records (position INTEGER PRIMARY KEY AUTOINCREMENT, payload BLOB NOT NULL) STRICT;",
        )?;
        Ok(Self { connection })
    }

    fn commit(&mut self, payloads: Vec<Vec<u8>>) -> Result<()> {
        self.connection.immediate_transaction(|connection| {
            for chunk in payloads.chunks(ROWS_PER_STATEMENT) {
                let rows: Vec<_> = chunk.iter().map(|payload| records::payload.eq(payload)).collect();
                diesel::insert_into(records::table).values(rows).execute(connection)?;
            }
            Ok(())
        })
    }

    fn forget_all(&mut self) -> Result<()> {
        Ok(diesel::delete(records::table).execute(&mut self.connection).map(drop)?)
    }

    fn read_all(&mut self, visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<u64> {
        let mut count = 0;
        let query = records::table.select(records::payload).order(records::position);
        let rows = diesel::RunQueryDsl::load_iter::<Vec<u8>, _>(query, &mut self.connection)?;
        for payload in rows {
            visit(&payload?)?;
            count += 1;
        }
        Ok(count)
    }
}

pub struct Segments {
    journal: Journal,
    runtime: tokio::runtime::Runtime,
}

impl Store for Segments {
    fn open(dir: &Path) -> Result<Self> {
        let journal = Journal::open(JournalSettings::new(dir.join("journal")))?;
        ensure!(journal.recovery().truncated_bytes == 0);
        Ok(Self { journal, runtime: tokio::runtime::Builder::new_current_thread().build()? })
    }

    fn commit(&mut self, payloads: Vec<Vec<u8>>) -> Result<()> {
        Ok(self.runtime.block_on(self.journal.append_all(Admission::New, payloads)).map(drop)?)
    }

    fn forget_all(&mut self) -> Result<()> {
        Ok(self.journal.forget(self.journal.durable_end())?)
    }

    fn read_all(&mut self, visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<u64> {
        let (mut next, mut count) = (Position::default(), 0);
        loop {
            let batch = self.journal.read(next, 256 * 1024)?;
            if batch.records.is_empty() {
                return Ok(count);
            }
            for (_, payload) in &batch.records {
                visit(payload)?;
                count += 1;
            }
            next = batch.next;
        }
    }
}
