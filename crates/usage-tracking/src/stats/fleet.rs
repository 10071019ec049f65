//! What the reseller earns with each organization.

use std::{cmp::Reverse, collections::HashMap};

use mai_client_organization::{ClientOrganizationModel, query::organizations};
use mai_exchange_rates::{CurrentRate, query::current};
use mai_primitives::{
    OrganizationCalendar, OrganizationId, Pln, UsageDate, Usd, UsdPlnRate, ratio, text::sortable,
};
use mai_storage::DbConnection;

use super::costs::profit;
use crate::{
    drift::{self, DriftSum},
    error::Result,
    listing::{Item, Listing, Page, SortKey, page},
    pln::Conversion,
    query::{self, OrganizationSums},
    range::DayRange,
    service::ClientUsageTable,
    totals::Totals,
};

/// What the reseller earns with an organization over a range of days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientBillingResponse {
    /// The organization.
    pub client_org_id: OrganizationId,
    /// Its name.
    pub client_name: String,
    /// Whether its keys work.
    pub is_active: bool,
    /// Tokens of prompts and answers.
    pub total_tokens: i64,
    /// What OpenRouter charged.
    pub raw_cost: Usd,
    /// What the client is charged.
    pub markup_cost: Usd,
    /// The difference of the two, in USD.
    pub profit_margin: Usd,
    /// Generations.
    pub total_requests: i64,
    /// What the client is charged, as the sum of the rounded days in PLN; none where no rate is known.
    pub cost_pln: Option<Pln>,
    /// Days with usage.
    pub days_active: i64,
    /// Those of them that have no rate of their own yet.
    pub days_estimated: i64,
}

/// A part of the list of organizations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// What was listed.
    pub page: Page<ClientBillingResponse>,
    /// How many organizations have usage in the range, whatever was searched for.
    pub with_usage: usize,
    /// How the costs of all organizations became PLN.
    pub conversion: Conversion,
}

/// All organizations at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetOverview {
    /// The list.
    pub fleet: Fleet,
    /// How many organizations there are, whatever was searched for.
    pub organizations: usize,
    /// The sums of as many days right before the range as have begun of it.
    pub before: Totals,
    /// What each organization used on those days, if it did.
    pub before_of: HashMap<OrganizationId, Totals>,
    /// Those that are charged most over the range first, at last all others together, if there are any. On each
    /// day they add up to the day.
    pub series: Vec<FleetSeries>,
    /// What was captured against what OpenRouter has charged, over the UTC days of the range.
    pub drift: DriftSum,
}

/// What an organization, or all others together, is charged on each day with usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetSeries {
    /// The organization's name; none for all others.
    pub name: Option<String>,
    /// The days in nano-dollars, ascending.
    pub days: Vec<(UsageDate, i64)>,
}

/// What a list of organizations can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientSort {
    /// What the client is charged.
    Cost,
    /// What OpenRouter charged.
    RawCost,
    /// The difference of the two.
    Profit,
    /// The difference in parts per million of what OpenRouter charged.
    Margin,
    /// Tokens of prompts and answers.
    Tokens,
    /// Generations.
    Requests,
    /// Days with usage.
    DaysActive,
    /// The organization's name.
    #[default]
    Name,
}

impl Item for ClientBillingResponse {
    type Sort = ClientSort;

    fn id(&self) -> &str {
        self.client_org_id.as_str()
    }

    fn key(&self, sort: ClientSort) -> SortKey {
        let margin = || ratio::parts_per_million(self.profit_margin.nanos(), self.raw_cost.nanos());
        SortKey::Number(match sort {
            ClientSort::Name => return SortKey::Text(sortable(&self.client_name)),
            ClientSort::Cost => self.markup_cost.nanos(),
            ClientSort::RawCost => self.raw_cost.nanos(),
            ClientSort::Profit => self.profit_margin.nanos(),
            ClientSort::Margin => margin().unwrap_or(i64::MIN),
            ClientSort::Tokens => self.total_tokens,
            ClientSort::Requests => self.total_requests,
            ClientSort::DaysActive => self.days_active,
        })
    }

    fn texts(&self) -> Vec<&str> {
        vec![&self.client_name, self.client_org_id.as_str()]
    }

    fn totals(&self) -> Totals {
        Totals {
            tokens: self.total_tokens,
            requests: self.total_requests,
            raw_cost: self.raw_cost,
            markup_cost: self.markup_cost,
        }
    }

    fn cost_pln(&self) -> Option<Pln> {
        self.cost_pln
    }
}

