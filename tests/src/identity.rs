//! Identities as Open WebUI signs them.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use serde_json::{Value, json};

/// A secret for identities.
pub const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The present in Unix seconds, as the binary under test sees it.
#[expect(clippy::disallowed_methods, reason = "the binary has the operating system's clock")]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that goes right").as_secs()
}

/// What Open WebUI says about a user, valid for five minutes.
pub fn claims(sub: &str) -> Value {
    json!({
        "sub": sub, "email": format!("{sub}@example.com"), "name": "Żółw Admin", "role": "user",
        "iss": "open-webui", "iat": now(), "exp": now() + 300,
    })
}

/// A signed token.
pub fn signed(claims: &Value, secret: &str) -> String {
    token(&json!({ "alg": "HS256", "typ": "JWT" }), claims, secret)
}

/// A token with any header. It is signed with HS256 whatever that says.
pub fn token(header: &Value, claims: &Value, secret: &str) -> String {
    let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let text = format!("{}.{}", encoded(header), encoded(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, text.as_bytes())))
}
