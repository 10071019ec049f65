//! Who belongs to the organization.

use actix_web::web;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    let _ = config;
}
