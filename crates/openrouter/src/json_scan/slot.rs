//! Keeps the raw text of one wanted value, up to its cap.

use super::Key;

/// What the scan knows about a wanted value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// The key did not occur, or its value has not ended yet.
    Absent,
    /// The value was longer than its cap and was dropped.
    TooLong,
    /// The raw JSON text of the whole value, without surrounding whitespace.
    Raw(&'a [u8]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Absent,
    Open,
    TooLong,
    Complete,
}

/// The value of one wanted key of the object being read.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) name: &'static str,
    cap: usize,
    progress: Progress,
    bytes: Vec<u8>,
}

impl Slot {
    pub(super) fn new(&(name, cap): &Key) -> Self {
        Self { name, cap, progress: Progress::Absent, bytes: Vec::new() }
    }

    /// Forgets the value and keeps the buffer.
    pub(super) fn forget(&mut self) {
        self.progress = Progress::Absent;
    }

    /// The key was read; its value follows.
    pub(super) fn open(&mut self) {
        self.progress = Progress::Open;
        self.bytes.clear();
    }

    /// The next piece of the value.
    pub(super) fn push(&mut self, piece: &[u8]) {
        if self.progress != Progress::Open {
            return;
        }
        let length = self.bytes.len().saturating_add(piece.len());
        if length > self.cap {
            self.progress = Progress::TooLong;
            self.bytes.clear();
            return;
        }
        if length > self.bytes.capacity() {
            // Growing by doubling alone would reserve up to twice the cap.
            let room = length.max(self.bytes.capacity().saturating_mul(2)).min(self.cap);
            self.bytes.reserve_exact(room.saturating_sub(self.bytes.len()));
        }
        self.bytes.extend_from_slice(piece);
    }

    /// The value has ended.
    pub(super) fn close(&mut self) {
        if self.progress == Progress::Open {
            self.progress = Progress::Complete;
        }
    }

    pub(super) fn value(&self) -> Value<'_> {
        match self.progress {
            Progress::Absent | Progress::Open => Value::Absent,
            Progress::TooLong => Value::TooLong,
            Progress::Complete => Value::Raw(&self.bytes),
        }
    }

    /// Bytes of heap held.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}
