use std::sync::{
    Barrier,
    atomic::{AtomicUsize, Ordering},
};

use mai_primitives::Usd;
use mai_storage::testing::TestDb;

use super::{books, day, give_rate, mismatches, on, org, record, try_record, used};
use crate::Recorded;

const THREADS: usize = 8;
const GENERATIONS: usize = 240;

/// Eight writers bring the same generations in batches of different sizes and orders.
#[test]
fn writers_that_bring_the_same_generations_book_each_once() {
    TestDb::each(|storage| {
        let dates = ["2026-07-14", "2026-07-15", "2026-07-16"];
        let (users, models) = (["anna", "ben", "cleo", "dora"], ["x/a", "x/b", "y/c"]);
        let all: Vec<_> = (0..GENERATIONS)
            .map(|n| {
                let new = used(&format!("gen-{n}"), users[n % 4], models[n / 4 % 3], 3, 100);
                on(dates[n / 12 % 3], new)
            })
            .collect();
        let new = AtomicUsize::new(0);
        let start = Barrier::new(THREADS);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (mut mine, start, new) = (all.clone(), &start, &new);
                scope.spawn(move || {
                    mine.rotate_left(thread * GENERATIONS / THREADS);
                    if thread % 2 == 1 {
                        mine.reverse();
                    }
                    start.wait();
                    for batch in mine.chunks(7 + thread * 5) {
                        let recorded = try_record(storage, batch).unwrap();
                        assert!(!recorded.contains(&Recorded::Conflict));
                        let fresh = recorded.iter().filter(|one| **one == Recorded::New).count();
                        new.fetch_add(fresh, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(new.into_inner(), GENERATIONS);
        let books = books(storage);
        let sums: Vec<_> =
            books.days.iter().map(|row| (row.total_requests, row.raw_cost, row.unique_users)).collect();
        assert_eq!(
            sums,
            [
                (84, Usd::from_nanos(8_400), 4),
                (84, Usd::from_nanos(8_400), 4),
                (72, Usd::from_nanos(7_200), 4)
            ]
        );
        assert_eq!(mismatches(storage, &org("a")), []);
    });
}

/// On each of many days all writers bring a member and a model of their own at the same moment, so
/// that whoever writes last has to see the rows of all the others in what it derives.
#[test]
fn what_is_derived_sees_all_writers() {
    TestDb::each(|storage| {
        let first = day("2026-07-01");
        // Half of the days have their rates, so that all writers meet in the sums of the month as well.
        for later in (0..25).step_by(2) {
            let date = first.plus_days(later).to_string();
            record(storage, &[on(&date, used(&format!("gen-{date}"), "user-0", "x/0", 0, 0))]);
            give_rate(storage, &org("a"), &date, 40_000);
        }
        let days: Vec<_> = (0..25).map(|later| first.plus_days(later).to_string()).collect();
        let start = Barrier::new(THREADS);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (start, days) = (&start, &days);
                scope.spawn(move || {
                    let mut outcomes = Vec::new();
                    for date in days {
                        let (user, model) = (format!("user-{thread}"), format!("x/{thread}"));
                        let tokens = i64::try_from(thread).unwrap() + 1;
                        let new = on(date, used(&format!("gen-{thread}-{date}"), &user, &model, tokens, 1));
                        start.wait();
                        outcomes.push(try_record(storage, &[new]));
                    }
                    // Not earlier: the others would wait for ever for a writer that gave up.
                    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
                });
            }
        });
        for row in books(storage).days {
            let requests = 8 + i64::from(row.usd_pln_rate.is_some());
            assert_eq!((row.unique_users, row.total_requests, row.total_tokens), (8, requests, 36));
            assert_eq!(row.primary_model.unwrap().as_str(), "x/7");
        }
        assert_eq!(mismatches(storage, &org("a")), []);
    });
}

/// Writers of different days of a month, who do not wait for each other's days, meet in the month's rows: whoever
/// computes them last has to see what the others have added.
#[test]
fn the_sums_of_a_month_have_what_all_writers_added() {
    TestDb::each(|storage| {
        let dates: Vec<String> = (1..=THREADS).map(|number| format!("2026-07-{number:02}")).collect();
        for date in &dates {
            record(storage, &[on(date, used(&format!("gen-{date}"), "anna", "x/a", 1, 1))]);
        }
        let start = Barrier::new(THREADS + 1);
        std::thread::scope(|scope| {
            // The days get their rates while usage is added to them.
            scope.spawn(|| {
                start.wait();
                dates.iter().rev().for_each(|date| give_rate(storage, &org("a"), date, 40_000));
            });
            for date in &dates {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    for round in 0..20 {
                        let new =
                            on(date, used(&format!("gen-{date}-{round}"), "anna", "x/a", 1, 1_000_000_000));
                        try_record(storage, &[new]).unwrap();
                    }
                });
            }
        });
        assert_eq!(mismatches(storage, &org("a")), []);
    });
}
