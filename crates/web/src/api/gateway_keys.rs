//! `clients/{client_id}/gateway-keys`: the keys with which an organization's programs call the gateway.

use actix_web::{HttpResponse, delete, get, patch, post, web};
use mai_organization::client_organization::{
    Change, CreatedGatewayKey, GatewayKeyModel, GatewayKeyPatch, NewGatewayKey,
};
use mai_primitives::{OrganizationId, UnixTime, UserId};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Api, ApiError,
    asked::Asked,
    caller::{Caller, unknown_organization},
    error::{ChangeRefusals, ReadRefusals, Refusals},
    paging::{self, Order},
};

/// How long a key that was replaced may still work: 30 days.
const GRACE_AT_MOST: u32 = 30 * 86_400;

/// A key as it may be shown.
#[derive(Serialize, ToSchema)]
struct GatewayKey {
    /// `key_…`
    id: String,
    /// The first twelve characters of the key, by which people tell keys apart.
    key_prefix: String,
    /// What people call it.
    name: String,
    /// The member whose key it is; null means the organization as a whole.
    user_id: Option<String>,
    /// Whether the identity headers of its caller are believed.
    is_trusted_client: bool,
    /// Whether errors in a stream are made visible as Open WebUI needs it.
    is_open_webui: bool,
    /// Whether only signed identities are believed.
    has_identity_secret: bool,
    /// How many calls a minute may bring; null means no limit of its own.
    requests_per_minute: Option<i64>,
    /// Unix seconds from when on it does not work; null means never.
    expires_at: Option<i64>,
    /// Unix seconds when it was taken back; null means it was not.
    revoked_at: Option<i64>,
    /// Unix seconds.
    created_at: i64,
    /// Unix seconds.
    updated_at: i64,
}

impl From<GatewayKeyModel> for GatewayKey {
    fn from(row: GatewayKeyModel) -> Self {
        Self {
            id: row.id,
            key_prefix: row.key_prefix,
            name: row.name,
            user_id: row.user_id.map(|id| id.to_string()),
            is_trusted_client: row.is_trusted_client,
            is_open_webui: row.is_open_webui,
            has_identity_secret: row.identity_secret.is_some(),
            requests_per_minute: row.requests_per_minute,
            expires_at: row.expires_at.map(UnixTime::seconds),
            revoked_at: row.revoked_at.map(UnixTime::seconds),
            created_at: row.created_at.seconds(),
            updated_at: row.updated_at.seconds(),
        }
    }
}

/// Which keys.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Whether keys that were taken back are listed as well.
    #[serde(default)]
    include_revoked: bool,
    /// By the time they were made.
    #[serde(default)]
    order: Order,
    /// 1 to 500, by default 50.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of keys.
#[derive(Serialize, ToSchema)]
struct GatewayKeys {
    success: bool,
    items: Vec<GatewayKey>,
    /// How many all pages have together.
    total: usize,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

/// The gateway keys of an organization, by the time they were made.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("admin"))),
    params(("client_id" = String, Path, description = "The organization"), Query),
    responses((status = 200, description = "A page of keys", body = GatewayKeys), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/clients/{client_id}/gateway-keys")]
pub(super) async fn list_gateway_keys(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let organization = administered(&caller, &asked, &api).await?;
    let query: Query = asked.query()?;
    let limit = paging::limit(query.limit)?;
    let rows = api.services.gateway_key_db.list(&organization).await?;
    let wanted = rows.into_iter().filter(|row| query.include_revoked || row.revoked_at.is_none());
    let page = paging::page(wanted.collect(), query.order, limit, query.cursor.as_deref(), |row| {
        (row.created_at.seconds(), row.id.clone())
    })?;
    let items = page.items.into_iter().map(GatewayKey::from).collect();
    let (total, next_cursor) = (page.total, page.next_cursor);
    Ok(HttpResponse::Ok().json(GatewayKeys { success: true, items, total, next_cursor }))
}

/// The organization of the path, for whoever administers it; 404 where there is none.
pub(super) async fn administered(
    caller: &Caller,
    asked: &Asked,
    api: &Api,
) -> Result<OrganizationId, ApiError> {
    let id = caller.administered(Some(asked.path("client_id")?))?;
    let row = api.services.client_organization_db.get_any_by_id(&id).await?;
    row.map(|row| row.id).ok_or_else(unknown_organization)
}

/// A new key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GatewayKeyForm {
    /// 1 to 200 characters.
    name: String,
    /// The member whose key it is; without one it belongs to the organization as a whole.
    #[schema(value_type = Option<String>)]
    user_id: Option<UserId>,
    /// Whether the identity headers of its caller are believed, such as those of Open WebUI.
    #[serde(default)]
    is_trusted_client: bool,
    /// Whether errors in a stream are made visible as Open WebUI needs it.
    #[serde(default)]
    is_open_webui: bool,
    /// What its caller signs identities with, 32 to 512 visible ASCII characters. With one, plain headers
    /// are refused.
    #[schema(value_type = Option<String>)]
    identity_secret: Option<SecretString>,
    /// How many calls a minute may bring, 1 to 1,000,000.
    requests_per_minute: Option<i64>,
    /// Unix seconds from when on it does not work; without it never.
    expires_at: Option<i64>,
}

/// A key that was made. This is the only time that the key itself is shown.
#[derive(Serialize, ToSchema)]
struct MadeGatewayKey<'a> {
    success: bool,
    /// `sk-mai-…`
    key: &'a str,
    gateway_key: GatewayKey,
}

