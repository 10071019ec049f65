//! Our own API: the compatibility routes of the original system, with true status codes.

use std::sync::Arc;

use actix_web::{HttpResponse, middleware::from_fn, web};
use mai_capture::{Ingest, SharedDirectory};
use mai_organization::OrganizationServices;
use mai_primitives::Clock;
use secrecy::SecretString;
use utoipa_actix_web::{scope, service_config::ServiceConfig};

mod asked;
mod audit_log;
pub(crate) mod caller;
mod error;
pub mod ingest;
mod json_money;
mod member_import;
mod members;
pub mod openapi;
mod organizations;
mod paging;
mod refusals;
pub mod request_id;
pub mod try_it;
mod usage_summary;
mod user_mappings;

pub use error::ApiError;

use crate::open_webui::sync::Registries;

/// What every handler of the API needs.
#[derive(Clone)]
pub struct Api {
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
    /// The door for usage that others report.
    pub ingest: Ingest,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Every route of the API. The description of the API comes from the same registrations.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(openapi::openapi_json)
        .service(
            scope("/api/v1/usage-tracking")
                .configure(usage_tracking)
                .default_service(web::to(unknown_route))
                .wrap(from_fn(refusals::audit)),
        )
        .service(
            scope("/api/v1/client-organizations")
                .configure(client_organizations)
                .default_service(web::to(unknown_route))
                .wrap(from_fn(refusals::audit)),
        );
}

/// What is below `/api/v1/usage-tracking`.
fn usage_tracking(config: &mut ServiceConfig<'_>) {
    config.configure(ingest::routes).service(usage_summary::usage_summary);
}

/// What is below `/api/v1/client-organizations`.
fn client_organizations(config: &mut ServiceConfig<'_>) {
    config
        .service(organizations::list_clients)
        .service(organizations::create_client)
        .service(organizations::get_client)
        .service(organizations::update_client)
        .service(organizations::deactivate_client)
        .configure(members::routes)
        .configure(user_mappings::routes)
        .service(audit_log::audit_log)
        .service(audit_log::verify_audit_log);
}

async fn unknown_route() -> Result<HttpResponse, ApiError> {
    Err(ApiError::not_found("there is no such route"))
}
