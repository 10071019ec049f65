//! JSON Web Tokens that are signed with HMAC-SHA256 (RFC 7515, RFC 7519), as Open WebUI makes them.
//!
//! Only the compact form and only `HS256` are read: a header that asks for anything else, such as `none`,
//! is refused, so that the token never decides how it is checked. The signature is looked at before
//! anything else of the token is believed.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use mai_primitives::UnixTime;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use thiserror::Error;

/// The longest token that is read, in bytes. Those of Open WebUI have some hundred.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// How far the clock of whoever signed may be from ours, in seconds.
pub const LEEWAY_SECONDS: i64 = 60;

/// Why a token is not believed. No variant holds any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenError {
    /// It is no token in the compact form, too long, or its claims are not the expected ones.
    #[error("it is no JSON Web Token with the expected claims")]
    Malformed,
    /// Its header asks for another algorithm than HS256, or for extensions.
    #[error("it is not signed with HS256")]
    Algorithm,
    /// Another secret signed it, or it was changed.
    #[error("its signature is not valid")]
    Signature,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// It was issued in the future, or is not valid yet: the clocks differ too much.
    #[error("it is not valid yet; the clocks differ")]
    NotYetValid,
}

/// The key of a secret, to be made once and used for many tokens.
pub fn key(secret: &SecretString) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes())
}

/// The claims of a token that `key` signed and that is valid at `now`, give or take
/// [`LEEWAY_SECONDS`]. A token without an end (`exp`) is [`TokenError::Malformed`].
pub fn verify<C: DeserializeOwned>(token: &str, key: &hmac::Key, now: UnixTime) -> Result<C, TokenError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(TokenError::Malformed);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
    let signature = decoded(signature)?;
    // It takes the same time wherever the two signatures differ.
    hmac::verify(key, signed.as_bytes(), &signature).map_err(|_| TokenError::Signature)?;
    let header: Header = serde_json::from_slice(&decoded(header)?).map_err(|_| TokenError::Malformed)?;
    if header.alg != "HS256" || header.crit.is_some() {
        return Err(TokenError::Algorithm);
    }
    let claims = decoded(claims)?;
    let times: Times = serde_json::from_slice(&claims).map_err(|_| TokenError::Malformed)?;
    times.check(now.seconds())?;
    serde_json::from_slice(&claims).map_err(|_| TokenError::Malformed)
}

/// Unpadded URL-safe base64 in its only form.
fn decoded(text: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Malformed)
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    /// Extensions that must be understood, of which we know none.
    crit: Option<serde::de::IgnoredAny>,
}

/// The claims that say when a token is valid, in Unix seconds.
#[derive(Deserialize)]
struct Times {
    #[serde(deserialize_with = "date")]
    exp: i64,
    #[serde(default, deserialize_with = "optional_date")]
    nbf: Option<i64>,
    #[serde(default, deserialize_with = "optional_date")]
    iat: Option<i64>,
}

impl Times {
    fn check(&self, now: i64) -> Result<(), TokenError> {
        if self.exp.saturating_add(LEEWAY_SECONDS) <= now {
            return Err(TokenError::Expired);
        }
        let latest_begin = now.saturating_add(LEEWAY_SECONDS);
        if [self.nbf, self.iat].into_iter().flatten().any(|begin| begin > latest_begin) {
            return Err(TokenError::NotYetValid);
        }
        Ok(())
    }
}

/// A NumericDate: seconds, perhaps with a fraction, which is cut off.
fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    number
        .as_i64()
        .or_else(|| number.to_string().split_once('.').and_then(|(whole, _)| whole.parse().ok()))
        .ok_or_else(|| serde::de::Error::custom("not a time in Unix seconds"))
}

