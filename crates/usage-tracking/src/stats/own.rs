//! What one member used.

use mai_exchange_rates::CurrentRate;
use mai_primitives::{OrganizationId, Pln, UserId};
use mai_storage::DbConnection;

use crate::{
    error::Result,
    model::ClientUserDailyUsageModel,
    pln::{self, Conversion, DayRates},
    query,
    range::DayRange,
    totals::Totals,
};

/// A member's own usage over a range of days. Which models a member used is not kept per day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnUsage {
    /// The range.
    pub range: DayRange,
    /// The days with usage, ascending.
    pub days: Vec<ClientUserDailyUsageModel>,
    /// What the client is charged on each of [`Self::days`], in PLN; none where no rate is known.
    pub days_pln: Vec<Option<Pln>>,
    /// Whether each of [`Self::days`] has no rate of its own yet.
    pub days_estimated: Vec<bool>,
    /// The sums of the days.
    pub totals: Totals,
    /// The sum of the rounded days in PLN; none where no rate is known.
    pub cost_pln: Option<Pln>,
    /// How the organization's costs became PLN.
    pub conversion: Conversion,
}

/// The usage of one member, who need not be registered; none where nobody is named.
pub(crate) fn read(
    conn: &mut DbConnection,
    org: &OrganizationId,
    user: Option<&UserId>,
    range: DayRange,
    current: Option<CurrentRate>,
) -> Result<OwnUsage> {
    let days = match user {
        Some(user) => query::rows_of_user(conn, org, user, range.from(), range.to())?,
        None => Vec::new(),
    };
    let totals = Totals::sum(days.iter().map(Totals::from))?;
    let whole = query::daily_rows(conn, org, range.from(), range.to())?;
    let conversion = Conversion::of(&whole, current);
    let rates = DayRates::of(&whole, conversion.rate());
    let in_pln = days.iter().map(|row| rates.convert(row.usage_date, row.markup_cost));
    let days_pln: Vec<Option<Pln>> = in_pln.collect::<Result<_>>()?;
    let days_estimated = days.iter().map(|row| !rates.is_final(row.usage_date)).collect();
    let cost_pln = pln::sum(days_pln.iter().copied())?.filter(|_| conversion.current.is_some());
    Ok(OwnUsage { range, days, days_pln, days_estimated, totals, cost_pln, conversion })
}
