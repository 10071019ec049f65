//! What the reseller earns: with all organizations together, and with each.

use std::collections::{BTreeMap, HashMap};

use actix_web::HttpResponse;
use askama::Template;
use mai_billing::{BillingMonth, LimitState, limits::LimitStanding, states};
use mai_organization::{
    client_organization::LimitSubject,
    usage_tracking::{
        ClientBillingResponse, Totals,
        stats::{
            costs,
            fleet::{ClientSort, FleetOverview},
            series::Metric,
        },
    },
};
use mai_primitives::{OrganizationId, Usd, display, ratio};

use super::{frame, open};
use crate::{
    api::ApiError,
    dashboard::{
        charts::COLOURS,
        figures::{Amount, Notice, Tile, cost, rate_line, rate_notices},
        format,
        frame::{Frame, ResellerTab, SHARED, Tab},
        organization::chart::{self, Chart, Line},
        range::Range,
        table::{Head, Pager, Search, Sortable, Sorting, listing, paged},
        visit::{Visit, page},
    },
};

const COLUMNS: [Sortable<ClientSort>; 7] = [
    ("cost", ClientSort::Cost, true),
    ("name", ClientSort::Name, false),
    ("tokens", ClientSort::Tokens, true),
    ("requests", ClientSort::Requests, true),
    ("raw", ClientSort::RawCost, true),
    ("profit", ClientSort::Profit, true),
    ("margin", ClientSort::Margin, true),
];

#[derive(Template)]
#[template(path = "organizations.html")]
struct Page {
    frame: Frame,
    range: Range,
    notices: Vec<Notice>,
    /// Whether there is no organization at all.
    is_new: bool,
    tiles: Vec<Tile>,
    chart: Option<Chart>,
    search: Search,
    heads: Vec<Head>,
    rows: Vec<Row>,
    pager: Pager,
    count: String,
    total: Sums,
}

/// The figures of a row, or of all of them.
struct Sums {
    tokens: String,
    requests: String,
    raw: String,
    cost: Amount,
    profit: String,
    margin: String,
}

struct Row {
    name: String,
    id: String,
    href: String,
    is_active: bool,
    sums: Sums,
    growth: String,
    limit: Option<Limit>,
}

/// Where the limits of an organization stand in the present month.
struct Limit {
    /// How much of its own is used; none where it has none.
    percent: Option<String>,
    class: &'static str,
    word: String,
    /// What else is to be known: limits of its members and models that are used up.
    others: Option<String>,
}

/// The page.
pub(super) async fn show(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let caller = open(visit).await?;
    let today = visit.api.time_zone.usage_date(visit.api.clock.now());
    let range = Range::of(&visit.address, visit.language, today)?;
    let sorting = Sorting::of(&visit.address, &COLUMNS)?;
    let usage = &visit.api.services.client_usage_db;
    let mut found = usage.fleet((range.days, today), listing(visit, sorting), COLOURS).await?;
    let mut frame = frame(visit, &caller, ResellerTab::Organizations).await?;
    frame.is_live = range.days.to() == today;
    if let Some(rate) = &found.fleet.conversion.current {
        let line = rate_line(&frame, rate);
        frame.freshness.push(line);
    }
    frame.freshness.push(frame.with("foot-zone", visit.api.time_zone.zone()));
    let count = i64::try_from(found.fleet.page.matched).unwrap_or(i64::MAX);
    let matched = &found.fleet.page;
    let estimated = matched.items.iter().map(|client| client.days_estimated).sum();
    let total = sums(
        &frame,
        &matched.matched_totals,
        Amount::new(matched.matched_totals.markup_cost, matched.matched_pln).estimated(estimated),
    )?;
    let (clients, pager) = paged(std::mem::take(&mut found.fleet.page.items), &visit.address, &frame)?;
    let limits = limits(visit, &clients).await?;
    let rows = clients.into_iter().map(|client| row(visit, &frame, client, &found, &limits));
    let page_ = Page {
        is_new: found.organizations == 0,
        heads: heads(visit, &frame, sorting),
        notices: rate_notices(&frame, &found.fleet.conversion),
        tiles: tiles(&frame, &found, &range)?,
        chart: stacked(&frame, &range, &found)?,
        search: Search::of(visit, &frame.t("organizations-search")),
        rows: rows.collect::<Result<_, _>>()?,
        pager,
        count: frame.language.count("organizations-count", count),
        total,
        range,
        frame,
    };
    page(&page_)
}

