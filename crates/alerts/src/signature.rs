//! Secrets of webhooks and what is signed with them, as the Standard Webhooks say.
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use base64::{Engine, engine::general_purpose::STANDARD};
use mai_global_settings::{SecretError, secret::random_bytes};
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};

/// What every secret begins with.
pub const SECRET_PREFIX: &str = "whsec_";

/// A new secret: `whsec_` and 32 random bytes in base64.
pub(crate) fn new_secret() -> Result<SecretString, SecretError> {
    Ok(format!("{SECRET_PREFIX}{}", STANDARD.encode(random_bytes::<32>()?)).into())
}

/// The header `webhook-signature` of a message: a signature by each secret, with spaces between. None where
/// a secret is not one of ours.
pub(crate) fn sign(
    secrets: &[SecretString],
    id: &str,
    timestamp: i64,
    body: &str,
) -> Result<String, SecretError> {
    let signed = format!("{id}.{timestamp}.{body}");
    let one = |secret: &SecretString| {
        let encoded = secret.expose_secret().strip_prefix(SECRET_PREFIX).ok_or(SecretError::NotSealed)?;
        let key = STANDARD.decode(encoded).map_err(|_| SecretError::NotSealed)?;
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), signed.as_bytes());
        Ok(format!("v1,{}", STANDARD.encode(tag)))
    };
    Ok(secrets.iter().map(one).collect::<Result<Vec<_>, SecretError>>()?.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference implementations.
    #[test]
    fn a_known_message_has_its_known_signature() {
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signature =
            sign(&[secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}").unwrap();
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn two_secrets_give_two_signatures() {
        let secrets = [new_secret().unwrap(), new_secret().unwrap()];
        assert!(secrets[0].expose_secret().starts_with("whsec_"));
        let both = sign(&secrets, "a", 1, "b").unwrap();
        let each: Vec<String> =
            secrets.iter().map(|one| sign(std::slice::from_ref(one), "a", 1, "b").unwrap()).collect();
        assert_eq!(both, each.join(" "));
        assert!(sign(&["secret".into()], "a", 1, "b").is_err());
    }
}
