//! OpenRouter's figures of a key beside ours.

use std::sync::Arc;

use mai_generation_processing::{NewGeneration, ProcessedGenerationTable};
use mai_primitives::{UnixTime, UsageDate, Usd};
use mai_storage::{Storage, testing::TestDb};

use super::{clock, day, generation, org, record, wait};
use crate::drift::{DriftDay, KeyReading, days, store_reading};

fn usd(text: &str) -> Usd {
    Usd::parse(text).unwrap()
}

fn time(text: &str) -> UnixTime {
    UnixTime::from(text.parse::<chrono::DateTime<chrono::Utc>>().unwrap())
}

/// Reads key `key` of organization `a`: the total and the day's part of it.
fn read(storage: &Storage, key: &str, at: &str, total: &str, daily: &str) {
    let reading = KeyReading {
        client_org_id: org("a"),
        key_fingerprint: format!("fingerprint of {key}"),
        key_last4: key.to_owned(),
        read_at: time(at),
        usage_date: UsageDate::parse(&at[..10]).unwrap(),
        opening_total: usd(total).checked_sub(usd(daily)).unwrap(),
        daily: usd(daily),
    };
    wait(store_reading(storage, reading)).unwrap();
}

/// Books a call of organization `a` that began at an instant; its day is that of Warsaw.
fn book(storage: &Storage, name: &str, at: &str, cost: &str) {
    let calendar = mai_primitives::OrganizationCalendar::default();
    let new = NewGeneration {
        generation_date: calendar.usage_date(at.parse().unwrap()),
        started_at: time(at),
        total_cost: usd(cost),
        cost_text: cost.to_owned(),
        ..generation(name)
    };
    record(storage, &[new]);
}

fn report(storage: &Storage, today: &str) -> Vec<DriftDay> {
    storage.read_blocking(|conn| days(conn, Some(&org("a")), day("2026-07-01"), day(today))).unwrap()
}

/// Day, captured, billed and ratio.
type Line = (String, Option<String>, Option<String>, Option<i64>);

fn shown(storage: &Storage, today: &str) -> Vec<Line> {
    let text = |amount: Option<Usd>| amount.map(|amount| amount.to_string());
    let line =
        |day: DriftDay| (day.usage_date.to_string(), text(day.captured), text(day.billed), day.ratio());
    report(storage, today).into_iter().map(line).collect()
}

fn line(date: &str, captured: &str, billed: Option<&str>, ratio: Option<i64>) -> Line {
    (date.to_owned(), Some(captured.to_owned()), billed.map(str::to_owned), ratio)
}

#[test]
fn a_day_is_billed_by_the_openings_of_two_days() {
    TestDb::each(|storage| {
        // The key was used for 10 USD before; the first reading is in the middle of the day.
        book(storage, "1", "2026-07-15T00:00:00Z", "0.5");
        read(storage, "abcd", "2026-07-15T12:00:00Z", "10.5", "0.5");
        assert_eq!(shown(storage, "2026-07-15"), [line("2026-07-15", "0.5", Some("0.5"), Some(10_000))]);
        assert!(report(storage, "2026-07-15")[0].running);
        // The last second of the UTC day is already the next day in Warsaw.
        book(storage, "2", "2026-07-15T23:59:59Z", "0.25");
        book(storage, "3", "2026-07-16T00:00:00Z", "1");
        assert_eq!(shown(storage, "2026-07-16"), [line("2026-07-15", "0.5", None, None)]);
        read(storage, "abcd", "2026-07-16T00:01:00Z", "11.75", "1");
        let expected = [
            line("2026-07-15", "0.75", Some("0.75"), Some(10_000)),
            line("2026-07-16", "1", Some("1"), Some(10_000)),
        ];
        assert_eq!(shown(storage, "2026-07-16"), expected);
        // Reading again, as every replica does, changes nothing.
        read(storage, "abcd", "2026-07-16T00:01:00Z", "11.75", "1");
        assert_eq!(shown(storage, "2026-07-16"), expected);
        assert_eq!(report(storage, "2026-07-16")[0].keys, [("abcd".to_owned(), usd("0.75"))]);
    });
}

#[test]
fn a_late_look_up_closes_the_gap() {
    TestDb::each(|storage| {
        book(storage, "1", "2026-07-15T10:00:00Z", "0.3");
        read(storage, "abcd", "2026-07-15T12:00:00Z", "1", "1");
        read(storage, "abcd", "2026-07-16T00:01:00Z", "1", "0");
        assert_eq!(shown(storage, "2026-07-16")[0], line("2026-07-15", "0.3", Some("1"), Some(3_000)));
        assert_eq!(report(storage, "2026-07-16")[0].difference(), Some(usd("-0.7")));
        book(storage, "2", "2026-07-15T11:00:00Z", "0.7");
        read(storage, "abcd", "2026-07-18T23:46:00Z", "1", "0");
        assert_eq!(shown(storage, "2026-07-18")[0], line("2026-07-15", "1", Some("1"), Some(10_000)));
    });
}

