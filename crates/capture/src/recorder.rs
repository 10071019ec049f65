//! Writing a call's records to the journal, and holding those that it refuses until it takes them.
//!
//! A settled record may be refused when the disk or the journal is full. It is then kept in memory
//! and tried again. While one waits no new calls are admitted, so there are never more of them than
//! calls were open. Where the journal will take nothing more before a restart, which would lose what is
//! in memory, and at the stop, the kept records go into the database without it.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt, future::ready};
use mai_journal::{Admission, Journal, JournalError};
use mai_primitives::{Clock, OrganizationId};
use mai_storage::Storage;
use thiserror::Error;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::{
    applier::{books::Books, causes},
    call::Call,
    limits::LimitGuard,
    record::{Opened, Record, RecordFormatError, Sent, Settled},
};

/// How long the end of an answer is held back while its record is refused.
const RELEASE_PATIENCE: Duration = Duration::from_secs(5);
/// The pause between two attempts to write what was refused.
const RETRY_EVERY: Duration = Duration::from_millis(500);

/// Why a record is not durable.
#[derive(Debug, Clone, Error)]
pub enum RecordError {
    /// The journal did not take it.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// It could not be encoded.
    #[error(transparent)]
    Format(#[from] Arc<RecordFormatError>),
}

impl RecordError {
    /// Whether the journal can take the same record later. One that it never takes is a defect.
    const fn may_pass(&self) -> bool {
        !matches!(self, Self::Format(_) | Self::Journal(JournalError::RecordSize { .. }))
    }

    /// Whether the journal may take records again without a restart.
    const fn may_pass_soon(&self) -> bool {
        self.may_pass() && !matches!(self, Self::Journal(JournalError::Closed | JournalError::SyncFailed(_)))
    }
}

/// Why no new call may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotAdmitted {
    /// The journal has reached its bound.
    #[error("the journal is full because its records do not reach the database")]
    Full,
    /// The disk of the journal is full.
    #[error("the disk of the journal is full")]
    NoSpace,
    /// The disk of the journal has failed.
    #[error("the journal could not be synced to its disk; the operator must restart the gateway")]
    SyncFailed,
    /// Records of calls that are over wait in memory.
    #[error("the journal refused records of earlier calls, which are tried again")]
    RecordsWait,
}

/// The journal, in terms of calls. Clones share it.
#[derive(Clone)]
pub struct Recorder {
    journal: Journal,
    kept: Arc<Kept>,
    limits: LimitGuard,
}

/// The settled records for whose outcome no call waits.
#[derive(Default)]
struct Kept {
    writes: Mutex<Vec<Write>>,
    more: Notify,
    /// How many of them the journal has refused at least once.
    refused: AtomicUsize,
}

impl Kept {
    fn writes(&self) -> MutexGuard<'_, Vec<Write>> {
        // A list is valid whatever its last holder did.
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A record on its way into the journal.
struct Write {
    record: Record,
    outcome: Pin<Box<dyn Future<Output = Result<(), RecordError>> + Send>>,
    /// Told when the record is durable.
    waiting: Option<oneshot::Sender<()>>,
}

impl Write {
    fn tell_durable(self) {
        if let Some(waiting) = self.waiting {
            // Whoever waited may have given up.
            waiting.send(()).unwrap_or_default();
        }
    }
}

/// A write that the journal refused and why.
type Refused = (Write, RecordError);

/// A write that somebody waits for. If the waiting is given up, the recorder goes on with it.
struct Awaited {
    recorder: Recorder,
    write: Option<Write>,
}

impl Drop for Awaited {
    fn drop(&mut self) {
        if let Some(write) = self.write.take() {
            self.recorder.keep(write);
        }
    }
}

impl Recorder {
    /// A recorder that writes to `journal`. One of its clones must [keep trying](Self::keep_trying).
    pub fn new(journal: Journal) -> Self {
        Self { journal, kept: Arc::default(), limits: LimitGuard::default() }
    }

    /// The same recorder, which tells `limits` what became of calls.
    #[must_use]
    pub fn with_limits(self, limits: LimitGuard) -> Self {
        Self { limits, ..self }
    }

