//! The writer thread: it takes everything that is queued, writes it at once, syncs once, and answers all.

use std::{
    fs::File,
    io::{Seek, SeekFrom, Write},
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, TryRecvError},
    },
};

use tokio::sync::oneshot;

use crate::{
    Admission, JournalError, Position, SyncMode,
    files::{create_segment, segment_path, sync_dir},
    frame::Record,
    shared::Shared,
};

/// Bounds the memory of one group; a single larger append is a group of its own.
const GROUP_BYTES: u64 = 4 * 1024 * 1024;

pub(crate) type Outcome = Result<Position, JournalError>;

/// What one caller appends: committed or refused as a whole.
pub(crate) struct Append {
    pub(crate) class: Admission,
    pub(crate) records: Vec<Record>,
    /// Nobody waits for a detached append.
    pub(crate) reply: Option<oneshot::Sender<Outcome>>,
}

impl Append {
    fn bytes(&self) -> u64 {
        self.records.iter().map(Record::frame_bytes).sum()
    }

    fn answer(self, shared: &Shared, outcome: Outcome) {
        // A caller that left is told nothing, so its failure counts as one of a detached append.
        let unheard = match self.reply {
            Some(reply) => reply.send(outcome).err(),
            None => Some(outcome),
        };
        if let Some(Err(error)) = unheard {
            shared.detached_failure(self.records.iter().map(|_| 1).sum(), &error);
        }
    }
}

pub(crate) enum Command {
    Append(Append),
    Close,
}

pub(crate) struct Writer {
    shared: Arc<Shared>,
    queue: Receiver<Command>,
    /// The last segment.
    file: File,
    /// The position of its first byte.
    base: u64,
    /// The position after the last durable record.
    end: u64,
    /// Bytes of a group that failed may still follow the last record in the file.
    dirty: bool,
    buffer: Vec<u8>,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, queue: Receiver<Command>, file: File, base: u64) -> Self {
        let end = shared.end();
        Self { shared, queue, file, base, end, dirty: false, buffer: Vec::new() }
    }

    /// Works until it is told to close; what was queued before that is kept.
    pub(crate) fn run(mut self) {
        while let Ok(Command::Append(first)) = self.queue.recv() {
            let (group, closing) = self.gather(first);
            self.commit(group);
            if closing {
                break;
            }
        }
        // In `Os` mode nothing was synced yet. An error must not pass for a clean end.
        if self.shared.poison.get().is_none()
            && let Err(source) = self.file.sync_data()
        {
            self.poison(source);
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

    /// Makes the group durable and answers every append of it.
    fn commit(&mut self, group: Vec<Append>) {
        self.begin_segment_if_due(group.iter().map(Append::bytes).sum());
        let retained = self.shared.retained_bytes();
        self.buffer.clear();
        let mut position = self.end;
        let mut records = 0;
        let mut admitted = Vec::with_capacity(group.len());
        for append in group {
            if let Err(error) = self.admit(&append, retained + (position - self.end)) {
                append.answer(&self.shared, Err(error));
                continue;
            }
            let mut last = position;
            for record in &append.records {
                last = position;
                record.encode(position, &mut self.buffer);
                position += record.frame_bytes();
                records += 1;
            }
            admitted.push((append, Position::new(last)));
        }
        if admitted.is_empty() {
            return;
        }
        let written = self.write();
        if written.is_ok() {
            self.end = position;
            self.shared.commits.fetch_add(1, Ordering::Relaxed);
            self.shared.records.fetch_add(records, Ordering::Relaxed);
            self.shared.durable_end.send_replace(position);
        }
        for (append, last) in admitted {
            append.answer(&self.shared, written.clone().map(|()| last));
        }
    }

    fn admit(&self, append: &Append, retained_bytes: u64) -> Result<(), JournalError> {
        self.shared.health()?;
        let limit_bytes = self.shared.settings.limit(append.class);
        if retained_bytes + append.bytes() > limit_bytes {
            return Err(JournalError::Full { retained_bytes, limit_bytes });
        }
        Ok(())
    }

    /// Writes the buffer behind the last record and makes it durable, or leaves the file as it was.
    fn write(&mut self) -> Result<(), JournalError> {
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
        if self.shared.settings.sync == SyncMode::Disk
            && let Err(source) = self.file.sync_data()
        {
            self.poison(source);
        }
        self.shared.health()
    }

    fn write_error(&self, source: std::io::Error) -> JournalError {
        JournalError::write(&segment_path(&self.shared.settings.dir, self.base), source)
    }

    /// Begins a new segment if the group does not fit into this one.
    ///
    /// The old segment and the new name are synced in either mode: that is what makes a broken frame in any
    /// segment but the last a corruption and never a torn tail.
    fn begin_segment_if_due(&mut self, group_bytes: u64) {
        let length = self.end - self.base;
        let fits = length + group_bytes <= self.shared.settings.segment_bytes;
        if fits || length == 0 || self.shared.poison.get().is_some() {
            return;
        }
        if self.dirty {
            // Bytes behind the last record of a closed segment would pass for a corruption.
            match self.file.set_len(length) {
                Ok(()) => self.dirty = false,
                Err(_) => return,
            }
        }
        if let Err(source) = self.file.sync_data() {
            return self.poison(source);
        }
        let dir = &self.shared.settings.dir;
        let file = match create_segment(dir, self.end) {
            Ok(file) => file,
            Err(error) => {
                // The old segment just grows longer; if the disk is full, its write will say so.
                return tracing::warn!(error = %error, "cannot begin a new journal segment");
            }
        };
        if let Err(source) = sync_dir(dir) {
            return self.poison(source);
        }
        self.file = file;
        self.base = self.end;
        self.shared.segment_begun(self.base);
        if let Err(error) = self.shared.remove_forgotten() {
            tracing::warn!(error = %error, "cannot remove a forgotten journal segment");
        }
    }

    /// After a failed sync the kernel may have dropped what it could not write and call the next sync a
    /// success. No later acknowledgement would be true, so there is none.
    fn poison(&mut self, source: std::io::Error) {
        tracing::error!(error = %source, "syncing the journal failed; it takes no more records");
        // What was not acknowledged must not be found in the page cache by whoever opens the journal next.
        if let Err(error) = self.file.set_len(self.end - self.base) {
            tracing::error!(error = %error, "cannot cut what was not synced from the journal");
        }
        // Only this thread sets it, and only while it is not set.
        self.shared.poison.get_or_init(|| Arc::new(source));
    }
}
