//! Answers whose client has left.
//!
//! They are read on, within bounds of number and time, so that their usage becomes known at once;
//! beyond the bounds upstream is closed and the cost is looked up.

use std::{future::poll_fn, sync::Arc, time::Duration};

use mai_generation_processing::PendingReason;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::task::TaskTracker;
use tracing::error;

use crate::{
    body::poll_data,
    metering::{Metering, Recording},
};

/// How many answers are read on at once, and for how long. Clones share the places.
#[derive(Debug, Clone)]
pub struct Drains {
    places: Arc<Semaphore>,
    at_most: Duration,
}

impl Drains {
    /// At most `at_once` answers at once, each for `at_most`.
    pub fn new(at_once: usize, at_most: Duration) -> Self {
        Self { places: Arc::new(Semaphore::new(at_once.min(Semaphore::MAX_PERMITS))), at_most }
    }

    /// Reads an answer on in a task of `tracker`; where that is not possible, settles it as it is.
    pub(crate) fn begin(&self, tracker: &TaskTracker, unsettled: Unsettled, opening: Option<Recording>) {
        // A tracker that is closed belongs to a service that is stopping and waits for nothing new.
        if tracker.is_closed() || Handle::try_current().is_err() {
            return;
        }
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            tracker.spawn(unsettled.drain(opening, self.at_most, place));
        }
    }
}

impl Default for Drains {
    /// A thousand answers at once, for a quarter of an hour each.
    fn default() -> Self {
        Self::new(1_000, Duration::from_secs(15 * 60))
    }
}

/// A call that is not settled. Dropping it, at whatever point and also when the process stops,
/// records it as left by its client.
pub(crate) struct Unsettled(pub(crate) Option<Metering>);

impl Unsettled {
    /// Reads on without a client and settles. That can take as long as the model does, so the opened
    /// record is made durable before, if it is not yet.
    async fn drain(mut self, opening: Option<Recording>, at_most: Duration, _place: OwnedSemaphorePermit) {
        note_failure(opening).await;
        let interrupted = tokio::time::timeout(at_most, self.read_on()).await;
        let Some(metering) = self.0.take() else { return };
        let ended = metering.settle(interrupted.unwrap_or(Some(PendingReason::ClientGone)));
        ended.recorder.settle_detached(ended.settled);
    }

    /// Shows the rest of the answer to the tee; tells why it ended early, if it did.
    async fn read_on(&mut self) -> Option<PendingReason> {
        let metering = self.0.as_mut()?;
        loop {
            match poll_fn(|context| poll_data(&mut metering.upstream, context)).await {
                None => return None,
                Some(Err(_)) => return Some(PendingReason::UpstreamCut),
                Some(Ok(chunk)) => {
                    let progress = metering.tee.feed(&chunk);
                    if progress.done {
                        return None;
                    }
                    note_failure(metering.opening_by_body(progress)).await;
                }
            }
        }
    }
}

/// Waits for an opened record without which the call can go on.
async fn note_failure(opening: Option<Recording>) {
    if let Some(opening) = opening
        && let Err(cause) = opening.await
    {
        error!(error = %cause, "a call whose client had left could not be opened");
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        let Some(metering) = self.0.take() else { return };
        let ended = metering.settle(Some(PendingReason::ClientGone));
        ended.recorder.settle_detached(ended.settled);
    }
}
