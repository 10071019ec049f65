//! Reports of days whose ledger was cleaned up, and pending generations that a person settles.

use std::sync::Arc;

use mai_generation_processing::{
    Error as LedgerError, NewGeneration, NewPendingGeneration, PendingReason, PendingState,
    ProcessedGenerationTable, UsageSource,
    pending::{insert_pending, list_pending},
    query::find,
};
use mai_primitives::{MarkupRate, UnixTime, Usd};
use mai_storage::{Storage, testing::TestDb};

use super::{
    NOON, books, clock, create_organization, day, generation, id, mismatches, model, on, org, record,
    service, used, wait,
};
use crate::{
    Error,
    Recorded::{Conflict, Duplicate, New, TooOld},
    verify::check_days,
};

/// Removes the rows that were booked more than 60 days before 2026-07-15, as of which the ledger is
/// complete from 2026-05-18 on.
fn clean_up(storage: &Storage) {
    let clock = clock("2026-07-15T12:00:00Z");
    let ledger = ProcessedGenerationTable::new(storage.clone(), Arc::new(clock));
    wait(ledger.cleanup_old_generations(60)).unwrap();
}

#[test]
fn what_the_ledger_no_longer_shows_is_not_booked_again() {
    TestDb::each(|storage| {
        let booked_then = on("2026-05-10", generation("gen-1"));
        let then = UnixTime::from_seconds(NOON.seconds() - 66 * 86_400);
        let book = |conn: &mut _| {
            crate::record_generations(conn, &org("a"), std::slice::from_ref(&booked_then), then)
        };
        storage.write_blocking(book).unwrap();
        let late = on("2026-05-11", generation("gen-late"));
        record(storage, std::slice::from_ref(&late));
        clean_up(storage);
        let before = books(storage);

        let batch = [
            booked_then.clone(),
            // Its row is still there, because it was booked late.
            late,
            on("2026-05-17", generation("gen-2")),
            on("2026-05-18", generation("gen-3")),
            on("2026-05-17", generation("gen-2")),
        ];
        assert_eq!(record(storage, &batch), [TooOld, Duplicate, TooOld, New, TooOld]);
        // An id whose first report is too old can be booked by one that is not.
        let two = [
            on("2026-05-17", generation("gen-4")),
            generation("gen-4"),
            on("2026-05-17", used("gen-4", "anna", "x/a", 1, 1)),
        ];
        assert_eq!(record(storage, &two), [TooOld, New, Conflict]);
        let left = |name| storage.read_blocking(|conn| find(conn, &org("a"), &id(name))).unwrap().is_some();
        assert_eq!(
            ["gen-1", "gen-2", "gen-late", "gen-3", "gen-4"].map(left),
            [false, false, true, true, true]
        );
        let after = books(storage);
        assert_eq!(after.days[..2], before.days[..]);
        let check = |conn: &mut _| {
            check_days(conn, &org("a"), day("2026-01-01"), day("2026-12-31"), Some(day("2026-05-18")))
        };
        assert_eq!(storage.read_blocking(check).unwrap(), []);
    });
}

fn pending(name: &str, reason: PendingReason) -> NewPendingGeneration {
    let new = generation(name);
    NewPendingGeneration {
        client_org_id: new.client_org_id,
        id: new.id,
        generation_date: day("2026-05-10"),
        user_id: new.user_id,
        openrouter_user_id: new.openrouter_user_id,
        requested_model: Some(new.model_name),
        markup_rate: MarkupRate::parse("2").unwrap(),
        streamed: true,
        gateway_key_id: Some("key".into()),
        task: Some("title_generation".into()),
        started_at: NOON.plus_seconds(-66 * 86_400),
        reason,
        reservation: None,
    }
}

