//! [`Application`]: everything that runs while the service runs, built in order and stopped in order.

use std::{fs, net::SocketAddr, sync::Arc, time::Duration};

use actix_web::dev::Server;
use anyhow::{Context, Result};
use mai_batch::{AnomalyTable, Backups, Batch, BatchSettings, Runner, Schedule, Sources};
use mai_billing::{SubscriptionTable, statements::StatementTable};
use mai_capture::{Drains, Ingest, ProxySettings, Recorder, SharedDirectory};
use mai_journal::{Journal, JournalSettings};
use mai_model_prices::ModelPriceTable;
use mai_openrouter::OpenRouterClient;
use mai_organization::{MasterKey, OrganizationServices};
use mai_primitives::Clock;
use mai_storage::Storage;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use self::{
    first_contact::{FirstContact, begin},
    jobs::{Background, Jobs},
    server::{SharedParts, WorkerParts},
};
use crate::{
    alerts::Alerts,
    api::{Api, Attempts},
    exchange_rates::RateKeeper,
    gateway::{CallLimits, RateLimits, Said, Stopping},
    health::Health,
    limits,
    metrics::{CountedSource, Metrics, Traffic},
    open_webui::{session::OpenWebuiSessions, sync::Registries},
    provider_keys::ProviderKeys,
    settings::Settings,
};

mod first_contact;
mod jobs;
mod master_key;
mod server;

pub use master_key::{master_key, replace_master_key};

/// How long the last records may take to reach the database at a stop. What does not is applied at
/// the next start.
const APPLY_AT_MOST: Duration = Duration::from_secs(10);

/// On how many organizations the daily run works at once, at most.
const BATCH_AT_ONCE: usize = 4;

/// A service that is bound to its port and ready to run.
pub struct Application {
    server: Server,
    address: SocketAddr,
    storage: Storage,
    services: OrganizationServices,
    rates: RateKeeper,
    directory: SharedDirectory,
    master_key: MasterKey,
    stopping: Stopping,
    calls: TaskTracker,
    provider_keys: ProviderKeys,
    jobs: Jobs,
    journal: Journal,
    stop_patience: Duration,
}

