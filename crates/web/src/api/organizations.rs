//! `clients`: the organizations, as the reseller creates and changes them.

use std::str::FromStr;

use actix_web::{HttpResponse, delete, get, patch, post, web};
use mai_organization::client_organization::{
    Change, ClientOrganizationForm, ClientOrganizationModel, ClientOrganizationPatch,
};
use mai_primitives::{OrganizationId, text::sortable};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Api, ApiError,
    asked::Asked,
    caller::{Caller, unknown_organization},
    error::{ChangeRefusals, ReadRefusals, Refusals},
    json_money::{JsonRate, JsonUsd},
    paging::{self, Order},
    provider_key::{NewProviderKey, ProviderKey},
};

mod changes;

pub(crate) use changes::{change, create, deactivate};

/// An organization. Of its secrets only the last four characters of the provider key are shown.
#[derive(Serialize, ToSchema)]
pub(super) struct Organization {
    /// `org_…`, or the configured id.
    #[schema(value_type = String)]
    id: OrganizationId,
    /// What people call it.
    name: String,
    /// The last four characters of the OpenRouter key, behind an ellipsis.
    openrouter_api_key: Option<String>,
    /// The id of the key in OpenRouter's management API, where it was made there.
    openrouter_key_hash: Option<String>,
    /// The organization's own rate; null is the global default.
    markup_rate: Option<JsonRate>,
    /// What it may spend in a calendar month, in client price; null is no limit.
    monthly_limit: Option<JsonUsd>,
    /// Where statements go.
    billing_email: Option<String>,
    /// IANA name of the zone whose days count.
    timezone: String,
    /// Whether an answer is read to its end when the client has left.
    drain_on_disconnect: bool,
    /// What OpenRouter gets as `HTTP-Referer`.
    site_url: Option<String>,
    /// Which of NBP's tables gives a day its rate: `same_day_or_before` or `before_day`.
    day_rate_policy: &'static str,
    /// Which of NBP's tables gives a statement its rate: `before_period_end` or `before_issue_day`.
    statement_rate_policy: &'static str,
    /// Whether posts to its usage webhook must be signed.
    has_webhook_secret: bool,
    /// Whether its keys work.
    is_active: bool,
    /// Unix seconds.
    created_at: i64,
    /// Unix seconds.
    updated_at: i64,
}

impl Organization {
    /// For its administrator without what the raw cost could be computed by.
    fn for_administrator(row: ClientOrganizationModel) -> Self {
        Self { markup_rate: None, openrouter_api_key: None, openrouter_key_hash: None, ..Self::from(row) }
    }
}

impl From<ClientOrganizationModel> for Organization {
    fn from(row: ClientOrganizationModel) -> Self {
        Self {
            id: row.id,
            name: row.name,
            openrouter_api_key: row.provider_key.last4.map(|last4| format!("…{last4}")),
            openrouter_key_hash: row.openrouter_key_hash,
            markup_rate: row.markup_rate.map(JsonRate),
            monthly_limit: row.monthly_limit.map(JsonUsd),
            billing_email: row.billing_email,
            timezone: row.timezone,
            drain_on_disconnect: row.drain_on_disconnect,
            site_url: row.site_url,
            day_rate_policy: row.day_rate_policy.as_str(),
            statement_rate_policy: row.statement_rate_policy.as_str(),
            has_webhook_secret: row.webhook_secret.is_some(),
            is_active: row.is_active,
            created_at: row.created_at.seconds(),
            updated_at: row.updated_at.seconds(),
        }
    }
}

/// Which organizations.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Whether inactive organizations are listed as well.
    #[serde(default)]
    include_inactive: bool,
    /// Only those whose name or id has this in it.
    search: Option<String>,
    #[serde(default)]
    #[param(inline)]
    sort: Sort,
    #[serde(default)]
    order: Order,
    /// 1 to 500. Without it all organizations are in the answer.
    limit: Option<usize>,
    /// The header `x-next-cursor` of the page before.
    cursor: Option<String>,
}

/// By what organizations are sorted.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Sort {
    #[default]
    Name,
    CreatedAt,
}

/// The organizations. The header `x-total-count` has their number, and `x-next-cursor` is there while
/// another page follows.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("reseller"))),
    params(Query),
    responses(
        (
            status = 200,
            description = "All of them",
            body = Vec<Organization>,
            headers(
                ("x-total-count" = i64, description = "How many there are on all pages"),
                ("x-next-cursor" = String, description = "Where the next page begins; absent on the last one"),
            ),
        ),
        ReadRefusals,
    ),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/clients")]
