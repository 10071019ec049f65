//! Random histories against a model in memory.

use std::{
    fs::{self, OpenOptions},
    io::Write,
};

use proptest::prelude::*;
use tempfile::tempdir;

use super::{contents, runtime, segments, small};
use crate::{Admission, Journal, JournalError, JournalSettings, Position};

const MAX_BYTES: u64 = 1500;
const FRAME_HEADER: u64 = 8;

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<Vec<u8>>),
    Detached(Vec<u8>),
    /// A lazy record, and one that continues work.
    Lazy(Vec<u8>),
    /// Forget this share of the records, in percent.
    Forget(usize),
    Reopen,
    /// Close, leave this behind the last record, open.
    Garbage(Vec<u8>),
    /// Close, cut this many bytes from the last segment, open.
    Cut(u64),
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 1..120)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(payload(), 1..4).prop_map(Step::Append),
        2 => payload().prop_map(Step::Detached),
        2 => payload().prop_map(Step::Lazy),
        2 => (0..=100_usize).prop_map(Step::Forget),
        1 => Just(Step::Reopen),
        1 => prop::collection::vec(any::<u8>(), 1..40).prop_map(Step::Garbage),
        1 => (1..200_u64).prop_map(Step::Cut),
    ]
}

/// What must be readable.
#[derive(Default)]
struct Model {
    records: Vec<(Position, Vec<u8>)>,
    first: u64,
    end: u64,
}

impl Model {
    fn append(&mut self, payload: Vec<u8>) {
        let bytes = FRAME_HEADER + u64::try_from(payload.len()).unwrap();
        self.records.push((Position::new(self.end), payload));
        self.end += bytes;
    }

    /// The last segment begins at `base` and has `length` bytes left.
    fn cut(&mut self, base: u64, length: u64) {
        while let Some((position, payload)) = self.records.last() {
            if position.get() + FRAME_HEADER + u64::try_from(payload.len()).unwrap() <= base + length {
                break;
            }
            self.end = position.get();
            self.records.pop();
        }
        if self.records.is_empty() {
            // Forgotten records may be cut as well, but no position is given twice.
            self.end = self.first;
        }
    }
}

fn open(dir: &std::path::Path) -> Journal {
    Journal::open(JournalSettings { max_bytes: MAX_BYTES, ..small(dir) }).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_history_reads_back(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = runtime();
        let dir = tempdir().unwrap();
        let mut journal = open(dir.path());
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Append(payloads) => {
                    match runtime.block_on(journal.append_all(Admission::New, payloads.clone())) {
                        Ok(last) => {
                            for payload in payloads {
                                model.append(payload);
                            }
                            prop_assert_eq!(Some(last), model.records.last().map(|record| record.0));
                        }
                        Err(JournalError::Full { retained_bytes, .. }) => {
                            let bytes: usize = payloads.iter().map(|payload| payload.len() + 8).sum();
                            prop_assert!(retained_bytes + u64::try_from(bytes).unwrap() > MAX_BYTES);
                        }
                        Err(other) => panic!("{other:?}"),
                    }
                }
                Step::Detached(payload) => {
                    journal.append_detached(payload.clone());
                    model.append(payload);
                    runtime.block_on(journal.wait_beyond(Position::new(model.end - 1)));
                }
                Step::Lazy(payload) => {
                    let before = journal.stats();
                    journal.append_lazily(payload.clone());
                    let last = runtime.block_on(journal.append(Admission::Continuing, vec![1])).unwrap();
                    if journal.stats().lazy_dropped == before.lazy_dropped {
                        model.append(payload);
                    } else {
                        let bytes = FRAME_HEADER + u64::try_from(payload.len()).unwrap();
                        prop_assert!(before.retained_bytes + bytes > MAX_BYTES);
                    }
                    model.append(vec![1]);
                    prop_assert_eq!(Some(last), model.records.last().map(|record| record.0));
                }
                Step::Forget(percent) => {
                    let index = model.records.len() * percent / 100;
                    let below = model.records.get(index).map_or(model.end, |record| record.0.get());
                    journal.forget(Position::new(below)).unwrap();
                    model.records.drain(..index);
                    model.first = below;
                }
                Step::Reopen | Step::Garbage(_) | Step::Cut(_) => {
                    journal.close().unwrap();
                    let path = segments(dir.path()).pop().unwrap();
                    let length = fs::metadata(&path).unwrap().len();
                    if let Step::Garbage(garbage) = &step {
                        OpenOptions::new().append(true).open(&path).unwrap().write_all(garbage).unwrap();
                    }
                    if let Step::Cut(bytes) = step {
                        let left = length.saturating_sub(bytes);
                        OpenOptions::new().write(true).open(&path).unwrap().set_len(left).unwrap();
                        let base = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
                        model.cut(base, left);
                    }
                    journal = open(dir.path());
                }
            }
            prop_assert_eq!(contents(&journal), model.records.clone());
            prop_assert_eq!(journal.first().get(), model.first);
            prop_assert_eq!(journal.durable_end().get(), model.end);
        }
    }
}
