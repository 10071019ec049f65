//! A process that is killed: every record that it saw acknowledged is there.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use tempfile::tempdir;

use super::{payloads, runtime, small};
use crate::{Admission, Journal, JournalSettings, SyncMode};

const VICTIM_DIR: &str = "MAI_JOURNAL_TEST_VICTIM_DIR";
const VICTIM_NAME: &str = "MAI_JOURNAL_TEST_VICTIM_NAME";

fn open(dir: &Path) -> Journal {
    let settings = JournalSettings { segment_bytes: 4096, sync: SyncMode::Disk, ..small(dir) };
    Journal::open(settings).unwrap()
}

/// Appends from several tasks until it is killed, and prints what was acknowledged.
fn append_until_killed(dir: &Path) {
    let name = std::env::var(VICTIM_NAME).unwrap();
    let journal = open(dir);
    runtime().block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..8 {
            let (journal, name) = (journal.clone(), name.clone());
            tasks.spawn(async move {
                for number in 0..u64::MAX {
                    let record = format!("id={name}.{task}.{number}");
                    journal.append(Admission::New, record.clone().into_bytes()).await.unwrap();
                    // Some of the lines are cut off by the end; the full stop tells which are whole.
                    write!(std::io::stdout().lock(), "\n{record}.\n").unwrap();
                }
            });
        }
        tasks.join_all().await;
    });
}

#[test]
fn acknowledged_records_survive_sigkill() {
    if let Some(dir) = std::env::var_os(VICTIM_DIR) {
        return append_until_killed(Path::new(&dir));
    }
    let dir = tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for wanted in [1, 50, 333] {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::crash::acknowledged_records_survive_sigkill", "--nocapture"])
            .env(VICTIM_DIR, dir.path())
            .env(VICTIM_NAME, wanted.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(victim.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut records =
            lines.filter_map(|line| line.strip_prefix("id=")?.strip_suffix('.').map(str::to_owned));
        let before = acknowledged.len();
        acknowledged.extend(records.by_ref().take(wanted));
        victim.kill().unwrap();
        victim.wait().unwrap();
        // What it still printed before it died was acknowledged as well.
        acknowledged.extend(records);
        assert!(acknowledged.len() >= before + wanted);

        let kept: BTreeSet<_> = payloads(&open(dir.path()))
            .into_iter()
            .map(|record| String::from_utf8(record).unwrap())
            .collect();
        let lost: Vec<_> =
            acknowledged.iter().filter(|record| !kept.contains(&format!("id={record}"))).collect();
        assert!(lost.is_empty(), "lost {lost:?}");
    }
}
