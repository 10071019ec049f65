//! Session tokens of Open WebUI: signed by it, and confirmed by it again and again.
//!
//! The signature alone would let in whoever signed out since, so Open WebUI is asked, where its address
//! is known. Its answer is believed for a minute at most, and asked for once however many requests need
//! it. While it cannot be asked nobody is let in beyond that.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex as SyncMutex, PoisonError},
    time::Duration,
};

use mai_primitives::{Clock, OrganizationId, UnixTime, UserId};
use ring::{
    digest::{SHA256, digest},
    hmac,
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use thiserror::Error;
use tokio::{sync::Mutex, time::Instant};
use tracing::warn;

use crate::{
    hs256::{self, TokenError},
    settings::OpenWebuiSettings,
};

/// How long Open WebUI may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a refusal, or that there was no answer, is believed.
const KEEP_TROUBLE: Duration = Duration::from_secs(5);

/// How many answers are kept.
const ANSWERS_AT_MOST: usize = 10_000;

/// The longest answer; pictures of people are in it.
const ANSWER_BYTES_AT_MOST: usize = 8 << 20;

/// What Open WebUI says that somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OpenWebuiRole {
    /// Everything.
    Admin,
    /// To chat.
    User,
    /// Nothing yet.
    Pending,
}

/// Somebody who is signed in at Open WebUI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenWebuiUser {
    /// Its id of the person.
    pub id: UserId,
    /// What the person may do there; none where it was not asked.
    pub role: Option<OpenWebuiRole>,
    /// When the session ends in any case.
    pub ends_at: UnixTime,
}

/// Why a session of Open WebUI opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OpenWebuiRefusal {
    /// The token is not good by itself.
    #[error("the session token of Open WebUI cannot be used: {0}")]
    Token(#[from] TokenError),
    /// It is a token for something else than a person's session.
    #[error("the token of Open WebUI is not that of a person's session")]
    Purpose,
    /// Open WebUI does not know the session any more.
    #[error("Open WebUI does not know the session any more; please sign in there")]
    Ended,
    /// Open WebUI could not be asked.
    #[error("Open WebUI cannot be asked whether the session still lasts; please try again")]
    Unavailable,
}

/// What is read of a token.
#[derive(Deserialize)]
struct Claims {
    id: UserId,
    /// Absent in tokens of earlier versions, which had no other purpose.
    typ: Option<String>,
    exp: i64,
}

/// What is read of an answer.
#[derive(Deserialize)]
struct Confirmation {
    id: UserId,
    role: OpenWebuiRole,
}

/// Checks session tokens of Open WebUI. Clones share what was answered.
#[derive(Clone)]
pub struct OpenWebuiSessions(Arc<Inner>);

struct Inner {
    key: hmac::Key,
    organization: OrganizationId,
    /// Where Open WebUI tells who has a token; none asks nobody.
    address: Option<String>,
    http: reqwest::Client,
    answers: Answers,
    clock: Arc<dyn Clock>,
}

impl OpenWebuiSessions {
    /// A checker by the settings; an error when there can be no HTTP client.
    pub fn new(settings: &OpenWebuiSettings, clock: Arc<dyn Clock>) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("mai-usage/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self(Arc::new(Inner {
            key: hs256::key(&settings.secret),
            organization: settings.organization.clone(),
            address: settings.base_url.as_ref().map(|base| format!("{base}/api/v1/auths/")),
            http,
            answers: Answers::new(settings.confirm_every),
            clock,
        })))
    }

    /// Whose people the users of Open WebUI are.
    pub fn organization(&self) -> &OrganizationId {
        &self.0.organization
    }

    /// Whose token it is.
    pub async fn user(&self, token: &SecretString) -> Result<OpenWebuiUser, OpenWebuiRefusal> {
        let inner = &self.0;
        let text = token.expose_secret();
        let claims: Claims = hs256::verify(text, &inner.key, inner.clock.now().into())?;
        if claims.typ.is_some_and(|typ| typ != "session") {
            return Err(OpenWebuiRefusal::Purpose);
        }
        let role = match &inner.address {
            Some(address) => Some(inner.answers.get(text, || inner.ask(address, text, &claims.id)).await?),
            None => None,
        };
        Ok(OpenWebuiUser { id: claims.id, role, ends_at: UnixTime::from_seconds(claims.exp) })
    }
}

impl Inner {
    /// Asks Open WebUI who has a token. What is wrong with it is logged here, once for all who wait.
    async fn ask(&self, address: &str, token: &str, id: &UserId) -> Result<OpenWebuiRole, OpenWebuiRefusal> {
        let unavailable = |why: &str| {
            warn!(why, "Open WebUI could not be asked about a session");
            OpenWebuiRefusal::Unavailable
        };
        let answer = self.http.get(address).bearer_auth(token).send().await;
        let mut answer = answer.map_err(|cause| unavailable(&cause.without_url().to_string()))?;
        match answer.status().as_u16() {
            200 => {}
            401 | 403 => return Err(OpenWebuiRefusal::Ended),
            other => return Err(unavailable(&format!("it answered {other}"))),
        }
        let mut body = Vec::new();
        while let Some(piece) =
            answer.chunk().await.map_err(|cause| unavailable(&cause.without_url().to_string()))?
        {
            if body.len().saturating_add(piece.len()) > ANSWER_BYTES_AT_MOST {
                return Err(unavailable("its answer is too long"));
            }
            body.extend_from_slice(&piece);
        }
        let confirmed: Confirmation =
            serde_json::from_slice(&body).map_err(|_| unavailable("its answer is not about a user"))?;
        if confirmed.id != *id {
            return Err(unavailable("its answer is about another user"));
        }
        Ok(confirmed.role)
    }
}

