//! What the handles, the reader and the writer thread know together.

use std::{
    collections::VecDeque,
    fs::File,
    io,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::watch;

use crate::{JournalError, JournalSettings, Position, files};

pub(crate) struct Shared {
    pub(crate) settings: JournalSettings,
    /// Keeps other processes out as long as it is locked.
    pub(crate) lock: File,
    segments: Mutex<Segments>,
    /// The position after the last durable record.
    pub(crate) durable_end: watch::Sender<u64>,
    /// The error of the sync that failed, once one has.
    pub(crate) poison: OnceLock<Arc<io::Error>>,
    pub(crate) commits: AtomicU64,
    pub(crate) records: AtomicU64,
    pub(crate) detached_failures: AtomicU64,
}

/// The segments on disk. They follow each other without a gap, so their first positions say all.
pub(crate) struct Segments {
    /// Never empty; the last one is written to.
    pub(crate) bases: VecDeque<u64>,
    pub(crate) forgotten_to: u64,
}

impl Shared {
    pub(crate) fn new(settings: JournalSettings, lock: File, segments: Segments, end: u64) -> Self {
        Self {
            settings,
            lock,
            segments: Mutex::new(segments),
            durable_end: watch::Sender::new(end),
            poison: OnceLock::new(),
            commits: AtomicU64::new(0),
            records: AtomicU64::new(0),
            detached_failures: AtomicU64::new(0),
        }
    }

    pub(crate) fn end(&self) -> u64 {
        *self.durable_end.borrow()
    }

    pub(crate) fn segments(&self) -> MutexGuard<'_, Segments> {
        unpoisoned(&self.segments)
    }

    /// Bytes of all segments.
    pub(crate) fn retained_bytes(&self) -> u64 {
        let first = self.segments().bases.front().copied();
        self.end() - first.unwrap_or_default()
    }

    pub(crate) fn health(&self) -> Result<(), JournalError> {
        match self.poison.get() {
            Some(source) => Err(JournalError::SyncFailed(Arc::clone(source))),
            None => Ok(()),
        }
    }

    /// Counts records of which nobody else will hear that they were not kept.
    pub(crate) fn detached_failure(&self, records: u64, error: &JournalError) {
        self.detached_failures.fetch_add(records, Ordering::Relaxed);
        tracing::error!(error = %error, records, "journal records were not kept and nobody waits for them");
    }

    /// Remembers that everything below is no longer needed, and removes the segments that it frees.
    pub(crate) fn forget(&self, below: Position) -> Result<(), JournalError> {
        let mut segments = self.segments();
        let end = self.end();
        if below.get() > end {
            return Err(JournalError::NotDurable { asked: below, durable_end: Position::new(end) });
        }
        if below.get() <= segments.forgotten_to {
            return self.remove_forgotten(&mut segments);
        }
        let noted = files::write_checkpoint(&self.settings.dir, below.get());
        segments.forgotten_to = below.get();
        self.remove_forgotten(&mut segments)?;
        // A full disk takes no checkpoint, but it does once a segment is gone.
        noted.or_else(|_| files::write_checkpoint(&self.settings.dir, below.get()))
    }

    /// Removes every segment that is forgotten to its last byte, except the one that is written to.
    pub(crate) fn remove_forgotten(&self, segments: &mut Segments) -> Result<(), JournalError> {
        let dir = &self.settings.dir;
        let before = segments.bases.len();
        while let (Some(base), Some(next)) = (segments.bases.front(), segments.bases.get(1)) {
            if *next > segments.forgotten_to {
                break;
            }
            files::remove_segment(dir, *base)?;
            segments.bases.pop_front();
        }
        if segments.bases.len() < before {
            files::sync_dir(dir).map_err(JournalError::io("sync", dir))?;
        }
        Ok(())
    }
}

/// Locks even after a panic of another holder: what these locks guard is valid after every statement.
pub(crate) fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
