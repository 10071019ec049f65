//! Stored runs and their steps. The functions run inside of the caller's transaction.

use chrono::{DateTime, Utc};
use diesel::{dsl::max, prelude::*};
use mai_primitives::{UnixTime, UsageDate};
use mai_storage::{DatabaseUrl, DbConnection, Error as StorageError};
use uuid::{NoContext, Timestamp, Uuid};

use crate::{
    error::{Error, Result},
    model::{RunModel, RunStatus, StartedBy, StepModel, StepStatus},
    schema::{batch_runs as runs, batch_steps as steps},
    step::Step,
};

/// The longest error text that a row keeps, in characters.
const MAX_ERROR_CHARS: usize = 2_000;

/// The last processing date of which there is a run, whatever became of it.
pub(crate) fn last_date(conn: &mut DbConnection) -> Result<Option<UsageDate>> {
    let last = runs::table.select(max(runs::processing_date)).first(conn);
    Ok(last.map_err(StorageError::from)?)
}

/// The oldest run that is not over.
pub(crate) fn unfinished(conn: &mut DbConnection) -> Result<Option<RunModel>> {
    let run = runs::table
        .filter(runs::status.eq(RunStatus::Running))
        .order((runs::started_at, runs::id))
        .select(RunModel::as_select())
        .first(conn);
    Ok(run.optional().map_err(StorageError::from)?)
}

/// The last run of a date that succeeded.
pub(crate) fn succeeded(conn: &mut DbConnection, date: UsageDate) -> Result<Option<RunModel>> {
    let run = runs::table
        .filter(runs::processing_date.eq(date))
        .filter(runs::status.eq(RunStatus::Succeeded))
        .order((runs::started_at.desc(), runs::id.desc()))
        .select(RunModel::as_select())
        .first(conn);
    Ok(run.optional().map_err(StorageError::from)?)
}

/// The latest runs, the newest first.
pub fn latest(conn: &mut DbConnection, limit: i64) -> Result<Vec<RunModel>> {
    let found = runs::table
        .order((runs::started_at.desc(), runs::id.desc()))
        .limit(limit)
        .select(RunModel::as_select())
        .load(conn);
    Ok(found.map_err(StorageError::from)?)
}

/// One run, or [`Error::UnknownRun`].
pub fn run(conn: &mut DbConnection, id: &str) -> Result<RunModel> {
    let found = runs::table.find(id).select(RunModel::as_select()).first(conn).optional();
    found.map_err(StorageError::from)?.ok_or_else(|| Error::UnknownRun(id.to_owned()))
}

/// The steps of a run, in order.
pub fn steps_of(conn: &mut DbConnection, run_id: &str) -> Result<Vec<StepModel>> {
    let found = steps::table
        .filter(steps::run_id.eq(run_id))
        .order(steps::position)
        .select(StepModel::as_select())
        .load(conn);
    Ok(found.map_err(StorageError::from)?)
}

/// A run that is to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewRun<'a> {
    pub(crate) processing_date: UsageDate,
    pub(crate) started_by: StartedBy,
    pub(crate) is_forced: bool,
    pub(crate) process: &'a str,
    pub(crate) now: DateTime<Utc>,
}

/// Makes a run with all its steps, which wait.
pub(crate) fn insert(conn: &mut DbConnection, url: &DatabaseUrl, new: NewRun<'_>) -> Result<RunModel> {
    let seconds = u64::try_from(new.now.timestamp()).unwrap_or(0);
    // To the millisecond, so that ids of the same second have the order of their runs.
    let sorted = Timestamp::from_unix(NoContext, seconds, new.now.timestamp_subsec_nanos());
    let run = RunModel {
        id: format!("run-{}", Uuid::new_v7(sorted)),
        processing_date: new.processing_date,
        started_by: new.started_by,
        is_forced: new.is_forced,
        status: RunStatus::Running,
        process: new.process.to_owned(),
        started_at: new.now.into(),
        finished_at: None,
        error: None,
    };
    diesel::insert_into(runs::table).values(&run).execute(conn).map_err(StorageError::from)?;
    for (position, step) in (0..).zip(Step::ALL) {
        let row = StepModel {
            run_id: run.id.clone(),
            position,
            name: step.name().to_owned(),
            is_required: step.is_required(url),
            status: StepStatus::Waiting,
            attempts: 0,
            process: None,
            started_at: None,
            finished_at: None,
            duration_ms: None,
            done: 0,
            total: None,
            details: "{}".to_owned(),
            error: None,
        };
        diesel::insert_into(steps::table).values(&row).execute(conn).map_err(StorageError::from)?;
    }
    Ok(run)
}

/// A process goes on with a run.
pub(crate) fn take_up(conn: &mut DbConnection, run_id: &str, process: &str) -> Result<()> {
    let run = diesel::update(runs::table.find(run_id));
    run.set(runs::process.eq(process)).execute(conn).map_err(StorageError::from)?;
    Ok(())
}

