//! Numbers without gaps, whoever issues how many at once.

use std::{
    sync::{Arc, Barrier},
    time::Duration,
};

use mai_audit_log::Actor;
use mai_primitives::{OrganizationCalendar, OrganizationId};
use mai_storage::{PoolSettings, Storage};

use super::{StatementTable, day, each, month, wait};
use crate::{
    Error,
    statements::{Numbering, SettingsForm, issuing::issue, parties::locked_settings, verify::verify},
};

const ISSUERS: usize = 20;

#[test]
fn parallel_issuers_leave_no_gap_and_no_double() {
    each(|world| {
        let ids: Vec<OrganizationId> =
            (0..ISSUERS).map(|number| world.warsaw(&format!("org-{number:02}"))).collect();
        for id in &ids {
            world.use_model(id, "gen-1", "2026-10-05", "openai/o3", "1");
        }
        world.at("2026-11-02T09:00:00Z");
        // Two processes, as far as the database can tell.
        // They may take their time: a PDF is slow to make without optimization, and they stand in one queue.
        let settings = PoolSettings { wait: Duration::from_secs(600), ..PoolSettings::default() };
        let pools = [0, 1].map(|_| Storage::open(world.storage.url(), settings));
        let start = Barrier::new(ISSUERS * 2 + 1);
        let numbers: Vec<String> = std::thread::scope(|scope| {
            let issuers: Vec<_> = (0..ISSUERS * 2)
                .map(|place| {
                    // Each organization twice, once in each process.
                    let (id, storage, start) = (&ids[place % ISSUERS], &pools[place / ISSUERS], &start);
                    let clock = Arc::new(world.clock.clone());
                    let table = StatementTable::new(storage.clone(), clock, OrganizationCalendar::default());
                    scope.spawn(move || {
                        start.wait();
                        let issuing = wait(table.issue(id, month("2026-10"))).unwrap();
                        let row = wait(table.find(id, month("2026-10"))).unwrap().unwrap();
                        issuing.is_new.then_some(row.number)
                    })
                })
                .collect();
            // And one whose transactions fail after they have taken a number.
            let (failing, start) = (&pools[1], &start);
            let clock = world.clock.clone();
            let id = &ids[7];
            scope.spawn(move || {
                start.wait();
                for _ in 0..5 {
                    let failed = failing.write_blocking(|conn| {
                        let calendar = OrganizationCalendar::default();
                        issue(conn, id, month("2026-10"), &clock, calendar, &Actor::system())?;
                        Err::<(), _>(Error::Stored("a test that fails".to_owned()))
                    });
                    assert!(matches!(failed, Err(Error::Stored(_))));
                }
            });
            issuers.into_iter().filter_map(|issuer| issuer.join().unwrap()).collect()
        });
        let mut sorted = numbers.clone();
        sorted.sort();
        let expected: Vec<String> = (1..=ISSUERS).map(|number| format!("2026/11/{number:04}")).collect();
        assert_eq!(sorted, expected);
        let checked = world.storage.read_blocking(verify).unwrap();
        assert_eq!((checked.statements, checked.broken), (20, vec![]));
    });
}

#[test]
fn a_series_begins_with_each_month_or_year_of_issue() {
    each(|world| {
        let (a, b) = (world.warsaw("a"), world.warsaw("b"));
        for (number, date) in ["2026-10-05", "2026-11-05", "2026-12-05"].into_iter().enumerate() {
            for id in [&a, &b] {
                world.use_model(id, &format!("gen-{number}"), date, "openai/o3", "1");
            }
        }
        // Half past midnight on the first of the next month in Warsaw.
        world.at("2026-11-30T23:30:00Z");
        assert_eq!(world.issue(&a, "2026-10").number, "2026/12/0001");
        assert_eq!(world.issue(&b, "2026-10").number, "2026/12/0002");
        world.at("2026-12-31T22:30:00Z");
        assert_eq!(world.issue(&b, "2026-11").number, "2026/12/0003");
        world.at("2027-01-01T09:00:00Z");
        assert_eq!(world.issue(&a, "2026-11").number, "2027/01/0001");
        let yearly = SettingsForm { numbering: Some(Numbering::Yearly), ..SettingsForm::default() };
        wait(world.statements.update_settings(yearly)).unwrap();
        assert_eq!(world.issue(&a, "2026-12").number, "2027/0001");
        assert_eq!(world.issue(&b, "2026-12").number, "2027/0002");
        let checked = world.storage.read_blocking(verify).unwrap();
        assert_eq!((checked.statements, checked.broken), (6, vec![]));
    });
}

#[test]
fn whoever_waits_over_midnight_issues_on_the_later_day() {
    each(|world| {
        let a = world.warsaw("a");
        world.use_model(&a, "gen-1", "2026-10-05", "openai/o3", "1");
        // A minute before midnight in Warsaw.
        world.at("2026-11-30T22:59:00Z");
        let (holds, held, clock) = (Barrier::new(2), &world.storage, world.clock.clone());
        let row = std::thread::scope(|scope| {
            scope.spawn(|| {
                let done = held.write_blocking(|conn| {
                    locked_settings(conn)?;
                    holds.wait();
                    // So that the other is in the queue before the day ends.
                    std::thread::sleep(Duration::from_millis(300));
                    clock.set("2026-11-30T23:00:01Z".parse().unwrap());
                    Ok::<_, Error>(())
                });
                done.unwrap();
            });
            holds.wait();
            world.issue(&a, "2026-10")
        });
        assert_eq!((row.issue_date, row.number.as_str()), (day("2026-12-01"), "2026/12/0001"));
    });
}
