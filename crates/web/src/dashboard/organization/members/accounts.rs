//! Who signs in to the pages of this organization with a password.

use actix_web::{HttpResponse, web};
use askama::Template;

use super::{super::Here, View};
use crate::{
    api::ApiError,
    dashboard::{
        accounts::{self, Accounts, DONE, NewForm, OneForm, TEXTS},
        figures::Notice,
        forms::onward,
        frame::{Frame, Link, Tab},
        told::{Once, Told, answer, on_page},
        visit::Visit,
    },
};

const KEPT: [&str; 2] = ["search", "page"];

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/members/accounts", web::get().to(async |visit: Visit| visit.answer(list).await))
        .route("/members/accounts/add", web::post().to(add))
        .route("/members/accounts/link", web::post().to(link))
        .route("/members/accounts/activity", web::post().to(switch));
}

#[derive(Template)]
#[template(path = "member_accounts.html")]
struct Page {
    frame: Frame,
    views: Vec<Link>,
    notices: Vec<Notice>,
    once: Option<Once>,
    accounts: Accounts,
}

async fn list(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let here = Here::open(visit, Tab::Members).await?;
    show(visit, &here, Told::default(), NewForm::default()).await
}

async fn show(visit: &Visit, here: &Here, told: Told, typed: NewForm) -> Result<HttpResponse, ApiError> {
    let frame = here.frame_titled(visit, "members-accounts").await?;
    let page = Page {
        views: View::Accounts.links(here, &frame),
        notices: told.notices(visit, &frame, &DONE, &TEXTS)?,
        once: told.once,
        accounts: Accounts::of(visit, &frame, Some(&here.id), here.organization.calendar, typed).await?,
        frame,
    };
    answer(&page, told.refusal)
}

async fn add(visit: Visit, form: web::Form<NewForm>) -> HttpResponse {
    let visit = on_page(visit, 1, &KEPT);
    let work = async |visit: &Visit| {
        let form = form.into_inner();
        let here = Here::sent(visit, Tab::Members, &form.csrf_token).await?;
        let calendar = here.organization.calendar;
        match accounts::create(visit, &here.caller, Some(&here.id), &form, calendar).await {
            Ok(Some(once)) => show(visit, &here, Told::once(once), NewForm::default()).await,
            Ok(None) => Ok(onward(&visit.address, "account-without-link")),
            Err(refusal) => show(visit, &here, Told::refused(refusal), form).await,
        }
    };
    visit.answer(work).await
}

async fn link(visit: Visit, form: web::Form<OneForm>) -> HttpResponse {
    let visit = on_page(visit, 1, &KEPT);
    let work = async |visit: &Visit| {
        let here = Here::sent(visit, Tab::Members, &form.csrf_token).await?;
        let calendar = here.organization.calendar;
        let told = match accounts::link(visit, &here.caller, Some(&here.id), &form.id, calendar).await {
            Ok(once) => Told::once(once),
            Err(refusal) => Told::refused(refusal),
        };
        show(visit, &here, told, NewForm::default()).await
    };
    visit.answer(work).await
}

async fn switch(visit: Visit, form: web::Form<OneForm>) -> HttpResponse {
    let visit = on_page(visit, 1, &KEPT);
    let work = async |visit: &Visit| {
        let here = Here::sent(visit, Tab::Members, &form.csrf_token).await?;
        match accounts::switch(visit, &here.caller, Some(&here.id), &form).await {
            Ok(done) => Ok(onward(&visit.address, done)),
            Err(refusal) => show(visit, &here, Told::refused(refusal), NewForm::default()).await,
        }
    };
    visit.answer(work).await
}
