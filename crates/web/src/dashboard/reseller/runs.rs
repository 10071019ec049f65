//! The daily runs: what they did, how far one is, and starting one by hand.

use actix_web::{HttpResponse, HttpResponseBuilder, web};
use askama::Template;
use mai_batch::{RunModel, RunStatus, StartedBy, StepModel, StepStatus, Wanted};
use mai_primitives::UsageDate;
use serde::Deserialize;

use super::{frame, open, refusal_page, run, sent};
use crate::{
    api::{ApiError, batch::progress, caller::Caller},
    dashboard::{
        address::{Address, encoded_part},
        figures::{Notice, Tile},
        format,
        forms::{Confirm, onward, refused},
        frame::{Frame, ResellerTab},
        table::{Pager, paged},
        visit::{Visit, page_as},
    },
};

/// How many of the latest runs are listed.
const RUNS: i64 = 100;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/runs")
                .route(web::get().to(async |visit: Visit| visit.answer(show).await))
                .route(web::post().to(begin)),
        )
        .configure(run::routes);
}

#[derive(Template)]
#[template(path = "runs.html")]
struct Page {
    frame: Frame,
    notices: Vec<Notice>,
    confirm: Option<Confirm>,
    tiles: Vec<Tile>,
    rows: Vec<Row>,
    pager: Pager,
    day: String,
    last_day: String,
    is_forced: bool,
}

struct Row {
    href: String,
    day: String,
    began: String,
    ago: String,
    by: String,
    took: String,
    state: (&'static str, String),
    steps: String,
    error: Option<String>,
}

/// Where the page of a run is.
pub(super) fn address(id: &str) -> Address {
    Address::to(format!("/reseller/runs/{}", encoded_part(id)))
}

async fn show(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let caller = open(visit).await?;
    render(visit, &caller, &Wish::default(), None, (Vec::new(), HttpResponse::Ok())).await
}

async fn render(
    visit: &Visit,
    caller: &Caller,
    wish: &Wish,
    confirm: Option<Confirm>,
    (mut notices, mut answer): (Vec<Notice>, HttpResponseBuilder),
) -> Result<HttpResponse, ApiError> {
    let batch = &visit.api.batch;
    let (found, lease) = batch.latest(RUNS).await?;
    let freshness = batch.freshness().await?;
    let mut frame = frame(visit, caller, ResellerTab::Runs).await?;
    frame.is_live = confirm.is_none() && visit.request.method().is_safe();
    let trouble = freshness.trouble();
    notices.extend(trouble.map(|text| Notice { kind: "warning", text: frame.with("run-trouble", &text) }));
    let last_day = batch.schedule().last_over(visit.api.clock.now()).to_string();
    let tiles = tiles(visit, &frame, (&found, freshness.last_success.as_ref()), lease.holder_at(visit.now()));
    let (runs, pager) = paged(found, &visit.address, &frame)?;
    let page = Page {
        rows: runs.iter().map(|(run, steps)| row(visit, &frame, run, steps)).collect(),
        day: if wish.day.is_empty() { last_day.clone() } else { wish.day.clone() },
        is_forced: !wish.force.is_empty(),
        confirm,
        notices,
        tiles,
        pager,
        last_day,
        frame,
    };
    page_as(&page, answer.finish())
}

fn tiles(
    visit: &Visit,
    frame: &Frame,
    (runs, last): (&[(RunModel, Vec<StepModel>)], Option<&RunModel>),
    process: Option<&str>,
) -> Vec<Tile> {
    let schedule = visit.api.batch.schedule();
    let at = |at| format::instant(frame.language, schedule.calendar, at);
    let next = schedule.next(visit.api.clock.now());
    let ended = last.and_then(|run| run.finished_at);
    let mut tiles = vec![
        Tile::new(frame.t("run-next"), at(next), frame.with("run-schedule", &schedule.to_string())),
        Tile::new(
            frame.t("run-last-success"),
            ended.map_or_else(|| frame.t("run-never"), |end| format::ago(frame.language, visit.now(), end)),
            last.map_or_else(String::new, |run| {
                frame.with("run-of-day", &format::date(frame.language, run.processing_date))
            }),
        ),
    ];
    let going = runs.iter().find_map(|(run, steps)| progress(&visit.api.batch, run, steps));
    if let Some(going) = going {
        let step = frame.t(step_name(&going.operation));
        let note = match going.total {
            Some(total) => {
                let (done, total) = (frame.number(going.done), frame.number(total));
                frame.language.with_all("run-progress", &[("done", &done), ("total", &total)])
            }
            None => process.unwrap_or_default().to_owned(),
        };
        let label = frame
            .language
            .with_all("run-now", &[("step", &going.step.to_string()), ("steps", &going.steps.to_string())]);
        tiles.push(Tile::new(label, step, note));
    }
    tiles
}

fn row(visit: &Visit, frame: &Frame, run: &RunModel, steps: &[StepModel]) -> Row {
    let done = steps.iter().filter(|step| step.status == StepStatus::Succeeded).count();
    let (done, all) = (done.to_string(), steps.len().to_string());
    let calendar = visit.api.batch.schedule().calendar;
    Row {
        href: address(&run.id).link(),
        day: format::date(frame.language, run.processing_date),
        began: format::instant(frame.language, calendar, run.started_at),
        ago: format::ago(frame.language, visit.now(), run.started_at),
        by: started_by(frame, run),
        took: run.finished_at.map_or_else(
            || "–".to_owned(),
            |end| took(frame, end.seconds().saturating_sub(run.started_at.seconds())),
        ),
        state: state(frame, run.status),
        steps: frame.language.with_all("run-steps-of", &[("done", &done), ("all", &all)]),
        error: run.error.clone(),
    }
}

/// Who started a run, and whether it did again what was done.
pub(super) fn started_by(frame: &Frame, run: &RunModel) -> String {
    let by = frame.t(match run.started_by {
        StartedBy::Schedule => "run-by-schedule",
        StartedBy::CatchUp => "run-by-catch-up",
        StartedBy::Api => "run-by-hand",
        StartedBy::CommandLine => "run-by-command",
    });
    if run.is_forced { format!("{by}, {}", frame.t("run-forced")) } else { by }
}

/// The class and the word of a run's state.
pub(super) fn state(frame: &Frame, status: RunStatus) -> (&'static str, String) {
    match status {
        RunStatus::Running => ("", frame.t("run-running")),
        RunStatus::Succeeded => ("ok", frame.t("run-succeeded")),
        RunStatus::Failed => ("bad", frame.t("run-failed")),
    }
}

/// How long something took.
pub(super) fn took(frame: &Frame, seconds: i64) -> String {
    match seconds {
        ..60 => frame.with("run-seconds", &frame.number(seconds.max(0))),
        _ => frame.language.with_all(
            "run-minutes",
            &[("minutes", &frame.number(seconds / 60)), ("seconds", &format!("{:02}", seconds % 60))],
        ),
    }
}

/// What a step does.
pub(super) fn step_name(name: &str) -> &'static str {
    match name {
        "exchange_rate_update" => "run-step-exchange-rates",
        "model_pricing_update" => "run-step-model-prices",
        "daily_validation" => "run-step-validation",
        "monthly_totals_update" => "run-step-month-totals",
        "subscription_freeze" => "run-step-subscription",
        "reconcile" => "run-step-reconcile",
        "anomalies" => "run-step-anomalies",
        "data_cleanup" => "run-step-retention",
        "backup" => "run-step-backup",
        _ => "unknown",
    }
}

