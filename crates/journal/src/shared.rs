//! What the handles, the reader and the writer thread know together.

use std::{
    collections::VecDeque,
    fs::File,
    io,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::sync::watch;

use crate::{JournalError, JournalSettings, Position, files, segment::Recovered};

pub(crate) struct Shared {
    pub(crate) settings: JournalSettings,
    /// Keeps other processes out as long as it is locked.
    pub(crate) lock: File,
    /// The first positions of the segments on disk, which follow each other without a gap. Never empty; the
    /// last segment is written to. Locked for moments only, never over work on files.
    bases: Mutex<VecDeque<u64>>,
    /// The first of these, for those who only want figures.
    first_base: AtomicU64,
    forgotten_to: AtomicU64,
    /// Makes one call of `forget` wait for another, so that their checkpoints do not mix. Nothing that
    /// appends, reads or asks for figures takes it, because it is held over work on files.
    forgetting: Mutex<()>,
    /// The position after the last durable record.
    pub(crate) durable_end: watch::Sender<u64>,
    /// The error of the sync that failed, once one has.
    pub(crate) poison: OnceLock<Arc<io::Error>>,
    pub(crate) commits: AtomicU64,
    pub(crate) records: AtomicU64,
    pub(crate) detached_failures: AtomicU64,
    pub(crate) lazy_dropped: AtomicU64,
    /// Whether the reserve on disk is missing.
    pub(crate) no_space: AtomicBool,
}

impl Shared {
    pub(crate) fn new(settings: JournalSettings, lock: File, found: &Recovered) -> Self {
        Self {
            settings,
            lock,
            bases: Mutex::new(found.bases.clone()),
            first_base: AtomicU64::new(found.bases.front().copied().unwrap_or(found.end)),
            forgotten_to: AtomicU64::new(found.forgotten_to),
            forgetting: Mutex::new(()),
            durable_end: watch::Sender::new(found.end),
            poison: OnceLock::new(),
            commits: AtomicU64::new(0),
            records: AtomicU64::new(0),
            detached_failures: AtomicU64::new(0),
            lazy_dropped: AtomicU64::new(0),
            no_space: AtomicBool::new(false),
        }
    }

    pub(crate) fn end(&self) -> u64 {
        *self.durable_end.borrow()
    }

    pub(crate) fn forgotten_to(&self) -> u64 {
        self.forgotten_to.load(Ordering::Acquire)
    }

    /// The first position of the first segment. The end never falls behind one that was seen before.
    pub(crate) fn first_base(&self) -> u64 {
        self.first_base.load(Ordering::Acquire)
    }

    /// Bytes of all segments up to the last durable record.
    pub(crate) fn retained_bytes(&self) -> u64 {
        let first = self.first_base();
        self.end() - first
    }

    /// The first positions of the segment that holds this one, and of the segment that follows it.
    /// None if the former is removed.
    pub(crate) fn segment_at(&self, position: u64) -> Option<(u64, Option<u64>)> {
        let bases = unpoisoned(&self.bases);
        let following = bases.partition_point(|base| *base <= position);
        let base = bases.get(following.checked_sub(1)?)?;
        Some((*base, bases.get(following).copied()))
    }

    /// Counts a segment in, before any record of it is durable.
    pub(crate) fn segment_begun(&self, base: u64) {
        unpoisoned(&self.bases).push_back(base);
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
        let _alone = unpoisoned(&self.forgetting);
        let end = self.end();
        if below.get() > end {
            return Err(JournalError::NotDurable { asked: below, durable_end: Position::new(end) });
        }
        if below.get() <= self.forgotten_to() {
            return self.remove_forgotten();
        }
        let noted = files::write_checkpoint(&self.settings.dir, below.get());
        self.forgotten_to.store(below.get(), Ordering::Release);
        self.remove_forgotten()?;
        // A full disk takes no checkpoint, but it does once a segment is gone.
        noted.or_else(|_| files::write_checkpoint(&self.settings.dir, below.get()))
    }

    /// Removes every segment that is forgotten to its last byte, except the one that is written to.
    ///
    /// The writer and a call of `forget` may do this at once without waiting for each other: both take the
    /// first segment, and it is counted out only when its file is gone. So files go in order, which leaves
    /// no hole after a crash, and all that can happen is that both remove the same one.
    pub(crate) fn remove_forgotten(&self) -> Result<(), JournalError> {
        let dir = &self.settings.dir;
        let mut removed = false;
        while let Some(base) = self.removable() {
            files::remove_segment(dir, base)?;
            self.segment_removed(base);
            removed = true;
        }
        if removed {
            files::sync_dir(dir).map_err(JournalError::io("sync", dir))?;
        }
        Ok(())
    }

    fn removable(&self) -> Option<u64> {
        let bases = unpoisoned(&self.bases);
        let next = bases.get(1)?;
        bases.front().copied().filter(|_| *next <= self.forgotten_to())
    }

    fn segment_removed(&self, base: u64) {
        let mut bases = unpoisoned(&self.bases);
        if bases.front() == Some(&base) {
            bases.pop_front();
        }
        if let Some(first) = bases.front() {
            self.first_base.store(*first, Ordering::Release);
        }
    }
}

/// Locks even after a panic of another holder: what these locks guard is valid after every statement.
pub(crate) fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
