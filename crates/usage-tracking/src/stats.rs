//! What the statistics answer with. How it looks on the wire is decided by whoever serves it.

pub mod costs;
pub mod engagement;
pub mod fleet;
pub mod forecast;
pub mod models;
pub mod overview;
pub mod own;
pub mod series;
pub mod trend;
pub mod users;

use mai_exchange_rates::CurrentRate;
use mai_primitives::{ModelName, OrganizationCalendar, Pln, UnixTime, UsageDate, Usd, ratio};

pub use self::{fleet::ClientBillingResponse, models::ModelUsage, users::UserUsage};
use crate::{
    daily::rank,
    error::Result,
    model::{ClientDailyUsageModel, ClientLiveCountersModel},
    pln::{self, Conversion},
    query::ModelSums,
    range::DayRange,
    totals::Totals,
};

/// How many models the summary names.
const TOP_MODELS: usize = 3;

/// An organization's present month, or another range of days that was asked for. The costs are the
/// client's prices. The names are the original's, which knew the present month only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientUsageStatsResponse {
    /// The days that are counted.
    pub range: DayRange,
    /// The sums over them.
    pub current_month: CurrentMonth,
    /// One entry per day with usage, ascending.
    pub daily_breakdown: Vec<DailyBreakdown>,
    /// Who and what was used most.
    pub monthly_summary: MonthlySummary,
    /// The organization's name.
    pub client_org_name: String,
    /// How the costs became PLN.
    pub conversion: Conversion,
}

/// Sums over a range of days, by default the present month up to today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentMonth {
    /// English name and year of the last day's month: `July 2025`.
    pub month: String,
    /// The same in ISO form: `2025-07`.
    pub iso_month: String,
    /// Tokens of prompts and answers.
    pub total_tokens: i64,
    /// What the client is charged.
    pub total_cost: Usd,
    /// The sum of the rounded days in PLN; none where no rate is known.
    pub total_cost_pln: Option<Pln>,
    /// Generations.
    pub total_requests: i64,
    /// Days with usage.
    pub days_with_usage: i64,
    /// The days of the range that have begun, today included. The name is the original's and misleads:
    /// the length of the month is `calendar_days`.
    pub days_in_month: i64,
    /// The same as `days_in_month`, by its right name.
    pub days_elapsed: i64,
    /// The length of the last day's month.
    pub calendar_days: u32,
    /// Days with usage per elapsed days in parts per million, rounded half up: 444,444 is 44.4444 %.
    pub usage_ppm: i64,
}

/// One day with usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DailyBreakdown {
    /// The organization's local day.
    pub date: UsageDate,
    /// English name of the weekday.
    pub day_name: String,
    /// The day of the month, from 1.
    pub day_number: u32,
    /// Tokens of prompts and answers.
    pub tokens: i64,
    /// What the client is charged.
    pub cost: Usd,
    /// The same in PLN; none where no rate is known.
    pub cost_pln: Option<Pln>,
    /// The rate that made it.
    pub rate: Option<CurrentRate>,
    /// Whether that is the day's own rate, which will not change.
    pub is_rate_final: bool,
    /// Generations.
    pub requests: i64,
    /// The model with the most tokens.
    pub primary_model: Option<ModelName>,
    /// Distinct members.
    pub unique_users: i64,
    /// When usage was last added, `HH:MM` on the organization's clock.
    pub last_activity: String,
}

/// Who and what was used most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonthlySummary {
    /// Distinct members with usage.
    pub total_unique_users: i64,
    /// At most three models: by tokens, then by the client's cost, then by name.
    pub top_models: Vec<TopModel>,
}

/// A model and its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopModel {
    /// The model.
    pub model_name: ModelName,
    /// Tokens of prompts and answers.
    pub total_tokens: i64,
}

/// The statistics in the shape of the original's first versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyUsageStats {
    /// Today's usage.
    pub today: ClientLiveCountersModel,
    /// Sums over the present month, today included, or over the range that was asked for.
    pub this_month: LegacyMonth,
    /// The latest 30 days with usage, or those of the range, the newest first.
    pub daily_history: Vec<ClientDailyUsageModel>,
    /// The organization's name.
    pub client_org_name: String,
    /// How the costs became PLN.
    pub conversion: Conversion,
}

