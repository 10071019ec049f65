//! What is there after the journal was closed, torn or damaged.

use std::{
    fs::{self, OpenOptions},
    io::Write,
};

use tempfile::tempdir;

use super::{append, append_texts, bytes, contents, open, payloads, segments, small, texts};
use crate::{Journal, JournalError, JournalSettings, Position, SyncMode};

#[test]
fn order_and_positions_survive_reopening() {
    let dir = tempdir().unwrap();
    let texts = texts(0..100);
    let settings = JournalSettings { sync: SyncMode::Disk, ..small(dir.path()) };
    let journal = Journal::open(settings.clone()).unwrap();
    let positions = append_texts(&journal, texts.clone());
    assert!(positions.is_sorted_by(|left, right| left < right));
    let before = contents(&journal);
    assert_eq!(before.iter().map(|(position, _)| *position).collect::<Vec<_>>(), positions);
    journal.close().unwrap();

    let journal = Journal::open(settings).unwrap();
    assert_eq!(contents(&journal), before);
    assert_eq!(payloads(&journal), bytes(&texts));
    assert_eq!(journal.recovery().records, 100);
    assert_eq!(journal.recovery().truncated_bytes, 0);
    assert_eq!(journal.recovery().segments, segments(dir.path()).len());
    assert!(segments(dir.path()).len() > 5);
}

#[test]
fn a_record_larger_than_segment_and_chunk_is_kept() {
    let dir = tempdir().unwrap();
    let journal = open(&dir);
    let large = vec![7; 1024 * 1024];
    append(&journal, b"before");
    append(&journal, &large);
    append(&journal, b"behind");
    drop(journal);
    let journal = open(&dir);
    assert_eq!(payloads(&journal), vec![b"before".to_vec(), large, b"behind".to_vec()]);
}

#[test]
fn reading_may_begin_anywhere() {
    let dir = tempdir().unwrap();
    let journal = open(&dir);
    append_texts(&journal, texts(0..30));
    let all = contents(&journal);
    for from in 0..=journal.durable_end().get() + 1 {
        let from = Position::new(from);
        let expected: Vec<_> = all.iter().filter(|(position, _)| *position >= from).cloned().collect();
        assert_eq!(journal.read(from, usize::MAX).unwrap().records, expected, "from {from}");
    }
}

/// The bytes of a last segment with three records, and where the records begin and end.
fn last_segment() -> (Vec<u8>, Vec<u64>) {
    let dir = tempdir().unwrap();
    let journal = open(&dir);
    let mut bounds: Vec<_> =
        append_texts(&journal, texts(0..3)).iter().map(|position| position.get()).collect();
    bounds.push(journal.durable_end().get());
    drop(journal);
    let paths = segments(dir.path());
    assert_eq!(paths.len(), 1);
    (fs::read(&paths[0]).unwrap(), bounds)
}

/// Opens a directory whose only segment is this, and expects the first `whole` of three records.
fn opens_with(segment: &[u8], whole: usize) {
    let dir = tempdir().unwrap();
    let path = dir.path().join(format!("{:020}.log", 0));
    fs::write(&path, segment).unwrap();
    let journal = open(&dir);
    let mut expected = bytes(&texts(0..3))[..whole].to_vec();
    assert_eq!(payloads(&journal), expected);
    let kept = journal.durable_end().get();
    assert_eq!(journal.recovery().truncated_bytes, u64::try_from(segment.len()).unwrap() - kept);
    assert_eq!(fs::metadata(&path).unwrap().len(), kept);

    append(&journal, b"new");
    drop(journal);
    expected.push(b"new".to_vec());
    assert_eq!(payloads(&open(&dir)), expected);
}

#[test]
fn a_tail_torn_at_any_byte_is_cut() {
    let (segment, bounds) = last_segment();
    for length in 0..=segment.len() {
        let whole = bounds[1..].iter().filter(|end| **end <= u64::try_from(length).unwrap()).count();
        opens_with(&segment[..length], whole);
    }
}

#[test]
fn a_flipped_bit_in_the_tail_cuts_there() {
    let (segment, bounds) = last_segment();
    for at in 0..segment.len() {
        let mut damaged = segment.clone();
        damaged[at] ^= 1 << (at % 8);
        let whole = bounds[1..].iter().filter(|end| **end <= u64::try_from(at).unwrap()).count();
        opens_with(&damaged, whole);
    }
}

#[test]
fn garbage_and_zeroes_behind_the_last_record_are_cut() {
    let (segment, _) = last_segment();
    for tail in [vec![0; 5000], vec![0xff; 300], segment.clone()] {
        opens_with(&[segment.clone(), tail].concat(), 3);
    }
}

#[test]
fn damage_in_an_earlier_segment_is_an_error() {
    let dir = tempdir().unwrap();
    append_texts(&open(&dir), texts(0..50));
    let path = segments(dir.path())[2].clone();
    let good = fs::read(&path).unwrap();
    let corrupt_at = |content: &[u8]| {
        fs::write(&path, content).unwrap();
        match Journal::open(small(dir.path())) {
            Err(JournalError::Corrupt { segment, offset }) => {
                assert_eq!(segment, path);
                offset
            }
            other => panic!("{other:?}"),
        }
    };
    let mut flipped = good.clone();
    flipped[20] ^= 1;
    assert_eq!(corrupt_at(&flipped), 0);
    assert!(corrupt_at(&good[..good.len() - 1]) > 0);
    let longer = [good.as_slice(), b"more"].concat();
    assert_eq!(corrupt_at(&longer), u64::try_from(good.len()).unwrap());
    // The refused journal is left as it is, for whoever repairs it.
    assert_eq!(fs::read(&path).unwrap(), longer);
    fs::write(&path, &good).unwrap();
    assert_eq!(payloads(&open(&dir)), bytes(&texts(0..50)));
}

