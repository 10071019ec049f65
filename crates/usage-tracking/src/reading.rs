//! The statistics of [`ClientUsageTable`]. Each answer is read from one snapshot of the daily tables.

use mai_exchange_rates::{CurrentRate, query::current};
use mai_primitives::{OrganizationId, Pln, UnixTime, UsageDate, UsdPlnRate, UserId};
use mai_storage::DbConnection;

use crate::{
    assign,
    error::Result,
    listing::{Listing, Page, page, page_of},
    model::{ClientDailyUsageModel, ClientLiveCountersModel},
    organization::{self, Organization},
    pln::{self, Conversion},
    query::{self, UserSums},
    range::DayRange,
    service::ClientUsageTable,
    stats::{
        self, ClientBillingResponse, ClientUsageStatsResponse, LegacyMonth, LegacyUsageStats, ModelUsage,
        MonthlySummary, UserUsage,
        costs::{self, CostAnalytics},
        engagement::{self, Engagement},
        fleet::{self, ClientSort, Fleet},
        models::{self, ModelSort, ProviderUsage},
        overview::{self, Overview},
        own::{self, OwnUsage},
        series::{self, DailyUsage, GroupBy, Metric},
        trend::{self, Trend},
        users::{self, Activity, UserSort},
    },
};

/// How many days the old shape's history shows.
const LEGACY_HISTORY_DAYS: i64 = 30;
/// How many months a trend shows at most.
pub const MAX_TREND_MONTHS: u32 = 36;

/// Which days are asked about: by default the present month up to today, or the month of `end` up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Days {
    /// The first day.
    pub start: Option<UsageDate>,
    /// The last day.
    pub end: Option<UsageDate>,
}

/// A part of a list, of an organization and a range of days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// The organization's name.
    pub client_org_name: String,
    /// The days.
    pub range: DayRange,
    /// What was listed.
    pub page: Page<T>,
    /// What the organization is charged for these days, as the sum of its rounded days in PLN; none where
    /// no rate is known. The rows of members and models are rounded on their own.
    pub cost_pln: Option<Pln>,
    /// How the costs became PLN.
    pub conversion: Conversion,
}

/// What a question about a known organization is answered from.
struct Asked {
    id: OrganizationId,
    organization: Organization,
    today: UsageDate,
    range: DayRange,
    current: Option<CurrentRate>,
}

impl Asked {
    /// The rate of days that have none of their own yet.
    fn rate(&self) -> Option<UsdPlnRate> {
        self.current.as_ref().map(|current| current.rate)
    }

    /// A part of a list with what the organization as a whole was charged.
    fn listed<T>(self, conn: &mut DbConnection, page: Page<T>) -> Result<Listed<T>> {
        let rows = query::daily_rows(conn, &self.id, self.range.from(), self.range.to())?;
        Ok(Listed {
            client_org_name: self.organization.name,
            range: self.range,
            page,
            cost_pln: pln::sum_days(&rows, self.current.as_ref())?,
            conversion: Conversion::of(&rows, self.current),
        })
    }
}

impl ClientUsageTable {
    /// When usage of an organization was last added, on whatever day; none where it has none.
    pub async fn last_activity(&self, org: &OrganizationId) -> Result<Option<UnixTime>> {
        let org = org.clone();
        self.storage.read(move |conn| Ok(query::last_activity(conn, &org)?)).await
    }

    /// The statistics of the present month.
    pub async fn get_usage_stats_by_client(&self, org: &OrganizationId) -> Result<ClientUsageStatsResponse> {
        self.usage_summary(org, Days::default()).await
    }

    /// The same as [`Self::get_usage_stats_by_client`]; the other name of the original.
    pub async fn get_usage_stats(&self, org: &OrganizationId) -> Result<ClientUsageStatsResponse> {
        self.usage_summary(org, Days::default()).await
    }

    /// The statistics of a range of days.
    pub async fn usage_summary(&self, org: &OrganizationId, days: Days) -> Result<ClientUsageStatsResponse> {
        let read = |conn: &mut DbConnection, asked: Asked| {
            let Asked { id, organization, today, range, current } = asked;
            let (from, to) = (range.from(), range.to());
            let rows = query::daily_rows(conn, &id, from, to)?;
            let monthly_summary = MonthlySummary {
                total_unique_users: query::unique_users(conn, &id, from, to)?,
                top_models: stats::top_models(query::by_model(conn, &id, from, to, None)?),
            };
            let conversion = Conversion::of(&rows, current);
            let current = conversion.current.as_ref();
            let breakdown = |row| stats::breakdown(organization.calendar, row, current);
            Ok(ClientUsageStatsResponse {
                range,
                current_month: stats::current_month(range, today, &rows, current)?,
                daily_breakdown: rows.into_iter().map(breakdown).collect::<Result<_>>()?,
                monthly_summary,
                client_org_name: organization.name,
                conversion,
            })
        };
        self.ask(org, days, read).await
    }

