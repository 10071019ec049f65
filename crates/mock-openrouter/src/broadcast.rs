//! Broadcast: each charge is reported to a target as a trace in OTLP/JSON, in the background and in no certain order.

mod document;

use crate::ledger::Charge;
use crate::server::State;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// How many charges are on their way at once.
const AT_ONCE: usize = 16;

/// How long the target may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause before what was not accepted is sent again.
const PAUSE: Duration = Duration::from_millis(50);

/// Where charges are broadcast to, and how often.
#[derive(Clone)]
pub struct BroadcastTarget {
    /// Plain HTTP, for example `http://127.0.0.1:8080/broadcast`. Anything else is never accepted.
    pub url: String,
    /// Names and values of static headers, OpenRouter's only means of authentication here.
    pub headers: Vec<(String, String)>,
    /// How many times each charge is sent: 1, or more for a target that must recognize what it has.
    pub deliveries: u32,
    /// Send each delivery again and again until it is answered with a status of 200 to 299, so that a target that crashes
    /// has everything in the end. OpenRouter promises no such thing, and without it each is tried once.
    pub until_accepted: bool,
}

impl BroadcastTarget {
    /// Each charge once, without headers, and lost when it is not accepted.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), headers: Vec::new(), deliveries: 1, until_accepted: false }
    }
}

impl fmt::Debug for BroadcastTarget {
    /// Without the values of the headers, which are secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BroadcastTarget")
            .field("url", &self.url)
            .field("deliveries", &self.deliveries)
            .field("until_accepted", &self.until_accepted)
            .finish_non_exhaustive()
    }
}

/// The charges that wait for [`deliver`].
pub(crate) type Queue = mpsc::UnboundedReceiver<Arc<Charge>>;

/// What is to be broadcast, and where to.
pub(crate) struct Broadcasts {
    target: Mutex<Option<BroadcastTarget>>,
    queue: mpsc::UnboundedSender<Arc<Charge>>,
    pending: watch::Sender<usize>,
}

impl Broadcasts {
    /// Nothing to broadcast yet, and the queue for [`deliver`].
    pub(crate) fn new(target: Option<BroadcastTarget>) -> (Self, Queue) {
        let (sender, queue) = mpsc::unbounded_channel();
        (Self { target: Mutex::new(target), queue: sender, pending: watch::Sender::new(0) }, queue)
    }

    fn target(&self) -> Option<BroadcastTarget> {
        self.target.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes another target.
    pub(crate) fn set_target(&self, target: Option<BroadcastTarget>) {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = target;
    }

    /// Queues a charge, if there is anybody to tell.
    pub(crate) fn announce(&self, charge: Arc<Charge>) {
        if self.target.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            return;
        }
        self.pending.send_modify(|pending| *pending += 1);
        // The queue ends with the server, and what waits then stays pending.
        let _ = self.queue.send(charge);
    }

    /// How many charges wait.
    pub(crate) fn pending(&self) -> usize {
        *self.pending.borrow()
    }

    /// Waits until none waits.
    pub(crate) async fn delivered(&self) {
        // The sender lives as long as this is borrowed.
        let _ = self.pending.subscribe().wait_for(|pending| *pending == 0).await;
    }

    /// Sends a charge as often as the target wants it.
    async fn send(&self, client: &HttpClient, charge: &Charge) {
        let document = Bytes::from(document::document(charge));
        let mut sent = 0;
        while let Some(target) = self.target().filter(|target| sent < target.deliveries) {
            let post = tokio::time::timeout(PATIENCE, post(client, &target, document.clone()));
            if post.await.unwrap_or(false) || !target.until_accepted {
                sent += 1;
            } else {
                tokio::time::sleep(PAUSE).await;
            }
        }
        self.pending.send_modify(|pending| *pending -= 1);
    }
}

type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// Delivers the charges of the queue for as long as the server runs.
pub(crate) async fn deliver(state: Arc<State>, mut queue: Queue) {
    let client: HttpClient = Client::builder(TokioExecutor::new()).build_http();
    let mut running = JoinSet::new();
    while let Some(charge) = queue.recv().await {
        if running.len() >= AT_ONCE {
            running.join_next().await;
        }
        let (state, client) = (Arc::clone(&state), client.clone());
        running.spawn(async move { state.broadcasts.send(&client, &charge).await });
    }
}

/// Whether the target accepted a document.
async fn post(client: &HttpClient, target: &BroadcastTarget, document: Bytes) -> bool {
    let mut request = Request::post(&target.url).header(header::CONTENT_TYPE, "application/json");
    for (name, value) in &target.headers {
        request = request.header(name, value);
    }
    let Ok(request) = request.body(Full::new(document)) else { return false };
    let Ok(response) = client.request(request).await else { return false };
    let accepted = response.status().is_success();
    // The connection serves again only when its answer was read.
    let _ = response.into_body().collect().await;
    accepted
}
