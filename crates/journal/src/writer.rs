//! The writer thread: it takes everything that is queued, writes it at once, syncs once, and answers all.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    mem,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    },
    time::{Duration, Instant},
};

use crate::{
    Admission, JournalError, Position, SyncMode,
    append::{Append, Command, Wish},
    files::{create_segment, segment_path, sync_dir},
    reserve::Reserve,
    shared::Shared,
};

/// Bounds the memory of one group; a single larger append is a group of its own.
const GROUP_BYTES: u64 = 4 * 1024 * 1024;

/// How long lazy records may wait for somebody else's sync. Until then no reader sees them.
const LAZY_PATIENCE: Duration = Duration::from_millis(50);

pub(crate) struct Writer {
    shared: Arc<Shared>,
    queue: Receiver<Command>,
    reserve: Reserve,
    /// The last segment.
    file: File,
    /// The position of its first byte.
    base: u64,
    /// The position after the last record that was written.
    end: u64,
    /// Records between the durable end and this one.
    unsynced: u64,
    /// Those of them that no sync was made for yet.
    lazy: Option<Lazy>,
    /// Bytes of a group that failed may still follow the last record in the file.
    dirty: bool,
    buffer: Vec<u8>,
}

struct Lazy {
    records: u64,
    sync_at: Instant,
}

/// What the buffer holds.
struct Group {
    /// Each with the position of its last record.
    appends: Vec<(Append, Position)>,
    records: u64,
    /// The position after the last record.
    end: u64,
}

