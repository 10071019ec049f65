//! Tests of the whole journal on real files.

mod bounds;
mod crash;
pub(crate) mod faults;
mod lazy;
mod model;
mod recovery;
mod sharing;

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::{Admission, Journal, JournalSettings, Position, SyncMode};

/// Small segments, so that few records fill several. Syncing and the reserve are left to the tests that are
/// about them.
fn small(dir: &Path) -> JournalSettings {
    JournalSettings {
        segment_bytes: 256,
        max_bytes: 1 << 30,
        reserve_bytes: 0,
        sync: SyncMode::Os,
        ..JournalSettings::new(dir)
    }
}

fn open(dir: &TempDir) -> Journal {
    Journal::open(small(dir.path())).unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn append(journal: &Journal, payload: &[u8]) -> Position {
    runtime().block_on(journal.append(Admission::New, payload.to_vec())).unwrap()
}

fn append_texts(journal: &Journal, texts: impl IntoIterator<Item = String>) -> Vec<Position> {
    texts.into_iter().map(|text| append(journal, text.as_bytes())).collect()
}

/// Everything that is not forgotten, read in small batches so that reading on is tested too.
fn contents(journal: &Journal) -> Vec<(Position, Vec<u8>)> {
    let mut all = Vec::new();
    let mut from = journal.first();
    loop {
        let batch = journal.read(from, 100).unwrap();
        if batch.records.is_empty() {
            assert_eq!(batch.next, journal.durable_end().max(from));
            return all;
        }
        all.extend(batch.records);
        from = batch.next;
    }
}

fn payloads(journal: &Journal) -> Vec<Vec<u8>> {
    contents(journal).into_iter().map(|(_, payload)| payload).collect()
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    paths.sort();
    paths
}

fn texts(range: std::ops::Range<u32>) -> Vec<String> {
    range
        .map(|number| format!("record {number} {}", "x".repeat(usize::try_from(number % 40).unwrap())))
        .collect()
}

fn bytes(texts: &[String]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.clone().into_bytes()).collect()
}
