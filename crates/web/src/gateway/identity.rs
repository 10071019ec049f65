//! Whose call it is: the key's organization, and the member it is counted for.

use actix_web::HttpRequest;
use mai_capture::call::NewMember;
use mai_organization::client_organization::{Directory, GatewayKeyEntry};
use mai_primitives::{UnixTime, UserId};

use super::GatewayError;

/// The key that a request presents, if it may be used now.
pub(super) fn authenticate<'a>(
    directory: &'a Directory,
    request: &HttpRequest,
    now: UnixTime,
) -> Result<&'a GatewayKeyEntry, GatewayError> {
    // OpenAI's clients send a bearer token, Anthropic's a header of its own.
    let presented =
        bearer(request).or_else(|| header(request, "x-api-key")).filter(|presented| !presented.is_empty());
    let presented = presented.ok_or(GatewayError::MissingKey)?;
    let key = directory.find_key(presented).filter(|key| !key.revoked).ok_or(GatewayError::UnknownKey)?;
    if key.expires_at.is_some_and(|end| end <= now) {
        return Err(GatewayError::ExpiredKey);
    }
    if !key.organization.is_active {
        return Err(GatewayError::InactiveOrganization);
    }
    Ok(key)
}

/// The token of `Authorization: Bearer …`.
pub(crate) fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = header(request, "authorization")?;
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
    /// A trusted client's headers decide, else the key's user, else the body's `user`, else nobody.
    pub(super) fn of(
        request: &HttpRequest,
        key: &GatewayKeyEntry,
        body_user: Option<&str>,
    ) -> Result<Self, GatewayError> {
        let trusted =
            |name| header(request, name).filter(|_| key.is_trusted_client).filter(|text| !text.is_empty());
        if let Some(id) = trusted("x-openwebui-user-id") {
            let said = NewMember {
                name: trusted("x-openwebui-user-name").map(percent_decoded),
                email: trusted("x-openwebui-user-email").map(str::to_owned),
                role: trusted("x-openwebui-user-role").map(str::to_owned),
            };
            return Ok(Self { user: UserId::new(id).map_err(GatewayError::User)?, said });
        }
        let user = match (&key.user_id, body_user.filter(|user| !user.trim().is_empty())) {
            (Some(user), _) => user.clone(),
            (None, Some(user)) => UserId::new(user).map_err(GatewayError::User)?,
            (None, None) => UserId::unattributed(),
        };
        Ok(Self { user, said: NewMember::default() })
    }
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok().map(str::trim)
}

/// Open WebUI writes names as percent-encoded UTF-8 with plain spaces.
fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}
