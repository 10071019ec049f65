//! Records that cannot be applied as they are.

use diesel::{connection::SimpleConnection, prelude::*};
use mai_capture::{
    bounds::{COST_AT_MOST, TOKENS_AT_MOST},
    record::{Outcome, Record, Settled},
};
use mai_generation_processing::{PendingReason, PendingState, UsageSource, audit::list_audit};
use mai_journal::Admission;
use mai_primitives::MarkupRate;
use mai_storage::{DbConnection, Error, Storage, testing::TestDb};

use crate::{
    books::{
        Books, NO_USAGE, Running, append, applier, apply, apply_all, clean_up_everything, exact, new_settled,
        open, settled,
    },
    eventually,
    road::call,
    run,
};

fn assert_waiting_for_a_person(books: &Books, ids: &[&str]) {
    let reason = PendingReason::Unbookable;
    assert_eq!(books.waiting(), ids.iter().map(|id| (*id, reason)).collect::<Vec<_>>());
    for row in &books.pending {
        assert_eq!(row.state, PendingState::Unresolved);
        let why = row.last_error.as_deref().unwrap();
        assert!(why.contains("10 in + 5 out tokens"), "{why}");
    }
}

#[test]
fn a_generation_that_cannot_be_booked_waits_and_holds_up_nobody() {
    TestDb::each(|storage| {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let journal = open(&folder);
            append(
                &journal,
                &[
                    new_settled("org_a", "gen-1", exact(1)),
                    // No generation costs as much; a cost below zero is none.
                    new_settled("org_a", "gen-dear", exact(i64::MAX)),
                    new_settled("org_a", "gen-negative", exact(-1)),
                    new_settled("org_a", "gen-2", exact(2)),
                    new_settled("org_b", "gen-3", exact(3)),
                ],
            )
            .await;
            apply_all(&journal, storage).await;
            let books = Books::of(storage, "org_a");
            assert_eq!((books.booked(), books.raw_nanos()), (vec!["gen-1", "gen-2"], 3));
            assert_waiting_for_a_person(&books, &["gen-dear", "gen-negative"]);
            assert_eq!(Books::of(storage, "org_b").booked(), ["gen-3"]);
            assert_eq!(journal.first(), journal.durable_end());
        });
    });
}

/// What upstream says of one generation must not make its day's sums leave the range for all others.
#[test]
fn absurd_figures_are_not_booked_and_the_greatest_that_are_not_absurd_are() {
    TestDb::each(|storage| {
        run(async {
            let with = |id: &str, cost: i64, input: i64, cached: Option<i64>| {
                let Outcome::Exact(mut usage) = exact(cost) else { unreachable!() };
                (usage.input_tokens, usage.output_tokens, usage.cached_tokens) = (input, 1, cached);
                new_settled("org_a", id, Outcome::Exact(usage))
            };
            let (cost, input) = (COST_AT_MOST.nanos(), TOKENS_AT_MOST - 1);
            let folder = tempfile::tempdir().unwrap();
            let journal = open(&folder);
            append(
                &journal,
                &[
                    with("gen-1", cost, input, Some(TOKENS_AT_MOST)),
                    with("gen-cached", 1, 1, Some(TOKENS_AT_MOST + 1)),
                    with("gen-dear", cost + 1, 1, None),
                    with("gen-long", 1, input + 1, None),
                    with("gen-longest", 1, i64::MAX, None),
                    with("gen-2", 1, 1, None),
                ],
            )
            .await;
            apply_all(&journal, storage).await;
            let books = Books::of(storage, "org_a");
            assert_eq!((books.booked(), books.raw_nanos()), (vec!["gen-1", "gen-2"], cost + 1));
            let waiting = ["gen-cached", "gen-dear", "gen-long", "gen-longest"];
            assert_eq!(books.waiting(), waiting.map(|id| (id, PendingReason::Unbookable)));
            for row in &books.pending {
                assert_eq!(row.state, PendingState::Unresolved);
                assert!(row.last_error.as_deref().unwrap().contains("at most 1,000,000"), "{row:?}");
            }
        });
    });
}

