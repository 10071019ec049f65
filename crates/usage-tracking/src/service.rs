//! [`ClientUsageTable`]: recording usage; `reading` adds the statistics.

use std::sync::Arc;

use mai_audit_log::{Actor, Details, NewEntry, append};
use mai_client_organization::query::markup_rate_at;
use mai_generation_processing::NewGeneration;
use mai_primitives::{Clock, GenerationId, ModelName, OrganizationId, UnixTime, Usd, UsdPlnRate};
use mai_storage::{DbConnection, Storage};
use uuid::{NoContext, Timestamp, Uuid};

use crate::{
    assign::{self, Assigned, Assignment},
    error::Result,
    manual::{Figures, UsageRecordDto, settle},
    organization,
    record::{Recorded, only, record_generations},
    stats::RolloverResult,
};

/// Records usage and reads statistics. "Today" is the organization's own local day.
#[derive(Clone)]
pub struct ClientUsageTable {
    pub(crate) storage: Storage,
    pub(crate) clock: Arc<dyn Clock>,
    /// The rate that stands in where no table of NBP is known, if one is configured.
    pub(crate) fallback_rate: Option<UsdPlnRate>,
    actor: Actor,
}

impl ClientUsageTable {
    /// A service on a database.
    pub fn new(storage: Storage, clock: Arc<dyn Clock>) -> Self {
        Self { storage, clock, fallback_rate: None, actor: Actor::system() }
    }

    /// The same service, which converts by `fallback` where no table of NBP is known, and says so.
    #[must_use]
    pub fn with_fallback_rate(self, fallback: Option<UsdPlnRate>) -> Self {
        Self { fallback_rate: fallback, ..self }
    }

    /// The same service in the name of `actor`, whom the audit log will tell.
    #[must_use]
    pub fn acting_as(&self, actor: Actor) -> Self {
        Self { actor, ..self.clone() }
    }

    /// Books one generation by hand, with the source `manual` and the organization's rate of that
    /// day.
    pub async fn record_usage(&self, record: UsageRecordDto) -> Result<Recorded> {
        let now = self.clock.now();
        let id = match &record.generation_id {
            Some(id) => id.clone(),
            None => new_id(now.into())?,
        };
        let booked = self.storage.write(move |conn| {
            let org = &record.client_org_id;
            let calendar = organization::load(conn, org)?.calendar;
            let at = record.instant(calendar, calendar.usage_date(now), now.into())?;
            let rate = markup_rate_at(conn, org, at)?;
            let generation = record.generation(id.clone(), rate, at)?;
            book_one(conn, &generation, now.into())
        });
        booked.await
    }

    /// Books one generation of which everything is known: its ledger row and its daily usage, in
    /// one transaction. The original wrote the ledger row alone, and lost or doubled usage when it
    /// died in between.
    pub async fn add_generation(&self, generation: NewGeneration) -> Result<Recorded> {
        let now = self.clock.now().into();
        self.storage.write(move |conn| book_one(conn, &generation, now)).await
    }

    /// The same as [`Self::add_generation`]; the other name of the original.
    pub async fn mark_generation_processed(&self, generation: NewGeneration) -> Result<Recorded> {
        self.add_generation(generation).await
    }

    /// Books reports of one organization's generations in one transaction and tells, in their order,
    /// what became of each: see [`record_generations`].
    pub async fn record_reports(
        &self,
        org: &OrganizationId,
        reports: Vec<NewGeneration>,
    ) -> Result<Vec<Recorded>> {
        let (org, now) = (org.clone(), self.clock.now().into());
        self.storage.write(move |conn| record_generations(conn, &org, &reports, now)).await
    }

    /// Books a generation that is pending or unresolved with what a person found out, as a report of
    /// the source `manual`, and ends its waiting. The cost is OpenRouter's, the tokens are native
    /// ones; the member, the day and the markup rate are those of the call.
    ///
    /// A generation that is not pending is an error. [`Recorded::Conflict`] means that it was booked
    /// meanwhile with other figures; it then stays pending for a person to look at.
    pub async fn settle_by_hand(
        &self,
        org: &OrganizationId,
        id: &GenerationId,
        total_cost: Usd,
        input_tokens: i64,
        output_tokens: i64,
        model_name: ModelName,
    ) -> Result<Recorded> {
        let (org, id, now) = (org.clone(), id.clone(), self.clock.now().into());
        let figures = Figures { total_cost, input_tokens, output_tokens, model_name };
        let actor = self.actor.clone();
        self.storage
            .write(move |conn| {
                let recorded = settle(conn, &org, &id, &figures, now)?;
                let details = Details::none().with_confidential("total_cost", total_cost.to_string());
                let result = if recorded == Recorded::Conflict { "conflicting_usage" } else { "ok" };
                let entry =
                    NewEntry { result, ..NewEntry::done(Some(&org), "generation.settle", id.as_str()) };
                append(conn, &actor, now, &entry.with(details))?;
                Ok(recorded)
            })
            .await
    }

    /// Gives usage that was booked for one user to a member, and logs it: see [`assign::assign`].
    pub async fn assign(&self, org: &OrganizationId, assignment: Assignment) -> Result<Assigned> {
        let (org, now, actor) = (org.clone(), self.clock.now().into(), self.actor.clone());
        self.storage
            .write(move |conn| {
                let assigned = assign::assign(conn, &org, &assignment, now)?;
                let entry = NewEntry::done(Some(&org), "usage.assign", assignment.from.as_str());
                append(conn, &actor, now, &entry.with(assigned.details(&assignment)))?;
                Ok(assigned)
            })
            .await
    }

    /// Does nothing, successfully: today's counters are read from the daily rows, so that a new
    /// day begins by itself.
    pub fn rollover_daily_counters(&self) -> RolloverResult {
        RolloverResult { success: true, rollovers_performed: 0, timestamp: self.clock.now().into() }
    }

    /// The same as [`Self::rollover_daily_counters`]; the other name of the original.
    pub fn perform_daily_rollover_all_clients(&self) -> RolloverResult {
        self.rollover_daily_counters()
    }
}

fn book_one(conn: &mut DbConnection, generation: &NewGeneration, now: UnixTime) -> Result<Recorded> {
    let org = &generation.client_org_id;
    Ok(only(&record_generations(conn, org, std::slice::from_ref(generation), now)?))
}

/// An id for a generation that came without one: `rec-` and a UUID that sorts by time.
fn new_id(now: UnixTime) -> Result<GenerationId> {
    let seconds = u64::try_from(now.seconds()).unwrap_or(0);
    let uuid = Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, 0));
    Ok(GenerationId::new(format!("rec-{uuid}"))?)
}
