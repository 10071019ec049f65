//! How the service is: its checks, and the figures of the process that answers.

use actix_web::{HttpResponse, web};
use askama::Template;
use mai_model_prices::Source;
use mai_organization::{
    exchange_rates::PublishedRate,
    usage_tracking::drift::{self, DriftSum},
};
use mai_primitives::{OrganizationCalendar, UnixTime, display};

use super::{frame, open};
use crate::{
    api::ApiError,
    dashboard::{
        figures::{Notice, Tile},
        format,
        frame::{Frame, ResellerTab},
        visit::{Visit, page},
    },
    health::{Check, Examination, Health, examine},
    metrics::{Metrics, Shown},
};

/// Over how many UTC days both books are compared, the present one included.
const DAYS: u64 = 7;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.route("/health", web::get().to(async |visit: Visit| visit.answer(show).await));
}

#[derive(Template)]
#[template(path = "health.html")]
struct Page {
    frame: Frame,
    notices: Vec<Notice>,
    tiles: Vec<Tile>,
    checks: Vec<Row>,
    sources: Vec<(String, String)>,
    process: Vec<(String, String)>,
}

struct Row {
    name: String,
    note: String,
    state: (&'static str, String),
    message: Option<String>,
}

async fn show(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let caller = open(visit).await?;
    let health = visit.request.app_data::<web::Data<Health>>().ok_or_else(ApiError::misconfigured)?;
    let metrics = visit.request.app_data::<web::Data<Metrics>>().ok_or_else(ApiError::misconfigured)?;
    let (found, shown) = (examine(health).await, metrics.shown());
    let today = OrganizationCalendar::UTC.usage_date(visit.api.clock.now());
    let days = (today.minus_days(DAYS - 1), today);
    let drift = visit.api.storage.read(move |conn| drift::sum(conn, days, today)).await;
    let rate = visit.api.services.exchange_rate_db.latest().await;
    let mut frame = frame(visit, &caller, ResellerTab::Health).await?;
    frame.is_live = true;
    let notice = if found.is_ready() {
        Notice { kind: "info", text: frame.t("health-ready") }
    } else {
        Notice { kind: "bad", text: frame.t("health-unready") }
    };
    let page_ = Page {
        notices: vec![notice],
        tiles: tiles(&frame, &found, &shown),
        checks: checks(&frame, &found),
        sources: sources(visit, &frame, told(drift), told(rate).flatten()),
        process: process(visit, &frame, &shown),
        frame,
    };
    page(&page_)
}

/// What was read; what could not be is unknown on the page, and told in the log.
fn told<T, E: std::fmt::Display>(read: Result<T, E>) -> Option<T> {
    read.inspect_err(|error| tracing::warn!(%error, "a part of the state cannot be read")).ok()
}

fn tiles(frame: &Frame, found: &Examination, shown: &Shown) -> Vec<Tile> {
    let bytes = |bytes: u64| bytes_shown(frame, bytes);
    let count = |count: u64| frame.number(i64::try_from(count).unwrap_or(i64::MAX));
    let oldest = if found.lag_bytes == 0 {
        frame.t("health-waiting-none")
    } else {
        frame.with("health-waiting", &count(found.waiting.as_secs()))
    };
    let unresolved = found.unresolved_count.map_or_else(|| frame.t("no-data"), |count| frame.number(count));
    let used = u128::from(found.stats.retained_bytes) * 100 / u128::from(shown.journal_limit.max(1));
    let width = i64::try_from(used).unwrap_or(100).min(100);
    let state = match width {
        ..80 => "ok",
        80..100 => "warn",
        _ => "bad",
    };
    let journal = Tile::new(
        frame.t("health-journal"),
        bytes(found.stats.retained_bytes),
        frame.with("tile-limit-of", &bytes(shown.journal_limit)),
    );
    vec![
        Tile::new(frame.t("health-backlog"), bytes(found.lag_bytes), oldest),
        Tile { progress: Some((width, state)), ..journal },
        Tile::new(frame.t("gen-unresolved"), unresolved, frame.t("gen-unresolved-note")),
        Tile::new(
            frame.t("health-open-calls"),
            frame.number(shown.open_calls),
            frame.with("health-open-streams", &frame.number(shown.open_streams)),
        ),
        Tile::new(
            frame.t("health-calls"),
            count(shown.calls),
            frame.with("health-refused", &count(shown.refused)),
        ),
    ]
}

/// Bytes in whole units of 1,024.
fn bytes_shown(frame: &Frame, bytes: u64) -> String {
    let (size, unit) = match bytes {
        ..1_024 => (bytes, "B"),
        1_024..1_048_576 => (bytes / 1_024, "KiB"),
        1_048_576..1_073_741_824 => (bytes / 1_048_576, "MiB"),
        _ => (bytes / 1_073_741_824, "GiB"),
    };
    format!("{}\u{a0}{unit}", frame.number(i64::try_from(size).unwrap_or(i64::MAX)))
}

fn checks(frame: &Frame, found: &Examination) -> Vec<Row> {
    let row = |name: &str, note: &str, check: &Check| {
        let (class, word, message) = match check {
            Check::Ok => ("ok", "health-ok", None),
            Check::Warning(text) => ("warn", "health-warning", Some(text.clone())),
            Check::Unready(text) => ("bad", "health-refusing", Some(text.clone())),
        };
        Row { name: frame.t(name), note: frame.t(note), state: (class, frame.t(word)), message }
    };
    let mut rows = vec![
        row("health-database", "health-database-note", &found.database),
        row("health-journal", "health-journal-note", &found.journal),
        row("health-applier", "health-applier-note", &found.applier),
        row("gen-unresolved", "health-unresolved-note", &found.unresolved),
        row("health-accepting", "health-accepting-note", &found.accepting),
        row("tab-runs", "health-batch-note", &found.batch),
    ];
    let members = found.members.as_ref();
    rows.extend(members.map(|check| row("tab-members", "health-members-note", check)));
    rows
}

/// How fresh is what comes from others, and whether both books agree. What cannot be read now is unknown.
fn sources(
    visit: &Visit,
    frame: &Frame,
    drift: Option<DriftSum>,
    rate: Option<PublishedRate>,
) -> Vec<(String, String)> {
    let calendar = visit.api.time_zone;
    let when = |at: UnixTime| {
        let ago = format::ago(frame.language, visit.now(), at);
        format!("{} ({ago})", format::instant(frame.language, calendar, at))
    };
    let list = visit.api.model_prices.prices().current();
    let prices = list.fetched_at().map_or_else(|| frame.t("health-built-in"), when);
    let source = frame.t(match list.source(visit.now()) {
        Source::OpenrouterApi => "health-prices-fresh",
        Source::CacheFallback => "health-prices-old",
        Source::HardcodedFallback => "health-built-in",
    });
    let models = frame.number(i64::try_from(list.models().len()).unwrap_or(i64::MAX));
    let rate_shown = rate.as_ref().map(|table| {
        let day = format::date(frame.language, table.effective_date);
        let rate = format::rate(frame.language, table.rate);
        frame
            .language
            .with_all("health-rate-of", &[("rate", &rate), ("table", &table.table_no), ("day", &day)])
    });
    let unknown = || frame.t("no-data");
    let ratio = drift.and_then(|drift| drift.ratio());
    let ratio = ratio.map(|ratio| {
        let point = if frame.code() == "pl" { ',' } else { '.' };
        format!("{}{point}{:02}%", ratio / 100, ratio % 100)
    });
    let known = drift.filter(|drift| drift.days > 0);
    let amount =
        |amount: fn(&DriftSum) -> mai_primitives::Usd| known.as_ref().map(|sum| display::usd(amount(sum)));
    let facts = [
        ("health-prices", prices),
        ("health-prices-state", source),
        ("models-used", models),
        ("health-rate", rate_shown.unwrap_or_else(unknown)),
        ("health-rate-read", rate.map_or_else(unknown, |table| when(table.fetched_at))),
        ("health-captured", amount(|sum| sum.captured).unwrap_or_else(unknown)),
        ("health-billed", amount(|sum| sum.billed).unwrap_or_else(unknown)),
        ("fleet-captured", ratio.unwrap_or_else(unknown)),
    ];
    facts.map(|(key, value)| (frame.t(key), value)).into()
}

fn process(visit: &Visit, frame: &Frame, shown: &Shown) -> Vec<(String, String)> {
    let count = |count: u64| frame.number(i64::try_from(count).unwrap_or(i64::MAX));
    let started = format::instant(frame.language, visit.api.time_zone, shown.started_at);
    let compared = shown.directory_age.map(|age| {
        let seconds = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        format::ago(frame.language, visit.now(), visit.now().plus_seconds(-seconds))
    });
    let facts = [
        ("health-version", frame.version.to_owned()),
        ("health-started", started),
        ("health-records", count(shown.records.0)),
        ("health-applied", count(shown.records.1)),
        ("health-look-ups", count(shown.look_ups.0)),
        ("health-look-ups-failed", count(shown.look_ups.1)),
        ("health-directory", compared.unwrap_or_else(|| frame.t("no-data"))),
    ];
    facts.map(|(key, value)| (frame.t(key), value)).into()
}
