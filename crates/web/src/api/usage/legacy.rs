//! The statistics in the shape of the original's first versions.

use actix_web::{HttpResponse, get, web};
use mai_organization::usage_tracking::{ClientDailyUsageModel, Days, LegacyUsageStats, Totals};
use mai_primitives::{ModelName, OrganizationId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Conversion, DayRate, ExchangeRateInfo, RangeQuery, days, fleet, today};
use crate::api::{
    Api, ApiError,
    asked::Asked,
    caller::Caller,
    error::ReadRefusals,
    json_money::{JsonPln, JsonUsd, JsonUsdPln},
};

/// Today, the month and the latest days.
#[derive(Serialize, ToSchema)]
#[schema(as = LegacyStats)]
pub(super) struct Stats {
    pub(super) today: today::Today,
    pub(super) this_month: Month,
    /// The latest 30 days with usage, or those of the range, the newest first.
    pub(super) daily_history: Vec<HistoryDay>,
    pub(super) client_org_name: String,
    #[serde(flatten)]
    conversion: Conversion,
}

/// Sums over a month, or over the range.
#[derive(Serialize, ToSchema)]
#[schema(as = LegacyMonth)]
pub(super) struct Month {
    #[serde(flatten)]
    figures: Figures,
    /// Days with usage.
    days_active: i64,
    /// The sum of the rounded days in złoty, each by its own rate.
    cost_pln: Option<JsonPln>,
    /// The present rate. Each day that is over keeps its own.
    exchange_rate: Option<JsonUsdPln>,
    /// The day of NBP's table that has the present rate.
    #[schema(format = Date)]
    exchange_rate_date: Option<String>,
}

/// A day of the history.
#[derive(Serialize, ToSchema)]
#[schema(as = LegacyDay)]
pub(super) struct HistoryDay {
    /// The organization's local day.
    #[schema(format = Date)]
    date: String,
    #[serde(flatten)]
    figures: Figures,
    /// The model with the most tokens.
    #[schema(value_type = Option<String>)]
    primary_model: Option<ModelName>,
    /// What the client is charged, in złoty.
    cost_pln: Option<JsonPln>,
    #[serde(flatten)]
    rate: DayRate,
}

/// What was used.
#[derive(Serialize, ToSchema)]
#[schema(as = LegacyFigures)]
struct Figures {
    /// Tokens of prompts and answers.
    tokens: i64,
    /// Generations.
    requests: i64,
    /// What the client is charged.
    cost: JsonUsd,
    /// The same as `cost`.
    markup_cost: JsonUsd,
    /// What OpenRouter charged; for the reseller only.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_cost: Option<JsonUsd>,
}

impl Figures {
    fn new(totals: &Totals, sees_raw_cost: bool) -> Self {
        Self {
            tokens: totals.tokens,
            requests: totals.requests,
            cost: JsonUsd(totals.markup_cost),
            markup_cost: JsonUsd(totals.markup_cost),
            raw_cost: sees_raw_cost.then_some(JsonUsd(totals.raw_cost)),
        }
    }
}

impl Stats {
    /// The statistics as they are shown.
    pub(super) fn new(api: &Api, stats: LegacyUsageStats, sees_raw_cost: bool) -> Result<Self, ApiError> {
        let current = stats.conversion.current.as_ref();
        let present = current.map(|rate| ExchangeRateInfo::present(rate, api.clock.now()));
        let day = |row: ClientDailyUsageModel| {
            Ok(HistoryDay {
                date: row.usage_date.to_string(),
                figures: Figures::new(&Totals::from(&row), sees_raw_cost),
                cost_pln: row.cost_pln(current)?.map(JsonPln),
                rate: DayRate::of(&row, current),
                primary_model: row.primary_model,
            })
        };
        Ok(Self {
            today: today::Today::new(&stats.today, sees_raw_cost),
            this_month: Month {
                figures: Figures::new(&stats.this_month.totals, sees_raw_cost),
                days_active: stats.this_month.days_active,
                cost_pln: stats.this_month.cost_pln.map(JsonPln),
                exchange_rate: current.map(|current| JsonUsdPln(current.rate)),
                exchange_rate_date: present.and_then(|present| present.date()),
            },
            daily_history: stats.daily_history.into_iter().map(day).collect::<Result<_, ApiError>>()?,
            client_org_name: stats.client_org_name,
            conversion: Conversion::new(api, &stats.conversion),
        })
    }
}