#[test]
fn a_missing_segment_is_an_error() {
    let dir = tempdir().unwrap();
    append_texts(&open(&dir), texts(0..50));
    fs::remove_file(&segments(dir.path())[2]).unwrap();
    let refused = Journal::open(small(dir.path()));
    assert!(matches!(refused, Err(JournalError::Corrupt { .. })), "{refused:?}");
}

#[test]
fn damage_while_open_is_an_error_of_reading() {
    let dir = tempdir().unwrap();
    let journal = open(&dir);
    let positions = append_texts(&journal, texts(0..3));
    let damaged_at = positions[1].get();
    let path = segments(dir.path())[0].clone();
    let mut segment = fs::read(&path).unwrap();
    segment[usize::try_from(damaged_at).unwrap() + 9] ^= 1;
    fs::write(&path, segment).unwrap();
    let before = journal.read(journal.first(), 1000).unwrap();
    assert_eq!((before.records.len(), before.next), (1, positions[1]));
    let read = journal.read(before.next, 1000);
    assert!(matches!(read, Err(JournalError::Corrupt { offset, .. }) if offset == damaged_at), "{read:?}");
}

#[test]
fn what_is_forgotten_stays_forgotten() {
    let dir = tempdir().unwrap();
    let journal = open(&dir);
    let positions = append_texts(&journal, texts(0..50));
    let before = segments(dir.path()).len();
    journal.forget(positions[30]).unwrap();
    journal.forget(positions[10]).unwrap();
    assert_eq!(journal.first(), positions[30]);
    let after = segments(dir.path()).len();
    assert!(after < before, "{after} of {before} segments");
    drop(journal);

    let journal = open(&dir);
    assert_eq!(journal.first(), positions[30]);
    assert_eq!(payloads(&journal), bytes(&texts(30..50)));
    assert_eq!(journal.read(Position::new(0), 1).unwrap().records[0].0, positions[30]);
    let end = journal.durable_end();
    journal.forget(end).unwrap();
    assert_eq!(segments(dir.path()).len(), 1);
    drop(journal);

    let journal = open(&dir);
    assert_eq!(payloads(&journal), Vec::<Vec<u8>>::new());
    assert_eq!(append(&journal, b"next"), end);
}

#[test]
fn forgetting_what_is_not_there_yet_is_an_error() {
    let dir = tempdir().unwrap();
    let journal = open(&dir);
    append(&journal, b"one");
    let durable_end = journal.durable_end();
    let asked = Position::new(durable_end.get() + 1);
    let refused = journal.forget(asked);
    assert!(
        matches!(refused, Err(JournalError::NotDurable { asked: a, durable_end: d }) if a == asked && d == durable_end)
    );
    assert_eq!(journal.first(), Position::default());
}

#[test]
fn a_lost_checkpoint_replays_everything_retained() {
    let dir = tempdir().unwrap();
    let journal = open(&dir);
    let positions = append_texts(&journal, texts(0..5));
    journal.forget(positions[2]).unwrap();
    drop(journal);
    for damage in [b"".as_slice(), b"not a checkpoint"] {
        fs::write(dir.path().join("checkpoint"), damage).unwrap();
        assert_eq!(payloads(&open(&dir)), bytes(&texts(0..5)));
    }
}

#[test]
fn positions_do_not_go_back_when_the_end_is_lost() {
    let dir = tempdir().unwrap();
    let journal = open(&dir);
    append_texts(&journal, texts(0..50));
    let end = journal.durable_end();
    journal.forget(end).unwrap();
    drop(journal);
    let path = segments(dir.path())[0].clone();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(3).unwrap();
    let journal = open(&dir);
    assert_eq!((journal.first(), journal.durable_end()), (end, end));
    assert_eq!(append(&journal, b"next"), end);
    drop(journal);
    assert_eq!(payloads(&open(&dir)), vec![b"next".to_vec()]);
}

#[test]
fn a_removal_that_a_crash_cut_short_is_finished() {
    let dir = tempdir().unwrap();
    let journal = open(&dir);
    let positions = append_texts(&journal, texts(0..50));
    let (path, saved) = (segments(dir.path())[0].clone(), fs::read(&segments(dir.path())[0]).unwrap());
    journal.forget(positions[40]).unwrap();
    drop(journal);
    assert!(!path.exists());
    fs::write(&path, saved).unwrap();
    let journal = Journal::open(small(dir.path()));
    // The segments between are gone: what is left of the removal is not a hole in the log.
    assert_eq!(payloads(&journal.unwrap()), bytes(&texts(40..50)));
    assert!(!path.exists());
}

#[test]
fn other_files_in_the_directory_are_left_alone() {
    let dir = tempdir().unwrap();
    for name in ["notes.txt", "7.log", "x.log"] {
        fs::File::create(dir.path().join(name)).unwrap().write_all(b"mine").unwrap();
    }
    let journal = open(&dir);
    append(&journal, b"one");
    assert_eq!(payloads(&journal), vec![b"one".to_vec()]);
    assert_eq!(fs::read(dir.path().join("7.log")).unwrap(), b"mine");
}
