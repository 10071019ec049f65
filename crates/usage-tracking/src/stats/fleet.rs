//! What the reseller earns with each organization.

use mai_client_organization::{ClientOrganizationModel, query::organizations};
use mai_primitives::{OrganizationId, Pln, Usd, UsdPlnRate, ratio, text::sortable};
use mai_storage::DbConnection;

use super::costs::profit;
use crate::{
    error::Result,
    listing::{Item, Page, SortKey},
    pln::Conversion,
    query::{self, OrganizationSums},
    range::DayRange,
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
