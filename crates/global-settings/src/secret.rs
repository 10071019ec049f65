//! Secrets at rest: sealed with a master key that is not in the database.
//!
//! The cipher is XChaCha20-Poly1305, whose 24-byte nonce may be drawn at random. The place in the
//! database is authenticated together with the text, so a sealed key that is copied to another row
//! does not open there.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use secrecy::{ExposeSecret, SecretBox, SecretSlice, SecretString};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// The first field of a sealed text, which names the cipher and the layout.
const VERSION: &str = "v1";
const NONCE_BYTES: usize = 24;

/// Keys are typed by people, who lose the `=` at the end.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a secret could not be sealed or opened. No variant holds any of it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SecretError {
    /// The text is not a master key.
    #[error("a master key is 32 bytes in base64, for example from `openssl rand -base64 32`")]
    NotAMasterKey,
    /// The text was not made by [`MasterKey::seal`], or was cut.
    #[error("this is not a sealed secret")]
    NotSealed,
    /// The secret was sealed with another master key than the present one.
    #[error("the secret was sealed with the master key {sealed_with}, but the present one is {present}")]
    OtherMasterKey {
        /// The id of the key that is needed.
        sealed_with: String,
        /// The id of the key that is there.
        present: String,
    },
    /// The sealed text was changed, or belongs to another place.
    #[error("the sealed secret was changed, or belongs to another place")]
    Forged,
    /// The secret is too long to be sealed.
    #[error("the secret is too long")]
    TooLong,
    /// The master key is kept elsewhere and cannot be read there now.
    #[error("the master key cannot be read again: {0}")]
    Unreadable(String),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    NoRandomness(String),
}

/// Random bytes of the operating system, fit for keys and nonces.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], SecretError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| SecretError::NoRandomness(error.to_string()))?;
    Ok(bytes)
}

/// The keys that seal and open the secrets in the database: the present one does both, former ones only
/// open, so that a change of the key needs no moment at which everything changes. Clones share them;
/// they are wiped from memory when the last one goes.
#[derive(Clone)]
pub struct MasterKey(Arc<Keyring>);

struct Keyring {
    keys: RwLock<Keys>,
    /// Reads the keys again where they may have changed.
    source: Option<Source>,
}

type Source = Box<dyn Fn() -> Result<MasterKey, String> + Send + Sync>;

#[derive(Clone)]
struct Keys {
    present: Key,
    former: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    id: String,
    bytes: Arc<SecretBox<[u8; 32]>>,
}

impl Key {
    fn new(bytes: SecretBox<[u8; 32]>) -> Self {
        let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(bytes.expose_secret()).into();
        Self { id: format!("{:08x}", u32::from_be_bytes([a, b, c, d])), bytes: Arc::new(bytes) }
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.bytes.expose_secret().into())
    }
}

impl Keys {
    fn find(&self, id: &str) -> Option<Key> {
        std::iter::once(&self.present).chain(&self.former).find(|key| key.id == id).cloned()
    }
}

impl MasterKey {
    /// Reads 32 bytes in base64, with or without the `=` at the end.
    pub fn from_base64(text: &str) -> Result<Self, SecretError> {
        let decoded = LENIENT.decode(text.trim()).map_err(|_| SecretError::NotAMasterKey)?;
        let decoded = SecretSlice::from(decoded);
        let key = SecretBox::try_init_with(|| decoded.expose_secret().try_into())
            .map_err(|_| SecretError::NotAMasterKey)?;
        Ok(Self::of(Keys { present: Key::new(key), former: Vec::new() }, None))
    }

    /// A new random key.
    pub fn generate() -> Result<Self, SecretError> {
        let key = SecretBox::try_init_with(random_bytes)?;
        Ok(Self::of(Keys { present: Key::new(key), former: Vec::new() }, None))
    }

    /// The same key, which also opens what others have sealed.
    #[must_use]
    pub fn with_former(&self, others: &[Self]) -> Self {
        let mut keys = self.keys();
        for other in others {
            let Keys { present, former } = other.keys();
            keys.former.extend(std::iter::once(present).chain(former));
        }
        Self::of(keys, None)
    }

    /// The keys that `read` returns. It is asked now, before anything is sealed, and whenever something
    /// turns up that no known key has sealed, so that a running service follows a change of the key. It
    /// must be quick; its error is a text without secrets.
    pub fn reloading(
        read: impl Fn() -> Result<Self, String> + Send + Sync + 'static,
    ) -> Result<Self, SecretError> {
        let keys = read().map_err(SecretError::Unreadable)?.keys();
        Ok(Self::of(keys, Some(Box::new(read))))
    }

