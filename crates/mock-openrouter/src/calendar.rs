//! Polish working days, on which NBP publishes its table A, and the numbers of the tables.

use chrono::{Datelike, NaiveDate, TimeDelta, Weekday};

/// Easter Sunday of a year from 1583 on: the first Sunday after the ecclesiastical full moon of spring (Meeus, Jones and
/// Butcher). `None` for a year beyond the calendar.
pub fn easter(year: i32) -> Option<NaiveDate> {
    let (golden, century, rest) = (year.rem_euclid(19), year.div_euclid(100), year.rem_euclid(100));
    let lunar = (8 * century + 13) / 25;
    let moon = (19 * golden + century - century / 4 - lunar + 15).rem_euclid(30);
    let sunday = (32 + 2 * (century % 4) + 2 * (rest / 4) - moon - rest % 4).rem_euclid(7);
    let late = (golden + 11 * moon + 22 * sunday) / 451;
    let sum = moon + sunday - 7 * late + 114;
    let month = u32::try_from(sum / 31).ok()?;
    let day = u32::try_from(sum % 31 + 1).ok()?;
    NaiveDate::from_ymd_opt(year, month, day)
}

/// Whether NBP works that day: no weekend and no public holiday by the Polish act of 18 January 1951 as amended
/// (Epiphany since 2011, Christmas Eve since 2025).
pub fn is_working_day(date: NaiveDate) -> bool {
    if matches!(date.weekday(), Weekday::Sat | Weekday::Sun) {
        return false;
    }
    let fixed = match (date.month(), date.day()) {
        (1 | 5 | 11, 1) | (5, 3) | (8, 15) | (11, 11) | (12, 25 | 26) => true,
        (1, 6) => date.year() >= 2011,
        (12, 24) => date.year() >= 2025,
        _ => false,
    };
    // Easter Monday and Corpus Christi; Easter Sunday and Pentecost are Sundays anyway.
    let moving = easter(date.year()).is_some_and(|easter| matches!((date - easter).num_days(), 1 | 60));
    !fixed && !moving
}

/// The working days from `start` to `end`, both included, in order.
pub(crate) fn working_days(start: NaiveDate, end: NaiveDate) -> impl DoubleEndedIterator<Item = NaiveDate> {
    let days = (end - start).num_days();
    (0..=days)
        .filter_map(move |day| start.checked_add_signed(TimeDelta::days(day)))
        .filter(|day| is_working_day(*day))
}

/// The number of a working day's table within its year, from 1.
pub(crate) fn table_number(date: NaiveDate) -> usize {
    NaiveDate::from_ymd_opt(date.year(), 1, 1).map_or(0, |first| working_days(first, date).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn easter_falls_where_the_calendar_says() {
        for text in
            ["2000-04-23", "2008-03-23", "2011-04-24", "2024-03-31", "2025-04-20", "2026-04-05", "2038-04-25"]
        {
            assert_eq!(easter(date(text).year()), Some(date(text)));
        }
    }

    #[test]
    fn holidays_and_weekends_are_free() {
        for free in [
            "2026-04-06",
            "2026-06-04",
            "2026-01-01",
            "2026-01-06",
            "2026-05-01",
            "2026-11-11",
            "2026-12-24",
            "2026-12-25",
            "2026-11-21",
            "2026-11-22",
        ] {
            assert!(!is_working_day(date(free)), "{free}");
        }
        for working in ["2026-04-03", "2026-04-07", "2024-12-24", "2026-11-20", "2010-01-06", "2026-05-04"] {
            assert!(is_working_day(date(working)), "{working}");
        }
    }

    #[test]
    fn numbers_agree_with_published_tables() {
        assert_eq!(table_number(date("2025-11-14")), 221);
        assert_eq!(table_number(date("2026-04-24")), 79);
        assert_eq!(table_number(date("2026-01-02")), 1);
    }
}
