//! An organization's usage at a glance.

use actix_web::HttpResponse;
use askama::Template;
use mai_billing::LimitState;
use mai_organization::{
    client_organization::LimitSubject,
    usage_tracking::{
        Totals,
        stats::{
            overview::Overview,
            series::{GroupBy, Metric, SeriesOf},
        },
    },
};
use mai_primitives::{UsageDate, display, ratio};

use super::{
    Here,
    chart::{self, Chart, Line},
    choices,
    daily::{self, Days},
    limits::standing,
};
use crate::{
    api::{ApiError, limits},
    dashboard::{
        charts::{self, COLOURS, HeatMap},
        figures::{Amount, Data, Item, Notice, Ranked, Tile, cost, ranking, rate_notices},
        format,
        frame::{Frame, Link},
        open_webui::base_url,
        range::Range,
        visit::{Visit, page},
    },
};

/// How many months are compared.
const MONTHS: u32 = 12;
/// How many weeks the map of activity shows.
const WEEKS: u64 = 27;

pub(super) const METRICS: [(&str, &str); 3] =
    [("cost", "cost"), ("tokens", "tokens"), ("requests", "requests")];
const GROUPS: [(&str, &str); 4] = [
    ("model", "group-model"),
    ("provider", "group-provider"),
    ("user", "group-user"),
    ("none", "group-none"),
];

#[derive(Template)]
#[template(path = "overview.html")]
struct Page {
    frame: Frame,
    range: Range,
    notices: Vec<Notice>,
    tiles: Vec<Tile>,
    metrics: Vec<Link>,
    groups: Vec<Link>,
    chart: Chart,
    top_models: Vec<Ranked>,
    summary: Vec<(String, String)>,
    days: Days,
    months: Vec<Month>,
    heat_map: String,
    activity: Data,
    /// What connects a client, where nothing was ever used.
    start: Option<String>,
}

struct Month {
    name: String,
    is_running: bool,
    tokens: String,
    requests: String,
    users: String,
    cost: Amount,
    change: String,
    width: i64,
}

/// The metric that an address names.
pub(super) fn metric(visit: &Visit) -> Result<(Metric, &'static str), ApiError> {
    match visit.address.get("metric") {
        None | Some("cost") => Ok((Metric::Cost, "cost")),
        Some("tokens") => Ok((Metric::Tokens, "tokens")),
        Some("requests") => Ok((Metric::Requests, "requests")),
        Some(_) => Err(ApiError::field("metric", "must be cost, tokens or requests")),
    }
}

fn group_by(visit: &Visit) -> Result<(GroupBy, &'static str), ApiError> {
    match visit.address.get("group") {
        None | Some("model") => Ok((GroupBy::Model, "model")),
        Some("provider") => Ok((GroupBy::Provider, "provider")),
        Some("user") => Ok((GroupBy::User, "user")),
        Some("none") => Ok((GroupBy::Nothing, "none")),
        Some(_) => Err(ApiError::field("group", "must be model, provider, user or none")),
    }
}

/// The page.
pub(super) async fn show(visit: &Visit, here: Here) -> Result<HttpResponse, ApiError> {
    let range = here.range(visit)?;
    let ((metric, metric_code), (group, group_code)) = (metric(visit)?, group_by(visit)?);
    let usage = &visit.api.services.client_usage_db;
    let found = usage.overview(&here.id, range.asked(), (group, metric, COLOURS), MONTHS).await?;
    let (month, states) = limits::read(&visit.api, &here.id, None).await?;
    let limit = states.iter().find(|state| state.subject == LimitSubject::Organization);
    let mut frame = here.frame(visit).await?;
    frame.is_live = range.days.to() == here.today;
    here.freshness(visit, &mut frame, &found.daily.conversion).await?;
    let lines = lines(&frame, &found, metric);
    let forecast = expected(&found, &range, metric);
    let title = frame.t(match metric {
        Metric::Cost => "chart-cost",
        Metric::Tokens => "chart-tokens",
        Metric::Requests => "chart-requests",
    });
    let is_new =
        found.activity.is_empty() && found.months.iter().all(|month| month.figures.totals.requests == 0);
    let heat_map = HeatMap::of(frame.language, &found.activity, here.today, WEEKS);
    let mut notices = rate_notices(&frame, &found.daily.conversion);
    notices.extend(standing::used_up(&frame, month, &states));
    let page_ = Page {
        notices,
        tiles: tiles(&frame, &found, &range, limit)?,
        metrics: choices(visit, "metric", metric_code, &METRICS),
        groups: choices(visit, "group", group_code, &GROUPS),
        chart: chart::chart(&frame, &range, metric, title, &lines, &forecast)?,
        top_models: top_models(&frame, &found),
        summary: summary(&frame, &found),
        days: daily::days(visit, &frame, &found.daily, here.today)?,
        months: months(&frame, &found),
        activity: heat_map.data(frame.language),
        heat_map: heat_map.render().map_err(|error| ApiError::internal(&error, None))?,
        start: is_new.then(|| base_url(visit)),
        range,
        frame,
    };
    page(&page_)
}