/// Here each generation can be booked, but the day cannot hold both: it is the database that refuses.
#[test]
fn a_day_that_leaves_the_range_holds_up_nobody() {
    TestDb::each(|storage| {
        run(async {
            let dear = |id: &str| {
                let mut call = call("org_a", true);
                // Six million dollars; a day of an organization ends at ten.
                call.markup_rate = MarkupRate::from_ppm(6_000_000).unwrap();
                settled(&call, id, exact(COST_AT_MOST.nanos()))
            };
            let folder = tempfile::tempdir().unwrap();
            let journal = open(&folder);
            append(&journal, &[dear("gen-1"), dear("gen-2"), new_settled("org_b", "gen-3", exact(3))]).await;
            apply_all(&journal, storage).await;
            append(&journal, &[dear("gen-4"), new_settled("org_b", "gen-5", exact(5))]).await;
            apply_all(&journal, storage).await;
            let books = Books::of(storage, "org_a");
            assert_eq!(books.booked(), ["gen-1"]);
            assert_waiting_for_a_person(&books, &["gen-2", "gen-4"]);
            assert_eq!(Books::of(storage, "org_b").booked(), ["gen-3", "gen-5"]);
        });
    });
}

/// Two calls to which upstream gave one id: neither is lost, and neither is booked under a false one.
#[test]
fn other_usage_under_a_booked_id_is_kept_for_a_person() {
    TestDb::each(|storage| {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let journal = open(&folder);
            let second = call("org_a", true);
            let other = settled(&second, "gen-1", exact(2));
            append(&journal, &[new_settled("org_a", "gen-1", exact(1)), other.clone()]).await;
            apply_all(&journal, storage).await;
            append(&journal, &[other]).await;
            apply_all(&journal, storage).await;
            let books = Books::of(storage, "org_a");
            assert_eq!((books.booked(), books.raw_nanos()), (vec!["gen-1"], 1));
            let own = second.exchange.to_string();
            assert_eq!(books.waiting(), [(own.as_str(), PendingReason::Conflict)]);
            assert_eq!(books.pending[0].state, PendingState::Unresolved);
        });
    });
}

/// A look-up knows best; what the gateway saw of the same call is in the audit and nowhere else.
#[test]
fn what_a_better_source_has_booked_is_kept() {
    TestDb::each(|storage| {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let journal = open(&folder);
            append(
                &journal,
                &[
                    reported(new_settled("org_a", "gen-1", exact(3)), UsageSource::GenerationLookup),
                    new_settled("org_a", "gen-1", exact(2)),
                    reported(new_settled("org_a", "gen-2", exact(1)), UsageSource::Webhook),
                    new_settled("org_a", "gen-2", exact(5)),
                    reported(new_settled("org_a", "gen-2", exact(4)), UsageSource::Broadcast),
                    reported(new_settled("org_a", "gen-3", exact(1)), UsageSource::Webhook),
                    reported(new_settled("org_a", "gen-3", exact(2)), UsageSource::Webhook),
                ],
            )
            .await;
            apply_all(&journal, storage).await;
            let books = Books::of(storage, "org_a");
            assert_eq!((books.booked(), books.raw_nanos()), (vec!["gen-1", "gen-2", "gen-3"], 9));
            assert_eq!(books.waiting(), []);
            let audit = storage.read_blocking(|conn| list_audit(conn, None, 10)).unwrap();
            assert_eq!(audit.len(), 4);
        });
    });
}

/// The journal may hold a call for longer than the ledger shows what was booked.
#[test]
fn a_call_of_a_cleaned_day_waits_for_a_person() {
    TestDb::each(|storage| {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let journal = open(&folder);
            append(&journal, &[new_settled("org_a", "gen-old", NO_USAGE)]).await;
            apply_all(&journal, storage).await;
            clean_up_everything(storage).await;
            append(
                &journal,
                &[
                    new_settled("org_a", "gen-1", exact(1)),
                    new_settled("org_a", "gen-old", exact(2)),
                    reported(new_settled("org_a", "gen-2", exact(2)), UsageSource::Webhook),
                    reported(new_settled("org_a", "gen-3", exact(2)), UsageSource::Broadcast),
                ],
            )
            .await;
            apply_all(&journal, storage).await;
            let books = Books::of(storage, "org_a");
            assert_eq!(books.booked(), [""; 0]);
            let reasons = [("gen-1", PendingReason::Unbookable), ("gen-old", PendingReason::NoUsage)];
            assert_eq!(books.waiting(), reasons);
            for row in &books.pending {
                assert_eq!(row.state, PendingState::Unresolved);
                let why = row.last_error.as_deref().unwrap();
                assert!(why.contains("cleaned up") && why.contains("10 in + 5 out tokens"), "{why}");
            }
        });
    });
}

