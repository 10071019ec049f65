//! When the daily run is due.

use std::fmt;

use chrono::{DateTime, NaiveTime, Utc};
use mai_primitives::{OrganizationCalendar, UnixTime, UsageDate};

/// A time of each day in a time zone.
///
/// Where the clocks skip that time, the run is due at the first instant behind the gap; where it comes
/// twice, at the first of the two. So there is one instant on each day, whatever the clocks do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// The zone whose days are processed.
    pub calendar: OrganizationCalendar,
    /// The local time, in whole minutes.
    pub time: NaiveTime,
}

impl Schedule {
    /// Reads a time of day `HH:MM`.
    pub fn time(text: &str) -> Result<NaiveTime, &'static str> {
        let time = NaiveTime::parse_from_str(text, "%H:%M").ok().filter(|_| text.len() == 5);
        time.ok_or("it must be a time of day as HH:MM, such as 13:00")
    }

    /// When the run of a processing date is due: on the day after it.
    pub fn instant(&self, processing_date: UsageDate) -> UnixTime {
        self.calendar.instant_of(processing_date.plus_days(1), self.time)
    }

    /// The last day that is over.
    pub fn last_over(&self, now: DateTime<Utc>) -> UsageDate {
        self.calendar.usage_date(now).minus_days(1)
    }

    /// The last processing date whose time has come.
    pub fn last_due(&self, now: DateTime<Utc>) -> UsageDate {
        let yesterday = self.last_over(now);
        if self.instant(yesterday) <= UnixTime::from(now) { yesterday } else { yesterday.minus_days(1) }
    }

    /// The first processing date that is due and behind `last`, the last one that was processed. Where
    /// none was ever processed the last one that is due is enough: a run is about all days up to its date.
    pub fn first_due(&self, now: DateTime<Utc>, last: Option<UsageDate>) -> Option<UsageDate> {
        let last_due = self.last_due(now);
        let first = last.map_or(last_due, |last| last.plus_days(1));
        (first <= last_due).then_some(first)
    }

    /// When the next run will be due.
    pub fn next(&self, now: DateTime<Utc>) -> UnixTime {
        self.instant(self.last_due(now).plus_days(1))
    }
}

/// `13:00 Europe/Warsaw`.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.time.format("%H:%M"), self.calendar.zone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn day(text: &str) -> UsageDate {
        UsageDate::parse(text).unwrap()
    }

    fn warsaw(time: &str) -> Schedule {
        Schedule { calendar: OrganizationCalendar::default(), time: Schedule::time(time).unwrap() }
    }

    #[test]
    fn yesterday_is_due_at_thirteen_local_time_in_summer_and_winter() {
        let schedule = warsaw("13:00");
        for (now, due, next) in [
            ("2026-03-28T11:59:59Z", "2026-03-26", "2026-03-28T12:00:00Z"),
            ("2026-03-28T12:00:00Z", "2026-03-27", "2026-03-29T11:00:00Z"),
            ("2026-03-29T10:59:59Z", "2026-03-27", "2026-03-29T11:00:00Z"),
            ("2026-03-29T11:00:00Z", "2026-03-28", "2026-03-30T11:00:00Z"),
            ("2026-10-25T11:59:59Z", "2026-10-23", "2026-10-25T12:00:00Z"),
            ("2026-10-25T12:00:00Z", "2026-10-24", "2026-10-26T12:00:00Z"),
            // Half past midnight in Warsaw, when UTC is the day before.
            ("2026-07-14T22:30:00Z", "2026-07-13", "2026-07-15T11:00:00Z"),
        ] {
            assert_eq!(schedule.last_due(at(now)), day(due), "{now}");
            assert_eq!(schedule.next(at(now)), UnixTime::from(at(next)), "{now}");
        }
    }

    #[test]
    fn a_time_in_a_gap_or_in_an_overlap_comes_once() {
        for (time, gap, overlap) in [
            ("02:30", "2026-03-29T01:00:00Z", "2026-10-25T00:30:00Z"),
            ("02:00", "2026-03-29T01:00:00Z", "2026-10-25T00:00:00Z"),
            ("03:00", "2026-03-29T01:00:00Z", "2026-10-25T02:00:00Z"),
        ] {
            let schedule = warsaw(time);
            assert_eq!(schedule.instant(day("2026-03-28")), UnixTime::from(at(gap)), "{time}");
            assert_eq!(schedule.instant(day("2026-10-24")), UnixTime::from(at(overlap)), "{time}");
            // Minute by minute over both days each date becomes due once, and in order.
            for start in ["2026-03-27T12:00:00Z", "2026-10-23T12:00:00Z"] {
                let mut last = schedule.last_due(at(start));
                let mut became_due = 0;
                for minute in 0..3 * 1_440 {
                    let now = at(start) + chrono::TimeDelta::minutes(minute);
                    let due = schedule.last_due(now);
                    assert!(due == last || due == last.plus_days(1), "{time} {now}");
                    became_due += i32::from(due != last);
                    last = due;
                }
                assert_eq!(became_due, 3, "{time} {start}");
            }
        }
    }

    #[test]
    fn missed_days_are_due_in_order() {
        let schedule = warsaw("13:00");
        let now = at("2026-07-15T12:00:00Z");
        assert_eq!(schedule.first_due(now, None), Some(day("2026-07-14")));
        assert_eq!(schedule.first_due(now, Some(day("2026-07-10"))), Some(day("2026-07-11")));
        assert_eq!(schedule.first_due(now, Some(day("2026-07-14"))), None);
        // A clock that went back makes nothing due.
        assert_eq!(schedule.first_due(now, Some(day("2026-07-20"))), None);
    }

    #[test]
    fn a_time_is_read_strictly() {
        for text in ["", "13", "1:00", "13:0", "24:00", "13:60", "13:00:00", "13.00", " 13:00"] {
            assert!(Schedule::time(text).is_err(), "{text}");
        }
        assert_eq!(warsaw("00:00").to_string(), "00:00 Europe/Warsaw");
    }
}
