//! What the organization is called, on which terms it buys, and how its Open WebUI is set up.

use actix_web::web;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    let _ = config;
}