fn heads(visit: &Visit, frame: &Frame, sorting: Sorting<ClientSort>) -> Vec<Head> {
    let head = |key: &str, column| sorting.head(&visit.address, frame.t(key), column);
    let [by_cost, name, tokens, requests, raw, profit, margin] = COLUMNS;
    vec![
        head("organization", name),
        head("tokens", tokens),
        head("requests", requests),
        head("raw-cost", raw),
        head("client-price", by_cost),
        head("profit", profit),
        head("fleet-margin", margin),
        Head::plain(frame.t("change"), true),
        Head::plain(frame.t("fleet-limit"), true),
    ]
}

fn sums(frame: &Frame, totals: &Totals, cost: Amount) -> Result<Sums, ApiError> {
    let profit = costs::profit(totals)?;
    Ok(Sums {
        tokens: frame.number(totals.tokens),
        requests: frame.number(totals.requests),
        raw: display::usd(totals.raw_cost),
        margin: margin(profit, totals.raw_cost),
        profit: display::usd(profit),
        cost,
    })
}

/// The profit in percent of the raw cost.
fn margin(profit: Usd, raw: Usd) -> String {
    let ppm = ratio::parts_per_million(profit.nanos(), raw.nanos());
    ppm.map_or_else(|| "–".to_owned(), format::percent)
}

fn tiles(frame: &Frame, found: &FleetOverview, range: &Range) -> Result<Vec<Tile>, ApiError> {
    let (now, before) = (&found.fleet.page.totals, &found.before);
    let (profit, profit_before) = (costs::profit(now)?, costs::profit(before)?);
    let price = Amount::new(now.markup_cost, found.fleet.page.pln);
    let in_pln = match &price.pln {
        Some(pln) if found.fleet.conversion.days_estimated > 0 => frame.with("tile-estimated", pln),
        Some(pln) => pln.clone(),
        None => frame.t("tile-no-pln"),
    };
    let tile = |key: &str, figure: String, note: String| Tile::new(frame.t(key), figure, note);
    let with_usage = i64::try_from(found.fleet.with_usage).unwrap_or(i64::MAX);
    let all = i64::try_from(found.organizations).unwrap_or(i64::MAX);
    let average = |sum: i64| {
        let each = frame.number(sum / with_usage.max(1));
        frame.with("fleet-per-organization", &each)
    };
    Ok(vec![
        tile("client-price", price.usd, in_pln)
            .compared(cost(now), cost(before))
            .drawn(&range.each_day(found.series.iter().flat_map(|series| series.days.iter().copied())))?,
        tile("raw-cost", display::usd(now.raw_cost), frame.t("fleet-raw-note"))
            .compared(now.raw_cost.nanos(), before.raw_cost.nanos()),
        tile("profit", display::usd(profit), frame.with("fleet-margin-of", &margin(profit, now.raw_cost)))
            .compared(profit.nanos(), profit_before.nanos()),
        tile("tokens", frame.number(now.tokens), average(now.tokens)).compared(now.tokens, before.tokens),
        tile("requests", frame.number(now.requests), average(now.requests))
            .compared(now.requests, before.requests),
        tile("fleet-active", frame.number(with_usage), frame.language.count("fleet-of-organizations", all))
            .compared(with_usage, i64::try_from(found.before_of.len()).unwrap_or(i64::MAX)),
        captured(frame, found),
    ])
}

/// What was captured against what OpenRouter has charged.
fn captured(frame: &Frame, found: &FleetOverview) -> Tile {
    let (drift, label) = (&found.drift, frame.t("fleet-captured"));
    let Some(hundredths) = drift.ratio() else {
        let key = if drift.unknown > 0 { "fleet-captured-unfinished" } else { "fleet-captured-unread" };
        return Tile::new(label, frame.t("no-data"), frame.t(key));
    };
    let point = if frame.code() == "pl" { ',' } else { '.' };
    let figure = format!("{}{point}{:02}%", hundredths / 100, hundredths % 100);
    let (ours, theirs) = (display::usd(drift.captured), display::usd(drift.billed));
    let mut note = frame.language.with_all("fleet-captured-of", &[("captured", &ours), ("billed", &theirs)]);
    if drift.unknown > 0 {
        note = format!(
            "{note}; {}",
            frame.language.count("fleet-captured-days", i64::try_from(drift.unknown).unwrap_or(i64::MAX))
        );
    }
    Tile::new(label, figure, note)
}

