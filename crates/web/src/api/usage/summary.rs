//! `GET /api/v1/usage-tracking/my-organization/usage-summary`.

use actix_web::{HttpResponse, get, web};
use mai_organization::usage_tracking::ClientUsageStatsResponse;
use mai_primitives::{OrganizationId, ratio};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Conversion, DayRate, ExchangeRateInfo, Period, RangeQuery};
use crate::api::{
    Api, ApiError,
    asked::Asked,
    caller::Caller,
    error::ReadRefusals,
    json_money::{JsonDecimal, JsonPln, JsonUsd},
};

/// The month to date of the caller's organization, or another range of days: client prices, never raw cost.
#[utoipa::path(
    tag = "usage",
    extensions(("x-access" = json!("member"))),
    params(RangeQuery),
    responses((status = 200, description = "The month to date, or the range", body = Answer<'static>), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/my-organization/usage-summary")]
pub(in crate::api) async fn usage_summary(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let query: RangeQuery = asked.query()?;
    let organization = caller.organization(query.client_org_id.as_deref())?;
    let stats = api.services.client_usage_db.usage_summary(&organization, query.days()?).await?;
    Ok(HttpResponse::Ok().json(Answer::new(&api, &organization, &stats)))
}

/// The original's response, with `period`, `days_elapsed`, `calendar_days` and `iso_month` added.
#[derive(Serialize, ToSchema)]
#[schema(as = UsageSummary)]
struct Answer<'a> {
    success: bool,
    stats: Stats<'a>,
    #[schema(value_type = String)]
    client_id: &'a OrganizationId,
}

#[derive(Serialize, ToSchema)]
#[schema(as = UsageStats)]
struct Stats<'a> {
    period: Period,
    current_month: CurrentFigures<'a>,
    daily_breakdown: Vec<DailyFigures<'a>>,
    monthly_summary: Summary<'a>,
    client_org_name: &'a str,
    #[serde(flatten)]
    conversion: Conversion,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CurrentMonth)]
struct CurrentFigures<'a> {
    month: &'a str,
    iso_month: &'a str,
    total_tokens: i64,
    total_cost: JsonUsd,
    total_cost_pln: Option<JsonPln>,
    total_requests: i64,
    days_with_usage: i64,
    days_in_month: i64,
    days_elapsed: i64,
    calendar_days: u32,
    /// Days with usage in percent of the days elapsed.
    usage_percentage: JsonDecimal,
    /// The present rate, and what proves it.
    exchange_rate_info: Option<ExchangeRateInfo>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DailyBreakdown)]
struct DailyFigures<'a> {
    date: String,
    day_name: &'a str,
    day_number: u32,
    tokens: i64,
    cost: JsonUsd,
    cost_pln: Option<JsonPln>,
    requests: i64,
    primary_model: Option<&'a str>,
    unique_users: i64,
    last_activity: &'a str,
    #[serde(flatten)]
    rate: DayRate,
}

#[derive(Serialize, ToSchema)]
#[schema(as = MonthlySummary)]
struct Summary<'a> {
    total_unique_users: i64,
    top_models: Vec<Top<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = TopModel)]
struct Top<'a> {
    model_name: &'a str,
    total_tokens: i64,
}

impl<'a> Answer<'a> {
    fn new(api: &Api, organization: &'a OrganizationId, stats: &'a ClientUsageStatsResponse) -> Self {
        let present = |rate| ExchangeRateInfo::present(rate, api.clock.now());
        let month = &stats.current_month;
        let days = stats.daily_breakdown.iter().map(|day| DailyFigures {
            date: day.date.to_string(),
            day_name: &day.day_name,
            day_number: day.day_number,
            tokens: day.tokens,
            cost: JsonUsd(day.cost),
            cost_pln: day.cost_pln.map(JsonPln),
            requests: day.requests,
            primary_model: day.primary_model.as_ref().map(mai_primitives::ModelName::as_str),
            unique_users: day.unique_users,
            last_activity: &day.last_activity,
            rate: DayRate::new(day.rate.as_ref(), day.is_rate_final),
        });
        let summary = &stats.monthly_summary;
        let top = summary.top_models.iter();
        Self {
            success: true,
            client_id: organization,
            stats: Stats {
                period: stats.range.into(),
                current_month: CurrentFigures {
                    month: &month.month,
                    iso_month: &month.iso_month,
                    total_tokens: month.total_tokens,
                    total_cost: JsonUsd(month.total_cost),
                    total_cost_pln: month.total_cost_pln.map(JsonPln),
                    total_requests: month.total_requests,
                    days_with_usage: month.days_with_usage,
                    days_in_month: month.days_in_month,
                    days_elapsed: month.days_elapsed,
                    calendar_days: month.calendar_days,
                    usage_percentage: JsonDecimal(percent(month.usage_ppm)),
                    exchange_rate_info: stats.conversion.current.as_ref().map(present),
                },
                daily_breakdown: days.collect(),
                monthly_summary: Summary {
                    total_unique_users: summary.total_unique_users,
                    top_models: top
                        .map(|top| Top {
                            model_name: top.model_name.as_str(),
                            total_tokens: top.total_tokens,
                        })
                        .collect(),
                },
                client_org_name: &stats.client_org_name,
                conversion: Conversion::new(api, &stats.conversion),
            },
        }
    }
}

/// Parts per million as a percentage with up to four decimals.
fn percent(ppm: i64) -> String {
    ratio::decimal(ppm, 10_000, 4).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_exact() {
        for (ppm, text) in
            [(0, "0"), (1_000_000, "100"), (454_545, "45.4545"), (500_000, "50"), (1, "0.0001")]
        {
            assert_eq!(percent(ppm), text);
        }
    }
}