/// A month in the old shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegacyMonth {
    /// The sums.
    pub totals: Totals,
    /// The sum of the rounded days in PLN; none where no rate is known.
    pub cost_pln: Option<Pln>,
    /// Days with usage.
    pub days_active: i64,
}

/// What is left of the original's nightly rollover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RolloverResult {
    /// Always true: today's counters are read from the daily rows, and a new day begins by itself.
    pub success: bool,
    /// Always zero.
    pub rollovers_performed: u32,
    /// When it was asked for.
    pub timestamp: UnixTime,
}

/// The sums of daily rows.
pub(crate) fn row_totals(rows: &[ClientDailyUsageModel]) -> Result<Totals> {
    Totals::sum(rows.iter().map(Totals::from))
}

/// A number of rows.
pub(crate) fn count(rows: &[ClientDailyUsageModel]) -> i64 {
    i64::try_from(rows.len()).unwrap_or(i64::MAX)
}

/// The days of a range from their rows.
pub(crate) fn current_month(
    range: DayRange,
    today: UsageDate,
    rows: &[ClientDailyUsageModel],
    current: Option<&CurrentRate>,
) -> Result<CurrentMonth> {
    let totals = row_totals(rows)?;
    let elapsed = range.days_begun(today);
    Ok(CurrentMonth {
        month: range.to().date().format("%B %Y").to_string(),
        iso_month: range.to().date().format("%Y-%m").to_string(),
        total_tokens: totals.tokens,
        total_cost: totals.markup_cost,
        total_cost_pln: pln::sum_days(rows, current)?,
        total_requests: totals.requests,
        days_with_usage: count(rows),
        days_in_month: elapsed,
        days_elapsed: elapsed,
        calendar_days: range.to().days_in_month(),
        usage_ppm: ratio::parts_per_million(count(rows), elapsed).unwrap_or(0),
    })
}

/// One day's entry from its row.
pub(crate) fn breakdown(
    calendar: OrganizationCalendar,
    row: ClientDailyUsageModel,
    current: Option<&CurrentRate>,
) -> Result<DailyBreakdown> {
    Ok(DailyBreakdown {
        date: row.usage_date,
        day_name: row.usage_date.date().format("%A").to_string(),
        day_number: row.usage_date.day_of_month(),
        tokens: row.total_tokens,
        cost: row.markup_cost,
        cost_pln: row.cost_pln(current)?,
        rate: row.rate(current),
        is_rate_final: row.usd_pln_rate.is_some(),
        requests: row.total_requests,
        primary_model: row.primary_model,
        unique_users: row.unique_users,
        last_activity: calendar.time_of_day(row.updated_at),
    })
}

/// The models that are used most.
pub(crate) fn top_models(mut used: Vec<ModelSums>) -> Vec<TopModel> {
    let rank_of =
        |usage: &ModelSums| (usage.totals.tokens, usage.totals.markup_cost, usage.model_name.clone());
    used.sort_by_cached_key(|usage| rank(rank_of(usage)));
    let top = used.into_iter().take(TOP_MODELS);
    top.map(|usage| TopModel { model_name: usage.model_name, total_tokens: usage.totals.tokens }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_among_the_top_models_go_by_cost_and_then_by_name() {
        let usage = |name: &str, tokens, nanos| ModelSums {
            model_name: ModelName::new(name).unwrap(),
            totals: Totals { tokens, requests: 1, raw_cost: Usd::ZERO, markup_cost: Usd::from_nanos(nanos) },
            cost_pln: None,
            days_used: 1,
            days_estimated: 0,
        };
        let used =
            vec![usage("d", 5, 1), usage("c", 9, 1), usage("b", 9, 1), usage("a", 9, 0), usage("e", 10, 0)];
        let top: Vec<String> = top_models(used).iter().map(|top| top.model_name.to_string()).collect();
        assert_eq!(top, ["e", "b", "c"]);
    }

    #[test]
    fn an_empty_first_day_of_a_month() {
        let today = UsageDate::parse("2026-02-01").unwrap();
        let month = current_month(DayRange::new(today, today).unwrap(), today, &[], None).unwrap();
        assert_eq!((month.month.as_str(), month.iso_month.as_str()), ("February 2026", "2026-02"));
        assert_eq!((month.days_in_month, month.calendar_days, month.usage_ppm), (1, 28, 0));
    }
}
