//! Many tasks, several handles, two openers.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use tempfile::tempdir;

use super::{append, append_texts, contents, open, payloads, runtime, segments, small, texts};
use crate::{Admission, Journal, JournalError, JournalSettings, Position, SyncMode, reader};

#[test]
fn concurrent_appenders_share_commits() {
    let dir = tempdir().unwrap();
    let settings = JournalSettings { sync: SyncMode::Disk, segment_bytes: 4096, ..small(dir.path()) };
    let journal = Journal::open(settings).unwrap();
    let mut acknowledged = BTreeMap::new();
    runtime().block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..32 {
            let journal = journal.clone();
            tasks.spawn(async move {
                let mut mine = Vec::new();
                for number in 0..20 {
                    let text = format!("{task} {number}").into_bytes();
                    mine.push((journal.append(Admission::New, text.clone()).await.unwrap(), text));
                }
                mine
            });
        }
        while let Some(mine) = tasks.join_next().await {
            let mine = mine.unwrap();
            assert!(mine.is_sorted_by(|left, right| left.0 < right.0));
            acknowledged.extend(mine);
        }
    });
    assert_eq!(acknowledged.len(), 640);
    let stats = journal.stats();
    assert_eq!(stats.records, 640);
    assert!(stats.commits < stats.records, "{stats:?}");
    assert_eq!(contents(&journal).into_iter().collect::<BTreeMap<_, _>>(), acknowledged);
}

#[test]
fn records_of_one_append_stay_together() {
    let dir = tempdir().unwrap();
    let journal = open(&dir);
    let last =
        runtime().block_on(journal.append_all(Admission::New, vec![b"opened".to_vec(), b"settled".to_vec()]));
    assert_eq!(journal.stats().commits, 1);
    let all = contents(&journal);
    assert_eq!(
        all.iter().map(|(_, payload)| payload.as_slice()).collect::<Vec<_>>(),
        [b"opened".as_slice(), b"settled"]
    );
    assert_eq!(all[1].0, last.unwrap());
}

#[test]
fn detached_records_are_kept_when_the_last_handle_goes() {
    let dir = tempdir().unwrap();
    let journal = open(&dir);
    for number in 0..100_u8 {
        journal.append_detached(vec![number]);
    }
    drop(journal);
    assert_eq!(payloads(&open(&dir)), (0..100).map(|number| vec![number]).collect::<Vec<_>>());
}

#[test]
fn an_append_that_nobody_waits_for_is_kept() {
    let dir = tempdir().unwrap();
    let journal = open(&dir);
    {
        let mut future = pin!(journal.append(Admission::New, b"left".to_vec()));
        // The first poll queues it; whether it is done by then does not matter.
        let _: Poll<_> = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
    drop(journal);
    assert_eq!(payloads(&open(&dir)), vec![b"left".to_vec()]);
}

#[test]
fn closing_keeps_what_is_queued_and_refuses_what_follows() {
    let dir = tempdir().unwrap();
    let journal = open(&dir);
    let other = journal.clone();
    journal.append_detached(b"queued".to_vec());
    journal.close().unwrap();
    assert_eq!(payloads(&other), vec![b"queued".to_vec()]);
    let refused = runtime().block_on(other.append(Admission::Continuing, b"late".to_vec()));
    assert!(matches!(refused, Err(JournalError::Closed)), "{refused:?}");
    other.append_detached(b"late".to_vec());
    assert_eq!(other.stats().detached_failures, 1);
    assert!(matches!(Journal::open(small(dir.path())), Err(JournalError::Locked { .. })));
    drop(other);
    assert_eq!(payloads(&open(&dir)), vec![b"queued".to_vec()]);
}

#[test]
fn only_one_opens_a_directory() {
    let dir = tempdir().unwrap();
    let journal = open(&dir);
    let refused = Journal::open(small(dir.path())).unwrap_err();
    assert!(matches!(&refused, JournalError::Locked { dir: named } if named == dir.path()), "{refused:?}");
    assert!(refused.to_string().contains(dir.path().to_str().unwrap()));
    append(&journal, b"still mine");
    drop(journal);
    open(&dir);
}

#[test]
fn a_consumer_sleeps_until_there_is_more() {
    let dir = tempdir().unwrap();
    let journal = open(&dir);
    runtime().block_on(async {
        let consumer = journal.clone();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            let (mut next, mut seen) = (consumer.first(), Vec::new());
            while seen.len() < 50 {
                consumer.wait_beyond(next).await;
                let batch = consumer.read(next, 64).unwrap();
                assert!(!batch.records.is_empty(), "woken with nothing to read");
                next = batch.next;
                seen.extend(batch.records.into_iter().map(|(_, payload)| payload));
            }
            seen
        });
        for number in 0..50_u8 {
            journal.append(Admission::New, vec![number]).await.unwrap();
        }
        let seen = tasks.join_next().await.unwrap().unwrap();
        assert_eq!(seen, (0..50).map(|number| vec![number]).collect::<Vec<_>>());
    });
}

