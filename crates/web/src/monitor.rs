//! [`Monitor`]: looks now and then at what would be too costly to look at for every scrape.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use mai_alerts::{Backlog, backlog};
use mai_batch::{Batch, Freshness};
use mai_capture::ApplierState;
use mai_journal::{Journal, Position};
use mai_organization::generation_processing::{PendingState, pending::count_by_state};
use mai_storage::Storage;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(15);

/// What the monitor saw last.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Whether the database answered; none before the first look.
    pub database_answers: Option<bool>,
    /// Generations whose cost is not known, by state, when the database answered last.
    pub pending: Option<BTreeMap<PendingState, i64>>,
    /// How the daily runs were when the database answered last.
    pub batch: Option<Freshness>,
    /// Which alerts wait or were given up when the database answered last.
    pub alerts: Option<Backlog>,
    /// How long the oldest record that is not in the database has waited at least. Zero also for a
    /// record that is younger than the last look.
    pub waiting: Duration,
}

impl Figures {
    /// Generations that wait for a person, when the database answered last.
    pub fn unresolved(&self) -> Option<i64> {
        Some(self.pending.as_ref()?.get(&PendingState::Unresolved).copied().unwrap_or_default())
    }
}

/// A job that looks.
pub struct Monitor {
    storage: Storage,
    journal: Journal,
    applier: ApplierState,
    batch: Batch,
    figures: watch::Sender<Figures>,
}

impl Monitor {
    /// A monitor, and where its figures appear.
    pub fn new(
        storage: Storage,
        journal: Journal,
        applier: ApplierState,
        batch: Batch,
    ) -> (Self, watch::Receiver<Figures>) {
        let (figures, receiver) = watch::channel(Figures::default());
        (Self { storage, journal, applier, batch, figures }, receiver)
    }

    /// Looks at once and then now and then, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut mark = Mark { end: self.journal.durable_end(), at: Instant::now() };
        loop {
            let looked = async {
                let counted = self.storage.read(count_by_state).await;
                (counted, self.batch.freshness().await, self.storage.read(backlog).await)
            };
            let Some((counted, batch, alerts)) = stop.run_until_cancelled(looked).await else { return };
            let waiting = mark.waiting(self.applier.applied_to(), self.journal.durable_end(), Instant::now());
            self.figures.send_modify(|figures| {
                figures.database_answers = Some(counted.is_ok());
                figures.waiting = waiting;
                if let Ok(counted) = counted {
                    figures.pending = Some(counted);
                }
                if let Ok(alerts) = alerts {
                    figures.alerts = Some(alerts);
                }
                if let Ok(batch) = batch {
                    figures.batch = Some(batch);
                }
            });
            if stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
                return;
            }
        }
    }
}

/// Where the journal ended at some instant. As long as the applier has not come so far, a record waits
/// that is at least as old.
struct Mark {
    end: Position,
    at: Instant,
}

impl Mark {
    fn waiting(&mut self, applied_to: Position, end: Position, now: Instant) -> Duration {
        if applied_to >= self.end {
            *self = Self { end, at: now };
        }
        now.saturating_duration_since(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_waits_until_the_applier_has_passed_it() {
        let began = Instant::now();
        let mut mark = Mark { end: Position::new(100), at: began };
        let mut waiting = |applied_to, end, seconds| {
            let now = began + Duration::from_secs(seconds);
            mark.waiting(Position::new(applied_to), Position::new(end), now).as_secs()
        };
        assert_eq!(waiting(100, 100, 15), 0);
        // A new one, which is younger than this look.
        assert_eq!(waiting(100, 200, 30), 0);
        assert_eq!(waiting(100, 300, 45), 15);
        assert_eq!(waiting(150, 400, 60), 30);
        // What came in the meantime is younger than the mark.
        assert_eq!(waiting(200, 400, 75), 0);
        assert_eq!(waiting(399, 400, 90), 15);
        assert_eq!(waiting(400, 400, 105), 0);
    }
}