impl Application {
    /// Meets the database, opens the journal, starts the jobs and binds the port. Must be called on an
    /// actix runtime.
    ///
    /// While the database is away it begins with the organizations and keys of the last start and meets
    /// the database later. A reseller token that is made meanwhile goes to standard output.
    pub async fn build(settings: Settings, clock: Arc<dyn Clock>, may_migrate: bool) -> Result<Self> {
        fs::create_dir_all(&settings.data_dir)
            .with_context(|| format!("cannot create MAI_DATA_DIR {}", settings.data_dir.display()))?;
        let master_key = master_key(&settings)?;
        let contact = FirstContact {
            settings: settings.clone(),
            master_key: master_key.clone(),
            clock: Arc::clone(&clock),
            may_migrate,
        };
        let beginning = begin(contact).await?;
        let (storage, directory) = (beginning.storage.clone(), beginning.directory.clone());
        let services = OrganizationServices::new(storage.clone(), master_key.clone(), Arc::clone(&clock))
            .with_fallback_rate(settings.fallback_rate);
        let rates = RateKeeper::new(&settings.nbp_base_url, storage.clone(), &services, Arc::clone(&clock))
            .context("NBP_BASE_URL cannot be used")?;
        let journal = open_journal(&settings)?;
        let openrouter = OpenRouterClient::new(&settings.openrouter_base_url)?;
        let generations = CountedSource::new(openrouter.clone());
        let look_ups = generations.counters();
        let model_prices = ModelPriceTable::new(storage.clone(), openrouter.clone(), Arc::clone(&clock));
        let prices = model_prices.prices().clone();
        let guard = limits::begin(&settings.data_dir, &journal, prices.clone())?;
        let recorder = Recorder::new(journal.clone()).with_limits(guard.clone());
        let is_met = beginning.awaited.is_none();
        let registries = Registries::of(settings.registry.as_ref())?;
        let member_sync = registries.sync(services.member_db.clone(), &clock);
        let member_state = member_sync.as_ref().map(|sync| sync.state.clone());
        let sources = Sources { rates: rates.updater(), prices: model_prices.clone() };
        let alerts = Alerts::new(&settings.alerts, &storage, &master_key, &clock)?;
        let (batch, runner) = batch(&settings, &storage, &clock, sources);
        let Background { jobs, applier, figures, limits: keeper } = jobs::start(
            beginning,
            &services,
            jobs::Parts {
                journal: journal.clone(),
                recorder: recorder.clone(),
                guard: guard.clone(),
                data_dir: settings.data_dir.clone(),
                generations,
                keys: openrouter.clone(),
                prices: model_prices.clone(),
                members: member_sync,
                rates: rates.clone(),
                alerts: alerts.clone(),
                batch: batch.clone(),
                runner,
            },
            &clock,
        );

        if is_met && let Err(cause) = keeper.read(true).await {
            warn!(error = mai_capture::causes(&cause), "what was spent against limits cannot be read yet");
        }
        let call_limits = CallLimits::new(guard, prices, settings.reservation_at_most);
        let stopping = Stopping::default();
        let calls = TaskTracker::new();
        let metrics = Metrics {
            started_at: clock.now().into(),
            is_open: settings.metrics_open,
            traffic: Traffic::default(),
            limits: call_limits.clone(),
            look_ups,
            journal: journal.clone(),
            applier: applier.clone(),
            directory: directory.clone(),
            figures: figures.clone(),
            sends_mail: settings.alerts.mailer.is_some(),
            members: member_state.clone(),
        };
        let health = Health {
            storage: storage.clone(),
            journal: journal.clone(),
            applier,
            figures,
            members: member_state,
            stopping: stopping.clone(),
        };
        let rate_limits =
            Arc::new(RateLimits::new(settings.rate_limit_per_minute, settings.api_rate_limit_per_minute));
        let provider_keys = ProviderKeys::new(openrouter, settings.provisioning_key.clone());
        let api = Api {
            storage: storage.clone(),
            master_key: master_key.clone(),
            services: services.clone(),
            admin_token: settings.admin_token.clone(),
            broadcast_token: settings.broadcast_token.clone(),
            directory: directory.clone(),
            registries,
            provider_keys: provider_keys.clone(),
            batch,
            anomalies: AnomalyTable::new(storage.clone(), Arc::clone(&clock)),
            alerts,
            ingest: Ingest::new(
                storage.clone(),
                recorder.clone(),
                Arc::clone(&clock),
                settings.report_patience,
            ),
            open_webui: open_webui(&settings, &clock)?,
            rates: Arc::clone(&rate_limits),
            attempts: Attempts::new(settings.sign_in_attempts.get()),
            public_url: settings.public_url.clone(),
            model_prices,
            subscription: SubscriptionTable::new(storage.clone(), Arc::clone(&clock)),
            statements: StatementTable::new(storage.clone(), Arc::clone(&clock), settings.time_zone),
            limits: keeper,
            clock: Arc::clone(&clock),
            time_zone: settings.time_zone,
        };
        let worker = WorkerParts {
            base_url: settings.openrouter_base_url.clone(),
            recorder,
            calls: calls.clone(),
            proxy_settings: ProxySettings {
                head_patience: settings.upstream_patience,
                drains: Drains::new(settings.drains_at_once, settings.drain_patience),
            },
            directory: directory.clone(),
            clock,
            body_limit: settings.body_limit,
            rates: rate_limits,
            limits: call_limits,
            said: Said::default(),
            stopping: stopping.clone(),
        };
        let (server, address) = server::bind(&settings, worker, SharedParts { api, health, metrics })?;
        Ok(Self {
            server,
            address,
            storage,
            services,
            rates,
            directory,
            master_key,
            stopping,
            calls,
            provider_keys,
            jobs,
            journal,
            stop_patience: settings.stop_patience,
        })
    }

