//! Our own API: the compatibility routes of the original system, with true status codes.

use std::sync::Arc;

use actix_web::{
    HttpResponse,
    http::header,
    middleware::{DefaultHeaders, from_fn},
    web,
};
use mai_batch::{AnomalyTable, Batch};
use mai_billing::{SubscriptionTable, statements::StatementTable};
use mai_capture::{Ingest, SharedDirectory};
use mai_model_prices::ModelPriceTable;
use mai_organization::{OrganizationServices, client_organization::MasterKey};
use mai_primitives::{Clock, OrganizationCalendar};
use mai_storage::Storage;
use secrecy::SecretString;
use utoipa_actix_web::{scope, service_config::ServiceConfig};

pub(crate) mod accounts;
pub(crate) mod alerts;
pub(crate) mod anomalies;
mod api_tokens;
mod asked;
mod attempts;
pub(crate) mod audit_log;
pub(crate) mod auth;
pub(crate) mod batch;
pub(crate) mod caller;
pub(crate) mod changes;
pub(crate) mod cookie;
mod credentials;
mod error;
mod exchange_rate;
pub(crate) mod gateway_keys;
mod generation_audit;
pub mod ingest;
mod json_money;
pub(crate) mod limits;
pub(crate) mod members;
pub(crate) mod model_pricing;
pub mod openapi;
pub(crate) mod organizations;
pub mod pages;
pub(crate) mod paging;
pub(crate) mod pending;
pub(crate) mod provider_key;
pub mod request_id;
pub(crate) mod settings;
pub(crate) mod statements;
mod subscription;
mod system_health;
mod usage;
mod user_mappings;
pub(crate) mod webhook_secret;

pub use attempts::Attempts;
pub use error::ApiError;

use crate::{
    alerts::Alerts,
    gateway::RateLimits,
    limits::LimitKeeper,
    open_webui::{session::OpenWebuiSessions, sync::Registries},
    provider_keys::ProviderKeys,
};

/// What every handler of the API needs.
#[derive(Clone)]
pub struct Api {
    /// The database.
    pub storage: Storage,
    /// What opens the secrets in it.
    pub master_key: MasterKey,
    /// The services on the database.
    pub services: OrganizationServices,
    /// The reseller's token, where the settings name one.
    pub admin_token: Option<SecretString>,
    /// What OpenRouter's Broadcast presents, where the settings name it.
    pub broadcast_token: Option<SecretString>,
    /// Organizations and keys.
    pub directory: SharedDirectory,
    /// Where Open WebUI tells who its users are, where the settings name it.
    pub registries: Registries,
    /// Provider keys that are made at OpenRouter.
    pub provider_keys: ProviderKeys,
    /// The daily run.
    pub batch: Batch,
    /// What stands out of a member's or a model's own history.
    pub anomalies: AnomalyTable,
    /// What is worth telling without being asked.
    pub alerts: Alerts,
    /// The door for usage that others report.
    pub ingest: Ingest,
    /// The sessions of Open WebUI, where the settings name its secret.
    pub open_webui: Option<OpenWebuiSessions>,
    /// How often each caller may ask.
    pub rates: Arc<RateLimits>,
    /// How many attempts to sign in have failed.
    pub attempts: Attempts,
    /// The origin under which browsers reach the service, where the settings name it.
    pub public_url: Option<String>,
    /// What models cost.
    pub model_prices: ModelPriceTable,
    /// What organizations pay for their seats.
    pub subscription: SubscriptionTable,
    /// What organizations owe for months that are over.
    pub statements: StatementTable,
    /// What was spent against limits.
    pub limits: LimitKeeper,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Whose days count where no organization is named.
    pub time_zone: OrganizationCalendar,
}

/// What a shared machine's browser must not keep: figures, documents and secrets.
fn not_kept() -> DefaultHeaders {
    DefaultHeaders::new().add((header::CACHE_CONTROL, "no-store"))
}

