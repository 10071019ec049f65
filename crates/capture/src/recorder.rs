//! Writing a call's records to the journal.

use mai_journal::{Admission, Journal, JournalError};
use thiserror::Error;
use tracing::error;

use crate::record::{Opened, Record, RecordFormatError, Settled};

/// Why a record is not durable.
#[derive(Debug, Error)]
pub enum RecordError {
    /// The journal did not take it.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// It could not be encoded.
    #[error(transparent)]
    Format(#[from] RecordFormatError),
}

/// The journal, in terms of calls. Clones share it.
#[derive(Clone)]
pub struct Recorder {
    journal: Journal,
}

impl Recorder {
    /// A recorder that writes to `journal`.
    pub const fn new(journal: Journal) -> Self {
        Self { journal }
    }

    /// Whether a new call may start: the journal has room and is healthy. Calls that have started
    /// may always finish.
    pub fn admits_new_calls(&self) -> bool {
        let stats = self.journal.stats();
        !stats.poisoned && stats.retained_bytes < stats.max_bytes
    }

    /// Makes an opened record durable.
    pub async fn open(self, opened: Opened) -> Result<(), RecordError> {
        self.append(&Record::Opened(opened)).await
    }

    /// Makes a settled record durable.
    pub async fn settle(self, settled: Settled) -> Result<(), RecordError> {
        self.append(&Record::Settled(settled)).await
    }

    /// Queues a settled record where nobody can wait for it, as in a destructor. The journal's
    /// thread writes it, and reports a failure.
    pub fn settle_detached(&self, settled: Settled) {
        match Record::Settled(settled).to_bytes() {
            Ok(bytes) => self.journal.append_detached(bytes),
            Err(cause) => error!(error = %cause, "a settled record is lost"),
        }
    }

    async fn append(&self, record: &Record) -> Result<(), RecordError> {
        // The call was admitted before upstream was asked, so this only finishes accepted work.
        self.journal.append(Admission::Continuing, record.to_bytes()?).await?;
        Ok(())
    }
}