    /// Where the service listens, with the port that was really taken.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The database.
    pub const fn storage(&self) -> &Storage {
        &self.storage
    }

    /// The services on the database, for whoever runs in the same process.
    pub const fn services(&self) -> &OrganizationServices {
        &self.services
    }

    /// The keeper of the exchange rates, for whoever does not want to wait for its next round.
    pub const fn rates(&self) -> &RateKeeper {
        &self.rates
    }

    /// Reads organizations and keys now, instead of at the next comparison.
    pub async fn refresh_directory(&self) -> Result<()> {
        Ok(self.directory.refresh(&self.storage, &self.master_key).await?)
    }

    /// Serves until `stop` ends, then stops in order: no new calls, open calls and changes of provider keys
    /// finish within a bound, records reach the journal and, if it takes them, the database. A background job that ends by
    /// itself stops the service with an error, because then usage would no longer be booked.
    pub async fn run_until(mut self, stop: impl Future<Output = ()>) -> Result<()> {
        let handle = self.server.handle();
        let stopping = async {
            let broken = tokio::select! {
                () = stop => false,
                () = self.jobs.one_ended() => true,
            };
            info!("stopping: no new calls are taken");
            self.stopping.begin();
            self.calls.close();
            if tokio::time::timeout(self.stop_patience, self.calls.wait()).await.is_err() {
                warn!("some calls did not end in time; they are recorded as they are");
            }
            handle.stop(true).await;
            if tokio::time::timeout(self.stop_patience, self.provider_keys.finished()).await.is_err() {
                warn!(
                    "a change of a provider key did not end in time; look at the organization and at OpenRouter"
                );
            }
            broken
        };
        let (served, broken) = tokio::join!(self.server, stopping);
        served.context("the server failed")?;
        if tokio::time::timeout(APPLY_AT_MOST, self.jobs.stop()).await.is_err() {
            warn!("some records stay in the journal; the next start applies them");
        }
        self.journal.close().context("the journal could not be closed")?;
        anyhow::ensure!(!broken, "a background job ended unexpectedly; see the log");
        info!("stopped");
        Ok(())
    }
}

/// The daily run on a database, and the job that does it.
pub fn batch(
    settings: &Settings,
    storage: &Storage,
    clock: &Arc<dyn Clock>,
    sources: Sources,
) -> (Batch, Runner) {
    let connections = usize::try_from(settings.database_connections).unwrap_or(usize::MAX);
    let batch = BatchSettings {
        schedule: Schedule { calendar: settings.time_zone, time: settings.batch_time },
        retention_days: settings.retention_days,
        backups: (settings.backups_kept > 0)
            .then(|| Backups { folder: settings.data_dir.join("backups"), keep: settings.backups_kept }),
        lease_seconds: settings.batch_lease_seconds,
        // Others need connections as well.
        at_once: (connections / 2).clamp(1, BATCH_AT_ONCE),
        sources: Some(sources),
    };
    let process = format!("pid-{}-{}", std::process::id(), uuid::Uuid::new_v4().simple());
    Batch::new(storage.clone(), Arc::clone(clock), batch, &process)
}

fn open_webui(settings: &Settings, clock: &Arc<dyn Clock>) -> Result<Option<OpenWebuiSessions>> {
    let Some(open_webui) = &settings.open_webui else { return Ok(None) };
    if open_webui.base_url.is_none() {
        warn!(
            "WEBUI_BASE_URL is not set: whoever signs out of Open WebUI stays signed in here until the token expires"
        );
    }
    let sessions = OpenWebuiSessions::new(open_webui, Arc::clone(clock));
    Ok(Some(sessions.context("Open WebUI cannot be asked")?))
}

fn open_journal(settings: &Settings) -> Result<Journal> {
    let journal = JournalSettings {
        sync: settings.journal_sync,
        max_bytes: settings.journal_max_bytes,
        ..JournalSettings::new(settings.data_dir.join("journal"))
    };
    Ok(Journal::open(journal)?)
}
