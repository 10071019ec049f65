//! Hashes of keys, and the random texts that keys and ids are made of.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use mai_global_settings::{SecretError, secret::random_bytes};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// How many characters of a key are stored and shown, so that people can tell keys apart.
const PREFIX_CHARACTERS: usize = 12;

/// A new key: the hash and the prefix are stored, the key is shown once.
pub(crate) struct NewKey {
    pub(crate) key: SecretString,
    pub(crate) hash: String,
    pub(crate) prefix: String,
}

/// `prefix` and 32 random bytes.
pub(crate) fn new_key(prefix: &str) -> Result<NewKey, SecretError> {
    let text = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random_bytes::<32>()?));
    let shown = text.chars().take(PREFIX_CHARACTERS).collect();
    let key = SecretString::from(text);
    Ok(NewKey { hash: sha256_hex(key.expose_secret()), key, prefix: shown })
}

/// `prefix` and eight random bytes in eleven characters.
pub(crate) fn new_id(prefix: &str) -> Result<String, SecretError> {
    Ok(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random_bytes::<8>()?)))
}

pub(crate) fn sha256(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// 64 lower-case hex digits.
pub(crate) fn sha256_hex(text: &str) -> String {
    hex(&sha256(text))
}

/// Two lower-case hex digits for each byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles.filter_map(|nibble| char::from_digit(nibble.into(), 16)).collect()
}

/// The bytes behind the [`hex`] of a hash; none for any other text.
pub(crate) fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_known_ones_and_can_be_read_back() {
        let hex = sha256_hex("abc");
        assert_eq!(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(from_hex(&hex), Some(sha256("abc")));
        for wrong in ["", "ba", &"g".repeat(64), &"+".repeat(64), &"é".repeat(32)] {
            assert_eq!(from_hex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn keys_and_ids_have_their_documented_form() {
        let key = new_key("sk-mai-").unwrap();
        let text = key.key.expose_secret();
        assert_eq!(text.len(), "sk-mai-".len() + 43);
        assert_eq!(key.prefix, text[..12]);
        assert_eq!(key.hash, sha256_hex(text));
        assert_ne!(new_key("sk-mai-").unwrap().hash, key.hash);
        let id = new_id("org_").unwrap();
        assert_eq!(id.len(), 15);
        assert!(id.starts_with("org_"));
    }
}
