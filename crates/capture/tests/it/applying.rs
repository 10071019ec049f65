//! What the journal holds is booked once, however often it is delivered.

use std::{collections::BTreeSet, fs, path::Path};

use mai_capture::{
    Call,
    call::NewMember,
    record::{Outcome, Record},
};
use mai_generation_processing::PendingReason;
use mai_journal::{Journal, JournalSettings};
use mai_storage::testing::TestDb;
use proptest::{prelude::*, test_runner::TestRunner};

use crate::{
    books::{Books, NO_USAGE, append, apply_all, exact, failed, new_settled, open, opened, settled},
    road::call,
    run,
};

/// What is known of a call by one delivery of its settled record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    Exact,
    Unknown,
}

/// One thing that happens to the journal.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The record of this call is delivered.
    Deliver(usize, Known),
    /// The opened record of this call is delivered.
    Open(usize),
    /// The process ends and another one begins, after what is there was applied.
    Restart,
}

const CALLS: usize = 5;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let known = prop_oneof![3 => Just(Known::Exact), 1 => Just(Known::Unknown)];
    let step = prop_oneof![
        6 => (0..CALLS, known).prop_map(|(call, known)| Step::Deliver(call, known)),
        2 => (0..CALLS).prop_map(Step::Open),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..25)
}

fn cost(call: usize) -> i64 {
    1_000 + i64::try_from(call).unwrap()
}

/// Plays the steps and compares the books with what follows from the steps alone.
async fn play(storage: &mai_storage::Storage, steps: &[Step], organization: &str) {
    let folder = tempfile::tempdir().unwrap();
    let calls: Vec<Call> = (0..CALLS).map(|_| call(organization, true)).collect();
    let id = |call: usize| format!("gen-{organization}-{call}");
    let (mut exact_ids, mut other_ids) = (BTreeSet::new(), BTreeSet::new());
    let mut journal = open(&folder);
    for step in steps {
        match *step {
            Step::Deliver(call, known) => {
                let outcome = if known == Known::Exact { exact(cost(call)) } else { NO_USAGE };
                append(&journal, &[settled(&calls[call], &id(call), outcome)]).await;
                if known == Known::Exact {
                    exact_ids.insert(call)
                } else {
                    other_ids.insert(call)
                };
            }
            Step::Open(call) => {
                append(&journal, &[opened(&calls[call], &id(call))]).await;
                // Whether it is settled later or not, it is known in the end.
                other_ids.insert(call);
            }
            Step::Restart => {
                apply_all(&journal, storage).await;
                drop(journal);
                journal = open(&folder);
            }
        }
    }
    apply_all(&journal, storage).await;
    drop(journal);
    // The last process finds what was left open.
    apply_all(&open(&folder), storage).await;

    let books = Books::of(storage, organization);
    let ids = |calls: &BTreeSet<usize>| calls.iter().map(|call| id(*call)).collect::<Vec<_>>();
    assert_eq!(books.booked(), ids(&exact_ids));
    let waiting: Vec<_> = books.waiting().into_iter().map(|(id, _)| id).collect();
    assert_eq!(waiting, ids(&other_ids.difference(&exact_ids).copied().collect()));
    assert_eq!(books.raw_nanos(), exact_ids.iter().map(|call| cost(*call)).sum::<i64>());
}

#[test]
fn records_in_any_order_and_number_are_booked_once() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    TestDb::each(|storage| {
        let number = std::cell::Cell::new(0);
        let config = ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() };
        let checked = TestRunner::new(config).run(&steps(), |steps| {
            number.set(number.get() + 1);
            runtime.block_on(play(storage, &steps, &format!("org_{}", number.get())));
            Ok(())
        });
        checked.unwrap();
    });
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A copy of the journal from before it was applied is what a crash between the database's commit and
/// the journal's forgetting leaves.
#[test]
fn a_crash_before_the_journal_forgets_changes_nothing() {
    TestDb::each(|storage| {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let (here, copy) = (folder.path().join("journal"), folder.path().join("copy"));
            let journal = Journal::open(JournalSettings::new(&here)).unwrap();
            let member = Call {
                new_member: Some(NewMember { name: Some("Anna".into()), ..NewMember::default() }),
                ..call("org_a", true)
            };
            append(
                &journal,
                &[
                    opened(&member, "gen-1"),
                    settled(&member, "gen-1", exact(700)),
                    new_settled("org_a", "gen-2", exact(30)),
                    new_settled("org_b", "gen-2", exact(5)),
                    new_settled("org_a", "gen-3", NO_USAGE),
                    new_settled("org_a", "", failed()),
                    opened(&call("org_a", true), "gen-4"),
                ],
            )
            .await;
            drop(journal);
            copy_folder(&here, &copy);

            let read = || (Books::of(storage, "org_a"), Books::of(storage, "org_b"));
            for (folder, times) in [(&here, "once"), (&here, "again"), (&copy, "from the copy")] {
                let journal = Journal::open(JournalSettings::new(folder)).unwrap();
                apply_all(&journal, storage).await;
                let (a, b) = read();
                assert_eq!(a.booked(), ["gen-1", "gen-2"], "{times}");
                assert_eq!(
                    a.waiting(),
                    [("gen-3", PendingReason::NoUsage), ("gen-4", PendingReason::Crash)],
                    "{times}"
                );
                assert_eq!((a.failed, a.raw_nanos(), b.raw_nanos()), (1, 730, 5), "{times}");
            }
        });
    });
}

#[test]
fn a_call_without_an_id_is_pending_under_our_own() {
    TestDb::each(|storage| {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let journal = open(&folder);
            let call = call("org_a", true);
            let Record::Settled(mut unknown) = settled(&call, "gen-1", NO_USAGE) else { unreachable!() };
            unknown.generation_id = None;
            let mut exact_one = unknown.clone();
            exact_one.call = crate::road::call("org_a", true);
            exact_one.outcome = exact(42);
            append(&journal, &[Record::Settled(unknown), Record::Settled(exact_one.clone())]).await;
            apply_all(&journal, storage).await;
            let books = Books::of(storage, "org_a");
            let own = call.exchange.to_string();
            assert_eq!(books.waiting(), [(own.as_str(), PendingReason::NoGenerationId)]);
            assert_eq!(books.booked(), [exact_one.call.exchange.to_string()]);
        });
    });
}

/// The terms of a call are those of its start, whatever its records travelled with since.
#[test]
fn a_booked_row_says_what_the_record_said() {
    TestDb::each(|storage| {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let journal = open(&folder);
            let call = call("org_a", true);
            append(&journal, &[settled(&call, "gen-1", exact(1_000))]).await;
            apply_all(&journal, storage).await;
            let books = Books::of(storage, "org_a");
            let row = &books.ledger[0];
            let Outcome::Exact(usage) = exact(1_000) else { unreachable!() };
            assert_eq!(row.generation_date, call.usage_date);
            assert_eq!(row.markup_rate, call.markup_rate);
            assert_eq!(row.started_at, call.started_at);
            assert_eq!(row.requested_model, call.requested_model);
            assert_eq!(Some(&row.model_name), usage.model.as_ref());
            assert_eq!((row.total_cost.nanos(), row.markup_cost.nanos()), (1_000, 1_300));
            assert_eq!(row.source, mai_generation_processing::UsageSource::Gateway);
        });
    });
}
