//! `limits`: what an organization, its members and its models may cost in a calendar month, and what was spent of it.

use std::cmp::Reverse;

use actix_web::{HttpResponse, delete, get, put, web};
use mai_billing::{
    BillingMonth, LimitState,
    limits::{LimitStanding, LimitedModel},
    states,
};
use mai_organization::client_organization::{LimitScope, LimitSubject};
use mai_primitives::{ModelName, OrganizationId, Usd};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::{
    Api, ApiError,
    asked::Asked,
    caller::{Caller, Role, unknown_organization},
    error::{ChangeRefusals, ReadRefusals, Refusals},
    gateway_keys::administered,
    json_money::JsonUsd,
    paging,
};

pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list_limits).service(set_limit).service(clear_limit);
}

/// A limit and what was used of it in the month, in USD of client price.
#[derive(Serialize, ToSchema)]
#[schema(as = Limit)]
struct Shown {
    /// `organization`, `member` or `model`.
    scope: &'static str,
    /// The member's user id, or the name of the model; null for the organization.
    subject: Option<String>,
    monthly_limit: JsonUsd,
    /// What is booked.
    spent: JsonUsd,
    /// What is reserved for calls whose cost is looked up or waits for a person.
    pending: JsonUsd,
    /// What is reserved in the gateway that answers, for calls that are not over or not booked yet.
    in_flight: JsonUsd,
    /// How much of the limit is spent or pending, in whole percent, rounded down.
    percent: i64,
    /// `ok`, `warning` from 80 percent on, or `reached`.
    state: &'static str,
}

/// The limits of a month: a page of them, the organization's own first.
#[derive(Serialize, ToSchema)]
struct Limits {
    success: bool,
    #[schema(value_type = String)]
    client_id: OrganizationId,
    /// `YYYY-MM`, by the organization's calendar.
    month: String,
    /// The day on which the month is over and limits begin anew.
    #[schema(format = Date)]
    renewed_on: String,
    /// Whether the organization's own limit is used up, so that nobody's calls pass.
    organization_reached: bool,
    items: Vec<Shown>,
    /// How many there are on all pages.
    total: usize,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

/// Which limits.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// `YYYY-MM`; by default the present month. The limits are those of today.
    month: Option<String>,
    /// Only those whose member or model has this in its name, in whatever case.
    search: Option<String>,
    /// 1 to 500, by default 50.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// As [`Query`], where the path names no organization.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OwnQuery {
    /// Which organization; only a reseller needs to name one.
    client_org_id: Option<String>,
    /// `YYYY-MM`; by default the present month. The limits are those of today.
    month: Option<String>,
    /// Only those whose member or model has this in its name, in whatever case.
    search: Option<String>,
    /// 1 to 500, by default 50.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The states of an organization's limits in a month, by default the present one.
pub(crate) async fn read(
    api: &Api,
    organization: &OrganizationId,
    month: Option<&str>,
) -> Result<(BillingMonth, Vec<LimitState>), ApiError> {
    let named = month.map(str::parse::<BillingMonth>).transpose()?;
    let row = api.services.client_organization_db.get_any_by_id(organization).await?;
    let row = row.ok_or_else(unknown_organization)?;
    let month = match named {
        Some(month) => month,
        None => BillingMonth::of(row.calendar()?.usage_date(api.clock.now())),
    };
    let (id, prices) = (row.id, api.model_prices.prices().current());
    let read = api.storage.read(move |conn| states(conn, std::slice::from_ref(&id), month, &prices));
    Ok((month, read.await?))
}

/// What is reserved in the gateway of this process beside what the database knows.
pub(crate) fn in_flight(api: &Api, state: &LimitState) -> Usd {
    api.limits.guard.in_flight(&state.client_org_id, state.month.first(), &state.subject)
}

/// Whether the organization's own limit is used up, so that nobody's calls pass.
pub(crate) fn is_used_up(states: &[LimitState]) -> bool {
    let own = states.iter().find(|state| state.subject == LimitSubject::Organization);
    own.is_some_and(is_reached)
}

/// Whether a limit is used up.
pub(crate) fn is_reached(state: &LimitState) -> bool {
    state.standing() == LimitStanding::Reached
}

fn shown(api: &Api, state: &LimitState) -> Shown {
    Shown {
        scope: state.subject.scope(),
        subject: state.subject.name().map(str::to_owned),
        monthly_limit: JsonUsd(state.limit),
        spent: JsonUsd(state.spent),
        pending: JsonUsd(state.pending),
        in_flight: JsonUsd(in_flight(api, state)),
        percent: state.percent(),
        state: state.standing().as_str(),
    }
}

async fn answer(
    api: &Api,
    organization: OrganizationId,
    only: Option<&LimitSubject>,
    query: Query,
) -> Result<HttpResponse, ApiError> {
    let limit = paging::limit(query.limit)?;
    let (month, mut states) = read(api, &organization, query.month.as_deref()).await?;
    let organization_reached = is_used_up(&states);
    let wanted = query.search.unwrap_or_default().to_lowercase();
    states.retain(|state| match only {
        Some(only) => state.subject == *only,
        None => state.subject.name().unwrap_or_default().to_lowercase().contains(&wanted),
    });
    let key = |state: &LimitState| {
        let is_own = Reverse(state.subject == LimitSubject::Organization);
        (is_own, state.subject.scope().to_owned(), state.subject.name().unwrap_or_default().to_owned())
    };
    let page = paging::page(states, paging::Order::Asc, limit, query.cursor.as_deref(), key)?;
    let (total, next_cursor) = (page.total, page.next_cursor);
    Ok(HttpResponse::Ok().json(Limits {
        success: true,
        client_id: organization,
        month: month.to_string(),
        renewed_on: month.after().first().to_string(),
        organization_reached,
        items: page.items.iter().map(|state| shown(api, state)).collect(),
        total,
        next_cursor,
    }))
}

/// The limits of an organization, its members and its models, and what was used of each in a month.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("admin"))),
    params(("client_id" = String, Path, description = "The organization"), Query),
    responses((status = 200, description = "A page of limits", body = Limits), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/clients/{client_id}/limits")]
async fn list_limits(caller: Caller, asked: Asked, api: web::Data<Api>) -> Result<HttpResponse, ApiError> {
    let organization = administered(&caller, &asked, &api).await?;
    answer(&api, organization, None, asked.query()?).await
}

/// The limits of the caller's organization. A member sees only its own, and whether the organization's is used up.
#[utoipa::path(
    tag = "usage",
    extensions(("x-access" = json!("member"))),
    params(OwnQuery),
    responses((status = 200, description = "A page of limits", body = Limits), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/my-organization/limits")]
pub(super) async fn own_limits(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let query: OwnQuery = asked.query()?;
    let organization = caller.organization(query.client_org_id.as_deref())?;
    let only = match &caller.role {
        Role::Member(_, user) => Some(LimitSubject::Member(user.clone())),
        Role::Admin(_) | Role::Reseller => None,
    };
    let OwnQuery { client_org_id: _, month, search, limit, cursor } = query;
    answer(&api, organization, only.as_ref(), Query { month, search, limit, cursor }).await
}

/// What a limit is about.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LimitScope)]
enum Scope {
    /// A member, with all of the member's ids.
    Member,
    /// A model, with all of its variants and dated names.
    Model,
}

impl From<Scope> for LimitScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Member => Self::Member,
            Scope::Model => Self::Model,
        }
    }
}

