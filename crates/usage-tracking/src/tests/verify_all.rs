//! All laws on all days of all organizations.

use std::sync::Arc;

use diesel::prelude::*;
use mai_generation_processing::{
    NewGeneration, PendingReason, ProcessedGenerationTable, UsageSource,
    pending::{self, NewPendingGeneration},
    schema::{pending_generations, processed_generations as ledger},
};
use mai_primitives::{MarkupRate, Usd};
use mai_storage::{Storage, testing::TestDb};

use super::{NOON, clock, create_organization, day, generation, id, on, org, record, spoil, totals, wait};
use crate::{
    Error, record_generations,
    schema::{
        client_daily_usage as days, client_model_daily_usage as models, client_user_daily_usage as users,
    },
    verify::{
        Checked, Days, LedgerLaw, Mismatch, MismatchKind, SummedTable, check_organization, organizations,
    },
};

fn check(storage: &Storage, name: &str, range: Days) -> (Checked, Vec<Mismatch>) {
    let mut all = Vec::new();
    let checked = check_organization(storage, &org(name), range, |_, found| {
        all.extend(found);
        Ok::<_, Error>(())
    });
    (checked.unwrap(), all)
}

/// What is wrong within the ledger of organization `a`.
fn broken(storage: &Storage) -> Vec<(String, LedgerLaw)> {
    let law = |mismatch: Mismatch| match mismatch.kind {
        MismatchKind::Generation { id, law } => Some((id.to_string(), law)),
        _ => None,
    };
    check(storage, "a", Days::default()).1.into_iter().filter_map(law).collect()
}

macro_rules! set_ledger {
    ($storage:expr, $name:expr, $change:expr) => {
        spoil($storage, |conn| {
            diesel::update(ledger::table.find((org("a"), id($name)))).set($change).execute(conn)
        })
    };
}

fn pend(storage: &Storage, name: &str) {
    let row = generation(name);
    let row = NewPendingGeneration {
        client_org_id: row.client_org_id,
        id: row.id,
        generation_date: row.generation_date,
        user_id: row.user_id,
        openrouter_user_id: row.openrouter_user_id,
        requested_model: None,
        markup_rate: row.markup_rate,
        streamed: false,
        gateway_key_id: None,
        task: None,
        started_at: NOON,
        reason: PendingReason::ClientGone,
        reservation: None,
    };
    storage.write_blocking(|conn| pending::insert_pending(conn, std::slice::from_ref(&row), NOON)).unwrap();
}

#[test]
fn each_broken_law_of_the_ledger_is_found() {
    TestDb::each(|storage| {
        record(storage, &["1", "2", "3", "4", "5"].map(generation));
        assert_eq!(broken(storage), []);
        set_ledger!(storage, "1", ledger::input_tokens.eq(11));
        set_ledger!(storage, "2", ledger::markup_rate.eq(1_300_000));
        set_ledger!(storage, "3", ledger::cost_text.eq("0.000001001"));
        set_ledger!(storage, "4", (ledger::input_tokens.eq(i64::MAX), ledger::cost_text.eq("much")));
        let text = |text: &str| LedgerLaw::CostText { stored: Usd::from_nanos(1_000), text: text.into() };
        let expected = [
            ("1".to_owned(), LedgerLaw::TotalTokens { stored: 15, computed: Some(16) }),
            (
                "2".to_owned(),
                LedgerLaw::MarkupCost {
                    stored: Usd::from_nanos(1_500),
                    computed: Some(Usd::from_nanos(1_300)),
                },
            ),
            ("3".to_owned(), text("0.000001001")),
            ("4".to_owned(), LedgerLaw::TotalTokens { stored: 15, computed: None }),
            ("4".to_owned(), text("much")),
        ];
        assert_eq!(broken(storage), expected);
    });
}

#[test]
fn a_text_that_a_person_wrote_is_no_law_and_byok_texts_are_sums() {
    TestDb::each(|storage| {
        let manual =
            NewGeneration { source: UsageSource::Manual, cost_text: "a guess".into(), ..generation("1") };
        let byok = NewGeneration { cost_text: "4e-7+0.0000006".into(), is_byok: true, ..generation("2") };
        let tiny = NewGeneration {
            total_cost: Usd::from_nanos(1),
            cost_text: "0.0000000004+0.0000000004".into(),
            is_byok: true,
            ..generation("3")
        };
        record(storage, &[manual, byok, tiny]);
        assert_eq!(broken(storage), []);
    });
}

#[test]
fn a_generation_is_not_booked_and_pending() {
    TestDb::each(|storage| {
        for name in ["1", "2", "3"] {
            pend(storage, name);
        }
        record(storage, &[generation("1"), generation("4")]);
        let (checked, found) = check(storage, "a", Days::default());
        assert_eq!((checked.pending, checked.unresolved, found), (2, 0, vec![]));
        storage
            .write_blocking(|conn| pending::mark_unresolved(conn, &org("a"), &id("3"), "why", NOON))
            .unwrap();
        spoil(storage, |conn| {
            diesel::update(pending_generations::table.find((org("a"), id("2"))))
                .set(pending_generations::id.eq("4"))
                .execute(conn)
        });
        assert_eq!(broken(storage), [("4".to_owned(), LedgerLaw::NotPending)]);
        let (checked, _) = check(storage, "a", Days::default());
        assert_eq!((checked.pending, checked.unresolved, checked.mismatches), (1, 1, 1));
        let later = Days { from: Some(day("2026-07-16")), to: None };
        assert_eq!(check(storage, "a", later).0.mismatches, 0);
    });
}

