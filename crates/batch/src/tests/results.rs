//! What the steps find and leave.

use std::sync::Arc;

use diesel::connection::SimpleConnection as _;
use mai_generation_processing::{NewPendingGeneration, PendingReason, pending::insert_pending};
use mai_primitives::{Clock, GenerationId, MarkupRate, OpenRouterUserId, Usd, UserId};
use mai_storage::{DbConnection, PoolSettings, Storage, testing::TestDb};
use mai_usage_tracking::drift::{KeyReading, store_reading};
use serde_json::json;

use super::{
    batch, clock, create_organization, day, details, do_run, dump, org, record, settings, used, wait,
};
use crate::{Backups, Batch};

#[test]
fn the_month_is_added_up() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-15T12:00:00Z");
        create_organization(storage, "a", &clock);
        create_organization(storage, "idle", &clock);
        let usage = [
            used("a", "g0", "2026-06-30", "anna", "openai/o3", 7),
            used("a", "g1", "2026-07-01", "anna", "openai/o3", 1_000_000_000),
            used("a", "g2", "2026-07-01", "jan", "openai/o3", 2_000_000_000),
            used("a", "g3", "2026-07-03", "anna", "openai/o4", 500_000_000),
            used("b", "g1", "2026-07-14", "ewa", "openai/o3", 1),
        ];
        record(storage, &usage, clock.now().into());
        let batch = batch(storage, &clock, "p");
        let (first, steps) = do_run(&batch, "2026-07-14", false);
        let found = details(&steps, "monthly_totals_update");
        assert_eq!(found["month_range"], "2026-07-01 to 2026-07-14");
        assert_eq!(found["clients_processed"], 2, "organizations without rows are left out");
        assert_eq!(
            found["monthly_summaries"][0],
            json!({
                "client_id": "a", "client_name": "Company a", "days_with_usage": 2, "days_in_month": 14,
                "usage_percentage": "14.3", "total_tokens": 45, "total_requests": 3, "total_raw_cost": "3.5",
                "total_markup_cost": "5.25", "average_daily_tokens": 23, "max_daily_tokens": 30,
                "most_used_model": "openai/o3", "last_usage_date": "2026-07-03",
            })
        );
        assert_eq!(
            found["overall_totals"],
            json!({
                "total_tokens": 60, "total_requests": 4, "total_raw_cost": "3.500000001",
                "total_markup_cost": "5.250000002", "active_clients": 2,
            })
        );
        // The next run of the month leaves the sums of this one only.
        let (_, steps) = do_run(&batch, "2026-07-14", true);
        assert!(details(&steps, "monthly_totals_update")["monthly_summaries"].is_array());
        let (_, earlier) = wait(batch.run(&first.id)).unwrap();
        let earlier = details(&earlier, "monthly_totals_update");
        assert!(earlier["monthly_summaries"].is_null() && earlier["overall_totals"]["total_tokens"] == 60);
    });
}

#[test]
fn what_was_booked_is_held_against_what_was_charged() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-15T12:00:00Z");
        create_organization(storage, "a", &clock);
        record(
            storage,
            &[used("a", "g1", "2026-07-13", "anna", "openai/o3", 900_000_000)],
            clock.now().into(),
        );
        record(
            storage,
            &[used("b", "g1", "2026-07-13", "ewa", "openai/o3", 500_000_000)],
            clock.now().into(),
        );
        // Charged on the 13th: 1 USD to a's key, 0.5 USD to b's.
        for (name, charged) in [("a", 1_000_000_000), ("b", 500_000_000)] {
            for (date, opening) in [("2026-07-13", 0), ("2026-07-14", charged)] {
                let reading = KeyReading {
                    client_org_id: org(name),
                    key_fingerprint: format!("f-{name}"),
                    key_last4: "1234".into(),
                    read_at: clock.now().into(),
                    usage_date: day(date),
                    opening_total: Usd::from_nanos(opening),
                    daily: Usd::ZERO,
                };
                wait(store_reading(storage, reading)).unwrap();
            }
        }
        let waiting = NewPendingGeneration {
            client_org_id: org("a"),
            id: GenerationId::new("p1").unwrap(),
            generation_date: day("2026-07-14"),
            user_id: UserId::new("anna").unwrap(),
            openrouter_user_id: OpenRouterUserId::new("a_user_anna").unwrap(),
            requested_model: None,
            markup_rate: MarkupRate::parse("1.5").unwrap(),
            streamed: true,
            gateway_key_id: None,
            task: None,
            started_at: clock.now().into(),
            reason: PendingReason::ClientGone,
            reservation: None,
        };
        let now = clock.now().into();
        storage.write_blocking(|conn| insert_pending(conn, std::slice::from_ref(&waiting), now)).unwrap();
        let (run, steps) = do_run(&batch(storage, &clock, "p"), "2026-07-14", false);
        assert_eq!(run.error, None, "a deviation is a finding and no failure");
        let found = details(&steps, "reconcile");
        assert_eq!((&found["pending"], &found["unresolved"]), (&1.into(), &0.into()));
        assert_eq!(found["oldest_pending_started_at"], clock.now().timestamp());
        assert_eq!(
            found["days"][0],
            json!({
                "usage_date": "2026-07-13", "organizations": 2, "unknown": 0, "captured": "1.4", "billed": "1.5",
                "ratio_percent": "93.33",
            })
        );
        // What was charged on the 14th is known on the 15th.
        assert_eq!(
            (&found["days"][1]["organizations"], &found["days"][1]["unknown"]),
            (&0.into(), &2.into())
        );
        assert_eq!(found["deviations"], 1);
        assert_eq!(found["deviations_shown"][0]["client_id"], "a");
    });
}

