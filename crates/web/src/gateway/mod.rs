//! The side of the models: `/v1` and `/api/v1`, as OpenAI's and Anthropic's clients call them.
//!
//! A request is authenticated and attributed by an in-memory snapshot, sent upstream with the
//! organization's own key, and recorded by `mai-capture`. Nothing here waits for the database.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use actix_web::web;
use mai_capture::{Proxy, SharedDirectory};
use mai_openrouter::Route;
use mai_primitives::Clock;

mod body;
mod error;
mod headers;
pub(crate) mod identity;
mod limits;
mod metered;
mod models;
pub mod rate;
mod said;
mod upload;

pub use error::GatewayError;
pub use limits::{CallLimits, LimitReached};
pub use rate::{RateLimits, TooMany};
pub use said::Said;

/// What every handler of the gateway needs. There is one per worker thread.
#[derive(Clone)]
pub struct Gateway {
    /// Organizations and keys.
    pub directory: SharedDirectory,
    /// The way upstream.
    pub proxy: Proxy,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Largest request body in bytes.
    pub body_limit: usize,
    /// How often keys and members may call; shared by all threads.
    pub rates: Arc<RateLimits>,
    /// What organizations, members and models may cost; shared by all threads.
    pub limits: CallLimits,
    /// What trusted clients have told of members.
    pub said: Said,
    /// Set when the service is stopping, so that no new call starts.
    pub stopping: Stopping,
}

/// Whether the service is stopping. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Stopping(Arc<AtomicBool>);

impl Stopping {
    /// From now on no new call starts.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether a stop was asked for.
    pub fn has_begun(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The gateway's routes, below `/v1` and `/api/v1`. OpenAI's clients call `/images` by a longer name; the
/// bodies are alike.
pub fn routes(config: &mut web::ServiceConfig) {
    let paths = Route::ALL.map(|route| (route.path(), route));
    for (path, route) in paths.into_iter().chain([("/images/generations", Route::Images)]) {
        let call = move |request, payload, gateway| metered::call(route, request, payload, gateway);
        config.route(path, web::post().to(call));
    }
    config.route("/models", web::get().to(models::models));
}
