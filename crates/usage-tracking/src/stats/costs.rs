//! What usage costs: by model, by the thousand tokens, by request.

use std::cmp::Reverse;

use mai_exchange_rates::CurrentRate;
use mai_primitives::{OrganizationId, Pln, Usd, ratio};
use mai_storage::DbConnection;

use super::{
    models::{self, ModelUsage},
    row_totals,
};
use crate::{
    error::{Error, Result},
    pln::{self, Conversion},
    query,
    range::DayRange,
    totals::Totals,
};

/// Decimal places of a percentage.
const PERCENT_PLACES: u32 = 6;

/// The costs of a range of days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostAnalytics {
    /// The range.
    pub range: DayRange,
    /// The sums.
    pub totals: Totals,
    /// What the client is charged, as the sum of the rounded days in PLN; none where no rate is known.
    pub cost_pln: Option<Pln>,
    /// How the costs became PLN.
    pub conversion: Conversion,
    /// Days with usage.
    pub days_with_usage: i64,
    /// Distinct members with usage.
    pub active_users: i64,
    /// The models with usage, the greatest client price first.
    pub by_cost: Vec<ModelUsage>,
    /// The models with usage, the most tokens first.
    pub by_tokens: Vec<ModelUsage>,
}

/// What one of something costs on average, each to the nano-dollar; none where there is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitCosts {
    /// What the client is charged for a thousand tokens.
    pub per_1k_tokens: Option<Usd>,
    /// What the client is charged for a generation.
    pub per_request: Option<Usd>,
    /// What OpenRouter charged for a thousand tokens.
    pub raw_per_1k_tokens: Option<Usd>,
    /// What OpenRouter charged for a generation.
    pub raw_per_request: Option<Usd>,
}

impl UnitCosts {
    /// The averages of these sums.
    pub fn of(totals: &Totals) -> Self {
        Self {
            per_1k_tokens: ratio::unit_cost(totals.markup_cost, totals.tokens, 1_000),
            per_request: ratio::unit_cost(totals.markup_cost, totals.requests, 1),
            raw_per_1k_tokens: ratio::unit_cost(totals.raw_cost, totals.tokens, 1_000),
            raw_per_request: ratio::unit_cost(totals.raw_cost, totals.requests, 1),
        }
    }
}

/// What the reseller earns: the client's price less the raw cost.
pub fn profit(totals: &Totals) -> Result<Usd> {
    totals.markup_cost.checked_sub(totals.raw_cost).ok_or(Error::OutOfRange("profits"))
}

/// The profit in percent of the raw cost, as a decimal with up to six places. None where nothing was
/// charged to the reseller.
pub fn profit_percent(totals: &Totals) -> Option<String> {
    let profit = i128::from(totals.markup_cost.nanos()) - i128::from(totals.raw_cost.nanos());
    ratio::decimal(profit * 100, totals.raw_cost.nanos(), PERCENT_PLACES)
}

/// The costs of a range of days.
pub(crate) fn read(
    conn: &mut DbConnection,
    org: &OrganizationId,
    range: DayRange,
    current: Option<CurrentRate>,
) -> Result<CostAnalytics> {
    let rows = query::daily_rows(conn, org, range.from(), range.to())?;
    let conversion = Conversion::of(&rows, current);
    let mut by_cost = models::read(conn, org, range, conversion.rate())?;
    by_cost.retain(|model| model.totals.requests > 0);
    let mut by_tokens = by_cost.clone();
    by_tokens.sort_by_key(|model| Reverse((model.totals.tokens, model.totals.markup_cost)));
    Ok(CostAnalytics {
        range,
        totals: row_totals(&rows)?,
        cost_pln: pln::sum_days(&rows, conversion.current.as_ref())?,
        conversion,
        days_with_usage: i64::try_from(rows.len()).unwrap_or(i64::MAX),
        active_users: query::unique_users(conn, org, range.from(), range.to())?,
        by_cost,
        by_tokens,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(raw: i64, markup: i64) -> Totals {
        Totals {
            tokens: 3_000,
            requests: 7,
            raw_cost: Usd::from_nanos(raw),
            markup_cost: Usd::from_nanos(markup),
        }
    }

    #[test]
    fn margins_are_percentages_of_the_raw_cost() {
        for (raw, markup, percent) in [
            (100, 130, Some("30")),
            (3, 4, Some("33.333333")),
            (100, 90, Some("-10")),
            (0, 0, None),
            (0, 5, None),
            (i64::MAX / 2, i64::MAX, Some("100")),
        ] {
            assert_eq!(profit_percent(&totals(raw, markup)).as_deref(), percent, "{raw} {markup}");
        }
        assert_eq!(profit(&totals(100, 130)).unwrap(), Usd::from_nanos(30));
        assert!(profit(&totals(-2, i64::MAX)).is_err());
    }

    #[test]
    fn averages_are_rounded_to_the_nano() {
        let costs = UnitCosts::of(&totals(1_000, 1_500));
        assert_eq!(costs.per_1k_tokens, Some(Usd::from_nanos(500)));
        assert_eq!(costs.per_request, Some(Usd::from_nanos(214)));
        assert_eq!(costs.raw_per_1k_tokens, Some(Usd::from_nanos(333)));
        assert_eq!(costs.raw_per_request, Some(Usd::from_nanos(143)));
        assert_eq!(UnitCosts::of(&Totals::default()).per_request, None);
    }
}