/// The statistics of an organization.
#[derive(Serialize, ToSchema)]
#[schema(as = LegacyUsage)]
struct Answer {
    success: bool,
    stats: Stats,
    #[schema(value_type = String)]
    client_id: OrganizationId,
}

async fn stats(
    api: &Api,
    caller: &Caller,
    organization: OrganizationId,
    days: Days,
) -> Result<HttpResponse, ApiError> {
    let stats = api.services.client_usage_db.legacy_summary(&organization, days).await?;
    let stats = Stats::new(api, stats, caller.is_reseller())?;
    Ok(HttpResponse::Ok().json(Answer { success: true, stats, client_id: organization }))
}

/// Today, the month and the latest days of the caller's organization.
#[utoipa::path(
    tag = "usage",
    extensions(("x-access" = json!("member"))),
    params(RangeQuery),
    responses((status = 200, description = "The statistics", body = Answer), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/usage/my-organization")]
pub(in crate::api) async fn my_organization(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let query: RangeQuery = asked.query()?;
    let organization = caller.organization(query.client_org_id.as_deref())?;
    stats(&api, &caller, organization, query.days()?).await
}

/// Which organization.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TodayQuery {
    /// Which organization; only a reseller needs to name one.
    client_org_id: Option<String>,
}

/// Today of the caller's organization.
#[utoipa::path(
    tag = "usage",
    extensions(("x-access" = json!("member"))),
    params(TodayQuery),
    responses((status = 200, description = "Today", body = today::Answer), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/usage/my-organization/today")]
pub(in crate::api) async fn my_organization_today(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let query: TodayQuery = asked.query()?;
    let organization = caller.organization(query.client_org_id.as_deref())?;
    today::answer(&api, organization, caller.is_reseller()).await
}

/// Which client.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ClientQuery {
    /// Which organization; without it, all for the reseller, and the own one for an administrator.
    client_id: Option<String>,
    /// The first day, `YYYY-MM-DD`; by default the first of the last day's month.
    start_date: Option<String>,
    /// The last day, `YYYY-MM-DD`; by default today.
    end_date: Option<String>,
}

/// Either of the two.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only described, never made")]
enum SummaryAnswer {
    One(Answer),
    All(fleet::Bills),
}

/// The statistics of one organization, or what the reseller earns with each.
#[utoipa::path(
    tag = "usage",
    extensions(("x-access" = json!("admin"))),
    params(ClientQuery),
    responses((status = 200, description = "One organization, or all", body = SummaryAnswer), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/usage/summary")]
pub(in crate::api) async fn client_summary(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let query: ClientQuery = asked.query()?;
    let all = caller.is_reseller() && query.client_id.is_none();
    let one = if all { None } else { Some(caller.administered(query.client_id.as_deref())?) };
    let days = days(query.start_date.as_deref(), query.end_date.as_deref())?;
    match one {
        Some(organization) => stats(&api, &caller, organization, days).await,
        None => fleet::all(&api, days).await,
    }
}

/// Which client.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ClientTodayQuery {
    /// Which organization; only a reseller needs to name one.
    client_id: Option<String>,
}

/// Today of an organization.
#[utoipa::path(
    tag = "usage",
    extensions(("x-access" = json!("admin"))),
    params(ClientTodayQuery),
    responses((status = 200, description = "Today", body = today::Answer), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/usage/today")]
pub(in crate::api) async fn client_today(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let query: ClientTodayQuery = asked.query()?;
    let organization = match &query.client_id {
        None if caller.is_reseller() => {
            return Err(ApiError::field("client_id", "must name the organization"));
        }
        named => caller.administered(named.as_deref())?,
    };
    today::answer(&api, organization, caller.is_reseller()).await
}
