//! Runs and steps as they are stored.

use diesel::prelude::*;
use mai_primitives::{UnixTime, UsageDate};
use mai_storage::text_enum;

use crate::schema::{batch_runs, batch_steps};

text_enum! {
    /// Where a run stands.
    pub enum RunStatus {
        /// A process works on it, or will when it finds that the one before is gone.
        Running = "running",
        /// All required steps succeeded.
        Succeeded = "succeeded",
        /// A required step failed.
        Failed = "failed",
    }
}

text_enum! {
    /// Where a step stands.
    pub enum StepStatus {
        /// Its turn has not come.
        Waiting = "waiting",
        /// It was begun.
        Running = "running",
        /// It did all that it had to.
        Succeeded = "succeeded",
        /// It did not; what it could do is done.
        Failed = "failed",
    }
}

text_enum! {
    /// What a run was started by.
    pub enum StartedBy {
        /// Its time had come.
        Schedule = "schedule",
        /// Its time had come while no process was there.
        CatchUp = "catch_up",
        /// Somebody asked the API.
        Api = "api",
        /// `mai-usage run-batch`.
        CommandLine = "command_line",
    }
}

/// A row of `batch_runs`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = batch_runs, treat_none_as_default_value = false)]
pub struct RunModel {
    /// `run-` and a UUID that sorts by time.
    pub id: String,
    /// The last day that the run is about.
    pub processing_date: UsageDate,
    /// What started it.
    pub started_by: StartedBy,
    /// Whether days that were validated before are validated again.
    pub is_forced: bool,
    /// Where it stands.
    pub status: RunStatus,
    /// The process that worked on it last.
    pub process: String,
    /// When it was made.
    pub started_at: UnixTime,
    /// When its last step ended.
    pub finished_at: Option<UnixTime>,
    /// Which required steps failed.
    pub error: Option<String>,
}

/// A row of `batch_steps`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = batch_steps, treat_none_as_default_value = false)]
pub struct StepModel {
    /// The run.
    pub run_id: String,
    /// Its place in the run, from 0.
    pub position: i32,
    /// The name of a [`Step`](crate::Step).
    pub name: String,
    /// Whether the run fails with it.
    pub is_required: bool,
    /// Where it stands.
    pub status: StepStatus,
    /// How often it was begun: more than once where a process died in it.
    pub attempts: i32,
    /// The process that began it last.
    pub process: Option<String>,
    /// When it was begun last.
    pub started_at: Option<UnixTime>,
    /// When it ended.
    pub finished_at: Option<UnixTime>,
    /// How long its last attempt took, in milliseconds.
    pub duration_ms: Option<i64>,
    /// How far it is, in whatever it counts.
    pub done: i64,
    /// Where `done` ends; none while that is not known.
    pub total: Option<i64>,
    /// A JSON object with its result.
    pub details: String,
    /// Why it failed.
    pub error: Option<String>,
}

impl StepModel {
    /// Whether it is over, well or not.
    pub fn is_over(&self) -> bool {
        matches!(self.status, StepStatus::Succeeded | StepStatus::Failed)
    }
}
