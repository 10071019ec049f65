//! Records that wait for somebody else's sync.

use std::{fs::OpenOptions, sync::atomic::Ordering::Relaxed, time::Duration};

use tempfile::tempdir;
use tokio::{sync::oneshot, time::timeout};

use super::{
    append,
    faults::{on_disk, write},
    open, payloads, runtime,
};
use crate::{Admission, Journal, JournalSettings, Position, append::Wish};

const LAZY: (Admission, Wish) = (Admission::New, Wish::Lazy);

#[test]
fn become_durable_with_the_next_commit() {
    let dir = tempdir().unwrap();
    let (reply, answer) = oneshot::channel();
    let wishes = vec![LAZY, LAZY, (Admission::New, Wish::Acknowledged(reply)), LAZY];
    let shared = write(on_disk(dir.path()), tempfile::tempfile().unwrap(), wishes, None);
    assert_eq!(answer.blocking_recv().unwrap().unwrap(), Position::new(600));
    // Small segments bound the groups: the first two are written alone, and the others with them or later.
    assert_eq!((shared.records.load(Relaxed), shared.end()), (4, 1200));
    assert_eq!(shared.lazy_dropped.load(Relaxed), 0);
}

/// Nobody else appends.
#[test]
fn become_durable_by_themselves() {
    let dir = tempdir().unwrap();
    let journal = Journal::open(on_disk(dir.path())).unwrap();
    for number in 0..3 {
        journal.append_lazily(vec![number]);
    }
    // The time only bounds how long a failure takes.
    let all = async { timeout(Duration::from_secs(60), journal.wait_beyond(Position::new(26))).await };
    runtime().block_on(all).unwrap();
    assert_eq!(payloads(&journal), [[0], [1], [2]]);
    assert_eq!(journal.stats().records, 3);
}

#[test]
fn become_durable_when_the_journal_closes_or_begins_a_segment() {
    let dir = tempdir().unwrap();
    let journal = Journal::open(on_disk(dir.path())).unwrap();
    let other = journal.clone();
    // Several segments of 256 bytes.
    let expected: Vec<_> = (0..20).map(|number| vec![number; 60]).collect();
    for payload in expected.clone() {
        journal.append_lazily(payload);
    }
    journal.close().unwrap();
    assert_eq!(payloads(&other), expected);
    drop(other);
    assert_eq!(payloads(&open(&dir)), expected);
}

#[test]
fn share_the_write_and_the_sync_of_others() {
    let dir = tempdir().unwrap();
    let settings = JournalSettings { segment_bytes: 1 << 20, ..on_disk(dir.path()) };
    let (reply, answer) = oneshot::channel();
    let wishes = vec![LAZY, (Admission::Continuing, Wish::Acknowledged(reply)), LAZY];
    let shared = write(settings, tempfile::tempfile().unwrap(), wishes, None);
    assert_eq!(answer.blocking_recv().unwrap().unwrap(), Position::new(300));
    assert_eq!((shared.commits.load(Relaxed), shared.records.load(Relaxed), shared.end()), (1, 3, 900));
}

/// A device that takes every write but cannot be synced.
#[cfg(target_os = "linux")]
#[test]
fn are_lost_and_counted_if_their_sync_fails() {
    let dir = tempdir().unwrap();
    let null = OpenOptions::new().write(true).open("/dev/null").unwrap();
    let shared = write(on_disk(dir.path()), null, vec![LAZY, LAZY, LAZY], None);
    assert!(shared.poison.get().is_some());
    assert_eq!((shared.end(), shared.records.load(Relaxed)), (0, 0));
    assert_eq!((shared.lazy_dropped.load(Relaxed), shared.detached_failures.load(Relaxed)), (3, 0));
}

#[test]
fn are_dropped_and_counted_where_new_work_is_refused() {
    let dir = tempdir().unwrap();
    let settings = JournalSettings { segment_bytes: 100, max_bytes: 100, ..on_disk(dir.path()) };
    let journal = Journal::open(settings).unwrap();
    append(&journal, &[1; 92]);
    journal.append_lazily(vec![2]);
    journal.append_lazily(vec![]);
    let other = journal.clone();
    journal.close().unwrap();
    other.append_lazily(vec![3]);
    assert_eq!((other.stats().lazy_dropped, other.stats().detached_failures), (3, 0));
    assert_eq!(payloads(&other), [[1; 92]]);
}
