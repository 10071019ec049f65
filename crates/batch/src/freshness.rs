//! Whether daily runs come as they should.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use mai_primitives::{UnixTime, UsageDate};
use mai_storage::{DbConnection, Error as StorageError};

use crate::{
    error::Result,
    model::{RunModel, RunStatus},
    runs,
    schedule::Schedule,
    schema::batch_runs,
};

/// So many seconds after its time a run is missed, and after its beginning it should be over.
const PATIENCE_SECONDS: i64 = 3_600;

/// How the daily runs are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freshness {
    /// The run that began last; none where none ever did.
    pub last: Option<RunModel>,
    /// The run that succeeded last.
    pub last_success: Option<RunModel>,
    /// A processing date that was due an hour ago and has no run.
    pub overdue: Option<UsageDate>,
    /// When it was looked.
    pub at: UnixTime,
}

impl Freshness {
    /// What is wrong, if something is. Where there was no run at all nothing is known to be wrong.
    pub fn trouble(&self) -> Option<String> {
        let last = self.last.as_ref()?;
        let date = last.processing_date;
        match last.status {
            RunStatus::Failed => {
                let why = last.error.as_deref().unwrap_or("see its steps");
                Some(format!("the daily run of {date} failed: {why}"))
            }
            RunStatus::Running if self.at > last.started_at.plus_seconds(PATIENCE_SECONDS) => {
                Some(format!("the daily run of {date} has not ended for more than an hour"))
            }
            RunStatus::Running => None,
            RunStatus::Succeeded => {
                self.overdue.map(|date| format!("the daily run of {date} is overdue; no process does it"))
            }
        }
    }
}

/// Looks at the stored runs.
pub fn freshness(conn: &mut DbConnection, schedule: Schedule, now: DateTime<Utc>) -> Result<Freshness> {
    let last = runs::latest(conn, 1)?.into_iter().next();
    let last_success = batch_runs::table
        .filter(batch_runs::status.eq(RunStatus::Succeeded))
        .order((batch_runs::finished_at.desc(), batch_runs::id.desc()))
        .select(RunModel::as_select())
        .first(conn)
        .optional()
        .map_err(StorageError::from)?;
    let at = UnixTime::from(now);
    let overdue = match runs::last_date(conn)? {
        Some(last) => schedule
            .first_due(now, Some(last))
            .filter(|date| at > schedule.instant(*date).plus_seconds(PATIENCE_SECONDS)),
        None => None,
    };
    Ok(Freshness { last, last_success, overdue, at })
}
