//! What the reseller earns with each organization.

use actix_web::{HttpResponse, get, web};
use mai_organization::usage_tracking::{
    ClientBillingResponse, DayRange, Days, Listing, Order as ListOrder, Page, Totals,
    stats::{
        costs::{profit, profit_percent},
        fleet::{ClientSort, Fleet},
    },
};
use mai_primitives::OrganizationId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Conversion, ListAsked, Period, days, next_cursor};
use crate::api::{
    Api, ApiError,
    asked::Asked,
    caller::Caller,
    error::ReadRefusals,
    json_money::{JsonDecimal, JsonPln, JsonUsd},
    paging::Order,
};

/// As the original: the last 30 days and today.
const DEFAULT_DAYS_BACK: u64 = 30;
/// Ten years.
const MAX_DAYS_BACK: u64 = 3_660;

/// Which days and organizations, in which order.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// How many days before the last one are counted: 0 to 3660, by default 30.
    days_back: Option<u64>,
    /// The first day, `YYYY-MM-DD`, in place of `days_back`.
    start_date: Option<String>,
    /// The last day, `YYYY-MM-DD`; by default today.
    end_date: Option<String>,
    /// Only organizations whose name or id has this in it.
    search: Option<String>,
    #[serde(default)]
    #[param(inline)]
    sort: Sort,
    /// By default names ascending and figures descending.
    order: Option<Order>,
    /// 1 to 500. Without it all organizations are in the answer.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// By what organizations are sorted.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ClientSort)]
enum Sort {
    #[default]
    Name,
    Cost,
    RawCost,
    Profit,
    Margin,
    Tokens,
    Requests,
    DaysActive,
}

/// What the reseller earns with an organization.
#[derive(Serialize, ToSchema)]
#[schema(as = ClientBilling)]
pub(super) struct Bill {
    #[schema(value_type = String)]
    client_org_id: OrganizationId,
    client_name: String,
    /// Whether its keys work.
    is_active: bool,
    /// Tokens of prompts and answers.
    total_tokens: i64,
    /// What OpenRouter charged.
    raw_cost: JsonUsd,
    /// What the client is charged.
    markup_cost: JsonUsd,
    /// The same in złoty: the sum of the rounded days, each by its own rate.
    cost_pln: Option<JsonPln>,
    /// The difference of the two, in USD.
    profit_margin: JsonUsd,
    /// The profit in percent of the raw cost, with at most six decimals; null where there was none.
    profit_margin_percent: Option<JsonDecimal>,
    /// Generations.
    total_requests: i64,
    /// Days with usage.
    days_active: i64,
}

impl From<ClientBillingResponse> for Bill {
    fn from(bill: ClientBillingResponse) -> Self {
        let percent = profit_percent(&totals(&bill)).map(JsonDecimal);
        Self {
            client_org_id: bill.client_org_id,
            client_name: bill.client_name,
            is_active: bill.is_active,
            total_tokens: bill.total_tokens,
            raw_cost: JsonUsd(bill.raw_cost),
            markup_cost: JsonUsd(bill.markup_cost),
            cost_pln: bill.cost_pln.map(JsonPln),
            profit_margin: JsonUsd(bill.profit_margin),
            profit_margin_percent: percent,
            total_requests: bill.total_requests,
            days_active: bill.days_active,
        }
    }
}

fn totals(bill: &ClientBillingResponse) -> Totals {
    Totals {
        tokens: bill.total_tokens,
        requests: bill.total_requests,
        raw_cost: bill.raw_cost,
        markup_cost: bill.markup_cost,
    }
}

/// The sums of all organizations, whatever was searched for.
#[derive(Serialize, ToSchema)]
#[schema(as = BillingSummary)]
pub(super) struct Summary {
    total_raw_cost: JsonUsd,
    total_markup_cost: JsonUsd,
    /// The same in złoty.
    total_cost_pln: Option<JsonPln>,
    total_profit: JsonUsd,
    total_tokens: i64,
    total_requests: i64,
    /// The profit in percent of the raw cost, with at most six decimals; null where there was none.
    profit_margin_percent: Option<JsonDecimal>,
    /// Organizations with usage.
    active_clients: usize,
}

impl Summary {
    /// The sums of all organizations.
    pub(super) fn new(found: &Fleet) -> Result<Self, ApiError> {
        let totals = &found.page.totals;
        Ok(Self {
            total_raw_cost: JsonUsd(totals.raw_cost),
            total_markup_cost: JsonUsd(totals.markup_cost),
            total_cost_pln: found.page.pln.map(JsonPln),
            total_profit: JsonUsd(profit(totals)?),
            total_tokens: totals.tokens,
            total_requests: totals.requests,
            profit_margin_percent: profit_percent(totals).map(JsonDecimal),
            active_clients: found.with_usage,
        })
    }
}

