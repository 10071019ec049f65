//! HTTP errors that end a request before any model has run.

use crate::respond::{MockResponse, error, json, quote};
use crate::route::Route;
use http::{HeaderValue, StatusCode, header};

/// An error of that status as OpenRouter answers it, in the shape of the route.
pub(crate) fn refusal(route: Route, status: u16) -> MockResponse {
    let (message, metadata) = reason(status);
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = refuse(route, code, message, metadata);
    if status == 429 {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    }
    response
}

/// An error with this text in the shape of the route: Anthropic's on `/messages`, else OpenRouter's own.
pub(crate) fn refuse(
    route: Route,
    status: StatusCode,
    message: &str,
    metadata: Option<&str>,
) -> MockResponse {
    if route != Route::Messages {
        return error(status, message, metadata);
    }
    let kind = match status.as_u16() {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    };
    let message = quote(message);
    json(
        status,
        format!(r#"{{"type":"error","error":{{"type":"{kind}","message":{message}}},"request_id":null}}"#),
    )
}

/// What is said for a status.
const fn reason(status: u16) -> (&'static str, Option<&'static str>) {
    match status {
        401 => ("User not found.", None),
        402 => (
            "Insufficient credits. Add more using https://openrouter.ai/settings/credits",
            Some(r#"{"limit_source":"openrouter_credits"}"#),
        ),
        403 => (
            "Key limit exceeded (weekly limit). Manage it using https://openrouter.ai/settings/keys",
            Some(r#"{"limit_source":"openrouter_key_limit","scope":"key"}"#),
        ),
        404 => ("No endpoints found for this model.", None),
        429 => (
            "Provider returned error",
            Some(
                r#"{"error_type":"rate_limit_exceeded","limit_source":"upstream_provider_shared_pool","provider_name":"Mock","raw":"{\"error\":\"slow down\"}"}"#,
            ),
        ),
        500 => ("Internal Server Error", None),
        502 | 503 => (
            "Provider returned error",
            Some(r#"{"error_type":"provider_unavailable","provider_name":"Mock"}"#),
        ),
        _ => ("The mock was asked for this error.", Some(r#"{"error_type":"unmapped"}"#)),
    }
}