impl Writer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        queue: Receiver<Command>,
        reserve: Reserve,
        file: File,
        base: u64,
    ) -> Self {
        let end = shared.end();
        let buffer = Vec::new();
        Self { shared, queue, reserve, file, base, end, unsynced: 0, lazy: None, dirty: false, buffer }
    }

    /// Works until it is told to close; what was queued before that is kept.
    pub(crate) fn run(mut self) {
        let mut closing = false;
        while !closing {
            match self.receive() {
                Ok(Command::Append(first)) => {
                    let (group, is_last) = self.gather(first);
                    self.commit(group);
                    closing = is_last;
                }
                Ok(Command::Close) | Err(RecvTimeoutError::Disconnected) => closing = true,
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.do_what_is_due();
        }
        // In `Os` mode nothing was synced yet. An error must not pass for a clean end.
        if self.shared.poison.get().is_none() {
            match self.file.sync_data() {
                Ok(()) => self.publish(),
                Err(source) => self.poison(source),
            }
        }
    }

    /// Waits for the next command, but no longer than until something else is due.
    fn receive(&self) -> Result<Command, RecvTimeoutError> {
        let dues = [self.lazy.as_ref().map(|lazy| lazy.sync_at), self.reserve.retry_at()];
        match dues.into_iter().flatten().min().filter(|_| self.shared.poison.get().is_none()) {
            Some(due) => self.queue.recv_timeout(due.saturating_duration_since(Instant::now())),
            None => self.queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn do_what_is_due(&mut self) {
        if self.shared.poison.get().is_some() {
            return;
        }
        if self.lazy.as_ref().is_some_and(|lazy| lazy.sync_at <= Instant::now()) {
            self.sync();
        }
        if self.reserve.retry_at().is_some_and(|due| due <= Instant::now()) {
            // A segment can only be removed when it is not written to any more.
            if self.base < self.shared.forgotten_to() {
                self.begin_segment();
            }
            self.reserve.remake(&self.shared);
        }
    }

    /// Everything that is queued by now, up to the bound; and whether the end of all was among it.
    fn gather(&self, first: Append) -> (Vec<Append>, bool) {
        let bound = GROUP_BYTES.min(self.shared.settings.segment_bytes);
        let mut bytes = first.bytes();
        let mut group = vec![first];
        while bytes < bound {
            match self.queue.try_recv() {
                Ok(Command::Append(append)) => {
                    bytes += append.bytes();
                    group.push(append);
                }
                Ok(Command::Close) => return (group, true),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        (group, false)
    }

    /// Writes the group, makes it durable unless all of it can wait, and answers every append of it.
    fn commit(&mut self, appends: Vec<Append>) {
        self.begin_segment_if_due(appends.iter().map(Append::bytes).sum());
        let mut group = self.admit_all(appends);
        let mut outcome = self.write();
        if let Err(JournalError::NoSpace(cause)) = &outcome
            && self.reserve.release(&self.shared, cause)
        {
            // The space that this frees is not for new work.
            group = self.admit_all(group.appends.into_iter().map(|(append, _)| append).collect());
            outcome = self.write();
        }
        if group.appends.is_empty() {
            return;
        }
        if outcome.is_ok() {
            self.end = group.end;
            self.unsynced += group.records;
            if group.appends.iter().all(|(append, _)| matches!(append.wish, Wish::Lazy)) {
                self.sync_later(group.records);
            } else {
                self.sync();
                outcome = self.shared.health();
            }
        }
        for (append, last) in group.appends {
            append.answer(&self.shared, outcome.clone().map(|()| last));
        }
    }

    /// Fills the buffer with what is admitted, and answers what is not.
    fn admit_all(&mut self, appends: Vec<Append>) -> Group {
        self.buffer.clear();
        let first_base = self.shared.first_base();
        let mut group = Group { appends: Vec::with_capacity(appends.len()), records: 0, end: self.end };
        for append in appends {
            if let Err(error) = self.admit(&append, group.end - first_base) {
                append.answer(&self.shared, Err(error));
                continue;
            }
            let mut last = group.end;
            for record in &append.records {
                last = group.end;
                record.encode(last, &mut self.buffer);
                group.end += record.frame_bytes();
                group.records += 1;
            }
            group.appends.push((append, Position::new(last)));
        }
        group
    }

    fn admit(&self, append: &Append, retained_bytes: u64) -> Result<(), JournalError> {
        self.shared.health()?;
        if append.class == Admission::New
            && let Some(cause) = self.reserve.missing()
        {
            return Err(JournalError::NoSpace(Arc::clone(cause)));
        }
        let limit_bytes = self.shared.settings.limit(append.class);
        if retained_bytes + append.bytes() > limit_bytes {
            return Err(JournalError::Full { retained_bytes, limit_bytes });
        }
        Ok(())
    }

    /// Writes the buffer behind the last record, or leaves the file as it was.
    fn write(&mut self) -> Result<(), JournalError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let length = self.end - self.base;
        if self.dirty {
            self.file.set_len(length).map_err(|source| self.write_error(source))?;
            self.dirty = false;
        }
        let place = self.file.seek(SeekFrom::Start(length));
        if let Err(source) = place.and_then(|_| self.file.write_all(&self.buffer)) {
            self.dirty = self.file.set_len(length).is_err();
            return Err(self.write_error(source));
        }
        Ok(())
    }

    fn write_error(&self, source: io::Error) -> JournalError {
        JournalError::write(&segment_path(&self.shared.settings.dir, self.base), source)
    }

    /// Leaves lazy records to the next sync, and sees to it that there is one soon.
    fn sync_later(&mut self, records: u64) {
        if self.shared.settings.sync == SyncMode::Os {
            return self.publish();
        }
        let fresh = || Lazy { records: 0, sync_at: Instant::now() + LAZY_PATIENCE };
        self.lazy.get_or_insert_with(fresh).records += records;
    }

    /// Makes everything that was written durable.
    fn sync(&mut self) {
        if self.shared.settings.sync == SyncMode::Disk
            && let Err(source) = self.file.sync_data()
        {
            return self.poison(source);
        }
        self.publish();
    }

    /// Shows the readers what is durable now.
    fn publish(&mut self) {
        self.lazy = None;
        if self.end > self.shared.end() {
            self.shared.commits.fetch_add(1, Ordering::Relaxed);
            self.shared.records.fetch_add(mem::take(&mut self.unsynced), Ordering::Relaxed);
            self.shared.durable_end.send_replace(self.end);
        }
    }

    /// Begins a new segment if the group does not fit into this one.
    fn begin_segment_if_due(&mut self, group_bytes: u64) {
        let length = self.end - self.base;
        let fits = length + group_bytes <= self.shared.settings.segment_bytes;
        if !fits && length > 0 && self.shared.poison.get().is_none() {
            self.begin_segment();
        }
    }

    /// Closes the segment and begins a new one.
    ///
    /// The old segment and the new name are synced in either mode: that is what makes a broken frame in any
    /// segment but the last a corruption and never a torn tail.
    fn begin_segment(&mut self) {
        if self.dirty {
            // Bytes behind the last record of a closed segment would pass for a corruption.
            match self.file.set_len(self.end - self.base) {
                Ok(()) => self.dirty = false,
                Err(_) => return,
            }
        }
        if let Err(source) = self.file.sync_data() {
            return self.poison(source);
        }
        self.publish();
        let Some(file) = self.next_segment() else { return };
        if let Err(source) = sync_dir(&self.shared.settings.dir) {
            return self.poison(source);
        }
        self.file = file;
        self.base = self.end;
        self.shared.segment_begun(self.base);
        if let Err(error) = self.shared.remove_forgotten() {
            tracing::warn!(error = %error, "cannot remove a forgotten journal segment");
        }
    }

    /// The file for the records from here on. Without one the old segment just grows longer.
    fn next_segment(&mut self) -> Option<File> {
        match create_segment(&self.shared.settings.dir, self.end) {
            Ok(file) => Some(file),
            // The reserve is a file as well: the next group gets its place.
            Err(JournalError::NoSpace(cause)) => {
                self.reserve.release(&self.shared, &cause);
                None
            }
            Err(error) => {
                tracing::warn!(error = %error, "cannot begin a new journal segment");
                None
            }
        }
    }

    /// After a failed sync the kernel may have dropped what it could not write and call the next sync a
    /// success. No later acknowledgement would be true, so there is none.
    fn poison(&mut self, source: io::Error) {
        tracing::error!(error = %source, "syncing the journal failed; it takes no more records");
        let lazy = self.lazy.take().map_or(0, |lazy| lazy.records);
        self.shared.lazy_dropped.fetch_add(lazy, Ordering::Relaxed);
        self.end = self.shared.end();
        // What was not acknowledged must not be found in the page cache by whoever opens the journal next.
        if let Err(error) = self.file.set_len(self.end - self.base) {
            tracing::error!(error = %error, "cannot cut what was not synced from the journal");
        }
        // Only this thread sets it, and only while it is not set.
        self.shared.poison.get_or_init(|| Arc::new(source));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tempfile::{tempdir, tempfile};
    use tokio::sync::oneshot;

    use super::*;
    use crate::{
        JournalSettings,
        tests::faults::{on_disk, record_of_300, writer},
    };

    /// Time goes by in the loop around `commit` only.
    #[test]
    fn lazy_records_alone_are_written_and_not_synced() {
        let (dir, file) = (tempdir().unwrap(), tempfile().unwrap());
        let settings = JournalSettings { segment_bytes: 1 << 20, ..on_disk(dir.path()) };
        let (shared, mut writer) = writer(settings, file.try_clone().unwrap(), mpsc::channel().1);
        for written in [300, 600] {
            writer.commit(vec![record_of_300(Admission::New, Wish::Lazy)]);
            assert_eq!((shared.end(), file.metadata().unwrap().len()), (0, written));
            assert!(writer.lazy.is_some(), "a sync is due");
        }
        let (reply, mut answer) = oneshot::channel();
        writer.commit(vec![record_of_300(Admission::New, Wish::Acknowledged(reply))]);
        assert_eq!(answer.try_recv().unwrap().unwrap(), Position::new(600));
        assert_eq!((shared.end(), shared.commits.load(Ordering::Relaxed)), (900, 1));
        assert!(writer.lazy.is_none());
    }

    /// What is written and not durable yet counts as well.
    #[test]
    fn lazy_records_count_for_the_bound() {
        let (dir, file) = (tempdir().unwrap(), tempfile().unwrap());
        let settings = JournalSettings { segment_bytes: 1 << 20, max_bytes: 700, ..on_disk(dir.path()) };
        let (shared, mut writer) = writer(settings, file, mpsc::channel().1);
        for dropped in [0, 0, 1] {
            writer.commit(vec![record_of_300(Admission::New, Wish::Lazy)]);
            assert_eq!(shared.lazy_dropped.load(Ordering::Relaxed), dropped);
        }
    }
}
