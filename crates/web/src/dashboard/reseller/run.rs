//! One daily run and its steps.

use actix_web::{HttpResponse, web};
use askama::Template;
use mai_batch::{RunStatus, StepModel, StepStatus};
use mai_organization::audit_log::AuditQuery;

use super::{
    frame, open,
    runs::{started_by, state, step_name, took},
};
use crate::{
    api::ApiError,
    dashboard::{
        audit, details,
        figures::Notice,
        format,
        forms::done,
        frame::{Frame, ResellerTab},
        visit::{Visit, page},
    },
};

/// How many of the latest starts are searched for whoever started a run.
const STARTS: i64 = 200;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.route("/runs/{run}", web::get().to(async |visit: Visit| visit.answer(show).await));
}

#[derive(Template)]
#[template(path = "run.html")]
struct Page {
    frame: Frame,
    notices: Vec<Notice>,
    state: (&'static str, String),
    facts: Vec<(String, String)>,
    steps: Vec<Step>,
}

struct Step {
    name: String,
    code: String,
    is_required: bool,
    state: (&'static str, String),
    began: String,
    took: String,
    progress: Option<String>,
    details: Vec<(String, String)>,
    error: Option<String>,
}

async fn show(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let caller = open(visit).await?;
    let (run, steps) = visit.api.batch.run(&visit.part("run")?).await?;
    let mut frame = frame(visit, &caller, ResellerTab::Runs).await?;
    frame.title = frame.with("run-title", &format::date(frame.language, run.processing_date));
    frame.is_live = run.status == RunStatus::Running;
    let calendar = visit.api.batch.schedule().calendar;
    let at = |at| format::instant(frame.language, calendar, at);
    let none = || "–".to_owned();
    let ended = run.finished_at;
    let duration = ended.map(|end| took(&frame, end.seconds().saturating_sub(run.started_at.seconds())));
    let facts = [
        ("run-began", at(run.started_at)),
        ("run-ended", ended.map_or_else(none, at)),
        ("run-took", duration.unwrap_or_else(none)),
        ("run-by", started_by(&frame, &run)),
        ("log-who", starter(visit, &frame, &run.id).await?.unwrap_or_else(none)),
        ("run-process", run.process.clone()),
        ("run-id", run.id.clone()),
    ];
    let facts = facts.map(|(key, value)| (frame.t(key), value)).into();
    let mut notices: Vec<Notice> = done(visit, &["run-begun", "run-done-before"]).into_iter().collect();
    notices.extend(run.error.map(|text| Notice { kind: "bad", text }));
    let page_ = Page {
        state: state(&frame, run.status),
        steps: steps.into_iter().map(|one| step(visit, &frame, one)).collect(),
        notices,
        facts,
        frame,
    };
    page(&page_)
}

/// Who started a run, where the audit log tells it.
async fn starter(visit: &Visit, frame: &Frame, run: &str) -> Result<Option<String>, ApiError> {
    let query =
        AuditQuery { action: Some("batch.trigger".to_owned()), limit: STARTS, ..AuditQuery::default() };
    let starts = visit.api.services.audit_log_db.list(query).await?;
    let entry = starts.into_iter().find(|entry| entry.target == run);
    Ok(entry.map(|entry| {
        let kind = frame.t(audit::kind(entry.actor_kind));
        if entry.actor_id.is_empty() { kind } else { format!("{kind}, {}", entry.actor_id) }
    }))
}

fn step(visit: &Visit, frame: &Frame, step: StepModel) -> Step {
    let calendar = visit.api.batch.schedule().calendar;
    let current = visit.api.batch.progress().current();
    let own = current.filter(|own| own.run_id == step.run_id && own.position == step.position);
    let (so_far, total) = own.map_or((step.done, step.total), |own| (own.done, own.total));
    let progress = (step.status == StepStatus::Running).then(|| {
        let total = total.map_or_else(|| frame.t("no-data"), |total| frame.number(total));
        frame.language.with_all("run-progress", &[("done", &frame.number(so_far)), ("total", &total)])
    });
    let state = match step.status {
        StepStatus::Waiting => ("", "run-waiting"),
        StepStatus::Running => ("", "run-running"),
        StepStatus::Succeeded => ("ok", "run-succeeded"),
        StepStatus::Failed if step.is_required => ("bad", "run-failed"),
        StepStatus::Failed => ("warn", "run-failed"),
    };
    Step {
        name: frame.t(step_name(&step.name)),
        state: (state.0, frame.t(state.1)),
        began: step
            .started_at
            .map_or_else(|| "–".to_owned(), |at| format::instant(frame.language, calendar, at)),
        took: step.duration_ms.map_or_else(
            || "–".to_owned(),
            |milliseconds| match milliseconds {
                ..1_000 => frame.with("run-milliseconds", &frame.number(milliseconds)),
                _ => took(frame, milliseconds / 1_000),
            },
        ),
        details: details::pairs(frame, calendar, &step.details),
        code: step.name,
        is_required: step.is_required,
        error: step.error,
        progress,
    }
}
