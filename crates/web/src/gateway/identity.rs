//! Whose call it is: the key's organization, and the member it is counted for.

use actix_web::{
    HttpRequest,
    http::header::{AUTHORIZATION, HeaderName},
};
use mai_capture::call::NewMember;
use mai_organization::client_organization::{Directory, GatewayKeyEntry, IdentitySecret};
use mai_primitives::{UnixTime, UserId};
use ring::hmac;
use serde::Deserialize;

use super::GatewayError;
use crate::hs256::{self, TokenError};

/// The key that a request presents, if it may be used now.
pub(super) fn authenticate<'a>(
    directory: &'a Directory,
    request: &HttpRequest,
    now: UnixTime,
) -> Result<&'a GatewayKeyEntry, GatewayError> {
    // OpenAI's clients send a bearer token, Anthropic's a header of its own.
    let presented = bearer(request).or_else(|| filled(request, &API_KEY));
    let presented = presented.ok_or(GatewayError::MissingKey)?;
    let key = directory.find_key(presented).filter(|key| !key.revoked).ok_or(GatewayError::UnknownKey)?;
    if key.expires_at.is_some_and(|end| end <= now) {
        return Err(GatewayError::ExpiredKey);
    }
    if !key.organization.is_active {
        return Err(GatewayError::InactiveOrganization);
    }
    if let Some(owner) = &key.user_id {
        require_active(key, owner)?;
    }
    Ok(key)
}

/// Refuses a call of somebody who no longer belongs to the organization, whoever says so: the key, a
/// signed identity, a header or the body.
pub(super) fn require_active(key: &GatewayKeyEntry, user: &UserId) -> Result<(), GatewayError> {
    if key.organization.inactive_users.contains(user) { Err(GatewayError::InactiveMember) } else { Ok(()) }
}

/// The token of `Authorization: Bearer …`.
pub(crate) fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = header(request, &AUTHORIZATION)?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The member of a call, and what a trusted client said about it.
pub(super) struct Sender {
    pub(super) user: UserId,
    pub(super) said: NewMember,
}

impl Sender {
    /// The member as far as the head of the request tells: a signed identity decides where the key asks
    /// for one, else a trusted client's headers, else the key's user. None leaves it to the body.
    pub(super) fn of_head(
        request: &HttpRequest,
        key: &GatewayKeyEntry,
        now: UnixTime,
    ) -> Result<Option<Self>, GatewayError> {
        match &key.identity_secret {
            IdentitySecret::NotSet => {}
            IdentitySecret::Set(secret) => return Self::signed(request, secret, now).map(Some),
            IdentitySecret::Unreadable => return Err(GatewayError::UnreadableIdentitySecret),
        }
        if key.is_trusted_client
            && let Some(id) = filled(request, &USER_ID)
        {
            let said = NewMember {
                name: filled(request, &USER_NAME).map(percent_decoded),
                email: filled(request, &USER_EMAIL).map(str::to_owned),
                role: filled(request, &USER_ROLE).map(str::to_owned),
            };
            return Ok(Some(Self { user: UserId::new(id).map_err(GatewayError::User)?, said }));
        }
        Ok(key.user_id.clone().map(|user| Self { user, said: NewMember::default() }))
    }

    /// The body's `user`, else nobody.
    pub(super) fn of_body(user: Option<&str>) -> Result<Self, GatewayError> {
        let user = match user.filter(|user| !user.trim().is_empty()) {
            Some(user) => UserId::new(user).map_err(GatewayError::User)?,
            None => UserId::unattributed(),
        };
        Ok(Self { user, said: NewMember::default() })
    }

    /// The member whom a signed token names. Plain headers are not looked at: Open WebUI falls back to
    /// them when it fails to sign, and anybody who has the key could send them.
    fn signed(request: &HttpRequest, secret: &hmac::Key, now: UnixTime) -> Result<Self, GatewayError> {
        let token = filled(request, &USER_JWT).ok_or(GatewayError::IdentityRequired)?;
        let identity: SignedIdentity = hs256::verify(token, secret, now)?;
        if identity.iss != "open-webui" {
            return Err(TokenError::Malformed.into());
        }
        let user = UserId::new(&identity.sub).map_err(|_| TokenError::Malformed)?;
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let said = NewMember {
            name: given(identity.name),
            email: given(identity.email),
            role: given(identity.role),
        };
        Ok(Self { user, said })
    }
}

/// What Open WebUI signs about its user.
#[derive(Deserialize)]
struct SignedIdentity {
    iss: String,
    sub: String,
    name: Option<String>,
    email: Option<String>,
    role: Option<String>,
}

/// What a trusted client says that the call is for. It is a label and nothing more, so that one which
/// cannot be stored is passed over.
pub(super) fn task(request: &HttpRequest, key: &GatewayKeyEntry) -> Option<String> {
    const MAX_BYTES: usize = 64;
    let task = filled(request, &TASK).filter(|_| key.is_trusted_client)?;
    (task.len() <= MAX_BYTES && task.bytes().all(|byte| byte.is_ascii_graphic())).then(|| task.to_owned())
}

// Made once: a name that is not among the standard ones costs an allocation.
static USER_ID: HeaderName = HeaderName::from_static("x-openwebui-user-id");
static USER_NAME: HeaderName = HeaderName::from_static("x-openwebui-user-name");
static USER_EMAIL: HeaderName = HeaderName::from_static("x-openwebui-user-email");
static USER_ROLE: HeaderName = HeaderName::from_static("x-openwebui-user-role");
static USER_JWT: HeaderName = HeaderName::from_static("x-openwebui-user-jwt");
static TASK: HeaderName = HeaderName::from_static("x-mai-task");
static API_KEY: HeaderName = HeaderName::from_static("x-api-key");

fn header<'a>(request: &'a HttpRequest, name: &HeaderName) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok().map(str::trim)
}

/// A header that says something; templates of Open WebUI leave empty ones behind.
fn filled<'a>(request: &'a HttpRequest, name: &HeaderName) -> Option<&'a str> {
    header(request, name).filter(|text| !text.is_empty())
}

/// Open WebUI writes names as percent-encoded UTF-8 with plain spaces.
fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}
