//! Usage by member.

use actix_web::{HttpResponse, get, web};
use mai_organization::{
    client_organization::openrouter_user_id,
    usage_tracking::{
        Days, Listed, UserUsage,
        stats::users::{Activity, UserSort},
    },
};
use mai_primitives::{OpenRouterUserId, OrganizationId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Conversion, ListAsked, Period, Sums, days, instant, named_by_path, next_cursor};
use crate::api::{Api, ApiError, asked::Asked, caller::Caller, error::ReadRefusals, paging::Order};

/// Which members, in which order.
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
    /// Only members whose name, address or id has this in it.
    search: Option<String>,
    /// Which members.
    #[serde(default)]
    #[param(inline)]
    activity: Which,
    #[serde(default)]
    #[param(inline)]
    sort: Sort,
    /// By default names ascending and figures descending.
    order: Option<Order>,
    /// 1 to 500. Without it all members are in the answer.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Which members are listed.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = UserActivity)]
enum Which {
    /// All.
    #[default]
    All,
    /// Those with usage.
    Active,
    /// Those without.
    Idle,
}

/// By what members are sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = UserSort)]
enum Sort {
    #[default]
    Cost,
    Tokens,
    Requests,
    Name,
    DaysActive,
    LastActivity,
}

/// A member.
#[derive(Serialize, ToSchema)]
#[schema(as = UserUsage)]
struct MemberFigures {
    #[schema(value_type = String)]
    user_id: UserId,
    /// The member's name; the id where none is known.
    user_name: String,
    /// The member's address; null where none is known.
    user_email: Option<String>,
    /// What OpenRouter knows the member as.
    #[schema(value_type = Option<String>)]
    external_user_id: Option<OpenRouterUserId>,
    #[serde(flatten)]
    sums: Sums,
    /// The part of the organization's cost, in parts per million; null where nothing was charged.
    share_ppm: Option<i64>,
    /// Days with usage.
    days_active: i64,
    /// When usage was last added in the range.
    #[schema(format = DateTime)]
    last_activity: Option<String>,
    /// Whether an active mapping says what OpenRouter gets as `user`; else an id is made of the member's.
    user_mapping_enabled: bool,
    /// Whether the member is in the registry.
    is_registered: bool,
    /// `admin`, `member` or `pending`; null for a user whom nobody registered.
    role: Option<&'static str>,
    /// Whether the member still belongs to the organization.
    is_active: Option<bool>,
}

impl MemberFigures {
    fn new(user: UserUsage, sees_raw_cost: bool) -> Result<Self, ApiError> {
        Ok(Self {
            user_name: user.display_name().to_owned(),
            user_email: user.email().map(str::to_owned),
            sums: Sums::new(&user.totals, user.cost_pln, sees_raw_cost)?,
            share_ppm: user.share_ppm,
            days_active: user.days_active,
            last_activity: user.last_activity.map(instant),
            user_mapping_enabled: user.is_mapped,
            is_registered: user.member.is_some(),
            role: user.member.as_ref().map(|member| member.role.as_str()),
            is_active: user.member.as_ref().map(|member| member.is_active),
            external_user_id: user.openrouter_user_id,
            user_id: user.user_id,
        })
    }
}

/// How ids at OpenRouter are made.
#[derive(Serialize, ToSchema)]
struct UserMappingInfo {
    #[schema(value_type = String)]
    client_prefix: OrganizationId,
    organization_name: String,
    format_pattern: &'static str,
    #[schema(value_type = Option<String>)]
    example_id: Option<OpenRouterUserId>,
}

/// The members.
#[derive(Serialize, ToSchema)]
#[schema(as = UsageByUser)]
struct Answer {
    success: bool,
    #[schema(value_type = String)]
    client_id: OrganizationId,
    organization_name: String,
    period: Period,
    user_usage: Vec<MemberFigures>,
    /// How many members fit the search, on all pages.
    total_users: usize,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
    /// The sums of all members, whatever was searched for: the organization's. In złoty it is the sum of the
    /// organization's rounded days, from which the members' rounded amounts may differ by some grosz.
    totals: Sums,
    /// The sums of the members that fit the search.
    matched_totals: Sums,
    user_mapping_info: UserMappingInfo,
    #[serde(flatten)]
    conversion: Conversion,
}

/// Usage by member: everybody who is registered, with zeros where there is none, and everybody else who
/// used something.
#[utoipa::path(
    tag = "usage",
    extensions(("x-access" = json!("admin"))),
    params(Query),
    responses((status = 200, description = "The members", body = Answer), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/my-organization/usage-by-user")]
pub(in crate::api) async fn usage_by_user(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let query: Query = asked.query()?;
    let organization = caller.administered(query.client_org_id.as_deref())?;
    answer(&api, &caller, organization, query).await
}

/// The same of a named organization.
#[utoipa::path(
    tag = "usage",
    extensions(("x-access" = json!("admin"))),
    params(("client_id" = String, Path, description = "The organization"), Query),
    responses((status = 200, description = "The members", body = Answer), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/usage/by-user/{client_id}")]
pub(in crate::api) async fn by_user(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let organization = caller.administered(Some(asked.path("client_id")?))?;
    let query: Query = asked.query()?;
    named_by_path(asked.path("client_id")?, query.client_org_id.as_deref())?;
    answer(&api, &caller, organization, query).await
}

async fn answer(
    api: &Api,
    caller: &Caller,
    organization: OrganizationId,
    query: Query,
) -> Result<HttpResponse, ApiError> {
    let sees_raw_cost = caller.is_reseller();
    let days: Days = days(query.start_date.as_deref(), query.end_date.as_deref())?;
    let activity = match query.activity {
        Which::All => Activity::All,
        Which::Active => Activity::Active,
        Which::Idle => Activity::Idle,
    };
    let sort = match query.sort {
        Sort::Cost => UserSort::Cost,
        Sort::Tokens => UserSort::Tokens,
        Sort::Requests => UserSort::Requests,
        Sort::Name => UserSort::Name,
        Sort::DaysActive => UserSort::DaysActive,
        Sort::LastActivity => UserSort::LastActivity,
    };
    let asked = ListAsked {
        search: query.search,
        sort,
        order: query.order,
        limit: query.limit,
        cursor: query.cursor,
    };
    let listing = asked.listing(sort == UserSort::Name)?;
    let listed = api.services.client_usage_db.users(&organization, days, activity, listing).await?;
    let Listed { client_org_name, range, page, cost_pln, conversion } = listed;
    let example = UserId::new("example").ok().and_then(|user| openrouter_user_id(&organization, &user).ok());
    Ok(HttpResponse::Ok().json(Answer {
        success: true,
        client_id: organization.clone(),
        organization_name: client_org_name.clone(),
        period: range.into(),
        total_users: page.matched,
        next_cursor: next_cursor(page.next)?,
        totals: Sums::new(&page.totals, cost_pln, sees_raw_cost)?,
        matched_totals: Sums::new(&page.matched_totals, page.matched_pln, sees_raw_cost)?,
        user_usage: page
            .items
            .into_iter()
            .map(|user| MemberFigures::new(user, sees_raw_cost))
            .collect::<Result<_, _>>()?,
        user_mapping_info: UserMappingInfo {
            client_prefix: organization,
            organization_name: client_org_name,
            format_pattern: "{client_prefix}_user_{first 16 hex digits of the SHA-256 of user_id}",
            example_id: example,
        },
        conversion: Conversion::new(api, &conversion),
    }))
}
