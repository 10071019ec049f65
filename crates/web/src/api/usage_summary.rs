//! `GET /api/v1/usage-tracking/my-organization/usage-summary`.

use actix_web::{HttpResponse, get, web};
use mai_organization::usage_tracking::ClientUsageStatsResponse;
use mai_primitives::{OrganizationId, Pln};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::{
    Api, ApiError,
    asked::Asked,
    caller::Caller,
    error::Refusals,
    json_money::{JsonUsd, number},
};

/// The query of the route.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Which organization; only a reseller needs to name one.
    client_org_id: Option<String>,
}

/// The month to date of the caller's organization: client prices, never raw cost.
#[utoipa::path(
    tag = "usage",
    extensions(("x-access" = json!("member"))),
    params(Query),
    responses((status = 200, description = "The month to date", body = Answer<'static>), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/my-organization/usage-summary")]
pub(super) async fn usage_summary(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let query: Query = asked.query()?;
    let organization = caller.organization(query.client_org_id.as_deref())?;
    let stats = api.services.client_usage_db.get_usage_stats_by_client(&organization).await;
    let stats = stats?;
    let answer = Answer::new(&organization, &stats).map_err(|error| ApiError::internal(&error, None))?;
    Ok(HttpResponse::Ok().json(answer))
}

/// The original's response, with `days_elapsed`, `calendar_days` and `iso_month` added.
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
    current_month: CurrentFigures<'a>,
    daily_breakdown: Vec<DailyFigures<'a>>,
    monthly_summary: Summary<'a>,
    client_org_name: &'a str,
    pln_conversion_available: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CurrentMonth)]
struct CurrentFigures<'a> {
    month: &'a str,
    iso_month: &'a str,
    total_tokens: i64,
    total_cost: JsonUsd,
    #[schema(value_type = Option<JsonUsd>)]
    total_cost_pln: Option<Box<RawValue>>,
    total_requests: i64,
    days_with_usage: u32,
    days_in_month: u32,
    days_elapsed: u32,
    calendar_days: u32,
    #[schema(value_type = JsonUsd)]
    usage_percentage: Box<RawValue>,
    #[schema(value_type = Option<Object>)]
    exchange_rate_info: Option<()>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DailyBreakdown)]
struct DailyFigures<'a> {
    date: String,
    day_name: &'a str,
    day_number: u32,
    tokens: i64,
    cost: JsonUsd,
    #[schema(value_type = Option<JsonUsd>)]
    cost_pln: Option<Box<RawValue>>,
    requests: i64,
    primary_model: Option<&'a str>,
    unique_users: i64,
    last_activity: &'a str,
    #[schema(value_type = Option<Object>)]
    exchange_rate_used: Option<()>,
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
    fn new(
        organization: &'a OrganizationId,
        stats: &'a ClientUsageStatsResponse,
    ) -> serde_json::Result<Self> {
        let month = &stats.current_month;
        let days = stats.daily_breakdown.iter().map(|day| {
            Ok(DailyFigures {
                date: day.date.to_string(),
                day_name: &day.day_name,
                day_number: day.day_number,
                tokens: day.tokens,
                cost: JsonUsd(day.cost),
                cost_pln: zloty(day.cost_pln)?,
                requests: day.requests,
                primary_model: day.primary_model.as_ref().map(mai_primitives::ModelName::as_str),
                unique_users: day.unique_users,
                last_activity: &day.last_activity,
                exchange_rate_used: None,
            })
        });
        let summary = &stats.monthly_summary;
        let top = summary.top_models.iter();
        Ok(Self {
            success: true,
            client_id: organization,
            stats: Stats {
                current_month: CurrentFigures {
                    month: &month.month,
                    iso_month: &month.iso_month,
                    total_tokens: month.total_tokens,
                    total_cost: JsonUsd(month.total_cost),
                    total_cost_pln: zloty(month.total_cost_pln)?,
                    total_requests: month.total_requests,
                    days_with_usage: month.days_with_usage,
                    days_in_month: month.days_in_month,
                    days_elapsed: month.days_elapsed,
                    calendar_days: month.calendar_days,
                    usage_percentage: number(percent(month.usage_ppm))?,
                    exchange_rate_info: None,
                },
                daily_breakdown: days.collect::<serde_json::Result<_>>()?,
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
                pln_conversion_available: month.total_cost_pln.is_some(),
            },
        })
    }
}

fn zloty(amount: Option<Pln>) -> serde_json::Result<Option<Box<RawValue>>> {
    amount.map(|amount| number(amount.to_string())).transpose()
}

/// Parts per million as a percentage with up to four decimals.
fn percent(ppm: u32) -> String {
    let text = format!("{}.{:04}", ppm / 10_000, ppm % 10_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
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