pub(super) async fn list_clients(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    caller.reseller()?;
    let query: Query = asked.query()?;
    let organizations = &api.services.client_organization_db;
    let rows = if query.include_inactive {
        organizations.get_all().await?
    } else {
        organizations.get_all_active().await?
    };
    let limit = match query.limit {
        Some(_) => paging::limit(query.limit)?,
        None => usize::MAX,
    };
    let wanted = query.search.map(|text| text.to_lowercase());
    let found = rows.into_iter().filter(|row| {
        let has = |text: &str, wanted: &str| text.to_lowercase().contains(wanted);
        wanted.as_deref().is_none_or(|wanted| has(&row.name, wanted) || has(row.id.as_str(), wanted))
    });
    let page = paging::page(found.collect(), query.order, limit, query.cursor.as_deref(), |row| {
        let first = match query.sort {
            Sort::Name => (sortable(&row.name), 0),
            Sort::CreatedAt => (String::new(), row.created_at.seconds()),
        };
        (first, row.id.to_string())
    })?;
    Ok(paging::bare_list::<_, Organization>(page))
}

/// One organization, active or not.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("admin"))),
    params(("client_id" = String, Path, description = "The organization")),
    responses((status = 200, description = "The organization", body = Organization), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/clients/{client_id}")]
pub(super) async fn get_client(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let id = caller.administered(Some(asked.path("client_id")?))?;
    let row = api.services.client_organization_db.get_any_by_id(&id).await?;
    let row = row.ok_or_else(unknown_organization)?;
    let shown =
        if caller.is_reseller() { Organization::from(row) } else { Organization::for_administrator(row) };
    Ok(HttpResponse::Ok().json(shown))
}

/// A new organization.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewOrganization {
    /// 1 to 200 characters.
    name: String,
    /// A configured id; without one a new one is made.
    #[schema(value_type = Option<String>)]
    id: Option<OrganizationId>,
    /// The OpenRouter key. Without one the gateway refuses the organization's calls.
    #[schema(value_type = Option<String>)]
    openrouter_api_key: Option<SecretString>,
    /// The organization's own rate; without one the global default of the time of use counts.
    markup_rate: Option<JsonRate>,
    /// Makes a key at OpenRouter for the organization, in place of `openrouter_api_key`.
    create_provider_key: Option<NewProviderKey>,
    /// What it may spend in a calendar month, in client price.
    monthly_limit: Option<JsonUsd>,
    /// Where statements go.
    billing_email: Option<String>,
    /// IANA name of a zone; by default that of the setting `MAI_TIME_ZONE`.
    timezone: Option<String>,
    /// Whether an answer is read to its end when the client has left.
    #[serde(default)]
    drain_on_disconnect: bool,
    /// What OpenRouter gets as `HTTP-Referer`: an http or https URL of at most 200 visible ASCII characters.
    site_url: Option<String>,
    /// Which of NBP's tables gives a day its rate: `same_day_or_before`, the default, or `before_day`.
    day_rate_policy: Option<String>,
    /// Which of NBP's tables gives a statement its rate: `before_period_end`, the default, or
    /// `before_issue_day`.
    statement_rate_policy: Option<String>,
}

/// A policy by its name.
fn policy<P: FromStr<Err = String>>(field: &'static str, name: Option<&str>) -> Result<Option<P>, ApiError> {
    name.map(|name| name.parse().map_err(|reason| ApiError::field(field, reason))).transpose()
}

