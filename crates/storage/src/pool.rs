//! [`Storage`]: the pools, and the two ways to work with a database.

use std::{sync::Arc, time::Duration};

use tracing::debug;

use crate::{
    connection::{DatabaseUrl, DbConnection, Purpose},
    error::{Error, Result, TransactionError},
};

/// How often a transaction that collided with another is tried in all.
const ATTEMPTS: u32 = 8;

/// Sizes and patience of the pools.
#[derive(Debug, Clone, Copy)]
pub struct PoolSettings {
    /// Connections in the pool; on SQLite these are readers beside the one writer.
    pub connections: u32,
    /// How long a caller waits for a free connection, and the pool for the database.
    pub wait: Duration,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self { connections: 8, wait: Duration::from_secs(5) }
    }
}

/// A database that is ready to be read and written. Clones share the pools.
#[derive(Clone)]
pub struct Storage(Arc<Pools>);

struct Pools {
    url: DatabaseUrl,
    readers: r2d2::Pool<Manager>,
    /// SQLite allows one writer at a time, so a single connection queues them fairly. PostgreSQL
    /// uses the common pool.
    writer: Option<r2d2::Pool<Manager>>,
}

/// A pooled connection and whether it must be thrown away. It counts as broken while a transaction is
/// open, so that a panic in the middle of the work does not leave the transaction to the next caller.
struct Slot {
    connection: DbConnection,
    broken: bool,
}

struct Manager {
    url: DatabaseUrl,
    purpose: Purpose,
}

impl r2d2::ManageConnection for Manager {
    type Connection = Slot;
    type Error = Error;

    fn connect(&self) -> Result<Slot> {
        Ok(Slot { connection: DbConnection::open(&self.url, self.purpose)?, broken: false })
    }

    fn is_valid(&self, _slot: &mut Slot) -> Result<()> {
        Ok(())
    }

    fn has_broken(&self, slot: &mut Slot) -> bool {
        slot.broken
    }
}

/// r2d2 reports each failed try to connect; whoever waits gets the error as well, so once is enough.
#[derive(Debug)]
struct LogQuietly;

impl r2d2::HandleError<Error> for LogQuietly {
    fn handle_error(&self, error: Error) {
        debug!(%error, "cannot open a database connection");
    }
}

impl Storage {
    /// Makes the pools. Connections are opened when they are first needed, so this succeeds while
    /// the database is away.
    pub fn open(url: &DatabaseUrl, settings: PoolSettings) -> Self {
        let pool = |purpose, connections| {
            r2d2::Pool::builder()
                .max_size(connections)
                .min_idle(Some(0))
                .connection_timeout(settings.wait)
                .test_on_check_out(false)
                .error_handler(Box::new(LogQuietly))
                .build_unchecked(Manager { url: url.clone(), purpose })
        };
        let (readers, writer) = match url {
            DatabaseUrl::Sqlite(_) => {
                (pool(Purpose::Read, settings.connections.max(1)), Some(pool(Purpose::Write, 1)))
            }
            DatabaseUrl::Postgres(_) => (pool(Purpose::Write, settings.connections.max(1)), None),
        };
        Self(Arc::new(Pools { url: url.clone(), readers, writer }))
    }

    /// Where the database is.
    pub fn url(&self) -> &DatabaseUrl {
        &self.0.url
    }

    /// Runs `work` on one consistent snapshot; what it writes is refused or rolled back.
    /// Blocks the calling thread.
    pub fn read_blocking<T, E: TransactionError>(
        &self,
        work: impl FnOnce(&mut DbConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut slot = begin_on(&self.0.readers, Purpose::Read)?;
        let outcome = work(&mut slot.connection);
        slot.broken = slot.connection.rollback().is_err();
        outcome
    }

    /// Runs `work` in one write transaction and commits it. When another writer collides with it,
    /// everything is rolled back and `work` runs again, a bounded number of times. Blocks the
    /// calling thread.
    pub fn write_blocking<T, E: TransactionError>(
        &self,
        mut work: impl FnMut(&mut DbConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        let pool = self.0.writer.as_ref().unwrap_or(&self.0.readers);
        let mut attempt = 1;
        loop {
            let outcome = write_once(pool, &mut work);
            let collided = matches!(&outcome, Err(error) if error.storage().is_some_and(Error::is_retryable));
            if !collided || attempt == ATTEMPTS {
                return outcome;
            }
            debug!(attempt, "a transaction collided with another and is tried again");
            std::thread::sleep(Duration::from_millis(5 << attempt));
            attempt += 1;
        }
    }

    /// As [`Storage::read_blocking`], on a thread of the runtime's blocking pool.
    pub async fn read<T, E>(
        &self,
        work: impl FnOnce(&mut DbConnection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: TransactionError + Send + 'static,
    {
        let storage = self.clone();
        run_blocking(move || storage.read_blocking(work)).await
    }

    /// As [`Storage::write_blocking`], on a thread of the runtime's blocking pool.
    pub async fn write<T, E>(
        &self,
        work: impl FnMut(&mut DbConnection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: TransactionError + Send + 'static,
    {
        let storage = self.clone();
        run_blocking(move || storage.write_blocking(work)).await
    }
}

/// The span travels along, so that what the query logs can be found by its request.
async fn run_blocking<T: Send + 'static, E: TransactionError + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    let span = tracing::Span::current();
    match tokio::task::spawn_blocking(move || span.in_scope(work)).await {
        Ok(outcome) => outcome,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Error::Unavailable("the runtime is shutting down".into()).into()),
    }
}

fn write_once<T, E: TransactionError>(
    pool: &r2d2::Pool<Manager>,
    work: &mut impl FnMut(&mut DbConnection) -> Result<T, E>,
) -> Result<T, E> {
    let mut slot = begin_on(pool, Purpose::Write)?;
    let outcome = work(&mut slot.connection).and_then(|value| {
        slot.connection.commit()?;
        Ok(value)
    });
    slot.broken = outcome.is_err() && slot.connection.rollback().is_err();
    outcome
}

/// A connection on which a transaction has begun. Connections that idled while the server restarted
/// fail here, before any work was done; each is thrown away and the next one tried.
fn begin_on(pool: &r2d2::Pool<Manager>, purpose: Purpose) -> Result<r2d2::PooledConnection<Manager>> {
    let mut stale_at_most = pool.max_size();
    loop {
        let mut slot = pool.get().map_err(|error| Error::Unavailable(error.to_string()))?;
        slot.broken = true;
        match slot.connection.begin(purpose) {
            Ok(()) => return Ok(slot),
            Err(error) => {
                if !error.breaks_connection() || stale_at_most == 0 {
                    return Err(error);
                }
                stale_at_most -= 1;
            }
        }
    }
}