/// A limit to set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LimitForm {
    scope: Scope,
    /// The member's user id, or the name of the model without a variant such as `:free`.
    subject: String,
    /// What it may cost in a calendar month, in USD of client price; with 0 nothing may be bought.
    monthly_limit: JsonUsd,
}

/// A limit that was set.
#[derive(Serialize, ToSchema)]
struct SetLimit {
    success: bool,
    /// Whether the price list has the model. A model that it lacks can have a limit, but its name may be misspelt. For a
    /// member always true.
    known: bool,
    limit: Shown,
}

/// Sets the limit of a member or a model, in place of the one before. It holds at the gateway at once. The limit of the
/// organization as a whole is set by changing the organization.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("admin"))),
    params(("client_id" = String, Path, description = "The organization")),
    request_body = LimitForm,
    responses((status = 200, description = "The limit as it is now", body = SetLimit), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[put("/clients/{client_id}/limits")]
async fn set_limit(caller: Caller, asked: Asked, api: web::Data<Api>) -> Result<HttpResponse, ApiError> {
    let organization = administered(&caller, &asked, &api).await?;
    let form: LimitForm = asked.json().await?;
    let (JsonUsd(amount), subject) = (form.monthly_limit, (form.scope.into(), form.subject.as_str()));
    let (state, known) = set(&caller, &api, &organization, subject, amount).await?;
    Ok(HttpResponse::Ok().json(SetLimit { success: true, known, limit: shown(&api, &state) }))
}

/// Sets a limit in the name of a caller: its state now, and whether the price list has the model.
pub(crate) async fn set(
    caller: &Caller,
    api: &Api,
    organization: &OrganizationId,
    (scope, subject): (LimitScope, &str),
    amount: Usd,
) -> Result<(LimitState, bool), ApiError> {
    let known = match (scope, ModelName::new(subject)) {
        (LimitScope::Model, Ok(model)) => is_known(&model, api)?,
        // What is no name is refused below.
        _ => true,
    };
    let limits = caller.services(api).usage_limit_db;
    let about = limits.set(organization, (scope, subject), amount).await?.about()?;
    let (month, states) = read(api, organization, None).await?;
    // Another change may have come in between.
    let unused = || LimitState {
        client_org_id: organization.clone(),
        month,
        subject: about.clone(),
        limit: amount,
        spent: Usd::ZERO,
        pending: Usd::ZERO,
    };
    let state = states.into_iter().find(|state| state.subject == about).unwrap_or_else(unused);
    Ok((state, known))
}

/// Whether the price list has a model; refused where it counts the model under another name.
fn is_known(model: &ModelName, api: &Api) -> Result<bool, ApiError> {
    match LimitedModel::of(model, &api.model_prices.prices().current()) {
        LimitedModel::Known => Ok(true),
        LimitedModel::Unknown => Ok(false),
        LimitedModel::CountedAs(family) => {
            Err(ApiError::field("subject", format!("is counted as `{family}`; set the limit of that")))
        }
    }
}

/// Which limit.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    #[param(inline)]
    scope: Scope,
    /// The member's user id, or the name of the model.
    subject: String,
}

/// What was done.
#[derive(Serialize, ToSchema)]
struct ClearedLimit {
    success: bool,
    message: &'static str,
}

/// Takes the limit of a member or a model away. It is gone at the gateway at once.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("admin"))),
    params(("client_id" = String, Path, description = "The organization"), Which),
    responses((status = 200, description = "There is none any more", body = ClearedLimit), ChangeRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[delete("/clients/{client_id}/limits")]
async fn clear_limit(caller: Caller, asked: Asked, api: web::Data<Api>) -> Result<HttpResponse, ApiError> {
    let organization = administered(&caller, &asked, &api).await?;
    let which: Which = asked.query()?;
    let limits = caller.services(&api).usage_limit_db;
    limits.clear(&organization, (which.scope.into(), &which.subject)).await?;
    Ok(HttpResponse::Ok().json(ClearedLimit { success: true, message: "There is no limit any more" }))
}
