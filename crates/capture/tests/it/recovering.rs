//! Calls that an earlier process left open, and those of this one.

use futures_util::FutureExt;
use mai_capture::record::{Record, Sent};
use mai_generation_processing::{PendingReason, PendingState};
use mai_journal::{Admission, Journal, JournalSettings, Position, SyncMode};
use mai_storage::testing::TestDb;

use crate::{
    books::{Books, Running, append, applier, apply_all, exact, failed, new_settled, open, opened, settled},
    eventually,
    road::{Road, Wish, call, records},
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

/// What a crash leaves of a call that was sent: how far it had come decides what is known of it.
#[test]
fn a_call_that_was_sent_is_visible_after_a_crash() {
    TestDb::each(|storage| {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let calls: Vec<_> = (0..3).map(|_| call("org_a", false)).collect();
            let sent = |at: usize| Record::Sent(Sent { call: calls[at].clone() });
            let journal = open(&folder);
            append(
                &journal,
                &[
                    sent(0),
                    sent(1),
                    sent(2),
                    opened(&calls[1], "gen-opened"),
                    settled(&calls[2], "gen-settled", exact(7)),
                ],
            )
            .await;
            drop(journal);
            let journal = open(&folder);
            apply_all(&journal, storage).await;
            let books = Books::of(storage, "org_a");
            let own = calls[0].exchange.to_string();
            let crash = PendingReason::Crash;
            assert_eq!(books.waiting(), [("gen-opened", crash), (own.as_str(), crash)]);
            let state = |id: &str| books.pending.iter().find(|row| row.id.as_str() == id).unwrap().state;
            // Of the one nobody can be asked, the other is looked up.
            assert_eq!((state(&own), state("gen-opened")), (PendingState::Unresolved, PendingState::Pending));
            assert_eq!(books.booked(), ["gen-settled"]);
            assert_eq!(journal.first(), journal.durable_end());
        });
    });
}

/// The same on the way of a real call: the process dies while upstream is silent.
#[test]
fn a_crash_before_the_head_of_an_answer_leaves_a_trace() {
    let database = TestDb::sqlite();
    run(async {
        let road = Road::new();
        let waiting = call("org_road", false);
        let exchange = waiting.exchange.clone();
        let wish = Wish::plain("headers-then-nothing,delay-headers-3600000");
        let mut sending = Box::pin(road.answer(waiting, &wish));
        assert!((&mut sending).now_or_never().is_none());
        eventually("upstream has the request", || road.mock.request_count() == 1).await;
        // It needs no sync to survive the process.
        eventually("the call is noted", || {
            let image = road.crash_image();
            !records(&open(&image), Position::default()).is_empty()
        })
        .await;
        let image = road.crash_image();
        apply_all(&open(&image), &database.storage).await;
        let books = Books::of(&database.storage, "org_road");
        assert_eq!(books.waiting(), [(exchange.to_string().as_str(), PendingReason::Crash)]);
    });
}

/// A call that was sent and has no answer yet holds its record, however much is applied behind it.
#[test]
fn a_sent_call_is_not_forgotten_before_it_is_over() {
    let database = TestDb::sqlite();
    let storage = &database.storage;
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(&folder);
        let waiting = call("org_a", false);
        let running = Running::start(applier(&journal, storage));
        let position = append(&journal, &[Record::Sent(Sent { call: waiting.clone() })]).await;
        append(&journal, &[new_settled("org_a", "gen-1", exact(1))]).await;
        running.applied(&journal).await;
        assert_eq!(journal.first(), position);
        append(&journal, &[settled(&waiting, "", failed())]).await;
        running.applied(&journal).await;
        running.stop().await;
        assert_eq!(journal.first(), journal.durable_end());
        assert_eq!(Books::of(storage, "org_a").waiting(), []);
    });
}
