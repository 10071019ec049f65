//! [`Reconciler`]: asks OpenRouter for the exact cost of every generation that is still pending.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use mai_generation_processing::{
    NewGeneration, PendingGenerationModel, UsageSource,
    pending::{claim_due, mark_unresolved, next_pause_seconds, postpone},
};
use mai_openrouter::{GenerationDetails, GenerationLookup, GenerationSource, UsageReport};
use mai_primitives::{Clock, ModelName, UnixTime};
use mai_storage::{Storage, TransactionError};
use mai_usage_tracking::{Recorded, record_generations};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{applier::causes, directory::SharedDirectory};

/// How many generations are claimed and asked for at once.
const AT_ONCE: u16 = 16;
/// A claim that was not finished, because its process died, is free again after this. A look-up
/// gives up after 15 seconds.
const LEASE_SECONDS: i64 = 20;
/// How often the table is looked at.
const IDLE: Duration = Duration::from_secs(1);

/// Settles pending generations by looking them up.
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
    /// Works until `stop`. Several processes may do so on one database; each row is claimed by one.
    pub async fn run(self, stop: CancellationToken) {
        let mut failing = false;
        while !stop.is_cancelled() {
            match self.round().await {
                Ok(more) => {
                    failing = false;
                    if more {
                        continue;
                    }
                }
                Err(cause) => {
                    if !failing {
                        error!(error = %cause, "pending generations cannot be read");
                    }
                    failing = true;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(IDLE) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Asks for all that are due, up to a bound; true when there may be more.
    pub async fn round(&self) -> Result<bool, mai_generation_processing::Error> {
        let now = self.now();
        let claimed =
            self.storage.write(move |conn| claim_due(conn, now, LEASE_SECONDS, i64::from(AT_ONCE))).await?;
        let full = claimed.len() == usize::from(AT_ONCE);
        stream::iter(claimed).for_each_concurrent(usize::from(AT_ONCE), |row| self.settle_or_log(row)).await;
        Ok(full)
    }

    async fn settle_or_log(&self, row: PendingGenerationModel) {
        let (organization, id) = (row.client_org_id.clone(), row.id.clone());
        let Err(cause) = self.settle(row).await else { return };
        let why = causes(&cause);
        error!(%organization, generation = %id, error = why, "a look-up could not be booked");
        if matches!(cause.storage(), Some(mai_storage::Error::Busy(_) | mai_storage::Error::Unavailable(_))) {
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
            return self.try_later(row, "the organization has no provider key").await;
        };
        match self.source.generation(&key, row.id.as_str()).await {
            Ok(GenerationLookup::NotReady) => self.try_later(row, "OpenRouter does not know it yet").await,
            Ok(GenerationLookup::Found(details)) => match exact_generation(&row, &details) {
                Ok(generation) => self.book(row, generation).await,
                Err(why) => self.try_later(row, &why).await,
            },
            Err(cause) => self.try_later(row, &cause.to_string()).await,
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
        let recorded = self.storage.write(move |conn| {
            let recorded = record_generations(conn, &organization, std::slice::from_ref(&generation), now)?;
            if recorded.contains(&Recorded::Conflict) {
                // Only a person can tell which of the two reports is right, so it stays visible.
                mark_unresolved(conn, &organization, &id, "the ledger has it with another cost", now)?;
            }
            Ok::<_, mai_usage_tracking::Error>(recorded)
        });
        if recorded.await?.contains(&Recorded::Conflict) {
            warn!(organization = %row.client_org_id, generation = %row.id, "a look-up contradicts the ledger");
            return Ok(());
        }
        info!(organization = %row.client_org_id, generation = %row.id, attempts = row.attempts, "a pending generation is settled");
        Ok(())
    }

    async fn try_later(
        &self,
        row: PendingGenerationModel,
        why: &str,
    ) -> Result<(), mai_usage_tracking::Error> {
        let now = self.now();
        let age = now.seconds().saturating_sub(row.started_at.seconds());
        let pause = next_pause_seconds(row.attempts, age);
        if pause.is_none() {
            warn!(organization = %row.client_org_id, generation = %row.id, reason = why, "a generation stays unresolved");
        }
        let why = why.to_owned();
        self.storage
            .write(move |conn| match pause {
                Some(pause) => {
                    postpone(conn, &row.client_org_id, &row.id, now.plus_seconds(pause), &why, now)
                }
                None => mark_unresolved(conn, &row.client_org_id, &row.id, &why, now),
            })
            .await?;
        Ok(())
    }

    fn now(&self) -> UnixTime {
        UnixTime::from(self.clock.now())
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
        started_at: row.started_at,
    })
}
