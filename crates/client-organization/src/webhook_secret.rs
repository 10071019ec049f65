//! The secret with which an organization signs what it posts to the usage webhook.

use mai_global_settings::MasterKey;
use mai_primitives::OrganizationId;
use secrecy::{ExposeSecret, SecretString};
use tracing::error;

use crate::{
    digest,
    error::{Error, Result},
};

/// What every generated secret begins with.
pub const SECRET_PREFIX: &str = "mai-webhook-";

/// What posts to the usage webhook must be signed with.
#[derive(Debug, Default)]
pub enum WebhookSecret {
    /// The organization has none: the API key in the body is enough.
    #[default]
    NotSet,
    /// This one, in clear.
    Set(SecretString),
    /// There is one, and the master key does not open it. No post can be checked.
    Unreadable,
}

impl WebhookSecret {
    /// Opens what is stored of an organization's secret. One that cannot be opened is logged.
    pub(crate) fn open(master_key: &MasterKey, id: &OrganizationId, sealed: Option<&str>) -> Self {
        let Some(sealed) = sealed else { return Self::NotSet };
        match master_key.open(&context(id), sealed) {
            Ok(secret) => Self::Set(secret),
            Err(error) => {
                error!(organization.id = %id, %error, "a webhook secret cannot be opened");
                Self::Unreadable
            }
        }
    }
}

/// A new secret: `mai-webhook-` and 32 random bytes in URL-safe base64.
pub fn new_webhook_secret() -> Result<SecretString> {
    Ok(digest::new_key(SECRET_PREFIX)?.key)
}

/// Checks a secret and seals it for its organization's row. It is not quoted in errors.
pub(crate) fn seal(master_key: &MasterKey, id: &OrganizationId, secret: &SecretString) -> Result<String> {
    let text = secret.expose_secret();
    if !(16..=512).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::invalid("webhook_secret", "must be 16 to 512 visible ASCII characters"));
    }
    Ok(master_key.seal(&context(id), secret)?)
}

/// The place for which an organization's secret is sealed.
fn context(id: &OrganizationId) -> String {
    format!("client_organizations/webhook_secret/{id}")
}
