//! Compares stores for the journal under the journal's own load: many tasks, each of which waits until its
//! record is durable, while all that is older is forgotten every 10,000 records. Then opening and reading
//! 1,000,000 records. Prints Markdown tables; of five rounds, the one with the median throughput.
//!
//! `cargo run --release [-- DIRECTORY]`: the directory (default: the current one) must be on a real disk.

mod load;
mod stores;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use mai_journal::{Journal, JournalSettings};
use tempfile::TempDir;

use crate::{
    load::{Appender, Grouped, Load, record},
    stores::{Fjall, Segments, Sqlite, Store},
};

const RECORDS: u64 = 1_000_000;
const RECORDS_PER_COMMIT: u64 = 4096;
const RUN: Duration = Duration::from_secs(3);
const ROUNDS: usize = 5;
const STORES: [&str; 3] = ["fjall", "sqlite", "segments"];
const APPENDERS: [usize; 3] = [1, 32, 256];

fn main() -> Result<()> {
    let place = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;

    println!(
        "| store | appenders | records/s | records per commit | p50 ms | p99 ms | records/s of all rounds |"
    );
    println!("|---|---:|---:|---:|---:|---:|---|");
    for appenders in APPENDERS {
        let mut loads = STORES.map(|_| Vec::new());
        // The disk has good and bad minutes, so the stores take turns.
        for _ in 0..ROUNDS {
            for (store, loads) in STORES.iter().zip(&mut loads) {
                let dir = TempDir::new_in(&place)?;
                loads.push(Load::run(&runtime, appender(store, dir.path())?, appenders, RUN)?);
            }
        }
        for (store, mut loads) in STORES.iter().zip(loads) {
            loads.sort_by_key(Load::records);
            let range = format!("{:.0} to {:.0}", loads[0].rate(), loads[ROUNDS - 1].rate());
            println!("| {store} | {appenders} | {} | {range} |", loads[ROUNDS / 2]);
        }
    }

    println!("\n| store | open ms | read all ms | read records/s | disk bytes per record |");
    println!("|---|---:|---:|---:|---:|");
    recovery::<Fjall>("fjall", &place)?;
    recovery::<Sqlite>("sqlite", &place)?;
    recovery::<Segments>("segments", &place)
}

fn appender(store: &str, dir: &Path) -> Result<Appender> {
    Ok(match store {
        "fjall" => Appender::Grouped(Grouped::start(Fjall::open(dir)?)),
        "sqlite" => Appender::Grouped(Grouped::start(Sqlite::open(dir)?)),
        _ => Appender::Journal(Journal::open(JournalSettings::new(dir.join("journal")))?),
    })
}

/// Fills a store, opens it again and reads everything.
fn recovery<S: Store>(name: &str, place: &Path) -> Result<()> {
    let dir = TempDir::new_in(place)?;
    let mut store = S::open(dir.path())?;
    for first in (0..RECORDS).step_by(usize::try_from(RECORDS_PER_COMMIT)?) {
        let last = (first + RECORDS_PER_COMMIT).min(RECORDS);
        store.commit((first..last).map(record).collect())?;
    }
    drop(store);
    let disk = disk_bytes(dir.path())?;

    let start = Instant::now();
    let mut store = S::open(dir.path())?;
    let opened = start.elapsed();
    let start = Instant::now();
    let mut next = 0;
    let count = store.read_all(&mut |payload| {
        ensure!(payload == record(next), "record {next} of {name} differs");
        next += 1;
        Ok(())
    })?;
    let read = start.elapsed();
    ensure!(count == RECORDS, "{name} has {count} records");
    let rate = RECORDS as f64 / read.as_secs_f64();
    let per_record = disk as f64 / RECORDS as f64;
    println!("| {name} | {} | {} | {rate:.0} | {per_record:.0} |", opened.as_millis(), read.as_millis());
    Ok(())
}

/// Bytes that the files of a directory occupy, not their lengths: some stores reserve space.
fn disk_bytes(dir: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(dir).context("list a store")? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        sum += if metadata.is_dir() {
            disk_bytes(&entry.path())?
        } else {
            std::os::unix::fs::MetadataExt::blocks(&metadata) * 512
        };
    }
    Ok(sum)
}
