//! The secret with which a client such as Open WebUI signs who its user is.

use std::fmt;

use mai_global_settings::MasterKey;
use mai_primitives::OrganizationId;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use tracing::error;

use crate::{
    digest,
    error::{Error, Result},
};

/// What every generated secret begins with.
const SECRET_PREFIX: &str = "mai-identity-";

/// A new secret: `mai-identity-` and 32 random bytes in URL-safe base64.
pub fn new_identity_secret() -> Result<SecretString> {
    Ok(digest::new_key(SECRET_PREFIX)?.key)
}

/// What the identities that a gateway key's caller presents must be signed with.
#[derive(Debug, Default)]
pub enum IdentitySecret {
    /// There is none: whether plain headers are believed is another setting of the key.
    #[default]
    NotSet,
    /// This one, ready to check HMAC-SHA256 signatures. Plain headers are not believed.
    Set(hmac::Key),
    /// There is one, and the master key does not open it. No identity can be checked.
    Unreadable,
}

/// A key's secret as it is stored. Sealed or not, it has no place in a log.
#[derive(Clone)]
pub(crate) struct SealedIdentitySecret(pub(crate) Option<String>);

impl fmt::Debug for SealedIdentitySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedIdentitySecret").finish_non_exhaustive()
    }
}

impl IdentitySecret {
    /// Opens what is stored of a key's secret. One that cannot be opened is logged.
    pub(crate) fn open(
        master_key: &MasterKey,
        organization: &OrganizationId,
        key_id: &str,
        sealed: &SealedIdentitySecret,
    ) -> Self {
        let Some(sealed) = &sealed.0 else { return Self::NotSet };
        match master_key.open(&context(organization, key_id), sealed) {
            Ok(secret) => Self::Set(hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes())),
            Err(error) => {
                error!(%organization, gateway_key.id = key_id, %error, "an identity secret cannot be opened");
                Self::Unreadable
            }
        }
    }
}

/// Checks a secret and seals it for its key's row. It is not quoted in errors.
///
/// RFC 7518, section 3.2, wants as many bytes as the hash has. With fewer, whoever sees one signed
/// identity could find the secret by trying.
pub(crate) fn seal(
    master_key: &MasterKey,
    organization: &OrganizationId,
    key_id: &str,
    secret: &SecretString,
) -> Result<String> {
    let text = secret.expose_secret();
    if !(32..=512).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let reason = "must be 32 to 512 visible ASCII characters, for example from `openssl rand -hex 32`";
        return Err(Error::invalid("identity_secret", reason));
    }
    Ok(master_key.seal(&context(organization, key_id), secret)?)
}

/// Seals the secret of one key for the row of another one.
pub(crate) fn seal_for_another(
    master_key: &MasterKey,
    organization: &OrganizationId,
    (from, sealed): (&str, &str),
    to: &str,
) -> Result<String> {
    let secret = master_key.open(&context(organization, from), sealed)?;
    Ok(master_key.seal(&context(organization, to), &secret)?)
}

/// The place for which a key's secret is sealed.
fn context(organization: &OrganizationId, key_id: &str) -> String {
    format!("gateway_keys/identity_secret/{organization}/{key_id}")
}