    fn of(keys: Keys, source: Option<Source>) -> Self {
        Self(Arc::new(Keyring { keys: RwLock::new(keys), source }))
    }

    fn keys(&self) -> Keys {
        self.0.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The keys as they are now, where they can be read again.
    fn read_again(&self) -> Result<Keys, SecretError> {
        let Some(read) = &self.0.source else { return Ok(self.keys()) };
        let keys = read().map_err(SecretError::Unreadable)?.keys();
        *self.0.keys.write().unwrap_or_else(PoisonError::into_inner) = keys.clone();
        Ok(keys)
    }

    /// The form of the present key that [`Self::from_base64`] reads, to be kept outside of the database.
    pub fn to_base64(&self) -> SecretString {
        STANDARD.encode(self.keys().present.bytes.expose_secret()).into()
    }

    /// The public name of the present key: the first four bytes of its SHA-256 in hex.
    pub fn id(&self) -> String {
        self.keys().present.id
    }

    /// Whether the key with this id is the present one or a former one.
    pub fn knows(&self, id: &str) -> bool {
        self.keys().find(id).is_some()
    }

    /// Whether the present key has sealed this.
    pub fn is_present(&self, sealed: &str) -> bool {
        sealed.strip_prefix(VERSION).and_then(|rest| rest.strip_prefix(':')).is_some_and(|rest| {
            rest.split_once(':').is_some_and(|(key_id, _)| key_id == self.keys().present.id)
        })
    }

    /// Seals `plain` for the place `context` (table, column and row id), as
    /// `v1:{key id}:{base64 of nonce and ciphertext}`.
    pub fn seal(&self, context: &str, plain: &SecretString) -> Result<String, SecretError> {
        let key = self.read_again()?.present;
        let nonce = random_bytes::<NONCE_BYTES>()?;
        let payload = Payload { msg: plain.expose_secret().as_bytes(), aad: context.as_bytes() };
        let ciphertext =
            key.cipher().encrypt(&XNonce::from(nonce), payload).map_err(|_| SecretError::TooLong)?;
        let body = STANDARD.encode([&nonce[..], &ciphertext].concat());
        Ok(format!("{VERSION}:{}:{body}", key.id))
    }

    /// Opens what [`Self::seal`] made for the same `context` with the present or a former key.
    pub fn open(&self, context: &str, sealed: &str) -> Result<SecretString, SecretError> {
        let mut fields = sealed.splitn(3, ':');
        let (Some(VERSION), Some(key_id), Some(body)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(SecretError::NotSealed);
        };
        if key_id.len() != 8 || !key_id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(SecretError::NotSealed);
        }
        let key = if let Some(key) = self.keys().find(key_id) {
            key
        } else {
            let keys = self.read_again()?;
            let other = SecretError::OtherMasterKey {
                sealed_with: key_id.to_owned(),
                present: keys.present.id.clone(),
            };
            keys.find(key_id).ok_or(other)?
        };
        let body = STANDARD.decode(body).map_err(|_| SecretError::NotSealed)?;
        let (nonce, ciphertext) = body.split_first_chunk::<NONCE_BYTES>().ok_or(SecretError::NotSealed)?;
        let payload = Payload { msg: ciphertext, aad: context.as_bytes() };
        let plain = key.cipher().decrypt(nonce.into(), payload).map_err(|_| SecretError::Forged)?;
        String::from_utf8(plain).map(SecretString::from).map_err(|_| SecretError::NotSealed)
    }
}

