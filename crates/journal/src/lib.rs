//! A durable append-only record log with group commit. It knows bytes, not usage.
//!
//! A record is acknowledged once it is on disk, and stays there until it is forgotten. One writer thread
//! commits whatever is queued with a single write and a single sync, so that one `fdatasync` serves every
//! request of that instant. Records lie in segment files; a whole segment is removed once everything in it
//! is forgotten.
//!
//! A consumer reads from [`Journal::first`], goes on from [`Batch::next`], sleeps in [`Journal::wait_beyond`]
//! at the end, and calls [`Journal::forget`] with the `next` of what it has finished. After a crash it may
//! be given records again that it finished, never one less: what it does must be idempotent.

mod append;
mod error;
mod files;
mod frame;
mod reader;
mod reserve;
mod segment;
mod settings;
mod shared;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    fmt, io,
    path::Path,
    sync::{Arc, Mutex, atomic::Ordering, mpsc},
    thread::{self, JoinHandle},
};

use tokio::sync::oneshot;

use crate::{
    append::{Append, Command, Wish},
    frame::Record,
    reader::Cursor,
    reserve::Reserve,
    shared::{Shared, unpoisoned},
    writer::Writer,
};
pub use crate::{
    error::JournalError,
    frame::MAX_RECORD_BYTES,
    reader::Batch,
    segment::Recovery,
    settings::{Admission, JournalSettings, SyncMode},
};

/// A place in the journal: bytes since its beginning, over all segments there ever were. Later records have
/// greater positions; the numbers between two records mean the later one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

impl Position {
    /// The position with this number, for one that was stored elsewhere.
    pub const fn new(position: u64) -> Self {
        Self(position)
    }

    /// The number, to store it elsewhere.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Figures of an open journal. Counters begin at 0 when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalStats {
    /// Bytes of all segments on disk, up to the last durable record.
    pub retained_bytes: u64,
    /// The bound for new work, as it was set.
    pub max_bytes: u64,
    /// The position after the last durable record.
    pub durable_end: Position,
    /// Everything below this is forgotten.
    pub forgotten_to: Position,
    /// Groups that were made durable.
    pub commits: u64,
    /// Records that were made durable.
    pub records: u64,
    /// Records that were not kept and of which no caller was told: detached ones, and those of callers
    /// that stopped waiting.
    pub detached_failures: u64,
    /// Lazy records that were not kept.
    pub lazy_dropped: u64,
    /// Whether the disk is full: the reserve of space is given up or could not be made, and new work is
    /// refused until it is there again.
    pub no_space: bool,
    /// Whether a sync failed, so that the journal takes nothing more.
    pub poisoned: bool,
}

/// An open journal. Clones are handles of the same one; dropping the last one writes what is queued, which
/// blocks for one commit.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    recovery: Recovery,
    queue: mpsc::Sender<Command>,
    writer: Mutex<Option<JoinHandle<()>>>,
    cursor: Mutex<Option<Cursor>>,
}