type Answer = Result<OpenWebuiRole, OpenWebuiRefusal>;

/// What was answered about a token, and until when that is believed. Whoever asks holds the lock.
type Slot = Arc<Mutex<Option<(Instant, Answer)>>>;

/// The last answers, by the SHA-256 of the token.
struct Answers {
    keep: Duration,
    slots: SyncMutex<HashMap<Vec<u8>, Slot>>,
}

impl Answers {
    fn new(keep: Duration) -> Self {
        Self { keep, slots: SyncMutex::default() }
    }

    /// The answer about a token that is still believed, or else a new one. Of all who need it at once
    /// one asks.
    async fn get<F>(&self, token: &str, ask: impl FnOnce() -> F) -> Answer
    where
        F: Future<Output = Answer>,
    {
        let slot = self.slot(digest(&SHA256, token.as_bytes()).as_ref());
        let mut known = slot.lock().await;
        if let Some((until, answer)) = *known
            && Instant::now() < until
        {
            return answer;
        }
        let answer = ask().await;
        let keep = if answer.is_ok() { self.keep } else { KEEP_TROUBLE.min(self.keep) };
        *known = Some((Instant::now() + keep, answer));
        answer
    }

    /// The place of an answer, old or new. Only tokens with a good signature have one.
    fn slot(&self, hash: &[u8]) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(hash) {
            return Arc::clone(slot);
        }
        if slots.len() >= ANSWERS_AT_MOST {
            let now = Instant::now();
            // One that is locked is being asked for.
            slots.retain(|_, slot| {
                slot.try_lock().map_or(true, |known| known.is_some_and(|(until, _)| now < until))
            });
            if slots.len() >= ANSWERS_AT_MOST {
                slots.clear();
            }
        }
        let slot = Slot::default();
        slots.insert(hash.to_vec(), Arc::clone(&slot));
        slot
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn run(test: impl Future<Output = ()>) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(test);
    }

    #[test]
    fn a_confirmation_is_believed_for_its_time_and_a_refusal_shorter() {
        run(async {
            let answers = Answers::new(MINUTE);
            let asked = AtomicUsize::new(0);
            let get = async |answer: Answer| {
                let got = answers.get("token", async || {
                    asked.fetch_add(1, Ordering::SeqCst);
                    answer
                });
                (got.await, asked.load(Ordering::SeqCst))
            };
            let (admin, ended) = (Ok(OpenWebuiRole::Admin), Err(OpenWebuiRefusal::Ended));
            assert_eq!(get(admin).await, (admin, 1));
            tokio::time::advance(Duration::from_millis(59_999)).await;
            assert_eq!(get(ended).await, (admin, 1));
            tokio::time::advance(Duration::from_millis(1)).await;
            assert_eq!(get(ended).await, (ended, 2));
            tokio::time::advance(Duration::from_millis(4_999)).await;
            assert_eq!(get(admin).await, (ended, 2));
            tokio::time::advance(Duration::from_millis(1)).await;
            assert_eq!(get(admin).await, (admin, 3));
        });
    }

    #[test]
    fn of_many_who_need_an_answer_one_asks() {
        run(async {
            let answers = Answers::new(MINUTE);
            let asked = AtomicUsize::new(0);
            let get = || {
                answers.get("token", async || {
                    asked.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    Ok(OpenWebuiRole::User)
                })
            };
            // Whoever asks first leaves before there is an answer; the next one asks instead.
            assert!(tokio::time::timeout(Duration::from_millis(10), get()).await.is_err());
            let all = futures_util::future::join_all((0..50).map(|_| get())).await;
            assert_eq!(all, vec![Ok(OpenWebuiRole::User); 50]);
            assert_eq!(asked.load(Ordering::SeqCst), 2);
        });
    }

    #[test]
    fn the_number_of_answers_is_bounded() {
        run(async {
            let answers = Answers::new(MINUTE);
            let number = || answers.slots.lock().unwrap().len();
            for index in 0..ANSWERS_AT_MOST {
                answers.get(&index.to_string(), async || Ok(OpenWebuiRole::User)).await.unwrap();
            }
            assert_eq!(number(), ANSWERS_AT_MOST);
            tokio::time::advance(MINUTE / 2).await;
            answers.get("one more", async || Ok(OpenWebuiRole::User)).await.unwrap();
            assert_eq!(number(), 1);
        });
    }
}
