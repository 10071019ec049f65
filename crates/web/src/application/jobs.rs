//! What runs beside the server until the service stops.

use std::{path::PathBuf, sync::Arc, time::Duration};

use mai_batch::{Batch, Runner};
use mai_capture::{
    Applier, ApplierState, KeyReader, LimitGuard, Reconciler, Recorder, SharedDirectory, causes,
};
use mai_journal::Journal;
use mai_model_prices::ModelPriceTable;
use mai_openrouter::{GenerationSource, KeyUsageSource};
use mai_organization::{Directory, MasterKey, OrganizationServices, client_organization::snapshot};
use mai_primitives::Clock;
use mai_storage::Storage;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::first_contact::{Beginning, FirstContact};
use crate::{
    alerts::Alerts,
    exchange_rates::RateKeeper,
    limits::LimitKeeper,
    model_prices,
    monitor::{Figures, Monitor},
    open_webui::sync::MemberSync,
};

/// How often the directory is compared with its snapshot.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// How often it is written when sessions and API tokens were last used.
const WRITE_USES_EVERY: Duration = Duration::from_secs(30);

/// After how many times of that the sessions and links that ended are removed: about an hour.
const REMOVE_ENDED_EVERY: u32 = 120;

/// The jobs, and where it can be seen how they are.
pub(super) struct Background {
    pub(super) jobs: Jobs,
    pub(super) applier: ApplierState,
    pub(super) figures: watch::Receiver<Figures>,
    pub(super) limits: LimitKeeper,
}

/// What the jobs work with, beside the database.
pub(super) struct Parts<G, K> {
    pub(super) journal: Journal,
    pub(super) recorder: Recorder,
    pub(super) guard: LimitGuard,
    pub(super) data_dir: PathBuf,
    pub(super) generations: G,
    pub(super) keys: K,
    pub(super) prices: ModelPriceTable,
    pub(super) members: Option<MemberSync>,
    pub(super) rates: RateKeeper,
    pub(super) alerts: Alerts,
    pub(super) batch: Batch,
    pub(super) runner: Runner,
}

/// Starts everything that runs beside the server. Nothing may have been written to the journal yet.
pub(super) fn start(
    beginning: Beginning,
    services: &OrganizationServices,
    parts: Parts<impl GenerationSource + 'static, impl KeyUsageSource + 'static>,
    clock: &Arc<dyn Clock>,
) -> Background {
    let Parts { journal, recorder, guard, data_dir, generations, keys, prices, .. } = parts;
    let Parts { members, rates, alerts, batch, runner, .. } = parts;
    let Beginning { storage, directory, awaited, saver, master_key } = beginning;
    let applier =
        Applier::new(journal.clone(), storage.clone(), Arc::clone(clock)).with_limits(guard.clone());
    let applier_state = applier.state();
    let reconciler = Reconciler {
        source: Arc::new(generations),
        storage: storage.clone(),
        directory: directory.clone(),
        clock: Arc::clone(clock),
    };
    let key_reader = KeyReader {
        source: Arc::new(keys),
        storage: storage.clone(),
        directory: directory.clone(),
        clock: Arc::clone(clock),
    };
    let (monitor, figures) = Monitor::new(storage.clone(), journal.clone(), applier_state.clone(), batch);

    let limits = LimitKeeper {
        guard: guard.clone(),
        storage: storage.clone(),
        directory: directory.clone(),
        prices: prices.prices().clone(),
        applier: applier_state.clone(),
        journal: journal.clone(),
        clock: Arc::clone(clock),
        folder: data_dir,
    };
    let mut jobs = Jobs::default();
    jobs.spawn(|stop| limits.clone().run(stop));
    jobs.spawn_when_admitted(&storage, |stop| applier.run(stop));
    let (books, now) = (storage.clone(), Arc::clone(clock));
    jobs.spawn(|stop| recorder.keep_trying(books, now, stop));
    jobs.spawn_when_admitted(&storage, |stop| reconciler.run(stop));
    jobs.spawn_when_admitted(&storage, |stop| key_reader.run(stop));
    jobs.spawn_when_admitted(&storage, |stop| runner.run(stop));
    jobs.spawn_when_admitted(&storage, |stop| keep_sessions(services.clone(), stop));
    let (current_prices, now) = (prices.prices().clone(), Arc::clone(clock));
    jobs.spawn_when_admitted(&storage, |stop| model_prices::keep(prices, now, stop));
    jobs.spawn_when_admitted(&storage, |stop| rates.run(stop));
    let (watcher, noticed, now) = (alerts.clone(), storage.clone(), Arc::clone(clock));
    jobs.spawn_when_admitted(&storage, |stop| watcher.notice(noticed, current_prices, now, stop));
    jobs.spawn_when_admitted(&storage, |stop| alerts.deliver(stop));
    if let Some(members) = members {
        jobs.spawn_when_admitted(&storage, |stop| members.run(stop));
    }
    let is_saved = awaited.is_some();
    jobs.spawn(|stop| saver.run(directory.clone(), is_saved, stop));
    jobs.spawn(|stop| meet_and_keep_fresh(awaited, directory, storage, master_key, stop));
    jobs.spawn(|stop| monitor.run(stop));
    Background { jobs, applier: applier_state, figures, limits }
}

