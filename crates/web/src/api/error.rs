//! [`ApiError`]: every refusal of the API, with one table of stable codes.

use std::fmt;

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use serde_json::json;

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
