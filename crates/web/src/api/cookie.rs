//! The cookie of a signed-in browser, and the proof that a request is its user's own will.
//!
//! A browser sends the cookie with every request, whoever made it send one. So a request that changes
//! something must also carry what only our own pages can know, and must not come from another site.
//!
//! Pages are compressed and repeat what their address says, so their length tells whether a guess in the address
//! stands on the page as well. So no page has the proof as it is: each has it [`masked`] anew.

use actix_web::{
    HttpRequest,
    http::header::{self, HeaderName, HeaderValue},
};
use mai_primitives::UnixTime;
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::{Api, ApiError};

/// The name of the cookie.
const NAME: &str = "mai_session";

/// Its name where browsers come by https. A browser takes a cookie of such a name from this very host only,
/// by https, so that no other service of the same domain can put a session of its choice in ours.
const HOST_NAME: &str = "__Host-mai_session";

/// The header with the proof.
const PROOF: &str = "x-csrf-token";

/// The session of a request, where it has one.
pub(crate) fn session(request: &HttpRequest, api: &Api) -> Option<SecretString> {
    named(request, name(is_by_https(request, api)))
}

const fn name(by_https: bool) -> &'static str {
    if by_https { HOST_NAME } else { NAME }
}

/// Whether the browser has come by https, as far as the settings or the proxy tell.
fn is_by_https(request: &HttpRequest, api: &Api) -> bool {
    api.public_url.as_ref().is_some_and(|url| url.starts_with("https:"))
        || request.connection_info().scheme() == "https"
}

/// The value of the first cookie of this name.
fn named(request: &HttpRequest, wanted: &str) -> Option<SecretString> {
    let texts = request.headers().get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
    let mut pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.split_once('='));
    let found = pairs.find(|(name, _)| name.trim() == wanted);
    found.map(|(_, value)| SecretString::from(value.trim())).filter(|value| !value.expose_secret().is_empty())
}

/// The header that gives a browser its session until `ends_at`.
pub(crate) fn set(
    request: &HttpRequest,
    api: &Api,
    token: &SecretString,
    ends_at: UnixTime,
) -> (HeaderName, String) {
    let now: UnixTime = api.clock.now().into();
    let seconds = ends_at.seconds().saturating_sub(now.seconds()).max(0);
    (header::SET_COOKIE, cookie(request, api, token.expose_secret(), seconds))
}

/// The header that takes a browser's session away.
pub(crate) fn clear(request: &HttpRequest, api: &Api) -> (HeaderName, String) {
    (header::SET_COOKIE, cookie(request, api, "", 0))
}

fn cookie(request: &HttpRequest, api: &Api, value: &str, seconds: i64) -> String {
    let by_https = is_by_https(request, api);
    let (name, secure) = (name(by_https), if by_https { "; Secure" } else { "" });
    format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}

/// What a page of ours must send with a change; it is made of the session's secret and of nothing else.
pub(super) fn proof(session: &SecretString) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, session.expose_secret().as_bytes());
    hex(hmac::sign(&key, b"mai-usage csrf").as_ref())
}

/// How many hexadecimal digits a proof has. A masked one has as many of its mask before it.
const PROOF_DIGITS: usize = 64;

/// The proof as a page has it: a random mask, and the proof under it. No two pages have the same.
pub(crate) fn masked(proof: &str) -> Result<String, ApiError> {
    let proof = unhex(proof).ok_or_else(ApiError::misconfigured)?;
    let mut mask = vec![0; proof.len()];
    SystemRandom::new().fill(&mut mask).map_err(|_| ApiError::misconfigured())?;
    Ok(hex(&mask) + &hex(&under(&mask, &proof)))
}

/// The proof under a mask, or what was presented as it is: programs have it plain.
fn unmasked(presented: &str) -> String {
    let halves =
        presented.split_at_checked(PROOF_DIGITS).filter(|(_, covered)| covered.len() == PROOF_DIGITS);
    let halves = halves.and_then(|(mask, covered)| Some((unhex(mask)?, unhex(covered)?)));
    halves.map_or_else(|| presented.to_owned(), |(mask, covered)| hex(&under(&mask, &covered)))
}

fn under(mask: &[u8], bytes: &[u8]) -> Vec<u8> {
    mask.iter().zip(bytes).map(|(mask, byte)| mask ^ byte).collect()
}

fn hex(bytes: &[u8]) -> String {
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles.filter_map(|nibble| char::from_digit(nibble.into(), 16)).collect()
}

