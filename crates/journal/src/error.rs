//! What can go wrong. One group commit answers many callers, so the error can be cloned.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{Position, frame::MAX_RECORD_BYTES};

/// An error of the journal.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// A setting is out of its range; the text says which and why.
    #[error("journal settings: {0}")]
    Settings(&'static str),
    /// Another process, or another [`Journal`](crate::Journal) of this one, has the directory open.
    #[error("the journal directory {} is in use by another process", dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// A record must have 1 to [`MAX_RECORD_BYTES`] bytes, and an append at least one record.
    #[error("a journal record must have 1 to {MAX_RECORD_BYTES} bytes, not {bytes}")]
    RecordSize {
        /// The size that was refused; 0 also for an append without records.
        bytes: usize,
    },
    /// The journal has reached its bound for this class of append. Forgetting makes room again.
    #[error("the journal is full: {retained_bytes} bytes are retained, the limit is {limit_bytes}")]
    Full {
        /// Bytes of all segments at that time.
        retained_bytes: u64,
        /// The bound for this class of append in bytes.
        limit_bytes: u64,
    },
    /// The disk or a quota is full. Nothing of the append is kept. New work is refused until the reserve on
    /// disk could be made again, anything else only while there is not even room for its own bytes.
    #[error("the journal's disk is full; new work is taken again once there is room")]
    NoSpace(#[source] Arc<io::Error>),
    /// Syncing failed once. What the kernel still holds is unknown, so nothing is acknowledged any more
    /// until the journal is opened again.
    #[error("the journal cannot be synced to disk and takes no more records until it is reopened")]
    SyncFailed(#[source] Arc<io::Error>),
    /// A record that was durable does not read back.
    #[error("the journal segment {} is corrupt at byte {offset}", segment.display())]
    Corrupt {
        /// The file.
        segment: PathBuf,
        /// Byte offset in the file of the first record that is not valid.
        offset: u64,
    },
    /// The position to forget lies behind the last durable record.
    #[error("cannot forget up to {asked}: the journal is durable up to {durable_end} only")]
    NotDurable {
        /// The position that was asked for.
        asked: Position,
        /// The end of the durable records.
        durable_end: Position,
    },
    /// The journal was closed, or its writer thread is gone.
    #[error("the journal is closed")]
    Closed,
    /// Any other error of the file system.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The reason.
        #[source]
        source: Arc<io::Error>,
    },
}

impl JournalError {
    /// Adds what was tried, and where, to an error of the file system.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_path_buf(), source: Arc::new(source) }
    }

    /// Sorts an error of writing: a full disk passes by itself and has a name of its own.
    pub(crate) fn write(path: &Path, source: io::Error) -> Self {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        match source.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => Self::NoSpace(Arc::new(source)),
            _ => Self::io("write", path)(source),
        }
    }
}
