//! [`BillingMonth`]: a calendar month of an organization.

use std::{fmt, str::FromStr};

use chrono::Datelike as _;
use mai_primitives::UsageDate;

use crate::error::Error;

/// A calendar month, such as `2026-11`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BillingMonth {
    first: UsageDate,
}

impl BillingMonth {
    /// The month of a day.
    pub fn of(day: UsageDate) -> Self {
        Self { first: day.first_of_month() }
    }

    /// Its first day.
    pub const fn first(self) -> UsageDate {
        self.first
    }

    /// Its last day.
    pub fn last(self) -> UsageDate {
        self.first.plus_days(u64::from(self.days()).saturating_sub(1))
    }

    /// How many days it has, 28 to 31.
    pub fn days(self) -> u32 {
        self.first.days_in_month()
    }

    /// The month before it.
    #[must_use]
    pub fn before(self) -> Self {
        Self::of(self.first.minus_days(1))
    }

    /// The month after it.
    #[must_use]
    pub fn after(self) -> Self {
        Self::of(self.last().plus_days(1))
    }

    /// Its number in the year, 1 to 12.
    pub fn number(self) -> u32 {
        self.first.date().month()
    }

    /// Its year.
    pub fn year(self) -> i32 {
        self.first.date().year()
    }
}

/// `YYYY-MM`.
impl fmt::Display for BillingMonth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first.date().format("%Y-%m"))
    }
}

impl FromStr for BillingMonth {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let first = UsageDate::parse(&format!("{text}-01"));
        first.map(Self::of).map_err(|_| Error::NotAMonth(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_knows_its_days() {
        for (text, last, days, before) in [
            ("2026-11", "2026-11-30", 30, "2026-10"),
            ("2026-01", "2026-01-31", 31, "2025-12"),
            ("2024-02", "2024-02-29", 29, "2024-01"),
            ("2100-02", "2100-02-28", 28, "2100-01"),
        ] {
            let month: BillingMonth = text.parse().unwrap();
            assert_eq!((month.to_string().as_str(), month.last().to_string().as_str()), (text, last));
            assert_eq!((month.days(), month.before().to_string().as_str()), (days, before));
        }
        let month: BillingMonth = "2026-11".parse().unwrap();
        assert_eq!((month.number(), month.year()), (11, 2026));
    }

    #[test]
    fn other_texts_are_no_months() {
        for text in
            ["", "2026", "2026-13", "2026-00", "2026-1", "2026-11-01", "26-11", "2026-11 ", "-2026-11"]
        {
            assert!(matches!(text.parse::<BillingMonth>(), Err(Error::NotAMonth(_))), "{text}");
        }
    }
}
