//! The daily run, and what stands out of a member's or a model's own history.
//!
//! [`Batch`] does the run: it takes the lease, makes a run of what is due, and works its [`Step`]s off one
//! after another; what it does is stored, so that another process goes on where one died. [`Runner`] is the
//! job that does so day by day. Everything may be repeated and changes nothing then.

pub mod anomalies;
pub mod error;
pub mod freshness;
pub mod lease;
pub mod model;
pub mod progress;
pub mod runner;
pub mod runs;
pub mod schedule;
pub mod schema;
pub mod service;
pub mod step;
pub mod steps;

#[cfg(test)]
mod tests;

pub use anomalies::{AnomalyKey, AnomalyModel, AnomalyTable, Measure, SubjectKind};
pub use error::{Error, Result};
pub use freshness::{Freshness, freshness};
pub use lease::LeaseModel;
pub use model::{RunModel, RunStatus, StartedBy, StepModel, StepStatus};
pub use progress::{Current, Progress};
pub use runner::Runner;
pub use schedule::Schedule;
pub use service::{Backups, Batch, BatchSettings, Claim, Claimed, Sources, Wanted};
pub use step::Step;
