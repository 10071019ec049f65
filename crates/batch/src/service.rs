//! [`Batch`]: makes runs, works them off, and tells how they are.

use std::{path::PathBuf, sync::Arc, time::Duration};

use mai_audit_log::{Actor, Details, NewEntry, append};
use mai_exchange_rates::RateUpdater;
use mai_model_prices::ModelPriceTable;
use mai_primitives::{Clock, UnixTime, UsageDate};
use mai_storage::{DbConnection, Storage};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    error::{Error, Result},
    freshness::{Freshness, freshness},
    lease::{self, Lease, LeaseModel},
    model::{RunModel, RunStatus, StartedBy, StepModel},
    progress::{Current, Progress},
    runner::Runner,
    runs::{self, NewRun, StepEnd},
    schedule::Schedule,
    step::{self, Context, Outcome, Step},
};

/// A run that begins at most so many seconds after its time was started by the schedule; later it is
/// caught up.
const ON_TIME_SECONDS: i64 = 600;

/// How a run is done.
#[derive(Clone)]
pub struct BatchSettings {
    /// When it is due.
    pub schedule: Schedule,
    /// How many days the ledger is kept.
    pub retention_days: i32,
    /// Where copies of a SQLite database go; none where none are made.
    pub backups: Option<Backups>,
    /// For how many seconds a process that is silent still counts as working on the run.
    pub lease_seconds: i64,
    /// How many organizations are worked on at once.
    pub at_once: usize,
    /// Whom the steps about rates and prices ask. The service always names them; a measurement of the
    /// database alone does not.
    pub sources: Option<Sources>,
}

/// The world outside, as far as the daily run asks it.
#[derive(Clone)]
pub struct Sources {
    /// NBP.
    pub rates: RateUpdater,
    /// OpenRouter's price list; shared with whoever shows prices, so that they are new there as well.
    pub prices: ModelPriceTable,
}

/// Copies of a SQLite database.
#[derive(Debug, Clone)]
pub struct Backups {
    /// The folder, which is made where it is missing.
    pub folder: PathBuf,
    /// How many are kept, at least 1.
    pub keep: usize,
}

/// A run that somebody asks for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// The last day that it is about; without one it is the last day that is over.
    pub processing_date: Option<UsageDate>,
    /// Whether it is done again where it was done, and validated days are validated again.
    pub is_forced: bool,
    /// Through what it is asked for.
    pub started_by: StartedBy,
}

/// What came of asking for a run.
pub enum Claim {
    /// The date was processed before; nothing is done again unless forced.
    Done(RunModel),
    /// It is made and waits to be worked off by this process.
    Mine(Claimed),
}

/// A run that this process is to work off, and the lease for it.
pub struct Claimed {
    pub(crate) lease: Lease,
    /// The run.
    pub run: RunModel,
}

/// The daily run. Clones share its progress.
#[derive(Clone)]
pub struct Batch {
    storage: Storage,
    clock: Arc<dyn Clock>,
    settings: Arc<BatchSettings>,
    process: Arc<str>,
    progress: Progress,
    claimed: mpsc::UnboundedSender<Claimed>,
}

impl Batch {
    /// The daily run on a database, and the job that does it. `process` names this process among those of
    /// the fleet, and differently after each start.
    pub fn new(
        storage: Storage,
        clock: Arc<dyn Clock>,
        settings: BatchSettings,
        process: &str,
    ) -> (Self, Runner) {
        let (claimed, receiver) = mpsc::unbounded_channel();
        let (settings, process) = (Arc::new(settings), process.into());
        let batch = Self { storage, clock, settings, process, progress: Progress::default(), claimed };
        (batch.clone(), Runner::new(batch, receiver))
    }

    /// How far this process is.
    pub const fn progress(&self) -> &Progress {
        &self.progress
    }

    /// When a run is due.
    pub fn schedule(&self) -> Schedule {
        self.settings.schedule
    }

    /// For how many days the ledger keeps each generation.
    pub fn retention_days(&self) -> i32 {
        self.settings.retention_days
    }

    /// How many backups are kept; none where none are made.
    pub fn backups_kept(&self) -> Option<usize> {
        self.settings.backups.as_ref().map(|backups| backups.keep)
    }

