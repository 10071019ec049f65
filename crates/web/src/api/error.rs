//! [`ApiError`]: every refusal of the API, with one table of stable codes.

use std::fmt;

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::ingest::ReportError;
use crate::gateway::TooMany;

mod described;
mod from;

pub(crate) use described::{ChangeRefusals, ReadRefusals, Refusals};

/// A refusal: status, stable code, and a text for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// The code, which programs may rely on.
    pub code: &'static str,
    /// What happened and what helps.
    pub message: String,
    /// Which field of the request it is about.
    pub field: Option<&'static str>,
    /// After how many seconds it is worth trying again.
    pub retry_after: Option<u32>,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), field: None, retry_after: None }
    }

    /// 400: a parameter cannot be used.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", message)
    }

    /// 400: a field of the query or the body cannot be used.
    pub fn field(field: &'static str, reason: impl fmt::Display) -> Self {
        let refusal = Self::new(StatusCode::BAD_REQUEST, "invalid_field", format!("{field}: {reason}"));
        Self { field: Some(field), ..refusal }
    }

    /// 409: another row has what must be unique.
    pub fn taken(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "already_exists", message)
    }

    /// 409: the thing is in a state in which this cannot be done.
    pub fn wrong_state(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "wrong_state", message)
    }

    /// 500: the service was put together wrongly, which tests would notice.
    pub(crate) fn misconfigured() -> Self {
        tracing::error!("a handler lacks what it needs");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the request failed")
    }

    /// 401: no token, or one that opens nothing.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    /// 404: it does not exist, or it is another tenant's.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// 400: a report of usage has a field that cannot be used; the code says which.
    pub fn report(error: &ReportError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error.code(), error.to_string())
    }

    /// 400: the body cannot be read at all.
    pub fn body(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_body", message)
    }

    /// 400: a report is of a time that has not come yet.
    pub fn in_future(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "timestamp_in_future", message)
    }

    /// 401: the signature of the body is missing or wrong.
    pub fn signature(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_signature", message)
    }

    /// 403: the caller is known and may not do this.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// 403: the organization of a key, a token or an account is inactive.
    pub fn inactive_organization(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "organization_inactive", message)
    }

    /// 403: whoever a token or an account belongs to no longer belongs to the organization.
    pub fn inactive_member(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "member_inactive", message)
    }

    /// 403: the token may only read.
    pub fn read_only_token() -> Self {
        let message = "this API token may only read";
        Self::new(StatusCode::FORBIDDEN, "read_only_token", message)
    }

    /// 403: a browser's request that may not be its user's own will.
    pub fn csrf(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "csrf", message)
    }

    /// 401: nobody was signed in.
    pub fn not_signed_in(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "sign_in_failed", message)
    }

    /// 429: too many attempts to sign in have failed.
    pub fn too_many_attempts(seconds: u32) -> Self {
        let message = "too many attempts to sign in have failed; please wait";
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", message);
        Self { retry_after: Some(seconds), ..refusal }
    }

    /// 429: the caller asks too often.
    fn too_many_requests(too_many: &TooMany) -> Self {
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", too_many.to_string());
        Self { retry_after: u32::try_from(too_many.retry_after_seconds).ok(), ..refusal }
    }

    /// 503: more people sign in at once than can be checked.
    fn busy(message: impl Into<String>) -> Self {
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, "sign_in_busy", message);
        Self { retry_after: Some(5), ..refusal }
    }

    /// 503: a service beside us, on which this depends, cannot be used now.
    pub fn neighbour(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "open_webui_unavailable", message)
    }

    /// 404: the route waits for a setting.
    pub fn not_configured(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_configured", message)
    }

    /// 408: the body did not come in time.
    pub fn slow_body() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", "the body did not come in time")
    }

    /// 409: the ledger has this generation with other usage, from a source that is believed as much.
    pub fn conflicting_usage(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflicting_usage", message)
    }

    /// 413: the body is longer than `limit` bytes.
    pub fn body_too_large(limit: usize) -> Self {
        let message = format!("the body must have at most {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
    }

    /// 415: the body is compressed.
    pub fn encoded_body() -> Self {
        let message = "the body must be sent without a Content-Encoding";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding", message)
    }

    /// 422: the report is of a time of which the ledger is no longer complete.
    pub fn too_old() -> Self {
        let message = "the ledger no longer shows whether usage of that day was recorded";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "too_old", message)
    }

    /// 422: the usage cannot be booked as it is.
    pub fn unbookable(why: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unbookable", why)
    }

    /// 503: nothing can be made durable now.
    pub fn recording_unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "recording_unavailable", message)
    }

    /// 503: no exchange rate is known yet, and none is configured; it comes by itself.
    pub fn no_exchange_rate(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "no_exchange_rate", message)
    }

    /// 503: OpenRouter did not do what it was asked for; nothing was changed.
    pub fn upstream(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "upstream_unavailable", message)
    }

    /// 500: a change was made at OpenRouter only, and could not be undone. The text names the key.
    pub fn half_done(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "provider_key_left", message)
    }

    /// 503 for a database that is away, 500 for a defect of ours. The cause goes to the log, once,
    /// and not to the caller.
    pub fn internal(cause: &(dyn std::error::Error + 'static), storage: Option<&mai_storage::Error>) -> Self {
        tracing::error!(error = %cause, "a request failed");
        match storage {
            Some(cause) if cause.is_transient() => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "database_unavailable",
                "the database cannot be reached; please try again",
            ),
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the request failed"),
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    /// The fields `success` and `error` are the original's.
    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status);
        if let Some(seconds) = self.retry_after {
            answer.insert_header((header::RETRY_AFTER, seconds));
        }
        answer.json(ErrorBody { success: false, error: &self.message, code: self.code, field: self.field })
    }
}

/// Every refusal of the API.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorBody<'a> {
    /// Always false.
    success: bool,
    /// What happened and what helps, for people.
    error: &'a str,
    /// A stable code, for programs.
    code: &'a str,
    /// Which field of the request it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_documentation_has_every_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api.md");
        let documentation = std::fs::read_to_string(path).unwrap();
        let own = include_str!("error.rs").split("#[cfg(test)]").next().unwrap();
        let mut codes = 0;
        for made in [own, include_str!("error/from.rs")].concat().split("Self::new(").skip(1) {
            let code = made.split('"').nth(1).unwrap_or_default();
            codes += 1;
            assert!(documentation.contains(&format!("`{code}`")), "docs/api.md lacks {code}");
        }
        assert!(codes > 25, "{codes}");
    }
}
