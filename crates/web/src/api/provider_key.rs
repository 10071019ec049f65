//! `clients/{client_id}/provider-key`: the organization's key at OpenRouter, made through its management API.

use actix_web::{HttpResponse, delete, get, patch, post, web};
use mai_openrouter::{KeyField, LimitReset, ManagedKey, ManagedKeyPatch};
use mai_organization::{client_organization::ClientOrganizationModel, global_settings::Change};
use mai_primitives::Usd;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Api, ApiError,
    asked::Asked,
    caller::Caller,
    error::{ChangeRefusals, ReadRefusals, Refusals},
    json_money::JsonUsd,
    organizations::Organization,
};
use crate::provider_keys::{NewKey, ProviderKeys};

/// The longest name of a key, in characters.
const NAME_AT_MOST: usize = 200;

/// When a limit begins again, at midnight UTC.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ProviderKeyReset {
    Daily,
    Weekly,
    Monthly,
}

impl From<ProviderKeyReset> for LimitReset {
    fn from(reset: ProviderKeyReset) -> Self {
        match reset {
            ProviderKeyReset::Daily => Self::Daily,
            ProviderKeyReset::Weekly => Self::Weekly,
            ProviderKeyReset::Monthly => Self::Monthly,
        }
    }
}

/// What a new key may spend.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewProviderKey {
    /// What it is called at OpenRouter, 1 to 200 characters; without one `Client:` and the organization.
    name: Option<String>,
    /// What it may spend at OpenRouter, in USD of raw cost; without one there is no limit.
    limit: Option<JsonUsd>,
    /// When the limit begins again; without it never.
    limit_reset: Option<ProviderKeyReset>,
}

impl NewProviderKey {
    /// What is asked of OpenRouter, checked.
    pub(super) fn check(self) -> Result<NewKey, ApiError> {
        let limit = self.limit.map(|limit| limit.0);
        checked(NewKey { name: self.name, limit, limit_reset: self.limit_reset.map(LimitReset::from) })
    }
}

/// Refuses what OpenRouter would refuse, or take for something else.
pub(crate) fn checked(new: NewKey) -> Result<NewKey, ApiError> {
    let fits = |name: &String| !name.trim().is_empty() && name.chars().count() <= NAME_AT_MOST;
    if !new.name.as_ref().is_none_or(fits) {
        return Err(ApiError::field("name", "must have 1 to 200 characters"));
    }
    Ok(NewKey { limit: new.limit.map(positive).transpose()?, ..new })
}

/// Refuses a limit below zero.
pub(crate) fn positive(limit: Usd) -> Result<Usd, ApiError> {
    if limit < Usd::ZERO { Err(ApiError::field("limit", "must not be below zero")) } else { Ok(limit) }
}

/// A key that is to be made for an organization.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProviderKeyCreation {
    /// What it is called at OpenRouter, 1 to 200 characters; without one `Client:` and the organization.
    name: Option<String>,
    /// What it may spend at OpenRouter, in USD of raw cost; without one there is no limit.
    limit: Option<JsonUsd>,
    /// When the limit begins again; without it never.
    limit_reset: Option<ProviderKeyReset>,
    /// Whether it takes the place of the present key. One that was made here is then disabled; without this,
    /// an organization that has a key keeps it.
    #[serde(default)]
    replace: bool,
}

/// A key as OpenRouter tells it. Amounts are raw cost in USD; what OpenRouter does not tell is null.
#[derive(Serialize, ToSchema)]
pub(super) struct ProviderKey {
    /// The id of the key in OpenRouter's management API.
    key_hash: String,
    /// What it is called there.
    name: String,
    /// The last four characters of the key, behind an ellipsis.
    last_four: Option<String>,
    /// Whether OpenRouter refuses it.
    disabled: bool,
    /// What it may spend; null is no limit.
    limit: Option<JsonUsd>,
    /// What is left of the limit.
    limit_remaining: Option<JsonUsd>,
    /// When the limit begins again; null is never.
    limit_reset: Option<String>,
    /// What was charged to it since it was made.
    usage: Option<JsonUsd>,
    /// Since the present UTC day began.
    usage_daily: Option<JsonUsd>,
    /// Since Monday.
    usage_weekly: Option<JsonUsd>,
    /// Since the present UTC month began.
    usage_monthly: Option<JsonUsd>,
    /// What providers charged for calls with own keys (BYOK).
    byok_usage: Option<JsonUsd>,
    /// RFC 3339.
    created_at: Option<String>,
}

impl ProviderKey {
    pub(super) fn of(organization: &ClientOrganizationModel, key: ManagedKey) -> Self {
        Self {
            key_hash: key.hash,
            name: key.name,
            last_four: organization.provider_key.last4.as_ref().map(|last4| format!("…{last4}")),
            disabled: key.disabled,
            limit: key.limit.map(JsonUsd),
            limit_remaining: key.limit_remaining.map(JsonUsd),
            limit_reset: key.limit_reset,
            usage: key.usage.map(JsonUsd),
            usage_daily: key.usage_daily.map(JsonUsd),
            usage_weekly: key.usage_weekly.map(JsonUsd),
            usage_monthly: key.usage_monthly.map(JsonUsd),
            byok_usage: key.byok_usage.map(JsonUsd),
            created_at: key.created_at,
        }
    }
}

