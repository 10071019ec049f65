//! Giving booked usage to a member.

use std::{collections::BTreeMap, sync::Arc};

use mai_audit_log::{Actor, AuditLogTable, AuditQuery};
use mai_client_organization::{
    Error as OrganizationError, MemberForm, MemberPatch, MemberRole, MemberSource, MemberTable,
};
use mai_generation_processing::{
    NewFailedCall, NewPendingGeneration, PendingReason, insert_failed_calls,
    pending::{insert_pending, user_of},
    query as ledger,
    schema::{failed_calls, processed_generations},
};
use mai_primitives::{ManualClock, OpenRouterUserId, UserId};
use mai_storage::{Storage, testing::TestDb};

use super::{
    NOON, books, clock, create_organization, day, generation, id, mismatches, on, org, record, service,
    totals, used, wait,
};
use crate::{Assigned, Assignment, Error, Totals, rebuild::compare_day, verify::Days};
use diesel::prelude::*;

pub(super) fn user(id: &str) -> UserId {
    UserId::new(id).unwrap()
}

pub(super) fn members(storage: &Storage, clock: &ManualClock) -> MemberTable {
    MemberTable::new(storage.clone(), Arc::new(clock.clone()))
}

pub(super) fn add_member(storage: &Storage, clock: &ManualClock, organization: &str, name: &str) {
    let form = MemberForm {
        user_id: user(name),
        name: None,
        email: None,
        role: MemberRole::Member,
        source: MemberSource::Api,
        is_active: true,
    };
    wait(members(storage, clock).create(&org(organization), form)).unwrap();
}

/// Organization `a` with the members anna and ben.
fn prepared(storage: &Storage) -> ManualClock {
    let clock = clock("2026-07-15T12:00:00Z");
    create_organization(storage, "a", &clock);
    for name in ["anna", "ben"] {
        add_member(storage, &clock, "a", name);
    }
    clock
}

fn whole(from: &str, to: &str) -> Assignment {
    Assignment { from: user(from), to: user(to), days: Days::default(), merge: false }
}

fn assign(storage: &Storage, clock: &ManualClock, assignment: Assignment) -> Result<Assigned, Error> {
    wait(service(storage, clock).acting_as(Actor::system()).assign(&org("a"), assignment))
}

/// What each user has on each day, by the daily rows.
fn usage(storage: &Storage) -> BTreeMap<(String, String), Totals> {
    let rows = books(storage).users;
    rows.iter().map(|row| ((row.usage_date.to_string(), row.user_id.to_string()), row.into())).collect()
}

fn of<'a>(rows: impl IntoIterator<Item = (&'a str, &'a str, Totals)>) -> BTreeMap<(String, String), Totals> {
    rows.into_iter().map(|(date, user, totals)| ((date.to_owned(), user.to_owned()), totals)).collect()
}

/// The sums agree, and the ledger says the same as the daily rows.
fn assert_sound(storage: &Storage) {
    assert_eq!(mismatches(storage, &org("a")), []);
    for row in books(storage).days {
        let found = storage.read_blocking(|conn| compare_day(conn, &org("a"), row.usage_date)).unwrap();
        assert_eq!(found, []);
    }
}

#[test]
fn usage_under_an_unknown_id_becomes_the_member_s_and_stays_so() {
    TestDb::each(|storage| {
        let clock = prepared(storage);
        let batch = [
            on("2026-07-14", used("g1", "a.nowak", "x/a", 10, 100)),
            on("2026-07-15", used("g2", "a.nowak", "x/b", 20, 200)),
            on("2026-07-15", used("g3", "anna", "x/a", 1, 10)),
            on("2026-07-15", used("g4", "ben", "x/a", 2, 20)),
        ];
        record(storage, &batch);
        let before = books(storage);
        let assigned = assign(storage, &clock, whole("a.nowak", "anna")).unwrap();
        let moved = totals(30, 2, 300, 450);
        let expected =
            Assigned { days: 2, totals: moved, ledger_rows: 2, is_external_id: true, ..Assigned::default() };
        assert_eq!(assigned, expected);
        let expected = of([
            ("2026-07-14", "anna", totals(10, 1, 100, 150)),
            ("2026-07-15", "anna", totals(21, 2, 210, 315)),
            ("2026-07-15", "ben", totals(2, 1, 20, 30)),
        ]);
        assert_eq!(usage(storage), expected);
        assert_sound(storage);

        let after = books(storage);
        assert_eq!(after.models, before.models);
        let unique: Vec<_> = after.days.iter().map(|row| row.unique_users).collect();
        assert_eq!(unique, [1, 2]);
        for (old, new) in before.days.iter().zip(&after.days) {
            assert_eq!(
                (old.updated_at, &old.primary_model),
                (new.updated_at, &new.primary_model),
                "no usage came"
            );
        }
        let row = storage.read_blocking(|conn| ledger::find(conn, &org("a"), &id("g1"))).unwrap().unwrap();
        assert_eq!(
            (row.user_id.as_str(), row.openrouter_user_id.as_str()),
            ("anna", "a_user_a.nowak"),
            "evidence"
        );

        // What comes later under that id is hers as well, and so is a repetition.
        let late = [on("2026-07-15", used("g5", "a.nowak", "x/a", 5, 50)), batch[0].clone()];
        record(storage, &late);
        assert_eq!(usage(storage)[&("2026-07-15".to_owned(), "anna".to_owned())], totals(26, 3, 260, 390));
        assert_eq!(usage(storage).len(), 3);
        assert_sound(storage);
        let again = assign(storage, &clock, whole("a.nowak", "anna")).unwrap();
        assert_eq!(again, Assigned { is_external_id: true, ..Assigned::default() });
    });
}

