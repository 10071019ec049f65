//! [`Applier`]: moves what the journal holds into the database.
//!
//! It reads the journal in order and books one transaction per organization and batch, and only
//! then lets the journal forget. A crash anywhere in between repeats work whose repetition changes
//! nothing, because the ledger decides what is new. While the database is away it waits and the
//! journal grows.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use mai_journal::{Admission, Batch, Journal, JournalError, Position};
use mai_primitives::{Clock, OrganizationId};
use mai_storage::{Storage, TransactionError};
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    applier::open_calls::{Change, OpenCalls},
    call::{Call, ExchangeId},
    limits::LimitGuard,
    record::{OpenCall, Record, RecordFormatError, Settled},
};

pub(crate) mod books;
mod open_calls;
pub(crate) mod work;

use books::Books;

/// How many bytes of records one batch reads.
const BATCH_BYTES: usize = 1 << 20;
/// How long a batch gathers before it is read: one transaction then serves many calls.
const GATHER: Duration = Duration::from_millis(100);
/// Pauses between attempts while the database refuses.
const RETRY: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5)];

/// Why a batch could not be applied yet.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] mai_storage::Error),
    /// A generation cannot be booked as it is.
    #[error(transparent)]
    Usage(#[from] mai_usage_tracking::Error),
    /// A member could not be registered.
    #[error(transparent)]
    Organization(#[from] mai_client_organization::Error),
    /// The journal cannot be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record cannot be read. Nothing after it is applied until somebody has looked at it.
    #[error("{cause} at position {position}")]
    Record {
        /// Where the record stands.
        position: Position,
        /// What is wrong.
        cause: RecordFormatError,
    },
}

impl ApplyError {
    /// Whether the database is at fault and not what was to be written.
    fn is_transient(&self) -> bool {
        self.storage().is_some_and(mai_storage::Error::is_transient)
    }

    /// Whether the database said something of which we do not know who is at fault. A message in a
    /// foreign language is such a case.
    fn is_unclear(&self) -> bool {
        matches!(self.storage(), Some(mai_storage::Error::Query(_)))
    }
}

impl TransactionError for ApplyError {
    fn storage(&self) -> Option<&mai_storage::Error> {
        match self {
            Self::Storage(cause) => Some(cause),
            Self::Usage(cause) => cause.storage(),
            Self::Organization(cause) => cause.storage(),
            Self::Journal(_) | Self::Record { .. } => None,
        }
    }
}

/// How far the applier is. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct ApplierState(Arc<Progress>);

#[derive(Debug, Default)]
struct Progress {
    applied_to: AtomicU64,
    records: AtomicU64,
    trouble: ArcSwapOption<String>,
}

impl ApplierState {
    /// Everything below this position is in the database.
    pub fn applied_to(&self) -> Position {
        Position::new(self.0.applied_to.load(Ordering::Acquire))
    }

    /// How many records of the journal were applied since the start, those that a repetition brought
    /// again included.
    pub fn records(&self) -> u64 {
        self.0.records.load(Ordering::Relaxed)
    }

    /// Why the last attempt failed, if it did. Records wait in the journal then.
    pub fn trouble(&self) -> Option<Arc<String>> {
        self.0.trouble.load_full()
    }
}

/// Moves records from the journal to the database.
pub struct Applier {
    journal: Journal,
    books: Books,
    state: ApplierState,
    /// Open calls below this position belong to an earlier process, so nobody settles them.
    recovered_to: Position,
    /// Whether the calls of an earlier process were turned into pending ones.
    crash_is_settled: bool,
    next: Position,
    open: OpenCalls,
    limits: LimitGuard,
    /// The calls of a batch that was booked in part of which limits know it.
    told: HashSet<ExchangeId>,
}

/// What a step found in the journal.
enum Step {
    /// Nothing.
    Idle,
    /// What there was; a moment later there may be more, for one transaction together.
    Partial,
    /// A whole batch, so there is probably more.
    Full,
}

/// The records of a batch that could be read.
struct Read {
    settled: Vec<Settled>,
    /// Calls of these for which limits hold something.
    held: Vec<Call>,
    changes: Vec<Change>,
    records: u64,
    bytes: usize,
    /// Where the next batch begins.
    next: Position,
}

impl Read {
    fn open(&mut self, position: Position, call: OpenCall) {
        self.changes.push(Change::Open(position, Box::new(call)));
    }
}

impl Applier {
    /// An applier for a journal that was just opened and to which nothing was written since.
    pub fn new(journal: Journal, storage: Storage, clock: Arc<dyn Clock>) -> Self {
        let (recovered_to, next) = (journal.durable_end(), journal.first());
        let state = ApplierState::default();
        state.0.applied_to.store(next.get(), Ordering::Release);
        Self {
            journal,
            books: Books { storage, clock },
            state,
            recovered_to,
            crash_is_settled: false,
            next,
            open: OpenCalls::default(),
            limits: LimitGuard::default(),
            told: HashSet::new(),
        }
    }

    /// The same applier, which tells `limits` what is booked.
    #[must_use]
    pub fn with_limits(self, limits: LimitGuard) -> Self {
        Self { limits, ..self }
    }

    /// How far this applier is.
    pub fn state(&self) -> ApplierState {
        self.state.clone()
    }

    /// Applies until `stop`, and then what is there at that moment, if the database takes it.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut failures = 0;
        loop {
            match self.step().await {
                Ok(progress) => {
                    if failures > 0 {
                        info!("records reach the database again");
                    }
                    failures = 0;
                    if self.state.0.trouble.load().is_some() {
                        self.state.0.trouble.store(None);
                    }
                    match progress {
                        Step::Full => {}
                        Step::Partial => tokio::time::sleep(GATHER).await,
                        Step::Idle if stop.is_cancelled() => return,
                        Step::Idle => tokio::select! {
                            () = self.journal.wait_beyond(self.next) => {}
                            () = stop.cancelled() => {}
                        },
                    }
                }
                Err(cause) => {
                    let why = causes(&cause);
                    if failures == 0 {
                        error!(error = why, "records stay in the journal until they can be applied");
                    }
                    self.state.0.trouble.store(Some(Arc::new(why)));
                    let pause = RETRY.get(failures).or(RETRY.last()).copied().unwrap_or(GATHER);
                    failures += 1;
                    if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                        warn!(
                            "stopping with records that only the journal holds; the next start applies them"
                        );
                        return;
                    }
                }
            }
        }
    }

    /// Applies one batch. Only a batch that was applied as a whole changes what is remembered.
    async fn step(&mut self) -> Result<Step, ApplyError> {
        if self.next >= self.recovered_to && !self.crash_is_settled {
            let crashed: Vec<_> = self.open.before(self.recovered_to).map(OpenCalls::crashed).collect();
            let held = crashed.iter().map(|one| one.call.clone()).collect();
            self.apply(crashed, held).await?;
            self.open.remove_before(self.recovered_to);
            self.crash_is_settled = true;
            self.forget().await?;
        }
        let batch = {
            let (journal, next) = (self.journal.clone(), self.next);
            blocking(move || journal.read(next, BATCH_BYTES)).await??
        };
        if batch.records.is_empty() {
            if self.state.applied_to() < self.next {
                // The last attempt to forget failed after the records were applied.
                self.forget().await?;
            }
            return Ok(Step::Idle);
        }
        let Read { settled, held, changes, records, bytes, next } = self.decode(batch)?;
        self.apply(settled, held).await?;
        self.open.change(changes);
        self.next = next;
        self.state.0.records.fetch_add(records, Ordering::Relaxed);
        let is_all = bytes < BATCH_BYTES;
        // A copy must not come behind records that say more of its call and were not read yet.
        if self.crash_is_settled && is_all {
            self.carry_old_calls().await?;
        }
        self.forget().await?;
        Ok(if is_all { Step::Partial } else { Step::Full })
    }

    /// Books calls, all of them or with an error. Limits know of each organization that is booked that the next reading
    /// has its calls. A repetition after an error brings them again, so which ones were told is remembered until all
    /// are booked.
    async fn apply(&mut self, settled: Vec<Settled>, held: Vec<Call>) -> Result<(), ApplyError> {
        let mut held_of: HashMap<OrganizationId, Vec<Call>> = HashMap::new();
        for call in held {
            held_of.entry(call.organization.clone()).or_default().push(call);
        }
        let (limits, told) = (&self.limits, &mut self.told);
        let _turn = limits.turn().await;
        let is_booked = |organization: &OrganizationId| {
            let calls = held_of.remove(organization).unwrap_or_default();
            limits.booked(calls.iter().filter(|call| told.insert(call.exchange.clone())));
        };
        self.books.apply(settled, is_booked).await?;
        told.clear();
        Ok(())
    }

    /// Reads the records of a batch up to one that cannot be read. What stands before that one is
    /// applied; nothing behind it is, because nobody knows what it would have said.
    fn decode(&self, batch: Batch) -> Result<Read, ApplyError> {
        let mut read = Read {
            settled: Vec::new(),
            held: Vec::new(),
            changes: Vec::new(),
            records: 0,
            bytes: 0,
            next: batch.next,
        };
        for (position, bytes) in batch.records {
            let record = match Record::from_bytes(&bytes) {
                Ok(record) => record,
                Err(cause) if read.records == 0 => return Err(ApplyError::Record { position, cause }),
                Err(_) => {
                    // The next step begins with it and fails.
                    read.next = position;
                    break;
                }
            };
            read.records += 1;
            read.bytes += bytes.len();
            match record {
                Record::Sent(sent) => read.open(position, sent.into()),
                Record::Opened(opened) => read.open(position, opened.into()),
                Record::Carried(open) if position < self.recovered_to => read.open(position, open),
                // This process knows it already, at its new place.
                Record::Carried(_) => {}
                Record::Settled(one) => {
                    read.changes.push(Change::Close(one.call.exchange.clone()));
                    if one.call.held.is_some() && self.limits.counts(position) {
                        read.held.push(one.call.clone());
                    }
                    read.settled.push(one);
                }
            }
        }
        Ok(read)
    }

    /// Writes the records of long calls again, so that the segments behind them can go.
    async fn carry_old_calls(&mut self) -> Result<(), ApplyError> {
        // All copies together must fit into the distance, or they would be the reason for the next ones.
        let distance = (self.journal.stats().max_bytes / 8).max(self.open.bytes_at_most());
        for (exchange, open) in self.open.older_than(self.next, distance) {
            let bytes = Record::Carried(open)
                .to_bytes()
                .map_err(|cause| ApplyError::Record { position: self.next, cause })?;
            let position = self.journal.append(Admission::Moving, bytes).await?;
            self.open.moved(&exchange, position);
        }
        Ok(())
    }

    async fn forget(&self) -> Result<(), ApplyError> {
        let below = self.open.first().map_or(self.next, |first| first.min(self.next));
        let journal = self.journal.clone();
        blocking(move || journal.forget(below)).await??;
        self.state.0.applied_to.store(self.next.get(), Ordering::Release);
        Ok(())
    }
}

/// An error with everything that led to it, for the log and for people.
pub fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let next_text = next.to_string();
        if !text.ends_with(&next_text) {
            text = format!("{text}: {next_text}");
        }
        cause = next.source();
    }
    text
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApplyError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|cause| mai_storage::Error::Unavailable(cause.to_string()).into())
}
