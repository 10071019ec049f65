//! Usage of users who are no registered members, and giving it to members.

use actix_web::{HttpResponse, get, post, web};
use mai_organization::usage_tracking::{Assignment, query::UserSums, verify::Days};
use mai_primitives::UserId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::{
    Api, ApiError,
    asked::{Asked, day},
    caller::Caller,
    error::{ReadRefusals, Refusals},
    json_money::JsonUsd,
};

/// Which days.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Range {
    /// The first day, `YYYY-MM-DD`; by default the first of the month of `end_date`.
    start_date: Option<String>,
    /// The last day, `YYYY-MM-DD`; by default today.
    end_date: Option<String>,
}

/// A user with usage who is no registered member.
#[derive(Serialize, ToSchema)]
struct UnassignedUser {
    /// `unattributed`, `manual_admin`, or an id that nobody knows.
    #[schema(value_type = String)]
    user_id: UserId,
    /// What OpenRouter knew the user as.
    openrouter_user_id: Option<String>,
    total_tokens: i64,
    total_requests: i64,
    /// Client price.
    total_cost: JsonUsd,
    /// OpenRouter's charge; only for the reseller.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_cost: Option<JsonUsd>,
    days_active: i64,
    /// When usage was last added, in Unix seconds.
    last_activity: i64,
}

/// Users with usage who are no registered members.
#[derive(Serialize, ToSchema)]
struct Unassigned {
    success: bool,
    items: Vec<UnassignedUser>,
}

/// Users with usage who are no registered members, the greatest cost first.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("admin"))),
    params(("client_id" = String, Path, description = "The organization"), Range),
    responses((status = 200, description = "The users", body = Unassigned), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/clients/{client_id}/members/unassigned")]
pub(super) async fn unassigned_usage(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let organization = caller.administered(Some(asked.path("client_id")?))?;
    let range: Range = asked.query()?;
    let start = day("start_date", range.start_date.as_deref())?;
    let end = day("end_date", range.end_date.as_deref())?;
    let found = api.services.client_usage_db.get_unassigned_usage(&organization, start, end).await?;
    let shown = |usage: UserSums| UnassignedUser {
        user_id: usage.user_id,
        openrouter_user_id: usage.openrouter_user_id.map(|id| id.to_string()),
        total_tokens: usage.totals.tokens,
        total_requests: usage.totals.requests,
        total_cost: JsonUsd(usage.totals.markup_cost),
        raw_cost: caller.is_reseller().then_some(JsonUsd(usage.totals.raw_cost)),
        days_active: usage.days_active,
        last_activity: usage.last_activity.seconds(),
    };
    Ok(HttpResponse::Ok().json(Unassigned { success: true, items: found.into_iter().map(shown).collect() }))
}

/// Whose usage is to be whose.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAssignment {
    /// For whom it was counted.
    #[schema(value_type = String)]
    from_user_id: UserId,
    /// The registered member whose it is.
    #[schema(value_type = String)]
    to_user_id: UserId,
    /// The first day, `YYYY-MM-DD`; only for `unattributed` and `manual_admin`.
    start_date: Option<String>,
    /// The last day, `YYYY-MM-DD`; only for `unattributed` and `manual_admin`.
    end_date: Option<String>,
    /// `from_user_id` is an active member, who is the same person and becomes inactive.
    #[serde(default)]
    merge: bool,
}

/// What was moved.
#[derive(Serialize, ToSchema)]
struct AssignmentDone {
    success: bool,
    message: &'static str,
    /// Days with usage.
    days: usize,
    total_tokens: i64,
    total_requests: i64,
    /// Client price.
    total_cost: JsonUsd,
    /// OpenRouter's charge; only for the reseller.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_cost: Option<JsonUsd>,
    /// Generations whose cost is not known yet.
    pending_generations: usize,
    failed_calls: usize,
    /// Whether usage under that id counts for the member from now on.
    later_usage: bool,
}

/// Gives usage that was counted for one user to a member. The organization's sums stay as they are.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("admin"))),
    params(("client_id" = String, Path, description = "The organization")),
    request_body = NewAssignment,
    responses((status = 200, description = "It was moved", body = AssignmentDone), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[post("/clients/{client_id}/members/assign")]
pub(super) async fn assign_usage(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let organization = caller.administered(Some(asked.path("client_id")?))?;
    let new: NewAssignment = asked.json().await?;
    let days = Days {
        from: day("start_date", new.start_date.as_deref())?,
        to: day("end_date", new.end_date.as_deref())?,
    };
    let assignment = Assignment { from: new.from_user_id, to: new.to_user_id, days, merge: new.merge };
    let done = caller.services(&api).client_usage_db.assign(&organization, assignment).await?;
    Ok(HttpResponse::Ok().json(AssignmentDone {
        success: true,
        message: "Usage assigned",
        days: done.days,
        total_tokens: done.totals.tokens,
        total_requests: done.totals.requests,
        total_cost: JsonUsd(done.totals.markup_cost),
        raw_cost: caller.is_reseller().then_some(JsonUsd(done.totals.raw_cost)),
        pending_generations: done.pending,
        failed_calls: done.failed,
        later_usage: done.is_external_id,
    }))
}