/// Every route of the API. The description of the API comes from the same registrations.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(openapi::openapi_json)
        .service(
            scope("/api/v1/usage-tracking")
                .configure(usage_tracking)
                .default_service(web::to(unknown_route))
                .wrap(from_fn(changes::audit_refusal))
                .wrap(not_kept()),
        )
        .service(
            scope("/api/v1/client-organizations")
                .configure(client_organizations)
                .default_service(web::to(unknown_route))
                .wrap(from_fn(changes::take_effect))
                .wrap(from_fn(changes::audit_refusal))
                .wrap(not_kept()),
        )
        .service(
            scope("/api/v1/auth")
                .configure(auth::routes)
                .default_service(web::to(unknown_route))
                .wrap(from_fn(changes::audit_refusal))
                .wrap(not_kept()),
        )
        .service(
            scope("/api/v1/accounts")
                .configure(accounts)
                .default_service(web::to(unknown_route))
                .wrap(from_fn(changes::audit_refusal))
                .wrap(not_kept()),
        )
        .service(
            scope("/api/v1/api-tokens")
                .configure(api_tokens)
                .default_service(web::to(unknown_route))
                .wrap(from_fn(changes::audit_refusal))
                .wrap(not_kept()),
        );
}

/// What is below `/api/v1/usage-tracking`.
fn usage_tracking(config: &mut ServiceConfig<'_>) {
    config
        .configure(ingest::routes)
        .configure(usage::usage_tracking)
        .service(exchange_rate::exchange_rate)
        .service(model_pricing::model_pricing)
        .service(subscription::subscription_billing)
        .service(limits::own_limits)
        .service(system_health::system_health)
        .configure(batch::routes);
}

/// What is below `/api/v1/client-organizations`.
fn client_organizations(config: &mut ServiceConfig<'_>) {
    config
        .service(organizations::list_clients)
        .service(organizations::create_client)
        .service(organizations::get_client)
        .service(organizations::update_client)
        .service(organizations::deactivate_client)
        .service(api_tokens::list_client_tokens)
        .service(api_tokens::create_client_token)
        .service(api_tokens::revoke_client_token)
        .configure(members::routes)
        .configure(user_mappings::routes)
        .service(settings::get_settings)
        .service(settings::update_settings)
        .service(subscription::client_subscription)
        .configure(statements::routes)
        .service(gateway_keys::list_gateway_keys)
        .service(gateway_keys::create_gateway_key)
        .service(gateway_keys::rotate_gateway_key)
        .service(gateway_keys::update_gateway_key)
        .service(gateway_keys::revoke_gateway_key)
        .service(webhook_secret::set_webhook_secret)
        .service(webhook_secret::clear_webhook_secret)
        .service(provider_key::get_provider_key)
        .service(provider_key::create_provider_key)
        .service(provider_key::update_provider_key)
        .service(provider_key::remove_provider_key)
        .service(pending::list_all_pending)
        .service(pending::list_pending)
        .service(pending::settle)
        .service(pending::dismiss)
        .service(pending::look_up)
        .service(generation_audit::generation_audit)
        .configure(anomalies::routes)
        .configure(alerts::routes)
        .configure(limits::routes)
        .service(audit_log::audit_log)
        .service(audit_log::verify_audit_log)
        .service(audit_log::export_audit_log)
        .configure(usage::client_organizations);
}

/// What is below `/api/v1/accounts`.
fn accounts(config: &mut ServiceConfig<'_>) {
    config
        .service(accounts::list_accounts)
        .service(accounts::create_account)
        .service(accounts::update_account)
        .service(accounts::deactivate_account)
        .service(accounts::create_link);
}

/// What is below `/api/v1/api-tokens`.
fn api_tokens(config: &mut ServiceConfig<'_>) {
    config
        .service(api_tokens::list_reseller_tokens)
        .service(api_tokens::create_reseller_token)
        .service(api_tokens::revoke_reseller_token);
}

async fn unknown_route() -> Result<HttpResponse, ApiError> {
    Err(ApiError::not_found("there is no such route"))
}