/// The record with another source.
fn reported(record: Record, source: UsageSource) -> Record {
    let Record::Settled(settled) = record else { unreachable!() };
    Record::Settled(Settled { source, ..settled })
}

/// In one batch with what stands before and behind it.
#[test]
fn an_unreadable_record_stops_the_applier_there_and_is_kept() {
    TestDb::each(|storage| {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let journal = open(&folder);
            append(&journal, &[new_settled("org_a", "gen-1", exact(1))]).await;
            let damaged = b"{\"kind\":\"of a later version\"}".to_vec();
            let position = journal.append(Admission::Continuing, damaged.clone()).await.unwrap();
            append(&journal, &[new_settled("org_a", "gen-2", exact(2))]).await;

            let applier = applier(&journal, storage);
            let running = Running::start(applier);
            eventually("the applier says that it fails", || running.state.trouble().is_some()).await;
            let why = running.state.trouble().unwrap();
            assert!(why.contains(&format!("at position {position}")), "{why}");
            assert_eq!(running.state.applied_to(), position);
            running.stop().await;
            assert_eq!(Books::of(storage, "org_a").booked(), ["gen-1"]);
            // Nothing is forgotten, also over a restart.
            drop(journal);
            let journal = open(&folder);
            apply(crate::books::applier(&journal, storage)).await;
            let kept = journal.read(journal.first(), usize::MAX).unwrap().records;
            assert_eq!(kept.len(), 2);
            assert_eq!(kept[0], (position, damaged));
            assert_eq!(Books::of(storage, "org_a").booked(), ["gen-1"]);
        });
    });
}

/// Makes the database refuse each new row of the ledger, with the text and code of some trouble.
fn refuse(storage: &Storage, text: &str, code: &str) {
    let on_sqlite = format!(
        "CREATE TRIGGER trouble BEFORE INSERT ON processed_generations \
         BEGIN SELECT RAISE(ABORT, '{text}'); END"
    );
    let on_postgres = format!(
        "CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN RAISE EXCEPTION '{text}' USING ERRCODE = '{code}'; END $$; \
         CREATE TRIGGER trouble BEFORE INSERT ON processed_generations \
         FOR EACH ROW EXECUTE FUNCTION trouble()"
    );
    let made = storage.write_blocking(|conn| {
        match conn {
            DbConnection::Sqlite(conn) => conn.batch_execute(&on_sqlite)?,
            DbConnection::Postgres(conn) => conn.batch_execute(&on_postgres)?,
        }
        Ok::<_, Error>(())
    });
    made.unwrap();
}

fn refuse_no_more(storage: &Storage) {
    let done = storage.write_blocking(|conn| {
        match conn {
            DbConnection::Sqlite(conn) => conn.batch_execute("DROP TRIGGER trouble")?,
            DbConnection::Postgres(conn) => conn.batch_execute("DROP FUNCTION trouble CASCADE")?,
        }
        Ok::<_, Error>(())
    });
    done.unwrap();
}

