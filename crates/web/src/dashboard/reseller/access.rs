//! Who signs in as the reseller, and which programs do.

use actix_web::{HttpResponse, web};
use askama::Template;

use super::{frame, open, sent};
use crate::{
    api::{ApiError, caller::Caller},
    dashboard::{
        accounts::{self, Accounts, DONE, NewForm, OneForm, TEXTS},
        figures::Notice,
        forms::onward,
        frame::{Frame, Link, ResellerTab},
        told::{Once, Told, answer, on_page},
        visit::Visit,
    },
};

mod tokens;

const KEPT: [&str; 2] = ["search", "page"];

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/access", web::get().to(async |visit: Visit| visit.answer(list).await))
        .route("/access/add", web::post().to(add))
        .route("/access/link", web::post().to(link))
        .route("/access/activity", web::post().to(switch))
        .configure(tokens::routes);
}

/// The pages of this tab; which of them is looked at.
fn views(frame: &Frame, of_tokens: bool) -> Vec<Link> {
    let path = ResellerTab::Access.path();
    vec![
        Link { href: path.to_owned(), label: frame.t("members-accounts"), is_current: !of_tokens },
        Link { href: format!("{path}/tokens"), label: frame.t("api-tokens"), is_current: of_tokens },
    ]
}

#[derive(Template)]
#[template(path = "access.html")]
struct Page {
    frame: Frame,
    views: Vec<Link>,
    notices: Vec<Notice>,
    once: Option<Once>,
    accounts: Accounts,
}

async fn list(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let caller = open(visit).await?;
    show(visit, &caller, Told::default(), NewForm::default()).await
}

async fn show(visit: &Visit, caller: &Caller, told: Told, typed: NewForm) -> Result<HttpResponse, ApiError> {
    let frame = frame(visit, caller, ResellerTab::Access).await?;
    let mut texts = TEXTS.to_vec();
    texts.push(("wrong_state", "account-last"));
    let page = Page {
        views: views(&frame, false),
        notices: told.notices(visit, &frame, &DONE, &texts)?,
        once: told.once,
        accounts: Accounts::of(visit, &frame, None, visit.api.time_zone, typed).await?,
        frame,
    };
    answer(&page, told.refusal)
}

async fn add(visit: Visit, form: web::Form<NewForm>) -> HttpResponse {
    let visit = on_page(visit, 1, &KEPT);
    let work = async |visit: &Visit| {
        let form = form.into_inner();
        let caller = sent(visit, &form.csrf_token).await?;
        match accounts::create(visit, &caller, None, &form, visit.api.time_zone).await {
            Ok(Some(once)) => show(visit, &caller, Told::once(once), NewForm::default()).await,
            Ok(None) => Ok(onward(&visit.address, "account-without-link")),
            Err(refusal) => show(visit, &caller, Told::refused(refusal), form).await,
        }
    };
    visit.answer(work).await
}

async fn link(visit: Visit, form: web::Form<OneForm>) -> HttpResponse {
    let visit = on_page(visit, 1, &KEPT);
    let work = async |visit: &Visit| {
        let caller = sent(visit, &form.csrf_token).await?;
        let told = match accounts::link(visit, &caller, None, &form.id, visit.api.time_zone).await {
            Ok(once) => Told::once(once),
            Err(refusal) => Told::refused(refusal),
        };
        show(visit, &caller, told, NewForm::default()).await
    };
    visit.answer(work).await
}

async fn switch(visit: Visit, form: web::Form<OneForm>) -> HttpResponse {
    let visit = on_page(visit, 1, &KEPT);
    let work = async |visit: &Visit| {
        let caller = sent(visit, &form.csrf_token).await?;
        match accounts::switch(visit, &caller, None, &form).await {
            Ok(done) => Ok(onward(&visit.address, done)),
            Err(refusal) => show(visit, &caller, Told::refused(refusal), NewForm::default()).await,
        }
    };
    visit.answer(work).await
}
