//! The program under `strace`: it appends numbered records and prints what became of each.

use std::path::Path;

use mai_journal::{Admission, Journal, JournalError, JournalSettings, Position};

use crate::{eventually, run};

/// How many records it appends.
pub(crate) const RECORDS: u32 = 60;

/// Each record takes 100 bytes on disk, so a segment holds ten.
pub(crate) const RECORD_BYTES: usize = 92;

pub(crate) fn settings(folder: &Path) -> JournalSettings {
    JournalSettings { segment_bytes: 1000, reserve_bytes: 100_000, ..JournalSettings::new(folder) }
}

/// The record with this number: every fourth is new work, and every fourth from the third on is lazy.
pub(crate) fn record(number: u32) -> String {
    let kind = match number % 4 {
        0 => "new",
        2 => "lazy",
        _ => "continuing",
    };
    format!("{:x<RECORD_BYTES$}", format!("{kind} {number} "))
}

pub(crate) fn append_and_tell(folder: &Path) {
    let journal = Journal::open(settings(folder)).unwrap();
    for number in 0..RECORDS {
        let payload = record(number).into_bytes();
        let class = match number % 4 {
            0 => Admission::New,
            2 => {
                journal.append_lazily(payload);
                continue;
            }
            _ => Admission::Continuing,
        };
        println!("\n{}={number}", word(&run(journal.append(class, payload))));
    }
    if journal.health().is_ok() {
        eventually("there is room again", || !journal.stats().no_space);
        println!("\n{}={RECORDS}", word(&run(journal.append(Admission::New, record(RECORDS).into_bytes()))));
    }
    let stats = journal.stats();
    println!("\nlazy_dropped={}", stats.lazy_dropped);
    println!("\npoisoned={}", u8::from(stats.poisoned));
    println!("\nclosed={}", u8::from(journal.close().is_ok()));
}

pub(crate) fn append_lazily_and_wait(folder: &Path) {
    let journal = Journal::open(settings(folder)).unwrap();
    journal.append_lazily(record(0).into_bytes());
    eventually("the record is durable", || journal.durable_end() > Position::default());
}

fn word<T>(outcome: &Result<T, JournalError>) -> &'static str {
    match outcome {
        Ok(_) => "acknowledged",
        Err(JournalError::NoSpace(_)) => "no_space",
        Err(JournalError::SyncFailed(_)) => "sync_failed",
        Err(other) => panic!("{other:?}"),
    }
}
