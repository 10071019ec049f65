//! A call that stays open while thousands of others pass.

use mai_journal::{Journal, JournalSettings, SyncMode};
use mai_storage::{Storage, testing::TestDb};

use crate::{
    books::{Books, Running, append, applier, apply, apply_all, exact, new_settled, opened, settled},
    road::call,
    run,
};

const MAX_BYTES: u64 = 128 << 10;

fn small(folder: &tempfile::TempDir) -> JournalSettings {
    JournalSettings {
        max_bytes: MAX_BYTES,
        segment_bytes: 8 << 10,
        sync: SyncMode::Os,
        ..JournalSettings::new(folder.path())
    }
}

/// Lets many calls pass, in groups that are applied before the next, and watches the journal's size.
async fn pass(journal: &Journal, running: &Running, groups: u32, name: &str) {
    for group in 0..groups {
        let mut records = Vec::new();
        for one in 0..40 {
            let (call, id) = (call("org_b", true), format!("gen-{name}-{group}-{one}"));
            records.extend([opened(&call, &id), settled(&call, &id, exact(1))]);
        }
        append(journal, &records).await;
        running.applied(journal).await;
        let retained = journal.stats().retained_bytes;
        assert!(retained < MAX_BYTES, "{retained} bytes are kept after group {group}");
    }
}

async fn long_call(storage: &Storage) {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(small(&folder)).unwrap();
    let running = Running::start(applier(&journal, storage));
    let long = call("org_a", true);
    append(&journal, &[opened(&long, "gen-long")]).await;
    pass(&journal, &running, 50, "first").await;
    assert_eq!(Books::of(storage, "org_a").waiting(), []);

    append(&journal, &[settled(&long, "gen-long", exact(77))]).await;
    running.applied(&journal).await;
    // The carried copies that are still there open nothing again.
    append(&journal, &[new_settled("org_b", "gen-last", exact(1))]).await;
    running.applied(&journal).await;
    running.stop().await;
    assert_eq!(journal.first(), journal.durable_end(), "nothing is kept any more");
    drop(journal);
    apply_all(&Journal::open(small(&folder)).unwrap(), storage).await;

    let books = Books::of(storage, "org_a");
    assert_eq!((books.booked(), books.raw_nanos()), (vec!["gen-long"], 77));
    assert_eq!(books.waiting(), []);
    assert_eq!(Books::of(storage, "org_b").raw_nanos(), 50 * 40 + 1);
}

#[test]
fn a_long_call_holds_no_room_and_is_settled_in_the_end() {
    TestDb::each(|storage| run(long_call(storage)));
}

/// Only the carried copy is left of it when the process dies.
#[test]
fn a_long_call_that_was_carried_on_is_found_after_a_crash() {
    let database = TestDb::sqlite();
    let storage = &database.storage;
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(small(&folder)).unwrap();
        let running = Running::start(applier(&journal, storage));
        let beginning = append(&journal, &[opened(&call("org_a", true), "gen-long")]).await;
        pass(&journal, &running, 10, "first").await;
        assert!(journal.first() > beginning, "the first record is gone");
        running.stop().await;
        drop(journal);

        // A second process that lives for as long, and a third one.
        let journal = Journal::open(small(&folder)).unwrap();
        let running = Running::start(applier(&journal, storage));
        pass(&journal, &running, 10, "second").await;
        running.stop().await;
        drop(journal);
        apply_all(&Journal::open(small(&folder)).unwrap(), storage).await;
        let books = Books::of(storage, "org_a");
        assert_eq!(books.waiting(), [("gen-long", mai_generation_processing::PendingReason::Crash)]);
    });
}

/// More open calls than fit into the distance over which they are carried: their own copies must not
/// be the reason to copy them again.
#[test]
fn many_open_calls_are_not_carried_without_end() {
    let database = TestDb::sqlite();
    let storage = &database.storage;
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(small(&folder)).unwrap();
        let applier = applier(&journal, storage);
        let calls: Vec<_> =
            (0..200).map(|number| (call("org_a", true), format!("gen-{number:03}"))).collect();
        let records: Vec<_> = calls.iter().map(|(call, id)| opened(call, id)).collect();
        append(&journal, &records).await;
        assert!(journal.stats().retained_bytes > 2 * MAX_BYTES / 8);
        // It returns when there is nothing left to do.
        let idle = tokio::time::timeout(crate::PATIENCE, apply(applier)).await;
        assert!(idle.is_ok(), "{} records were written for {}", journal.stats().records, calls.len());
    });
}
