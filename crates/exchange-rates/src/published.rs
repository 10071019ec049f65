//! [`Published`]: tables, and the days of which it is known whether they have one.

use std::collections::BTreeMap;

use mai_primitives::UsageDate;

use crate::model::PublishedRate;

/// Days, from the first to the last one without a gap, of which it is known whether NBP published a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownDays {
    /// The first day.
    pub from: UsageDate,
    /// The last day.
    pub through: UsageDate,
}

impl KnownDays {
    /// All days of both, where no gap is between them.
    pub(crate) fn joined(self, other: Self) -> Option<Self> {
        let touches = self.from <= other.through.plus_days(1) && other.from <= self.through.plus_days(1);
        let all = Self { from: self.from.min(other.from), through: self.through.max(other.through) };
        touches.then_some(all)
    }

    /// Whether the day is one of them.
    pub fn contains(self, day: UsageDate) -> bool {
        self.from <= day && day <= self.through
    }
}

/// What NBP is known to have published, or the part of it that somebody needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Published {
    known: Option<KnownDays>,
    tables: BTreeMap<UsageDate, PublishedRate>,
}

impl Published {
    /// Tables, and the days of which it is known that they have no others.
    pub fn new(known: Option<KnownDays>, tables: impl IntoIterator<Item = PublishedRate>) -> Self {
        let tables = tables.into_iter().map(|table| (table.effective_date, table)).collect();
        Self { known, tables }
    }

    /// The days of which it is known whether they have a table.
    pub const fn known(&self) -> Option<KnownDays> {
        self.known
    }

    /// The last table up to `day`, included. None while it is not certain which one that is: because it is
    /// not known whether `day` has a table, or because no table is known so early.
    pub fn last_up_to(&self, day: UsageDate) -> Option<&PublishedRate> {
        let known = self.known.filter(|known| known.contains(day))?;
        let (_, table) = self.tables.range(known.from..=day).next_back()?;
        Some(table)
    }
}
