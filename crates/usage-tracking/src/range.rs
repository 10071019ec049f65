//! [`DayRange`]: the local days that a statistic covers.

use mai_primitives::UsageDate;

use crate::error::{Error, Result};

/// Local days of an organization from the first to the last one, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayRange {
    from: UsageDate,
    to: UsageDate,
}

impl DayRange {
    /// The days from `from` to `to`, or [`Error::InvalidRange`] where it ends before it begins.
    pub fn new(from: UsageDate, to: UsageDate) -> Result<Self> {
        if from > to { Err(Error::InvalidRange(from, to)) } else { Ok(Self { from, to }) }
    }

    /// The days that a question means: up to `today` where it names no end, and from the first of the
    /// end's month where it names no start.
    pub fn resolve(today: UsageDate, start: Option<UsageDate>, end: Option<UsageDate>) -> Result<Self> {
        let to = end.unwrap_or(today);
        Self::new(start.unwrap_or_else(|| to.first_of_month()), to)
    }

    /// The first day.
    pub const fn from(self) -> UsageDate {
        self.from
    }

    /// The last day.
    pub const fn to(self) -> UsageDate {
        self.to
    }

    /// How many days it has.
    pub fn days(self) -> i64 {
        self.to.date().signed_duration_since(self.from.date()).num_days() + 1
    }

    /// How many of its days have begun when it is `today`.
    pub fn days_begun(self, today: UsageDate) -> i64 {
        Self::new(self.from, self.to.min(today)).map_or(0, Self::days)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> UsageDate {
        UsageDate::parse(text).unwrap()
    }

    fn resolve(start: Option<&str>, end: Option<&str>) -> Option<(String, String)> {
        let range = DayRange::resolve(day("2026-07-15"), start.map(day), end.map(day)).ok()?;
        Some((range.from().to_string(), range.to().to_string()))
    }

    #[test]
    fn what_is_not_named_is_the_month_up_to_today() {
        let range = |from: &str, to: &str| Some((from.to_owned(), to.to_owned()));
        assert_eq!(resolve(None, None), range("2026-07-01", "2026-07-15"));
        assert_eq!(resolve(None, Some("2026-02-10")), range("2026-02-01", "2026-02-10"));
        assert_eq!(resolve(Some("2025-12-31"), None), range("2025-12-31", "2026-07-15"));
        assert_eq!(resolve(Some("2026-07-16"), None), None);
        assert_eq!(resolve(Some("2026-02-10"), Some("2026-02-09")), None);
    }

    #[test]
    fn days_are_counted_with_both_ends() {
        let range = DayRange::new(day("2024-02-28"), day("2024-03-01")).unwrap();
        assert_eq!(range.days(), 3);
        assert_eq!(range.days_begun(day("2024-02-28")), 1);
        assert_eq!(range.days_begun(day("2024-02-27")), 0);
        assert_eq!(range.days_begun(day("2025-01-01")), 3);
    }
}
