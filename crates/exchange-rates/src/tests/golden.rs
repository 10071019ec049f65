//! Three years of real calendar days, with Poland's holidays.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use mai_mock_openrouter::is_working_day;
use mai_primitives::UsageDate;
use mai_storage::testing::TestDb;

use super::{World, day, wait};
use crate::{DayRatePolicy, ExchangeRateTable, Published, StatementRatePolicy};

const FIRST: &str = "2024-01-01";
const LAST: &str = "2026-12-31";

fn three_years() -> Published {
    let database = TestDb::sqlite();
    let world = World::at("2027-01-04T12:00:00Z");
    wait(world.updater(&database.storage).bring_up_to_date(day(FIRST))).unwrap();
    let rates = ExchangeRateTable::new(database.storage.clone(), None);
    wait(rates.published(day(FIRST), day("2027-01-04"))).unwrap()
}

/// The last working day up to a day, found by walking back: none of the product's code is in it.
fn working_day_up_to(mut date: NaiveDate) -> NaiveDate {
    while !is_working_day(date) {
        date = date.pred_opt().unwrap();
    }
    date
}

#[test]
fn every_day_and_every_month_end_has_its_table() {
    let published = three_years();
    let mut date = day(FIRST);
    let (mut days, mut month_ends, mut without) = (0, 0, 0);
    while date <= day(LAST) {
        let own = working_day_up_to(date.date());
        let before = working_day_up_to(date.date().pred_opt().unwrap());
        let effective = |table: Option<&crate::PublishedRate>| table.map(|table| table.effective_date);
        let at = |date: NaiveDate| Some(UsageDate::new(date));
        assert_eq!(effective(DayRatePolicy::SameDayOrBefore.rate_of(&published, date)), at(own), "{date}");
        assert_eq!(effective(DayRatePolicy::BeforeDay.rate_of(&published, date)), at(before), "{date}");
        without += i32::from(own != date.date());
        if date.plus_days(1).day_of_month() == 1 {
            let issued = date.plus_days(5);
            let end = StatementRatePolicy::BeforePeriodEnd.rate_of(&published, date, issued);
            assert_eq!(effective(end), at(before), "{date}");
            let issue = StatementRatePolicy::BeforeIssueDay.rate_of(&published, date, issued);
            // The last statement would be issued on a day of which nothing is known yet.
            let expected = working_day_up_to(issued.date().pred_opt().unwrap());
            let known = issued.minus_days(1) <= day("2027-01-04");
            assert_eq!(effective(issue), at(expected).filter(|_| known), "{date}");
            month_ends += 1;
        }
        days += 1;
        date = date.plus_days(1);
    }
    assert_eq!((days, month_ends), (366 + 365 + 365, 36));
    // 312 days of weekends, and the holidays that fall on other days: 10 of 2024, 10 of 2025, 8 of 2026.
    assert_eq!(without, 312 + 10 + 10 + 8);
}