#[test]
fn all_days_are_checked_however_far_apart_and_a_range_where_one_is_named() {
    TestDb::each(|storage| {
        let dates = ["2019-02-28", "2026-06-15", "2026-07-15", "2026-07-16", "2031-01-01"];
        record(storage, &dates.map(|date| on(date, generation(date))));
        for date in dates {
            spoil(storage, |conn| {
                diesel::update(users::table.filter(users::usage_date.eq(day(date))))
                    .set(users::total_requests.eq(2))
                    .execute(conn)
            });
        }
        let found = |from: Option<&str>, to: Option<&str>| {
            let (checked, found) = check(storage, "a", Days { from: from.map(day), to: to.map(day) });
            assert_eq!((checked.days, checked.ledger_rows), (found.len(), found.len()));
            found.into_iter().map(|mismatch| mismatch.usage_date.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(found(None, None), dates);
        assert_eq!(found(Some("2026-06-15"), None), dates[1..]);
        assert_eq!(found(Some("2026-06-16"), Some("2026-07-15")), dates[2..3]);
        assert_eq!(found(None, Some("2026-07-15")), dates[..3]);
        assert_eq!(found(Some("2031-01-02"), None), [""; 0]);
        let other = totals(15, 2, 1_000, 1_500);
        let kind =
            MismatchKind::Sums { table: SummedTable::Users, client: totals(15, 1, 1_000, 1_500), other };
        assert_eq!(check(storage, "a", Days::default()).1[0].kind, kind);
    });
}

/// More rows than one page holds, the last of them broken.
#[test]
fn the_ledger_is_read_to_its_end() {
    TestDb::each(|storage| {
        let names: Vec<String> =
            (0..=crate::verify::PAGE_ROWS).map(|number| format!("{number:05}")).collect();
        let all: Vec<_> = names.iter().map(|name| generation(name)).collect();
        record(storage, &all);
        let last = names.last().unwrap();
        set_ledger!(storage, last, ledger::markup_rate.eq(MarkupRate::DEFAULT));
        let (checked, found) = check(storage, "a", Days::default());
        assert_eq!((checked.ledger_rows, checked.days, found.len()), (names.len(), 1, 1));
    });
}

#[test]
fn organizations_are_those_that_exist_and_those_that_have_usage() {
    TestDb::each(|storage| {
        create_organization(storage, "idle", &clock("2026-07-15T12:00:00Z"));
        for name in ["a", "B", "Ż"] {
            let row = NewGeneration { client_org_id: org(name), ..generation("1") };
            storage
                .write_blocking(|conn| record_generations(conn, &org(name), std::slice::from_ref(&row), NOON))
                .unwrap();
        }
        // Each table alone is enough.
        spoil(storage, |conn| diesel::delete(days::table.filter(days::client_org_id.eq("B"))).execute(conn));
        spoil(storage, |conn| {
            diesel::delete(users::table.filter(users::client_org_id.eq("B"))).execute(conn)
        });
        spoil(storage, |conn| {
            diesel::delete(models::table.filter(models::client_org_id.eq("B"))).execute(conn)
        });
        spoil(storage, |conn| {
            diesel::delete(ledger::table.filter(ledger::client_org_id.eq("Ż"))).execute(conn)
        });
        let found = storage.read_blocking(organizations).unwrap();
        assert_eq!(found, ["B", "a", "idle", "Ż"].map(org));
    });
}

#[test]
fn days_of_a_cleaned_ledger_are_no_disagreement() {
    TestDb::each(|storage| {
        record(storage, &["2026-07-14", "2026-07-24"].map(|date| on(date, generation(date))));
        let clock = Arc::new(clock("2026-07-29T12:00:00Z"));
        // Of the row of the 14th nothing is left; the clock of the test's records stands at the 15th.
        spoil(storage, |conn| diesel::delete(ledger::table.find((org("a"), id("2026-07-14")))).execute(conn));
        assert_eq!(check(storage, "a", Days::default()).0.mismatches, 1);
        let later = ledger::table.filter(ledger::id.eq("2026-07-24"));
        let booked = NOON.plus_seconds(9 * 86_400);
        spoil(storage, |conn| diesel::update(later).set(ledger::processed_at.eq(booked)).execute(conn));
        let table = ProcessedGenerationTable::new(storage.clone(), clock);
        assert_eq!(wait(table.cleanup_old_generations(7)).unwrap().records_remaining, 1);
        let (checked, found) = check(storage, "a", Days::default());
        assert_eq!((checked.days, checked.ledger_rows, found), (2, 1, vec![]));
    });
}

#[test]
fn an_error_of_the_caller_ends_the_check() {
    let database = TestDb::sqlite();
    record(&database.storage, &[generation("1")]);
    let mut steps = 0;
    let outcome = check_organization(&database.storage, &org("a"), Days::default(), |_, _| {
        steps += 1;
        Err(Error::OutOfRange("patience"))
    });
    assert!(matches!(outcome, Err(Error::OutOfRange("patience"))));
    assert_eq!(steps, 1);
}