/// Every active organization, with zeros where it has no usage in the range, and every inactive one that
/// has some, so that the sums are those of all usage; by name, then by id.
pub(crate) fn read(
    conn: &mut DbConnection,
    range: DayRange,
    current: Option<UsdPlnRate>,
) -> Result<Vec<ClientBillingResponse>> {
    let stored = organizations(conn)?;
    let ids: Vec<OrganizationId> = stored.iter().map(|organization| organization.id.clone()).collect();
    let mut usage = query::by_organization(conn, &ids, range.from(), range.to(), current)?;
    let nothing = OrganizationSums { cost_pln: current.map(|_| Pln::ZERO), ..OrganizationSums::default() };
    let mut bills = Vec::new();
    for organization in stored {
        let used = usage.remove(&organization.id);
        if used.is_some() || organization.is_active {
            bills.push(bill(organization, used.unwrap_or(nothing))?);
        }
    }
    bills.sort_by_cached_key(|bill| (sortable(&bill.client_name), bill.client_org_id.clone()));
    Ok(bills)
}

fn bill(organization: ClientOrganizationModel, sums: OrganizationSums) -> Result<ClientBillingResponse> {
    let totals = sums.totals;
    Ok(ClientBillingResponse {
        client_org_id: organization.id,
        client_name: organization.name,
        is_active: organization.is_active,
        total_tokens: totals.tokens,
        raw_cost: totals.raw_cost,
        markup_cost: totals.markup_cost,
        profit_margin: profit(&totals)?,
        total_requests: totals.requests,
        cost_pln: sums.cost_pln,
        days_active: sums.days_active,
        days_estimated: sums.days_estimated,
    })
}

/// The list as it was asked for, of all organizations that [`read`] has found.
pub(crate) fn listed(
    clients: Vec<ClientBillingResponse>,
    listing: &Listing<ClientSort>,
    current: Option<CurrentRate>,
) -> Result<Fleet> {
    let days_estimated = clients.iter().fold(0_i64, |sum, client| sum.saturating_add(client.days_estimated));
    let conversion = Conversion { current, days_estimated };
    let with_usage = clients.iter().filter(|client| client.total_requests > 0).count();
    Ok(Fleet { page: page(clients, listing)?, with_usage, conversion })
}

impl ClientUsageTable {
    /// All organizations over a range of days at a glance, from one snapshot, so that its parts add up. The `top`
    /// that are charged most have a series of their own. `today` is the present day where the range is counted.
    pub async fn fleet(
        &self,
        (range, today): (DayRange, UsageDate),
        listing: Listing<ClientSort>,
        top: usize,
    ) -> Result<FleetOverview> {
        let (fallback, utc_today) =
            (self.fallback_rate, OrganizationCalendar::UTC.usage_date(self.clock.now()));
        let read = move |conn: &mut DbConnection| {
            let current = current(conn, fallback)?;
            let clients = read(conn, range, current.as_ref().map(|current| current.rate))?;
            let begun = u64::try_from(range.days_begun(today)).unwrap_or(0).max(1);
            let before = DayRange::new(range.from().minus_days(begun), range.from().minus_days(1))?;
            let before = read(conn, before, None)?;
            let before_of: HashMap<_, _> = before
                .iter()
                .filter(|client| client.total_requests > 0)
                .map(|client| (client.client_org_id.clone(), client.totals()))
                .collect();
            Ok(FleetOverview {
                organizations: clients.len(),
                before: Totals::sum(before_of.values().copied())?,
                before_of,
                series: series(conn, range, &clients, top)?,
                drift: drift::sum(conn, (range.from(), range.to()), utc_today)?,
                fleet: listed(clients, &listing, current)?,
            })
        };
        self.storage.read(read).await
    }
}

fn series(
    conn: &mut DbConnection,
    range: DayRange,
    clients: &[ClientBillingResponse],
    top: usize,
) -> Result<Vec<FleetSeries>> {
    let mut used: Vec<_> = clients.iter().filter(|client| client.total_requests > 0).collect();
    used.sort_by_key(|client| Reverse(client.markup_cost));
    let (named, others) = used.split_at(top.min(used.len()));
    let ids = |some: &[&ClientBillingResponse]| -> Vec<OrganizationId> {
        some.iter().map(|client| client.client_org_id.clone()).collect()
    };
    let days = (range.from(), range.to());
    let (of_named, of_others) = query::organizations_per_day(conn, days, &ids(named), &ids(others))?;
    let of = |client: &&ClientBillingResponse| FleetSeries {
        name: Some(client.client_name.clone()),
        days: of_named
            .iter()
            .filter(|(_, id, _)| *id == client.client_org_id)
            .map(|(date, _, cost)| (*date, cost.nanos()))
            .collect(),
    };
    let mut series: Vec<FleetSeries> = named.iter().map(of).collect();
    if !others.is_empty() {
        series.push(FleetSeries { name: None, days: of_others.into_iter().collect() });
    }
    Ok(series)
}