impl Journal {
    /// Opens the journal of a directory, which is created with mode 0700 if it is missing.
    ///
    /// Checks all that is retained. A torn tail, as a crash leaves it, is cut and counted in
    /// [`recovery`](Self::recovery). Fails with [`JournalError::Locked`] while another process has it open
    /// and with [`JournalError::Corrupt`] if a segment that was complete is damaged. A full disk is no error:
    /// see [`JournalStats::no_space`].
    pub fn open(settings: JournalSettings) -> Result<Self, JournalError> {
        settings.check()?;
        let dir = settings.dir.clone();
        files::create_dir(&dir)?;
        let lock = files::lock(&dir)?;
        let found = segment::recover(&dir)?;
        let base = found.bases.back().copied().unwrap_or(found.end);
        let shared = Arc::new(Shared::new(settings, lock, &found));
        let reserve = Reserve::open(&shared)?;
        let (queue, commands) = mpsc::channel();
        let writer = Writer::new(Arc::clone(&shared), commands, reserve, found.file, base);
        let thread = start(&dir, writer)?;
        let inner = Inner {
            shared,
            recovery: found.recovery,
            queue,
            writer: Mutex::new(Some(thread)),
            cursor: Mutex::new(None),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Appends one record of 1 to [`MAX_RECORD_BYTES`] bytes. Resolves once it is durable.
    ///
    /// An error means that the record was not acknowledged; a crash at that moment may keep it all the same.
    /// Dropping the future does not take the record back.
    pub async fn append(&self, class: Admission, payload: Vec<u8>) -> Result<Position, JournalError> {
        self.append_all(class, vec![payload]).await
    }

    /// Appends several records in one commit, in order, and returns the position of the last one.
    ///
    /// They are admitted or refused together. Only a crash before the acknowledgement can keep some of them:
    /// the first ones.
    pub async fn append_all(
        &self,
        class: Admission,
        payloads: Vec<Vec<u8>>,
    ) -> Result<Position, JournalError> {
        let records = payloads.into_iter().map(Record::new).collect::<Result<Vec<_>, _>>()?;
        if records.is_empty() {
            return Err(JournalError::RecordSize { bytes: 0 });
        }
        let (reply, outcome) = oneshot::channel();
        let append = Command::Append(Append { class, records, wish: Wish::Acknowledged(reply) });
        self.inner.queue.send(append).map_err(|_| JournalError::Closed)?;
        // The writer answers everything that it takes; what it does not take, it drops when it closes.
        outcome.await.unwrap_or(Err(JournalError::Closed))
    }

    /// Appends one record as [`Admission::Continuing`] without waiting, for where waiting is not possible.
    /// A failure is logged and counted in [`JournalStats::detached_failures`].
    pub fn append_detached(&self, payload: Vec<u8>) {
        if let Err(error) = self.queue_one(Admission::Continuing, Wish::Detached, payload) {
            self.inner.shared.detached_failure(1, &error);
        }
    }

    /// Appends one record as [`Admission::New`] without waiting and without a sync of its own, for what is
    /// good to know but not worth waiting for.
    ///
    /// It survives a crash of the process once it is written, which is at once, and a power loss from the
    /// next commit on, which comes after 50 ms at the latest; readers see it from then on. One that cannot be
    /// kept is only counted, in [`JournalStats::lazy_dropped`].
    pub fn append_lazily(&self, payload: Vec<u8>) {
        if self.queue_one(Admission::New, Wish::Lazy, payload).is_err() {
            self.inner.shared.lazy_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn queue_one(&self, class: Admission, wish: Wish, payload: Vec<u8>) -> Result<(), JournalError> {
        let append = Append { class, records: vec![Record::new(payload)?], wish };
        self.inner.queue.send(Command::Append(append)).map_err(|_| JournalError::Closed)
    }

    /// The durable records from a position on, in order, until at least `max_bytes` of payload are read or
    /// there are no more. Memory stays below `max_bytes` plus one record.
    ///
    /// Starts at the first record at or behind `from` that is not forgotten. Reading on from
    /// [`Batch::next`] is fast because the file stays open. Blocks for file reads, usually from the page cache.
    /// Fails with [`JournalError::Corrupt`] where a durable record was damaged since the journal was opened.
    pub fn read(&self, from: Position, max_bytes: usize) -> Result<Batch, JournalError> {
        reader::read(&self.inner.shared, &mut unpoisoned(&self.inner.cursor), from, max_bytes)
    }

    /// The position after the last durable record.
    pub fn durable_end(&self) -> Position {
        Position(self.inner.shared.end())
    }

    /// Waits until [`durable_end`](Self::durable_end) is greater than this, which means that
    /// [`read`](Self::read) from here returns something. Waits for ever if nothing more is appended.
    pub async fn wait_beyond(&self, position: Position) {
        let mut end = self.inner.shared.durable_end.subscribe();
        // It fails only when the sender is gone, and that lives as long as this handle.
        end.wait_for(|end| *end > position.0).await.ok();
    }

    /// Declares that no record below this is needed any more, and removes the segments that this frees.
    ///
    /// Remembered over a restart, but not synced: after a power loss an older call may be the last one that
    /// counts. Fails with [`JournalError::NotDurable`] beyond [`durable_end`](Self::durable_end); going back
    /// has no effect. After any other error it holds for this process, but a restart may go back to an older
    /// call. Blocks for a small file write, and for a sync of the directory where it frees a segment; appends
    /// and figures do not wait for either.
    pub fn forget(&self, below: Position) -> Result<(), JournalError> {
        if below >= self.durable_end() {
            // There is nothing to read on, and an open file would keep its space after its removal.
            *unpoisoned(&self.inner.cursor) = None;
        }
        self.inner.shared.forget(below)
    }

    /// Where reading begins: everything below is forgotten.
    pub fn first(&self) -> Position {
        Position(self.inner.shared.forgotten_to())
    }

    /// What opening found.
    pub fn recovery(&self) -> Recovery {
        self.inner.recovery
    }

    /// Fails with [`JournalError::SyncFailed`] once a sync has failed, after which nothing is acknowledged
    /// until the journal is opened again.
    pub fn health(&self) -> Result<(), JournalError> {
        self.inner.shared.health()
    }

    /// Figures for metrics, alarms and admission. Never waits for work on files.
    pub fn stats(&self) -> JournalStats {
        let shared = &self.inner.shared;
        JournalStats {
            retained_bytes: shared.retained_bytes(),
            max_bytes: shared.settings.max_bytes,
            durable_end: self.durable_end(),
            forgotten_to: self.first(),
            commits: shared.commits.load(Ordering::Relaxed),
            records: shared.records.load(Ordering::Relaxed),
            detached_failures: shared.detached_failures.load(Ordering::Relaxed),
            lazy_dropped: shared.lazy_dropped.load(Ordering::Relaxed),
            no_space: shared.no_space.load(Ordering::Acquire),
            poisoned: shared.poison.get().is_some(),
        }
    }

    /// Writes and syncs what is queued and ends the writer thread; blocks until that is done.
    ///
    /// Later appends of other handles fail with [`JournalError::Closed`]; they can still read and forget.
    /// The directory stays locked until the last handle is dropped.
    pub fn close(self) -> Result<(), JournalError> {
        self.inner.finish();
        self.health()
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Journal")
            .field("dir", &self.inner.shared.settings.dir)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn finish(&self) {
        let thread = unpoisoned(&self.writer).take();
        let Some(thread) = thread else { return };
        // If the writer does not listen any more, it has ended already.
        self.queue.send(Command::Close).ok();
        if thread.join().is_err() {
            tracing::error!("the journal's writer thread panicked");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.finish();
        // Closing the file would do, but not at once if the process is just starting another one, which has
        // a copy of it for a moment.
        if let Err(error) = self.shared.lock.unlock() {
            tracing::warn!(error = %error, "cannot unlock the journal's directory");
        }
    }
}

fn start(dir: &Path, writer: Writer) -> Result<JoinHandle<()>, JournalError> {
    let spawned: io::Result<_> = thread::Builder::new().name("journal".to_owned()).spawn(|| writer.run());
    spawned.map_err(JournalError::io("start the writer thread of", dir))
}