/// The client price of each day, by organization; none where nobody used anything.
fn stacked(frame: &Frame, range: &Range, found: &FleetOverview) -> Result<Option<Chart>, ApiError> {
    let lines: Vec<Line> = found
        .series
        .iter()
        .map(|series| Line {
            name: series.name.clone().unwrap_or_else(|| frame.t("other")),
            is_other: series.name.is_none(),
            total: series.days.iter().fold(0_i64, |sum, (_, nanos)| sum.saturating_add(*nanos)),
            days: series.days.clone(),
        })
        .collect();
    if lines.is_empty() {
        return Ok(None);
    }
    chart::chart(frame, range, Metric::Cost, frame.t("fleet-chart"), &lines, &[]).map(Some)
}

/// The limits of some organizations in the present month of each, from one snapshot.
async fn limits(
    visit: &Visit,
    clients: &[ClientBillingResponse],
) -> Result<HashMap<OrganizationId, Vec<LimitState>>, ApiError> {
    let mut by_month: BTreeMap<BillingMonth, Vec<OrganizationId>> = BTreeMap::new();
    for client in clients {
        // Of an organization that was made a moment ago nothing is known here yet, and nothing used.
        let Ok(entry) = visit.known(&client.client_org_id) else { continue };
        by_month.entry(BillingMonth::of(visit.today(&entry))).or_default().push(entry.id.clone());
    }
    let prices = visit.api.model_prices.prices().current();
    let read = visit.api.storage.read(move |conn| {
        let mut found: HashMap<OrganizationId, Vec<LimitState>> = HashMap::new();
        for (month, organizations) in by_month {
            for state in states(conn, &organizations, month, &prices)? {
                found.entry(state.client_org_id.clone()).or_default().push(state);
            }
        }
        Ok::<_, mai_billing::Error>(found)
    });
    Ok(read.await?)
}

fn limit(frame: &Frame, states: &[LimitState]) -> Option<Limit> {
    let own = states.iter().find(|state| state.subject == LimitSubject::Organization);
    let others = states.iter().filter(|state| state.subject != LimitSubject::Organization);
    let reached = others.filter(|state| state.standing() == LimitStanding::Reached).count();
    let reached = i64::try_from(reached).unwrap_or(i64::MAX);
    let others = (reached > 0).then(|| frame.language.count("fleet-limits-reached", reached));
    let standing = own.map(LimitState::standing);
    if own.is_none() && others.is_none() {
        return None;
    }
    let (class, key) = match standing {
        None => ("", "tile-no-limit"),
        Some(LimitStanding::Ok) => ("ok", "fleet-limit-ok"),
        Some(LimitStanding::Warning) => ("warn", "fleet-limit-warning"),
        Some(LimitStanding::Reached) => ("bad", "fleet-limit-reached"),
    };
    Some(Limit {
        percent: own.map(|own| format::used_percent(frame.language, own)),
        class,
        word: frame.language.text(key),
        others,
    })
}

fn row(
    visit: &Visit,
    frame: &Frame,
    client: ClientBillingResponse,
    found: &FleetOverview,
    limits: &HashMap<OrganizationId, Vec<LimitState>>,
) -> Result<Row, ApiError> {
    let before = found.before_of.get(&client.client_org_id).map_or(0, cost);
    let growth = ratio::change_per_million(client.markup_cost.nanos(), before);
    let totals = Totals {
        tokens: client.total_tokens,
        requests: client.total_requests,
        raw_cost: client.raw_cost,
        markup_cost: client.markup_cost,
    };
    Ok(Row {
        href: visit.address.sharing(Tab::Overview.path(&client.client_org_id), &SHARED).link(),
        sums: sums(
            frame,
            &totals,
            Amount::new(client.markup_cost, client.cost_pln).estimated(client.days_estimated),
        )?,
        growth: growth.map_or_else(|| "–".to_owned(), format::change),
        limit: limits.get(&client.client_org_id).and_then(|states| limit(frame, states)),
        id: client.client_org_id.to_string(),
        name: client.client_name,
        is_active: client.is_active,
    })
}
