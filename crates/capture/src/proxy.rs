//! [`Proxy`]: one call from the gateway to upstream and back.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header, response::Parts};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use mai_generation_processing::PendingReason;
use mai_openrouter::{Route, anthropic_error, openai_error, strip_user_id};
use mai_primitives::GenerationId;
use thiserror::Error;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::{
    body::MeteredBody,
    call::Call,
    drain::Drains,
    limits::Reservation,
    metering::{Metering, Tee},
    record::{Outcome, Settled},
    recorder::{NotAdmitted, Recorder},
    request_body::Form,
    upstream::{Upstream, UpstreamError, UpstreamRequest, passes_to_client},
};

/// An error answer is read whole, to take our account's id out of it. A larger one is replaced.
const ERROR_BODY_AT_MOST: usize = 256 * 1024;

/// The list of models has some hundred kilobytes.
const UNMETERED_BODY_AT_MOST: usize = 16 * 1024 * 1024;

/// The bounds of calls. Clones share the places of [`Drains`].
#[derive(Debug, Clone)]
pub struct ProxySettings {
    /// How long upstream may take until the head of its answer is there.
    pub head_patience: Duration,
    /// Answers that are read on without their clients.
    pub drains: Drains,
}

impl Default for ProxySettings {
    /// Ten minutes, the patience of the OpenAI clients.
    fn default() -> Self {
        Self { head_patience: Duration::from_secs(600), drains: Drains::default() }
    }
}

/// How the answer of a call is delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivery {
    /// A stream is read to its end when its client has left.
    pub drain_on_disconnect: bool,
    /// A stream of choices that fails gets one event more, by which Open WebUI shows the failure.
    pub shows_failures: bool,
}

/// Why a call has no answer.
#[derive(Debug, Error)]
pub enum ProxyError {
    /// It could not be recorded, so it was not made.
    #[error("new calls are refused because they could not be recorded: {0}")]
    NotAdmitted(#[from] NotAdmitted),
    /// Upstream gave no answer.
    #[error(transparent)]
    Upstream(UpstreamError),
    /// An answer that is read whole broke off, or is too long.
    #[error("upstream's answer broke off: {0}")]
    Cut(String),
    /// The process is stopping.
    #[error("the gateway is stopping")]
    Stopping,
}

/// The head of an answer, and its body.
pub struct ProxyResponse {
    /// The status as upstream sent it.
    pub status: StatusCode,
    /// Upstream's headers, without those that concern only its own connection and site.
    pub headers: HeaderMap,
    /// The body.
    pub body: ProxyBody,
}

/// The body of an answer.
pub enum ProxyBody {
    /// An error answer, complete.
    Whole(Bytes),
    /// A metered answer, to be passed on as it comes.
    Metered(Box<MeteredBody>),
}

/// Sends calls to upstream and meters their answers. Clones share the connections.
#[derive(Clone)]
pub struct Proxy {
    upstream: Upstream,
    recorder: Recorder,
    tracker: TaskTracker,
    settings: ProxySettings,
}

impl Proxy {
    /// A proxy over `upstream`. Work that outlives its client runs in `tracker`.
    pub const fn new(
        upstream: Upstream,
        recorder: Recorder,
        tracker: TaskTracker,
        settings: ProxySettings,
    ) -> Self {
        Self { upstream, recorder, tracker, settings }
    }

    /// Makes a call. Until the head of the answer is there, the call runs in a task of its own: the
    /// web framework drops whoever waits here when the client leaves, and upstream bills all the same.
    /// What was reserved for it is released if it is not made.
    pub async fn send(
        &self,
        route: Route,
        (call, reservation): (Call, Option<Reservation>),
        request: UpstreamRequest,
        delivery: Delivery,
    ) -> Result<ProxyResponse, ProxyError> {
        self.recorder.admit()?;
        let (sender, receiver) = oneshot::channel();
        let proxy = self.clone();
        if let Some(reservation) = reservation {
            reservation.keep();
        }
        let exchange = async move {
            let answer = proxy.exchange(route, call, request, delivery).await;
            // Nobody waits any more: dropping the answer settles it as left by its client.
            drop(sender.send(answer));
        };
        self.tracker.spawn(exchange.in_current_span());
        receiver.await.map_err(|_| ProxyError::Stopping)?
    }

    /// Makes a call that costs nothing and is not recorded, such as the list of models.
    pub async fn send_unmetered(&self, request: UpstreamRequest) -> Result<ProxyResponse, ProxyError> {
        let answer = self.upstream.send(request, self.settings.head_patience).await;
        let (head, body) = answer.map_err(ProxyError::Upstream)?.into_parts();
        let mut headers = client_headers(head.headers);
        let body = if head.status.is_success() {
            headers.remove(header::CONTENT_LENGTH);
            let whole = Limited::new(body, UNMETERED_BODY_AT_MOST).collect().await;
            whole.map_err(|cause| ProxyError::Cut(cause.to_string()))?.to_bytes()
        } else {
            read_error(None, body, &mut headers).await
        };
        Ok(ProxyResponse { status: head.status, headers, body: ProxyBody::Whole(body) })
    }

    async fn exchange(
        self,
        route: Route,
        call: Call,
        request: UpstreamRequest,
        delivery: Delivery,
    ) -> Result<ProxyResponse, ProxyError> {
        self.recorder.sent(&call);
        let form = request.body.form();
        let mut unanswered = Unanswered { recorder: self.recorder.clone(), call: Some(call), form };
        let answer = self.upstream.send(request, self.settings.head_patience).await;
        match answer {
            Ok(answer) => {
                let Some(call) = unanswered.take_call() else { return Err(ProxyError::Stopping) };
                let (head, body) = answer.into_parts();
                if head.status.is_success() {
                    Ok(self.metered(route, call, head, body, delivery))
                } else {
                    Ok(self.failed(route, call, head, body).await)
                }
            }
            Err(cause) => {
                unanswered.settle(&cause);
                Err(ProxyError::Upstream(cause))
            }
        }
    }