#[test]
fn the_ledger_is_kept_for_its_time_and_validations_with_it() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-15T12:00:00Z");
        record(storage, &[used("a", "old", "2026-07-14", "anna", "openai/o3", 1_000)], clock.now().into());
        let batch = batch(storage, &clock, "p");
        do_run(&batch, "2026-07-14", false);
        assert_eq!((dump(storage).ledger.len(), dump(storage).validations.len()), (1, 1));
        clock.advance_millis(61 * 86_400_000);
        let (_, steps) = do_run(&batch, "2026-09-13", false);
        let found = details(&steps, "data_cleanup");
        assert_eq!((&found["records_deleted"], &found["old_cost_removed"]), (&1.into(), &"0.000001".into()));
        let after = dump(storage);
        assert_eq!((after.ledger.len(), after.days.len()), (0, 1), "daily usage stays");
        let complete = day("2026-07-18");
        assert!(after.validations.iter().all(|row| row.usage_date >= complete), "{:?}", after.validations);
        // What the ledger cannot show any more is not compared with it.
        let (_, steps) = do_run(&batch, "2026-09-13", true);
        assert_eq!(details(&steps, "daily_validation")["data_corrections"], 0);
    });
}

#[test]
fn sqlite_knows_its_tables_after_a_run() {
    let db = TestDb::sqlite();
    let clock = clock("2026-07-15T12:00:00Z");
    record(&db.storage, &[used("a", "g1", "2026-07-14", "anna", "openai/o3", 1_000)], clock.now().into());
    do_run(&batch(&db.storage, &clock, "p"), "2026-07-14", false);
    // An error where nothing is known.
    let known = "CREATE TEMP TABLE known (stat TEXT NOT NULL); INSERT INTO known VALUES \
                 ((SELECT max(stat) FROM sqlite_stat1 WHERE tbl = 'client_user_daily_usage'))";
    let read = |conn: &mut DbConnection| Ok::<_, mai_storage::Error>(conn.batch_execute(known)?);
    db.storage.write_blocking(read).unwrap();
}

#[test]
fn a_sqlite_database_is_copied_and_old_copies_go() {
    let db = TestDb::sqlite();
    let (storage, folder) = (&db.storage, tempfile::tempdir().unwrap());
    let clock = clock("2026-07-15T12:00:00Z");
    record(storage, &[used("a", "g1", "2026-07-14", "anna", "openai/o3", 1_000)], clock.now().into());
    let folder = folder.path().join("it's here");
    let mut settings = settings();
    settings.backups = Some(Backups { folder: folder.clone(), keep: 2 });
    let batch = Batch::new(storage.clone(), Arc::new(clock.clone()), settings, "p").0;
    for date in ["2026-07-11", "2026-07-12", "2026-07-13", "2026-07-13", "2026-07-14"] {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("mai-usage-2026-01-01-1.unfinished"), "left by a crash").unwrap();
        std::fs::write(folder.join("somebody-elses.db"), "not ours").unwrap();
        let (run, steps) = do_run(&batch, date, true);
        assert_eq!(run.error, None);
        assert_eq!(details(&steps, "backup")["made"], true);
    }
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["mai-usage-2026-07-13.db", "mai-usage-2026-07-14.db", "somebody-elses.db"]);
    let copy = folder.join("mai-usage-2026-07-14.db");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&copy).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let copy = Storage::open(&mai_storage::DatabaseUrl::Sqlite(copy), PoolSettings::default());
    let (ours, theirs) = (dump(storage), dump(&copy));
    assert_eq!((ours.ledger, ours.days, ours.validations), (theirs.ledger, theirs.days, theirs.validations));
}

#[test]
fn a_backup_that_fails_fails_the_run_on_sqlite() {
    let db = TestDb::sqlite();
    let (clock, file) = (clock("2026-07-15T12:00:00Z"), tempfile::NamedTempFile::new().unwrap());
    let mut settings = settings();
    settings.backups = Some(Backups { folder: file.path().join("backups"), keep: 2 });
    let batch = Batch::new(db.storage.clone(), Arc::new(clock), settings, "p").0;
    let (run, _) = do_run(&batch, "2026-07-14", false);
    assert!(run.error.unwrap().starts_with("backup: the backup could not be written"));
}

#[test]
fn backups_of_postgres_are_not_ours() {
    let db = TestDb::postgres();
    let clock = clock("2026-07-15T12:00:00Z");
    let (_, steps) = do_run(&batch(&db.storage, &clock, "p"), "2026-07-14", false);
    let step = steps.last().unwrap();
    assert_eq!((step.name.as_str(), step.is_required), ("backup", false));
    assert!(details(&steps, "backup")["message"].as_str().unwrap().contains("pg_dump"));
}
