//! Calls that an earlier process left open, and those of this one.

use mai_generation_processing::PendingReason;
use mai_journal::{Admission, Journal, JournalSettings, SyncMode};
use mai_storage::testing::TestDb;

use crate::{
    books::{Books, Running, append, applier, apply_all, exact, new_settled, open, opened, settled},
    eventually,
    road::call,
    run,
};

#[test]
fn only_calls_of_an_earlier_process_count_as_crashed() {
    TestDb::each(|storage| {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let (before, finished, now) = (call("org_a", true), call("org_a", true), call("org_a", true));
            let journal = open(&folder);
            append(
                &journal,
                &[
                    opened(&before, "gen-before"),
                    opened(&finished, "gen-finished"),
                    settled(&finished, "gen-finished", exact(1)),
                ],
            )
            .await;
            drop(journal);

            let journal = open(&folder);
            let applier = applier(&journal, storage);
            // Before the applier looks for the first time, so that one batch has both kinds.
            append(&journal, &[opened(&now, "gen-now")]).await;
            let running = Running::start(applier);
            eventually("a crashed call", || !Books::of(storage, "org_a").pending.is_empty()).await;
            let books = Books::of(storage, "org_a");
            assert_eq!(books.waiting(), [("gen-before", PendingReason::Crash)]);
            assert_eq!(books.booked(), ["gen-finished"]);

            append(&journal, &[settled(&now, "gen-now", exact(2))]).await;
            running.applied(&journal).await;
            running.stop().await;
            let books = Books::of(storage, "org_a");
            assert_eq!(books.booked(), ["gen-finished", "gen-now"]);
            assert_eq!(books.waiting(), [("gen-before", PendingReason::Crash)]);
            assert_eq!(journal.first(), journal.durable_end());
        });
    });
}

/// While a call is open, the journal keeps its record, whatever else is applied and forgotten.
#[test]
fn an_open_call_is_not_forgotten() {
    TestDb::each(|storage| {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let journal = open(&folder);
            let long = call("org_a", true);
            let running = Running::start(applier(&journal, storage));
            append(&journal, &[new_settled("org_a", "gen-1", exact(1)), opened(&long, "gen-long")]).await;
            append(&journal, &[new_settled("org_a", "gen-2", exact(2))]).await;
            running.applied(&journal).await;
            running.stop().await;
            assert!(journal.first() < journal.durable_end());
            drop(journal);
            apply_all(&open(&folder), storage).await;
            let books = Books::of(storage, "org_a");
            assert_eq!(books.waiting(), [("gen-long", PendingReason::Crash)]);
            assert_eq!(books.booked(), ["gen-1", "gen-2"]);
        });
    });
}

/// What an earlier process left may be more than one batch and more than the distance over which an
/// open call is carried on.
#[test]
fn a_crashed_call_far_behind_the_end_is_found_at_the_first_start() {
    let database = TestDb::sqlite();
    let storage = &database.storage;
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let settings = JournalSettings {
            max_bytes: 4 << 20,
            segment_bytes: 1 << 20,
            sync: SyncMode::Os,
            ..JournalSettings::new(folder.path())
        };
        let journal = Journal::open(settings.clone()).unwrap();
        let (lost, late) = (call("org_a", true), call("org_a", true));
        append(&journal, &[opened(&lost, "gen-lost"), opened(&late, "gen-late")]).await;
        let mut others = 0;
        while journal.stats().retained_bytes < 3 << 20 {
            let more: Vec<_> = (0..500)
                .map(|_| {
                    others += 1;
                    new_settled("org_b", &format!("gen-{others}"), exact(1)).to_bytes().unwrap()
                })
                .collect();
            journal.append_all(Admission::Continuing, more).await.unwrap();
        }
        append(&journal, &[settled(&late, "gen-late", exact(7))]).await;
        drop(journal);

        let journal = Journal::open(settings).unwrap();
        apply_all(&journal, storage).await;
        let books = Books::of(storage, "org_a");
        assert_eq!(books.waiting(), [("gen-lost", PendingReason::Crash)]);
        assert_eq!(books.booked(), ["gen-late"]);
        assert_eq!(Books::of(storage, "org_b").raw_nanos(), others);
        assert_eq!(journal.first(), journal.durable_end(), "nothing is kept any more");
    });
}
