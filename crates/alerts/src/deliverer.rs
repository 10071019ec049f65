//! [`Deliverer`]: takes what is due and sends it.
//!
//! Deliveries are at least once: where a process dies, or its database goes away, between sending and writing
//! that down, the delivery is sent again when its claim has run out. Receivers know repetitions by their id.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use mai_audit_log::Actor;
use mai_global_settings::MasterKey;
use mai_primitives::{Clock, OrganizationId, UnixTime};
use mai_storage::Storage;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    address::Reach,
    alert::AlertModel,
    deliveries::{claim, is_due, parts, settle},
    delivery::{DeliveryModel, Outcome, Verdict},
    destination::{Channel, DestinationModel},
    destinations::secrets,
    error::Result,
    mail::Mailer,
    mail_text::mail_text,
    retention::{Cleaned, clean},
    service::AlertTable,
    signature::sign,
    webhook::WebhookSender,
};

/// How often it looks for what is due.
const EVERY: Duration = Duration::from_secs(1);
/// How often it looks for what is too old.
const CLEAN_EVERY: Duration = Duration::from_secs(3_600);
/// How many attempts are made at once, so that a slow receiver holds up no other.
const AT_ONCE: usize = 32;
/// How long attempts that are under way may take at a stop. What does not end is repeated by others.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Delivers alerts by webhook and, where a mail server is set up, by mail. Clones share everything.
#[derive(Clone)]
pub struct Deliverer(Arc<Inner>);

struct Inner {
    storage: Storage,
    clock: Arc<dyn Clock>,
    master_key: MasterKey,
    webhooks: WebhookSender,
    mailer: Option<Mailer>,
    alerts: AlertTable,
}

