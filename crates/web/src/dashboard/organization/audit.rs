//! Who changed what in the organization.

use actix_web::{HttpResponse, web};

use super::Here;
use crate::{
    api::ApiError,
    dashboard::{
        audit::{self, Scope},
        frame::Tab,
        visit::Visit,
    },
};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.route("/audit-log", web::get().to(async |visit: Visit| visit.answer(show).await));
}

async fn show(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let here = Here::open(visit, Tab::Audit).await?;
    let frame = here.frame(visit).await?;
    let scope = Scope {
        calendar: here.organization.calendar,
        is_reseller: here.caller.is_reseller(),
        organization: Some(here.id),
    };
    audit::show(visit, frame, scope).await
}
