//! `my-organization/trend`: months side by side.

use actix_web::{HttpResponse, get, web};
use mai_organization::usage_tracking::{
    MAX_TREND_MONTHS,
    stats::trend::{Changes, MonthFigures, MonthUsage},
};
use mai_primitives::OrganizationId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Conversion, Period, Sums};
use crate::api::{
    Api, ApiError,
    asked::{Asked, day},
    caller::Caller,
    error::ReadRefusals,
};

/// A year.
const DEFAULT_MONTHS: u32 = 12;

/// Which months.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Which organization; only a reseller needs to name one.
    client_org_id: Option<String>,
    /// How many months: 1 to 36, by default 12.
    months: Option<u32>,
    /// The last day that is counted, `YYYY-MM-DD`; by default today. Its month is the last one.
    end_date: Option<String>,
}

/// The months.
#[derive(Serialize, ToSchema)]
#[schema(as = Trend)]
struct Answer {
    success: bool,
    #[schema(value_type = String)]
    client_id: OrganizationId,
    /// The months, the oldest first; those without usage have zeros.
    months: Vec<TrendMonth>,
    /// As many days of the month before as the last month has counted, with which an unfinished month is
    /// fairly compared.
    same_days_before: SameDays,
    #[serde(flatten)]
    conversion: Conversion,
}

/// What was used in a month.
#[derive(Serialize, ToSchema)]
#[schema(as = MonthFigures)]
struct Figures {
    #[serde(flatten)]
    sums: Sums,
    /// Distinct members.
    active_users: i64,
    /// Days with usage.
    days_with_usage: i64,
}

impl Figures {
    fn new(figures: &MonthFigures, sees_raw_cost: bool) -> Result<Self, ApiError> {
        Ok(Self {
            sums: Sums::new(&figures.totals, figures.cost_pln, sees_raw_cost)?,
            active_users: figures.active_users,
            days_with_usage: figures.days_with_usage,
        })
    }
}

/// Differences in parts per million of what was before; null where there was nothing before.
#[derive(Serialize, ToSchema)]
#[schema(as = MonthChange)]
#[expect(clippy::struct_field_names, reason = "the unit belongs to the name of each")]
struct Change {
    tokens_ppm: Option<i64>,
    requests_ppm: Option<i64>,
    cost_ppm: Option<i64>,
    active_users_ppm: Option<i64>,
    /// For the reseller only.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_cost_ppm: Option<i64>,
}

impl Change {
    fn new(change: Changes, sees_raw_cost: bool) -> Self {
        Self {
            tokens_ppm: change.tokens_ppm,
            requests_ppm: change.requests_ppm,
            cost_ppm: change.cost_ppm,
            active_users_ppm: change.active_users_ppm,
            raw_cost_ppm: change.raw_cost_ppm.filter(|_| sees_raw_cost),
        }
    }
}

/// A month.
#[derive(Serialize, ToSchema)]
struct TrendMonth {
    /// `YYYY-MM`.
    month: String,
    /// The days that are counted.
    period: Period,
    /// Whether all days of the month are counted.
    is_complete: bool,
    #[serde(flatten)]
    figures: Figures,
    /// The difference from the month before.
    change: Change,
}

impl TrendMonth {
    fn new(month: &MonthUsage, sees_raw_cost: bool) -> Result<Self, ApiError> {
        Ok(Self {
            month: month.range.from().date().format("%Y-%m").to_string(),
            period: month.range.into(),
            is_complete: month.is_complete,
            figures: Figures::new(&month.figures, sees_raw_cost)?,
            change: Change::new(month.change, sees_raw_cost),
        })
    }
}

/// The beginning of the month before the last one.
#[derive(Serialize, ToSchema)]
#[schema(as = TrendSameDays)]
struct SameDays {
    /// The days.
    period: Period,
    #[serde(flatten)]
    figures: Figures,
    /// How the last month differs from them.
    change: Change,
}

/// Months side by side, each compared with the one before.
#[utoipa::path(
    tag = "usage",
    extensions(("x-access" = json!("member"))),
    params(Query),
    responses((status = 200, description = "The months", body = Answer), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/my-organization/trend")]
pub(in crate::api) async fn trend(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let query: Query = asked.query()?;
    let organization = caller.organization(query.client_org_id.as_deref())?;
    let months = query.months.unwrap_or(DEFAULT_MONTHS);
    if !(1..=MAX_TREND_MONTHS).contains(&months) {
        return Err(ApiError::field("months", format!("must be 1 to {MAX_TREND_MONTHS}")));
    }
    let end = day("end_date", query.end_date.as_deref())?;
    let found = api.services.client_usage_db.trend(&organization, end, months).await?;
    let sees_raw_cost = caller.is_reseller();
    let same = &found.same_days_before;
    Ok(HttpResponse::Ok().json(Answer {
        success: true,
        client_id: organization,
        months: found
            .months
            .iter()
            .map(|month| TrendMonth::new(month, sees_raw_cost))
            .collect::<Result<_, _>>()?,
        same_days_before: SameDays {
            period: same.range.into(),
            figures: Figures::new(&same.figures, sees_raw_cost)?,
            change: Change::new(same.change, sees_raw_cost),
        },
        conversion: Conversion::new(&api, &found.conversion),
    }))
}
