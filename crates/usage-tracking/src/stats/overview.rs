//! What the first page of an organization shows, from one snapshot, so that its parts add up.

use mai_exchange_rates::CurrentRate;
use mai_primitives::{OrganizationId, UsageDate};
use mai_storage::DbConnection;

use super::{
    TopModel,
    engagement::{self, Engagement},
    forecast::{self, Forecast},
    row_totals,
    series::{self, DailyUsage, GroupBy, Metric},
    top_models,
    trend::{self, MonthUsage},
};
use crate::{error::Result, query, range::DayRange, totals::Totals};

/// How many days the activity map goes back, today included: 26 whole weeks and the present one at most.
const ACTIVITY_DAYS: u64 = 26 * 7 + 6;

/// An organization's usage at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// The organization's name.
    pub client_org_name: String,
    /// The organization's present day.
    pub today: UsageDate,
    /// The days of the range and what they are made of.
    pub daily: DailyUsage,
    /// The sums of as many days right before the range as have begun of it.
    pub before: Totals,
    /// How the members took part.
    pub engagement: Engagement,
    /// At most three models with the most tokens.
    pub top_models: Vec<TopModel>,
    /// The last months, the oldest first, up to today.
    pub months: Vec<MonthUsage>,
    /// What the present month will probably cost; none without a week of usage before today.
    pub forecast: Option<Forecast>,
    /// The requests of each day with usage of the last half year, ascending.
    pub activity: Vec<(UsageDate, i64)>,
}

/// Reads everything of the overview.
pub(crate) fn read(
    conn: &mut DbConnection,
    (org, client_org_name): (&OrganizationId, String),
    (range, today): (DayRange, UsageDate),
    grouping: (GroupBy, Metric, usize),
    months: u32,
    current: Option<CurrentRate>,
) -> Result<Overview> {
    let begun = u64::try_from(range.days_begun(today)).unwrap_or(0).max(1);
    let before = DayRange::new(range.from().minus_days(begun), range.from().minus_days(1))?;
    let recent = query::daily_rows(conn, org, today.minus_days(ACTIVITY_DAYS), today)?;
    let models = query::by_model(conn, org, range.from(), range.to(), None)?;
    Ok(Overview {
        client_org_name,
        today,
        before: row_totals(&query::daily_rows(conn, org, before.from(), before.to())?)?,
        engagement: engagement::read(conn, org, range, today)?,
        top_models: top_models(models),
        months: trend::read_months(conn, org, today, months, current.as_ref())?,
        forecast: forecast::of_month(&recent, today),
        activity: recent.iter().map(|row| (row.usage_date, row.total_requests)).collect(),
        daily: series::read(conn, org, range, grouping, current)?,
    })
}
