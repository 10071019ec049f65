//! Where the organization is told of what happens, and what stands out.

use actix_web::web;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    let _ = config;
}
