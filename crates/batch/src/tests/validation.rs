use diesel::prelude::*;
use mai_primitives::{UnixTime, UserId};
use mai_storage::{Storage, testing::TestDb};
use mai_usage_tracking::{
    monthly::compare_month,
    schema::{
        client_daily_usage as days, client_model_daily_usage as models, client_user_daily_usage as users,
    },
    verify::check_days,
};

use super::{
    batch, catch_up, clock, corrections, create_organization, day, details, do_run, dump, org, record, spoil,
    used,
};
use crate::{RunStatus, StepStatus};

const NOON: &str = "2026-07-15T12:00:00Z";

fn now() -> UnixTime {
    UnixTime::from(NOON.parse::<chrono::DateTime<chrono::Utc>>().unwrap())
}

/// Two days of organization `a` and one of `b`.
fn fill(storage: &Storage) {
    let usage = [
        used("a", "g1", "2026-07-12", "anna", "openai/o3", 1_000),
        used("a", "g2", "2026-07-14", "anna", "openai/o3", 2_000),
        used("a", "g3", "2026-07-14", "jan", "openai/o4", 4_000),
        used("b", "g1", "2026-07-14", "ewa", "openai/o3", 8_000),
    ];
    record(storage, &usage, now().plus_seconds(-7_200));
}

fn is_right(storage: &Storage, name: &str) -> bool {
    let check = |conn: &mut mai_storage::DbConnection| {
        check_days(conn, &org(name), day("2026-07-01"), day("2026-07-31"), None)
    };
    storage.read_blocking(check).unwrap().is_empty()
}

#[test]
fn right_days_are_validated_once() {
    TestDb::each(|storage| {
        let clock = clock(NOON);
        create_organization(storage, "a", &clock);
        fill(storage);
        let batch = batch(storage, &clock, "p");
        let before = dump(storage);
        let run = catch_up(&batch).pop().unwrap();
        assert_eq!(run.status, RunStatus::Succeeded, "{run:?}");
        let after = dump(storage);
        assert_eq!((&before.days, &before.users, &before.models), (&after.days, &after.users, &after.models));
        // 12, 13 and 14 of a, where the 13th has no usage and was looked at all the same; 14 of b.
        let seen: Vec<_> = after
            .validations
            .iter()
            .map(|row| (row.client_org_id.as_str(), row.usage_date.day_of_month(), row.seen.is_some()))
            .collect();
        assert_eq!(seen, [("a", 12, true), ("a", 13, false), ("a", 14, true), ("b", 14, true)]);
        clock.advance_millis(3_600_000);
        let (_, steps) = do_run(&batch, "2026-07-14", true);
        let forced = details(&steps, "daily_validation");
        assert_eq!((&forced["clients_processed"], &forced["data_corrections"]), (&2.into(), &0.into()));
        assert_eq!(forced["total_records_verified"], 4);
        assert_eq!(dump(storage), after, "a second run changes nothing");
    });
}

#[test]
fn a_wrong_row_of_each_table_is_corrected_and_told() {
    TestDb::each(|storage| {
        let clock = clock(NOON);
        create_organization(storage, "a", &clock);
        fill(storage);
        let right = dump(storage);
        spoil(storage, |conn| {
            diesel::update(days::table.find((org("a"), day("2026-07-12"))))
                .set(days::raw_cost.eq(999))
                .execute(conn)
        });
        spoil(storage, |conn| {
            diesel::delete(users::table.find((org("a"), day("2026-07-14"), UserId::new("jan").unwrap())))
                .execute(conn)
        });
        spoil(storage, |conn| {
            diesel::update(models::table.find((org("b"), day("2026-07-14"), "openai/o3")))
                .set(models::total_tokens.eq(1))
                .execute(conn)
        });
        let (run, steps) = do_run(&batch(storage, &clock, "p"), "2026-07-14", false);
        assert_eq!(run.status, RunStatus::Succeeded);
        assert!(is_right(storage, "a") && is_right(storage, "b"));
        let after = dump(storage);
        let figures = |dump: &super::Dump| {
            let days: Vec<_> = dump
                .days
                .iter()
                .map(|row| (row.id(), row.total_tokens, row.raw_cost, row.unique_users))
                .collect();
            let users: Vec<_> = dump
                .users
                .iter()
                .map(|row| (row.id(), row.raw_cost, row.openrouter_user_id.clone()))
                .collect();
            let models: Vec<_> =
                dump.models.iter().map(|row| (row.model_name.clone(), row.total_tokens)).collect();
            (days, users, models)
        };
        assert_eq!(figures(&after), figures(&right));
        let told: Vec<_> = corrections(storage)
            .into_iter()
            .map(|entry| (entry.client_org_id.unwrap().to_string(), entry.target, entry.actor_kind))
            .collect();
        let system = mai_audit_log::ActorKind::System;
        for (whose, target) in [
            ("a", "client_daily_usage 2026-07-12"),
            ("a", "client_user_daily_usage 2026-07-14 jan"),
            ("b", "client_model_daily_usage 2026-07-14 openai/o3"),
        ] {
            assert!(told.contains(&(whose.to_owned(), target.to_owned(), system)), "{target} in {told:?}");
        }
        assert_eq!(told.len(), 3, "{told:?}");
        let found = details(&steps, "daily_validation");
        assert_eq!(found["data_corrections"], 3);
        assert_eq!(found["clients_data"][0]["client_name"], "Company a");
        assert_eq!(found["clients_data"][0]["days"][1], "2026-07-14");
        assert_eq!(found["clients_data"][1]["client_name"], serde_json::Value::Null);
        let counted: Vec<i64> = after.validations.iter().map(|row| row.corrections).collect();
        assert_eq!(counted, [1, 0, 1, 1]);
    });
}

