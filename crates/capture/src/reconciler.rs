//! [`Reconciler`]: asks OpenRouter for the exact cost of every generation that is still pending.

use std::{sync::Arc, time::Duration};

use mai_client_organization::external_ids::together;
use mai_generation_processing::{
    NewGeneration, PendingGenerationModel, UsageSource,
    pending::{claim_due, mark_unresolved, next_pause_seconds, postpone, rest, user_of},
};
use mai_openrouter::{GenerationDetails, GenerationLookup, GenerationSource, LookupError, UsageReport};
use mai_primitives::{Clock, ModelName, UnixTime};
use mai_storage::{Storage, TransactionError};
use mai_usage_tracking::{Recorded, record_generations};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{applier::causes, bounds::absurdity, directory::SharedDirectory};

/// How many generations are asked for at the same time.
const AT_ONCE: usize = 16;
/// A claim that was not finished, because its process died, is free again after this. A look-up
/// gives up after 15 seconds.
const LEASE_SECONDS: i64 = 20;
/// How often the table is looked at.
const IDLE: Duration = Duration::from_secs(1);
/// The longest pause that a `Retry-After` can cause, in seconds: that of a generation which nobody
/// knows for hours.
const LONGEST_REST: i64 = 3_600;

/// Look-ups that are under way. Each is a task of its own: one that nobody polls for a moment may hold
/// the turn at the database for which the others wait.
type LookUps = JoinSet<()>;