    /// Whether a new call may start, or why not. Calls that have started may always finish.
    pub fn admit(&self) -> Result<(), NotAdmitted> {
        let stats = self.journal.stats();
        if stats.poisoned {
            Err(NotAdmitted::SyncFailed)
        } else if stats.no_space {
            Err(NotAdmitted::NoSpace)
        } else if stats.retained_bytes >= stats.max_bytes {
            Err(NotAdmitted::Full)
        } else if self.refused_records() > 0 {
            Err(NotAdmitted::RecordsWait)
        } else {
            Ok(())
        }
    }

    /// How many records of calls that are over wait in memory because the journal refuses them.
    pub fn refused_records(&self) -> usize {
        self.kept.refused.load(Ordering::Acquire)
    }

    /// Notes that a call is about to be sent. Nothing waits for it: it makes visible what a crash
    /// would otherwise hide, and a call without it is recorded all the same.
    pub fn sent(&self, call: &Call) {
        match Record::Sent(Sent { call: call.clone() }).to_bytes() {
            Ok(bytes) => self.journal.append_lazily(bytes),
            Err(cause) => error!(exchange = %call.exchange, error = %cause, "a call could not be noted"),
        }
    }

    /// Makes an opened record durable.
    pub async fn open(self, opened: Opened) -> Result<(), RecordError> {
        self.write(Record::Opened(opened)).outcome.await
    }