    /// The statistics in the shape of the original's first versions.
    pub async fn get_legacy_usage_stats(&self, org: &OrganizationId) -> Result<LegacyUsageStats> {
        self.legacy_summary(org, Days::default()).await
    }

    /// The same of a range of days. Where neither end is named, the history goes back 30 days with
    /// usage, also beyond the month.
    pub async fn legacy_summary(&self, org: &OrganizationId, days: Days) -> Result<LegacyUsageStats> {
        let read = move |conn: &mut DbConnection, asked: Asked| {
            let Asked { id, organization, today, range, current } = asked;
            let rows = query::daily_rows(conn, &id, range.from(), range.to())?;
            let row = query::day(conn, &id, today)?;
            let history = if days == Days::default() {
                query::latest_rows(conn, &id, today, LEGACY_HISTORY_DAYS)?
            } else {
                rows.iter().rev().cloned().collect()
            };
            Ok(LegacyUsageStats {
                today: ClientLiveCountersModel::from_row(id, today, row.as_ref(), current.as_ref())?,
                this_month: LegacyMonth {
                    totals: stats::row_totals(&rows)?,
                    cost_pln: pln::sum_days(&rows, current.as_ref())?,
                    days_active: stats::count(&rows),
                },
                conversion: Conversion::of(&rows, current),
                daily_history: history,
                client_org_name: organization.name,
            })
        };
        self.ask(org, days, read).await
    }

    /// Usage of an organization so far today.
    pub async fn get_live_counter(&self, org: &OrganizationId) -> Result<ClientLiveCountersModel> {
        let read = |conn: &mut DbConnection, asked: Asked| {
            let row = query::day(conn, &asked.id, asked.today)?;
            ClientLiveCountersModel::from_row(asked.id, asked.today, row.as_ref(), asked.current.as_ref())
        };
        self.ask(org, Days::default(), read).await
    }

    /// Usage per member in a range of days, of every registered member and of every other user with
    /// usage. The greatest cost to the client first; of equal ones those with more requests, then by id.
    pub async fn get_usage_by_user(
        &self,
        org: &OrganizationId,
        start: Option<UsageDate>,
        end: Option<UsageDate>,
    ) -> Result<Vec<UserUsage>> {
        let listed = self.users(org, Days { start, end }, Activity::All, Listing::default()).await?;
        Ok(listed.page.items)
    }

    /// The same, searched, sorted and in pages. The page's totals are the organization's, whoever is
    /// listed.
    pub async fn users(
        &self,
        org: &OrganizationId,
        days: Days,
        activity: Activity,
        listing: Listing<UserSort>,
    ) -> Result<Listed<UserUsage>> {
        let read = move |conn: &mut DbConnection, asked: Asked| {
            let users = users::read(conn, &asked.id, asked.range, asked.rate())?;
            let page = page_of(users, &listing, |user| activity.includes(user))?;
            asked.listed(conn, page)
        };
        self.ask(org, days, read).await
    }

    /// Usage per model in a range of days: every model with usage, the greatest cost to the client
    /// first, so that the sums are the organization's, and after them the models of the catalogue that
    /// have none, in the catalogue's order.
    pub async fn get_usage_by_model(
        &self,
        org: &OrganizationId,
        start: Option<UsageDate>,
        end: Option<UsageDate>,
    ) -> Result<Vec<ModelUsage>> {
        let read =
            |conn: &mut DbConnection, asked: Asked| models::read(conn, &asked.id, asked.range, asked.rate());
        self.ask(org, Days { start, end }, read).await
    }

    /// The same, searched, sorted and in pages.
    pub async fn models(
        &self,
        org: &OrganizationId,
        days: Days,
        listing: Listing<ModelSort>,
    ) -> Result<Listed<ModelUsage>> {
        let read = move |conn: &mut DbConnection, asked: Asked| {
            let page = page(models::read(conn, &asked.id, asked.range, asked.rate())?, &listing)?;
            asked.listed(conn, page)
        };
        self.ask(org, days, read).await
    }

    /// The usage of [`Self::models`] per author of the models.
    pub async fn providers(
        &self,
        org: &OrganizationId,
        days: Days,
        listing: Listing<ModelSort>,
    ) -> Result<Listed<ProviderUsage>> {
        let read = move |conn: &mut DbConnection, asked: Asked| {
            let page = page(models::read_providers(conn, &asked.id, asked.range, asked.rate())?, &listing)?;
            asked.listed(conn, page)
        };
        self.ask(org, days, read).await
    }

    /// The organization's rows of a range of days, ascending.
    pub async fn get_daily_usage(
        &self,
        org: &OrganizationId,
        start: Option<UsageDate>,
        end: Option<UsageDate>,
    ) -> Result<Vec<ClientDailyUsageModel>> {
        let days = self.daily_usage(org, Days { start, end }, GroupBy::Nothing, Metric::Cost, 0).await?;
        Ok(days.days)
    }

