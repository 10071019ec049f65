//! `admin/trigger-batch` and `admin/batch-status`: the daily run, for the reseller.

use actix_web::{HttpResponse, get, http::StatusCode, post, web};
use chrono::{DateTime, SecondsFormat};
use mai_batch::{Batch, Current, RunModel, RunStatus, StartedBy, StepModel, StepStatus, Wanted};
use mai_primitives::{UnixTime, UsageDate};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::{
    Api, ApiError,
    asked::Asked,
    caller::Caller,
    error::{ReadRefusals, Refusals},
};

/// The part of the month's totals that only a look at one run shows.
const LONG_PART: &str = "monthly_summaries";
const RUNS_SHOWN: i64 = 10;
const RUNS_AT_MOST: i64 = 100;

pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config.service(trigger_batch).service(batch_status).service(batch_run);
}

/// A step of a run.
#[derive(Serialize, ToSchema)]
pub(crate) struct BatchStep {
    operation: String,
    /// Whether the run fails with it.
    is_required: bool,
    /// `waiting`, `running`, `succeeded` or `failed`.
    status: &'static str,
    /// How often it was begun: more than once where a process died in it.
    attempts: i32,
    /// The process that began it last.
    process: Option<String>,
    /// Unix seconds.
    started_at: Option<i64>,
    finished_at: Option<i64>,
    duration_ms: Option<i64>,
    /// How far it is, in whatever it counts; a total of null is not known yet.
    done: i64,
    total: Option<i64>,
    /// Its result; which fields it has depends on the step.
    #[schema(value_type = Object)]
    details: Value,
    /// Why it failed.
    error: Option<String>,
}

/// A daily run.
#[derive(Serialize, ToSchema)]
pub(crate) struct BatchRun {
    run_id: String,
    /// The last day that it is about.
    processing_date: String,
    /// `schedule`, `catch_up`, `api` or `command_line`.
    started_by: &'static str,
    /// Whether validated days were validated again.
    is_forced: bool,
    /// `running`, `succeeded` or `failed`.
    status: &'static str,
    /// Whether all required steps succeeded; null while it runs.
    success: Option<bool>,
    /// The process that worked on it last.
    process: String,
    /// Unix seconds.
    started_at: i64,
    finished_at: Option<i64>,
    duration_seconds: Option<i64>,
    /// Which required steps failed.
    error: Option<String>,
    steps: Vec<BatchStep>,
}

impl BatchRun {
    /// A run with all that its steps have found.
    pub(crate) fn complete(run: RunModel, steps: Vec<StepModel>) -> serde_json::Result<Self> {
        let steps = steps.into_iter().map(BatchStep::complete).collect::<Result<_, _>>()?;
        Ok(Self {
            run_id: run.id,
            processing_date: run.processing_date.to_string(),
            started_by: run.started_by.as_str(),
            is_forced: run.is_forced,
            status: run.status.as_str(),
            success: (run.status != RunStatus::Running).then_some(run.status == RunStatus::Succeeded),
            process: run.process,
            started_at: run.started_at.seconds(),
            finished_at: run.finished_at.map(UnixTime::seconds),
            duration_seconds: run.finished_at.map(|end| end.seconds() - run.started_at.seconds()),
            error: run.error,
            steps,
        })
    }

    /// Without what may be as long as the list of organizations.
    fn short(mut self) -> Self {
        for step in &mut self.steps {
            if let Some(details) = step.details.as_object_mut() {
                details.remove(LONG_PART);
            }
        }
        self
    }
}

impl BatchStep {
    fn complete(step: StepModel) -> serde_json::Result<Self> {
        Ok(Self {
            details: serde_json::from_str(&step.details)?,
            operation: step.name,
            is_required: step.is_required,
            status: step.status.as_str(),
            attempts: step.attempts,
            process: step.process,
            started_at: step.started_at.map(UnixTime::seconds),
            finished_at: step.finished_at.map(UnixTime::seconds),
            duration_ms: step.duration_ms,
            done: step.done,
            total: step.total,
            error: step.error,
        })
    }
}

fn unreadable(cause: &serde_json::Error) -> ApiError {
    ApiError::internal(cause, None)
}

/// What to process.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TriggerBatch {
    /// The last day that the run is about, `YYYY-MM-DD`; without it yesterday.
    processing_date: Option<String>,
    /// Do it again where it was done, and validate all days again that the ledger still has.
    #[serde(default)]
    force_reprocess: bool,
}

/// What became of it.
#[derive(Serialize, ToSchema)]
struct BatchTriggered {
    success: bool,
    message: &'static str,
    processing_date: String,
    run_id: String,
    /// The stored run, where the date was processed before; null where a run has begun.
    results: Option<BatchRun>,
}

/// Begins a daily run, in this process. 409 while one is going on, here or elsewhere.
#[utoipa::path(
    tag = "operations",
    extensions(("x-access" = json!("reseller"))),
    request_body = TriggerBatch,
    responses(
        (status = 200, description = "The date was processed before", body = BatchTriggered),
        (status = 202, description = "A run has begun", body = BatchTriggered),
        Refusals,
    ),
    security(("bearer" = []), ("session" = [])),
)]
#[post("/admin/trigger-batch")]
async fn trigger_batch(caller: Caller, asked: Asked, api: web::Data<Api>) -> Result<HttpResponse, ApiError> {
    caller.reseller()?;
    let asked: TriggerBatch = asked.json().await?;
    let date = asked.processing_date.as_deref().map(UsageDate::parse).transpose();
    let date = date.map_err(|_| ApiError::field("processing_date", "must be a day as YYYY-MM-DD"))?;
    let wanted =
        Wanted { processing_date: date, is_forced: asked.force_reprocess, started_by: StartedBy::Api };
    let (run, is_new) = api.batch.trigger(wanted, &caller.actor).await?;
    let (processing_date, run_id) = (run.processing_date.to_string(), run.id.clone());
    let (status, message, results) = if is_new {
        (StatusCode::ACCEPTED, "The daily run has begun", None)
    } else {
        let (run, steps) = api.batch.run(&run.id).await?;
        let results = BatchRun::complete(run, steps).map_err(|cause| unreadable(&cause))?.short();
        (StatusCode::OK, "The date was processed before; force_reprocess does it again", Some(results))
    };
    Ok(HttpResponse::build(status).json(BatchTriggered {
        success: true,
        message,
        processing_date,
        run_id,
        results,
    }))
}

