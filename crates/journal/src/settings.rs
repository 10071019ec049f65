//! How a journal is set up, and the rules between its settings.

use std::path::PathBuf;

use crate::JournalError;

const MIB: u64 = 1024 * 1024;

/// When an append counts as durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMode {
    /// After `fdatasync`: it survives a power loss.
    Disk,
    /// After `write`: it survives a crash of the process, not of the machine.
    Os,
}

/// Whether an append may be refused to keep the journal within its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Starts new work: refused once the journal is full.
    New,
    /// Finishes work that was accepted before: may go beyond the bound by an eighth, and uses the disk's
    /// last space.
    Continuing,
    /// Copies a record that is still needed, so that the place of the original can be forgotten.
    ///
    /// Forgetting is what makes room, so this must not be refused for want of room: the limit leaves
    /// space for one copy of everything that the other classes may retain.
    Moving,
}

/// Where and how large a journal is.
#[derive(Debug, Clone)]
pub struct JournalSettings {
    /// The directory, which belongs to the journal alone. It is created if it is missing.
    pub dir: PathBuf,
    /// A new segment file begins when the current one would pass this size in bytes.
    pub segment_bytes: u64,
    /// Bound in bytes of all segments together, at least `segment_bytes`.
    /// [`Admission::Continuing`] may go beyond it by an eighth, at least 1 MiB.
    pub max_bytes: u64,
    /// Bytes on disk, beside `max_bytes`, that are kept for finishing accepted work when the disk is full.
    /// More than an eighth of `max_bytes` means an eighth.
    pub reserve_bytes: u64,
    /// When an append counts as durable.
    pub sync: SyncMode,
}

impl JournalSettings {
    /// The defaults: segments of 16 MiB, 1 GiB in all, a reserve of 4 MiB, durable on disk.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            segment_bytes: 16 * MIB,
            max_bytes: 1024 * MIB,
            reserve_bytes: 4 * MIB,
            sync: SyncMode::Disk,
        }
    }

    /// Refuses sizes with which the journal could not make room by forgetting.
    pub(crate) fn check(&self) -> Result<(), JournalError> {
        if self.segment_bytes == 0 {
            return Err(JournalError::Settings("segment_bytes must not be 0"));
        }
        if self.max_bytes < self.segment_bytes {
            return Err(JournalError::Settings("max_bytes must be at least segment_bytes"));
        }
        Ok(())
    }

    /// The most bytes that may be retained after an append of this class.
    pub(crate) fn limit(&self, class: Admission) -> u64 {
        let continuing = self.max_bytes.saturating_add((self.max_bytes / 8).max(MIB));
        match class {
            Admission::New => self.max_bytes,
            Admission::Continuing => continuing,
            Admission::Moving => continuing.saturating_mul(2),
        }
    }

    /// The size of the reserve on disk in bytes.
    pub(crate) fn reserve_bytes(&self) -> u64 {
        self.reserve_bytes.min(self.max_bytes / 8)
    }
}