/// As a process of an earlier version leaves them, which gives a day its rate and does not know of months.
#[test]
fn sums_of_a_month_are_made_equal_to_their_days() {
    TestDb::each(|storage| {
        let clock = clock(NOON);
        create_organization(storage, "a", &clock);
        fill(storage);
        spoil(storage, |conn| {
            diesel::update(days::table.find((org("a"), day("2026-07-14"))))
                .set((
                    days::usd_pln_rate.eq(Some(40_000_i64)),
                    days::rate_table_no.eq(Some("1/A/NBP/2026")),
                    days::rate_effective_date.eq(Some(day("2026-07-14"))),
                ))
                .execute(conn)
        });
        let wrong = |storage: &Storage| {
            storage.read_blocking(|conn| compare_month(conn, &org("a"), day("2026-07-01"))).unwrap().len()
        };
        assert_eq!(wrong(storage), 4);
        let (run, steps) = do_run(&batch(storage, &clock, "p"), "2026-07-14", false);
        assert_eq!((run.status, wrong(storage)), (RunStatus::Succeeded, 0));
        let told: Vec<_> = corrections(storage).into_iter().map(|entry| entry.target).collect();
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told.contains(&"client_monthly_usage 2026-07-01 user jan".to_owned()), "{told:?}");
        let found = details(&steps, "daily_validation");
        assert_eq!(
            (&found["data_corrections"], &found["clients_data"][0]["days"][0]),
            (&4.into(), &"2026-07-01".into())
        );
        // A second run finds nothing.
        let (_, steps) = do_run(&batch(storage, &clock, "p"), "2026-07-14", true);
        assert_eq!(details(&steps, "daily_validation")["data_corrections"], 0);
    });
}

#[test]
fn rows_without_any_generation_are_taken_away() {
    TestDb::each(|storage| {
        let clock = clock(NOON);
        fill(storage);
        // Somebody's usage of a day that had none.
        spoil(storage, |conn| {
            diesel::update(days::table.find((org("a"), day("2026-07-12"))))
                .set(days::usage_date.eq(day("2026-07-13")))
                .execute(conn)
        });
        do_run(&batch(storage, &clock, "p"), "2026-07-14", false);
        assert!(is_right(storage, "a"));
        assert_eq!(corrections(storage).len(), 4);
    });
}

#[test]
fn late_usage_makes_a_day_unvalidated() {
    TestDb::each(|storage| {
        let clock = clock(NOON);
        fill(storage);
        let batch = batch(storage, &clock, "p");
        do_run(&batch, "2026-07-14", false);
        // Late usage of a validated day, and of one that had none; another row of the first is spoilt.
        let late = [
            used("a", "late1", "2026-07-12", "anna", "openai/o3", 16_000),
            used("a", "late2", "2026-07-13", "anna", "openai/o3", 32_000),
        ];
        record(storage, &late, now());
        spoil(storage, |conn| {
            diesel::update(models::table.find((org("a"), day("2026-07-12"), "openai/o3")))
                .set(models::markup_cost.eq(1))
                .execute(conn)
        });
        clock.advance_millis(86_400_000);
        let run = catch_up(&batch).pop().unwrap();
        let steps = wait_steps(&batch, &run.id);
        let found = details(&steps, "daily_validation");
        // 12 and 13 again, and the 15th; b's 15th as well.
        assert_eq!((&found["total_records_verified"], &found["data_corrections"]), (&4.into(), &1.into()));
        assert!(is_right(storage, "a"));
    });
}

fn wait_steps(batch: &crate::Batch, run: &str) -> Vec<crate::StepModel> {
    super::wait(batch.run(run)).unwrap().1
}

#[test]
fn one_organization_that_cannot_be_corrected_stops_no_other() {
    TestDb::each(|storage| {
        let clock = clock(NOON);
        fill(storage);
        spoil(storage, |conn| {
            diesel::update(users::table.find((org("b"), day("2026-07-14"), UserId::new("ewa").unwrap())))
                .set(users::raw_cost.eq(i64::MIN))
                .execute(conn)
        });
        spoil(storage, |conn| {
            diesel::update(days::table.find((org("a"), day("2026-07-12"))))
                .set(days::raw_cost.eq(1))
                .execute(conn)
        });
        let (run, steps) = do_run(&batch(storage, &clock, "p"), "2026-07-14", false);
        assert_eq!(run.status, RunStatus::Failed);
        assert!(run.error.unwrap().starts_with("daily_validation: 1 organizations failed; the first: b:"));
        assert!(is_right(storage, "a"));
        let (failed, others): (Vec<_>, Vec<_>) =
            steps.iter().partition(|step| step.name == "daily_validation");
        assert_eq!(failed[0].status, StepStatus::Failed);
        assert!(others.iter().all(|step| step.status == StepStatus::Succeeded), "{others:?}");
        let found: serde_json::Value = serde_json::from_str(&failed[0].details).unwrap();
        assert_eq!((&found["failed"], &found["failures"][0]["client_id"]), (&1.into(), &"b".into()));
        assert_eq!(found["data_corrections"], 1);
        // A day that failed stays unvalidated.
        assert!(dump(storage).validations.iter().all(|row| row.client_org_id.as_str() == "a"));
    });
}
