//! Which local day an instant belongs to.
//!
//! Usage is counted by the organization's own calendar day, so a call at 23:59:59.999 in Warsaw
//! belongs to the day that is just ending there, whatever day it is in UTC.

use std::fmt;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use thiserror::Error;

const MINUTES_PER_DAY: i64 = 1_440;

/// Why there is no such calendar or date.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CalendarError {
    /// The text is not the name of an IANA time zone.
    #[error("`{0}` is not the name of an IANA time zone, such as Europe/Warsaw")]
    UnknownZone(String),
    /// The text is not a date of the form YYYY-MM-DD.
    #[error("`{0}` is not a date of the form YYYY-MM-DD")]
    NotADate(String),
}

/// An instant in whole Unix seconds, the form of every time stamp in our tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "diesel", derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow))]
#[cfg_attr(feature = "diesel", diesel(sql_type = diesel::sql_types::BigInt))]
pub struct UnixTime(i64);

impl UnixTime {
    #[cfg(feature = "diesel")]
    pub(crate) const fn as_number(&self) -> &i64 {
        &self.0
    }

    /// The instant `seconds` after 1970-01-01T00:00:00Z.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// The instant that lies `seconds` later, or earlier when negative; it stops at the ends of time.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }
}

impl From<DateTime<Utc>> for UnixTime {
    fn from(at: DateTime<Utc>) -> Self {
        Self(at.timestamp())
    }
}

/// A calendar day of an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "diesel", derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow))]
#[cfg_attr(feature = "diesel", diesel(sql_type = diesel::sql_types::Date))]
pub struct UsageDate(NaiveDate);

impl UsageDate {
    #[cfg(feature = "diesel")]
    pub(crate) const fn as_date(&self) -> &NaiveDate {
        &self.0
    }

    /// The day `date`.
    pub const fn new(date: NaiveDate) -> Self {
        Self(date)
    }

    /// Reads `YYYY-MM-DD`.
    pub fn parse(text: &str) -> Result<Self, CalendarError> {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == 10);
        date.map(Self).ok_or_else(|| CalendarError::NotADate(text.chars().take(40).collect()))
    }

    /// The day as chrono's date.
    pub const fn date(self) -> NaiveDate {
        self.0
    }

    /// The first day of this day's month.
    #[must_use]
    pub fn first_of_month(self) -> Self {
        Self(self.0.with_day(1).unwrap_or(self.0))
    }

    /// The number of days that this day's month has.
    pub fn days_in_month(self) -> u32 {
        let first = self.first_of_month().0;
        let next = first.checked_add_months(Months::new(1)).unwrap_or(first);
        u32::try_from(next.signed_duration_since(first).num_days()).unwrap_or(0)
    }

    /// The day of the month, 1 to 31.
    pub fn day_of_month(self) -> u32 {
        self.0.day()
    }

    /// The day `days` later; it stays where chrono's calendar ends.
    #[must_use]
    pub fn plus_days(self, days: u64) -> Self {
        Self(self.0.checked_add_days(Days::new(days)).unwrap_or(self.0))
    }

    /// The day `days` earlier; it stays where chrono's calendar ends.
    #[must_use]
    pub fn minus_days(self, days: u64) -> Self {
        Self(self.0.checked_sub_days(Days::new(days)).unwrap_or(self.0))
    }
}

/// `YYYY-MM-DD`.
impl fmt::Display for UsageDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The calendar of an organization: its IANA time zone with the zone's daylight saving rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrganizationCalendar(Tz);

impl Default for OrganizationCalendar {
    /// Europe/Warsaw, where the product comes from.
    fn default() -> Self {
        Self(Tz::Europe__Warsaw)
    }
}

impl OrganizationCalendar {
    /// The days of UTC, by which OpenRouter counts.
    pub const UTC: Self = Self(Tz::UTC);

    /// The calendar of a zone such as `Europe/Warsaw`.
    pub fn parse(zone: &str) -> Result<Self, CalendarError> {
        zone.parse().map(Self).map_err(|_| CalendarError::UnknownZone(zone.chars().take(60).collect()))
    }

