//! [`Storage`]: the pools, and the two ways to work with a database.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tracing::debug;

use crate::{
    connection::{DatabaseUrl, DbConnection, Purpose},
    error::{Error, Result, TransactionError},
};

/// How often a transaction that collided with another is tried in all.
const ATTEMPTS: u32 = 8;

/// How long a caller waits when the last attempt to connect has failed. The pool goes on trying by itself,
/// so that nobody has to wait for it.
const WAIT_IN_TROUBLE: Duration = Duration::from_millis(200);

/// Sizes and patience of the pools.
#[derive(Debug, Clone, Copy)]
pub struct PoolSettings {
    /// Connections in the pool; on SQLite these are readers beside the one writer.
    pub connections: u32,
    /// How long a caller waits for a free connection, and the pool for the database.
    pub wait: Duration,
}

impl Default for PoolSettings {
    /// Two seconds of patience: while the database is away, whoever needs it learns so soon.
    fn default() -> Self {
        Self { connections: 8, wait: Duration::from_secs(2) }
    }
}

/// A database that is ready to be read and written. Clones share the pools.
#[derive(Clone)]
pub struct Storage(Arc<Pools>);

struct Pools {
    url: DatabaseUrl,
    wait: Duration,
    /// Why no work is let in, if none is; see [`Storage::shut`].
    shut: watch::Sender<Option<String>>,
    readers: Pool,
    /// SQLite allows one writer at a time, so a single connection queues them fairly. PostgreSQL
    /// uses the common pool.
    writer: Option<Pool>,
}

struct Pool {
    connections: r2d2::Pool<Manager>,
    trouble: Trouble,
    /// One per connection. Asynchronous callers queue here and not on threads, so that a database
    /// that does not answer holds no more threads than it has connections.
    turns: Arc<Semaphore>,
}

impl Pool {
    /// A connection that nobody else uses.
    fn connection(&self, deadline: Instant) -> Result<r2d2::PooledConnection<Manager>> {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = if self.trouble.get().is_some() { left.min(WAIT_IN_TROUBLE) } else { left };
        self.connections.get_timeout(left).map_err(|_| self.unavailable())
    }

    fn unavailable(&self) -> Error {
        let in_use = || "no connection became free in time".to_owned();
        Error::Unavailable(self.trouble.get().unwrap_or_else(in_use))
    }

    /// A turn at a connection, to be kept until the work is done.
    async fn turn(&self, deadline: Instant) -> Result<OwnedSemaphorePermit> {
        let turns = Arc::clone(&self.turns);
        // Usually there is one, and then no timer is needed.
        if let Ok(turn) = Arc::clone(&turns).try_acquire_owned() {
            return Ok(turn);
        }
        match tokio::time::timeout_at(deadline.into(), turns.acquire_owned()).await {
            // One that comes too late would only occupy a thread to say the same.
            Ok(Ok(turn)) if Instant::now() < deadline => Ok(turn),
            Ok(_) | Err(_) => Err(self.unavailable()),
        }
    }
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
    trouble: Trouble,
}