/// The series of the chart; the whole as one where the days are not taken apart.
fn lines(frame: &Frame, found: &Overview, metric: Metric) -> Vec<Line> {
    let dates: Vec<UsageDate> = found.daily.days.iter().map(|row| row.usage_date).collect();
    if found.daily.series.is_empty() {
        let days = found.daily.days.iter().map(|row| (row.usage_date, metric.of(&Totals::from(row))));
        let total = metric.of(&found.daily.totals);
        return vec![Line { name: frame.t("all"), is_other: false, total, days: days.collect() }];
    }
    let line = |series: &mai_organization::usage_tracking::stats::series::Series| {
        let (name, is_other) = match &series.who {
            SeriesOf::One { name, .. } if name.is_empty() => (frame.t("unknown"), false),
            SeriesOf::One { name, .. } => (name.clone(), false),
            SeriesOf::Others => (frame.t("other"), true),
        };
        let values = series.per_day.iter().map(|(totals, _)| metric.of(totals));
        let days = dates.iter().copied().zip(values).collect();
        Line { name, is_other, total: metric.of(&series.totals), days }
    };
    found.daily.series.iter().map(line).collect()
}

/// What is still expected of today and the days after it: of cost, in the present month.
fn expected(found: &Overview, range: &Range, metric: Metric) -> Vec<(UsageDate, i64)> {
    let forecast = found.forecast.as_ref().filter(|_| metric == Metric::Cost && range.is_this_month);
    let days = forecast.into_iter().flat_map(|forecast| &forecast.days);
    days.map(|(day, cost)| (*day, cost.nanos())).collect()
}

fn tiles(
    frame: &Frame,
    found: &Overview,
    range: &Range,
    limit: Option<&LimitState>,
) -> Result<Vec<Tile>, ApiError> {
    let (totals, before) = (&found.daily.totals, &found.before);
    let per_day = |value: fn(&Totals) -> i64| -> Vec<i64> {
        range.each_day(found.daily.days.iter().map(|row| (row.usage_date, value(&Totals::from(row)))))
    };
    let estimated = found.daily.conversion.days_estimated;
    let amount = Amount::new(totals.markup_cost, found.daily.cost_pln).estimated(estimated);
    let in_pln = match &amount.pln {
        Some(pln) if amount.is_estimated => frame.with("tile-estimated", pln),
        Some(pln) => pln.clone(),
        None => frame.t("tile-no-pln"),
    };
    let label = frame.t(if range.is_this_month { "tile-cost-month" } else { "tile-cost" });
    let average = |sum: i64| {
        let days = found.engagement.days_begun.max(1);
        frame.with("tile-per-day", &format::compact(frame.language, sum / days))
    };
    let engagement = &found.engagement;
    let users = found.daily.days.iter().map(|row| (row.usage_date, row.unique_users));
    Ok(vec![
        Tile::new(label, amount.usd, in_pln).compared(cost(totals), cost(before)).drawn(&per_day(cost))?,
        Tile::new(frame.t("tokens"), frame.number(totals.tokens), average(totals.tokens))
            .compared(totals.tokens, before.tokens)
            .drawn(&per_day(|totals| totals.tokens))?,
        Tile::new(frame.t("requests"), frame.number(totals.requests), average(totals.requests))
            .compared(totals.requests, before.requests)
            .drawn(&per_day(|totals| totals.requests))?,
        Tile::new(
            frame.t("active-users"),
            frame.number(engagement.active_users),
            frame.language.count("tile-of-members", engagement.members),
        )
        .drawn(&range.each_day(users))?,
        limit_tile(frame, limit),
        forecast_tile(frame, found),
    ])
}