/// Settles pending generations by looking them up. Clones share everything.
#[derive(Clone)]
pub struct Reconciler {
    /// Where costs are asked for.
    pub source: Arc<dyn GenerationSource>,
    /// The database.
    pub storage: Storage,
    /// For the organizations' provider keys.
    pub directory: SharedDirectory,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Reconciler {
    /// Works until `stop`; look-ups that are under way then are given up, and free again when their
    /// claims run out. Several processes may work on one database; each row is claimed by one.
    pub async fn run(self, stop: CancellationToken) {
        let mut failing = false;
        let mut look_ups = LookUps::new();
        loop {
            match self.begin(&mut look_ups, self.now()).await {
                Ok(()) => failing = false,
                Err(cause) => {
                    if !failing {
                        error!(error = %cause, "pending generations cannot be read");
                    }
                    failing = true;
                }
            }
            tokio::select! {
                Some(ended) = look_ups.join_next() => log_panic(ended),
                () = tokio::time::sleep(IDLE) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Asks once for all that are due at this moment, and returns when each has its answer.
    pub async fn round(&self) -> Result<(), mai_generation_processing::Error> {
        let now = self.now();
        let mut look_ups = LookUps::new();
        loop {
            self.begin(&mut look_ups, now).await?;
            let Some(ended) = look_ups.join_next().await else { return Ok(()) };
            log_panic(ended);
        }
    }

    /// Claims what is due at `now` for the places that are free, so that a slow answer takes up one
    /// place and holds up nobody.
    async fn begin(
        &self,
        look_ups: &mut LookUps,
        now: UnixTime,
    ) -> Result<(), mai_generation_processing::Error> {
        let free = i64::try_from(AT_ONCE.saturating_sub(look_ups.len())).unwrap_or(0);
        if free == 0 {
            return Ok(());
        }
        let claimed = self.storage.write(move |conn| claim_due(conn, now, LEASE_SECONDS, free)).await?;
        for row in claimed {
            let reconciler = self.clone();
            look_ups.spawn(async move { reconciler.settle_or_log(row).await });
        }
        Ok(())
    }

    async fn settle_or_log(&self, row: PendingGenerationModel) {
        let (organization, id) = (row.client_org_id.clone(), row.id.clone());
        let Err(cause) = self.settle(row).await else { return };
        let why = causes(&cause);
        error!(%organization, generation = %id, error = why, "a look-up could not be booked");
        if cause.storage().is_some_and(mai_storage::Error::is_transient) {
            // The claim runs out, and the next one tries again.
            return;
        }
        let now = self.now();
        let marked = self.storage.write(move |conn| mark_unresolved(conn, &organization, &id, &why, now));
        if let Err(cause) = marked.await {
            error!(error = causes(&cause), "an unbookable look-up could not be written down");
        }
    }

    async fn settle(&self, row: PendingGenerationModel) -> Result<(), mai_usage_tracking::Error> {
        let directory = self.directory.current();
        let key = directory.organization(&row.client_org_id).and_then(|entry| entry.provider_key.clone());
        let Some(key) = key else {
            return self.try_later(row, "the organization has no provider key", None).await;
        };
        match self.source.generation(&key, row.id.as_str()).await {
            Ok(GenerationLookup::NotReady) => {
                self.try_later(row, "OpenRouter does not know it yet", None).await
            }
            Ok(GenerationLookup::Found(details)) => match exact_generation(&row, &details) {
                Ok(generation) => match absurdity(&generation) {
                    Some(why) => self.give_up(row, format!("what OpenRouter has of it {why}")).await,
                    None => self.book(row, generation).await,
                },
                Err(why) => self.try_later(row, &why, None).await,
            },
            Err(cause @ LookupError::RateLimited { retry_after }) => {
                self.try_later(row, &cause.to_string(), retry_after).await
            }
            Err(cause) => self.try_later(row, &cause.to_string(), None).await,
        }
    }

    /// The same door as every other record; it also removes the pending row.
    async fn book(
        &self,
        row: PendingGenerationModel,
        generation: NewGeneration,
    ) -> Result<(), mai_usage_tracking::Error> {
        let now = self.now();
        let (organization, id) = (row.client_org_id.clone(), row.id.clone());
        let settled = self.storage.write(move |conn| {
            // It may have been given to another member since it was claimed.
            together(conn, &organization)?;
            let mut generation = generation.clone();
            if let Some(user) = user_of(conn, &organization, &id)? {
                generation.user_id = user;
            }
            let recorded = record_generations(conn, &organization, std::slice::from_ref(&generation), now)?;
            // Only a person can tell which of two look-ups is right, or whether it was booked before.
            let why = if recorded.contains(&Recorded::Conflict) {
                "the ledger has another cost or other tokens from a look-up"
            } else if recorded.contains(&Recorded::TooOld) {
                "the ledger of its day was cleaned up, so nobody can tell if it was booked before"
            } else {
                return Ok::<_, mai_usage_tracking::Error>(Ok(()));
            };
            mark_unresolved(conn, &organization, &id, why, now)?;
            Ok(Err(why))
        });
        match settled.await? {
            Ok(()) => {
                info!(organization = %row.client_org_id, generation = %row.id, attempts = row.attempts, "a pending generation is settled");
            }
            Err(why) => {
                warn!(organization = %row.client_org_id, generation = %row.id, reason = why, "a generation stays unresolved");
            }
        }
        Ok(())
    }

    /// Puts the next look-up off, or ends the look-ups after 72 hours. Where OpenRouter has asked for a
    /// pause, all generations of the organization wait for its end, as they are asked for by one key.
    async fn try_later(
        &self,
        row: PendingGenerationModel,
        why: &str,
        asked: Option<Duration>,
    ) -> Result<(), mai_usage_tracking::Error> {
        let now = self.now();
        let age = now.seconds().saturating_sub(row.started_at.seconds());
        let (organization, id, reason) = (row.client_org_id.clone(), row.id.clone(), why.to_owned());
        let Some(pause) = next_pause_seconds(row.attempts, age) else {
            return self.give_up(row, reason).await;
        };
        let asked =
            asked.map(|asked| i64::try_from(asked.as_secs()).unwrap_or(LONGEST_REST).clamp(1, LONGEST_REST));
        self.storage
            .write(move |conn| {
                if let Some(asked) = asked {
                    rest(conn, &organization, now.plus_seconds(asked), now)?;
                }
                let next = now.plus_seconds(asked.unwrap_or(pause));
                postpone(conn, &organization, &id, next, &reason, now)
            })
            .await?;
        Ok(())
    }

    /// Ends the look-ups of a generation; a person has to settle it.
    async fn give_up(
        &self,
        row: PendingGenerationModel,
        why: String,
    ) -> Result<(), mai_usage_tracking::Error> {
        let now = self.now();
        let (organization, id, reason) = (row.client_org_id.clone(), row.id.clone(), why.clone());
        let mark = move |conn: &mut _| mark_unresolved(conn, &organization, &id, &reason, now);
        if self.storage.write(mark).await? {
            warn!(organization = %row.client_org_id, generation = %row.id, reason = why, "a generation stays unresolved");
        }
        Ok(())
    }

    fn now(&self) -> UnixTime {
        UnixTime::from(self.clock.now())
    }
}

/// The claim of a look-up that panicked runs out, and the next one tries again.
fn log_panic(ended: Result<(), JoinError>) {
    if let Err(cause) = ended {
        error!(error = %cause, "a look-up ended unexpectedly");
    }
}

/// The ledger row of a pending generation whose record was found, or why its cost is still unknown.
fn exact_generation(
    row: &PendingGenerationModel,
    details: &GenerationDetails,
) -> Result<NewGeneration, String> {
    let usage = match &details.usage {
        UsageReport::Exact(usage) => usage,
        UsageReport::Incomplete { why } => return Err(why.to_string()),
        UsageReport::Absent => return Err("the record has no cost".to_owned()),
    };
    let answered = details.model.as_deref().and_then(|name| ModelName::new(name).ok());
    Ok(NewGeneration {
        client_org_id: row.client_org_id.clone(),
        id: row.id.clone(),
        generation_date: row.generation_date,
        total_cost: usage.cost,
        cost_text: usage.cost_text.clone(),
        markup_rate: row.markup_rate,
        user_id: row.user_id.clone(),
        openrouter_user_id: row.openrouter_user_id.clone(),
        model_name: answered.or_else(|| row.requested_model.clone()).unwrap_or_else(ModelName::unknown),
        requested_model: row.requested_model.clone(),
        serving_provider: details.provider_name.clone(),
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        cached_tokens: usage.cached_tokens,
        cache_write_tokens: usage.cache_write_tokens,
        reasoning_tokens: usage.reasoning_tokens,
        is_byok: usage.is_byok,
        tokens_estimated: details.tokens_estimated,
        streamed: row.streamed,
        source: UsageSource::GenerationLookup,
        gateway_key_id: row.gateway_key_id.clone(),
        task: row.task.clone(),
        started_at: row.started_at,
    })
}