    fn metered(
        &self,
        route: Route,
        call: Call,
        head: Parts,
        body: Incoming,
        delivery: Delivery,
    ) -> ProxyResponse {
        let tee = Tee::choose(route, &head.headers, delivery.shows_failures);
        let shows_failure = tee.keeps_error();
        // A call that is no stream cannot be stopped upstream and is billed whole. Reading on makes
        // sense only where there is something to learn.
        let drain = (delivery.drain_on_disconnect || !call.streamed) && !tee.is_blind();
        let when_left = drain.then(|| (self.tracker.clone(), self.settings.drains.clone()));
        let generation_id = generation_id(&head.headers);
        let recorder = self.recorder.clone();
        let metering = Metering { upstream: body, tee, call, generation_id, recorder, shows_failure };
        let mut headers = client_headers(head.headers);
        if shows_failure {
            // A notice may come on top.
            headers.remove(header::CONTENT_LENGTH);
        }
        ProxyResponse {
            status: head.status,
            headers,
            body: ProxyBody::Metered(Box::new(MeteredBody::new(metering, when_left))),
        }
    }

    /// Upstream's status is an error as long as no model has started, and then nothing is charged. A
    /// failure of upstream's own that has a generation id may have come later, so it is looked up. One
    /// that is not written as upstream writes errors comes from something in between, such as its network's
    /// edge that has lost patience, and says nothing about what was charged.
    async fn failed(&self, route: Route, call: Call, head: Parts, body: Incoming) -> ProxyResponse {
        let generation_id = generation_id(&head.headers).filter(|_| head.status.is_server_error());
        let outcome = match generation_id {
            Some(_) => Outcome::Unknown { reason: PendingReason::ErrorEvent },
            None if head.status.is_server_error() && !is_json(&head.headers) => {
                Outcome::Unknown { reason: PendingReason::NoAnswer }
            }
            None => Outcome::Failed { status: head.status.as_u16(), reason: "upstream_status".to_owned() },
        };
        self.recorder.settle_detached(Settled::by_gateway(call, generation_id, outcome));
        let mut headers = client_headers(head.headers);
        let body = read_error(Some(route), body, &mut headers).await;
        ProxyResponse { status: head.status, headers, body: ProxyBody::Whole(body) }
    }
}

/// A request that was sent and has no answer yet. If its task ends before, because the process stops,
/// the call is recorded as one that upstream may have billed.
struct Unanswered {
    recorder: Recorder,
    call: Option<Call>,
    /// Of a request whose body comes from the client while it is sent.
    form: Option<Arc<OnceLock<Form>>>,
}

impl Unanswered {
    /// The call, with what its upload has said by now.
    fn take_call(&mut self) -> Option<Call> {
        let mut call = self.call.take()?;
        if let Some(form) = self.form.as_ref().and_then(|form| form.get()) {
            call.requested_model.clone_from(&form.model);
            call.streamed = form.streamed;
        }
        Some(call)
    }

    /// Whether upstream cannot have got the whole request, because the client has not sent it.
    fn is_partial(&self) -> bool {
        self.form.as_ref().is_some_and(|form| form.get().is_none())
    }

    /// Records a call for which there will be no answer.
    fn settle(mut self, cause: &UpstreamError) {
        match cause {
            // Nothing was sent, so nothing can have been billed.
            UpstreamError::NoConnection(_) | UpstreamError::BaseUrl(_) | UpstreamError::Tls(_) => {
                self.settle_as(failed("no_connection"));
            }
            UpstreamError::NoAnswer(_) | UpstreamError::Timeout => {}
        }
    }

    fn settle_as(&mut self, outcome: Outcome) {
        if let Some(call) = self.take_call() {
            self.recorder.settle_detached(Settled::by_gateway(call, None, outcome));
        }
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if self.is_partial() {
            self.settle_as(failed("incomplete_upload"));
        } else {
            self.settle_as(Outcome::Unknown { reason: PendingReason::NoAnswer });
        }
    }
}

/// An outcome without any status of upstream's.
fn failed(reason: &str) -> Outcome {
    Outcome::Failed { status: 0, reason: reason.to_owned() }
}

/// Whether an error is written as upstream writes its own.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

fn generation_id(headers: &HeaderMap) -> Option<GenerationId> {
    let id = headers.get("x-generation-id")?.to_str().ok()?;
    GenerationId::new(id).ok()
}

/// An error body without our account's id.
async fn read_error(route: Option<Route>, body: Incoming, headers: &mut HeaderMap) -> Bytes {
    headers.remove(header::CONTENT_LENGTH);
    if let Ok(whole) = Limited::new(body, ERROR_BODY_AT_MOST).collect().await {
        return Bytes::from(strip_user_id(&whole.to_bytes()).into_owned());
    }
    headers.remove(header::CONTENT_ENCODING);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let text = "upstream failed, and its explanation could not be read";
    Bytes::from(match route {
        Some(Route::Messages) => anthropic_error(text, "api_error", "upstream_error"),
        _ => openai_error(text, "upstream_error", "upstream_error"),
    })
}

fn client_headers(mut headers: HeaderMap) -> HeaderMap {
    let removed: Vec<_> = headers.keys().filter(|name| !passes_to_client(name)).cloned().collect();
    for name in removed {
        headers.remove(name);
    }
    headers
}
