//! [`Ingest`]: the door for usage that others report.
//!
//! A report becomes the same [`Settled`] record that the gateway writes. It is booked at once by the
//! code that the applier uses, so that the reporter learns what became of it. While the database is
//! away or slow it goes to the journal instead, and the applier books it later. Either way it is
//! durable before anybody is told; booking it twice changes nothing, because the ledger knows its id.

use std::{sync::Arc, time::Duration};

use mai_primitives::{Clock, OrganizationId, UnixTime};
use mai_storage::{Storage, TransactionError};
use mai_usage_tracking::Recorded;
use thiserror::Error;
use tokio::sync::Semaphore;
use tracing::debug;

use crate::{
    applier::{ApplyError, causes, work::Work},
    record::{Outcome, Settled},
    recorder::{NotAdmitted, RecordError, Recorder},
};

/// How many reports are being booked at once. Each holds a thread while the database is away, so the
/// others go to the journal without one.
const AT_ONCE: usize = 8;

/// What became of a report. Whatever it is, the report is durable, but for the last two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reported {
    /// It is a new booking, or was compared with what is booked.
    Recorded(Recorded),
    /// Its cost is not known. It is looked up, unless the ledger has its generation.
    CostUnknown,
    /// It is in the journal and booked when the database takes it.
    Queued,
    /// It cannot be booked as it is, and nothing was kept of it. The text says why.
    Unbookable(String),
}

/// Why a report was not taken.
#[derive(Debug, Error)]
pub enum IngestError {
    /// The database did not take it in time, and the journal takes nothing new.
    #[error("the database does not take records now, and neither does the journal: {0}")]
    NotAdmitted(#[from] NotAdmitted),
    /// The database did not take it in time, and the journal failed.
    #[error(transparent)]
    Journal(#[from] RecordError),
}

/// The door for usage that others report. Clones share it.
#[derive(Clone)]
pub struct Ingest {
    storage: Storage,
    recorder: Recorder,
    clock: Arc<dyn Clock>,
    patience: Duration,
    turns: Arc<Semaphore>,
}

impl Ingest {
    /// A door to the books of `storage`, with `recorder` for reports that the database does not take
    /// within `patience`.
    pub fn new(storage: Storage, recorder: Recorder, clock: Arc<dyn Clock>, patience: Duration) -> Self {
        Self { storage, recorder, clock, patience, turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Takes one report.
    pub async fn report(&self, report: &Settled) -> Result<Reported, IngestError> {
        let reports = std::slice::from_ref(report);
        match self.book(reports).await {
            Booking::Done(recorded) => {
                Ok(outcomes(reports, recorded).next().unwrap_or(Reported::CostUnknown))
            }
            Booking::Refused(why) => Ok(Reported::Unbookable(why)),
            Booking::Away => self.queue(reports).await.map(|()| Reported::Queued),
        }
    }

    /// Takes reports of one organization in one transaction and tells, in their order, what became of
    /// each. When one of them cannot be booked each gets a transaction of its own.
    pub async fn report_all(&self, reports: &[Settled]) -> Result<Vec<Reported>, IngestError> {
        match self.book(reports).await {
            Booking::Done(recorded) => Ok(outcomes(reports, recorded).collect()),
            Booking::Away => {
                self.queue(reports).await?;
                Ok(vec![Reported::Queued; reports.len()])
            }
            Booking::Refused(_) => {
                let mut reported = Vec::with_capacity(reports.len());
                for one in reports {
                    reported.push(self.report(one).await?);
                }
                Ok(reported)
            }
        }
    }

    /// Makes reports durable in the journal. The applier books them, and keeps what cannot be booked
    /// where a person sees it.
    pub async fn queue(&self, reports: &[Settled]) -> Result<(), IngestError> {
        // What is left of a full journal belongs to calls that have begun.
        self.recorder.admit()?;
        Ok(self.recorder.report(reports.to_vec()).await?)
    }

    /// Books reports of one organization, if the database does so in time. When it takes longer it may
    /// still book them; that they are in the journal as well then does no harm.
    async fn book(&self, reports: &[Settled]) -> Booking {
        let Some(org) = reports.first().map(|report| report.call.organization.clone()) else {
            return Booking::Done(Vec::new());
        };
        let now = UnixTime::from(self.clock.now());
        let work = Work::of(reports, now);
        if let Some(why) = work.absurd() {
            return Booking::Refused(why.to_owned());
        }
        let written = tokio::time::timeout(self.patience, self.write(org, work, now)).await;
        match written {
            Ok(Some(Ok(recorded))) => Booking::Done(recorded),
            Ok(Some(Err(cause))) if is_refusal(&cause) => Booking::Refused(causes(&cause)),
            Ok(Some(Err(cause))) => {
                debug!(error = causes(&cause), "reports go to the journal");
                Booking::Away
            }
            Ok(None) | Err(_) => {
                debug!("the database is slow; reports go to the journal");
                Booking::Away
            }
        }
    }

    /// None only when the door is closed, which it never is.
    async fn write(
        &self,
        org: OrganizationId,
        work: Work,
        now: UnixTime,
    ) -> Option<Result<Vec<Recorded>, ApplyError>> {
        let turn = Arc::clone(&self.turns).acquire_owned().await.ok()?;
        let write = self.storage.write(move |conn| {
            // The turn ends with the transaction, also when nobody waits for it any more.
            let _turn = &turn;
            work.write(conn, &org, now)
        });
        Some(write.await)
    }
}

/// What came of the attempt to book at once.
enum Booking {
    /// It was booked: an entry for each report with exact usage, in their order.
    Done(Vec<Recorded>),
    /// The database did not take it in time.
    Away,
    /// It cannot be booked.
    Refused(String),
}

/// Whether a report is at fault and not the database. What the database fails at is tried again by the
/// applier, whatever it is.
fn is_refusal(cause: &ApplyError) -> bool {
    matches!(cause.storage(), None | Some(mai_storage::Error::OutOfRange(_)))
}

fn outcomes(reports: &[Settled], recorded: Vec<Recorded>) -> impl Iterator<Item = Reported> {
    let mut recorded = recorded.into_iter();
    reports.iter().map(move |report| match report.outcome {
        Outcome::Exact(_) => recorded.next().map_or(Reported::CostUnknown, Reported::Recorded),
        Outcome::Unknown { .. } | Outcome::Failed { .. } => Reported::CostUnknown,
    })
}
