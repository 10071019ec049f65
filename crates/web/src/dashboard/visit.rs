//! [`Visit`]: a request for a page, and how it is answered, also where something goes wrong.

use std::{
    future::{Ready, ready},
    ops::Deref,
    time::Duration,
};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    dev::Payload,
    http::{StatusCode, header},
    web,
};
use askama::Template;
use mai_organization::client_organization::OrganizationEntry;
use mai_primitives::{OrganizationId, UnixTime, UsageDate};

use super::{
    address::Address,
    compression,
    frame::Frame,
    language::Language,
    preferences::{self, Theme},
    problem,
};
use crate::api::{
    Api, ApiError,
    caller::{Caller, unknown_organization},
    pages::CONTENT_SECURITY_POLICY,
};

/// How long a page may take. After that its reader is told that the database is slow.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a page may take that waits for OpenRouter or for Open WebUI, whose own answers are waited for half a minute.
pub(crate) const FOR_OTHERS: Duration = Duration::from_secs(100);

/// How a page is to look, which every request tells, also one that cannot be answered.
pub(crate) struct Reader {
    /// The language of the page.
    pub(crate) language: Language,
    /// The colours of the page.
    pub(crate) theme: Theme,
    /// What was asked for.
    pub(crate) address: Address,
}

impl Reader {
    /// Whoever sent the request.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        Self {
            language: preferences::language(request),
            theme: preferences::theme(request),
            address: Address::of(request),
        }
    }
}

/// A request for a page.
pub(crate) struct Visit {
    /// The request.
    pub(crate) request: HttpRequest,
    /// What answers it.
    pub(crate) api: web::Data<Api>,
    /// How the page is to look.
    pub(crate) reader: Reader,
}

impl Deref for Visit {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl FromRequest for Visit {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let api = request.app_data::<web::Data<Api>>().cloned();
        let visit = api.map(|api| Self { request: request.clone(), api, reader: Reader::of(request) });
        ready(visit.ok_or_else(|| problem::unanswered(request, ApiError::misconfigured())))
    }
}

impl Visit {
    /// The answer of `work`, or a page that says what went wrong and what helps. Whoever is not signed in is
    /// led to the sign-in page and from there back.
    pub(crate) async fn answer(
        &self,
        work: impl AsyncFnOnce(&Self) -> Result<HttpResponse, ApiError>,
    ) -> HttpResponse {
        self.answer_within(PATIENCE, work).await
    }

    /// The same for what may take longer than a page: work for many organizations, or waiting for a server of others.
    pub(crate) async fn answer_within(
        &self,
        patience: Duration,
        work: impl AsyncFnOnce(&Self) -> Result<HttpResponse, ApiError>,
    ) -> HttpResponse {
        compression::compressed(&self.request, self.answered(patience, work).await)
    }

    async fn answered(
        &self,
        patience: Duration,
        work: impl AsyncFnOnce(&Self) -> Result<HttpResponse, ApiError>,
    ) -> HttpResponse {
        if let Some(switched) = preferences::switched(self) {
            return switched;
        }
        match tokio::time::timeout(patience, work(self)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(refusal)) if refusal.status == StatusCode::UNAUTHORIZED => self.to_sign_in(),
            Ok(Err(refusal)) => problem::page(self, &refusal).await,
            Err(_) => {
                tracing::warn!(path = self.address.path(), "a page was not ready in time");
                problem::page(self, &too_slow(self.request.method().is_safe())).await
            }
        }
    }

    fn to_sign_in(&self) -> HttpResponse {
        let next = self.address.link();
        let sign_in = Address::to("/sign-in");
        redirect(&if next == "/" { sign_in } else { sign_in.with(&[("next", &next)]) }.link())
    }

    /// Who asks.
    pub(crate) async fn caller(&self) -> Result<Caller, ApiError> {
        Caller::extract(&self.request).await
    }

    /// The present instant.
    pub(crate) fn now(&self) -> UnixTime {
        self.api.clock.now().into()
    }

    /// What is known in memory of an organization.
    pub(crate) fn known(&self, id: &OrganizationId) -> Result<std::sync::Arc<OrganizationEntry>, ApiError> {
        self.api.directory.current().organization(id).cloned().ok_or_else(unknown_organization)
    }

    /// The present day of an organization.
    pub(crate) fn today(&self, organization: &OrganizationEntry) -> UsageDate {
        organization.calendar.usage_date(self.api.clock.now())
    }

    /// A part of the path, decoded.
    pub(crate) fn part(&self, name: &str) -> Result<String, ApiError> {
        let part = self.request.match_info().get(name).ok_or_else(ApiError::misconfigured)?;
        let decoded = percent_encoding::percent_decode_str(part).decode_utf8();
        decoded.map(std::borrow::Cow::into_owned).map_err(|_| unknown_organization())
    }

    /// The frame of a page that nobody needs to be signed in for.
    pub(crate) fn frame(&self, title: &str) -> Frame {
        Frame::new(self, title)
    }
}

/// 503: the database did not answer in time. The codes are those of pages only. A change goes on without its page.
fn too_slow(is_safe: bool) -> ApiError {
    ApiError {
        status: StatusCode::SERVICE_UNAVAILABLE,
        code: if is_safe { "page_timeout" } else { "change_timeout" },
        message: "the page was not ready in time".to_owned(),
        field: None,
        retry_after: None,
    }
}

/// A page as it is sent: kept by nobody, framed by nobody, with nothing inline.
pub(crate) fn page(template: &impl Template) -> Result<HttpResponse, ApiError> {
    page_as(template, HttpResponse::Ok().finish())
}

/// A page with the status of an answer.
pub(crate) fn page_as(template: &impl Template, answer: HttpResponse) -> Result<HttpResponse, ApiError> {
    let text = template.render().map_err(|error| ApiError::internal(&error, None))?;
    let mut answer = answer.set_body(text).map_into_boxed_body();
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "Cookie, Accept-Language, Accept-Encoding"),
    ] {
        headers.insert(name, header::HeaderValue::from_static(value));
    }
    Ok(answer)
}

/// Sends a browser to another page, which it asks for by GET.
pub(crate) fn redirect(to: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, to))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}
