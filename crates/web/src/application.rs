//! [`Application`]: everything that runs while the service runs, built in order and stopped in order.

use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use actix_web::{App, HttpServer, dev::Server, web};
use anyhow::{Context, Result};
use mai_capture::{Applier, Ingest, Proxy, ProxySettings, Reconciler, Recorder, SharedDirectory, Upstream};
use mai_journal::{Journal, JournalSettings};
use mai_openrouter::OpenRouterClient;
use mai_organization::{
    ClientOrganizationForm, Directory, GlobalSettingsForm, MasterKey, OrganizationServices,
    client_organization::{ApiTokenRole, NewApiToken},
};
use mai_primitives::Clock;
use mai_storage::{PoolSettings, Storage, migrate};
use secrecy::{ExposeSecret, SecretString};
use tokio::task::JoinSet;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    api::{self, Api},
    gateway::{self, Gateway, GatewayError, Stopping},
    health::{self, Health},
    settings::Settings,
};

/// How long the last records may take to reach the database at a stop. What does not is applied at
/// the next start.
const APPLY_AT_MOST: Duration = Duration::from_secs(10);

/// A service that is bound to its port and ready to run.
pub struct Application {
    server: Server,
    address: SocketAddr,
    storage: Storage,
    services: OrganizationServices,
    directory: SharedDirectory,
    master_key: MasterKey,
    stopping: Stopping,
    calls: TaskTracker,
    jobs: JoinSet<()>,
    stop_jobs: CancellationToken,
    journal: Journal,
    stop_patience: Duration,
    /// Set when a reseller token was made at this start: the only time that it can be shown.
    new_admin_token: Option<SecretString>,
}

