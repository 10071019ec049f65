use std::sync::Arc;

use mai_audit_log::{Actor, ActorKind};
use mai_primitives::{Clock, UnixTime};
use mai_storage::{Storage, testing::TestDb};

use super::{
    batch, clock, create_organization, day, details, do_run, dump, entries, org, record, used, wait,
};
use crate::{
    AnomalyKey, AnomalyTable, Error, Measure, SubjectKind,
    anomalies::query::{list, new_since},
};

const MODEL: &str = "openai/o3";

/// Ten ordinary days of anna's, for 2 USD each to the client, before 2026-07-14.
fn ordinary(storage: &Storage, now: UnixTime) {
    for number in 1..=10 {
        let date = day("2026-07-14").minus_days(number).to_string();
        let cost = 1_333_333_334 + i64::try_from(number).unwrap();
        record(storage, &[used("a", &format!("o{number}"), &date, "anna", MODEL, cost)], now);
    }
}

#[test]
fn a_day_far_outside_the_own_history_is_found_once() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-15T12:00:00Z");
        create_organization(storage, "a", &clock);
        let now = clock.now().into();
        ordinary(storage, now);
        // 30 USD by anna. A newcomer who spends as much has no history; jan's small day is none.
        record(storage, &[used("a", "much", "2026-07-14", "anna", MODEL, 20_000_000_000)], now);
        record(storage, &[used("a", "new", "2026-07-14", "ewa", "x-ai/new", 20_000_000_000)], now);
        let batch = batch(storage, &clock, "p");
        let (_, steps) = do_run(&batch, "2026-07-14", false);
        let found = details(&steps, "anomalies");
        // anna and o3 are examined, ewa and her model as well.
        assert_eq!(
            (&found["examined"], &found["anomalies"], &found["new"]),
            (&4.into(), &2.into(), &2.into())
        );
        let rows = dump(storage).anomalies;
        let told: Vec<_> =
            rows.iter().map(|row| (row.subject_kind, row.subject.as_str(), row.measure)).collect();
        assert_eq!(
            told,
            [(SubjectKind::Member, "anna", Measure::Spend), (SubjectKind::Model, MODEL, Measure::Spend)]
        );
        assert_eq!((rows[0].value, rows[0].raw_cost.nanos()), (30_000_000_000, 20_000_000_000));
        assert_eq!((rows[0].history_days, rows[0].threshold), (10, 2 * rows[0].median));
        assert_eq!(storage.read_blocking(|conn| new_since(conn, now)).unwrap(), rows);
        assert_eq!(storage.read_blocking(|conn| new_since(conn, now.plus_seconds(1))).unwrap(), []);
        // Again, later: nothing is new and nothing changes.
        let before = dump(storage);
        clock.advance_millis(60_000);
        let (_, steps) = do_run(&batch, "2026-07-14", true);
        let again = details(&steps, "anomalies");
        assert_eq!((&again["anomalies"], &again["new"]), (&2.into(), &0.into()));
        assert_eq!(dump(storage), before);
    });
}

#[test]
fn many_requests_stand_out_without_much_money() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-15T12:00:00Z");
        let now = clock.now().into();
        for number in 1..=7 {
            let date = day("2026-07-14").minus_days(number).to_string();
            record(storage, &[used("a", &format!("o{number}"), &date, "anna", MODEL, 1)], now);
        }
        let many: Vec<_> =
            (0..51).map(|number| used("a", &format!("m{number}"), "2026-07-14", "anna", MODEL, 1)).collect();
        record(storage, &many, now);
        do_run(&batch(storage, &clock, "p"), "2026-07-14", false);
        let rows = dump(storage).anomalies;
        assert_eq!(rows.len(), 2);
        assert!(
            rows.iter().all(|row| (row.measure, row.value, row.threshold) == (Measure::Requests, 51, 51))
        );
    });
}

#[test]
fn what_is_none_any_more_goes_unless_somebody_knows_of_it() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-15T12:00:00Z");
        create_organization(storage, "a", &clock);
        let now = clock.now().into();
        ordinary(storage, now);
        record(storage, &[used("a", "much", "2026-07-14", "anna", MODEL, 20_000_000_000)], now);
        let batch = batch(storage, &clock, "p");
        do_run(&batch, "2026-07-14", false);
        let actor = Actor::new(ActorKind::Account, "acc_1");
        let table = AnomalyTable::new(storage.clone(), Arc::new(clock.clone())).acting_as(actor);
        let key = |subject_kind, subject: &str| AnomalyKey {
            usage_date: day("2026-07-14"),
            subject_kind,
            subject: subject.to_owned(),
            measure: Measure::Spend,
        };
        let member = key(SubjectKind::Member, "anna");
        let known = wait(table.acknowledge(&org("a"), member.clone(), Some("a migration".into()))).unwrap();
        assert_eq!(known.acknowledged_by.as_deref(), Some("account acc_1"));
        clock.advance_millis(5_000);
        // Who was first stays, and there is one entry.
        assert_eq!(wait(table.acknowledge(&org("a"), member.clone(), None)).unwrap(), known);
        assert_eq!(entries(storage).iter().filter(|entry| entry.action == "anomaly.acknowledge").count(), 1);
        for (whose, key) in [("b", member.clone()), ("a", key(SubjectKind::Model, "openai/o4"))] {
            let unknown = wait(table.acknowledge(&org(whose), key, None));
            assert!(matches!(unknown, Err(Error::UnknownAnomaly)));
        }
        assert_eq!(storage.read_blocking(|conn| new_since(conn, now)).unwrap().len(), 1);
        // Ten days of 60 USD before: then 30 USD are nothing special.
        for number in 1..=10 {
            let date = day("2026-07-14").minus_days(number).to_string();
            let late = used("a", &format!("late{number}"), &date, "anna", MODEL, 40_000_000_000);
            record(storage, &[late], now);
        }
        do_run(&batch, "2026-07-14", true);
        let left = wait(table.list(&org("a"), day("2026-07-01"), day("2026-07-31"))).unwrap();
        assert_eq!(left, [known]);
        assert_eq!(
            storage
                .read_blocking(|conn| list(conn, &org("b"), day("2026-07-01"), day("2026-07-31")))
                .unwrap(),
            []
        );
    });
}
