use mai_primitives::{UnixTime, Usd};
use mai_storage::testing::TestDb;

use super::{NOON, clock_at, day, generation, org, table, wait, write_rows};
use crate::{
    Error,
    cleanup::{Cleanup, DEFAULT_DAYS_TO_RETAIN, MIN_DAYS_TO_RETAIN},
    query,
};

fn days_before(time: UnixTime, days: i64) -> UnixTime {
    time.plus_seconds(-days * 86_400)
}

#[test]
fn old_rows_go_and_the_log_tells() {
    TestDb::each(|storage| {
        let edge = days_before(NOON, 90);
        write_rows(storage, &[generation("a", "old-1"), generation("a", "old-2")], edge.plus_seconds(-1));
        write_rows(storage, &[generation("b", "old-3")], days_before(NOON, 400));
        write_rows(storage, &[generation("a", "kept-1")], edge);
        write_rows(storage, &[generation("b", "kept-2")], NOON);
        let ledger = table(storage, &clock_at(NOON));
        assert_eq!(storage.read_blocking(query::complete_from).unwrap(), None);

        let result = wait(ledger.cleanup_old_generations(DEFAULT_DAYS_TO_RETAIN)).unwrap();
        assert_eq!((result.records_before, result.records_deleted, result.records_remaining), (5, 3, 2));
        assert_eq!((result.old_tokens_removed, result.old_cost_removed), (45, Usd::from_nanos(3_000)));
        assert_eq!((result.days_to_keep, result.cutoff_date), (90, day("2026-04-16")));
        assert_eq!(
            (result.storage_saved_kb.as_str(), result.cleanup_duration_seconds.as_str()),
            ("0.29", "0.000")
        );
        let records: Vec<_> =
            result.organization_breakdown.iter().map(|(org, part)| (org.as_str(), part.records)).collect();
        assert_eq!(records, [("a", 2), ("b", 1)]);

        let log = wait(ledger.get_cleanup_log(10)).unwrap();
        assert_eq!(log.len(), 1);
        assert_eq!((log[0].success, log[0].records_deleted, log[0].storage_saved_bytes), (true, 3, 300));
        assert_eq!(storage.read_blocking(query::complete_from).unwrap(), Some(day("2026-04-18")));

        let again = wait(ledger.cleanup_old_processed_generations(90)).unwrap();
        assert_eq!((again.records_before, again.records_deleted), (2, 0));
        assert!(again.organization_breakdown.is_empty());
        assert!(!wait(ledger.is_processed(&super::id("old-1"), &org("a"))).unwrap());
        assert!(wait(ledger.is_processed(&super::id("kept-1"), &org("a"))).unwrap());
    });
}

#[test]
fn a_failure_deletes_nothing_and_is_logged() {
    TestDb::each(|storage| {
        let huge = |name| {
            let mut new = generation("a", name);
            new.total_cost = Usd::from_nanos(i64::MAX / 2);
            new
        };
        // The sum of the deleted costs leaves the range.
        write_rows(storage, &[huge("1"), huge("2"), huge("3")], days_before(NOON, 100));
        let ledger = table(storage, &clock_at(NOON));
        assert!(matches!(wait(ledger.cleanup_old_generations(60)), Err(Error::Storage(_))));
        assert!(wait(ledger.is_processed(&super::id("1"), &org("a"))).unwrap());
        let log = wait(ledger.get_cleanup_log(10)).unwrap();
        assert_eq!((log.len(), log[0].success, log[0].records_deleted), (1, false, 0));
        assert!(log[0].error_message.as_ref().is_some_and(|text| !text.is_empty()));
        assert_eq!(storage.read_blocking(query::complete_from).unwrap(), None);
    });
}

#[test]
fn error_texts_in_the_log_are_cut() {
    let began = chrono::DateTime::from_timestamp(NOON.seconds(), 0).unwrap();
    let row = Cleanup::new(began, 60).unwrap().log_row(Err(&"ż".repeat(501)), began);
    assert_eq!(row.error_message.map(|text| text.chars().count()), Some(500));
}

#[test]
fn keeping_too_little_is_refused() {
    TestDb::each(|storage| {
        let ledger = table(storage, &clock_at(NOON));
        for days in [0, MIN_DAYS_TO_RETAIN - 1] {
            let refused = wait(ledger.cleanup_old_generations(days));
            assert!(matches!(refused, Err(Error::Retention(named)) if named == days));
        }
        assert!(wait(ledger.get_cleanup_log(10)).unwrap().is_empty());
        // After the shortest one, what began within the 72 hours of the look-ups can still be booked.
        wait(ledger.cleanup_old_generations(MIN_DAYS_TO_RETAIN)).unwrap();
        let complete_from = storage.read_blocking(query::complete_from).unwrap().unwrap();
        assert!(complete_from < day("2026-07-15").minus_days(4), "{complete_from}");
    });
}
