//! The server: its thread, its connections, its routes and what it remembers of requests.

use crate::broadcast::{BroadcastTarget, Broadcasts, deliver};
use crate::inference;
use crate::keys::{self, Keys};
use crate::ledger::{Charge, Ledger};
use crate::look_up;
use crate::models;
use crate::nbp::{self, Nbp, NbpConduct};
use crate::random::mix;
use crate::refusal::refuse;
use crate::respond::{Abort, MockResponse, error, hex, json, not_found};
use crate::route::Route;
use crate::settings::MockSettings;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct RecordedRequest {
    /// For example `POST`.
    pub method: Method,
    /// Path and query, for example `/api/v1/generation?id=gen-1`.
    pub path: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The body; empty when bodies are not kept.
    pub body: Bytes,
    /// Lower-case hex SHA-256 of the body, when bodies are kept.
    pub body_sha256: Option<String>,
}

/// What all connections share.
pub(crate) struct State {
    pub(crate) settings: MockSettings,
    pub(crate) ledger: Ledger,
    pub(crate) keys: Keys,
    pub(crate) broadcasts: Broadcasts,
    /// What `GET /models` gets instead of the price list.
    models_answer: Mutex<Option<(StatusCode, String)>>,
    pub(crate) nbp: Nbp,
    /// How many generations were started.
    pub(crate) counter: AtomicU64,
    /// Differs between mocks, also between runs, so that ids never repeat.
    pub(crate) instance: u64,
    requests: Mutex<VecDeque<RecordedRequest>>,
    /// How many requests arrived whole.
    arrived: AtomicU64,
    /// How many broke off within their body.
    broken: AtomicU64,
}

/// A running mock. Dropping it stops it.
pub struct Mock {
    address: SocketAddr,
    state: Arc<State>,
    stop: CancellationToken,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Mock {
    /// Starts a mock on 127.0.0.1, on a thread and a runtime of its own; it answers as soon as this returns.
    ///
    /// Fails when the port is taken or the system gives no thread.
    pub fn start(settings: MockSettings) -> io::Result<Self> {
        static STARTED: AtomicU64 = AtomicU64::new(0);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, settings.port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let moment = u64::try_from(crate::settings::system_clock()()).unwrap_or(0);
        let process = mix(moment, u64::from(std::process::id()));
        let (broadcasts, queue) = Broadcasts::new(settings.broadcast.clone());
        let state = Arc::new(State {
            ledger: Ledger::new(settings.keep_charges, settings.generation_failures),
            keys: Keys::default(),
            broadcasts,
            models_answer: Mutex::default(),
            nbp: Nbp::default(),
            counter: AtomicU64::new(0),
            instance: mix(process, STARTED.fetch_add(1, Ordering::Relaxed)),
            requests: Mutex::default(),
            arrived: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            settings,
        });
        let stop = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _guard = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (served, stopped) = (Arc::clone(&state), stop.clone());
        let thread = thread::Builder::new().name("mock-openrouter".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = stopped.cancelled() => {}
                    () = accept(&listener, &served) => {}
                    () = deliver(Arc::clone(&served), queue) => {}
                }
            });
        })?;
        Ok(Self { address, state, stop, thread: Mutex::new(Some(thread)) })
    }

    /// What OpenRouter calls its base URL: `http://127.0.0.1:PORT/api/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/api/v1", self.address)
    }

    /// The base URL of the NBP API: `http://127.0.0.1:PORT/nbp/api`.
    pub fn nbp_url(&self) -> String {
        format!("http://{}/nbp/api", self.address)
    }

    /// The address it listens on.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The latest charges, at most [`MockSettings::keep_charges`], in the order they were made.
    pub fn ledger(&self) -> Vec<Charge> {
        self.state.ledger.charges()
    }

    /// How many charges were made since the start.
    pub fn charge_count(&self) -> u64 {
        self.state.ledger.totals().0
    }

    /// Sum of all charges since the start in nano-dollars, each rounded on its own by [`nano_usd`](crate::nano_usd).
    pub fn total_nano_usd(&self) -> i64 {
        self.state.ledger.totals().1
    }

    /// The latest requests, at most [`MockSettings::keep_requests`], in the order they arrived.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.state.requests.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// From now on the mock's NBP behaves like this.
    pub fn set_nbp(&self, conduct: NbpConduct) {
        self.state.nbp.set(conduct);
    }

    /// What NBP was asked for since the start: the paths behind its base URL. They are in none of the other
    /// lists and counts.
    pub fn nbp_requests(&self) -> Vec<String> {
        self.state.nbp.requests()
    }

    /// How many requests arrived whole since the start.
    pub fn request_count(&self) -> u64 {
        self.state.arrived.load(Ordering::Relaxed)
    }

    /// How many requests broke off before their body was complete. They order nothing and are not recorded.
    pub fn broken_request_count(&self) -> u64 {
        self.state.broken.load(Ordering::Relaxed)
    }

    /// Broadcasts the charges from now on to another target, or with `None` to nobody. What waits to be sent, or to be sent
    /// again, goes to the new target; with `None` it is dropped.
    pub fn broadcast_to(&self, target: Option<BroadcastTarget>) {
        self.state.broadcasts.set_target(target);
    }

    /// How many charges wait to be broadcast, or to be accepted where that is asked for.
    pub fn pending_broadcasts(&self) -> usize {
        self.state.broadcasts.pending()
    }

    /// Waits until no charge waits to be broadcast. It never ends when the mock is stopped with some undelivered.
    pub async fn broadcasts_delivered(&self) {
        self.state.broadcasts.delivered().await;
    }

    /// `GET /models` gets this status and body from now on, or with `None` the price list again.
    pub fn answer_models(&self, answer: Option<(StatusCode, &str)>) {
        let answer = answer.map(|(status, body)| (status, body.to_owned()));
        *self.state.models_answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }

    /// The next key that is made through `/keys` gets this secret.
    pub fn next_managed_key(&self, secret: &str) {
        self.state.keys.set_next_secret(secret);
    }

    /// Requests to `/keys` with these methods fail from now on with status 500, and do nothing.
    pub fn fail_management(&self, methods: &[Method]) {
        self.state.keys.set_failing(methods);
    }

    /// Requests to `/keys` with these methods do their work from now on, and are answered when they are no
    /// longer among those that are held.
    pub fn hold_management(&self, methods: &[Method]) {
        self.state.keys.hold(methods);
    }

    /// Name, secret, and whether it is disabled, of each key that was made through `/keys` and not deleted.
    pub fn managed_keys(&self) -> Vec<(String, String, bool)> {
        self.state.keys.all()
    }

    /// Stops the server and breaks its connections; what was running is charged as if the clients had left. The ledger
    /// stays readable; what was not broadcast yet never is. Calling it again does nothing.
    pub fn stop(&self) {
        self.stop.cancel();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic of the server thread has already been printed; there is nothing left to stop.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Mock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Mock").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Serves connections until the runtime ends.
async fn accept(listener: &tokio::net::TcpListener, state: &Arc<State>) {
    let tasks = TaskTracker::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors: give the open connections time to finish.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        // Without it a small event waits for the acknowledgement of the one before. A refusal costs only time.
        let _ = stream.set_nodelay(true);
        let state = Arc::clone(state);
        let service = service_fn(move |request| {
            let state = Arc::clone(&state);
            async move { serve(&state, request).await }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tasks.spawn(async move {
            // A broken connection is an expected end here: the ledger tells what became of its generation.
            let _ = connection.await;
        });
    }
}

async fn serve(state: &Arc<State>, request: Request<Incoming>) -> Result<MockResponse, Abort> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        state.broken.fetch_add(1, Ordering::Relaxed);
        return Err(Abort);
    };
    let body = body.to_bytes();
    let path = head.uri.path();
    if let Some(rest) = path.strip_prefix("/nbp/api/") {
        return Ok(nbp::answer(state, rest).await);
    }
    state.arrived.fetch_add(1, Ordering::Relaxed);
    remember(state, &head, &body);
    let secret = bearer(&head.headers);
    let query = head.uri.query().unwrap_or("");
    let Some(rest) = path.strip_prefix("/api/v1/") else { return Ok(not_found()) };
    if let Some(rest) = rest.strip_prefix("keys").filter(|rest| rest.is_empty() || rest.starts_with('/')) {
        let answer = keys::manage(state, secret, &head.method, rest, query, &body);
        state.keys.released(&head.method).await;
        return Ok(answer);
    }
    let rest = rest.trim_end_matches('/');
    if let Some(route) = Route::of(rest).filter(|_| head.method == Method::POST) {
        return match usable(state, secret, false) {
            Ok(key) => inference::answer(state, route, key, &head, &body).await,
            Err(message) => Ok(refuse(route, StatusCode::UNAUTHORIZED, message, None)),
        };
    }
    match (head.method.as_str(), rest) {
        ("GET", "models") => {
            let answer = state.models_answer.lock().unwrap_or_else(PoisonError::into_inner).clone();
            Ok(answer.map_or_else(
                || models::list(query_value(query, "output_modalities")),
                |(status, body)| json(status, body),
            ))
        }
        ("GET", "key") => {
            Ok(authorized(state, secret, true)
                .map_or_else(|refusal| *refusal, |key| keys::own_key(state, key)))
        }
        ("GET", "generation") => Ok(authorized(state, secret, false)
            .map_or_else(|refusal| *refusal, |_| look_up::answer(state, query))),
        _ => Ok(not_found()),
    }
}

