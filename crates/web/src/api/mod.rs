//! Our own API: the compatibility routes of the original system, with true status codes.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use mai_capture::{Ingest, SharedDirectory};
use mai_organization::OrganizationServices;
use mai_primitives::Clock;
use secrecy::SecretString;

pub(crate) mod auth;
mod error;
pub mod ingest;
mod json_money;
pub mod request_id;
mod usage_summary;

pub use error::ApiError;

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
    /// The door for usage that others report.
    pub ingest: Ingest,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The routes below `/api/v1/usage-tracking`.
pub fn usage_tracking_routes(config: &mut web::ServiceConfig) {
    config
        .configure(ingest::routes)
        .route("/my-organization/usage-summary", web::get().to(usage_summary::usage_summary))
        .default_service(web::to(|| async {
            Err::<HttpResponse, _>(ApiError::not_found("there is no such route"))
        }));
}
