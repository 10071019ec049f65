//! `my-organization/daily-usage`: the days, and what each is made of.

use actix_web::{HttpResponse, get, web};
use mai_organization::{
    exchange_rates::CurrentRate,
    usage_tracking::{
        ClientDailyUsageModel, Totals,
        stats::series::{GroupBy, Metric, Series, SeriesOf},
    },
};
use mai_primitives::{ModelName, OrganizationId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Conversion, DayRate, Period, Sums, days, instant};
use crate::api::{
    Api, ApiError,
    asked::Asked,
    caller::Caller,
    error::ReadRefusals,
    json_money::{JsonPln, JsonUsd},
};

/// How many series there are by default, and at most.
const DEFAULT_TOP: usize = 7;
const MAX_TOP: usize = 50;

/// Which days, and what they are taken apart by.
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
    /// What the days are taken apart by; for administrators and the reseller.
    #[serde(default)]
    #[param(inline)]
    group_by: Group,
    /// Which figure decides who gets a series of its own.
    #[serde(default)]
    #[param(inline)]
    metric: Figure,
    /// How many series there are beside that of all others: 1 to 50, by default 7.
    top: Option<usize>,
}

/// What days are taken apart by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = GroupBy)]
enum Group {
    #[default]
    None,
    Model,
    Provider,
    User,
}

/// A figure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Metric)]
enum Figure {
    #[default]
    Cost,
    Tokens,
    Requests,
}

/// The days.
#[derive(Serialize, ToSchema)]
#[schema(as = DailyUsage)]
struct Answer {
    success: bool,
    #[schema(value_type = String)]
    client_id: OrganizationId,
    period: Period,
    totals: Sums,
    /// The days with usage, ascending.
    days: Vec<UsageDay>,
    group_by: Group,
    metric: Figure,
    /// The greatest ones first, at last all others together, if there are any. On each day they add up to
    /// the day; in złoty, where each is rounded, nearly.
    series: Vec<Line>,
    #[serde(flatten)]
    conversion: Conversion,
}

/// A day with usage.
#[derive(Serialize, ToSchema)]
struct UsageDay {
    /// The organization's local day.
    #[schema(format = Date)]
    date: String,
    /// English name of the weekday.
    day_name: String,
    #[serde(flatten)]
    sums: Sums,
    /// Distinct members.
    unique_users: i64,
    /// The model with the most tokens.
    #[schema(value_type = Option<String>)]
    primary_model: Option<ModelName>,
    /// When usage was last added.
    #[schema(format = DateTime)]
    last_activity: String,
    #[serde(flatten)]
    rate: DayRate,
}

impl UsageDay {
    fn new(
        row: ClientDailyUsageModel,
        current: Option<&CurrentRate>,
        sees_raw_cost: bool,
    ) -> Result<Self, ApiError> {
        Ok(Self {
            date: row.usage_date.to_string(),
            day_name: row.usage_date.date().format("%A").to_string(),
            sums: Sums::new(&Totals::from(&row), row.cost_pln(current)?, sees_raw_cost)?,
            rate: DayRate::of(&row, current),
            unique_users: row.unique_users,
            primary_model: row.primary_model,
            last_activity: instant(row.updated_at),
        })
    }
}

/// What one model, provider or member used on each of the days.
#[derive(Serialize, ToSchema)]
#[schema(as = DailySeries)]
struct Line {
    /// The model, the provider's slug or the member's id; null for all others together.
    id: Option<String>,
    /// What people call it; null for all others together.
    name: Option<String>,
    /// Whether it is that of all others together.
    is_other: bool,
    totals: Sums,
    /// On each of `days`, in their order.
    tokens: Vec<i64>,
    /// On each of `days`, in their order.
    requests: Vec<i64>,
    /// What the client is charged, on each of `days`, in their order.
    cost: Vec<JsonUsd>,
    /// The same in złoty, of rows that are rounded on their own; null while no rate is known.
    cost_pln: Vec<Option<JsonPln>>,
}

impl Line {
    fn new(series: Series, sees_raw_cost: bool) -> Result<Self, ApiError> {
        let (id, name) = match series.who {
            SeriesOf::One { id, name } => (Some(id), Some(name)),
            SeriesOf::Others => (None, None),
        };
        Ok(Self {
            is_other: id.is_none(),
            id,
            name,
            totals: Sums::new(&series.totals, series.cost_pln, sees_raw_cost)?,
            tokens: series.per_day.iter().map(|(day, _)| day.tokens).collect(),
            requests: series.per_day.iter().map(|(day, _)| day.requests).collect(),
            cost: series.per_day.iter().map(|(day, _)| JsonUsd(day.markup_cost)).collect(),
            cost_pln: series.per_day.iter().map(|(_, in_pln)| in_pln.map(JsonPln)).collect(),
        })
    }
}

/// Usage by day; for administrators also taken apart by model, provider or member.
#[utoipa::path(
    tag = "usage",
    extensions(("x-access" = json!("member"))),
    params(Query),
    responses((status = 200, description = "The days", body = Answer), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/my-organization/daily-usage")]
pub(in crate::api) async fn daily_usage(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let query: Query = asked.query()?;
    let named = query.client_org_id.as_deref();
    let organization = match query.group_by {
        Group::None => caller.organization(named)?,
        Group::Model | Group::Provider | Group::User => caller.administered(named)?,
    };
    let days = days(query.start_date.as_deref(), query.end_date.as_deref())?;
    let top = query.top.unwrap_or(DEFAULT_TOP);
    if !(1..=MAX_TOP).contains(&top) {
        return Err(ApiError::field("top", format!("must be 1 to {MAX_TOP}")));
    }
    let group_by = match query.group_by {
        Group::None => GroupBy::Nothing,
        Group::Model => GroupBy::Model,
        Group::Provider => GroupBy::Provider,
        Group::User => GroupBy::User,
    };
    let metric = match query.metric {
        Figure::Cost => Metric::Cost,
        Figure::Tokens => Metric::Tokens,
        Figure::Requests => Metric::Requests,
    };
    let usage = &api.services.client_usage_db;
    let found = usage.daily_usage(&organization, days, group_by, metric, top).await?;
    let sees_raw_cost = caller.is_reseller();
    let current = found.conversion.current.as_ref();
    Ok(HttpResponse::Ok().json(Answer {
        success: true,
        client_id: organization,
        period: found.range.into(),
        totals: Sums::new(&found.totals, found.cost_pln, sees_raw_cost)?,
        days: found
            .days
            .into_iter()
            .map(|row| UsageDay::new(row, current, sees_raw_cost))
            .collect::<Result<_, _>>()?,
        group_by: query.group_by,
        metric: query.metric,
        series: found
            .series
            .into_iter()
            .map(|one| Line::new(one, sees_raw_cost))
            .collect::<Result<_, _>>()?,
        conversion: Conversion::new(&api, &found.conversion),
    }))
}