    /// Makes a settled record durable. It is queued at once, and it is written whether or not
    /// somebody waits; an error means only that it is not durable yet.
    pub fn settle(&self, settled: Settled) -> impl Future<Output = Result<(), RecordError>> + Send + use<> {
        let write = Some(self.write_settled(settled));
        let mut awaited = Awaited { recorder: self.clone(), write };
        async move {
            let Some(write) = &mut awaited.write else { return Ok(()) };
            let outcome = write.outcome.as_mut().await;
            let Some(mut write) = awaited.write.take() else { return outcome };
            let Err(cause) = outcome else { return Ok(()) };
            let (durable, heard) = oneshot::channel();
            write.waiting = Some(durable);
            awaited.recorder.keep_refused(write, &cause);
            match tokio::time::timeout(RELEASE_PATIENCE, heard).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) | Err(_) => Err(cause),
            }
        }
    }

    /// Makes reports from outside durable, all of them or none. Unlike the records of our own calls they
    /// are not kept when they are refused: whoever sent them still has them, and a report that was kept
    /// and then sent again would count twice where it has no id of its own.
    pub async fn report(&self, reports: Vec<Settled>) -> Result<(), RecordError> {
        let payloads: Result<Vec<_>, _> =
            reports.into_iter().map(|report| Record::Settled(report).to_bytes()).collect();
        self.journal.append_all(Admission::New, payloads.map_err(Arc::new)?).await?;
        Ok(())
    }

    /// Queues a settled record where nobody can wait for it, as in a destructor.
    pub fn settle_detached(&self, settled: Settled) {
        self.keep(self.write_settled(settled));
    }

    /// The one door of calls that are over. A record that is written again does not come by here.
    fn write_settled(&self, mut settled: Settled) -> Write {
        self.limits.settle(&mut settled);
        self.write(Record::Settled(settled))
    }

    /// Sees to the records for which nobody waits, and writes those that were refused again until the
    /// journal takes them, or books them in `storage` where a restart must come first. After `stop` each
    /// is tried once more, in both places; what neither takes is logged.
    pub async fn keep_trying(self, storage: Storage, clock: Arc<dyn Clock>, stop: CancellationToken) {
        let books = Books { storage, clock };
        let mut failing = false;
        loop {
            let is_last = stop.is_cancelled();
            let writes = std::mem::take(&mut *self.kept.writes());
            if writes.is_empty() {
                if is_last {
                    return;
                }
                tokio::select! {
                    () = self.kept.more.notified() => {}
                    () = stop.cancelled() => {}
                }
                continue;
            }
            let mut refused = finish(writes).await;
            self.kept.refused.store(refused.len(), Ordering::Release);
            if is_last || refused.iter().any(|(_, cause)| !cause.may_pass_soon()) {
                refused = self.book(&books, refused, failing).await;
            }
            let Some((_, cause)) = refused.first() else {
                if failing {
                    info!("all records that the journal refused are durable now");
                }
                failing = false;
                continue;
            };
            if is_last {
                for (write, cause) in &refused {
                    give_up(&write.record, cause);
                }
                continue;
            }
            if !failing {
                error!(error = causes(cause), records = refused.len(), "records wait for the journal");
            }
            failing = true;
            stop.run_until_cancelled(tokio::time::sleep(RETRY_EVERY)).await;
            let again = refused
                .into_iter()
                .map(|(write, _)| Write { waiting: write.waiting, ..self.write(write.record) });
            self.kept.writes().extend(again);
        }
    }

    /// Books what the journal refused, and returns what the database did not take either.
    async fn book(&self, books: &Books, refused: Vec<Refused>, failing: bool) -> Vec<Refused> {
        let mut organizations: BTreeMap<OrganizationId, Vec<Refused>> = BTreeMap::new();
        for one in refused {
            organizations.entry(one.0.record.call().organization.clone()).or_default().push(one);
        }
        let mut left = Vec::new();
        let _turn = self.limits.turn().await;
        for (organization, refused) in organizations {
            let settled = refused.iter().filter_map(|(write, _)| match &write.record {
                Record::Settled(settled) => Some(settled.clone()),
                // Only records of calls that are over are kept.
                Record::Sent(_) | Record::Opened(_) | Record::Carried(_) => None,
            });
            match books.apply_organization(organization, settled.collect()).await {
                Ok(()) => {
                    self.kept.refused.fetch_sub(refused.len(), Ordering::AcqRel);
                    self.limits.booked(refused.iter().map(|(write, _)| write.record.call()));
                    for (write, _) in refused {
                        write.tell_durable();
                    }
                }
                Err(cause) => {
                    if !failing {
                        error!(error = causes(&cause), "records that the journal refuses cannot be booked");
                    }
                    left.extend(refused);
                }
            }
        }
        left
    }

    /// Queues a record; it stands in the journal's queue when this returns.
    fn write(&self, record: Record) -> Write {
        let (journal, bytes) = (self.journal.clone(), record.to_bytes());
        let append = async move {
            let bytes = bytes.map_err(Arc::new)?;
            // The call was admitted before upstream was asked, so this only finishes accepted work.
            journal.append(Admission::Continuing, bytes).await?;
            Ok(())
        };
        let mut outcome: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(append);
        if let Some(known) = outcome.as_mut().now_or_never() {
            outcome = Box::pin(ready(known));
        }
        Write { record, outcome, waiting: None }
    }

    fn keep(&self, write: Write) {
        self.kept.writes().push(write);
        self.kept.more.notify_one();
    }

    fn keep_refused(&self, write: Write, cause: &RecordError) {
        if !cause.may_pass() {
            return give_up(&write.record, cause);
        }
        self.kept.refused.fetch_add(1, Ordering::AcqRel);
        let again = Write { waiting: write.waiting, ..self.write(write.record) };
        self.keep(again);
    }
}

/// Waits for what is queued and returns what the journal refused and may take later.
async fn finish(writes: Vec<Write>) -> Vec<Refused> {
    let mut refused = Vec::new();
    for mut write in writes {
        match write.outcome.as_mut().await {
            Ok(()) => write.tell_durable(),
            Err(cause) if cause.may_pass() => refused.push((write, cause)),
            Err(cause) => give_up(&write.record, &cause),
        }
    }
    refused
}

/// The log is the only place left, so it gets the record, which has no prompt, no answer and no key.
fn give_up(record: &Record, cause: &RecordError) {
    let call = record.call();
    error!(
        organization = %call.organization,
        exchange = %call.exchange,
        record = record.to_log().unwrap_or_else(|cause| causes(&cause)),
        error = causes(cause),
        "a call was not recorded: neither the journal nor the database took what became of it"
    );
}
