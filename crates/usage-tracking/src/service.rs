//! [`ClientUsageTable`]: recording usage and reading statistics.

use std::{collections::HashSet, sync::Arc};

use mai_audit_log::{Actor, Details, NewEntry, append};
use mai_client_organization::{
    ClientOrganizationModel,
    query::{active_organizations, markup_rate_at},
};
use mai_generation_processing::NewGeneration;
use mai_primitives::{Clock, GenerationId, ModelName, OrganizationId, UnixTime, UsageDate, Usd};
use mai_storage::{DbConnection, Storage};
use uuid::{NoContext, Timestamp, Uuid};

use crate::{
    assign::{self, Assigned, Assignment},
    catalogue::CATALOGUE,
    error::{Error, Result},
    manual::{Figures, UsageRecordDto, settle},
    model::{ClientDailyUsageModel, ClientLiveCountersModel},
    organization, query,
    record::{Recorded, only, record_generations},
    stats::{
        self, ClientBillingResponse, ClientUsageStatsResponse, LegacyMonth, LegacyUsageStats, ModelUsage,
        MonthlySummary, RolloverResult, UserUsage,
    },
    totals::Totals,
};

/// How many days the old shape's history shows.
const LEGACY_HISTORY_DAYS: i64 = 30;

/// Records usage and reads statistics. "Today" is the organization's own local day.
#[derive(Clone)]
pub struct ClientUsageTable {
    storage: Storage,
    clock: Arc<dyn Clock>,
    actor: Actor,
}