/// A run that somebody wants.
#[derive(Default, Deserialize)]
struct Wish {
    #[serde(default)]
    csrf_token: String,
    #[serde(default)]
    day: String,
    #[serde(default)]
    force: String,
    /// Whether somebody is sure to do again what was done.
    #[serde(default)]
    sure: String,
}

async fn begin(visit: Visit, form: web::Form<Wish>) -> HttpResponse {
    let work = async |visit: &Visit| {
        let caller = sent(visit, &form.csrf_token).await?;
        let refuse = async |refusal: ApiError| {
            let (status, code) = (refusal.status, refusal.code);
            let texts = [("processing_date", "run-unfit-day"), ("wrong_state", "run-busy")];
            let notice = refused(&visit.frame(""), refusal, &texts)?;
            let answer = (vec![notice], HttpResponse::build(status));
            Ok(refusal_page(render(visit, &caller, &form, None, answer).await?, code))
        };
        let Ok(day) = UsageDate::parse(form.day.trim()) else {
            return refuse(ApiError::field("processing_date", "must be a day as YYYY-MM-DD")).await;
        };
        let is_forced = !form.force.is_empty();
        if is_forced && form.sure.is_empty() {
            let confirm = confirm(visit, day);
            return render(visit, &caller, &form, Some(confirm), (Vec::new(), HttpResponse::Ok())).await;
        }
        let wanted = Wanted { processing_date: Some(day), is_forced, started_by: StartedBy::Api };
        match visit.api.batch.trigger(wanted, &caller.actor).await {
            Ok((run, is_new)) => {
                Ok(onward(&address(&run.id), if is_new { "run-begun" } else { "run-done-before" }))
            }
            Err(error) => refuse(error.into()).await,
        }
    };
    visit.answer(work).await
}

fn confirm(visit: &Visit, day: UsageDate) -> Confirm {
    let text = |key: &str| visit.language.text(key);
    Confirm {
        title: visit.language.with("run-force-title", &format::date(visit.language, day)),
        text: text("run-force-text"),
        action: ResellerTab::Runs.path().to_owned(),
        fields: vec![("day", day.to_string()), ("force", "1".to_owned()), ("sure", "1".to_owned())],
        submit: text("run-force"),
        cancel: ResellerTab::Runs.path().to_owned(),
    }
}