/// The bytes that hexadecimal digits stand for, if they are some.
fn unhex(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    let is_hex = digits.len().is_multiple_of(2) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect::<Option<_>>().filter(|_| is_hex)
}

/// 403 for a change that does not carry the proof, or that another site sent.
pub(super) fn check(
    request: &HttpRequest,
    api: &Api,
    session: &SecretString,
    presented: &str,
) -> Result<(), ApiError> {
    same_origin(request, api)?;
    if bool::from(unmasked(presented).as_bytes().ct_eq(proof(session).as_bytes())) {
        Ok(())
    } else {
        Err(ApiError::csrf("the header `X-CSRF-Token` must be the `csrf_token` of GET /api/v1/auth/session"))
    }
}

/// The proof in the header of a request.
pub(super) fn presented(request: &HttpRequest) -> &str {
    text(request.headers().get(PROOF)).unwrap_or_default()
}

/// 403 for a request that a page of another site sent. Programs say nothing of where they are.
pub(crate) fn same_origin(request: &HttpRequest, api: &Api) -> Result<(), ApiError> {
    let refused = || ApiError::csrf("the request comes from a page of another site");
    let headers = request.headers();
    if let Some(site) = text(headers.get("sec-fetch-site"))
        && !matches!(site, "same-origin" | "none")
    {
        return Err(refused());
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = text(Some(origin)).ok_or_else(refused)?;
    let is_public = api.public_url.as_deref().is_some_and(|url| url.eq_ignore_ascii_case(origin));
    let host = origin.split_once("://").map(|(_, host)| host);
    let ours = text(headers.get(header::HOST));
    let is_ours = host.zip(ours).is_some_and(|(host, ours)| host.eq_ignore_ascii_case(ours));
    if is_public || is_ours { Ok(()) } else { Err(refused()) }
}

fn text(value: Option<&HeaderValue>) -> Option<&str> {
    value.and_then(|value| value.to_str().ok()).map(str::trim)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn the_session_is_found_among_other_cookies() {
        let found = |cookies: &[&str]| {
            let mut request = TestRequest::default();
            for cookie in cookies {
                request = request.append_header((header::COOKIE, *cookie));
            }
            named(&request.to_http_request(), NAME).map(|token| token.expose_secret().to_owned())
        };
        assert_eq!(found(&["a=b; mai_session=x=1; c"]).as_deref(), Some("x=1"));
        assert_eq!(found(&["a=b", "mai_session=y"]).as_deref(), Some("y"));
        for none in [
            &[][..],
            &["xmai_session=1"],
            &["__Host-mai_session=1"],
            &["mai_session="],
            &["mai_session"],
            &["=;=;"],
        ] {
            assert_eq!(found(none), None, "{none:?}");
        }
    }

    #[test]
    fn the_proof_depends_on_the_session() {
        let [one, other] = ["mai-session-1", "mai-session-2"].map(|token| proof(&token.into()));
        assert_eq!(one.len(), 64);
        assert_ne!(one, other);
        assert!(!one.contains("session"));
    }

    #[test]
    fn each_page_has_the_proof_under_another_mask() {
        let proof = proof(&"mai-session-1".into());
        assert_eq!(proof.len(), PROOF_DIGITS);
        let [one, other] = [(); 2].map(|()| masked(&proof).unwrap());
        for page in [&one, &other] {
            assert_eq!(page.len(), 2 * PROOF_DIGITS);
            assert!(!page.contains(&proof));
            assert_eq!(unmasked(page), proof);
        }
        assert!(one[..PROOF_DIGITS] != other[..PROOF_DIGITS] && one[PROOF_DIGITS..] != other[PROOF_DIGITS..]);
        // Programs present what the API told them.
        assert_eq!(unmasked(&proof), proof);
    }

    #[test]
    fn what_is_no_proof_does_not_become_one() {
        let proof = proof(&"mai-session-1".into());
        let page = masked(&proof).unwrap();
        let turned = format!("{}{}", if page.starts_with('0') { '1' } else { '0' }, &page[1..]);
        let long = format!("{page}00");
        let no_hex = format!("+{}", &page[1..]);
        for wrong in ["", "0", "żółć", &page[1..], &turned, &long, &no_hex, &"ż".repeat(64), &page[..64]]
        {
            assert_ne!(unmasked(wrong), proof, "{wrong}");
        }
    }
}
