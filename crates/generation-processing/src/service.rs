//! [`ProcessedGenerationTable`]: the ledger for everybody but the recorder.

use std::sync::Arc;

use mai_audit_log::{Actor, Details, NewEntry, append};
use mai_primitives::{Clock, GenerationId, ModelName, OrganizationId, UnixTime, UsageDate, Usd};
use mai_storage::Storage;
use tracing::error;

use crate::{
    audit::{self, AuditPageQuery, GenerationAuditModel},
    by_hand,
    cleanup::{self, Cleanup, CleanupStatsResult, ProcessedGenerationCleanupLogModel},
    error::{Error, Result},
    model::{DuplicateCheck, ProcessedGenerationInfo, ProcessedGenerationModel, ProcessedGenerationStats},
    pending::{self, PendingGenerationModel, PendingQuery, PendingState},
    query,
};

/// Reads the ledger and cleans it up.
///
/// The original's `add_generation` and `mark_generation_processed` are methods of the
/// usage-tracking crate's `ClientUsageTable`: a ledger row without its daily usage would make the
/// sums of the two differ, so both are only ever written together.
#[derive(Clone)]
pub struct ProcessedGenerationTable {
    storage: Storage,
    clock: Arc<dyn Clock>,
    actor: Actor,
}

impl ProcessedGenerationTable {
    /// A service on a database.
    pub fn new(storage: Storage, clock: Arc<dyn Clock>) -> Self {
        Self { storage, clock, actor: Actor::system() }
    }

    /// The same service in the name of `actor`, whom the audit log will tell.
    #[must_use]
    pub fn acting_as(&self, actor: Actor) -> Self {
        Self { actor, ..self.clone() }
    }

    /// Whether the generation was booked for this organization.
    pub async fn is_processed(&self, id: &GenerationId, org: &OrganizationId) -> Result<bool> {
        let (id, org) = (id.clone(), org.clone());
        self.storage.read(move |conn| Ok(query::is_processed(conn, &id, &org)?)).await
    }

    /// The same as [`Self::is_processed`]; the other name of the original.
    pub async fn is_generation_processed(&self, id: &GenerationId, org: &OrganizationId) -> Result<bool> {
        self.is_processed(id, org).await
    }

    /// Whether a report repeats a generation that was booked for this organization. The id decides;
    /// a differing cost makes it a conflict and never a new generation. The model is taken as the
    /// original takes it, and decides nothing.
    pub async fn is_duplicate(
        &self,
        org: &OrganizationId,
        request_id: &GenerationId,
        _model: &ModelName,
        cost: Usd,
    ) -> Result<DuplicateCheck> {
        Ok(match self.get_generation(org, request_id).await? {
            None => DuplicateCheck::Unknown,
            Some(row) if row.total_cost == cost => DuplicateCheck::Duplicate,
            Some(row) => DuplicateCheck::Conflict { booked: row.total_cost },
        })
    }

    /// The ledger's row of a generation, or none.
    pub async fn get_generation(
        &self,
        org: &OrganizationId,
        id: &GenerationId,
    ) -> Result<Option<ProcessedGenerationModel>> {
        let (org, id) = (org.clone(), id.clone());
        self.storage.read(move |conn| Ok(query::find(conn, &org, &id)?)).await
    }

    /// The generations of one local day, by the start of the request.
    pub async fn get_processed_generations_for_date(
        &self,
        org: &OrganizationId,
        date: UsageDate,
    ) -> Result<Vec<ProcessedGenerationInfo>> {
        let org = org.clone();
        let rows = self.storage.read(move |conn| query::for_date(conn, &org, date)).await?;
        Ok(rows.into_iter().map(ProcessedGenerationInfo::from).collect())
    }

    /// Sums over the generations of the days from `start` to `end`, both included.
    pub async fn get_processed_generations_stats(
        &self,
        org: &OrganizationId,
        start: UsageDate,
        end: UsageDate,
    ) -> Result<ProcessedGenerationStats> {
        let org = org.clone();
        self.storage.read(move |conn| Ok(query::stats(conn, &org, start, end)?)).await
    }

    /// Deletes the rows that were written more than `days_to_retain` days ago, of all
    /// organizations; the original's default is [`cleanup::DEFAULT_DAYS_TO_RETAIN`].
    ///
    /// The rows go in one transaction with the log's row. A failure deletes nothing, is logged by a
    /// row as well, and returned. A repetition of a generation whose row is gone could not be
    /// recognized, so booking refuses what is older than the retention.
    pub async fn cleanup_old_generations(&self, days_to_retain: i32) -> Result<CleanupStatsResult> {
        let cleanup = Cleanup::new(self.clock.now(), days_to_retain)?;
        let clock = Arc::clone(&self.clock);
        let outcome = self.storage.write(move |conn| cleanup.run(conn, || clock.now())).await;
        if let Err(failure) = &outcome {
            self.log_failure(cleanup, failure).await;
        }
        outcome
    }

