//! Another organization, from its name to its first call.

use actix_web::web;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    let _ = config;
}
