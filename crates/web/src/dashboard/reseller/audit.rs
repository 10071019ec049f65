//! Who changed what, everywhere.

use actix_web::{HttpResponse, web};

use super::{frame, open};
use crate::{
    api::ApiError,
    dashboard::{
        audit::{self, Scope},
        frame::ResellerTab,
        visit::Visit,
    },
};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.route("/audit-log", web::get().to(async |visit: Visit| visit.answer(show).await));
}

async fn show(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let caller = open(visit).await?;
    let frame = frame(visit, &caller, ResellerTab::Audit).await?;
    let scope = Scope { organization: None, calendar: visit.api.time_zone, is_reseller: true };
    audit::show(visit, frame, scope).await
}
