//! What an earlier process has left: its last readings, and the records that those did not have.

use std::collections::HashMap;

use mai_journal::{Journal, JournalError, Position};
use thiserror::Error;

use super::{LimitGuard, Reading, lock};
use crate::{
    call::{Call, ExchangeId},
    record::{Record, RecordFormatError},
};

/// How many bytes of records one step reads.
const STEP_BYTES: usize = 1 << 20;

/// Why the records of an earlier process could not be counted.
#[derive(Debug, Error)]
pub enum RecoveryError {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record cannot be read. The applier stops there as well.
    #[error("{cause} at position {position}")]
    Record {
        /// Where the record stands.
        position: Position,
        /// What is wrong.
        cause: RecordFormatError,
    },
}

/// Begins with the readings of an earlier process, which had all records below `read_to`, and holds what later records
/// of the journal say: the prices of calls that are over, and the reservations of calls that are not. Must run before
/// anything else is written to the journal. Blocks for the disk.
///
/// Without such readings `read_to` is the beginning, and what the journal still has of booked records counts twice
/// until they are applied again and read, which takes some seconds.
pub fn recover(
    guard: &LimitGuard,
    journal: &Journal,
    (readings, read_to): (Vec<Reading>, Position),
) -> Result<(), RecoveryError> {
    let end = journal.durable_end();
    // A position of another journal says nothing about this one.
    let read_to = if read_to > end { Position::default() } else { read_to };
    guard.0.counted_from.get_or_init(|| read_to);
    for reading in readings {
        lock(&guard.account(&reading.organization)).begin_with(reading);
    }
    let mut open: HashMap<ExchangeId, Call> = HashMap::new();
    let mut next = journal.first();
    while next < end {
        let batch = journal.read(next, STEP_BYTES)?;
        if batch.records.is_empty() {
            break;
        }
        for (position, bytes) in batch.records {
            let record =
                Record::from_bytes(&bytes).map_err(|cause| RecoveryError::Record { position, cause })?;
            match record {
                Record::Settled(settled) => {
                    open.remove(&settled.call.exchange);
                    if position >= read_to {
                        hold(guard, &settled.call);
                    }
                }
                other => {
                    let call = other.into_call();
                    if call.held.is_some() {
                        open.insert(call.exchange.clone(), call);
                    }
                }
            }
        }
        next = batch.next;
    }
    for call in open.values() {
        hold(guard, call);
    }
    Ok(())
}

fn hold(guard: &LimitGuard, call: &Call) {
    if let Some(held) = &call.held {
        lock(&guard.account(&call.organization)).hold(call.usage_date.first_of_month(), held);
    }
}
