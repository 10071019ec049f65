//! `my-organization/engagement`: how the members take part.

use actix_web::{HttpResponse, get, web};
use mai_organization::usage_tracking::stats::engagement::EngagementDay;
use mai_primitives::{OrganizationId, ratio};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Period, RangeQuery};
use crate::api::{Api, ApiError, asked::Asked, caller::Caller, error::ReadRefusals, json_money::JsonDecimal};

/// Decimal places of an average.
const PLACES: u32 = 4;

/// How the members take part.
#[derive(Serialize, ToSchema)]
#[schema(as = Engagement)]
struct Answer {
    success: bool,
    #[schema(value_type = String)]
    client_id: OrganizationId,
    period: Period,
    /// Days of the period that have begun.
    days_elapsed: i64,
    /// Days with usage.
    active_days: i64,
    /// Generations.
    total_requests: i64,
    /// Distinct members with usage.
    active_users: i64,
    /// Those of them who had never used anything before the period.
    new_users: i64,
    /// The others.
    returning_users: i64,
    /// Active members of the registry who have been let in.
    members: i64,
    /// Those of them without usage; `usage-by-user?activity=idle` names them.
    members_without_usage: i64,
    /// The part of the members with usage, in parts per million; null without members.
    active_share_ppm: Option<i64>,
    /// Generations per member with usage; null without usage.
    requests_per_active_user: Option<JsonDecimal>,
    /// Members with usage per day of the period that has begun; null where none has.
    active_users_per_day: Option<JsonDecimal>,
    /// Members with usage per day with usage; null without usage.
    active_users_per_active_day: Option<JsonDecimal>,
    /// The days with usage, ascending.
    days: Vec<Day>,
}

/// A day with usage.
#[derive(Serialize, ToSchema)]
#[schema(as = EngagementDay)]
struct Day {
    /// The organization's local day.
    #[schema(format = Date)]
    date: String,
    /// Distinct members.
    active_users: i64,
    /// Those of them whose first day ever it is.
    new_users: i64,
    /// Generations.
    requests: i64,
}

impl From<EngagementDay> for Day {
    fn from(day: EngagementDay) -> Self {
        Self {
            date: day.date.to_string(),
            active_users: day.active_users,
            new_users: day.new_users,
            requests: day.requests,
        }
    }
}

/// Active days, requests per active member, new and returning members, and members without usage.
#[utoipa::path(
    tag = "usage",
    extensions(("x-access" = json!("admin"))),
    params(RangeQuery),
    responses((status = 200, description = "How the members take part", body = Answer), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/my-organization/engagement")]
pub(in crate::api) async fn engagement(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let query: RangeQuery = asked.query()?;
    let organization = caller.administered(query.client_org_id.as_deref())?;
    let found = api.services.client_usage_db.engagement(&organization, query.days()?).await?;
    let average = |sum: i64, count: i64| ratio::decimal(sum, count, PLACES).map(JsonDecimal);
    Ok(HttpResponse::Ok().json(Answer {
        success: true,
        client_id: organization,
        period: found.range.into(),
        days_elapsed: found.days_begun,
        active_days: found.active_days,
        total_requests: found.totals.requests,
        active_users: found.active_users,
        new_users: found.new_users,
        returning_users: found.returning_users,
        members: found.members,
        members_without_usage: found.members_without_usage,
        active_share_ppm: ratio::parts_per_million(
            found.members - found.members_without_usage,
            found.members,
        ),
        requests_per_active_user: average(found.totals.requests, found.active_users),
        active_users_per_day: average(found.user_days, found.days_begun),
        active_users_per_active_day: average(found.user_days, found.active_days),
        days: found.days.into_iter().map(Day::from).collect(),
    }))
}
