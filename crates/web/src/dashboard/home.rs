//! Where one arrives: a member and an administrator at their organization, the reseller at the list of all.

use actix_web::HttpResponse;
use askama::Template;
use mai_organization::usage_tracking::{ClientBillingResponse, stats::fleet::ClientSort};
use mai_primitives::display;

use super::{
    figures::{Amount, Notice, rate_notices},
    frame::{Frame, ResellerTab, Tab},
    range::Range,
    table::{Head, Pager, Search, Sortable, Sorting, listing, paged},
    visit::{Visit, page, redirect},
};
use crate::api::{ApiError, caller::Role};

/// `GET /`
pub(super) async fn home(visit: Visit) -> HttpResponse {
    let work = async |visit: &Visit| {
        Ok(match visit.caller().await?.role {
            Role::Reseller => redirect("/organizations"),
            Role::Admin(organization) | Role::Member(organization, _) => {
                redirect(&Tab::Overview.path(&organization))
            }
        })
    };
    visit.answer(work).await
}

const COLUMNS: [Sortable<ClientSort>; 6] = [
    ("cost", ClientSort::Cost, true),
    ("name", ClientSort::Name, false),
    ("tokens", ClientSort::Tokens, true),
    ("requests", ClientSort::Requests, true),
    ("raw", ClientSort::RawCost, true),
    ("profit", ClientSort::Profit, true),
];

#[derive(Template)]
#[template(path = "organizations.html")]
struct Page {
    frame: Frame,
    range: Range,
    notices: Vec<Notice>,
    search: Search,
    heads: Vec<Head>,
    rows: Vec<Row>,
    pager: Pager,
    count: String,
    tokens: String,
    requests: String,
    raw: String,
    cost: Amount,
    profit: String,
}

struct Row {
    name: String,
    id: String,
    href: String,
    is_active: bool,
    tokens: String,
    requests: String,
    raw: String,
    cost: Amount,
    profit: String,
}

/// `GET /organizations`
pub(super) async fn organizations(visit: Visit) -> HttpResponse {
    visit.answer(show_organizations).await
}

async fn show_organizations(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let caller = visit.caller().await?;
    caller.reseller()?;
    let today = visit.api.time_zone.usage_date(visit.api.clock.now());
    let range = Range::of(&visit.address, visit.language, today)?;
    let sorting = Sorting::of(&visit.address, &COLUMNS)?;
    let fleet = visit.api.services.client_usage_db.clients(range.days, listing(visit, sorting)).await?;
    let frame = visit.frame(&visit.language.text("organizations")).signed_in(visit, &caller).await?;
    let frame = frame.of_reseller(ResellerTab::Organizations);
    let totals = fleet.page.matched_totals;
    let profit = totals.markup_cost.checked_sub(totals.raw_cost);
    let profit = profit.ok_or_else(|| ApiError::unbookable("the profit leaves the range of amounts"))?;
    let count = i64::try_from(fleet.page.matched).unwrap_or(i64::MAX);
    let estimated = fleet.page.items.iter().map(|client| client.days_estimated).sum();
    let cost = Amount::new(totals.markup_cost, fleet.page.matched_pln).estimated(estimated);
    let (clients, pager) = paged(fleet.page.items, &visit.address, &frame)?;
    let head = |key: &str, column| sorting.head(&visit.address, frame.t(key), column);
    let [by_cost, name, tokens, requests, raw, by_profit] = COLUMNS;
    let page_ = Page {
        heads: vec![
            head("organization", name),
            head("tokens", tokens),
            head("requests", requests),
            head("raw-cost", raw),
            head("client-price", by_cost),
            head("profit", by_profit),
        ],
        notices: rate_notices(&frame, &fleet.conversion),
        search: Search::of(visit, &frame.t("organizations-search")),
        rows: clients.into_iter().map(|client| row(visit, &frame, client)).collect(),
        pager,
        count: frame.language.count("organizations-count", count),
        tokens: frame.number(totals.tokens),
        requests: frame.number(totals.requests),
        raw: display::usd(totals.raw_cost),
        cost,
        profit: display::usd(profit),
        range,
        frame,
    };
    page(&page_)
}

fn row(visit: &Visit, frame: &Frame, client: ClientBillingResponse) -> Row {
    Row {
        href: visit.address.sharing(Tab::Overview.path(&client.client_org_id), &super::frame::SHARED).link(),
        id: client.client_org_id.to_string(),
        name: client.client_name,
        is_active: client.is_active,
        tokens: frame.number(client.total_tokens),
        requests: frame.number(client.total_requests),
        raw: display::usd(client.raw_cost),
        cost: Amount::new(client.markup_cost, client.cost_pln).estimated(client.days_estimated),
        profit: display::usd(client.profit_margin),
    }
}
