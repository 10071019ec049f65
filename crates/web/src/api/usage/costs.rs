//! `my-organization/cost-analytics`: what usage costs, and what for.

use actix_web::{HttpResponse, get, web};
use mai_organization::usage_tracking::{
    ModelUsage, Totals,
    stats::costs::{UnitCosts, profit_percent},
};
use mai_primitives::{OrganizationId, ratio};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Conversion, Period, Sums, days, models::ModelFigures};
use crate::api::{
    Api, ApiError,
    asked::Asked,
    caller::Caller,
    error::ReadRefusals,
    json_money::{JsonDecimal, JsonUsd},
};

/// How many models each list has by default, and at most.
const DEFAULT_TOP: usize = 10;
const MAX_TOP: usize = 500;

/// Which days, and how many models.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Which organization; only a reseller needs to name one.
    client_org_id: Option<String>,
    /// The first day, `YYYY-MM-DD`; by default the first of the last day's month.
    start_date: Option<String>,
    /// The last day, `YYYY-MM-DD`; by default today.
    end_date: Option<String>,
    /// How many models each list has: 1 to 500, by default 10.
    top: Option<usize>,
}

/// What usage costs.
#[derive(Serialize, ToSchema)]
#[schema(as = CostAnalytics)]
struct Answer {
    success: bool,
    #[schema(value_type = String)]
    client_id: OrganizationId,
    period: Period,
    totals: Sums,
    #[serde(flatten)]
    unit: Unit,
    /// What the client is charged per day with usage; null without usage.
    cost_per_active_day: Option<JsonUsd>,
    /// What the client is charged per member with usage; null without usage.
    cost_per_active_user: Option<JsonUsd>,
    /// The profit in percent of the raw cost, with at most six decimals; for the reseller only, and where
    /// there was raw cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    profit_margin_percent: Option<JsonDecimal>,
    /// How many models were used.
    models_used: usize,
    /// The models that cost most.
    by_cost: Vec<ModelCosts>,
    /// The models with the most tokens.
    by_tokens: Vec<ModelCosts>,
    #[serde(flatten)]
    conversion: Conversion,
}

/// What one of something costs on average, to the nano-dollar; null where there is nothing.
#[derive(Serialize, ToSchema)]
#[schema(as = UnitCosts)]
struct Unit {
    /// What the client is charged for a thousand tokens.
    cost_per_1k_tokens: Option<JsonUsd>,
    /// What the client is charged for a generation.
    cost_per_request: Option<JsonUsd>,
    /// What OpenRouter charged for a thousand tokens; for the reseller only.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_cost_per_1k_tokens: Option<JsonUsd>,
    /// What OpenRouter charged for a generation; for the reseller only.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_cost_per_request: Option<JsonUsd>,
}

impl Unit {
    fn new(totals: &Totals, sees_raw_cost: bool) -> Self {
        let unit = UnitCosts::of(totals);
        Self {
            cost_per_1k_tokens: unit.per_1k_tokens.map(JsonUsd),
            cost_per_request: unit.per_request.map(JsonUsd),
            raw_cost_per_1k_tokens: unit.raw_per_1k_tokens.filter(|_| sees_raw_cost).map(JsonUsd),
            raw_cost_per_request: unit.raw_per_request.filter(|_| sees_raw_cost).map(JsonUsd),
        }
    }
}

/// A model and its costs.
#[derive(Serialize, ToSchema)]
struct ModelCosts {
    #[serde(flatten)]
    model: ModelFigures,
    #[serde(flatten)]
    unit: Unit,
    /// The part of the organization's tokens, in parts per million; null where there were none.
    tokens_share_ppm: Option<i64>,
    /// The profit in percent of the raw cost, with at most six decimals; for the reseller only, and where
    /// there was raw cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    profit_margin_percent: Option<JsonDecimal>,
}

impl ModelCosts {
    fn new(model: &ModelUsage, whole: &Totals, sees_raw_cost: bool) -> Result<Self, ApiError> {
        Ok(Self {
            unit: Unit::new(&model.totals, sees_raw_cost),
            tokens_share_ppm: ratio::parts_per_million(model.totals.tokens, whole.tokens),
            profit_margin_percent: margin(&model.totals, sees_raw_cost),
            model: ModelFigures::new(model.clone(), sees_raw_cost)?,
        })
    }
}

/// The profit in percent for whoever may see it.
fn margin(totals: &Totals, sees_raw_cost: bool) -> Option<JsonDecimal> {
    profit_percent(totals).filter(|_| sees_raw_cost).map(JsonDecimal)
}

/// Models by cost and by tokens, and what a thousand tokens and a generation cost.
#[utoipa::path(
    tag = "usage",
    extensions(("x-access" = json!("admin"))),
    params(Query),
    responses((status = 200, description = "The costs", body = Answer), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/my-organization/cost-analytics")]
pub(in crate::api) async fn cost_analytics(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let query: Query = asked.query()?;
    let organization = caller.administered(query.client_org_id.as_deref())?;
    let top = query.top.unwrap_or(DEFAULT_TOP);
    if !(1..=MAX_TOP).contains(&top) {
        return Err(ApiError::field("top", format!("must be 1 to {MAX_TOP}")));
    }
    let days = days(query.start_date.as_deref(), query.end_date.as_deref())?;
    let found = api.services.client_usage_db.cost_analytics(&organization, days).await?;
    let sees_raw_cost = caller.is_reseller();
    let cost = found.totals.markup_cost;
    let list = |models: &[ModelUsage]| {
        let models = models.iter().take(top);
        models.map(|model| ModelCosts::new(model, &found.totals, sees_raw_cost)).collect::<Result<_, _>>()
    };
    Ok(HttpResponse::Ok().json(Answer {
        success: true,
        client_id: organization,
        period: found.range.into(),
        totals: Sums::new(&found.totals, found.cost_pln, sees_raw_cost)?,
        unit: Unit::new(&found.totals, sees_raw_cost),
        cost_per_active_day: ratio::unit_cost(cost, found.days_with_usage, 1).map(JsonUsd),
        cost_per_active_user: ratio::unit_cost(cost, found.active_users, 1).map(JsonUsd),
        profit_margin_percent: margin(&found.totals, sees_raw_cost),
        models_used: found.by_cost.len(),
        by_cost: list(&found.by_cost)?,
        by_tokens: list(&found.by_tokens)?,
        conversion: Conversion::new(&api, &found.conversion),
    }))
}
