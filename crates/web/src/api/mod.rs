//! Our own API: the compatibility routes of the original system, with true status codes.

use actix_web::{HttpResponse, web};
use mai_organization::OrganizationServices;
use secrecy::SecretString;

pub(crate) mod auth;
mod error;
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
}

/// The routes below `/api/v1/usage-tracking`.
pub fn usage_tracking_routes(config: &mut web::ServiceConfig) {
    config
        .route("/my-organization/usage-summary", web::get().to(usage_summary::usage_summary))
        .default_service(web::to(|| async {
            Err::<HttpResponse, _>(ApiError::not_found("there is no such route"))
        }));
}
