//! The policies on tables made up by hand.

use super::{day, days, table};
use crate::{DayRatePolicy, KnownDays, Published, StatementRatePolicy, update::next_range};

/// Friday, Monday and Tuesday of Christmas 2025; Wednesday to Sunday have no table.
fn christmas() -> Published {
    let tables = [table("2025-12-19", "3.61"), table("2025-12-22", "3.62"), table("2025-12-23", "3.63")];
    Published::new(Some(days("2025-12-10", "2025-12-28")), tables)
}

fn rate(policy: DayRatePolicy, date: &str) -> Option<String> {
    policy.rate_of(&christmas(), day(date)).map(|table| table.rate.to_string())
}

#[test]
fn a_day_takes_its_own_table_or_the_last_before() {
    use DayRatePolicy::{BeforeDay, SameDayOrBefore};
    for (date, same, before) in [
        ("2025-12-20", Some("3.6100"), Some("3.6100")),
        ("2025-12-21", Some("3.6100"), Some("3.6100")),
        ("2025-12-22", Some("3.6200"), Some("3.6100")),
        ("2025-12-23", Some("3.6300"), Some("3.6200")),
        ("2025-12-24", Some("3.6300"), Some("3.6300")),
        ("2025-12-28", Some("3.6300"), Some("3.6300")),
        // Whether Monday has a table is not known, but the day before it is.
        ("2025-12-29", None, Some("3.6300")),
        ("2025-12-30", None, None),
        // No table is known so early.
        ("2025-12-18", None, None),
        ("2025-12-19", Some("3.6100"), None),
        ("2025-12-01", None, None),
    ] {
        assert_eq!(rate(SameDayOrBefore, date).as_deref(), same, "{date}");
        assert_eq!(rate(BeforeDay, date).as_deref(), before, "{date}");
    }
}

#[test]
fn a_statement_takes_the_last_table_before_its_day() {
    use StatementRatePolicy::{BeforeIssueDay, BeforePeriodEnd};
    let rate = |policy: StatementRatePolicy, end: &str, issued: &str| {
        let found = christmas();
        policy.rate_of(&found, day(end), day(issued)).map(|table| table.rate.to_string())
    };
    // The table of the period's last day itself does not count.
    assert_eq!(rate(BeforePeriodEnd, "2025-12-23", "2026-01-05").as_deref(), Some("3.6200"));
    assert_eq!(rate(BeforePeriodEnd, "2025-12-24", "2026-01-05").as_deref(), Some("3.6300"));
    assert_eq!(rate(BeforePeriodEnd, "2025-12-30", "2026-01-05"), None, "Monday is not known");
    assert_eq!(rate(BeforeIssueDay, "2025-12-31", "2025-12-22").as_deref(), Some("3.6100"));
    assert_eq!(rate(BeforeIssueDay, "2025-12-31", "2025-12-29").as_deref(), Some("3.6300"));
    assert_eq!(rate(BeforeIssueDay, "2025-11-30", "2026-01-05"), None);
}

#[test]
fn a_table_outside_of_the_known_days_proves_nothing() {
    let tables = [table("2025-12-01", "3.5"), table("2025-12-23", "3.63")];
    let published = Published::new(Some(days("2025-12-10", "2025-12-28")), tables);
    assert_eq!(published.last_up_to(day("2025-12-20")), None);
    assert_eq!(Published::new(None, [table("2025-12-23", "3.63")]).last_up_to(day("2025-12-23")), None);
}

#[test]
fn what_is_asked_for_next_leaves_no_gap_and_fits_nbps_limit() {
    let today = day("2026-07-15");
    let next = |known: Option<KnownDays>, first: &str| next_range(known, day(first), today);
    assert_eq!(next(None, "2026-07-15"), Some(days("2026-07-05", "2026-07-15")));
    assert_eq!(next(None, "2026-08-15"), Some(days("2026-07-05", "2026-07-15")), "a first day to come");
    assert_eq!(next(None, "2024-01-01"), Some(days("2023-12-22", "2024-03-23")), "93 days");
    assert_eq!(next(None, "1990-01-01"), Some(days("2002-01-02", "2002-04-04")), "NBP's archive begins here");
    assert_eq!(next(Some(days("2002-01-02", "2026-07-15")), "1990-01-01"), None);
    // What came since, with the days before it once more.
    let some = |from, through| Some(days(from, through));
    assert_eq!(next(some("2026-01-01", "2026-07-14"), "2026-07-01"), some("2026-07-04", "2026-07-15"));
    assert_eq!(next(some("2026-01-01", "2026-07-15"), "2026-07-01"), None);
    assert_eq!(next(some("2026-01-01", "2026-02-01"), "2026-07-01"), some("2026-01-22", "2026-04-24"));
    // The beginning goes first, backwards from what is known.
    assert_eq!(next(some("2026-01-01", "2026-07-14"), "2025-12-31"), some("2025-12-21", "2025-12-31"));
    assert_eq!(next(some("2026-01-01", "2026-07-14"), "2026-01-11"), some("2026-07-04", "2026-07-15"));
    assert_eq!(next(some("2026-01-01", "2026-07-14"), "2026-01-10"), some("2025-12-31", "2026-01-10"));
    assert_eq!(next(some("2026-01-01", "2026-07-14"), "2026-01-09"), some("2025-12-30", "2026-01-09"));
    assert_eq!(next(some("2026-01-01", "2026-07-14"), "2024-01-01"), some("2025-09-30", "2025-12-31"));
}