/// Which runs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// How many of the latest runs, 1 to 100, by default 10.
    runs: Option<i64>,
}

/// How far the run is that is going on.
#[derive(Serialize, ToSchema)]
pub(crate) struct BatchProgress {
    run_id: String,
    processing_date: String,
    pub(crate) operation: String,
    /// Which step it is, from 1, and how many there are.
    pub(crate) step: usize,
    pub(crate) steps: usize,
    /// How far the step is, in whatever it counts; a total of null is not known yet.
    pub(crate) done: i64,
    pub(crate) total: Option<i64>,
}

/// How the daily run is. The first six fields are the original's.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "the fields are the original's")]
struct BatchStatus {
    success: bool,
    batch_processor_available: bool,
    /// Always false: usage is in the database only.
    influxdb_enabled: bool,
    dual_write_mode: bool,
    /// When the last run ended, RFC 3339 in UTC.
    last_batch_run: Option<String>,
    environment: &'static str,
    /// The local time and the zone in which it is due.
    schedule: String,
    /// When it is due next, RFC 3339 in UTC.
    next_batch_run: String,
    /// The process that does the daily run now.
    running_process: Option<String>,
    progress: Option<BatchProgress>,
    /// What is wrong: the last run failed or does not end, or one is overdue.
    trouble: Option<String>,
    /// The latest runs, the newest first, without the month's totals of each organization.
    runs: Vec<BatchRun>,
}

/// How the daily run is: progress, and the latest runs with their steps.
#[utoipa::path(
    tag = "operations",
    extensions(("x-access" = json!("reseller"))),
    params(Query),
    responses((status = 200, description = "How the daily run is", body = BatchStatus), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/admin/batch-status")]
async fn batch_status(caller: Caller, asked: Asked, api: web::Data<Api>) -> Result<HttpResponse, ApiError> {
    caller.reseller()?;
    let limit = asked.query::<Query>()?.runs.unwrap_or(RUNS_SHOWN);
    if !(1..=RUNS_AT_MOST).contains(&limit) {
        return Err(ApiError::field("runs", "must be 1 to 100"));
    }
    let now = api.clock.now();
    let (found, lease) = api.batch.latest(limit).await?;
    let freshness = api.batch.freshness().await?;
    let progress = found.iter().find_map(|(run, steps)| progress(&api.batch, run, steps));
    let ended = found.iter().filter_map(|(run, _)| run.finished_at).max();
    let last = freshness.last_success.as_ref().and_then(|run| run.finished_at);
    let runs = found.into_iter().map(|(run, steps)| BatchRun::complete(run, steps).map(BatchRun::short));
    let runs = runs.collect::<Result<_, _>>().map_err(|cause: serde_json::Error| unreadable(&cause))?;
    Ok(HttpResponse::Ok().json(BatchStatus {
        success: true,
        batch_processor_available: true,
        influxdb_enabled: false,
        dual_write_mode: false,
        last_batch_run: ended.max(last).map(rfc3339),
        environment: "production",
        schedule: api.batch.schedule().to_string(),
        next_batch_run: rfc3339(api.batch.schedule().next(now)),
        running_process: lease.holder_at(now.into()).map(str::to_owned),
        progress,
        trouble: freshness.trouble(),
        runs,
    }))
}

/// How far a run is, if it is not over: what this process knows of it, else what was stored.
pub(crate) fn progress(batch: &Batch, run: &RunModel, steps: &[StepModel]) -> Option<BatchProgress> {
    if run.status != RunStatus::Running {
        return None;
    }
    let step = steps.iter().find(|step| step.status == StepStatus::Running);
    let step = step.or_else(|| steps.iter().find(|step| step.status == StepStatus::Waiting))?;
    let own = batch.progress().current();
    let own = own.filter(|own| own.run_id == run.id && own.position == step.position);
    let (done, total) = match own {
        Some(Current { done, total, .. }) => (done, total),
        None => (step.done, step.total),
    };
    Some(BatchProgress {
        run_id: run.id.clone(),
        processing_date: run.processing_date.to_string(),
        operation: step.name.clone(),
        step: usize::try_from(step.position).unwrap_or(0) + 1,
        steps: steps.len(),
        done,
        total,
    })
}

fn rfc3339(at: UnixTime) -> String {
    let at = DateTime::from_timestamp(at.seconds(), 0).unwrap_or(DateTime::UNIX_EPOCH);
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// One run with all that its steps have found.
#[utoipa::path(
    tag = "operations",
    extensions(("x-access" = json!("reseller"))),
    params(("run_id" = String, Path, description = "The run")),
    responses((status = 200, description = "The run", body = BatchRun), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/admin/batch-runs/{run_id}")]
async fn batch_run(caller: Caller, asked: Asked, api: web::Data<Api>) -> Result<HttpResponse, ApiError> {
    caller.reseller()?;
    let (run, steps) = api.batch.run(asked.path("run_id")?).await?;
    let run = BatchRun::complete(run, steps).map_err(|cause| unreadable(&cause))?;
    Ok(HttpResponse::Ok().json(run))
}