    pub(crate) fn lease_seconds(&self) -> i64 {
        self.settings.lease_seconds
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// The latest runs with their steps, the newest first, and the lease.
    pub async fn latest(&self, limit: i64) -> Result<(Vec<(RunModel, Vec<StepModel>)>, LeaseModel)> {
        let read = move |conn: &mut DbConnection| {
            let found = runs::latest(conn, limit)?.into_iter().map(|run| {
                let steps = runs::steps_of(conn, &run.id)?;
                Ok((run, steps))
            });
            Ok((found.collect::<Result<_>>()?, lease::read(conn)?))
        };
        self.storage.read(read).await
    }

    /// One run with its steps.
    pub async fn run(&self, id: &str) -> Result<(RunModel, Vec<StepModel>)> {
        let id = id.to_owned();
        self.storage.read(move |conn| Ok((runs::run(conn, &id)?, runs::steps_of(conn, &id)?))).await
    }

    /// Whether runs come as they should.
    pub async fn freshness(&self) -> Result<Freshness> {
        let (schedule, now) = (self.settings.schedule, self.clock.now());
        self.storage.read(move |conn| freshness(conn, schedule, now)).await
    }

    /// Makes a run in the name of `actor` and takes the lease for it. [`Error::Busy`] while a run is going
    /// on, here or in another process.
    pub async fn claim(&self, wanted: Wanted, actor: &Actor) -> Result<Claim> {
        let (now, process, actor) = (self.clock.now(), Arc::clone(&self.process), actor.clone());
        let last = self.settings.schedule.last_over(now);
        let date = wanted.processing_date.unwrap_or(last);
        if date > last {
            return Err(Error::NotOver { date, last });
        }
        let (at, seconds, url) =
            (UnixTime::from(now), self.settings.lease_seconds, self.storage.url().clone());
        let (storage, started_by, is_forced) = (self.storage.clone(), wanted.started_by, wanted.is_forced);
        let claim = move |conn: &mut DbConnection| {
            if let Some(done) = runs::succeeded(conn, date)?.filter(|_| !is_forced) {
                return Ok(Claim::Done(done));
            }
            let Some(token) = lease::take(conn, &process, at, seconds)? else {
                let holder = lease::read(conn)?.holder;
                return Err(Error::Busy(holder.unwrap_or_else(|| "that is about to end it".to_owned())));
            };
            let new = NewRun { processing_date: date, started_by, is_forced, process: &process, now };
            let run = runs::insert(conn, &url, new)?;
            let details =
                Details::none().with("processing_date", date.to_string()).with("is_forced", is_forced);
            append(conn, &actor, at, &NewEntry::done(None, "batch.trigger", &run.id).with(details))?;
            Ok(Claim::Mine(Claimed { lease: Lease::new(storage.clone(), token), run }))
        };
        self.storage.write(claim).await
    }

    /// As [`Batch::claim`]; the run is worked off by the job of this process, the [`Runner`].
    pub async fn trigger(&self, wanted: Wanted, actor: &Actor) -> Result<(RunModel, bool)> {
        match self.claim(wanted, actor).await? {
            Claim::Done(run) => Ok((run, false)),
            Claim::Mine(claimed) => {
                let run = claimed.run.clone();
                if let Err(refused) = self.claimed.send(claimed) {
                    refused.0.lease.release().await?;
                    return Err(Error::Stopping);
                }
                Ok((run, true))
            }
        }
    }

    /// Works off a run that was claimed, after those that a process left behind, and returns all of them.
    pub async fn work_off(&self, claimed: Claimed, stop: &CancellationToken) -> Result<Vec<RunModel>> {
        Box::pin(self.work(claimed.lease, false, stop)).await
    }

    /// Works off what a process left behind and what is due, oldest first, and returns the runs. Does
    /// nothing while another process does.
    pub async fn catch_up(&self, stop: &CancellationToken) -> Result<Vec<RunModel>> {
        let (schedule, now) = (self.settings.schedule, self.clock.now());
        let has_work = move |conn: &mut DbConnection| {
            let is_due = schedule.first_due(now, runs::last_date(conn)?).is_some();
            Ok::<_, Error>(is_due || runs::unfinished(conn)?.is_some())
        };
        if !self.storage.read(has_work).await? {
            return Ok(Vec::new());
        }
        let (process, seconds, now) = (Arc::clone(&self.process), self.settings.lease_seconds, now.into());
        let token = self.storage.write(move |conn| lease::take(conn, &process, now, seconds)).await?;
        let Some(token) = token else { return Ok(Vec::new()) };
        Box::pin(self.work(Lease::new(self.storage.clone(), token), true, stop)).await
    }

    /// Works under the lease until nothing is left, the lease is lost, or `stop`, and gives the lease back.
    async fn work(
        &self,
        lease: Lease,
        is_scheduled: bool,
        stop: &CancellationToken,
    ) -> Result<Vec<RunModel>> {
        let outcome = tokio::select! {
            outcome = self.runs(&lease, is_scheduled) => outcome,
            lost = self.keep(&lease) => Err(lost),
            () = stop.cancelled() => Err(Error::Stopping),
        };
        self.progress.set(None);
        if let Err(cause) = lease.release().await {
            warn!(error = %cause, "the lease of the daily run could not be given back; it ends by itself");
        }
        outcome
    }

    /// Renews the lease and stores how far the run is, until the lease is lost. A database that is away for
    /// a while is no loss: whatever is written is checked for itself.
    async fn keep(&self, lease: &Lease) -> Error {
        let seconds = self.settings.lease_seconds;
        let pause = Duration::from_millis(u64::try_from(seconds.saturating_mul(250)).unwrap_or(15_000));
        loop {
            tokio::time::sleep(pause).await;
            let (current, until) =
                (self.progress.current(), UnixTime::from(self.clock.now()).plus_seconds(seconds));
            let store = move |conn: &mut DbConnection| match &current {
                Some(Current { run_id, position, done, total, .. }) => {
                    runs::store_progress(conn, run_id, *position, *done, *total)
                }
                None => Ok(()),
            };
            match lease.renew(until, store).await {
                Ok(()) => {}
                Err(Error::LeaseLost) => return Error::LeaseLost,
                Err(cause) => warn!(error = %cause, "the lease of the daily run could not be renewed"),
            }
        }
    }

    async fn runs(&self, lease: &Lease, is_scheduled: bool) -> Result<Vec<RunModel>> {
        let mut done = Vec::new();
        while let Some(run) = self.next_run(lease, is_scheduled).await? {
            done.push(self.execute(lease, run).await?);
        }
        Ok(done)
    }

    /// The oldest run that is not over, else a new one of the first date that is due.
    async fn next_run(&self, lease: &Lease, is_scheduled: bool) -> Result<Option<RunModel>> {
        let (process, schedule, now) = (Arc::clone(&self.process), self.settings.schedule, self.clock.now());
        let url = self.storage.url().clone();
        let next = move |conn: &mut DbConnection| {
            if let Some(run) = runs::unfinished(conn)? {
                runs::take_up(conn, &run.id, &process)?;
                return Ok(Some(run));
            }
            let last = runs::last_date(conn)?;
            let Some(date) = schedule.first_due(now, last).filter(|_| is_scheduled) else { return Ok(None) };
            let is_on_time = UnixTime::from(now) <= schedule.instant(date).plus_seconds(ON_TIME_SECONDS);
            let new = NewRun {
                processing_date: date,
                started_by: if is_on_time { StartedBy::Schedule } else { StartedBy::CatchUp },
                is_forced: false,
                process: &process,
                now,
            };
            runs::insert(conn, &url, new).map(Some)
        };
        lease.write(next).await
    }

    /// Does the steps of a run that are not over, in order, and ends it.
    async fn execute(&self, lease: &Lease, run: RunModel) -> Result<RunModel> {
        let id = run.id.clone();
        let steps = self.storage.read(move |conn| runs::steps_of(conn, &id)).await?;
        let count = steps.len();
        for stored in steps.iter().filter(|stored| !stored.is_over()) {
            self.progress.set(Some(Current {
                run_id: run.id.clone(),
                processing_date: run.processing_date,
                step: stored.name.clone(),
                position: stored.position,
                steps: count,
                done: 0,
                total: None,
            }));
            self.execute_step(lease, &run, stored).await?;
        }
        let (id, now) = (run.id, UnixTime::from(self.clock.now()));
        let run = lease.write(move |conn| runs::end(conn, &id, now)).await?;
        let date = run.processing_date;
        if run.status == RunStatus::Succeeded {
            info!(%date, run = run.id, "the daily run is done");
        } else {
            error!(%date, run = run.id, error = run.error, "the daily run failed");
        }
        Ok(run)
    }

    async fn execute_step(&self, lease: &Lease, run: &RunModel, stored: &StepModel) -> Result<()> {
        let (id, position, process) = (run.id.clone(), stored.position, Arc::clone(&self.process));
        let began = self.clock.now();
        lease.write(move |conn| runs::begin_step(conn, &id, position, &process, began.into())).await?;
        let context = Context {
            storage: &self.storage,
            clock: &self.clock,
            settings: &self.settings,
            lease,
            run,
            progress: &self.progress,
        };
        let outcome = match Step::named(&stored.name) {
            Some(step) => Box::pin(step::run(step, &context)).await,
            None => Err(Error::UnknownStep(stored.name.clone())),
        };
        let (details, failure) = match outcome {
            Ok(Outcome { details, failure }) => (details.to_string(), failure),
            Err(cause) if cause.ends_work() => return Err(cause),
            Err(cause) => {
                error!(step = stored.name, error = %cause, "a step of the daily run failed");
                ("{}".to_owned(), Some(cause.to_string()))
            }
        };
        let (now, current) = (self.clock.now(), self.progress.current());
        let end = StepEnd {
            now: now.into(),
            duration_ms: now.signed_duration_since(began).num_milliseconds().max(0),
            done: current.as_ref().map_or(0, |current| current.done),
            total: current.and_then(|current| current.total),
            details,
            error: failure,
        };
        let id = run.id.clone();
        lease.write(move |conn| runs::end_step(conn, &id, position, &end)).await
    }
}