impl Application {
    /// Opens the database and the journal, starts the jobs and binds the port. Must be called on an
    /// actix runtime.
    pub async fn build(settings: Settings, clock: Arc<dyn Clock>, may_migrate: bool) -> Result<Self> {
        fs::create_dir_all(&settings.data_dir)
            .with_context(|| format!("cannot create MAI_DATA_DIR {}", settings.data_dir.display()))?;
        let master_key = master_key(&settings)?;
        let storage = open_storage(&settings, may_migrate).await?;
        let services = OrganizationServices::new(storage.clone(), master_key.clone(), Arc::clone(&clock));
        let new_admin_token = first_settings(&services, &settings).await?;

        let directory = first_directory(&storage, &master_key).await?;
        let journal = open_journal(&settings)?;
        let applier = Applier::new(journal.clone(), storage.clone(), Arc::clone(&clock));
        let applier_state = applier.state();
        let reconciler = Reconciler {
            source: Arc::new(OpenRouterClient::new(&settings.openrouter_base_url)?),
            storage: storage.clone(),
            directory: directory.clone(),
            clock: Arc::clone(&clock),
        };

        let (calls, mut jobs, stop_jobs) = (TaskTracker::new(), JoinSet::new(), CancellationToken::new());
        jobs.spawn(applier.run(stop_jobs.clone()));
        jobs.spawn(reconciler.run(stop_jobs.clone()));
        jobs.spawn(directory.clone().keep_fresh(storage.clone(), master_key.clone(), stop_jobs.clone()));

        let stopping = Stopping::default();
        let health = Health {
            storage: storage.clone(),
            journal: journal.clone(),
            applier: applier_state,
            stopping: stopping.clone(),
        };
        let recorder = Recorder::new(journal.clone());
        let api = Api {
            services: services.clone(),
            admin_token: settings.admin_token.clone(),
            broadcast_token: settings.broadcast_token.clone(),
            directory: directory.clone(),
            ingest: Ingest::new(
                storage.clone(),
                recorder.clone(),
                Arc::clone(&clock),
                settings.report_patience,
            ),
            clock: Arc::clone(&clock),
        };
        let worker = WorkerParts {
            base_url: settings.openrouter_base_url.clone(),
            recorder,
            calls: calls.clone(),
            proxy_settings: ProxySettings { head_patience: settings.upstream_patience },
            directory: directory.clone(),
            clock,
            body_limit: settings.body_limit,
            stopping: stopping.clone(),
        };
        let (server, address) = bind(&settings, worker, api, health)?;
        Ok(Self {
            server,
            address,
            storage,
            services,
            directory,
            master_key,
            stopping,
            calls,
            jobs,
            stop_jobs,
            journal,
            stop_patience: settings.stop_patience,
            new_admin_token,
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

    /// Reads organizations and keys now, instead of at the next comparison.
    pub async fn refresh_directory(&self) -> Result<()> {
        Ok(self.directory.refresh(&self.storage, &self.master_key).await?)
    }

    /// The reseller token that was made at this start, if one was.
    pub const fn new_admin_token(&self) -> Option<&SecretString> {
        self.new_admin_token.as_ref()
    }

    /// Serves until `stop` ends, then stops in order: no new calls, open calls finish within a bound,
    /// records reach the journal and, if it takes them, the database. A background job that ends by
    /// itself stops the service with an error, because then usage would no longer be booked.
    pub async fn run_until(mut self, stop: impl Future<Output = ()>) -> Result<()> {
        let handle = self.server.handle();
        let stopping = async {
            let broken = tokio::select! {
                () = stop => false,
                _ = self.jobs.join_next() => true,
            };
            info!("stopping: no new calls are taken");
            self.stopping.begin();
            self.calls.close();
            if tokio::time::timeout(self.stop_patience, self.calls.wait()).await.is_err() {
                warn!("some calls did not end in time; they are recorded as they are");
            }
            handle.stop(true).await;
            broken
        };
        let (served, broken) = tokio::join!(self.server, stopping);
        served.context("the server failed")?;
        self.stop_jobs.cancel();
        let jobs_end = async { while self.jobs.join_next().await.is_some() {} };
        if tokio::time::timeout(APPLY_AT_MOST, jobs_end).await.is_err() {
            warn!("some records stay in the journal; the next start applies them");
        }
        self.journal.close().context("the journal could not be closed")?;
        anyhow::ensure!(!broken, "a background job ended unexpectedly; see the log");
        info!("stopped");
        Ok(())
    }
}

/// What each worker thread builds its gateway from.
#[derive(Clone)]
struct WorkerParts {
    base_url: String,
    recorder: Recorder,
    calls: TaskTracker,
    proxy_settings: ProxySettings,
    directory: SharedDirectory,
    clock: Arc<dyn Clock>,
    body_limit: usize,
    stopping: Stopping,
}

impl WorkerParts {
    /// Every worker has connections of its own, so that no other thread drives them.
    fn gateway(&self, upstream: Upstream) -> Gateway {
        Gateway {
            directory: self.directory.clone(),
            proxy: Proxy::new(upstream, self.recorder.clone(), self.calls.clone(), self.proxy_settings),
            clock: Arc::clone(&self.clock),
            body_limit: self.body_limit,
            stopping: self.stopping.clone(),
        }
    }
}

fn bind(settings: &Settings, worker: WorkerParts, api: Api, health: Health) -> Result<(Server, SocketAddr)> {
    let (api, health) = (web::Data::new(api), web::Data::new(health));
    // The base URL is checked here, once, so that the workers cannot fail on it.
    let upstream = Upstream::new(&worker.base_url).context("OPENROUTER_BASE_URL cannot be used")?;
    let app = move || {
        let gateway = web::Data::new(worker.gateway(upstream.unshared()));
        App::new()
            .app_data(gateway)
            .app_data(api.clone())
            .app_data(health.clone())
            .wrap(api::request_id::RequestId)
            .route("/healthz", web::get().to(health::healthz))
            .route("/readyz", web::get().to(health::readyz))
            .service(web::scope("/api/v1/usage-tracking").configure(api::usage_tracking_routes))
            .service(web::scope("/api/v1").configure(gateway::routes))
            .service(web::scope("/v1").configure(gateway::routes))
            .default_service(web::to(|| async { GatewayError::UnknownRoute.response() }))
    };
    let mut server = HttpServer::new(app)
        .disable_signals()
        .shutdown_timeout(settings.stop_patience.as_secs())
        // A client that closes its side has left, also while upstream is silent.
        .h1_allow_half_closed(false)
        .on_connect(|connection, _| {
            // Without it a small piece of a stream waits for the acknowledgement of the one before.
            if let Some(stream) = connection.downcast_ref::<actix_web::rt::net::TcpStream>()
                && let Err(cause) = stream.set_nodelay(true)
            {
                tracing::debug!(error = %cause, "TCP_NODELAY could not be set");
            }
        });
    if let Some(workers) = settings.workers {
        server = server.workers(workers);
    }
    let server = server
        .bind(settings.listen)
        .with_context(|| format!("cannot listen on MAI_LISTEN {}", settings.listen))?;
    let address = server.addrs().first().copied().context("the server has no address")?;
    Ok((server.run(), address))
}

async fn open_storage(settings: &Settings, may_migrate: bool) -> Result<Storage> {
    let url = settings.database.clone();
    if may_migrate {
        for name in tokio::task::spawn_blocking(move || migrate::run(&url)).await?? {
            info!(migration = name, "the schema was brought up to date");
        }
    } else {
        let pending = tokio::task::spawn_blocking(move || migrate::pending(&url)).await??;
        anyhow::ensure!(pending.is_empty(), "the schema is not up to date; run `mai-usage migrate` first");
    }
    let pool = PoolSettings { connections: settings.database_connections, ..PoolSettings::default() };
    Ok(Storage::open(&settings.database, pool))
}

/// What a new database needs, and what the configuration says about one organization.
async fn first_settings(
    services: &OrganizationServices,
    settings: &Settings,
) -> Result<Option<SecretString>> {
    if services.global_settings_db.get_settings().await?.is_none() {
        let form = GlobalSettingsForm {
            default_markup_rate: Some(settings.default_markup),
            ..GlobalSettingsForm::default()
        };
        services.global_settings_db.update_settings(form).await?;
    }
    if let Some(single) = &settings.single_organization {
        let form = ClientOrganizationForm {
            id: Some(single.id.clone()),
            name: single.name.clone(),
            openrouter_api_key: Some(single.provider_key.clone()),
            timezone: Some(settings.time_zone.zone().to_owned()),
            ..ClientOrganizationForm::default()
        };
        services.client_organization_db.ensure_single(form).await?;
    }
    if settings.admin_token.is_some() || !services.api_token_db.list(None).await?.is_empty() {
        return Ok(None);
    }
    let new = NewApiToken {
        name: "made at the first start".to_owned(),
        role: ApiTokenRole::Reseller,
        client_org_id: None,
        user_id: None,
        expires_at: None,
    };
    Ok(Some(services.api_token_db.create(new).await?.token))
}

async fn first_directory(storage: &Storage, master_key: &MasterKey) -> Result<SharedDirectory> {
    let master_key = master_key.clone();
    let directory = storage.read(move |conn| Directory::load(conn, &master_key)).await;
    Ok(SharedDirectory::new(directory.context("organizations and keys cannot be read")?))
}

fn open_journal(settings: &Settings) -> Result<Journal> {
    let journal = JournalSettings {
        sync: settings.journal_sync,
        max_bytes: settings.journal_max_bytes,
        ..JournalSettings::new(settings.data_dir.join("journal"))
    };
    Ok(Journal::open(journal)?)
}

/// The master key from the settings, else from the data folder, where the first start makes one.
pub fn master_key(settings: &Settings) -> Result<MasterKey> {
    if let Some(text) = &settings.master_key {
        return MasterKey::from_base64(text.expose_secret()).context("MAI_MASTER_KEY cannot be used");
    }
    let path = settings.data_dir.join("master-key");
    if let Some(key) = read_master_key(&path)? {
        return Ok(key);
    }
    let key = MasterKey::generate()?;
    if write_secret(&path, key.to_base64().expose_secret())? {
        warn!(file = %path.display(), "a master key was made; keep a copy, without it provider keys cannot be read");
        return Ok(key);
    }
    // Another process that starts at the same moment was faster.
    read_master_key(&path)?.with_context(|| format!("{} has disappeared", path.display()))
}

fn read_master_key(path: &Path) -> Result<Option<MasterKey>> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let key = MasterKey::from_base64(text.trim());
            Ok(Some(key.with_context(|| format!("{} cannot be used", path.display()))?))
        }
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(cause).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Writes a file that only its owner can read, whole or not at all; false if there is one already.
fn write_secret(path: &Path, text: &str) -> Result<bool> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let unfinished = path.with_extension(format!("new-{}", std::process::id()));
    let cannot = || format!("cannot write {}", path.display());
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)
        .with_context(cannot)?;
    writeln!(file, "{text}").and_then(|()| file.sync_all()).with_context(cannot)?;
    // A link, unlike a rename, does not replace a key that somebody else has just written.
    let linked = fs::hard_link(&unfinished, path);
    fs::remove_file(&unfinished).with_context(cannot)?;
    match linked {
        Ok(()) => Ok(true),
        Err(cause) if cause.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(cause) => Err(cause).with_context(cannot),
    }
}
