//! What the handles hand to the writer thread.

use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use crate::{Admission, JournalError, Position, frame::Record, shared::Shared};

pub(crate) type Outcome = Result<Position, JournalError>;

pub(crate) enum Command {
    Append(Append),
    Close,
}

/// What one caller appends: committed or refused as a whole.
pub(crate) struct Append {
    pub(crate) class: Admission,
    pub(crate) records: Vec<Record>,
    pub(crate) wish: Wish,
}

/// What its caller wants of it.
pub(crate) enum Wish {
    /// To hear once it is durable.
    Acknowledged(oneshot::Sender<Outcome>),
    /// To have it durable at once, without waiting for that.
    Detached,
    /// To have it durable whenever something else is.
    Lazy,
}

impl Append {
    /// Bytes of its frames on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.records.iter().map(Record::frame_bytes).sum()
    }

    pub(crate) fn answer(self, shared: &Shared, outcome: Outcome) {
        let records = self.records.iter().map(|_| 1).sum();
        // A caller that left is told nothing, so its failure counts as one of a detached append.
        let unheard = match self.wish {
            Wish::Acknowledged(reply) => reply.send(outcome).err(),
            Wish::Detached => Some(outcome),
            Wish::Lazy => {
                if outcome.is_err() {
                    shared.lazy_dropped.fetch_add(records, Ordering::Relaxed);
                }
                return;
            }
        };
        if let Some(Err(error)) = unheard {
            shared.detached_failure(records, &error);
        }
    }
}
