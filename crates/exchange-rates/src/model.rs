//! Rates and where they come from.

use diesel::prelude::*;
use mai_primitives::{UnixTime, UsageDate, UsdPlnRate};

use crate::schema::nbp_rates;

/// The mid rate of the US dollar in one of NBP's tables A.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Insertable)]
#[diesel(table_name = nbp_rates, treat_none_as_default_value = false)]
pub struct PublishedRate {
    /// The day of the table; it was published on it, about noon in Warsaw.
    pub effective_date: UsageDate,
    /// The number of the table, `NNN/A/NBP/YYYY`.
    pub table_no: String,
    /// How many PLN one USD is worth.
    #[diesel(column_name = mid)]
    pub rate: UsdPlnRate,
    /// When it was read from NBP.
    pub fetched_at: UnixTime,
}

impl PublishedRate {
    /// Whether the other one says the same, whenever it was read.
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        (self.effective_date, &self.table_no, self.rate)
            == (other.effective_date, &other.table_no, other.rate)
    }
}

/// The rate by which days are shown that have none of their own yet, such as today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentRate {
    /// How many PLN one USD is worth.
    pub rate: UsdPlnRate,
    /// Where it comes from.
    pub origin: RateOrigin,
}

/// Where a rate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RateOrigin {
    /// One of NBP's tables A.
    Nbp {
        /// The number of the table.
        table_no: String,
        /// The day of the table.
        effective_date: UsageDate,
    },
    /// The configured rate, which stands in where no table is known. Nothing is billed with it.
    Fallback,
}

impl CurrentRate {
    /// The configured rate.
    pub const fn fallback(rate: UsdPlnRate) -> Self {
        Self { rate, origin: RateOrigin::Fallback }
    }

    /// Whether it is the configured rate.
    pub const fn is_fallback(&self) -> bool {
        matches!(self.origin, RateOrigin::Fallback)
    }
}

impl From<PublishedRate> for CurrentRate {
    fn from(table: PublishedRate) -> Self {
        let PublishedRate { effective_date, table_no, rate, .. } = table;
        Self { rate, origin: RateOrigin::Nbp { table_no, effective_date } }
    }
}