#[test]
fn usage_of_nobody_moves_by_days_and_what_comes_later_is_nobody_s() {
    TestDb::each(|storage| {
        let clock = prepared(storage);
        let dates = ["2026-07-13", "2026-07-14", "2026-07-15"];
        let batch: Vec<_> =
            dates.iter().map(|date| on(date, used(date, UserId::UNATTRIBUTED, "x/a", 10, 100))).collect();
        record(storage, &batch);
        let days = Days { from: Some(day("2026-07-14")), to: Some(day("2026-07-14")) };
        let part = Assignment { days, ..whole(UserId::UNATTRIBUTED, "ben") };
        let assigned = assign(storage, &clock, part).unwrap();
        assert_eq!((assigned.days, assigned.ledger_rows, assigned.is_external_id), (1, 1, false));
        let one = totals(10, 1, 100, 150);
        let nobody = UserId::UNATTRIBUTED;
        let expected =
            of([("2026-07-13", nobody, one), ("2026-07-14", "ben", one), ("2026-07-15", nobody, one)]);
        assert_eq!(usage(storage), expected);
        record(storage, &[on("2026-07-14", used("later", nobody, "x/a", 1, 1))]);
        assert_eq!(usage(storage).len(), 4);
        let assigned = assign(storage, &clock, whole(nobody, "ben")).unwrap();
        assert_eq!((assigned.days, assigned.ledger_rows), (3, 3));
        assert!(usage(storage).keys().all(|(_, user)| user == "ben"));
        assert_sound(storage);
    });
}

#[test]
fn two_who_are_the_same_become_one() {
    TestDb::each(|storage| {
        let clock = prepared(storage);
        record(storage, &[used("g1", "ben", "x/a", 10, 100), used("g2", "anna", "x/a", 1, 10)]);
        let refused = assign(storage, &clock, whole("ben", "anna"));
        assert!(matches!(refused, Err(Error::IsMember(who)) if who == user("ben")));
        assign(storage, &clock, Assignment { merge: true, ..whole("ben", "anna") }).unwrap();
        assert_eq!(usage(storage), of([("2026-07-15", "anna", totals(11, 2, 110, 165))]));
        let ben = wait(members(storage, &clock).get(&org("a"), &user("ben"))).unwrap().unwrap();
        assert!(!ben.is_active);
        record(storage, &[used("g3", "ben", "x/a", 10, 100)]);
        assert_eq!(usage(storage), of([("2026-07-15", "anna", totals(21, 3, 210, 315))]));
        assert_sound(storage);
        let back = assign(storage, &clock, Assignment { merge: true, ..whole("anna", "ben") });
        assert!(matches!(back, Err(Error::Organization(OrganizationError::ExternalId { .. }))), "{back:?}");
        assert_eq!(usage(storage).len(), 1);
    });
}

#[test]
fn what_cannot_be_assigned_changes_nothing() {
    TestDb::each(|storage| {
        let clock = prepared(storage);
        record(storage, &[used("g1", "x", "x/a", 10, 100), used("g2", UserId::UNATTRIBUTED, "x/a", 1, 1)]);
        let before = usage(storage);
        let some_days = Days { from: Some(day("2026-07-15")), to: None };
        let reversed = Days { from: Some(day("2026-07-16")), to: Some(day("2026-07-15")) };
        for (assignment, field) in [
            (whole("anna", "anna"), "to_user_id"),
            (Assignment { days: some_days, ..whole("x", "anna") }, "start_date"),
            (Assignment { days: reversed, ..whole(UserId::UNATTRIBUTED, "anna") }, "start_date"),
        ] {
            let refused = assign(storage, &clock, assignment);
            assert!(
                matches!(&refused, Err(Error::NotAssignable { field: at, .. }) if *at == field),
                "{refused:?}"
            );
        }
        for to in ["nobody", UserId::UNATTRIBUTED] {
            let refused = assign(storage, &clock, whole("x", to));
            let unknown = matches!(refused, Err(Error::Organization(OrganizationError::NotFound { .. })));
            assert!(unknown, "{to}");
        }
        let elsewhere = wait(service(storage, &clock).assign(&org("b"), whole("x", "anna")));
        assert!(matches!(elsewhere, Err(Error::Organization(OrganizationError::NotFound { .. }))));
        wait(members(storage, &clock).add_external_id(&org("a"), &user("x"), &user("ben"))).unwrap();
        let refused = assign(storage, &clock, whole("x", "anna"));
        assert!(matches!(refused, Err(Error::Organization(OrganizationError::ExternalId { .. }))));
        assert_eq!(usage(storage), before);
        assert!(assign(storage, &clock, whole("x", "ben")).is_ok(), "to whom the id belongs");
    });
}

