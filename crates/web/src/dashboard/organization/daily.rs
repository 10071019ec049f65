//! The daily breakdown: a row for each day with usage, and their sum, which is the tile's to the last digit.

use mai_organization::{
    exchange_rates::{CurrentRate, RateOrigin},
    usage_tracking::{ClientDailyUsageModel, stats::series::DailyUsage},
};
use mai_primitives::UsageDate;

use crate::{
    api::ApiError,
    dashboard::{
        figures::Amount,
        format,
        frame::Frame,
        table::{Pager, paged},
        visit::Visit,
    },
};

/// A day.
pub(super) struct Day {
    pub(super) date: String,
    pub(super) weekday: &'static str,
    pub(super) is_today: bool,
    pub(super) tokens: String,
    pub(super) requests: String,
    pub(super) users: String,
    pub(super) model: String,
    pub(super) cost: Amount,
    pub(super) rate: String,
    /// What proves the rate.
    pub(super) rate_source: String,
}

/// The days with their sum.
pub(super) struct Days {
    pub(super) rows: Vec<Day>,
    pub(super) pager: Pager,
    pub(super) tokens: String,
    pub(super) requests: String,
    pub(super) cost: Amount,
}

/// The newest days first.
pub(super) fn days(
    visit: &Visit,
    frame: &Frame,
    daily: &DailyUsage,
    today: UsageDate,
) -> Result<Days, ApiError> {
    let current = daily.conversion.current.as_ref();
    let newest: Vec<&ClientDailyUsageModel> = daily.days.iter().rev().collect();
    let (shown, pager) = paged(newest, &visit.address, frame)?;
    let rows =
        shown.into_iter().map(|row| day(frame, row, today, current)).collect::<Result<_, ApiError>>()?;
    Ok(Days {
        rows,
        pager,
        tokens: frame.number(daily.totals.tokens),
        requests: frame.number(daily.totals.requests),
        cost: Amount::new(daily.totals.markup_cost, daily.cost_pln)
            .estimated(daily.conversion.days_estimated),
    })
}

fn day(
    frame: &Frame,
    row: &ClientDailyUsageModel,
    today: UsageDate,
    current: Option<&CurrentRate>,
) -> Result<Day, ApiError> {
    let rate = row.rate(current);
    let source = rate.as_ref().map(|rate| match &rate.origin {
        RateOrigin::Nbp { table_no, .. } => table_no.clone(),
        RateOrigin::Fallback => frame.t("rate-fallback"),
    });
    Ok(Day {
        date: format::date(frame.language, row.usage_date),
        weekday: format::weekday(frame.language, row.usage_date),
        is_today: row.usage_date == today,
        tokens: frame.number(row.total_tokens),
        requests: frame.number(row.total_requests),
        users: frame.number(row.unique_users),
        model: row.primary_model.as_ref().map(ToString::to_string).unwrap_or_default(),
        cost: Amount::new(row.markup_cost, row.cost_pln(current)?)
            .estimated(row.usd_pln_rate.is_none().into()),
        rate: rate.as_ref().map(|rate| format::rate(frame.language, rate.rate)).unwrap_or_default(),
        rate_source: source.unwrap_or_default(),
    })
}
