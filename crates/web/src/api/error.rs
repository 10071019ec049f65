//! [`ApiError`]: every refusal of the API, with one table of stable codes.

use std::fmt;

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use serde_json::json;

use super::ingest::ReportError;

/// A refusal: status, stable code, and a text for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// The code, which programs may rely on.
    pub code: &'static str,
    /// What happened and what helps.
    pub message: String,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// 400: a parameter cannot be used.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", message)
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

    /// 403: the key's organization is inactive.
    pub fn inactive_organization() -> Self {
        let message = "the organization of this key is inactive";
        Self::new(StatusCode::FORBIDDEN, "organization_inactive", message)
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
        HttpResponse::build(self.status)
            .json(json!({ "success": false, "error": self.message, "code": self.code }))
    }
}
