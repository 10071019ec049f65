//! [`Proxy`]: one call from the gateway to upstream and back.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header, response::Parts};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use mai_generation_processing::PendingReason;
use mai_openrouter::{BodyTee, Route, StreamTee, openai_error, strip_user_id};
use mai_primitives::GenerationId;
use thiserror::Error;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::{
    body::{MeteredBody, Metering, Tee},
    call::Call,
    record::{Outcome, Settled},
    recorder::Recorder,
    upstream::{Upstream, UpstreamError, UpstreamRequest, passes_to_client},
};

/// An error answer is read whole, to take our account's id out of it. A larger one is replaced.
const ERROR_BODY_AT_MOST: usize = 256 * 1024;

/// The list of models has some hundred kilobytes.
const UNMETERED_BODY_AT_MOST: usize = 16 * 1024 * 1024;

/// The bounds of a call.
#[derive(Debug, Clone, Copy)]
pub struct ProxySettings {
    /// How long upstream may take until the head of its answer is there.
    pub head_patience: Duration,
}

impl Default for ProxySettings {
    /// Ten minutes, the patience of the OpenAI clients.
    fn default() -> Self {
        Self { head_patience: Duration::from_secs(600) }
    }
}

/// Why a call has no answer.
#[derive(Debug, Error)]
pub enum ProxyError {
    /// The journal is full or broken, so nothing new may start.
    #[error("the journal takes no new calls")]
    NotAdmitted,
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
    pub async fn send(
        &self,
        call: Call,
        request: UpstreamRequest,
        drain_on_disconnect: bool,
    ) -> Result<ProxyResponse, ProxyError> {
        if !self.recorder.admits_new_calls() {
            return Err(ProxyError::NotAdmitted);
        }
        let (sender, receiver) = oneshot::channel();
        let proxy = self.clone();
        let exchange = async move {
            let answer = proxy.exchange(call, request, drain_on_disconnect).await;
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
            read_error(body, &mut headers).await
        };
        Ok(ProxyResponse { status: head.status, headers, body: ProxyBody::Whole(body) })
    }

    async fn exchange(
        self,
        call: Call,
        request: UpstreamRequest,
        drain_on_disconnect: bool,
    ) -> Result<ProxyResponse, ProxyError> {
        let mut sent = Sent { recorder: self.recorder.clone(), call: Some(call) };
        let answer = self.upstream.send(request, self.settings.head_patience).await;
        let Some(call) = sent.call.take() else { return Err(ProxyError::Stopping) };
        match answer {
            Ok(answer) => {
                let (head, body) = answer.into_parts();
                if head.status.is_success() {
                    Ok(self.metered(call, head, body, drain_on_disconnect))
                } else {
                    Ok(self.failed(call, head, body).await)
                }
            }
            Err(cause) => {
                let outcome = match &cause {
                    // Nothing was sent, so nothing can have been billed.
                    UpstreamError::NoConnection(_) | UpstreamError::BaseUrl(_) | UpstreamError::Tls(_) => {
                        Outcome::Failed { status: 0, reason: "no_connection".to_owned() }
                    }
                    UpstreamError::NoAnswer(_) | UpstreamError::Timeout => {
                        Outcome::Unknown { reason: PendingReason::NoAnswer }
                    }
                };
                self.recorder.settle_detached(Settled::by_gateway(call, None, outcome));
                Err(ProxyError::Upstream(cause))
            }
        }
    }

    fn metered(&self, call: Call, head: Parts, body: Incoming, drain_on_disconnect: bool) -> ProxyResponse {
        // A call that is no stream cannot be stopped upstream and is billed whole.
        let drain_when_left = drain_on_disconnect || !call.streamed;
        let metering = Metering {
            upstream: body,
            tee: choose_tee(&head.headers),
            call,
            generation_id: generation_id(&head.headers),
            recorder: self.recorder.clone(),
        };
        let body = MeteredBody::new(metering, drain_when_left, self.tracker.clone());
        ProxyResponse {
            status: head.status,
            headers: client_headers(head.headers),
            body: ProxyBody::Metered(Box::new(body)),
        }
    }

    /// Upstream's status is an error as long as no model has started, and then nothing is charged. A
    /// failure of upstream's own that has a generation id may have come later, so it is looked up.
    async fn failed(&self, call: Call, head: Parts, body: Incoming) -> ProxyResponse {
        let generation_id = generation_id(&head.headers).filter(|_| head.status.is_server_error());
        let outcome = match generation_id {
            Some(_) => Outcome::Unknown { reason: PendingReason::ErrorEvent },
            None => Outcome::Failed { status: head.status.as_u16(), reason: "upstream_status".to_owned() },
        };
        self.recorder.settle_detached(Settled::by_gateway(call, generation_id, outcome));
        let mut headers = client_headers(head.headers);
        let body = read_error(body, &mut headers).await;
        ProxyResponse { status: head.status, headers, body: ProxyBody::Whole(body) }
    }
}

/// A request that was sent and has no answer yet. If its task ends before, because the process stops,
/// the call is recorded as one that upstream may have billed.
struct Sent {
    recorder: Recorder,
    call: Option<Call>,
}

impl Drop for Sent {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            let outcome = Outcome::Unknown { reason: PendingReason::NoAnswer };
            self.recorder.settle_detached(Settled::by_gateway(call, None, outcome));
        }
    }
}

fn generation_id(headers: &HeaderMap) -> Option<GenerationId> {
    let id = headers.get("x-generation-id")?.to_str().ok()?;
    GenerationId::new(id).ok()
}

/// An error body without our account's id.
async fn read_error(body: Incoming, headers: &mut HeaderMap) -> Bytes {
    headers.remove(header::CONTENT_LENGTH);
    if let Ok(whole) = Limited::new(body, ERROR_BODY_AT_MOST).collect().await {
        return Bytes::from(strip_user_id(&whole.to_bytes()).into_owned());
    }
    headers.remove(header::CONTENT_ENCODING);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let text = "upstream failed, and its explanation could not be read";
    Bytes::from(openai_error(text, "upstream_error", "upstream_error"))
}

fn choose_tee(headers: &HeaderMap) -> Tee {
    let encoded = headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    match kind.split(';').next().map(str::trim) {
        _ if encoded => Tee::Blind,
        Some(kind) if kind.eq_ignore_ascii_case("text/event-stream") => {
            Tee::Stream(Box::new(StreamTee::new(Route::ChatCompletions)))
        }
        Some(kind) if kind.eq_ignore_ascii_case("application/json") => {
            Tee::Object(Box::new(BodyTee::new(Route::ChatCompletions)))
        }
        _ => Tee::Blind,
    }
}

fn client_headers(mut headers: HeaderMap) -> HeaderMap {
    let removed: Vec<_> = headers.keys().filter(|name| !passes_to_client(name)).cloned().collect();
    for name in removed {
        headers.remove(name);
    }
    headers
}
