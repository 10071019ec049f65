//! What usage is worth in PLN.
//!
//! Each stored day keeps its rate (see [`day_rates`](crate::day_rates)), and a month is the sum of its rounded
//! days, so that what was shown for a day that is over never moves. A row of a member or a model is converted
//! day by day at the same rates; because each is rounded, the rows of a day may differ from the
//! organization's day by some grosz. Days without a rate of their own, such as today, are converted by the
//! latest one. What cannot be converted is unknown and not zero.

use std::collections::BTreeMap;

use mai_exchange_rates::{CurrentRate, RateOrigin};
use mai_primitives::{Pln, UsageDate, Usd, UsdPlnRate};

use crate::{
    error::{Error, Result},
    model::ClientDailyUsageModel,
};

/// How the costs of an answer became PLN.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conversion {
    /// The rate of days that have none of their own yet. None where no rate is known at all.
    pub current: Option<CurrentRate>,
    /// How many days with usage have none of their own yet.
    pub days_estimated: i64,
}

impl Conversion {
    /// The conversion of these days.
    pub(crate) fn of(rows: &[ClientDailyUsageModel], current: Option<CurrentRate>) -> Self {
        let estimated = rows.iter().filter(|row| row.usd_pln_rate.is_none()).count();
        Self { current, days_estimated: i64::try_from(estimated).unwrap_or(i64::MAX) }
    }

    /// The rate of days that have none of their own yet.
    pub(crate) fn rate(&self) -> Option<UsdPlnRate> {
        self.current.as_ref().map(|current| current.rate)
    }
}

impl ClientDailyUsageModel {
    /// The rate of the day: its own, or the present one while it has none.
    pub fn rate(&self, current: Option<&CurrentRate>) -> Option<CurrentRate> {
        let own = self.usd_pln_rate.zip(self.rate_table_no.clone()).zip(self.rate_effective_date);
        let own = own.map(|((rate, table_no), effective_date)| CurrentRate {
            rate,
            origin: RateOrigin::Nbp { table_no, effective_date },
        });
        own.or_else(|| current.cloned())
    }

    /// What the client is charged, in PLN. None where no rate is known.
    pub fn cost_pln(&self, current: Option<&CurrentRate>) -> Result<Option<Pln>> {
        convert(self.markup_cost, self.usd_pln_rate.or(current.map(|current| current.rate)))
    }
}

/// The rates of an organization's days.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DayRates {
    own: BTreeMap<UsageDate, UsdPlnRate>,
    current: Option<UsdPlnRate>,
}

impl DayRates {
    /// Those of these days, and the present one for all others.
    pub(crate) fn of(rows: &[ClientDailyUsageModel], current: Option<UsdPlnRate>) -> Self {
        let own = rows.iter().filter_map(|row| Some((row.usage_date, row.usd_pln_rate?)));
        Self { own: own.collect(), current }
    }

    /// Whether a day has a rate of its own, which will not change.
    pub(crate) fn is_final(&self, date: UsageDate) -> bool {
        self.own.contains_key(&date)
    }

    /// What an amount of a day is worth. None where no rate is known.
    pub fn convert(&self, date: UsageDate, cost: Usd) -> Result<Option<Pln>> {
        convert(cost, self.own.get(&date).copied().or(self.current))
    }
}

fn convert(cost: Usd, rate: Option<UsdPlnRate>) -> Result<Option<Pln>> {
    rate.map(|rate| rate.convert(cost).ok_or(Error::OutOfRange("amounts in PLN"))).transpose()
}

/// The sum of the rounded days. None where one of them has no rate and none is known, and also where there
/// are none and no rate is known, so that without a rate nothing is in PLN.
pub(crate) fn sum_days(rows: &[ClientDailyUsageModel], current: Option<&CurrentRate>) -> Result<Option<Pln>> {
    if rows.is_empty() {
        return Ok(current.map(|_| Pln::ZERO));
    }
    rows.iter().try_fold(Some(Pln::ZERO), |sum, row| add(sum, row.cost_pln(current)?))
}

/// The sum of amounts; none where one of them is not known.
pub(crate) fn sum(amounts: impl IntoIterator<Item = Option<Pln>>) -> Result<Option<Pln>> {
    amounts.into_iter().try_fold(Some(Pln::ZERO), add)
}

/// The sum of two amounts; none where one of them is not known.
pub(crate) fn add(one: Option<Pln>, other: Option<Pln>) -> Result<Option<Pln>> {
    let sum = |(one, other): (Pln, Pln)| one.checked_add(other).ok_or(Error::OutOfRange("amounts in PLN"));
    one.zip(other).map(sum).transpose()
}
