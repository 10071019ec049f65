//! `settings`: what holds for all organizations.

use actix_web::{HttpResponse, get, post, web};
use mai_organization::global_settings::{
    BillableRoles, Change, GlobalSettingsForm, GlobalSettingsModel, GlobalSettingsTable, SubscriptionError,
    SubscriptionTier, SubscriptionTiers,
};
use mai_primitives::MarkupRate;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Api, ApiError,
    asked::Asked,
    caller::Caller,
    error::{ReadRefusals, Refusals},
    json_money::{JsonPln, JsonRate},
};

/// The settings. Of the provisioning key only the last four characters are shown.
#[derive(Serialize, ToSchema)]
pub(super) struct Settings {
    /// Always `global`.
    id: &'static str,
    /// The last four characters of the key of OpenRouter's management API, behind an ellipsis.
    openrouter_provisioning_key: Option<String>,
    /// The rate of organizations that have none of their own.
    default_markup_rate: JsonRate,
    /// Always `USD`.
    billing_currency: String,
    /// What a seat costs by how many users there are.
    subscription_tiers: Vec<Tier>,
    /// The roles of members who need a seat: `admin`, `member`, `pending`.
    billable_roles: Vec<&'static str>,
    /// Unix seconds; 0 while nothing was ever stored.
    created_at: i64,
    /// Unix seconds; 0 while nothing was ever stored.
    updated_at: i64,
}

/// What each user costs while there are so many.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = SubscriptionTier)]
#[serde(deny_unknown_fields)]
struct Tier {
    /// From so many users on; the first tier from 1.
    from: u32,
    /// Up to so many users; null for the last tier, and for no other.
    to: Option<u32>,
    /// For one user and month, with at most two decimals.
    price_per_user_pln: JsonPln,
}

fn shown_tiers(tiers: Option<SubscriptionTiers>) -> Vec<Tier> {
    let tier = |tier: &SubscriptionTier| Tier {
        from: tier.from,
        to: tier.to,
        price_per_user_pln: JsonPln(tier.price),
    };
    tiers.unwrap_or_default().all().iter().map(tier).collect()
}

fn shown_roles(roles: Option<BillableRoles>) -> Vec<&'static str> {
    roles.unwrap_or_default().all().iter().map(|role| role.as_str()).collect()
}

fn tiers(asked: Vec<Tier>) -> Result<SubscriptionTiers, ApiError> {
    let tier = |Tier { from, to, price_per_user_pln: JsonPln(price) }| SubscriptionTier { from, to, price };
    SubscriptionTiers::new(asked.into_iter().map(tier).collect())
        .map_err(|error| ApiError::field("subscription_tiers", error))
}

fn roles(asked: &[String]) -> Result<BillableRoles, ApiError> {
    let roles = asked.iter().map(|role| role.parse()).collect::<Result<_, String>>();
    roles
        .map_err(|_| SubscriptionError::Roles)
        .and_then(BillableRoles::new)
        .map_err(|error| ApiError::field("billable_roles", error))
}

fn shown(table: &GlobalSettingsTable, row: Option<GlobalSettingsModel>) -> Result<Settings, ApiError> {
    let Some(row) = row else {
        return Ok(Settings {
            id: "global",
            openrouter_provisioning_key: None,
            default_markup_rate: JsonRate(MarkupRate::DEFAULT),
            billing_currency: "USD".to_owned(),
            subscription_tiers: shown_tiers(None),
            billable_roles: shown_roles(None),
            created_at: 0,
            updated_at: 0,
        });
    };
    let key = table.provisioning_key(&row)?;
    Ok(Settings {
        id: "global",
        openrouter_provisioning_key: key.as_ref().map(last_four),
        default_markup_rate: JsonRate(row.default_markup_rate),
        billing_currency: row.billing_currency,
        subscription_tiers: shown_tiers(row.subscription_tiers),
        billable_roles: shown_roles(row.billable_roles),
        created_at: row.created_at.seconds(),
        updated_at: row.updated_at.seconds(),
    })
}

/// Of a key that is so short that four characters would tell much of it, none are shown.
pub(crate) fn last_four(key: &SecretString) -> String {
    let text = key.expose_secret();
    let shown = text.len().checked_sub(4).filter(|hidden| *hidden >= 8).and_then(|hidden| text.get(hidden..));
    format!("…{}", shown.unwrap_or_default())
}

/// The settings, or their defaults while none were stored.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("reseller"))),
    responses((status = 200, description = "The settings", body = Settings), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/settings")]
pub(super) async fn get_settings(caller: Caller, api: web::Data<Api>) -> Result<HttpResponse, ApiError> {
    caller.reseller()?;
    let table = &api.services.global_settings_db;
    Ok(HttpResponse::Ok().json(shown(table, table.get_settings().await?)?))
}

/// A partial update: what is absent stays, null clears.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SettingsPatch {
    /// The key of OpenRouter's management API, 1 to 512 visible ASCII characters.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    openrouter_provisioning_key: Change<SecretString>,
    /// The rate of organizations that have none of their own, from now on.
    default_markup_rate: Option<JsonRate>,
    /// Only `USD`.
    billing_currency: Option<String>,
    /// What a seat costs: 1 to 20 tiers, ascending and without a gap. Null means the built-in ones.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Tier>>)]
    subscription_tiers: Change<Vec<Tier>>,
    /// One or more of `admin`, `member` and `pending`. Null means administrators and members.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    billable_roles: Change<Vec<String>>,
}

/// The settings after a change.
#[derive(Serialize, ToSchema)]
struct ChangedSettings {
    success: bool,
    settings: Settings,
}

/// Changes what the body names, all of it or nothing.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("reseller"))),
    request_body = SettingsPatch,
    responses((status = 200, description = "They were changed", body = ChangedSettings), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[post("/settings")]
pub(super) async fn update_settings(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    caller.reseller()?;
    let patch: SettingsPatch = asked.json().await?;
    let form = GlobalSettingsForm {
        openrouter_provisioning_key: patch.openrouter_provisioning_key,
        default_markup_rate: patch.default_markup_rate.map(|rate| rate.0),
        billing_currency: patch.billing_currency,
        subscription_tiers: patch.subscription_tiers.try_map(tiers)?,
        billable_roles: patch.billable_roles.try_map(|asked| roles(&asked))?,
    };
    let table = caller.services(&api).global_settings_db;
    let row = table.update_settings(form).await?;
    let settings = shown(&table, Some(row))?;
    Ok(HttpResponse::Ok().json(ChangedSettings { success: true, settings }))
}