/// What was done to an organization.
#[derive(Serialize, ToSchema)]
struct Changed {
    success: bool,
    message: &'static str,
    client: Organization,
    /// The key that was made at OpenRouter, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key_info: Option<ProviderKey>,
    /// What a person should look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

impl Changed {
    fn new(message: &'static str, row: ClientOrganizationModel) -> Self {
        Self { success: true, message, client: row.into(), api_key_info: None, warning: None }
    }
}

/// Makes an organization.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("reseller"))),
    request_body = NewOrganization,
    responses((status = 201, description = "It was made", body = Changed), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[post("/clients")]
pub(super) async fn create_client(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    caller.reseller()?;
    let new: NewOrganization = asked.json().await?;
    let provider_key = new.create_provider_key.map(NewProviderKey::check).transpose()?;
    if provider_key.is_some() && new.openrouter_api_key.is_some() {
        return Err(ApiError::field("create_provider_key", "cannot stand beside openrouter_api_key"));
    }
    let form = ClientOrganizationForm {
        id: new.id,
        name: new.name,
        openrouter_api_key: new.openrouter_api_key,
        openrouter_key_hash: None,
        markup_rate: new.markup_rate.map(|rate| rate.0),
        monthly_limit: new.monthly_limit.map(|limit| limit.0),
        billing_email: new.billing_email,
        timezone: Some(new.timezone.unwrap_or_else(|| api.time_zone.zone().to_owned())),
        drain_on_disconnect: new.drain_on_disconnect,
        site_url: new.site_url,
        day_rate_policy: policy("day_rate_policy", new.day_rate_policy.as_deref())?.unwrap_or_default(),
        statement_rate_policy: policy("statement_rate_policy", new.statement_rate_policy.as_deref())?
            .unwrap_or_default(),
    };
    let message = "Organization created";
    let (row, info) = create(&caller, &api, form, provider_key).await?;
    let api_key_info = info.map(|info| ProviderKey::of(&row, info));
    Ok(HttpResponse::Created().json(Changed { api_key_info, ..Changed::new(message, row) }))
}

/// A partial update: what is absent stays, null clears.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OrganizationPatch {
    /// 1 to 200 characters.
    name: Option<String>,
    /// The OpenRouter key.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    openrouter_api_key: Change<SecretString>,
    /// The organization's own rate, from now on; null is the global default.
    #[serde(default)]
    #[schema(value_type = Option<JsonRate>)]
    markup_rate: Change<JsonRate>,
    /// What it may spend in a calendar month; null is no limit.
    #[serde(default)]
    #[schema(value_type = Option<JsonUsd>)]
    monthly_limit: Change<JsonUsd>,
    /// Where statements go.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    billing_email: Change<String>,
    /// IANA name of a zone. Days that are booked already keep their date.
    timezone: Option<String>,
    /// Whether an answer is read to its end when the client has left.
    drain_on_disconnect: Option<bool>,
    /// What OpenRouter gets as `HTTP-Referer`; null sends none.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    site_url: Change<String>,
    /// Which of NBP's tables gives a day its rate: `same_day_or_before` or `before_day`. Days that have a
    /// rate keep it.
    day_rate_policy: Option<String>,
    /// Which of NBP's tables gives a statement its rate: `before_period_end` or `before_issue_day`.
    statement_rate_policy: Option<String>,
    /// Whether its keys work.
    is_active: Option<bool>,
}

/// Changes what the body names, all of it or nothing.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("reseller"))),
    params(("client_id" = String, Path, description = "The organization")),
    request_body = OrganizationPatch,
    responses((status = 200, description = "It was changed", body = Changed), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[patch("/clients/{client_id}")]
pub(super) async fn update_client(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let id = caller.resold(asked.path("client_id")?)?;
    let patch: OrganizationPatch = asked.json().await?;
    let patch = ClientOrganizationPatch {
        name: patch.name,
        openrouter_api_key: patch.openrouter_api_key,
        markup_rate: patch.markup_rate.map(|rate| rate.0),
        monthly_limit: patch.monthly_limit.map(|limit| limit.0),
        billing_email: patch.billing_email,
        timezone: patch.timezone,
        drain_on_disconnect: patch.drain_on_disconnect,
        site_url: patch.site_url,
        day_rate_policy: policy("day_rate_policy", patch.day_rate_policy.as_deref())?,
        statement_rate_policy: policy("statement_rate_policy", patch.statement_rate_policy.as_deref())?,
        is_active: patch.is_active,
        ..ClientOrganizationPatch::default()
    };
    let (row, warning) = change(&caller, &api, id, patch).await?;
    Ok(HttpResponse::Ok().json(Changed { warning, ..Changed::new("Organization updated", row) }))
}

/// What was done.
#[derive(Serialize, ToSchema)]
struct Deactivated {
    success: bool,
    message: &'static str,
    /// What a person should look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

/// Makes an organization inactive: its keys no longer work, its figures stay. A key that was made for it
/// at OpenRouter is disabled there.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("reseller"))),
    params(("client_id" = String, Path, description = "The organization")),
    responses((status = 200, description = "It is inactive", body = Deactivated), ChangeRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[delete("/clients/{client_id}")]
pub(super) async fn deactivate_client(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let id = caller.resold(asked.path("client_id")?)?;
    let warning = deactivate(&caller, &api, id).await?;
    let message = "Organization deactivated";
    Ok(HttpResponse::Ok().json(Deactivated { success: true, message, warning }))
}
