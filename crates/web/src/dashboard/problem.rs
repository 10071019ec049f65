//! Pages that say what went wrong, what was kept safe, and what to do next.

use actix_web::{
    HttpRequest, HttpResponse,
    error::{InternalError, UrlencodedError},
    http::{StatusCode, header},
};
use askama::Template;

use super::{
    frame::Frame,
    visit::{Reader, Visit, page_as},
};
use crate::{
    api::{ApiError, caller::Caller},
    gateway::GatewayError,
};

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
        (_, "invalid_body") => ("problem-form-title", "problem-form"),
        (_, "page_timeout") => ("problem-slow-title", "problem-slow"),
        (_, "change_timeout") => ("problem-slow-title", "problem-slow-change"),
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
    let title = visit.language.text(texts(refusal).0);
    // Who is signed in may go elsewhere. Where the service is in trouble, the database is not asked again.
    let asks = refusal.status.is_client_error() && refusal.status != StatusCode::TOO_MANY_REQUESTS;
    let caller = if asks { visit.caller().await.ok() } else { None };
    let frame = match caller {
        Some(caller) => signed_in(visit, &title, &caller).await.ok(),
        None => None,
    };
    framed(frame.unwrap_or_else(|| visit.frame(&title)), &visit.request, refusal)
}

/// The frame for whoever is signed in, with the tabs of the organization of which the page would have been, unless that
/// is another's.
async fn signed_in(visit: &Visit, title: &str, caller: &Caller) -> Result<Frame, ApiError> {
    let frame = visit.frame(title).signed_in(visit, caller).await?;
    let named = visit.address.path().strip_prefix("/organizations/").and_then(|rest| rest.split('/').next());
    let named = named.and_then(|part| percent_encoding::percent_decode_str(part).decode_utf8().ok());
    let id = named.and_then(|named| caller.organization(Some(&named)).ok());
    Ok(match id.and_then(|id| visit.known(&id).ok()) {
        Some(organization) => frame.of_organization(caller, &organization, None),
        None => frame,
    })
}

fn framed(frame: Frame, request: &HttpRequest, refusal: &ApiError) -> HttpResponse {
    let may_help = refusal.status.is_server_error() || refusal.status == StatusCode::TOO_MANY_REQUESTS;
    let is_ours = refusal.status.is_server_error();
    let problem = Problem {
        title: frame.title.clone(),
        text: frame.t(texts(refusal).1),
        detail: (refusal.status == StatusCode::BAD_REQUEST).then(|| refusal.message.clone()),
        retry: (may_help && request.method().is_safe()).then(|| frame.here()),
        request_id: is_ours.then(|| crate::api::request_id::of(request)).flatten(),
        frame,
    };
    // The error stays in the answer, from which the audit log takes its code.
    page_as(&problem, HttpResponse::from_error(refusal.clone())).unwrap_or_else(HttpResponse::from_error)
}

/// The page of a refusal of a request that reaches no handler, so that nobody is known.
pub(crate) fn unanswered(request: &HttpRequest, refusal: ApiError) -> actix_web::Error {
    let reader = Reader::of(request);
    let title = reader.language.text(texts(&refusal).0);
    let answer = framed(Frame::new(&reader, &title), request, &refusal);
    InternalError::from_response(refusal, answer).into()
}

/// The page for a form that cannot be read. Pages of ours send no such forms.
pub(crate) fn unreadable_form(error: &UrlencodedError, request: &HttpRequest) -> actix_web::Error {
    unanswered(request, ApiError::body(error.to_string()))
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