/// A process begins a step, for the first time or again.
pub(crate) fn begin_step(
    conn: &mut DbConnection,
    run_id: &str,
    position: i32,
    process: &str,
    now: UnixTime,
) -> Result<()> {
    diesel::update(steps::table.find((run_id, position)))
        .set((
            steps::status.eq(StepStatus::Running),
            steps::attempts.eq(steps::attempts + 1),
            steps::process.eq(Some(process)),
            steps::started_at.eq(Some(now)),
            steps::done.eq(0),
            steps::total.eq(None::<i64>),
        ))
        .execute(conn)
        .map_err(StorageError::from)?;
    Ok(())
}

/// How far a step is.
pub(crate) fn store_progress(
    conn: &mut DbConnection,
    run_id: &str,
    position: i32,
    done: i64,
    total: Option<i64>,
) -> Result<()> {
    let running = steps::table.find((run_id, position)).filter(steps::status.eq(StepStatus::Running));
    let progress = (steps::done.eq(done), steps::total.eq(total));
    diesel::update(running).set(progress).execute(conn).map_err(StorageError::from)?;
    Ok(())
}

/// What became of a step.
#[derive(Debug, Clone)]
pub(crate) struct StepEnd {
    pub(crate) now: UnixTime,
    pub(crate) duration_ms: i64,
    pub(crate) done: i64,
    pub(crate) total: Option<i64>,
    pub(crate) details: String,
    pub(crate) error: Option<String>,
}

/// A step is over.
pub(crate) fn end_step(conn: &mut DbConnection, run_id: &str, position: i32, end: &StepEnd) -> Result<()> {
    let status = if end.error.is_none() { StepStatus::Succeeded } else { StepStatus::Failed };
    diesel::update(steps::table.find((run_id, position)))
        .set((
            steps::status.eq(status),
            steps::finished_at.eq(Some(end.now)),
            steps::duration_ms.eq(Some(end.duration_ms)),
            steps::done.eq(end.done),
            steps::total.eq(end.total),
            steps::details.eq(&end.details),
            steps::error.eq(end.error.as_deref().map(cut)),
        ))
        .execute(conn)
        .map_err(StorageError::from)?;
    Ok(())
}

/// Ends a run by what became of its steps, and returns it.
pub(crate) fn end(conn: &mut DbConnection, run_id: &str, now: UnixTime) -> Result<RunModel> {
    let failed: Vec<String> = steps_of(conn, run_id)?
        .into_iter()
        .filter(|step| step.is_required && step.status != StepStatus::Succeeded)
        .map(|step| format!("{}: {}", step.name, step.error.as_deref().unwrap_or("it did not end")))
        .collect();
    let status = if failed.is_empty() { RunStatus::Succeeded } else { RunStatus::Failed };
    let error = (!failed.is_empty()).then(|| cut(&failed.join("; ")));
    diesel::update(runs::table.find(run_id))
        .set((runs::status.eq(status), runs::finished_at.eq(Some(now)), runs::error.eq(error)))
        .execute(conn)
        .map_err(StorageError::from)?;
    run(conn, run_id)
}

/// Details of the same step in runs of earlier processing dates from `from` on, with the key of each row.
pub(crate) fn details_since(
    conn: &mut DbConnection,
    step: Step,
    from: UsageDate,
    run: &RunModel,
) -> Result<Vec<(String, i32, String)>> {
    let earlier = runs::table
        .filter(runs::processing_date.between(from, run.processing_date))
        .filter(runs::id.ne(&run.id))
        .select(runs::id);
    let rows = steps::table
        .filter(steps::run_id.eq_any(earlier))
        .filter(steps::name.eq(step.name()))
        .select((steps::run_id, steps::position, steps::details))
        .load(conn);
    Ok(rows.map_err(StorageError::from)?)
}

/// Replaces the details of a step.
pub(crate) fn set_details(conn: &mut DbConnection, run_id: &str, position: i32, details: &str) -> Result<()> {
    let row = diesel::update(steps::table.find((run_id, position)));
    row.set(steps::details.eq(details)).execute(conn).map_err(StorageError::from)?;
    Ok(())
}

/// Deletes runs of processing dates before `first`, with their steps, and returns how many.
pub(crate) fn delete_before(conn: &mut DbConnection, first: UsageDate) -> Result<usize> {
    let old = runs::table.filter(runs::processing_date.lt(first)).select(runs::id);
    let steps = diesel::delete(steps::table.filter(steps::run_id.eq_any(old))).execute(conn);
    steps.map_err(StorageError::from)?;
    let gone = diesel::delete(runs::table.filter(runs::processing_date.lt(first))).execute(conn);
    Ok(gone.map_err(StorageError::from)?)
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_ERROR_CHARS).collect()
}
