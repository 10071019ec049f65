//! Accounts and tokens of the reseller.

use actix_web::web;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    let _ = config;
}
