//! Passwords: what they may be, and hashing them without anybody learning from the time it takes.

use std::{sync::Arc, time::Duration};

use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version, password_hash::phc};
use mai_global_settings::secret::random_bytes;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use crate::error::{Error, Result};

const MIN_CHARACTERS: usize = 12;
const MAX_CHARACTERS: usize = 256;

/// Each hash takes a core and its memory for a while, and calls of the gateway need both.
const AT_ONCE: usize = 2;

/// Whoever waits longer for a turn is told to come again.
const PATIENCE: Duration = Duration::from_secs(10);

/// Hashes passwords and compares them, a few at once. Clones share the turns.
#[derive(Clone)]
pub struct Passwords {
    argon2: Argon2<'static>,
    /// A hash that no password has and that takes as long as any other.
    nobody: Arc<str>,
    turns: Arc<Semaphore>,
}

impl Default for Passwords {
    /// Argon2id with 19 MiB and two passes, as the OWASP recommends; about 30 ms of one core.
    fn default() -> Self {
        Self::with_params(Params::default())
    }
}

impl Passwords {
    /// For tests: as weak as Argon2 can be, and fast.
    pub fn weak() -> Self {
        let (memory_kib, passes, lanes) = (Params::MIN_M_COST, Params::MIN_T_COST, Params::MIN_P_COST);
        Self::with_params(Params::new(memory_kib, passes, lanes, None).unwrap_or_default())
    }

    fn with_params(params: Params) -> Self {
        let cost = format!("m={},t={},p={}", params.m_cost(), params.t_cost(), params.p_cost());
        let (salt, hash) = ("A".repeat(22), "A".repeat(43));
        Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            nobody: format!("$argon2id$v=19${cost}${salt}${hash}").into(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// The hash of a new password in the PHC format. [`Error::Invalid`] for one that may not be.
    pub async fn hash(&self, password: &SecretString) -> Result<String> {
        check(password)?;
        let salt: [u8; 16] = random_bytes()?;
        self.in_turn(password, move |argon2, password| {
            let hash = argon2.hash_password_with_salt(password, &salt);
            hash.map(|hash| hash.to_string()).map_err(|cause| Error::Password(cause.to_string()))
        })
        .await
    }

    /// Whether it is the password with this hash. Where there is no hash it is not, which takes as long
    /// to say.
    pub async fn verify(&self, password: &SecretString, hash: Option<String>) -> Result<bool> {
        let (nobody, is_somebody) = (Arc::clone(&self.nobody), hash.is_some());
        self.in_turn(password, move |argon2, password| {
            let hash = phc::PasswordHash::new(hash.as_deref().unwrap_or(&nobody));
            let hash = hash.map_err(|cause| Error::Password(cause.to_string()))?;
            // Its errors other than a wrong password are ones of the hash, which was read above.
            Ok(argon2.verify_password(password, &hash).is_ok() && is_somebody)
        })
        .await
    }

    /// Runs `work` on a thread of its own, as soon as there is a turn. The turn ends with the work, also
    /// where nobody waits for it any more.
    async fn in_turn<T: Send + 'static>(
        &self,
        password: &SecretString,
        work: impl FnOnce(&Argon2<'_>, &[u8]) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (argon2, password) = (self.argon2.clone(), password.clone());
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(Error::Busy) };
        let worked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&argon2, password.expose_secret().as_bytes())
        });
        worked.await.map_err(|cause| Error::Password(cause.to_string()))?
    }
}

/// Long enough not to be guessed, and not so long that hashing it is a burden. It is not quoted.
fn check(password: &SecretString) -> Result<()> {
    let characters = password.expose_secret().chars().count();
    if (MIN_CHARACTERS..=MAX_CHARACTERS).contains(&characters) {
        Ok(())
    } else {
        let reason = format!("must have {MIN_CHARACTERS} to {MAX_CHARACTERS} characters");
        Err(Error::invalid("password", reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
    }

    #[test]
    fn only_the_password_fits_its_hash() {
        let passwords = Passwords::weak();
        run(async {
            let hash = passwords.hash(&"zażółć gęślą jaźń".into()).await.unwrap();
            assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{hash}");
            assert!(passwords.verify(&"zażółć gęślą jaźń".into(), Some(hash.clone())).await.unwrap());
            assert!(!passwords.verify(&"zażółć gęślą jaźn".into(), Some(hash.clone())).await.unwrap());
            assert!(!passwords.verify(&"".into(), None).await.unwrap());
            assert_ne!(passwords.hash(&"zażółć gęślą jaźń".into()).await.unwrap(), hash);
            // What is stored says what it costs, so a change of the cost locks nobody out.
            assert!(Passwords::default().verify(&"zażółć gęślą jaźń".into(), Some(hash)).await.unwrap());
        });
    }

    #[test]
    fn the_cost_is_what_the_owasp_recommends() {
        let passwords = Passwords::default();
        assert!(passwords.nobody.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", passwords.nobody);
        let hash = run(passwords.hash(&"correct horse battery".into())).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_eq!(hash.len(), passwords.nobody.len());
    }

    #[test]
    fn the_length_is_bounded_and_the_password_not_quoted() {
        let passwords = Passwords::weak();
        for (length, is_fine) in [(11, false), (12, true), (256, true), (257, false)] {
            let hashed = run(passwords.hash(&"ż".repeat(length).into()));
            assert_eq!(hashed.is_ok(), is_fine, "{length}");
            assert!(hashed.err().is_none_or(|error| !error.to_string().contains('ż')));
        }
    }

    #[test]
    fn more_than_two_wait_for_their_turns() {
        let passwords = Passwords::weak();
        run(async {
            let held = Arc::clone(&passwords.turns).acquire_many_owned(2).await.unwrap();
            tokio::time::pause();
            let refused = passwords.verify(&"whatever it is".into(), None).await;
            assert!(matches!(refused, Err(Error::Busy)), "{refused:?}");
            drop(held);
            assert!(!passwords.verify(&"whatever it is".into(), None).await.unwrap());
        });
    }
}