/// A key, and what did not succeed beside it.
#[derive(Serialize, ToSchema)]
struct ProviderKeyAnswer {
    success: bool,
    provider_key: ProviderKey,
    /// What a person should look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

/// A key, if there is one.
#[derive(Serialize, ToSchema)]
struct FoundProviderKey {
    success: bool,
    /// Null where none was made at OpenRouter, also where there is a key that was entered by hand.
    provider_key: Option<ProviderKey>,
}

/// The organization's key, as OpenRouter tells it now.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("reseller"))),
    params(("client_id" = String, Path, description = "The organization")),
    responses((status = 200, description = "The key, or null", body = FoundProviderKey), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/clients/{client_id}/provider-key")]
pub(super) async fn get_provider_key(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let id = caller.resold(asked.path("client_id")?)?;
    let found = api.provider_keys.find(&api.services, &id).await?;
    let provider_key = found.map(|(organization, key)| ProviderKey::of(&organization, key));
    Ok(HttpResponse::Ok().json(FoundProviderKey { success: true, provider_key }))
}

/// Makes a key at OpenRouter for the organization. Nobody is shown the key itself.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("reseller"))),
    params(("client_id" = String, Path, description = "The organization")),
    request_body = ProviderKeyCreation,
    responses((status = 201, description = "It was made and stored", body = ProviderKeyAnswer), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[post("/clients/{client_id}/provider-key")]
pub(super) async fn create_provider_key(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let id = caller.resold(asked.path("client_id")?)?;
    let ProviderKeyCreation { name, limit, limit_reset, replace } = asked.json().await?;
    let new = NewProviderKey { name, limit, limit_reset }.check()?;
    let services = caller.services(&api);
    let create = |keys: ProviderKeys| async move { keys.create(&services, &id, new, replace).await };
    let stored = api.provider_keys.to_the_end(create).await??;
    let provider_key = ProviderKey::of(&stored.organization, stored.info);
    let warning = stored.warning;
    Ok(HttpResponse::Created().json(ProviderKeyAnswer { success: true, provider_key, warning }))
}

/// A partial update: what is absent stays, null clears.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProviderKeyPatch {
    /// What the key may spend, in USD of raw cost; null is no limit.
    #[serde(default)]
    #[schema(value_type = Option<JsonUsd>)]
    limit: Change<JsonUsd>,
    /// When the limit begins again; null is never.
    #[serde(default)]
    #[schema(value_type = Option<ProviderKeyReset>)]
    limit_reset: Change<ProviderKeyReset>,
    /// Whether OpenRouter refuses the key.
    disabled: Option<bool>,
}

/// Changes the organization's key at OpenRouter.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("reseller"))),
    params(("client_id" = String, Path, description = "The organization")),
    request_body = ProviderKeyPatch,
    responses((status = 200, description = "The key after the change", body = ProviderKeyAnswer), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[patch("/clients/{client_id}/provider-key")]
pub(super) async fn update_provider_key(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let id = caller.resold(asked.path("client_id")?)?;
    let asked_for: ProviderKeyPatch = asked.json().await?;
    if let Change::Set(limit) = &asked_for.limit {
        positive(limit.0)?;
    }
    let patch = ManagedKeyPatch {
        disabled: asked_for.disabled,
        limit: field(asked_for.limit.map(|limit| limit.0)),
        limit_reset: field(asked_for.limit_reset.map(LimitReset::from)),
    };
    let services = caller.services(&api);
    let update = |keys: ProviderKeys| async move { keys.update(&services, &id, patch).await };
    let (organization, key) = api.provider_keys.to_the_end(update).await??;
    let provider_key = ProviderKey::of(&organization, key);
    Ok(HttpResponse::Ok().json(ProviderKeyAnswer { success: true, provider_key, warning: None }))
}

fn field<T>(change: Change<T>) -> KeyField<T> {
    match change {
        Change::Keep => KeyField::Keep,
        Change::Clear => KeyField::Null,
        Change::Set(value) => KeyField::Set(value),
    }
}

/// The organization without its key.
#[derive(Serialize, ToSchema)]
struct RemovedProviderKey {
    success: bool,
    client: Organization,
}

/// Disables the organization's key at OpenRouter and forgets it. Its calls are then refused.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("reseller"))),
    params(("client_id" = String, Path, description = "The organization")),
    responses((status = 200, description = "It is disabled and forgotten", body = RemovedProviderKey), ChangeRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[delete("/clients/{client_id}/provider-key")]
pub(super) async fn remove_provider_key(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let id = caller.resold(asked.path("client_id")?)?;
    let services = caller.services(&api);
    let remove = |keys: ProviderKeys| async move { keys.remove(&services, &id).await };
    let organization = api.provider_keys.to_the_end(remove).await??;
    Ok(HttpResponse::Ok().json(RemovedProviderKey { success: true, client: organization.into() }))
}
