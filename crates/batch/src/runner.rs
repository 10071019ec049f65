//! [`Runner`]: the job that does the daily run.

use std::time::Duration;

use mai_primitives::UnixTime;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{
    error::{Error, Result},
    model::RunModel,
    service::{Batch, Claimed},
};

/// The longest pause between two looks, in seconds: a process that died may have left a run behind.
const LONGEST_PAUSE: i64 = 30;

/// Does what is due and what is asked for.
pub struct Runner {
    batch: Batch,
    claimed: mpsc::UnboundedReceiver<Claimed>,
}

impl Runner {
    pub(crate) const fn new(batch: Batch, claimed: mpsc::UnboundedReceiver<Claimed>) -> Self {
        Self { batch, claimed }
    }

    /// Works until `stop`. Several processes may do so on one database.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut failing = false;
        while !stop.is_cancelled() {
            let caught_up = self.batch.catch_up(&stop).await;
            failing = told(&caught_up, failing);
            let pause = self.pause();
            tokio::select! {
                Some(claimed) = self.claimed.recv() => {
                    let worked_off = self.batch.work_off(claimed, &stop).await;
                    failing = told(&worked_off, failing);
                }
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Until the next run is due, and not so long that a run that was left behind waits.
    fn pause(&self) -> Duration {
        let now = self.batch.clock().now();
        let until_due = self.batch.schedule().next(now).seconds() - UnixTime::from(now).seconds();
        let longest = (self.batch.lease_seconds() / 2).clamp(1, LONGEST_PAUSE);
        Duration::from_secs(u64::try_from(until_due.clamp(1, longest)).unwrap_or(1))
    }
}

/// Logs why nothing can be done, once until something can be done again, and tells whether that is so.
fn told(outcome: &Result<Vec<RunModel>>, failing: bool) -> bool {
    match outcome {
        Ok(_) => false,
        Err(Error::Stopping) => failing,
        Err(Error::LeaseLost) => {
            warn!("another process has taken over the daily run");
            failing
        }
        Err(cause) if failing => {
            debug!(error = %cause, "the daily run still cannot be done");
            true
        }
        Err(cause) => {
            warn!(error = %cause, "the daily run cannot be done now; it is tried again");
            true
        }
    }
}
