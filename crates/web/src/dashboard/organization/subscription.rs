//! What the organization pays for its seats.

use actix_web::HttpResponse;
use askama::Template;
use mai_billing::{BillingMonth, SeatLine, Subscription};
use mai_primitives::{UsageDate, display, text::sortable};

use super::Here;
use crate::{
    api::ApiError,
    dashboard::{
        figures::Tile,
        format,
        frame::{Frame, Tab},
        range::Months,
        table::{Pager, paged},
        visit::{Visit, page},
    },
};

#[derive(Template)]
#[template(path = "subscription.html")]
struct Page {
    frame: Frame,
    months: Months,
    state: String,
    tiles: Vec<Tile>,
    tiers: Vec<Tier>,
    rows: Vec<Row>,
    pager: Pager,
    total: String,
}

struct Tier {
    range: String,
    price: String,
    is_current: bool,
}

struct Row {
    name: String,
    email: String,
    added: String,
    days: String,
    cost: String,
}

/// The page.
pub(super) async fn show(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let here = Here::open(visit, Tab::Subscription).await?;
    let asked = visit.address.get("month").map(str::parse::<BillingMonth>).transpose()?;
    let found = visit.api.subscription.month(&here.id, asked).await?.subscription;
    let frame = here.frame(visit).await?;
    let present = BillingMonth::of(here.today);
    let (total, tiles) = (display::pln(found.total), tiles(&frame, &found));
    let state = match found.frozen_at {
        Some(at) => {
            frame.with("seats-frozen", &format::instant(frame.language, here.organization.calendar, at))
        }
        None if found.month == present => frame.t("seats-running"),
        None => frame.t("seats-open"),
    };
    let tiers = found.tiers.all().iter().enumerate().map(|(place, tier)| Tier {
        range: match tier.to {
            Some(to) => format!("{}–{to}", tier.from),
            None => format!("{}+", tier.from),
        },
        price: display::pln(tier.price),
        is_current: found.current == Some(place),
    });
    let tiers = tiers.collect();
    let month = found.month;
    let mut lines = found.lines;
    lines.sort_by_cached_key(|line| (sortable(name(line)), line.seat.user_id.clone()));
    let (lines, pager) = paged(lines, &visit.address, &frame)?;
    let page_ = Page {
        months: Months::around(visit, month, present),
        state,
        tiles,
        tiers,
        rows: lines.into_iter().map(|line| row(&frame, line, month)).collect(),
        pager,
        total,
        frame,
    };
    page(&page_)
}

fn tiles(frame: &Frame, found: &Subscription) -> Vec<Tile> {
    let users = i64::try_from(found.lines.len()).unwrap_or(i64::MAX);
    vec![
        Tile::new(
            frame.t("seats-users"),
            frame.number(users),
            format::month(frame.language, found.month.first()),
        ),
        Tile::new(frame.t("seats-tier"), display::pln(found.price_per_user), frame.t("seats-tier-note")),
        Tile::new(frame.t("seats-total"), display::pln(found.total), frame.t("seats-total-note")),
    ]
}

/// What people call who has a seat.
fn name(line: &SeatLine) -> &str {
    line.seat.name.as_deref().unwrap_or(line.seat.user_id.as_str())
}

fn row(frame: &Frame, line: SeatLine, month: BillingMonth) -> Row {
    let added = |day: UsageDate| format::date(frame.language, day);
    let (charged, all) = (frame.number(line.days_charged.into()), frame.number(month.days().into()));
    Row {
        name: name(&line).to_owned(),
        email: line.seat.email.unwrap_or_default(),
        added: line.seat.added_on.map_or_else(|| "–".to_owned(), added),
        days: frame.language.with_all("seats-days-of", &[("charged", &charged), ("all", &all)]),
        cost: display::pln(line.cost),
    }
}