/// All organizations.
#[derive(Serialize, ToSchema)]
#[schema(as = Billing)]
struct Answer {
    success: bool,
    /// `YYYY-MM-DD to YYYY-MM-DD`.
    period: String,
    summary: Summary,
    clients: Vec<Bill>,
    /// How many organizations fit the search, on all pages.
    total_clients: usize,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
    #[serde(flatten)]
    conversion: Conversion,
}

/// What the reseller earns with each organization. Inactive ones are there where they have usage.
#[utoipa::path(
    tag = "usage",
    extensions(("x-access" = json!("reseller"))),
    params(Query),
    responses((status = 200, description = "All organizations", body = Answer), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/usage/billing")]
pub(in crate::api) async fn billing(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    caller.reseller()?;
    let query: Query = asked.query()?;
    let range = range(&api, &query)?;
    let sort = match query.sort {
        Sort::Name => ClientSort::Name,
        Sort::Cost => ClientSort::Cost,
        Sort::RawCost => ClientSort::RawCost,
        Sort::Profit => ClientSort::Profit,
        Sort::Margin => ClientSort::Margin,
        Sort::Tokens => ClientSort::Tokens,
        Sort::Requests => ClientSort::Requests,
        Sort::DaysActive => ClientSort::DaysActive,
    };
    let asked = ListAsked {
        search: query.search,
        sort,
        order: query.order,
        limit: query.limit,
        cursor: query.cursor,
    };
    let listing = asked.listing(sort == ClientSort::Name)?;
    let found = api.services.client_usage_db.clients(range, listing).await?;
    let (summary, conversion) = (Summary::new(&found)?, Conversion::new(&api, &found.conversion));
    let Page { items, next, matched, .. } = found.page;
    Ok(HttpResponse::Ok().json(Answer {
        success: true,
        period: format!("{} to {}", range.from(), range.to()),
        summary,
        clients: items.into_iter().map(Bill::from).collect(),
        total_clients: matched,
        next_cursor: next_cursor(next)?,
        conversion,
    }))
}

/// The days of the query, counted in the usual time zone where today decides.
fn range(api: &Api, query: &Query) -> Result<DayRange, ApiError> {
    let asked = days(query.start_date.as_deref(), query.end_date.as_deref())?;
    if let (Some(_), Some(_)) = (asked.start, query.days_back) {
        return Err(ApiError::field("days_back", "cannot be given together with start_date"));
    }
    let back = query.days_back.unwrap_or(DEFAULT_DAYS_BACK);
    if back > MAX_DAYS_BACK {
        return Err(ApiError::field("days_back", format!("must be 0 to {MAX_DAYS_BACK}")));
    }
    let end = asked.end.unwrap_or_else(|| api.time_zone.usage_date(api.clock.now()));
    Ok(DayRange::new(asked.start.unwrap_or_else(|| end.minus_days(back)), end)?)
}

/// What the reseller earns with each organization, in the shape of the summary.
#[derive(Serialize, ToSchema)]
#[schema(as = AllBilling)]
pub(super) struct Bills {
    success: bool,
    period: Period,
    billing_data: Vec<Bill>,
    summary: Summary,
    #[serde(flatten)]
    conversion: Conversion,
}

/// All organizations by name, over the days asked about or the present month.
pub(super) async fn all(api: &Api, days: Days) -> Result<HttpResponse, ApiError> {
    let range = resolve(api, days)?;
    let found = api.services.client_usage_db.clients(range, by_name()).await?;
    Ok(HttpResponse::Ok().json(Bills {
        success: true,
        period: range.into(),
        summary: Summary::new(&found)?,
        conversion: Conversion::new(api, &found.conversion),
        billing_data: found.page.items.into_iter().map(Bill::from).collect(),
    }))
}

/// The days asked about, or the present month in the usual time zone.
pub(super) fn resolve(api: &Api, days: Days) -> Result<DayRange, ApiError> {
    let today = api.time_zone.usage_date(api.clock.now());
    Ok(DayRange::resolve(today, days.start, days.end)?)
}

/// All organizations by name.
pub(super) fn by_name() -> Listing<ClientSort> {
    Listing { order: ListOrder::Ascending, ..Listing::default() }
}