/// Days that are easily got wrong, with the numbers that the tables had.
#[test]
fn well_known_days() {
    let published = three_years();
    for (date, same, before, same_no) in [
        // A weekend.
        ("2026-11-21", "2026-11-20", "2026-11-20", "226/A/NBP/2026"),
        ("2026-11-22", "2026-11-20", "2026-11-20", "226/A/NBP/2026"),
        ("2026-11-23", "2026-11-23", "2026-11-20", "227/A/NBP/2026"),
        // Christmas Eve is a working day in 2024 and a holiday from 2025 on.
        ("2024-12-23", "2024-12-23", "2024-12-20", "248/A/NBP/2024"),
        ("2024-12-24", "2024-12-24", "2024-12-23", "249/A/NBP/2024"),
        ("2024-12-25", "2024-12-24", "2024-12-24", "249/A/NBP/2024"),
        ("2024-12-26", "2024-12-24", "2024-12-24", "249/A/NBP/2024"),
        ("2024-12-27", "2024-12-27", "2024-12-24", "250/A/NBP/2024"),
        ("2025-12-24", "2025-12-23", "2025-12-23", "248/A/NBP/2025"),
        ("2025-12-28", "2025-12-23", "2025-12-23", "248/A/NBP/2025"),
        ("2025-12-29", "2025-12-29", "2025-12-23", "249/A/NBP/2025"),
        ("2026-12-24", "2026-12-23", "2026-12-23", "249/A/NBP/2026"),
        ("2026-12-27", "2026-12-23", "2026-12-23", "249/A/NBP/2026"),
        // Easter Monday and Corpus Christi.
        ("2024-04-01", "2024-03-29", "2024-03-29", "064/A/NBP/2024"),
        ("2025-06-19", "2025-06-18", "2025-06-18", "117/A/NBP/2025"),
        ("2026-04-06", "2026-04-03", "2026-04-03", "065/A/NBP/2026"),
        // New Year, Epiphany, and a Saturday holiday that frees no other day of NBP.
        ("2025-01-01", "2024-12-31", "2024-12-31", "252/A/NBP/2024"),
        ("2025-01-06", "2025-01-03", "2025-01-03", "002/A/NBP/2025"),
        ("2026-01-01", "2025-12-31", "2025-12-31", "251/A/NBP/2025"),
        ("2025-11-10", "2025-11-10", "2025-11-07", "218/A/NBP/2025"),
        ("2025-11-11", "2025-11-10", "2025-11-10", "218/A/NBP/2025"),
        // The leap day.
        ("2024-02-29", "2024-02-29", "2024-02-28", "043/A/NBP/2024"),
    ] {
        let table = DayRatePolicy::SameDayOrBefore.rate_of(&published, day(date)).unwrap();
        assert_eq!((table.effective_date, table.table_no.as_str()), (day(same), same_no), "{date}");
        let table = DayRatePolicy::BeforeDay.rate_of(&published, day(date)).unwrap();
        assert_eq!(table.effective_date, day(before), "{date}");
    }
}

/// A year hour by hour around noon and midnight, with a table that NBP leaves out: once a day's rate is
/// certain, it stays.
#[test]
fn what_is_certain_never_changes() {
    TestDb::each(|storage| {
        let world = World::at("2024-12-15T12:00:00Z");
        world.mock.set_nbp(mai_mock_openrouter::NbpConduct {
            withheld: std::iter::once(day("2025-01-14").date()).collect(),
            ..mai_mock_openrouter::NbpConduct::default()
        });
        let updater = world.updater(storage);
        let rates = ExchangeRateTable::new(storage.clone(), None);
        let mut certain: BTreeMap<(UsageDate, &str), String> = BTreeMap::new();
        for offset in 0..45_u64 {
            let date = day("2024-12-15").plus_days(offset);
            for (time, is_open) in [("10:00", false), ("11:09", false), ("11:10", true), ("22:59", true)] {
                world.set(&format!("{date}T{time}:00Z"));
                wait(updater.bring_up_to_date(day("2024-12-15"))).unwrap();
                let published = wait(rates.published(day("2024-12-15"), date)).unwrap();
                let has_table = is_working_day(date.date()) && date != day("2025-01-14");
                let own = DayRatePolicy::SameDayOrBefore.rate_of(&published, date);
                assert_eq!(own.is_some(), is_open && has_table, "{date} {time}");
                let before = DayRatePolicy::BeforeDay.rate_of(&published, date);
                assert!(before.is_some(), "{date} {time}: all days before are over");
                for earlier in (0..=offset).map(|offset| day("2024-12-15").plus_days(offset)) {
                    for policy in DayRatePolicy::ALL {
                        let Some(table) = policy.rate_of(&published, earlier) else { continue };
                        let first = certain
                            .entry((earlier, policy.as_str()))
                            .or_insert_with(|| table.table_no.clone());
                        assert_eq!(*first, table.table_no, "{earlier} at {date} {time}");
                    }
                }
            }
        }
        let missing = &certain[&(day("2025-01-14"), "same_day_or_before")];
        assert_eq!(*missing, certain[&(day("2025-01-13"), "same_day_or_before")]);
    });
}
