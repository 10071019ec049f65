//! Pages that say what went wrong, what was kept safe, and what to do next.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
};
use askama::Template;

use super::{
    frame::Frame,
    visit::{Visit, page_as},
};
use crate::{api::ApiError, gateway::GatewayError};

#[derive(Template)]
#[template(path = "problem.html")]
struct Problem {
    frame: Frame,
    title: String,
    text: String,
    /// What the service says about it, where that helps.
    detail: Option<String>,
    /// Where the same may be tried again.
    retry: Option<String>,
    request_id: Option<String>,
}

/// The texts of a refusal: title and explanation.
fn texts(refusal: &ApiError) -> (&'static str, &'static str) {
    match (refusal.status, refusal.code) {
        (_, "organization_inactive") => ("problem-inactive-title", "problem-inactive-organization"),
        (_, "member_inactive") => ("problem-inactive-title", "problem-inactive-member"),
        (_, "csrf") => ("problem-csrf-title", "problem-csrf"),
        (_, "page_timeout") => ("problem-slow-title", "problem-slow"),
        (_, "database_unavailable") => ("problem-away-title", "problem-away"),
        (StatusCode::FORBIDDEN, _) => ("problem-forbidden-title", "problem-forbidden"),
        (StatusCode::NOT_FOUND, _) => ("problem-not-found-title", "problem-not-found"),
        (StatusCode::BAD_REQUEST, _) => ("problem-bad-title", "problem-bad"),
        (StatusCode::TOO_MANY_REQUESTS, _) => ("problem-often-title", "problem-often"),
        (status, _) if status == StatusCode::SERVICE_UNAVAILABLE => ("problem-away-title", "problem-away"),
        _ => ("problem-failed-title", "problem-failed"),
    }
}

/// The page of a refusal, with its status.
pub(crate) async fn page(visit: &Visit, refusal: &ApiError) -> HttpResponse {
    let (title, text) = texts(refusal);
    let title = visit.language.text(title);
    // Who is signed in may go elsewhere. Where the service is in trouble, the database is not asked again.
    let asks = refusal.status.is_client_error() && refusal.status != StatusCode::TOO_MANY_REQUESTS;
    let caller = if asks { visit.caller().await.ok() } else { None };
    let frame = match caller {
        Some(caller) => visit.frame(&title).signed_in(visit, &caller).await.ok(),
        None => None,
    };
    let may_help = refusal.status.is_server_error() || refusal.status == StatusCode::TOO_MANY_REQUESTS;
    let problem = Problem {
        frame: frame.unwrap_or_else(|| visit.frame(&title)),
        title,
        text: visit.language.text(text),
        detail: (refusal.status == StatusCode::BAD_REQUEST).then(|| refusal.message.clone()),
        retry: (may_help && visit.request.method().is_safe()).then(|| visit.address.link()),
        request_id: refusal
            .status
            .is_server_error()
            .then(|| crate::api::request_id::of(&visit.request))
            .flatten(),
    };
    // The error stays in the answer, from which the audit log takes its code.
    page_as(&problem, HttpResponse::from_error(refusal.clone())).unwrap_or_else(HttpResponse::from_error)
}

/// What stands under no path of ours: a page for whoever reads it, and OpenAI's error for programs.
pub(crate) async fn unknown(request: HttpRequest, visit: Visit) -> HttpResponse {
    let accepts =
        request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_for_programs = ["/api/", "/v1/", "/assets/"].iter().any(|start| request.path().starts_with(start));
    if !accepts.contains("text/html") || is_for_programs || !request.method().is_safe() {
        return GatewayError::UnknownRoute.response();
    }
    visit.answer(async |_: &Visit| Err(ApiError::not_found("there is no such page"))).await
}