/// Jobs that run until they are stopped together.
#[derive(Default)]
pub(super) struct Jobs {
    running: JoinSet<()>,
    stop: CancellationToken,
}

impl Jobs {
    /// Starts a job that ends soon after its token is cancelled.
    fn spawn<J>(&mut self, job: impl FnOnce(CancellationToken) -> J)
    where
        J: Future<Output = ()> + Send + 'static,
    {
        self.running.spawn(job(self.stop.clone()));
    }

    /// Starts a job as soon as work reaches the database.
    fn spawn_when_admitted<J>(&mut self, storage: &Storage, job: impl FnOnce(CancellationToken) -> J)
    where
        J: Future<Output = ()> + Send + 'static,
    {
        let (storage, stop, job) = (storage.clone(), self.stop.clone(), job(self.stop.clone()));
        self.running.spawn(async move {
            if stop.run_until_cancelled(storage.admitted()).await.is_some() {
                job.await;
            }
        });
    }

    /// Waits until a job has ended by itself, which none should.
    pub(super) async fn one_ended(&mut self) {
        self.running.join_next().await;
    }

    /// Stops all jobs and waits for their ends.
    pub(super) async fn stop(&mut self) {
        self.stop.cancel();
        while self.running.join_next().await.is_some() {}
    }
}

/// Meets the database where that is still to be done, and keeps the directory fresh from then on.
async fn meet_and_keep_fresh(
    awaited: Option<FirstContact>,
    directory: SharedDirectory,
    storage: Storage,
    master_key: MasterKey,
    stop: CancellationToken,
) {
    if let Some(contact) = awaited {
        contact.retry(&directory, &storage, &stop).await;
    }
    directory.keep_fresh(storage, master_key, stop).await;
}

/// Writes down what was last used, once more at the stop, and removes what ended.
async fn keep_sessions(services: OrganizationServices, stop: CancellationToken) {
    let mut rounds = 0_u32;
    loop {
        let is_last = stop.run_until_cancelled(tokio::time::sleep(WRITE_USES_EVERY)).await.is_none();
        rounds = rounds.wrapping_add(1);
        let written = async {
            services.session_db.write_last_seen().await?;
            services.api_token_db.write_last_used().await
        };
        if let Err(cause) = written.await {
            warn!(error = %cause, "it could not be written when sessions and tokens were last used");
        }
        if is_last {
            return;
        }
        if rounds % REMOVE_ENDED_EVERY == 1 {
            let removed = async {
                services.session_db.purge().await?;
                services.sign_in_link_db.purge().await
            };
            if let Err(cause) = removed.await {
                warn!(error = %cause, "sessions and links that ended could not be removed");
            }
        }
    }
}

/// Keeps the snapshot of the directory up to date.
pub(super) struct Saver {
    pub(super) path: PathBuf,
    pub(super) master_key: MasterKey,
    pub(super) clock: Arc<dyn Clock>,
}

impl Saver {
    /// Writes what has changed about once a second until `stop`, and then once more.
    async fn run(self, directory: SharedDirectory, is_saved: bool, stop: CancellationToken) {
        let mut saved = is_saved.then(|| directory.current());
        let mut failing = false;
        loop {
            let is_last = stop.is_cancelled();
            let current = directory.current();
            if !saved.as_ref().is_some_and(|saved| Arc::ptr_eq(saved, &current)) {
                match self.save(Arc::clone(&current)).await {
                    Ok(()) => {
                        if failing {
                            info!("the snapshot of organizations and keys can be written again");
                        }
                        failing = false;
                        saved = Some(current);
                    }
                    Err(why) if !failing => {
                        error!(
                            error = why,
                            "a start without a database would begin with old organizations and keys"
                        );
                        failing = true;
                    }
                    Err(_) => {}
                }
            }
            if is_last {
                return;
            }
            stop.run_until_cancelled(tokio::time::sleep(SAVE_EVERY)).await;
        }
    }

    async fn save(&self, directory: Arc<Directory>) -> Result<(), String> {
        let (path, master_key, now) = (self.path.clone(), self.master_key.clone(), self.clock.now().into());
        let saved = tokio::task::spawn_blocking(move || snapshot::save(&path, &directory, &master_key, now));
        match saved.await {
            Ok(saved) => saved.map_err(|cause| causes(&cause)),
            Err(cause) => Err(cause.to_string()),
        }
    }
}