/// Why the last attempt to connect failed, if it did. Clones share it.
#[derive(Clone, Default)]
struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    fn set(&self, why: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl r2d2::ManageConnection for Manager {
    type Connection = Slot;
    type Error = Error;

    fn connect(&self) -> Result<Slot> {
        let opened = DbConnection::open(&self.url, self.purpose);
        self.trouble.set(match &opened {
            Err(Error::Unavailable(why) | Error::Refused(why)) => Some(why.clone()),
            Ok(_) | Err(_) => None,
        });
        Ok(Slot { connection: opened?, broken: false })
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
        Self::new(url, settings, None)
    }

    /// As [`Storage::open`], but nothing reaches the database before [`Storage::admit`]: until then all
    /// work fails with [`Error::Unavailable`] and this text. For a database whose schema nobody has
    /// seen yet.
    pub fn shut(url: &DatabaseUrl, settings: PoolSettings, why: String) -> Self {
        Self::new(url, settings, Some(why))
    }

    /// The storage stays shut, for another reason than before. Nothing happens if it is open.
    pub fn stay_shut(&self, why: String) {
        self.0.shut.send_if_modified(|shut| {
            let is_shut = shut.is_some();
            if is_shut {
                *shut = Some(why);
            }
            is_shut
        });
    }

    /// From now on work reaches the database, through this handle and its clones.
    pub fn admit(&self) {
        self.0.shut.send_replace(None);
    }

    /// Waits until work reaches the database; returns at once unless the storage is shut.
    pub async fn admitted(&self) {
        let mut shut = self.0.shut.subscribe();
        // It fails only when the sender is gone, and that lives as long as this handle.
        shut.wait_for(Option::is_none).await.ok();
    }

    fn new(url: &DatabaseUrl, settings: PoolSettings, shut: Option<String>) -> Self {
        let pool = |purpose, connections: u32| {
            let trouble = Trouble::default();
            let manager = Manager { url: url.clone(), purpose, trouble: trouble.clone() };
            let builder = r2d2::Pool::builder()
                .max_size(connections)
                .min_idle(Some(0))
                .connection_timeout(settings.wait)
                .test_on_check_out(false)
                .error_handler(Box::new(LogQuietly));
            Pool {
                connections: builder.build_unchecked(manager),
                trouble,
                turns: Arc::new(Semaphore::new(usize::try_from(connections).unwrap_or(usize::MAX >> 4))),
            }
        };
        let (readers, writer) = match url {
            DatabaseUrl::Sqlite(_) => {
                (pool(Purpose::Read, settings.connections.max(1)), Some(pool(Purpose::Write, 1)))
            }
            DatabaseUrl::Postgres(_) => (pool(Purpose::Write, settings.connections.max(1)), None),
        };
        let (url, wait, shut) = (url.clone(), settings.wait, watch::Sender::new(shut));
        Self(Arc::new(Pools { url, wait, shut, readers, writer }))
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
        self.read_until(self.deadline(), work)
    }

    fn read_until<T, E: TransactionError>(
        &self,
        deadline: Instant,
        work: impl FnOnce(&mut DbConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut slot = self.begin(&self.0.readers, Purpose::Read, deadline)?;
        let outcome = work(&mut slot.connection);
        slot.broken = slot.connection.rollback().is_err();
        outcome
    }

    /// Runs `work` in one write transaction and commits it. When another writer collides with it,
    /// everything is rolled back and `work` runs again, a bounded number of times. Blocks the
    /// calling thread.
    pub fn write_blocking<T, E: TransactionError>(
        &self,
        work: impl FnMut(&mut DbConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.write_until(self.deadline(), work)
    }

    fn write_until<T, E: TransactionError>(
        &self,
        mut deadline: Instant,
        mut work: impl FnMut(&mut DbConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut attempt = 1;
        loop {
            let outcome = self.write_once(deadline, &mut work);
            let collided = matches!(&outcome, Err(error) if error.storage().is_some_and(Error::is_retryable));
            if !collided || attempt == ATTEMPTS {
                return outcome;
            }
            debug!(attempt, "a transaction collided with another and is tried again");
            std::thread::sleep(Duration::from_millis(5 << attempt));
            attempt += 1;
            deadline = self.deadline();
        }
    }

    fn write_once<T, E: TransactionError>(
        &self,
        deadline: Instant,
        work: &mut impl FnMut(&mut DbConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut slot = self.begin(self.writer(), Purpose::Write, deadline)?;
        let outcome = work(&mut slot.connection).and_then(|value| {
            slot.connection.commit()?;
            Ok(value)
        });
        slot.broken = outcome.is_err() && slot.connection.rollback().is_err();
        outcome
    }

    /// As [`Storage::read_blocking`], on a thread of the runtime's blocking pool. The runtime must have
    /// its timers enabled, as that of `#[tokio::main]` has.
    pub async fn read<T, E>(
        &self,
        work: impl FnOnce(&mut DbConnection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: TransactionError + Send + 'static,
    {
        let (storage, deadline) = (self.clone(), self.deadline());
        let turn = self.0.readers.turn(deadline).await?;
        run_blocking(turn, move || storage.read_until(deadline, work)).await
    }

    /// As [`Storage::write_blocking`], on a thread of the runtime's blocking pool. The runtime must have
    /// its timers enabled, as that of `#[tokio::main]` has.
    pub async fn write<T, E>(
        &self,
        work: impl FnMut(&mut DbConnection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: TransactionError + Send + 'static,
    {
        let (storage, deadline) = (self.clone(), self.deadline());
        let turn = self.writer().turn(deadline).await?;
        run_blocking(turn, move || storage.write_until(deadline, work)).await
    }

    /// Until when somebody who comes now waits for a connection.
    fn deadline(&self) -> Instant {
        Instant::now() + self.0.wait
    }

    fn writer(&self) -> &Pool {
        self.0.writer.as_ref().unwrap_or(&self.0.readers)
    }

    /// A connection on which a transaction has begun. Connections that idled while the server
    /// restarted fail here, before any work was done; each is thrown away and the next one tried.
    fn begin(
        &self,
        pool: &Pool,
        purpose: Purpose,
        deadline: Instant,
    ) -> Result<r2d2::PooledConnection<Manager>> {
        if let Some(why) = &*self.0.shut.borrow() {
            return Err(Error::Unavailable(why.clone()));
        }
        let mut stale_at_most = pool.connections.max_size();
        loop {
            let mut slot = pool.connection(deadline)?;
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
}

/// The span travels along, so that what the query logs can be found by its request. The turn ends with
/// the work, also where nobody waits for it any more.
async fn run_blocking<T: Send + 'static, E: TransactionError + Send + 'static>(
    turn: OwnedSemaphorePermit,
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    let span = tracing::Span::current();
    let work = move || {
        let _turn = turn;
        span.in_scope(work)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Error::Unavailable("the runtime is shutting down".into()).into()),
    }
}
