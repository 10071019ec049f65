//! Generations whose cost is not known yet.

use actix_web::web;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    let _ = config;
}
