//! A disk that is really full, and system calls that really fail: what was acknowledged is there afterwards.
//!
//! Each test starts this program once more, on a small disk of its own (`unshare` and `mount` of util-linux)
//! or under `strace`, which makes chosen system calls fail.
#![cfg(test)]
#![cfg(target_os = "linux")]

mod failing;
mod full;
mod load;

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use mai_journal::Journal;

/// How long something that must happen may take; only what never happens takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Says to the program that was started once more that it is that one, and in which folder it works.
const FOLDER: &str = "MAI_JOURNAL_TEST_DISK";

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Adds the arguments that run one test of this program once more.
fn again<'a>(command: &'a mut Command, test: &str, folder: &Path) -> &'a mut Command {
    command.arg(std::env::current_exe().unwrap()).args(["--exact", test, "--nocapture"]).env(FOLDER, folder)
}

/// The folder, if this is that program.
fn once_more() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// Every record that is not forgotten, as text.
fn contents(journal: &Journal) -> Vec<String> {
    let (mut all, mut next) = (Vec::new(), journal.first());
    loop {
        let batch = journal.read(next, 1 << 20).unwrap();
        if batch.records.is_empty() {
            return all;
        }
        all.extend(batch.records.into_iter().map(|(_, record)| String::from_utf8(record).unwrap()));
        next = batch.next;
    }
}