/// The costs of old days are added up again with the first reading of a day only.
#[test]
fn a_call_that_a_person_settles_weeks_later_counts_from_the_next_day_on() {
    TestDb::each(|storage| {
        read(storage, "abcd", "2026-07-15T12:00:00Z", "1", "1");
        read(storage, "abcd", "2026-07-16T00:01:00Z", "1", "0");
        read(storage, "abcd", "2026-07-30T00:01:00Z", "1", "0");
        book(storage, "1", "2026-07-15T11:00:00Z", "1");
        read(storage, "abcd", "2026-07-30T00:16:00Z", "1", "0");
        assert_eq!(shown(storage, "2026-07-30")[0], line("2026-07-15", "0", Some("1"), Some(0)));
        read(storage, "abcd", "2026-07-31T00:01:00Z", "1", "0");
        assert_eq!(shown(storage, "2026-07-31")[0], line("2026-07-15", "1", Some("1"), Some(10_000)));
    });
}

#[test]
fn what_was_charged_to_a_key_that_was_replaced_is_not_known_for_that_day() {
    TestDb::each(|storage| {
        read(storage, "old1", "2026-07-14T12:00:00Z", "5", "0");
        read(storage, "old1", "2026-07-15T12:00:00Z", "7", "1");
        book(storage, "1", "2026-07-15T11:00:00Z", "1");
        book(storage, "2", "2026-07-15T14:00:00Z", "2");
        read(storage, "new2", "2026-07-15T15:00:00Z", "102", "2");
        assert_eq!(shown(storage, "2026-07-15")[1], line("2026-07-15", "3", Some("3"), Some(10_000)));
        read(storage, "new2", "2026-07-16T00:01:00Z", "102", "0");
        read(storage, "new2", "2026-07-17T00:01:00Z", "104", "0");
        book(storage, "3", "2026-07-16T11:00:00Z", "2");
        read(storage, "new2", "2026-07-17T00:16:00Z", "104", "0");
        let expected = [
            line("2026-07-14", "0", Some("1"), Some(0)),
            line("2026-07-15", "3", None, None),
            line("2026-07-16", "2", Some("2"), Some(10_000)),
            line("2026-07-17", "0", Some("0"), None),
        ];
        assert_eq!(shown(storage, "2026-07-17"), expected);
        let keys = &report(storage, "2026-07-17")[1].keys;
        assert_eq!(keys, &[("old1".to_owned(), usd("1")), ("new2".to_owned(), usd("2"))]);
    });
}

#[test]
fn what_the_ledger_no_longer_has_is_not_added_up_again() {
    TestDb::each(|storage| {
        book(storage, "1", "2026-07-15T10:00:00Z", "1");
        read(storage, "abcd", "2026-07-15T12:00:00Z", "1", "1");
        // As if our clock had gone wrong: in truth a cleanup keeps more than the days that are added up.
        let clock = clock("2026-07-22T12:00:00Z");
        let table = ProcessedGenerationTable::new(storage.clone(), Arc::new(clock));
        // The ledger is complete from the 17th on, which is too late for the 17th of UTC as well.
        wait(table.cleanup_old_generations(7)).unwrap();
        read(storage, "abcd", "2026-07-16T00:01:00Z", "1", "0");
        read(storage, "abcd", "2026-07-17T00:01:00Z", "1", "0");
        read(storage, "abcd", "2026-07-18T00:01:00Z", "1", "0");
        let captured: Vec<_> = report(storage, "2026-07-18").into_iter().map(|day| day.captured).collect();
        assert_eq!(captured, [Some(usd("1")), None, None, Some(Usd::ZERO)]);
        assert_eq!(shown(storage, "2026-07-18")[1], ("2026-07-16".into(), None, Some("0".into()), None));
    });
}

#[test]
fn organizations_are_told_apart() {
    TestDb::each(|storage| {
        read(storage, "abcd", "2026-07-15T12:00:00Z", "1", "1");
        let of = |name: Option<&str>| {
            let name = name.map(org);
            storage
                .read_blocking(|conn| days(conn, name.as_ref(), day("2026-07-01"), day("2026-07-15")))
                .unwrap()
                .len()
        };
        assert_eq!((of(None), of(Some("a")), of(Some("b"))), (1, 1, 0));
    });
}

#[test]
fn the_ratio_is_rounded_to_the_nearest_and_needs_something_billed() {
    let ratio = |captured: i64, billed: i64| {
        let day = DriftDay {
            client_org_id: org("a"),
            usage_date: day("2026-07-15"),
            keys: vec![],
            captured: Some(Usd::from_nanos(captured)),
            billed: Some(Usd::from_nanos(billed)),
            running: false,
        };
        day.ratio()
    };
    assert_eq!(ratio(99_994, 100_000), Some(9_999));
    assert_eq!(ratio(99_995, 100_000), Some(10_000));
    assert_eq!(ratio(999_999_999, 1_000_000_000), Some(10_000));
    assert_eq!(ratio(3, 2), Some(15_000));
    assert_eq!(ratio(2, 3), Some(6_667));
    assert_eq!(ratio(0, 1), Some(0));
    assert_eq!(ratio(i64::MAX, i64::MAX), Some(10_000));
    assert_eq!((ratio(1, 0), ratio(0, 0), ratio(1, -1), ratio(i64::MAX, 1)), (None, None, None, None));
}
