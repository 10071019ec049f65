//! The reseller's own pages. Everybody else is refused, each page by itself.

use actix_web::{HttpResponse, web};

use super::{
    forms::sender,
    frame::{Frame, ResellerTab},
    visit::Visit,
};
use crate::api::{ApiError, caller::Caller, changes::RefusalCode};

mod access;
mod alerts;
mod audit;
mod fleet;
mod generation;
mod generations;
mod health;
mod new_organization;
mod run;
mod runs;
mod settings;
mod statements;

/// What is below `/reseller`.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .configure(new_organization::routes)
        .configure(statements::routes)
        .configure(generations::routes)
        .configure(alerts::routes)
        .configure(runs::routes)
        .configure(health::routes)
        .configure(audit::routes)
        .configure(access::routes)
        .configure(settings::routes);
}

/// All organizations, which are not below `/reseller`.
pub(super) async fn fleet(visit: Visit) -> HttpResponse {
    visit.answer(fleet::show).await
}

/// The reseller, who asks for a page of its own; 403 for everybody else.
async fn open(visit: &Visit) -> Result<Caller, ApiError> {
    let caller = visit.caller().await?;
    caller.reseller()?;
    Ok(caller)
}

/// The same for whoever sent a form, with the proof that it carries.
async fn sent(visit: &Visit, proof: &str) -> Result<Caller, ApiError> {
    let caller = sender(visit, proof).await?;
    caller.reseller()?;
    Ok(caller)
}

/// The frame of a page, which is called as its tab is.
async fn frame(visit: &Visit, caller: &Caller, tab: ResellerTab) -> Result<Frame, ApiError> {
    let title = visit.language.text(tab.label());
    Ok(visit.frame(&title).signed_in(visit, caller).await?.of_reseller(tab))
}

/// The page of a form that was refused, with the code that the audit log is to tell.
fn refusal_page(mut page: HttpResponse, code: &'static str) -> HttpResponse {
    page.extensions_mut().insert(RefusalCode(code));
    page
}
