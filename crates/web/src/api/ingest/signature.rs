//! The signature of a webhook's body: HMAC-SHA256 with the organization's webhook secret.

use ring::hmac;
use secrecy::{ExposeSecret, SecretString};

/// Whether `presented` is the signature of `body`: `sha256=` and 64 hex digits, or the digits alone.
/// The comparison takes the same time wherever the two differ.
pub(super) fn is_valid(presented: &str, body: &[u8], secret: &SecretString) -> bool {
    let presented = presented.trim();
    let digits = presented.strip_prefix("sha256=").unwrap_or(presented);
    let Some(tag) = from_hex(digits) else { return false };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    hmac::verify(&key, body, &tag).is_ok()
}

/// The 32 bytes that 64 hex digits of either case spell.
fn from_hex(digits: &str) -> Option<[u8; 32]> {
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else { return None };
    let nibble = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?)).collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    const TAG: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    const BODY: &[u8] = b"what do ya want for nothing?";

    #[test]
    fn only_the_signature_of_these_bytes_by_this_secret_is_valid() {
        let secret = SecretString::from("Jefe");
        for good in [TAG.to_owned(), format!("sha256={TAG}"), format!(" sha256={} ", TAG.to_uppercase())] {
            assert!(is_valid(&good, BODY, &secret), "{good}");
        }
        let other_digit = TAG.replacen('5', "6", 1);
        for bad in [
            "",
            "sha256=",
            "sha1=5bdc",
            &TAG[..62],
            &format!("{TAG}00"),
            &other_digit,
            "sha256=sha256=",
            &"g".repeat(64),
            &"+1".repeat(32),
            &"é".repeat(32),
        ] {
            assert!(!is_valid(bad, BODY, &secret), "{bad}");
        }
        assert!(!is_valid(TAG, b"what do ya want for nothing!", &secret));
        assert!(!is_valid(TAG, BODY, &SecretString::from("jefe")));
    }
}
