//! Daily rows that were broken on purpose become equal to the ledger again.

use std::sync::Barrier;

use diesel::prelude::*;
use mai_generation_processing::{
    ProcessedGenerationTable, query::complete_from, schema::processed_generations as ledger,
};
use mai_primitives::{UnixTime, UserId};
use mai_storage::{Storage, testing::TestDb};

use super::{
    NOON, books, clock, day, generation, mismatches, model, on, org, record, spoil, totals, used, wait,
};
use crate::{
    Error, Result,
    rebuild::{DailyRow, Derived, Difference, DifferenceKind, compare_day, rebuild_day},
    schema::{
        client_daily_usage as days, client_model_daily_usage as models, client_user_daily_usage as users,
    },
};

const DATE: &str = "2026-07-15";
const LATER: UnixTime = NOON.plus_seconds(3_600);

fn compare(storage: &Storage) -> Vec<DifferenceKind> {
    let found = storage.read_blocking(|conn| compare_day(conn, &org("a"), day(DATE))).unwrap();
    assert!(found.iter().all(|difference| difference.usage_date == day(DATE)));
    found.into_iter().map(|difference| difference.kind).collect()
}

fn rebuild(storage: &Storage) -> Result<Vec<Difference>> {
    storage.write_blocking(|conn| rebuild_day(conn, &org("a"), day(DATE), LATER))
}

/// Rebuilds, and fails unless that changes what was shown before and leaves the books in order.
fn assert_repaired(storage: &Storage) {
    let shown = compare(storage);
    let changed: Vec<_> = rebuild(storage).unwrap().into_iter().map(|one| one.kind).collect();
    assert_eq!(changed, shown);
    assert_eq!(compare(storage), []);
    assert_eq!(mismatches(storage, &org("a")), []);
}

fn fill(storage: &Storage) {
    record(
        storage,
        &[
            generation("1"),
            used("2", "ben", "x/b", 7, 10),
            used("3", "anna", "x/b", 9, 20),
            on("2026-07-14", generation("4")),
            on("2026-07-16", generation("5")),
        ],
    );
}

#[test]
fn right_books_stay_as_they_are() {
    TestDb::each(|storage| {
        fill(storage);
        let before = books(storage);
        assert_eq!(compare(storage), []);
        assert_eq!(rebuild(storage).unwrap(), []);
        let mut after = books(storage);
        // The lock on the day leaves its mark.
        after.days[1].updated_at = NOON;
        assert_eq!(after, before);
    });
}

#[test]
fn wrong_figures_are_shown_and_made_right() {
    TestDb::each(|storage| {
        fill(storage);
        let before = books(storage);
        let at = |date| days::table.find((org("a"), day(date)));
        spoil(storage, |conn| {
            diesel::update(at(DATE))
                .set((days::raw_cost.eq(1), days::unique_users.eq(9), days::primary_model.eq(Some("x/b"))))
                .execute(conn)
        });
        spoil(storage, |conn| {
            diesel::update(users::table.find((org("a"), day(DATE), "ben")))
                .set(users::total_tokens.eq(100))
                .execute(conn)
        });
        spoil(storage, |conn| {
            diesel::update(models::table.find((org("a"), day(DATE), "x/b")))
                .set(models::total_requests.eq(0))
                .execute(conn)
        });
        let wrong = |row, stored, ledger| DifferenceKind::Totals { row, stored, ledger };
        let ben = DailyRow::Member(UserId::new("ben").unwrap());
        let b = model("x/b");
        assert_eq!(
            compare(storage),
            [
                wrong(DailyRow::Organization, totals(31, 3, 1, 1_545), totals(31, 3, 1_030, 1_545)),
                wrong(ben, totals(100, 1, 10, 15), totals(7, 1, 10, 15)),
                wrong(DailyRow::Model(b.clone()), totals(16, 0, 30, 45), totals(16, 2, 30, 45)),
                DifferenceKind::Derived {
                    stored: Derived { unique_users: 9, primary_model: Some(b.clone()) },
                    ledger: Derived { unique_users: 2, primary_model: Some(b) },
                },
            ]
        );
        assert_repaired(storage);
        let mut after = books(storage);
        assert_eq!(after.days[1].updated_at, LATER);
        for row in &mut after.days {
            row.updated_at = NOON;
        }
        for row in &mut after.users {
            row.updated_at = NOON;
        }
        for row in &mut after.models {
            row.updated_at = NOON;
        }
        assert_eq!(after, before);
    });
}

