//! System calls that fail at chosen moments.

use std::{fs, path::PathBuf, process::Command};

use mai_journal::{Journal, Recovery};
use tempfile::tempdir;

use crate::{
    again, contents,
    load::{RECORDS, append_and_tell, append_lazily_and_wait, record, settings},
    once_more,
};

/// What a run of the load printed, and what it left behind.
struct Told {
    lines: Vec<(String, u32)>,
    killed: bool,
    /// The injected failures that happened.
    injected: usize,
    kept: Vec<String>,
    recovery: Recovery,
}

impl Told {
    fn numbers(&self, word: &str) -> Vec<u32> {
        self.lines.iter().filter(|line| line.0 == word).map(|line| line.1).collect()
    }

    fn kept_lazy(&self) -> u32 {
        self.kept.iter().filter(|record| is_lazy(record)).map(|_| 1).sum()
    }

    /// Acknowledged records and no other ones are kept, except lazy ones; all in order and once.
    fn is_kept(&self, name: &str) {
        let acknowledged: Vec<_> = self.numbers("acknowledged").into_iter().map(record).collect();
        let kept: Vec<_> = self.kept.iter().filter(|record| !is_lazy(record)).cloned().collect();
        assert_eq!(kept, acknowledged, "{name}");
        let mut all = (0..=RECORDS).map(record);
        assert!(self.kept.iter().all(|kept| all.any(|record| record == *kept)), "{name}: {:?}", self.kept);
    }

    /// And is taken again in the end.
    fn only_new_work_is_refused(&self) {
        let refused = self.numbers("no_space");
        assert!(refused.iter().all(|number| number % 4 == 0), "{refused:?}");
        assert_eq!(self.numbers("acknowledged").last(), Some(&RECORDS));
        assert_eq!(self.numbers("lazy_dropped"), [15 - self.kept_lazy()]);
        assert_eq!((self.numbers("poisoned"), self.numbers("closed")), (vec![0], vec![1]));
    }
}

fn is_lazy(record: &str) -> bool {
    record.starts_with("lazy ")
}

/// Runs one of the loads while `inject` happens, to calls that have to do with this path in the journal's
/// folder if one is named.
fn load(test: &str, inject: &str, path: Option<&str>) -> Told {
    let folder = tempdir().unwrap();
    // Links in the path would keep strace from recognizing it.
    let (dir, log) = (folder.path().canonicalize().unwrap().join("journal"), folder.path().join("calls"));
    let call = inject.split_once(':').unwrap().0;
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "signal=none", "-e", &format!("trace={call}")]);
    command.args(["-e", &format!("inject={inject}"), "-o"]).arg(&log);
    if let Some(path) = path {
        // It compares texts, so the folder itself, `.`, must not be written `folder/.`.
        command.arg("-P").arg(dir.join(path).components().collect::<PathBuf>());
    }
    let output = again(&mut command, test, &dir).output();
    let output = output.expect("this test needs strace: apt-get install strace");
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let killed = !output.status.success();
    assert!(!killed || inject.contains("signal"), "{inject}: {text}\n{errors}");
    let lines = text.lines().filter_map(|line| {
        let (word, number) = line.split_once('=')?;
        Some((word.to_owned(), number.parse().ok()?))
    });
    let injected = fs::read_to_string(&log).unwrap().matches("INJECTED").count();
    let journal = Journal::open(settings(&dir)).unwrap();
    let (kept, recovery) = (contents(&journal), journal.recovery());
    Told { lines: lines.collect(), killed, injected, kept, recovery }
}

fn segment(base: u32) -> String {
    format!("{base:020}.log")
}

/// The test that is the load when it is started once more.
const APPENDS: &str = "failing::nothing_fails";

#[test]
fn nothing_fails() {
    if let Some(folder) = once_more() {
        return append_and_tell(&folder);
    }
    let told = load(APPENDS, "fdatasync:error=EIO:when=1000", None);
    told.is_kept("nothing fails");
    assert_eq!(told.kept, (0..=RECORDS).map(record).collect::<Vec<_>>());
    assert_eq!((told.numbers("closed"), told.numbers("lazy_dropped")), (vec![1], vec![0]));
}

/// The kernel says once that it lost data. From then on nothing is acknowledged, and what was not is gone.
#[test]
fn a_sync_fails() {
    for when in [1, 2, 7, 30] {
        let told = load(APPENDS, &format!("fdatasync:error=EIO:when={when}"), None);
        told.is_kept(&format!("sync {when}"));
        let (acknowledged, failed) = (told.numbers("acknowledged"), told.numbers("sync_failed"));
        assert_eq!(acknowledged.len() + failed.len(), 45, "each append was answered");
        assert!(acknowledged.last() < failed.first(), "{when}: {acknowledged:?}, {failed:?}");
        assert_eq!((told.numbers("poisoned"), told.numbers("closed")), (vec![1], vec![0]));
        assert_eq!((told.injected, told.recovery.truncated_bytes), (1, 0));
        assert_eq!(told.numbers("lazy_dropped"), [15 - told.kept_lazy()]);
    }
}

/// A new segment whose name may not be on disk must not be written to.
#[test]
fn a_sync_of_the_folder_fails() {
    // Opening syncs it twice, in another thread, and strace counts by thread: this is the third new segment.
    let told = load(APPENDS, "fsync:error=EIO:when=3", Some("."));
    told.is_kept("the folder");
    assert_eq!((told.numbers("poisoned"), told.injected), (vec![1], 1));
    assert_eq!(told.kept, (0..30).map(record).collect::<Vec<_>>());
}

/// One write fails: the reserve makes room for it, and new work waits until the reserve is there again.
#[test]
fn a_write_finds_no_space() {
    for when in [1, 2, 7] {
        let told = load(APPENDS, &format!("write:error=ENOSPC:when={when}"), Some(&segment(0)));
        told.is_kept(&format!("write {when}"));
        told.only_new_work_is_refused();
        assert_eq!(told.injected, 1);
        assert!(when > 1 || told.numbers("no_space")[0] == 0, "the reserve is not for new work");
    }
}

/// Every write to the segment fails from one on.
#[test]
fn no_write_finds_space_any_more() {
    for when in [1, 4, 7] {
        let told = load(APPENDS, &format!("write:error=ENOSPC:when={when}+"), Some(&segment(0)));
        told.is_kept(&format!("writes from {when} on"));
        let (acknowledged, refused) = (told.numbers("acknowledged"), told.numbers("no_space"));
        assert!(acknowledged.len() < when, "{acknowledged:?}");
        assert_eq!(acknowledged.len() + refused.len(), 46, "each append was answered");
        assert_eq!((told.numbers("poisoned"), told.numbers("closed")), (vec![0], vec![1]));
    }
}

#[test]
fn a_new_segment_finds_no_space() {
    let told = load(APPENDS, "openat:error=ENOSPC:when=1", Some(&segment(1000)));
    told.is_kept("a segment");
    told.only_new_work_is_refused();
    assert_eq!(told.injected, 1);
}

/// A lazy record is in the file before any sync, and there is a sync although nobody else asks for one.
#[test]
fn a_lazy_record_survives_a_crash_at_its_sync() {
    if let Some(folder) = once_more() {
        return append_lazily_and_wait(&folder);
    }
    let test = "failing::a_lazy_record_survives_a_crash_at_its_sync";
    let told = load(test, "fdatasync:signal=KILL:when=1", None);
    assert!(told.killed);
    assert_eq!(told.kept, [record(0)]);
}