/// A disk that is full for a moment, a database that was switched to read-only: the records are good.
#[test]
fn trouble_of_the_database_is_never_taken_for_one_of_the_record() {
    TestDb::each(|storage| {
        let sqlite = matches!(storage.url(), mai_storage::DatabaseUrl::Sqlite(_));
        let troubles = if sqlite {
            ["database or disk is full", "attempt to write a readonly database", "disk I/O error"]
                .map(|text| (text, ""))
        } else {
            [
                ("could not extend file: No space left on device", "53100"),
                ("in whatever language", "25006"),
                ("canceling statement due to statement timeout", "57014"),
            ]
        };
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let journal = open(&folder);
            let mut booked = Vec::new();
            for (number, (text, code)) in troubles.into_iter().enumerate() {
                refuse(storage, text, code);
                let running = Running::start(applier(&journal, storage));
                let id = format!("gen-{number}");
                append(&journal, &[new_settled("org_a", &id, exact(1))]).await;
                eventually("the applier says that it fails", || running.state.trouble().is_some()).await;
                assert!(running.state.trouble().unwrap().contains(text), "{text}");
                refuse_no_more(storage);
                running.applied(&journal).await;
                running.stop().await;
                booked.push(id);
                let books = Books::of(storage, "org_a");
                assert_eq!(
                    (books.booked(), books.waiting()),
                    (booked.iter().map(String::as_str).collect(), vec![])
                );
            }
        });
    });
}

/// A message that we cannot read, as a server in another language sends it, is given some time.
#[test]
fn a_refusal_of_unclear_origin_is_tried_again() {
    let database = TestDb::postgres();
    let storage = &database.storage;
    let once = "CREATE SEQUENCE tries; \
        CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
        IF nextval('tries') <= 2 THEN RAISE EXCEPTION 'wykryto zakleszczenie' USING ERRCODE = '40P01'; END IF; \
        RETURN NEW; END $$; \
        CREATE TRIGGER trouble BEFORE INSERT ON processed_generations \
        FOR EACH ROW EXECUTE FUNCTION trouble()";
    storage.write_blocking(|conn| Ok::<_, Error>(conn.batch_execute(once)?)).unwrap();
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(&folder);
        append(&journal, &[new_settled("org_a", "gen-1", exact(1))]).await;
        apply_all(&journal, storage).await;
        let books = Books::of(storage, "org_a");
        assert_eq!((books.booked(), books.waiting()), (vec!["gen-1"], vec![]));
    });
}

/// However many records an organization in trouble has in a batch, the others of the batch wait for its
/// pauses once.
#[test]
fn the_pauses_of_an_unclear_refusal_are_those_of_a_batch_and_not_of_each_record() {
    const RECORDS: i64 = 20;
    TestDb::each(|storage| {
        let is_postgres = matches!(storage.url(), mai_storage::DatabaseUrl::Postgres(_));
        if is_postgres {
            refuse_and_count(storage);
        } else {
            refuse(storage, "in whatever language", "");
        }
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let journal = open(&folder);
            let mut records: Vec<Record> = (0..RECORDS)
                .map(|number| new_settled("org_a", &format!("gen-{number:02}"), exact(1)))
                .collect();
            records.push(new_settled("org_b", "gen-other", NO_USAGE));
            append(&journal, &records).await;
            apply_all(&journal, storage).await;
        });
        let books = Books::of(storage, "org_a");
        assert_eq!((books.booked().len(), books.waiting().len()), (0, 20));
        assert!(books.waiting().iter().all(|(_, reason)| *reason == PendingReason::Unbookable));
        assert_eq!(Books::of(storage, "org_b").waiting(), [("gen-other", PendingReason::NoUsage)]);
        if is_postgres {
            // Three of the whole batch, between which the pauses are, and one of each record.
            assert_eq!(tries(storage), 3 + RECORDS);
        }
    });
}

/// Refuses each new row of the ledger for no clear reason, and counts the attempts, which on PostgreSQL
/// outlives their transactions.
fn refuse_and_count(storage: &Storage) {
    let always = "CREATE SEQUENCE tries; \
        CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
        PERFORM nextval('tries'); RAISE EXCEPTION 'in whatever language'; END $$; \
        CREATE TRIGGER trouble BEFORE INSERT ON processed_generations \
        FOR EACH ROW EXECUTE FUNCTION trouble()";
    storage.write_blocking(|conn| Ok::<_, Error>(conn.batch_execute(always)?)).unwrap();
}

diesel::table! {
    /// A sequence can be read as a table.
    tries (last_value) {
        last_value -> BigInt,
    }
}

fn tries(storage: &Storage) -> i64 {
    let last = tries::table.select(tries::last_value);
    storage.read_blocking(|conn| Ok::<_, Error>(last.first(conn)?)).unwrap()
}
