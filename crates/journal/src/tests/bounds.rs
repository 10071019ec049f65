//! The bound on disk, and the sizes that are refused.

use tempfile::tempdir;

use super::{append, open, payloads, runtime, segments, small};
use crate::{Admission, Journal, JournalError, JournalSettings};

fn bounded(max_bytes: u64) -> (tempfile::TempDir, Journal) {
    let dir = tempdir().unwrap();
    let settings = JournalSettings { max_bytes, ..small(dir.path()) };
    let journal = Journal::open(settings).unwrap();
    (dir, journal)
}

/// Appends until the journal refuses, and returns how many it took.
fn fill(journal: &Journal, class: Admission, payload: &[u8]) -> u32 {
    let runtime = runtime();
    for count in 0..1_000_000 {
        match runtime.block_on(journal.append(class, payload.to_vec())) {
            Ok(_) => {}
            Err(JournalError::Full { .. }) => return count,
            Err(other) => panic!("{other:?}"),
        }
    }
    panic!("the journal never became full")
}

#[test]
fn new_work_is_refused_first_and_forgetting_makes_room() {
    let (dir, journal) = bounded(1024);
    // A frame of 92 bytes of payload has 100 bytes.
    assert_eq!(fill(&journal, Admission::New, &[1; 92]), 10);
    let refused = runtime().block_on(journal.append(Admission::New, vec![1; 92]));
    assert!(
        matches!(refused, Err(JournalError::Full { retained_bytes: 1000, limit_bytes: 1024 })),
        "{refused:?}"
    );
    runtime().block_on(journal.append(Admission::Continuing, vec![2; 92])).unwrap();
    assert_eq!(journal.stats().retained_bytes, 1100);
    assert_eq!(payloads(&journal).len(), 11);

    journal.forget(journal.durable_end()).unwrap();
    append(&journal, &[3; 92]);
    assert_eq!(payloads(&journal), vec![vec![3; 92]]);
    assert!(segments(dir.path()).len() <= 2);
}

#[test]
fn the_reserve_is_bounded_too() {
    let (_dir, journal) = bounded(1024);
    fill(&journal, Admission::Continuing, &[1; 10_000]);
    let reserve = 1024 * 1024;
    let retained = journal.stats().retained_bytes;
    assert!(retained <= 1024 + reserve && retained > reserve - 10_000, "{retained} bytes");
    journal.append_detached(vec![1; 10_000]);
    journal.close().unwrap();
}

/// A journal that accepted work filled to the last byte can still be emptied: every record that is needed
/// is copied, and then the originals are forgotten.
#[test]
fn there_is_always_room_to_move_what_is_needed() {
    let (_dir, journal) = bounded(1024);
    fill(&journal, Admission::Continuing, &[1; 10_000]);
    fill(&journal, Admission::Continuing, &[2; 100]);
    fill(&journal, Admission::Continuing, &[3; 1]);
    let (full, originals) = (journal.durable_end(), payloads(&journal));
    for original in &originals {
        runtime().block_on(journal.append(Admission::Moving, original.clone())).unwrap();
    }
    journal.forget(full).unwrap();
    assert_eq!(payloads(&journal), originals);
    // It is a bound all the same.
    fill(&journal, Admission::Moving, &[4; 10_000]);
    assert!(journal.stats().retained_bytes <= 2 * (1024 + 1024 * 1024));
}

#[test]
fn a_single_oversized_segment_does_not_stay_for_ever() {
    let (_dir, journal) = bounded(256);
    runtime().block_on(journal.append(Admission::Continuing, vec![1; 1000])).unwrap();
    journal.forget(journal.durable_end()).unwrap();
    append(&journal, b"fits again");
    assert_eq!(journal.stats().retained_bytes, 18);
}

#[test]
fn an_append_is_admitted_or_refused_as_a_whole() {
    let (_dir, journal) = bounded(1024);
    let too_much = vec![vec![1; 92]; 11];
    let refused = runtime().block_on(journal.append_all(Admission::New, too_much));
    assert!(matches!(refused, Err(JournalError::Full { .. })), "{refused:?}");
    assert_eq!(payloads(&journal).len(), 0);
}

#[test]
fn sizes_are_checked() {
    let dir = tempdir().unwrap();
    let journal = open(&dir);
    for payloads in [vec![], vec![vec![]], vec![vec![1], vec![0; 1024 * 1024 + 1]]] {
        let refused = runtime().block_on(journal.append_all(Admission::New, payloads));
        assert!(matches!(refused, Err(JournalError::RecordSize { .. })), "{refused:?}");
    }
    journal.append_detached(vec![]);
    assert_eq!(journal.stats().detached_failures, 1);
    assert_eq!(payloads(&journal).len(), 0);
}

#[test]
fn settings_are_checked() {
    let dir = tempdir().unwrap();
    let zero = JournalSettings { segment_bytes: 0, ..small(dir.path()) };
    let narrow = JournalSettings { max_bytes: 255, ..small(dir.path()) };
    for settings in [zero, narrow] {
        assert!(matches!(Journal::open(settings), Err(JournalError::Settings(_))));
    }
}
