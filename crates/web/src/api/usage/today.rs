//! `my-organization/today-usage` and `usage/real-time/{client_org_id}`: today so far.

use actix_web::{HttpResponse, get, web};
use mai_organization::{
    exchange_rates::{CurrentRate, RateOrigin},
    usage_tracking::{self, ClientLiveCountersModel},
};
use mai_primitives::OrganizationId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Conversion, instant};
use crate::api::{
    Api, ApiError,
    asked::Asked,
    caller::Caller,
    error::ReadRefusals,
    json_money::{JsonPln, JsonUsd, JsonUsdPln},
};

/// Which organization.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Which organization; only a reseller needs to name one.
    client_org_id: Option<String>,
}

/// An organization's present local day.
#[derive(Serialize, ToSchema)]
pub(super) struct Today {
    /// The day.
    #[schema(format = Date)]
    date: String,
    /// Tokens of prompts and answers.
    tokens: i64,
    /// Generations.
    requests: i64,
    /// What the client is charged.
    cost: JsonUsd,
    /// The same in złoty.
    cost_pln: Option<JsonPln>,
    /// The same as `cost`.
    markup_cost: JsonUsd,
    /// What OpenRouter charged; for the reseller only.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_cost: Option<JsonUsd>,
    /// The rate of `cost_pln`.
    exchange_rate: Option<JsonUsdPln>,
    /// The day of NBP's table that has the rate; null for the configured rate.
    #[schema(format = Date)]
    exchange_rate_date: Option<String>,
    /// When usage was last added; null while there is none today.
    #[schema(format = DateTime)]
    pub(super) last_updated: Option<String>,
}

impl Today {
    /// The counters as they are shown.
    pub(super) fn new(counters: &ClientLiveCountersModel, sees_raw_cost: bool) -> Self {
        Self {
            date: counters.current_date.to_string(),
            tokens: counters.today_tokens,
            requests: counters.today_requests,
            cost: JsonUsd(counters.today_markup_cost),
            cost_pln: counters.today_cost_pln.map(JsonPln),
            markup_cost: JsonUsd(counters.today_markup_cost),
            raw_cost: sees_raw_cost.then_some(JsonUsd(counters.today_raw_cost)),
            exchange_rate: counters.rate.as_ref().map(|rate| JsonUsdPln(rate.rate)),
            exchange_rate_date: counters.rate.as_ref().and_then(rate_date),
            last_updated: counters.last_updated.map(instant),
        }
    }
}

/// Today of an organization.
#[derive(Serialize, ToSchema)]
#[schema(as = TodayUsage)]
pub(super) struct Answer {
    success: bool,
    #[schema(value_type = String)]
    client_id: OrganizationId,
    today: Today,
    /// When usage was last added; null while there is none today.
    #[schema(format = DateTime)]
    last_updated: Option<String>,
    #[serde(flatten)]
    conversion: Conversion,
}

/// The day of NBP's table that has the rate.
fn rate_date(rate: &CurrentRate) -> Option<String> {
    match &rate.origin {
        RateOrigin::Nbp { effective_date, .. } => Some(effective_date.to_string()),
        RateOrigin::Fallback => None,
    }
}

/// Today is converted by the present rate.
fn of_today(counters: &ClientLiveCountersModel) -> usage_tracking::Conversion {
    let days_estimated = i64::from(counters.today_requests > 0);
    usage_tracking::Conversion { current: counters.rate.clone(), days_estimated }
}

/// Today of an organization, read and written down.
pub(super) async fn answer(
    api: &Api,
    organization: OrganizationId,
    sees_raw_cost: bool,
) -> Result<HttpResponse, ApiError> {
    let counters = api.services.client_usage_db.get_live_counter(&organization).await?;
    let today = Today::new(&counters, sees_raw_cost);
    let conversion = of_today(&counters);
    Ok(HttpResponse::Ok().json(Answer {
        success: true,
        client_id: organization,
        last_updated: today.last_updated.clone(),
        today,
        conversion: Conversion::new(api, &conversion),
    }))
}

/// Usage so far today, by the organization's own calendar.
#[utoipa::path(
    tag = "usage",
    extensions(("x-access" = json!("member"))),
    params(Query),
    responses((status = 200, description = "Today", body = Answer), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/my-organization/today-usage")]
pub(in crate::api) async fn today_usage(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let query: Query = asked.query()?;
    let organization = caller.organization(query.client_org_id.as_deref())?;
    answer(&api, organization, caller.is_reseller()).await
}

/// Today in the original's shape.
#[derive(Serialize, ToSchema)]
#[schema(as = RealTimeUsage)]
struct RealTime {
    success: bool,
    #[schema(value_type = String)]
    client_org_id: OrganizationId,
    /// The organization's present local day.
    #[schema(format = Date)]
    date: String,
    /// Tokens of prompts and answers.
    tokens: i64,
    /// Generations.
    requests: i64,
    /// What the client is charged.
    cost: JsonUsd,
    /// The same in złoty, by the present rate.
    cost_pln: Option<JsonPln>,
    /// When usage was last added; null while there is none today.
    #[schema(format = DateTime)]
    last_updated: Option<String>,
    #[serde(flatten)]
    conversion: Conversion,
}

/// Usage of an organization so far today.
#[utoipa::path(
    tag = "usage",
    extensions(("x-access" = json!("member"))),
    params(("client_org_id" = String, Path, description = "The organization")),
    responses((status = 200, description = "Today", body = RealTime), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/usage/real-time/{client_org_id}")]
pub(in crate::api) async fn real_time(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let organization = caller.organization(Some(asked.path("client_org_id")?))?;
    let counters = api.services.client_usage_db.get_live_counter(&organization).await?;
    Ok(HttpResponse::Ok().json(RealTime {
        success: true,
        client_org_id: organization,
        date: counters.current_date.to_string(),
        tokens: counters.today_tokens,
        requests: counters.today_requests,
        cost: JsonUsd(counters.today_markup_cost),
        cost_pln: counters.today_cost_pln.map(JsonPln),
        last_updated: counters.last_updated.map(instant),
        conversion: Conversion::new(&api, &of_today(&counters)),
    }))
}