    /// The same as [`Self::cleanup_old_generations`]; the other name of the original.
    pub async fn cleanup_old_processed_generations(&self, days_to_keep: i32) -> Result<CleanupStatsResult> {
        self.cleanup_old_generations(days_to_keep).await
    }

    /// The latest rows of the cleanup's log, the newest first.
    pub async fn get_cleanup_log(&self, limit: i64) -> Result<Vec<ProcessedGenerationCleanupLogModel>> {
        self.storage.read(move |conn| Ok(cleanup::list_log(conn, limit)?)).await
    }

    /// At most `limit` generations whose cost is not known, of one organization or of all, in one
    /// state or in any; the oldest request first.
    pub async fn list_pending(
        &self,
        org: Option<&OrganizationId>,
        state: Option<PendingState>,
        limit: i64,
    ) -> Result<Vec<PendingGenerationModel>> {
        let org = org.cloned();
        self.storage.read(move |conn| Ok(pending::list_pending(conn, org.as_ref(), state, limit)?)).await
    }

    /// A page of the generations that a query names, the oldest request first.
    pub async fn pending_page(&self, query: PendingQuery) -> Result<Vec<PendingGenerationModel>> {
        self.storage.read(move |conn| Ok(pending::page_pending(conn, &query)?)).await
    }

    /// A generation that waits or is unresolved; none where there is no such.
    pub async fn get_pending(
        &self,
        org: &OrganizationId,
        id: &GenerationId,
    ) -> Result<Option<PendingGenerationModel>> {
        let (org, id) = (org.clone(), id.clone());
        self.storage.read(move |conn| Ok(pending::find_pending(conn, &org, &id)?)).await
    }

    /// A page of corrected, refused and dismissed reports of one organization, the newest first.
    pub async fn audit_page(&self, query: AuditPageQuery) -> Result<Vec<GenerationAuditModel>> {
        self.storage.read(move |conn| Ok(audit::page_audit(conn, &query)?)).await
    }

    /// Ends the waiting of a generation that was not charged: see [`by_hand::dismiss`].
    pub async fn dismiss(&self, org: &OrganizationId, id: &GenerationId, reason: &str) -> Result<()> {
        let (org, id, reason) = (org.clone(), id.clone(), reason.to_owned());
        let (now, actor) = (self.clock.now().into(), self.actor.clone());
        self.storage
            .write(move |conn| {
                by_hand::dismiss(conn, &org, &id, &reason, now)?;
                let entry = NewEntry::done(Some(&org), "generation.dismiss", id.as_str());
                let details = Details::none().with("reason", reason.trim());
                append(conn, &actor, now, &entry.with(details))?;
                Ok(())
            })
            .await
    }

    /// Makes one generation due for a look-up: see [`by_hand::look_up_again`].
    pub async fn look_up_again(&self, org: &OrganizationId, id: &GenerationId) -> Result<()> {
        let (org, id, now) = (org.clone(), id.clone(), self.clock.now().into());
        let actor = self.actor.clone();
        self.storage
            .write(move |conn| {
                by_hand::look_up_again(conn, &org, &id, now)?;
                append(conn, &actor, now, &NewEntry::done(Some(&org), "generation.look_up", id.as_str()))?;
                Ok(())
            })
            .await
    }

    /// Makes all waiting generations of an organization due for a look-up: see [`by_hand::make_due`].
    pub async fn make_due(&self, org: &OrganizationId, since: UnixTime) -> Result<usize> {
        let (org, now, actor) = (org.clone(), self.clock.now().into(), self.actor.clone());
        self.storage
            .write(move |conn| {
                let due = by_hand::make_due(conn, &org, since, now)?;
                let details = Details::none().with("generations", due);
                let entry = NewEntry::done(Some(&org), "generation.look_up_pending", "").with(details);
                append(conn, &actor, now, &entry)?;
                Ok(due)
            })
            .await
    }

    /// At most `limit` corrected, refused and dismissed reports of one organization or of all, the
    /// newest first.
    pub async fn list_audit(
        &self,
        org: Option<&OrganizationId>,
        limit: i64,
    ) -> Result<Vec<GenerationAuditModel>> {
        let org = org.cloned();
        self.storage.read(move |conn| Ok(audit::list_audit(conn, org.as_ref(), limit)?)).await
    }

    /// The caller gets the failure itself; that its log row could not be written as well goes to
    /// the program's log, as there is one error to return.
    async fn log_failure(&self, cleanup: Cleanup, failure: &Error) {
        let (failure, now) = (failure.to_string(), self.clock.now());
        let logged = self.storage.write(move |conn| cleanup.log_failure(conn, &failure, now)).await;
        if let Err(error) = logged {
            error!(%error, "the failure of a ledger cleanup could not be logged");
        }
    }
}