/// Shows the id of the present key only.
impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(byte: u8) -> MasterKey {
        MasterKey::from_base64(&STANDARD.encode([byte; 32])).unwrap()
    }

    #[test]
    fn keys_travel_as_base64_of_32_bytes() {
        let generated = MasterKey::generate().unwrap();
        let text = generated.to_base64();
        let read = MasterKey::from_base64(&format!(" {}\n", text.expose_secret())).unwrap();
        assert_eq!(read.id(), generated.id());
        let bare = text.expose_secret().trim_end_matches('=').to_owned();
        assert_eq!(MasterKey::from_base64(&bare).unwrap().id(), generated.id());
        assert_ne!(MasterKey::generate().unwrap().id(), generated.id());
        for wrong in ["", "secret", &STANDARD.encode([1; 31]), &STANDARD.encode([1; 33])] {
            assert_eq!(MasterKey::from_base64(wrong).unwrap_err(), SecretError::NotAMasterKey, "{wrong}");
        }
    }

    #[test]
    fn the_key_id_is_the_start_of_the_keys_sha256() {
        // printf '\0%.0s' {1..32} | sha256sum
        assert_eq!(key(0).id(), "66687aad");
        assert_eq!(format!("{:?}", key(0)), "MasterKey(66687aad)");
    }

    #[test]
    fn another_key_or_place_does_not_open_it() {
        let sealed = key(1).seal("table/column/a", &"sk-or-v1-x".into()).unwrap();
        assert_eq!(key(1).open("table/column/a", &sealed).unwrap().expose_secret(), "sk-or-v1-x");
        assert_eq!(key(1).open("table/column/b", &sealed).unwrap_err(), SecretError::Forged);
        let error = key(2).open("table/column/a", &sealed).unwrap_err();
        assert!(
            matches!(&error, SecretError::OtherMasterKey { sealed_with, .. } if *sealed_with == key(1).id())
        );
        assert!(error.to_string().contains(&key(1).id()));
        for wrong in ["", "v1", "sk-or-v1-x", "v2:00000000:AAAA", &format!("v1:{}:AAAA", key(1).id())] {
            assert_eq!(key(1).open("c", wrong).unwrap_err(), SecretError::NotSealed, "{wrong}");
        }
    }

    #[test]
    fn the_same_secret_is_never_sealed_twice_alike() {
        let secret = SecretString::from("same");
        assert_ne!(key(1).seal("c", &secret).unwrap(), key(1).seal("c", &secret).unwrap());
    }

    #[test]
    fn a_former_key_opens_and_the_present_one_seals() {
        let old = key(1).seal("c", &"old".into()).unwrap();
        let both = key(2).with_former(&[key(3), key(1)]);
        assert_eq!(both.open("c", &old).unwrap().expose_secret(), "old");
        assert!(!both.is_present(&old) && both.knows(&key(1).id()) && !both.knows(&key(4).id()));
        let new = both.seal("c", &"new".into()).unwrap();
        assert!(both.is_present(&new));
        assert_eq!(key(2).open("c", &new).unwrap().expose_secret(), "new");
        assert!(key(1).open("c", &new).is_err());
    }

    #[test]
    fn a_key_that_changes_is_followed() {
        let kept = Arc::new(std::sync::Mutex::new(Ok(key(1))));
        let read = Arc::clone(&kept);
        let follower = MasterKey::reloading(move || read.lock().unwrap().clone()).unwrap();
        let old = follower.seal("c", &"old".into()).unwrap();
        *kept.lock().unwrap() = Ok(key(2).with_former(&[key(1)]));
        let new = key(2).seal("c", &"new".into()).unwrap();
        assert_eq!(follower.open("c", &new).unwrap().expose_secret(), "new");
        assert_eq!(follower.open("c", &old).unwrap().expose_secret(), "old");
        *kept.lock().unwrap() = Ok(key(3).with_former(&[key(2)]));
        let sealed = follower.seal("c", &"x".into()).unwrap();
        assert!(follower.is_present(&sealed) && key(3).open("c", &sealed).is_ok());
        *kept.lock().unwrap() = Err("no such file".into());
        let error = follower.seal("c", &"x".into()).unwrap_err();
        assert_eq!(error, SecretError::Unreadable("no such file".into()));
        assert!(follower.open("c", &new).is_ok(), "what is known needs no file");
    }

    proptest! {
        #[test]
        fn opening_inverts_sealing(text in ".*", context in ".*") {
            let sealed = key(7).seal(&context, &text.as_str().into()).unwrap();
            let opened = key(7).open(&context, &sealed).unwrap();
            prop_assert_eq!(opened.expose_secret(), text.as_str());
        }

        #[test]
        fn one_changed_character_is_noticed(text in "[ -~]{1,40}", at: prop::sample::Index, to in "[A-Za-z0-9+/]") {
            let sealed = key(7).seal("c", &text.as_str().into()).unwrap();
            let start = sealed.rfind(':').unwrap() + 1;
            // The last characters may hold bits that stand for nothing; base64 refuses those.
            let at = start + at.index(sealed.len() - start);
            let mut forged = sealed.clone();
            forged.replace_range(at..=at, &to);
            prop_assume!(forged != sealed);
            prop_assert!(key(7).open("c", &forged).is_err());
        }

        #[test]
        fn no_text_panics(text in ".*") {
            prop_assert!(key(7).open("c", &text).is_err());
        }
    }
}
