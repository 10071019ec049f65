//! The gateway's own errors, in the shapes that OpenAI's and Anthropic's clients read.

use actix_web::{HttpResponse, http::StatusCode, http::header};
use mai_capture::{ProxyError, upstream::UpstreamError};
use mai_openrouter::{RequestError, Route, anthropic_error, openai_error};
use mai_primitives::IdError;
use thiserror::Error;

use super::{limits::LimitReached, rate::TooMany};
use crate::hs256::TokenError;

/// Why a call was not passed on, or has no answer.
#[derive(Debug, Error)]
pub enum GatewayError {
    /// No key, in any of the places where clients put one.
    #[error("no API key was sent; use the header `Authorization: Bearer sk-mai-…` or `x-api-key`")]
    MissingKey,
    /// The key is not one of ours, or was revoked.
    #[error("the API key is not known")]
    UnknownKey,
    /// The key's time is over.
    #[error("the API key has expired")]
    ExpiredKey,
    /// The key asks for a signed identity, and none came.
    #[error(
        "this API key needs a signed identity in the header `X-OpenWebUI-User-Jwt`; plain headers do not count"
    )]
    IdentityRequired,
    /// A signed identity that is not believed.
    #[error("the identity in the header `X-OpenWebUI-User-Jwt` cannot be used: {0}")]
    Identity(#[from] TokenError),
    /// The secret of signed identities was sealed by another master key.
    #[error("the identity secret of this API key cannot be read; the operator must check the master key")]
    UnreadableIdentitySecret,
    /// The key or the member calls too often.
    #[error("{0}")]
    TooMany(#[from] TooMany),
    /// A limit has no room for the call.
    #[error("{0}")]
    LimitReached(#[from] LimitReached),
    /// The organization was deactivated.
    #[error("the organization of this API key is not active")]
    InactiveOrganization,
    /// The member no longer belongs to the organization.
    #[error("the member of this call no longer belongs to the organization")]
    InactiveMember,
    /// The body is not the JSON object that this route needs.
    #[error("{0}")]
    Body(#[from] RequestError),
    /// The body says that it is a form and does not say how it is divided.
    #[error("the multipart/form-data body has no usable boundary")]
    Form,
    /// The body did not arrive whole.
    #[error("the request body did not arrive whole")]
    BodyCut,
    /// The client stopped sending in the middle of the body.
    #[error("the request body did not arrive in time")]
    BodySlow,
    /// The body is larger than we take.
    #[error("the request body is larger than {0} bytes")]
    BodyTooLarge(usize),
    /// The sender's name for the user cannot be stored.
    #[error("the user of this call cannot be used: {0}")]
    User(IdError),
    /// The organization has no key to buy with.
    #[error("the organization has no provider key; its administrator can set one")]
    NoProviderKey,
    /// The organization's key was sealed by another master key.
    #[error("the organization's provider key cannot be read; the operator must check the master key")]
    UnreadableProviderKey,
    /// The service is stopping.
    #[error("the gateway is stopping; please try again")]
    Stopping,
    /// The path is no route of the gateway.
    #[error("there is no such route; the gateway has no unmetered routes")]
    UnknownRoute,
    /// The call could not be made.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
}

impl GatewayError {
    /// Status, `type` and `code` of the error. The codes are stable.
    fn parts(&self) -> (StatusCode, &'static str, &'static str) {
        const REQUEST: &str = "invalid_request_error";
        const SERVER: &str = "server_error";
        match self {
            Self::MissingKey | Self::UnknownKey => (StatusCode::UNAUTHORIZED, REQUEST, "invalid_api_key"),
            Self::ExpiredKey => (StatusCode::UNAUTHORIZED, REQUEST, "expired_api_key"),
            Self::IdentityRequired => (StatusCode::UNAUTHORIZED, REQUEST, "identity_required"),
            Self::Identity(TokenError::Expired) => (StatusCode::UNAUTHORIZED, REQUEST, "expired_identity"),
            Self::Identity(_) => (StatusCode::UNAUTHORIZED, REQUEST, "invalid_identity"),
            Self::UnreadableIdentitySecret => {
                (StatusCode::SERVICE_UNAVAILABLE, SERVER, "identity_secret_unreadable")
            }
            Self::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", "rate_limit_exceeded"),
            Self::LimitReached(_) => (StatusCode::PAYMENT_REQUIRED, "budget_exceeded", "budget_exceeded"),
            Self::InactiveOrganization => (StatusCode::FORBIDDEN, REQUEST, "organization_inactive"),
            Self::InactiveMember => (StatusCode::FORBIDDEN, REQUEST, "member_inactive"),
            Self::Body(_) | Self::Form => (StatusCode::BAD_REQUEST, REQUEST, "invalid_body"),
            Self::BodyCut => (StatusCode::BAD_REQUEST, REQUEST, "incomplete_body"),
            Self::BodySlow => (StatusCode::REQUEST_TIMEOUT, REQUEST, "body_timeout"),
            Self::BodyTooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, REQUEST, "body_too_large"),
            Self::User(_) => (StatusCode::BAD_REQUEST, REQUEST, "invalid_user"),
            Self::NoProviderKey => (StatusCode::SERVICE_UNAVAILABLE, SERVER, "provider_key_missing"),
            Self::UnreadableProviderKey => {
                (StatusCode::SERVICE_UNAVAILABLE, SERVER, "provider_key_unreadable")
            }
            Self::Stopping | Self::Proxy(ProxyError::Stopping) => {
                (StatusCode::SERVICE_UNAVAILABLE, SERVER, "stopping")
            }
            Self::UnknownRoute => (StatusCode::NOT_FOUND, REQUEST, "unknown_route"),
            Self::Proxy(ProxyError::NotAdmitted(_)) => {
                (StatusCode::SERVICE_UNAVAILABLE, SERVER, "recording_unavailable")
            }
            Self::Proxy(ProxyError::Upstream(UpstreamError::Timeout)) => {
                (StatusCode::GATEWAY_TIMEOUT, SERVER, "upstream_timeout")
            }
            Self::Proxy(ProxyError::Upstream(_) | ProxyError::Cut(_)) => {
                (StatusCode::BAD_GATEWAY, SERVER, "upstream_unreachable")
            }
        }
    }

    /// The error as an answer, as OpenAI's clients read it.
    pub fn response(&self) -> HttpResponse {
        self.answer(openai_error)
    }

    /// The error as an answer, as the clients of a route read it.
    pub fn response_on(&self, route: Route) -> HttpResponse {
        match route {
            Route::Messages => {
                let (status, ..) = self.parts();
                self.answer(|message, _, code| anthropic_error(message, anthropic_type(status), code))
            }
            _ => self.response(),
        }
    }

    fn answer(&self, body: impl FnOnce(&str, &str, &str) -> Vec<u8>) -> HttpResponse {
        let (status, kind, code) = self.parts();
        // The one place where a failed call is logged; the cause may name hosts, never keys. Why calls are
        // not admitted is logged once where it begins, because a full disk needs no line for each of them.
        if status.is_server_error() && !matches!(self, Self::Proxy(ProxyError::NotAdmitted(_))) {
            tracing::error!(code, error = mai_capture::causes(self), "a call failed");
        }
        let mut answer = HttpResponse::build(status);
        answer.insert_header((header::CONTENT_TYPE, "application/json"));
        if let Self::TooMany(TooMany { retry_after_seconds, .. }) = self {
            answer.insert_header((header::RETRY_AFTER, *retry_after_seconds));
        }
        if let Self::LimitReached(_) = self {
            // The OpenAI clients obey it: the same call is refused again until the month is over.
            answer.insert_header(("x-should-retry", "false"));
        }
        answer.body(body(&self.to_string(), kind, code))
    }
}

/// Anthropic's name for what a status means (docs.anthropic.com, "Errors").
fn anthropic_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}