#[test]
fn calls_without_a_cost_and_failed_ones_go_along() {
    TestDb::each(|storage| {
        let clock = prepared(storage);
        let pending = |name: &str, date: &str| NewPendingGeneration {
            client_org_id: org("a"),
            id: id(name),
            generation_date: day(date),
            user_id: user("x"),
            openrouter_user_id: OpenRouterUserId::new("x").unwrap(),
            requested_model: None,
            markup_rate: generation("g").markup_rate,
            streamed: false,
            gateway_key_id: None,
            task: None,
            started_at: NOON,
            reason: PendingReason::ClientGone,
            reservation: None,
        };
        let failed = NewFailedCall {
            client_org_id: org("a"),
            id: "call".into(),
            usage_date: day("2026-07-01"),
            user_id: user("x"),
            requested_model: None,
            status: 500,
            reason: "upstream_error".into(),
            started_at: NOON,
            created_at: NOON,
        };
        let written = storage.write_blocking(|conn| {
            insert_pending(conn, &[pending("p1", "2026-07-14"), pending("p2", "2026-07-15")], NOON)?;
            insert_failed_calls(conn, std::slice::from_ref(&failed))
        });
        assert_eq!(written.unwrap(), 1);
        let assigned = assign(storage, &clock, whole("x", "anna")).unwrap();
        assert_eq!((assigned.days, assigned.pending, assigned.failed), (0, 2, 1));
        let (waits, called) = storage
            .read_blocking(|conn| {
                let called = failed_calls::table.select(failed_calls::user_id).first::<UserId>(conn)?;
                Ok::<_, mai_storage::Error>((user_of(conn, &org("a"), &id("p2"))?, called))
            })
            .unwrap();
        assert_eq!((waits, called), (Some(user("anna")), user("anna")));
    });
}

#[test]
fn days_whose_ledger_was_cleaned_up_move_as_they_are() {
    TestDb::each(|storage| {
        let clock = prepared(storage);
        record(storage, &[used("g1", "x", "x/a", 10, 100), used("g2", "anna", "x/a", 5, 50)]);
        let gone = storage.write_blocking(|conn| {
            Ok::<_, mai_storage::Error>(diesel::delete(processed_generations::table).execute(conn)?)
        });
        assert_eq!(gone.unwrap(), 2);
        let assigned = assign(storage, &clock, whole("x", "anna")).unwrap();
        assert_eq!((assigned.days, assigned.ledger_rows), (1, 0));
        assert_eq!(usage(storage), of([("2026-07-15", "anna", totals(15, 2, 150, 225))]));
    });
}

#[test]
fn the_audit_log_tells_what_moved() {
    TestDb::each(|storage| {
        let clock = prepared(storage);
        record(storage, &[used("g1", "x", "x/a", 10, 1_500)]);
        assign(storage, &clock, whole("x", "anna")).unwrap();
        let log = AuditLogTable::new(storage.clone(), Arc::new(clock));
        let query = AuditQuery { action: Some("usage.assign".into()), limit: 10, ..AuditQuery::default() };
        let entries = wait(log.list(query)).unwrap();
        assert_eq!((entries.len(), entries[0].target.as_str()), (1, "x"));
        for part in [
            "\"to_user_id\":\"anna\"",
            "\"requests\":1",
            "\"tokens\":10",
            "\"raw_cost\":\"0.0000015\"",
            "\"markup_cost\":\"0.00000225\"",
        ] {
            assert!(entries[0].details.contains(part), "{part} in {}", entries[0].details);
        }
        assert!(wait(log.verify()).unwrap().is_ok());
    });
}

#[test]
fn whoever_is_no_member_is_listed_with_what_was_used() {
    TestDb::each(|storage| {
        let clock = prepared(storage);
        let batch = [
            on("2026-06-30", used("g0", "y", "x/a", 10, 100)),
            used("g1", "x", "x/a", 10, 100),
            used("g2", UserId::UNATTRIBUTED, "x/a", 20, 200),
            used("g3", "anna", "x/a", 5, 50),
        ];
        record(storage, &batch);
        let inactive = MemberPatch { is_active: Some(false), ..MemberPatch::default() };
        wait(members(storage, &clock).update(&org("a"), &user("anna"), inactive)).unwrap();
        let list = |start: Option<&str>| {
            let found = wait(service(storage, &clock).get_unassigned_usage(&org("a"), start.map(day), None));
            let found = found.unwrap().into_iter();
            found.map(|usage| (usage.user_id.to_string(), usage.totals.requests)).collect::<Vec<_>>()
        };
        let named = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), 1)).collect::<Vec<_>>();
        assert_eq!(list(None), named(&["unattributed", "x"]));
        assert_eq!(list(Some("2026-06-01")), named(&["unattributed", "x", "y"]));
    });
}
