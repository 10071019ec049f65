//! The HTTP server: its routes, and the parts that each of its threads has of its own.

use std::{net::SocketAddr, sync::Arc};

use actix_web::{App, HttpServer, dev::Server, web};
use anyhow::{Context, Result};
use mai_capture::{Proxy, ProxySettings, Recorder, SharedDirectory, Upstream};
use mai_primitives::Clock;
use tokio_util::task::TaskTracker;
use utoipa_actix_web::AppExt;

use crate::{
    api::{self, Api},
    dashboard,
    gateway::{self, CallLimits, Gateway, RateLimits, Said, Stopping},
    health::{self, Health},
    metrics::{self, Metrics},
    settings::Settings,
};

/// What each worker thread builds its gateway from.
#[derive(Clone)]
pub(super) struct WorkerParts {
    pub(super) base_url: String,
    pub(super) recorder: Recorder,
    pub(super) calls: TaskTracker,
    pub(super) proxy_settings: ProxySettings,
    pub(super) directory: SharedDirectory,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) body_limit: usize,
    pub(super) rates: Arc<RateLimits>,
    pub(super) limits: CallLimits,
    pub(super) said: Said,
    pub(super) stopping: Stopping,
}

impl WorkerParts {
    /// Every worker has connections of its own, so that no other thread drives them.
    fn gateway(&self, upstream: Upstream) -> Gateway {
        Gateway {
            directory: self.directory.clone(),
            proxy: Proxy::new(
                upstream,
                self.recorder.clone(),
                self.calls.clone(),
                self.proxy_settings.clone(),
            ),
            clock: Arc::clone(&self.clock),
            body_limit: self.body_limit,
            rates: Arc::clone(&self.rates),
            limits: self.limits.clone(),
            said: self.said.clone(),
            stopping: self.stopping.clone(),
        }
    }
}

/// What all threads share, and its handlers are given.
pub(super) struct SharedParts {
    pub(super) api: Api,
    pub(super) health: Health,
    pub(super) metrics: Metrics,
}

/// Binds the port; the server runs once it is polled. The address has the port that was really taken.
pub(super) fn bind(
    settings: &Settings,
    worker: WorkerParts,
    shared: SharedParts,
) -> Result<(Server, SocketAddr)> {
    let (api, health) = (web::Data::new(shared.api), web::Data::new(shared.health));
    let metrics = web::Data::new(shared.metrics);
    // The base URL is checked here, once, so that the workers cannot fail on it.
    let upstream = Upstream::new(&worker.base_url).context("OPENROUTER_BASE_URL cannot be used")?;
    let app = move || {
        let gateway = web::Data::new(worker.gateway(upstream.unshared()));
        App::new()
            .app_data(gateway)
            .app_data(api.clone())
            .app_data(health.clone())
            .app_data(metrics.clone())
            .wrap_fn({
                let traffic = metrics.traffic.clone();
                move |request, service| metrics::count(&traffic, request, service)
            })
            .wrap(api::request_id::RequestId)
            .route("/healthz", web::get().to(health::healthz))
            .route("/readyz", web::get().to(health::readyz))
            .route("/metrics", web::get().to(metrics::metrics))
            .into_utoipa_app()
            .configure(api::routes)
            .into_app()
            .configure(api::pages::routes)
            .configure(dashboard::routes)
            .service(web::scope("/api/v1").configure(gateway::routes))
            .service(web::scope("/v1").configure(gateway::routes))
            .default_service(web::to(dashboard::unknown))
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