#[test]
fn waiting_beyond_the_end_is_pending() {
    let dir = tempdir().unwrap();
    let journal = open(&dir);
    let position = append(&journal, b"one");
    let poll = |position| {
        pin!(journal.wait_beyond(position)).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    };
    assert!(poll(position));
    assert!(!poll(journal.durable_end()));
    assert!(!poll(Position::new(u64::MAX)));
}

#[test]
fn reading_and_forgetting_go_on_beside_appends() {
    let dir = tempdir().unwrap();
    let journal = open(&dir);
    let consumer = journal.clone();
    let reading = std::thread::spawn(move || {
        let (mut next, mut seen) = (consumer.first(), BTreeSet::new());
        while seen.len() < 2000 {
            let batch = consumer.read(next, 500).unwrap();
            next = batch.next;
            consumer.forget(next).unwrap();
            seen.extend(batch.records.into_iter().map(|(_, payload)| payload));
            std::thread::yield_now();
        }
        seen
    });
    let runtime = runtime();
    for number in 0..2000_u32 {
        runtime.block_on(journal.append(Admission::New, number.to_be_bytes().to_vec())).unwrap();
    }
    let expected: BTreeSet<_> = (0..2000_u32).map(|number| number.to_be_bytes().to_vec()).collect();
    assert_eq!(reading.join().unwrap(), expected);
    assert_eq!(journal.first(), journal.durable_end());
}

/// Nothing keeps a segment from being removed between the look-up and the opening.
#[test]
fn a_segment_that_goes_while_it_is_looked_up_is_no_error() {
    let dir = tempdir().unwrap();
    let journal = open(&dir);
    let positions = append_texts(&journal, texts(0..50));
    let shared = &journal.inner.shared;
    let (base, following) = shared.segment_at(positions[1].get()).unwrap();
    assert_eq!((base, following), (0, shared.segment_at(following.unwrap()).map(|found| found.0)));
    assert!(reader::open(shared, base, positions[1].get()).unwrap().is_some());
    journal.forget(positions[40]).unwrap();
    assert!(reader::open(shared, base, positions[1].get()).unwrap().is_none());
    assert_eq!(shared.segment_at(positions[1].get()), None);

    // One that goes although it is needed is an error.
    std::fs::remove_file(&segments(dir.path())[0]).unwrap();
    let refused = journal.read(journal.first(), 1);
    assert!(matches!(refused, Err(JournalError::Io { action: "open", .. })), "{refused:?}");
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_look() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempdir().unwrap();
    let inner = dir.path().join("data").join("journal");
    let journal = Journal::open(small(&inner)).unwrap();
    append(&journal, b"secret");
    journal.forget(journal.durable_end()).unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inner), 0o700);
    let files: Vec<_> = std::fs::read_dir(&inner).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 4, "{files:?}");
    assert!(files.iter().all(|path| mode(path) == 0o600));
}