    /// The IANA name of the zone.
    pub fn zone(self) -> &'static str {
        self.0.name()
    }

    /// The local day on which `at` lies.
    pub fn usage_date(self, at: DateTime<Utc>) -> UsageDate {
        UsageDate(at.with_timezone(&self.0).date_naive())
    }

    /// The local day of an instant in Unix seconds; none beyond the ends of chrono's calendar.
    pub fn day_at(self, at: UnixTime) -> Option<UsageDate> {
        DateTime::from_timestamp(at.0, 0).map(|at| self.usage_date(at))
    }

    /// The first instant of a local day. Where the clocks skip midnight it is the first instant
    /// that exists; where midnight comes twice it is the earlier one.
    pub fn start_of(self, day: UsageDate) -> UnixTime {
        self.instant_of(day, NaiveTime::MIN)
    }

    /// The instant at which the local clock shows a time of whole minutes on a day. Where the clocks skip
    /// that time it is the first instant behind the gap; where it comes twice it is the earlier one.
    pub fn instant_of(self, day: UsageDate, time: NaiveTime) -> UnixTime {
        let wanted = day.0.and_time(time);
        // No zone has ever skipped more than a day.
        let skipped_at_most = (0..=MINUTES_PER_DAY).find_map(|minutes| {
            let candidate = wanted + chrono::TimeDelta::minutes(minutes);
            self.0.from_local_datetime(&candidate).earliest()
        });
        UnixTime(skipped_at_most.map_or_else(|| wanted.and_utc().timestamp(), |at| at.timestamp()))
    }

    /// Hours and minutes `HH:MM` of an instant on the local clock.
    pub fn time_of_day(self, at: UnixTime) -> String {
        let at = DateTime::from_timestamp(at.0, 0).unwrap_or(DateTime::UNIX_EPOCH);
        at.with_timezone(&self.0).format("%H:%M").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn the_day_of_an_instant_in_seconds() {
        let day = |seconds| OrganizationCalendar::default().day_at(UnixTime::from_seconds(seconds));
        // Half past eleven in the evening in UTC is the next day in Warsaw.
        assert_eq!(day(1_793_489_400), Some(UsageDate::parse("2026-11-01").unwrap()));
        assert_eq!(day(i64::MAX), None);
    }

    #[test]
    fn the_last_and_the_first_millisecond_of_a_warsaw_day() {
        let warsaw = OrganizationCalendar::default();
        // Winter time is UTC+1, summer time UTC+2.
        for (instant, day) in [
            ("2026-01-31T22:59:59.999Z", "2026-01-31"),
            ("2026-01-31T23:00:00.000Z", "2026-02-01"),
            ("2026-06-30T21:59:59.999Z", "2026-06-30"),
            ("2026-06-30T22:00:00.000Z", "2026-07-01"),
            // 2026-03-29 has 23 hours, 2026-10-25 has 25.
            ("2026-03-28T22:59:59.999Z", "2026-03-28"),
            ("2026-03-28T23:00:00.000Z", "2026-03-29"),
            ("2026-03-29T21:59:59.999Z", "2026-03-29"),
            ("2026-03-29T22:00:00.000Z", "2026-03-30"),
            ("2026-10-24T22:00:00.000Z", "2026-10-25"),
            ("2026-10-25T22:59:59.999Z", "2026-10-25"),
            ("2026-10-25T23:00:00.000Z", "2026-10-26"),
        ] {
            assert_eq!(warsaw.usage_date(utc(instant)).to_string(), day, "{instant}");
        }
    }

    #[test]
    fn days_begin_when_they_locally_begin() {
        let warsaw = OrganizationCalendar::default();
        let hours = |day: &str| {
            let day = UsageDate::parse(day).unwrap();
            (warsaw.start_of(day.plus_days(1)).seconds() - warsaw.start_of(day).seconds()) / 3_600
        };
        assert_eq!((hours("2026-03-29"), hours("2026-10-25"), hours("2026-11-22")), (23, 25, 24));
        // Beirut skips midnight when its summer time begins.
        let beirut = OrganizationCalendar::parse("Asia/Beirut").unwrap();
        let day = UsageDate::parse("2026-03-29").unwrap();
        let start = beirut.start_of(day);
        assert_eq!(beirut.time_of_day(start), "01:00");
        assert_eq!(beirut.usage_date(DateTime::from_timestamp(start.seconds(), 0).unwrap()), day);
    }

    #[test]
    fn a_time_of_day_that_is_skipped_or_comes_twice_is_defined() {
        let warsaw = OrganizationCalendar::default();
        for (day, time, instant) in [
            ("2026-01-15", "13:00", "2026-01-15T12:00:00Z"),
            ("2026-07-15", "13:00", "2026-07-15T11:00:00Z"),
            ("2026-03-29", "13:00", "2026-03-29T11:00:00Z"),
            ("2026-10-25", "13:00", "2026-10-25T12:00:00Z"),
            // From 02:00 to 03:00 there is no local time on 2026-03-29.
            ("2026-03-29", "01:59", "2026-03-29T00:59:00Z"),
            ("2026-03-29", "02:00", "2026-03-29T01:00:00Z"),
            ("2026-03-29", "02:30", "2026-03-29T01:00:00Z"),
            ("2026-03-29", "03:00", "2026-03-29T01:00:00Z"),
            // It comes twice on 2026-10-25.
            ("2026-10-25", "02:30", "2026-10-25T00:30:00Z"),
            ("2026-10-25", "03:00", "2026-10-25T02:00:00Z"),
        ] {
            let found =
                warsaw.instant_of(UsageDate::parse(day).unwrap(), format!("{time}:00").parse().unwrap());
            assert_eq!(found, UnixTime::from(utc(instant)), "{day} {time}");
        }
        // Samoa skipped the whole of 2011-12-30.
        let apia = OrganizationCalendar::parse("Pacific/Apia").unwrap();
        let found = apia.instant_of(UsageDate::parse("2011-12-30").unwrap(), "13:00:00".parse().unwrap());
        assert_eq!(found, UnixTime::from(utc("2011-12-30T10:00:00Z")));
    }

    #[test]
    fn months_know_their_length() {
        for (day, length) in [("2024-02-10", 29), ("2026-02-10", 28), ("2026-12-31", 31), ("2026-11-01", 30)]
        {
            assert_eq!(UsageDate::parse(day).unwrap().days_in_month(), length, "{day}");
        }
        assert_eq!(UsageDate::parse("2026-11-22").unwrap().first_of_month().to_string(), "2026-11-01");
    }

    #[test]
    fn refuses_other_zones_and_dates() {
        assert!(OrganizationCalendar::parse("Europe/Krakow").is_err());
        for text in ["", "2026-1-1", "2026-02-30", "22.11.2026", "2026-11-22T00:00"] {
            assert!(UsageDate::parse(text).is_err(), "{text}");
        }
    }
}