/// The key, if it may be used here; the management key only where `management` is set. Else what to say.
fn usable<'a>(state: &State, secret: Option<&'a str>, management: bool) -> Result<&'a str, &'static str> {
    match secret {
        None => Err("No auth credentials found"),
        Some(secret) if secret == state.settings.management_key && !management => {
            Err("Management keys cannot be used for inference")
        }
        Some(secret) if !state.keys.usable(secret) => Err("User not found."),
        Some(secret) => Ok(secret),
    }
}

/// The same for the routes that order nothing, with the refusal in OpenRouter's shape.
fn authorized<'a>(
    state: &State,
    secret: Option<&'a str>,
    management: bool,
) -> Result<&'a str, Box<MockResponse>> {
    usable(state, secret, management)
        .map_err(|message| Box::new(error(StatusCode::UNAUTHORIZED, message, None)))
}

fn remember(state: &State, head: &http::request::Parts, body: &Bytes) {
    let settings = &state.settings;
    if settings.keep_requests == 0 {
        return;
    }
    let request = RecordedRequest {
        method: head.method.clone(),
        path: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        headers: head.headers.clone(),
        body: if settings.keep_bodies { body.clone() } else { Bytes::new() },
        body_sha256: settings.keep_bodies.then(|| hex(&Sha256::digest(body))),
    };
    let mut requests = state.requests.lock().unwrap_or_else(PoisonError::into_inner);
    if requests.len() >= settings.keep_requests {
        requests.pop_front();
    }
    requests.push_back(request);
}

/// The token of `Authorization: Bearer`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The value of a query parameter. The ids and numbers used here need no percent-decoding.
pub(crate) fn query_value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}