fn created(made: CreatedGatewayKey) -> HttpResponse {
    let gateway_key = GatewayKey::from(made.model);
    HttpResponse::Created().json(MadeGatewayKey { success: true, key: made.key.expose_secret(), gateway_key })
}

/// Makes a key. It is shown only this once.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("admin"))),
    params(("client_id" = String, Path, description = "The organization")),
    request_body = GatewayKeyForm,
    responses((status = 201, description = "It was made", body = MadeGatewayKey<'static>), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[post("/clients/{client_id}/gateway-keys")]
pub(super) async fn create_gateway_key(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let organization = administered(&caller, &asked, &api).await?;
    let new: GatewayKeyForm = asked.json().await?;
    let new = NewGatewayKey {
        name: new.name,
        user_id: new.user_id,
        is_trusted_client: new.is_trusted_client,
        is_open_webui: new.is_open_webui,
        identity_secret: new.identity_secret,
        requests_per_minute: new.requests_per_minute,
        expires_at: new.expires_at.map(UnixTime::from_seconds),
    };
    Ok(created(caller.services(&api).gateway_key_db.create(&organization, new).await?))
}

/// How a key is replaced.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GatewayKeyRotation {
    /// How long the old key still works: 0 to 2,592,000 seconds (30 days), by default 0.
    #[serde(default)]
    grace_seconds: u32,
}

/// Makes a key that replaces another. It is shown only this once; the old one ends after the grace.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("admin"))),
    params(
        ("client_id" = String, Path, description = "The organization"),
        ("key_id" = String, Path, description = "The key"),
    ),
    request_body = GatewayKeyRotation,
    responses((status = 201, description = "The new key", body = MadeGatewayKey<'static>), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[post("/clients/{client_id}/gateway-keys/{key_id}/rotate")]
pub(super) async fn rotate_gateway_key(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let organization = administered(&caller, &asked, &api).await?;
    let key_id = asked.path("key_id")?.to_owned();
    let rotation: GatewayKeyRotation = asked.json().await?;
    Ok(created(rotate(&caller, &api, &organization, &key_id, rotation.grace_seconds).await?))
}

/// Replaces a key in the name of a caller.
pub(crate) async fn rotate(
    caller: &Caller,
    api: &Api,
    organization: &OrganizationId,
    key_id: &str,
    grace_seconds: u32,
) -> Result<CreatedGatewayKey, ApiError> {
    if grace_seconds > GRACE_AT_MOST {
        return Err(ApiError::field("grace_seconds", "must be 0 to 2592000"));
    }
    Ok(caller.services(api).gateway_key_db.rotate(organization, key_id, grace_seconds).await?)
}

/// A key after a change.
#[derive(Serialize, ToSchema)]
struct ChangedGatewayKey {
    success: bool,
    gateway_key: GatewayKey,
}

/// A partial update: what is absent stays, null clears.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GatewayKeyChanges {
    /// 1 to 200 characters.
    name: Option<String>,
    /// Whether the identity headers of its caller are believed.
    is_trusted_client: Option<bool>,
    /// Whether errors in a stream are made visible as Open WebUI needs it.
    is_open_webui: Option<bool>,
    /// What its caller signs identities with; null asks for no signature.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    identity_secret: Change<SecretString>,
    /// How many calls a minute may bring, 1 to 1,000,000; null means no limit of its own.
    #[serde(default)]
    #[schema(value_type = Option<i64>)]
    requests_per_minute: Change<i64>,
    /// Unix seconds from when on it does not work; null means never.
    #[serde(default)]
    #[schema(value_type = Option<i64>)]
    expires_at: Change<i64>,
}

/// Changes what the body names, all of it or nothing.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("admin"))),
    params(
        ("client_id" = String, Path, description = "The organization"),
        ("key_id" = String, Path, description = "The key"),
    ),
    request_body = GatewayKeyChanges,
    responses((status = 200, description = "It was changed", body = ChangedGatewayKey), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[patch("/clients/{client_id}/gateway-keys/{key_id}")]
pub(super) async fn update_gateway_key(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let organization = administered(&caller, &asked, &api).await?;
    let key_id = asked.path("key_id")?.to_owned();
    let changes: GatewayKeyChanges = asked.json().await?;
    let patch = GatewayKeyPatch {
        name: changes.name,
        is_trusted_client: changes.is_trusted_client,
        is_open_webui: changes.is_open_webui,
        identity_secret: changes.identity_secret,
        requests_per_minute: changes.requests_per_minute,
        expires_at: changes.expires_at.map(UnixTime::from_seconds),
    };
    let row = caller.services(&api).gateway_key_db.update(&organization, &key_id, patch).await?;
    Ok(HttpResponse::Ok().json(ChangedGatewayKey { success: true, gateway_key: row.into() }))
}

/// Takes a key back, at once and for good.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("admin"))),
    params(
        ("client_id" = String, Path, description = "The organization"),
        ("key_id" = String, Path, description = "The key"),
    ),
    responses((status = 200, description = "It no longer works", body = ChangedGatewayKey), ChangeRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[delete("/clients/{client_id}/gateway-keys/{key_id}")]
pub(super) async fn revoke_gateway_key(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let organization = administered(&caller, &asked, &api).await?;
    let keys = caller.services(&api).gateway_key_db;
    let row = keys.revoke(&organization, asked.path("key_id")?).await?;
    Ok(HttpResponse::Ok().json(ChangedGatewayKey { success: true, gateway_key: row.into() }))
}