/// Whoever pays can send a webhook, and would end the look-up of an expensive call by a cost of nothing.
#[test]
fn a_report_from_outside_does_not_end_a_look_up() {
    TestDb::each(|storage| {
        create_organization(storage, "a", &clock("2026-07-15T12:00:00Z"));
        let told =
            |name, source| NewGeneration { source, total_cost: Usd::from_nanos(1), ..generation(name) };
        let waiting = |names: &[&str]| {
            let rows: Vec<_> = names.iter().map(|name| pending(name, PendingReason::ClientGone)).collect();
            storage.write_blocking(|conn| insert_pending(conn, &rows, NOON)).unwrap();
            let rows = storage.read_blocking(|conn| list_pending(conn, None, None, 10)).unwrap();
            rows.into_iter().map(|row| row.id.to_string()).collect::<Vec<_>>()
        };
        waiting(&["gen-1"]);
        for source in [UsageSource::Webhook, UsageSource::Manual] {
            record(storage, &[told("gen-1", source), told("gen-2", source)]);
        }
        // Neither the one that waited before nor the one that comes later.
        assert_eq!(waiting(&["gen-2"]), ["gen-1", "gen-2"]);
        assert_eq!(mismatches(storage, &org("a")), []);
        record(
            storage,
            &[told("gen-1", UsageSource::Broadcast), told("gen-2", UsageSource::GenerationLookup)],
        );
        assert_eq!(waiting(&["gen-1", "gen-2"]), [""; 0]);
    });
}

#[test]
fn a_person_settles_what_is_pending_or_unresolved() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-15T12:00:00Z");
        // Its rate, 1.5, is not the one of the calls.
        create_organization(storage, "a", &clock);
        let rows = [pending("gen-1", PendingReason::Unbookable), pending("gen-2", PendingReason::ClientGone)];
        storage.write_blocking(|conn| insert_pending(conn, &rows, NOON)).unwrap();
        clean_up(storage);
        let usage = service(storage, &clock);
        let settle = |name: &str, nanos, tokens| {
            let cost = Usd::from_nanos(nanos);
            wait(usage.settle_by_hand(&org("a"), &id(name), cost, tokens, 2, model("x-ai/grok-4")))
        };
        assert_eq!(settle("gen-1", 700, 1).unwrap(), New);
        let row = storage.read_blocking(|conn| find(conn, &org("a"), &id("gen-1"))).unwrap().unwrap();
        assert_eq!((row.source, row.generation_date), (UsageSource::Manual, day("2026-05-10")));
        assert_eq!((row.total_cost.nanos(), row.markup_cost.nanos(), row.total_tokens), (700, 1_400, 3));
        assert_eq!((row.cost_text.as_str(), row.model_name.as_str()), ("0.0000007", "x-ai/grok-4"));
        assert_eq!((row.user_id.as_str(), row.gateway_key_id.as_deref()), ("anna", Some("key")));
        assert_eq!(row.task.as_deref(), Some("title_generation"));
        assert_eq!(row.requested_model, Some(model("openai/o3")));
        assert!(matches!(settle("gen-1", 700, 1), Err(Error::Ledger(LedgerError::NotPending(_)))));

        // What cannot be booked stays pending.
        assert!(settle("gen-2", -1, 1).is_err() && settle("gen-2", 1, -1).is_err());
        let waiting = || {
            let rows = storage.read_blocking(|conn| list_pending(conn, None, None, 10)).unwrap();
            rows.into_iter().map(|row| (row.id.to_string(), row.state)).collect::<Vec<_>>()
        };
        assert_eq!(waiting(), [("gen-2".to_owned(), PendingState::Pending)]);
        assert_eq!(settle("gen-2", 0, 0).unwrap(), New);
        assert_eq!(waiting(), []);
        assert_eq!(mismatches(storage, &org("a")), []);
    });
}

#[test]
fn a_batch_of_reports_is_told_in_its_order() {
    TestDb::each(|storage| {
        let usage = service(storage, &clock("2026-07-15T12:00:00Z"));
        let report = |name, nanos| NewGeneration {
            source: UsageSource::Webhook,
            ..used(name, "anna", "x/a", 1, nanos)
        };
        let reports = vec![report("gen-1", 5), report("gen-2", 6), report("gen-1", 7), report("gen-2", 6)];
        let recorded = wait(usage.record_reports(&org("a"), reports)).unwrap();
        assert_eq!(recorded, [New, New, Conflict, Duplicate]);
        assert_eq!(books(storage).days[0].raw_cost.nanos(), 11);
    });
}