    /// The days of a range, taken apart into the `top` greatest of something and all others together.
    pub async fn daily_usage(
        &self,
        org: &OrganizationId,
        days: Days,
        group_by: GroupBy,
        metric: Metric,
        top: usize,
    ) -> Result<DailyUsage> {
        let read = move |conn: &mut DbConnection, asked: Asked| {
            series::read(conn, &asked.id, asked.range, (group_by, metric, top), asked.current)
        };
        self.ask(org, days, read).await
    }

    /// The last months, 1 to [`MAX_TREND_MONTHS`], of which the last one is counted up to `end`, by
    /// default today.
    pub async fn trend(&self, org: &OrganizationId, end: Option<UsageDate>, months: u32) -> Result<Trend> {
        let months = months.clamp(1, MAX_TREND_MONTHS);
        let read = move |conn: &mut DbConnection, asked: Asked| {
            // Of a month that runs, only what is over and today can be compared.
            trend::read(conn, &asked.id, asked.range.to().min(asked.today), months, asked.current)
        };
        self.ask(org, Days { start: None, end }, read).await
    }

    /// The usage of a range of days at a glance, with the last `months` months, from one snapshot.
    pub async fn overview(
        &self,
        org: &OrganizationId,
        days: Days,
        grouping: (GroupBy, Metric, usize),
        months: u32,
    ) -> Result<Overview> {
        let months = months.clamp(1, MAX_TREND_MONTHS);
        let read = move |conn: &mut DbConnection, asked: Asked| {
            let Asked { id, organization, today, range, current } = asked;
            overview::read(conn, (&id, organization.name), (range, today), grouping, months, current)
        };
        self.ask(org, days, read).await
    }

    /// How the members take part over a range of days.
    pub async fn engagement(&self, org: &OrganizationId, days: Days) -> Result<Engagement> {
        let read = |conn: &mut DbConnection, asked: Asked| {
            engagement::read(conn, &asked.id, asked.range, asked.today)
        };
        self.ask(org, days, read).await
    }

    /// Users with usage in a range of days who are no registered members: the greatest client price first,
    /// then by user.
    pub async fn get_unassigned_usage(
        &self,
        org: &OrganizationId,
        start: Option<UsageDate>,
        end: Option<UsageDate>,
    ) -> Result<Vec<UserSums>> {
        let read = |conn: &mut DbConnection, asked: Asked| {
            assign::unassigned(conn, &asked.id, asked.range.from(), asked.range.to())
        };
        self.ask(org, Days { start, end }, read).await
    }

    /// What a range of days cost, and what for.
    pub async fn cost_analytics(&self, org: &OrganizationId, days: Days) -> Result<CostAnalytics> {
        let read =
            |conn: &mut DbConnection, asked: Asked| costs::read(conn, &asked.id, asked.range, asked.current);
        self.ask(org, days, read).await
    }

    /// What one member used in a range of days; nothing where nobody is named.
    pub async fn own_usage(
        &self,
        org: &OrganizationId,
        user: Option<UserId>,
        days: Days,
    ) -> Result<OwnUsage> {
        let read = move |conn: &mut DbConnection, asked: Asked| {
            own::read(conn, &asked.id, user.as_ref(), asked.range, asked.current)
        };
        self.ask(org, days, read).await
    }

    /// What the reseller earns with each organization in a range of days, both included; by the
    /// organizations' names. Active organizations without usage are there with zeros.
    pub async fn get_all_clients_usage_stats(
        &self,
        start: UsageDate,
        end: UsageDate,
    ) -> Result<Vec<ClientBillingResponse>> {
        let range = DayRange::new(start, end)?;
        let fallback = self.fallback_rate;
        let read = move |conn: &mut DbConnection| {
            let rate = current(conn, fallback)?.map(|current| current.rate);
            fleet::read(conn, range, rate)
        };
        self.storage.read(read).await
    }

    /// The same, searched, sorted and in pages.
    pub async fn clients(&self, range: DayRange, listing: Listing<ClientSort>) -> Result<Fleet> {
        let fallback = self.fallback_rate;
        let fleet = self.storage.read(move |conn| {
            let current = current(conn, fallback)?;
            let clients = fleet::read(conn, range, current.as_ref().map(|current| current.rate))?;
            fleet::listed(clients, &listing, current)
        });
        fleet.await
    }

    /// Reads something of a known organization from one snapshot. What is written down as today does not
    /// change in between.
    async fn ask<T: Send + 'static>(
        &self,
        org: &OrganizationId,
        days: Days,
        read: impl FnOnce(&mut DbConnection, Asked) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (id, now, fallback) = (org.clone(), self.clock.now(), self.fallback_rate);
        let outcome = self.storage.read(move |conn| {
            let organization = organization::load(conn, &id)?;
            let today = organization.calendar.usage_date(now);
            let range = DayRange::resolve(today, days.start, days.end)?;
            let current = current(conn, fallback)?;
            read(conn, Asked { id, organization, today, range, current })
        });
        outcome.await
    }
}