fn optional_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    date(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_795_310_300;

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    struct Claims {
        sub: String,
    }

    fn secret() -> hmac::Key {
        key(&"a secret of these tests, long enough".into())
    }

    fn signed(header: &Value, claims: &str) -> String {
        let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let text = format!("{}.{}", encoded(&header.to_string()), encoded(claims));
        let tag = hmac::sign(&secret(), text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    fn hs256(claims: &Value) -> String {
        signed(&json!({ "alg": "HS256", "typ": "JWT" }), &claims.to_string())
    }

    fn read(token: &str) -> Result<Claims, TokenError> {
        verify(token, &secret(), UnixTime::from_seconds(NOW))
    }

    fn anna() -> Claims {
        Claims { sub: "anna".into() }
    }

    /// RFC 7515, appendix A.1, whose times lie in 2011.
    #[test]
    fn the_example_of_the_standard_is_read() {
        let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
                     eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
                     dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let bytes = URL_SAFE_NO_PAD
            .decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
            .unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        let at = |seconds| verify::<Value>(token, &key, UnixTime::from_seconds(seconds));
        assert_eq!(at(1_300_819_380).unwrap()["iss"], "joe");
        assert_eq!(at(1_300_819_380 + LEEWAY_SECONDS), Err(TokenError::Expired));
    }

    #[test]
    fn times_are_compared_with_a_leeway() {
        for (times, expected) in [
            (json!({ "exp": NOW + 300 }), Ok(anna())),
            (json!({ "exp": NOW - 59 }), Ok(anna())),
            (json!({ "exp": NOW - 60 }), Err(TokenError::Expired)),
            (json!({ "exp": i64::MAX }), Ok(anna())),
            (json!({ "exp": i64::MIN }), Err(TokenError::Expired)),
            (json!({ "exp": 1_795_310_400.75 }), Ok(anna())),
            (json!({ "exp": NOW + 9, "iat": NOW + 60, "nbf": NOW + 60 }), Ok(anna())),
            (json!({ "exp": NOW + 900, "iat": NOW + 61 }), Err(TokenError::NotYetValid)),
            (json!({ "exp": NOW + 900, "nbf": NOW + 61 }), Err(TokenError::NotYetValid)),
            (json!({ "exp": NOW + 900, "nbf": i64::MAX }), Err(TokenError::NotYetValid)),
            // Whoever signs without an end would have signed for ever.
            (json!({}), Err(TokenError::Malformed)),
            (json!({ "exp": null }), Err(TokenError::Malformed)),
            (json!({ "exp": "1795310600" }), Err(TokenError::Malformed)),
            (json!({ "exp": 1e300 }), Err(TokenError::Malformed)),
            (json!({ "exp": NOW + 9, "iat": "now" }), Err(TokenError::Malformed)),
        ] {
            let mut claims = times.clone();
            claims["sub"] = "anna".into();
            assert_eq!(read(&hs256(&claims)), expected, "{times}");
        }
    }

    #[test]
    fn only_hs256_without_extensions_is_believed() {
        let claims = json!({ "sub": "anna", "exp": NOW + 300 }).to_string();
        for (header, expected) in [
            (json!({ "alg": "HS256" }), Ok(anna())),
            (json!({ "alg": "none" }), Err(TokenError::Algorithm)),
            (json!({ "alg": "hs256" }), Err(TokenError::Algorithm)),
            (json!({ "alg": "HS512" }), Err(TokenError::Algorithm)),
            (json!({ "alg": "RS256" }), Err(TokenError::Algorithm)),
            (json!({ "alg": "HS256", "crit": ["b64"], "b64": false }), Err(TokenError::Algorithm)),
            (json!({ "alg": ["HS256"] }), Err(TokenError::Malformed)),
            (json!({}), Err(TokenError::Malformed)),
            (json!([]), Err(TokenError::Malformed)),
        ] {
            assert_eq!(read(&signed(&header, &claims)), expected, "{header}");
        }
        // A token that says itself that nobody signed it.
        let unsigned = signed(&json!({ "alg": "none" }), &claims);
        let unsigned = unsigned.rsplit_once('.').unwrap().0;
        assert_eq!(read(&format!("{unsigned}.")), Err(TokenError::Signature));
        assert_eq!(read(unsigned), Err(TokenError::Malformed));
    }

    #[test]
    fn what_was_changed_cut_or_signed_by_somebody_else_is_refused() {
        let good = hs256(&json!({ "sub": "anna", "exp": NOW + 300 }));
        assert_eq!(read(&good), Ok(anna()));
        let other = key(&"another secret of these tests".into());
        let now = UnixTime::from_seconds(NOW);
        assert_eq!(verify::<Claims>(&good, &other, now), Err(TokenError::Signature));
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let forged = URL_SAFE_NO_PAD.encode(r#"{"sub":"boss","exp":9999999999}"#);
        for changed in [
            format!("{header}.{forged}.{signature}"),
            format!("{header}.{claims}.{}", &signature[..42]),
            format!("{header}.{claims}."),
            // The same bytes written in another way.
            format!("{signed}.{signature}="),
            format!(" {good}"),
            format!("{good}.{signature}"),
            good[1..].to_owned(),
            String::new(),
            ".".to_owned(),
            "..".to_owned(),
            "…..".to_owned(),
        ] {
            assert!(read(&changed).is_err(), "{changed}");
        }
        let long = json!({ "sub": "a".repeat(MAX_TOKEN_BYTES), "exp": NOW + 300 });
        assert_eq!(read(&hs256(&long)), Err(TokenError::Malformed));
    }

    #[test]
    fn signed_claims_of_another_kind_are_refused() {
        let header = json!({ "alg": "HS256" });
        let times = format!(r#""exp":{}"#, NOW + 300);
        for claims in [
            String::new(),
            "[]".to_owned(),
            format!("{{{times}}}"),
            format!(r#"{{{times},"sub":7}}"#),
            // Of a claim that stands there twice nobody knows which one the other side has read.
            format!(r#"{{{times},{times},"sub":"anna"}}"#),
            format!(r#"{{{times},"sub":"anna","sub":"boss"}}"#),
            format!(r#"{{{times},"sub":"anna"}} {{}}"#),
        ] {
            assert_eq!(read(&signed(&header, &claims)), Err(TokenError::Malformed), "{claims}");
        }
    }

    #[test]
    fn neither_errors_nor_keys_show_a_secret() {
        let shown = format!("{:?} {:?} {}", secret(), TokenError::Signature, TokenError::Signature);
        assert!(!shown.contains("these tests"), "{shown}");
    }

    proptest! {
        #[test]
        fn no_text_is_believed_without_the_secret(text in r"\PC{0,40}(\.\PC{0,40}){0,4}") {
            prop_assert!(read(&text).is_err());
        }

        #[test]
        fn one_changed_character_is_enough(at: prop::sample::Index, to in "[A-Za-z0-9_.-]") {
            let good = hs256(&json!({ "sub": "anna", "exp": NOW + 300 }));
            let at = at.index(good.len());
            let changed = format!("{}{to}{}", &good[..at], &good[at + 1..]);
            prop_assume!(changed != good);
            prop_assert!(read(&changed).is_err());
        }
    }
}