impl Deliverer {
    /// A deliverer on `storage`. Without a mailer mail waits until there is one, here or in another process.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(
        storage: Storage,
        clock: Arc<dyn Clock>,
        master_key: MasterKey,
        reach: Reach,
        mailer: Option<Mailer>,
    ) -> reqwest::Result<Self> {
        let alerts = AlertTable::new(storage.clone(), Arc::clone(&clock));
        let webhooks = WebhookSender::new(reach)?;
        Ok(Self(Arc::new(Inner { storage, clock, master_key, webhooks, mailer, alerts })))
    }

    /// Whether mail can be sent.
    pub fn has_mail(&self) -> bool {
        self.0.mailer.is_some()
    }

    /// Delivers until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut attempts = JoinSet::new();
        let (mut failing, mut cleaned) = (false, None::<Instant>);
        while !stop.is_cancelled() {
            if cleaned.is_none_or(|at| at.elapsed() >= CLEAN_EVERY) {
                cleaned = Some(Instant::now());
                self.clean().await;
            }
            while attempts.try_join_next().is_some() {}
            match self.claim(AT_ONCE.saturating_sub(attempts.len())).await {
                Ok(claimed) => {
                    failing = false;
                    for row in claimed {
                        let deliverer = self.clone();
                        attempts.spawn(async move { deliverer.attempt_and_tell(row).await });
                    }
                }
                Err(cause) => {
                    if !failing {
                        warn!(error = %cause, "alerts cannot be delivered while the database is away");
                    }
                    failing = true;
                }
            }
            stop.run_until_cancelled(tokio::time::sleep(EVERY)).await;
        }
        let finished = async { while attempts.join_next().await.is_some() {} };
        tokio::time::timeout(STOP_WITHIN, finished).await.ok();
    }

    /// Deletes and gives up what is too old. Where that fails, the next hour's attempt does the same.
    async fn clean(&self) {
        let now = self.now();
        match self.0.storage.write(move |conn| clean(conn, now)).await {
            Ok(Cleaned { alerts: 0, given_up: 0 }) => {}
            Ok(Cleaned { alerts, given_up }) => info!(alerts, given_up, "old alerts were cleaned up"),
            Err(cause) => warn!(error = %cause, "old alerts cannot be cleaned up at the moment"),
        }
    }

    /// Delivers what is due now, and returns how many attempts that were.
    pub async fn round(&self) -> Result<usize> {
        let claimed = self.claim(AT_ONCE).await?;
        let attempts = join_all(claimed.into_iter().map(|row| self.attempt(row))).await;
        Ok(attempts.into_iter().collect::<Result<Vec<_>>>()?.len())
    }

    /// Sends an alert about nothing to one destination, now and once, in the name of `actor`. It is about an
    /// organization; an owner reaches its own destinations only. Returns what became of it.
    pub async fn test(
        &self,
        owner: Option<OrganizationId>,
        destination: &str,
        organization: &OrganizationId,
        actor: Actor,
    ) -> Result<DeliveryModel> {
        let row = self.0.alerts.test(owner, destination, organization, actor).await?;
        // Where whoever has asked leaves, the attempt ends and the delivery stays as it is stored: failed.
        self.attempt(row).await
    }

    /// Takes what is due, at most so much.
    pub(crate) async fn claim(&self, limit: usize) -> Result<Vec<DeliveryModel>> {
        let (now, channels) = (self.now(), self.channels());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        if limit == 0 || !self.0.storage.read(move |conn| is_due(conn, channels, now)).await? {
            return Ok(Vec::new());
        }
        self.0.storage.write(move |conn| claim(conn, channels, limit, now)).await
    }

    fn channels(&self) -> &'static [Channel] {
        if self.has_mail() { &[Channel::Webhook, Channel::Email] } else { &[Channel::Webhook] }
    }

    fn now(&self) -> UnixTime {
        self.0.clock.now().into()
    }

    async fn attempt_and_tell(&self, row: DeliveryModel) {
        let (id, organization, attempts) = (row.id.clone(), row.client_org_id.clone(), row.attempts);
        match self.attempt(row).await {
            // Not what was wrong, which may name an address; the list of deliveries has that.
            Ok(row) => info!(
                delivery.id = id, organization.id = %organization, attempts, state = %row.state,
                status = row.last_status, "an alert was sent"
            ),
            Err(cause) => {
                error!(delivery.id = id, error = %cause, "what became of an alert was not written down");
            }
        }
    }

    /// Makes an attempt that was claimed, and writes down what became of it.
    pub(crate) async fn attempt(&self, row: DeliveryModel) -> Result<DeliveryModel> {
        let looked_up = row.clone();
        let (alert, destination) = self.0.storage.read(move |conn| parts(conn, &looked_up)).await?;
        let outcome = self.send(&row, &alert, &destination).await?;
        let (now, target) = (self.now(), destination.target);
        self.0.storage.write(move |conn| settle(conn, row.clone(), (&outcome, &target), now)).await
    }

    async fn send(
        &self,
        row: &DeliveryModel,
        alert: &AlertModel,
        destination: &DestinationModel,
    ) -> Result<Outcome> {
        let now = self.now();
        match destination.channel {
            Channel::Webhook => {
                let signature = secrets(&self.0.master_key, destination, now)
                    .and_then(|secrets| Ok(sign(&secrets, &alert.id, now.seconds(), &alert.body)?));
                let signature = match signature {
                    Ok(signature) => signature,
                    // A master key that is missing may come back.
                    Err(cause) => return Ok(Outcome::failed(Verdict::Again, None, &cause.to_string())),
                };
                let head = (alert.id.as_str(), now.seconds(), signature.as_str());
                Ok(self.0.webhooks.send(&destination.target, head, &alert.body).await)
            }
            Channel::Email => {
                let Some(mailer) = &self.0.mailer else {
                    return Ok(Outcome::failed(Verdict::Again, None, "no mail server is set up"));
                };
                let mail = mail_text(alert, destination.language);
                match mailer.send(&destination.target, &row.id, mail, now).await {
                    Ok(outcome) => Ok(outcome),
                    Err(cause) => Ok(Outcome::failed(Verdict::Again, None, &cause.to_string())),
                }
            }
        }
    }
}