impl ClientUsageTable {
    /// A service on a database.
    pub fn new(storage: Storage, clock: Arc<dyn Clock>) -> Self {
        Self { storage, clock, actor: Actor::system() }
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
                let details = Details::none().with("total_cost", total_cost.to_string());
                let entry = NewEntry::done(Some(&org), "generation.settle", id.as_str()).with(details);
                append(conn, &actor, now, &entry)?;
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

    /// Users with usage in a range of days who are no registered members, as [`Self::get_usage_by_user`].
    pub async fn get_unassigned_usage(
        &self,
        org: &OrganizationId,
        start: Option<UsageDate>,
        end: Option<UsageDate>,
    ) -> Result<Vec<UserUsage>> {
        self.read_range(org, start, end, |conn, org, (from, to)| assign::unassigned(conn, org, from, to))
            .await
    }

    /// The statistics of the present month.
    pub async fn get_usage_stats_by_client(&self, org: &OrganizationId) -> Result<ClientUsageStatsResponse> {
        let (org, now) = (org.clone(), self.clock.now());
        let stats = self.storage.read(move |conn| {
            let organization = organization::load(conn, &org)?;
            let today = organization.calendar.usage_date(now);
            let first = today.first_of_month();
            let rows = query::daily_rows(conn, &org, first, today)?;
            let monthly_summary = MonthlySummary {
                total_unique_users: query::unique_users(conn, &org, first, today)?,
                top_models: stats::top_models(query::by_model(conn, &org, first, today)?),
            };
            let breakdown = |row| stats::breakdown(organization.calendar, row);
            Ok(ClientUsageStatsResponse {
                current_month: stats::current_month(today, &rows)?,
                daily_breakdown: rows.into_iter().map(breakdown).collect(),
                monthly_summary,
                client_org_name: organization.name,
            })
        });
        stats.await
    }

    /// The same as [`Self::get_usage_stats_by_client`]; the other name of the original.
    pub async fn get_usage_stats(&self, org: &OrganizationId) -> Result<ClientUsageStatsResponse> {
        self.get_usage_stats_by_client(org).await
    }

    /// The statistics in the shape of the original's first versions.
    pub async fn get_legacy_usage_stats(&self, org: &OrganizationId) -> Result<LegacyUsageStats> {
        let (org, now) = (org.clone(), self.clock.now());
        let stats = self.storage.read(move |conn| {
            let organization = organization::load(conn, &org)?;
            let today = organization.calendar.usage_date(now);
            let month = query::daily_rows(conn, &org, today.first_of_month(), today)?;
            let history = query::latest_rows(conn, &org, today, LEGACY_HISTORY_DAYS)?;
            let row = month.last().filter(|row| row.usage_date == today);
            Ok(LegacyUsageStats {
                today: ClientLiveCountersModel::from_row(org.clone(), today, row),
                this_month: LegacyMonth {
                    totals: stats::row_totals(&month)?,
                    days_active: stats::count(&month),
                },
                daily_history: history,
                client_org_name: organization.name,
            })
        });
        stats.await
    }

    /// Usage per member in a range of days, both included; the present month up to today where the
    /// range is not named. The greatest cost to the client first, then by member. Members without
    /// usage are absent.
    pub async fn get_usage_by_user(
        &self,
        org: &OrganizationId,
        start: Option<UsageDate>,
        end: Option<UsageDate>,
    ) -> Result<Vec<UserUsage>> {
        self.read_range(org, start, end, |conn, org, (from, to)| Ok(query::by_user(conn, org, from, to)?))
            .await
    }

    /// Usage per model in a range of days, as [`Self::get_usage_by_user`]: every model with usage,
    /// so that the sums are the organization's, and after them the models of the catalogue that
    /// have none, in the catalogue's order.
    pub async fn get_usage_by_model(
        &self,
        org: &OrganizationId,
        start: Option<UsageDate>,
        end: Option<UsageDate>,
    ) -> Result<Vec<ModelUsage>> {
        let used = self
            .read_range(org, start, end, |conn, org, (from, to)| Ok(query::by_model(conn, org, from, to)?));
        Ok(with_catalogue(used.await?))
    }

    /// The organization's rows of a range of days, ascending, as [`Self::get_usage_by_user`].
    pub async fn get_daily_usage(
        &self,
        org: &OrganizationId,
        start: Option<UsageDate>,
        end: Option<UsageDate>,
    ) -> Result<Vec<ClientDailyUsageModel>> {
        self.read_range(org, start, end, |conn, org, (from, to)| Ok(query::daily_rows(conn, org, from, to)?))
            .await
    }

    /// What the reseller earns with each active organization in a range of days, both included;
    /// by the organizations' names. Organizations without usage are there with zeros.
    pub async fn get_all_clients_usage_stats(
        &self,
        start: UsageDate,
        end: UsageDate,
    ) -> Result<Vec<ClientBillingResponse>> {
        if start > end {
            return Err(Error::InvalidRange(start, end));
        }
        let billing = self.storage.read(move |conn| {
            let mut usage = query::by_organization(conn, start, end)?;
            let bill = |organization: ClientOrganizationModel| {
                let (totals, days_active) = usage.remove(&organization.id).unwrap_or_default();
                let Totals { tokens, requests, raw_cost, markup_cost } = totals;
                Ok(ClientBillingResponse {
                    client_org_id: organization.id,
                    client_name: organization.name,
                    total_tokens: tokens,
                    raw_cost,
                    markup_cost,
                    profit_margin: markup_cost.checked_sub(raw_cost).ok_or(Error::OutOfRange("profits"))?,
                    total_requests: requests,
                    days_active,
                })
            };
            active_organizations(conn)?.into_iter().map(bill).collect()
        });
        billing.await
    }

    /// Usage of an organization so far today.
    pub async fn get_live_counter(&self, org: &OrganizationId) -> Result<ClientLiveCountersModel> {
        let (org, now) = (org.clone(), self.clock.now());
        let counter = self.storage.read(move |conn| {
            let today = organization::load(conn, &org)?.calendar.usage_date(now);
            let row = query::day(conn, &org, today)?;
            Ok(ClientLiveCountersModel::from_row(org, today, row.as_ref()))
        });
        counter.await
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

    /// Reads something of a known organization over a range of days: by default the present month
    /// up to today, or the month of `end` up to it.
    async fn read_range<T: Send + 'static>(
        &self,
        org: &OrganizationId,
        start: Option<UsageDate>,
        end: Option<UsageDate>,
        read: fn(&mut DbConnection, &OrganizationId, (UsageDate, UsageDate)) -> Result<T>,
    ) -> Result<T> {
        let (org, now) = (org.clone(), self.clock.now());
        let outcome = self.storage.read(move |conn| {
            let calendar = organization::load(conn, &org)?.calendar;
            let end = end.unwrap_or_else(|| calendar.usage_date(now));
            let start = start.unwrap_or_else(|| end.first_of_month());
            if start > end {
                return Err(Error::InvalidRange(start, end));
            }
            read(conn, &org, (start, end))
        });
        outcome.await
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

/// Appends the models of the catalogue that were not used.
fn with_catalogue(mut used: Vec<ModelUsage>) -> Vec<ModelUsage> {
    let names: HashSet<ModelName> = used.iter().map(|usage| usage.model_name.clone()).collect();
    let idle = CATALOGUE.iter().filter_map(|model| {
        let model_name = ModelName::new(model.id).ok().filter(|name| !names.contains(name))?;
        let provider = Some(model.provider().to_owned());
        Some(ModelUsage { model_name, provider, totals: Totals::default(), days_used: 0 })
    });
    used.extend(idle);
    used
}