#[test]
fn missing_rows_come_back_and_invented_ones_go() {
    TestDb::each(|storage| {
        fill(storage);
        let before = books(storage);
        spoil(storage, |conn| diesel::delete(users::table.find((org("a"), day(DATE), "ben"))).execute(conn));
        spoil(storage, |conn| {
            diesel::update(models::table.find((org("a"), day(DATE), "x/b")))
                .set(models::model_name.eq("x/invented"))
                .execute(conn)
        });
        assert_repaired(storage);
        // A row of zeros still counts as a member.
        spoil(storage, |conn| {
            diesel::update(users::table.find((org("a"), day("2026-07-14"), "anna")))
                .set((
                    users::usage_date.eq(day(DATE)),
                    users::user_id.eq("nobody"),
                    users::total_tokens.eq(0),
                    users::total_requests.eq(0),
                    users::raw_cost.eq(0),
                    users::markup_cost.eq(0),
                ))
                .execute(conn)
        });
        storage.write_blocking(|conn| rebuild_day(conn, &org("a"), day("2026-07-14"), LATER)).unwrap();
        let (row, none) = (DailyRow::Member(UserId::new("nobody").unwrap()), totals(0, 0, 0, 0));
        assert_eq!(compare(storage), [DifferenceKind::Totals { row, stored: none, ledger: none }]);
        assert_repaired(storage);
        spoil(storage, |conn| diesel::delete(days::table.find((org("a"), day(DATE)))).execute(conn));
        assert_repaired(storage);
        let after = books(storage);
        let keys = |books: &super::Books| {
            let users = books.users.iter().map(|row| (row.id(), row.openrouter_user_id.clone()));
            let models = books.models.iter().map(|row| (row.id(), row.provider.clone()));
            (users.collect::<Vec<_>>(), models.collect::<Vec<_>>())
        };
        assert_eq!(keys(&after), keys(&before));
    });
}

#[test]
fn a_day_that_the_ledger_does_not_know_ends_without_rows() {
    TestDb::each(|storage| {
        record(storage, &[generation("1")]);
        spoil(storage, |conn| diesel::delete(ledger::table).execute(conn));
        assert_eq!(compare(storage).len(), 4);
        assert_repaired(storage);
        let books = books(storage);
        assert_eq!((books.days.len(), books.users.len(), books.models.len()), (0, 0, 0));
        // A rebuilt day without anything leaves no row of zeros behind.
        assert_eq!(rebuild(storage).unwrap(), []);
        assert_eq!(super::books(storage).days, []);
    });
}

#[test]
fn a_day_of_a_cleaned_ledger_is_refused() {
    TestDb::each(|storage| {
        fill(storage);
        let before = books(storage);
        let clock = clock("2026-07-21T12:00:00Z");
        let table = ProcessedGenerationTable::new(storage.clone(), std::sync::Arc::new(clock));
        wait(table.cleanup_old_generations(7)).unwrap();
        assert_eq!(storage.read_blocking(complete_from).unwrap(), Some(day("2026-07-16")));
        let read = storage.read_blocking(|conn| compare_day(conn, &org("a"), day(DATE)));
        for refused in [read, rebuild(storage)] {
            assert!(
                matches!(refused, Err(Error::LedgerCleaned { date, complete_from })
                    if date == day(DATE) && complete_from == day("2026-07-16")),
                "{refused:?}"
            );
        }
        let open = storage.read_blocking(|conn| compare_day(conn, &org("a"), day("2026-07-16")));
        assert_eq!(open.unwrap(), []);
        assert_eq!(books(storage), before);
    });
}

/// While several book on a day, its rows are broken and rebuilt again and again. The day has so many
/// generations that adding them up takes longer than booking one.
#[test]
fn a_rebuild_loses_nothing_that_is_booked_meanwhile() {
    const BEFORE: usize = 5_000;
    const WRITERS: usize = 3;
    const EACH: usize = 40;
    TestDb::each(|storage| {
        let before: Vec<_> =
            (0..BEFORE).map(|number| used(&format!("before-{number}"), "user-0", "x/a", 2, 100)).collect();
        record(storage, &before);
        let start = Barrier::new(WRITERS + 1);
        let book = |writer: usize| {
            start.wait();
            for number in 0..EACH {
                let user = format!("user-{}", number % 3);
                record(storage, &[used(&format!("{writer}-{number}"), &user, "x/a", 2, 100)]);
            }
        };
        let book = &book;
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || book(writer))).collect();
            start.wait();
            while !writers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                spoil(storage, |conn| {
                    diesel::update(days::table.find((org("a"), day(DATE))))
                        .set(days::total_tokens.eq(7))
                        .execute(conn)
                });
                rebuild(storage).unwrap();
                // At once, because the next rebuild would repair what this one has done wrong.
                assert_eq!(mismatches(storage, &org("a")), []);
            }
        });
        let requests = i64::try_from(BEFORE + WRITERS * EACH).unwrap();
        assert_eq!(books(storage).days[0].total_requests, requests);
    });
}
