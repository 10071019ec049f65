//! Days of a month as bits, the lowest for the first day, and [`DaySet`], which has them of many months.

use std::collections::BTreeMap;

use mai_primitives::UsageDate;

/// The bit of a day in its month.
pub(crate) fn bit(day: UsageDate) -> i64 {
    1 << (day.day_of_month() - 1)
}

/// How many days have their bit.
pub(crate) fn count(bits: i64) -> i64 {
    i64::from(bits.count_ones())
}

/// The first day of a month that has its bit, of which there must be one.
pub(crate) fn first(month: UsageDate, bits: i64) -> UsageDate {
    month.plus_days(u64::from(bits.trailing_zeros()))
}

/// A set of days, by the first day of their months.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct DaySet(BTreeMap<UsageDate, i64>);

impl DaySet {
    pub(crate) fn insert(&mut self, day: UsageDate) {
        self.insert_month(day.first_of_month(), bit(day));
    }

    /// Inserts the days of a month that have their bit.
    pub(crate) fn insert_month(&mut self, month: UsageDate, bits: i64) {
        *self.0.entry(month).or_default() |= bits;
    }

    pub(crate) fn union(&mut self, other: &Self) {
        for (month, bits) in &other.0 {
            self.insert_month(*month, *bits);
        }
    }

    /// How many days it has.
    pub(crate) fn count(&self) -> i64 {
        self.0.values().map(|bits| count(*bits)).sum()
    }

    /// How many days both have.
    pub(crate) fn shared(&self, other: &Self) -> i64 {
        let shared = |(month, bits): (&UsageDate, &i64)| count(bits & other.0.get(month).unwrap_or(&0));
        self.0.iter().map(shared).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> UsageDate {
        UsageDate::parse(text).unwrap()
    }

    fn set(days: &[&str]) -> DaySet {
        let mut set = DaySet::default();
        for text in days {
            set.insert(day(text));
        }
        set
    }

    #[test]
    fn days_are_counted_once() {
        let mut days = set(&["2026-01-31", "2026-01-31", "2026-02-01"]);
        assert_eq!(days.count(), 2);
        let others = set(&["2025-12-30", "2026-02-01", "2026-02-28"]);
        assert_eq!((days.shared(&others), others.shared(&days)), (1, 1));
        days.union(&others);
        assert_eq!((days.count(), DaySet::default().count()), (4, 0));
    }

    #[test]
    fn the_lowest_bit_is_the_first_day() {
        let month = day("2026-01-01");
        for text in ["2026-01-01", "2026-01-17", "2026-01-31"] {
            assert_eq!(first(month, bit(day(text)) | bit(day("2026-01-31"))), day(text));
        }
        assert_eq!((bit(month), count(bit(day("2026-01-31")) | bit(month))), (1, 2));
    }
}
