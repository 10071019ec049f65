//! What a member sees: its own usage, and nobody else's.

use actix_web::HttpResponse;
use askama::Template;
use mai_organization::{
    client_organization::LimitSubject,
    usage_tracking::{Totals, stats::series::Metric},
};
use mai_primitives::UserId;

use super::{
    Here,
    chart::{self, Chart, Line},
    choices,
    limits::standing,
    overview::{METRICS, metric},
};
use crate::{
    api::{ApiError, limits},
    dashboard::{
        figures::{Amount, Notice, Tile, cost, rate_notices},
        format,
        frame::{Frame, Link},
        range::Range,
        table::{Pager, paged},
        visit::{Visit, page},
    },
};

#[derive(Template)]
#[template(path = "own.html")]
struct Page {
    frame: Frame,
    range: Range,
    notices: Vec<Notice>,
    tiles: Vec<Tile>,
    metrics: Vec<Link>,
    chart: Chart,
    rows: Vec<Day>,
    pager: Pager,
    tokens: String,
    requests: String,
    cost: Amount,
}

struct Day {
    date: String,
    weekday: &'static str,
    is_today: bool,
    tokens: String,
    requests: String,
    cost: Amount,
}

/// The page.
pub(super) async fn show(visit: &Visit, here: Here, user: UserId) -> Result<HttpResponse, ApiError> {
    let range = here.range(visit)?;
    let (metric, code) = metric(visit)?;
    let own =
        visit.api.services.client_usage_db.own_usage(&here.id, Some(user.clone()), range.asked()).await?;
    let mut frame = here.frame(visit).await?;
    frame.is_live = range.days.to() == here.today;
    here.freshness(visit, &mut frame, &own.conversion).await?;
    let line = Line {
        name: frame.t("tab-own"),
        is_other: false,
        total: metric.of(&own.totals),
        days: own.days.iter().map(|row| (row.usage_date, metric.of(&Totals::from(row)))).collect(),
    };
    let title = frame.t(match metric {
        Metric::Cost => "chart-own-cost",
        Metric::Tokens => "chart-own-tokens",
        Metric::Requests => "chart-own-requests",
    });
    let estimated = own.days_estimated.iter().map(|is_estimated| i64::from(*is_estimated));
    let amount = Amount::new(own.totals.markup_cost, own.cost_pln).estimated(estimated.sum());
    let in_pln = match amount.pln_text() {
        pln if amount.is_estimated => frame.with("tile-estimated", pln),
        pln => pln.to_owned(),
    };
    let per_day = |value: fn(&Totals) -> i64| -> Vec<i64> {
        range.each_day(own.days.iter().map(|row| (row.usage_date, value(&Totals::from(row)))))
    };
    let days = i64::try_from(own.days.len()).unwrap_or(i64::MAX);
    let mut tiles = vec![
        Tile::new(frame.t("cost"), amount.usd.clone(), in_pln).drawn(&per_day(cost))?,
        Tile::new(frame.t("tokens"), frame.number(own.totals.tokens), String::new())
            .drawn(&per_day(|totals| totals.tokens))?,
        Tile::new(frame.t("requests"), frame.number(own.totals.requests), String::new())
            .drawn(&per_day(|totals| totals.requests))?,
        Tile::new(
            frame.t("days-active"),
            frame.number(days),
            frame.language.count("tile-of-days", range.days.days()),
        ),
    ];
    let mut notices = rate_notices(&frame, &own.conversion);
    let (limit, used_up) = own_limit(visit, &frame, &here, user).await?;
    tiles.extend(limit);
    notices.extend(used_up);
    let newest: Vec<_> = own.days.iter().zip(&own.days_pln).zip(&own.days_estimated).rev().collect();
    let (shown, pager) = paged(newest, &visit.address, &frame)?;
    let rows = shown.into_iter().map(|((row, pln), is_estimated)| Day {
        date: format::date(frame.language, row.usage_date),
        weekday: format::weekday(frame.language, row.usage_date),
        is_today: row.usage_date == here.today,
        tokens: frame.number(row.total_tokens),
        requests: frame.number(row.total_requests),
        cost: Amount::new(row.markup_cost, *pln).estimated((*is_estimated).into()),
    });
    let page_ = Page {
        rows: rows.collect(),
        pager,
        tiles,
        notices,
        metrics: choices(visit, "metric", code, &METRICS),
        chart: chart::chart(&frame, &range, metric, title, &[line], &[])?,
        tokens: frame.number(own.totals.tokens),
        requests: frame.number(own.totals.requests),
        cost: amount,
        range,
        frame,
    };
    page(&page_)
}

/// The member's own limit in the present month, and which limits are used up so that its calls are refused.
async fn own_limit(
    visit: &Visit,
    frame: &Frame,
    here: &Here,
    user: UserId,
) -> Result<(Option<Tile>, Vec<Notice>), ApiError> {
    let (month, states) = limits::read(&visit.api, &here.id, None).await?;
    let own = LimitSubject::Member(user);
    let own = states.iter().find(|state| state.subject == own);
    let own_used_up = own.filter(|state| limits::is_reached(state));
    let own_used_up = own_used_up.map(|_| standing::reached(frame, month, "limits-mine-reached"));
    let used_up = standing::used_up(frame, month, &states).into_iter().chain(own_used_up).collect();
    Ok((own.map(|state| standing::tile(frame, frame.t("limits-mine"), state)), used_up))
}