/// The present month against the organization's limit, whatever range is shown.
fn limit_tile(frame: &Frame, limit: Option<&LimitState>) -> Tile {
    let label = frame.t("tile-limit");
    match limit {
        Some(state) => standing::tile(frame, label, state),
        None => Tile::new(label, frame.t("tile-no-limit"), frame.t("tile-no-limit-note")),
    }
}

fn forecast_tile(frame: &Frame, found: &Overview) -> Tile {
    let label = frame.t("tile-forecast");
    match &found.forecast {
        Some(forecast) => {
            let (low, high) = (display::usd(forecast.low), display::usd(forecast.high));
            let note = frame.language.with_all("tile-forecast-range", &[("low", &low), ("high", &high)]);
            Tile::new(label, display::usd(forecast.total), note)
        }
        None => Tile::new(label, "–".to_owned(), frame.t("tile-no-forecast")),
    }
}

fn top_models(frame: &Frame, found: &Overview) -> Vec<Ranked> {
    let items = found.top_models.iter().map(|top| Item::new(top.model_name.to_string(), top.total_tokens));
    ranking(items.collect(), found.daily.totals.tokens, |tokens| frame.number(tokens))
}

/// The lines of the monthly summary.
fn summary(frame: &Frame, found: &Overview) -> Vec<(String, String)> {
    let (engagement, days) = (&found.engagement, &found.daily.days);
    let cost = found.daily.totals.markup_cost;
    let unit = |count: i64| ratio::unit_cost(cost, count, 1).map_or_else(|| "–".to_owned(), display::usd);
    let busiest = days.iter().max_by_key(|row| row.total_tokens);
    let dearest = days.iter().max_by_key(|row| row.markup_cost);
    let day = |row: Option<&mai_organization::ClientDailyUsageModel>| {
        row.map_or_else(|| "–".to_owned(), |row| format::date(frame.language, row.usage_date))
    };
    let change = ratio::change_per_million(cost.nanos(), found.before.markup_cost.nanos());
    let lines = [
        ("summary-active-users", frame.number(engagement.active_users)),
        ("summary-new-users", frame.number(engagement.new_users)),
        ("summary-idle-members", frame.number(engagement.members_without_usage)),
        (
            "summary-days",
            frame.language.with_all(
                "summary-days-of",
                &[
                    ("active", &frame.number(engagement.active_days)),
                    ("all", &frame.number(engagement.days_begun)),
                ],
            ),
        ),
        ("summary-cost-per-day", unit(engagement.days_begun)),
        ("summary-cost-per-user", unit(engagement.active_users)),
        ("summary-busiest", day(busiest)),
        ("summary-dearest", day(dearest)),
        ("summary-change", change.map_or_else(|| "–".to_owned(), format::change)),
    ];
    lines.into_iter().map(|(key, value)| (frame.language.text(key), value)).collect()
}

/// The newest month first; those before the first one with usage are left out.
fn months(frame: &Frame, found: &Overview) -> Vec<Month> {
    let used = found.months.iter().skip_while(|month| month.figures.totals.requests == 0);
    let greatest = found.months.iter().map(|month| cost(&month.figures.totals)).max().unwrap_or(0);
    let mut months: Vec<Month> = used
        .map(|month| Month {
            name: format::month(frame.language, month.range.from()),
            is_running: !month.is_complete,
            tokens: frame.number(month.figures.totals.tokens),
            requests: frame.number(month.figures.totals.requests),
            users: frame.number(month.figures.active_users),
            cost: Amount::new(month.figures.totals.markup_cost, month.figures.cost_pln)
                .estimated(month.figures.days_estimated),
            // The days so far against a whole month would tell of a fall that there is not.
            change: month
                .change
                .cost_ppm
                .filter(|_| month.is_complete)
                .map_or_else(|| "–".to_owned(), format::change),
            width: charts::width(cost(&month.figures.totals), greatest),
        })
        .collect();
    months.reverse();
    months
}
