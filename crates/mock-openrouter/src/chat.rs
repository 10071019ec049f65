//! `POST /chat/completions`, from the request to the ledger.

use crate::behaviour::Behaviour;
use crate::body::ScriptBody;
use crate::ledger::Charge;
use crate::models;
use crate::plan::Plan;
use crate::random::{alphanumeric, mix};
use crate::respond::{Abort, MockBody, MockResponse, error, json};
use crate::script::Script;
use crate::server::State;
use crate::wire::{Generation, Order, PROVIDER_ERROR, message};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header, request};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Answers a chat request of this key.
pub(crate) async fn answer(
    state: &Arc<State>,
    api_key: &str,
    head: &request::Parts,
    body: &Bytes,
) -> Result<MockResponse, Abort> {
    let request: ChatRequest = match serde_json::from_slice(body) {
        Ok(request) => request,
        Err(problem) => {
            return Ok(error(StatusCode::BAD_REQUEST, &format!("Invalid request body: {problem}"), None));
        }
    };
    let plan = match Plan::new(&request.model, &head.headers) {
        Ok(plan) => plan,
        Err(problem) => return Ok(error(StatusCode::BAD_REQUEST, &problem, None)),
    };
    if plan.has(Behaviour::CutBeforeHeaders) {
        return Err(Abort);
    }
    if let Some(status) = plan.status() {
        return Ok(refusal(status));
    }
    let Some(price) = models::find(&request.model) else {
        let message = format!("{} is not a valid model ID", request.model);
        return Ok(error(StatusCode::BAD_REQUEST, &message, None));
    };
    let started_ms = (state.settings.now)();
    let number = state.counter.fetch_add(1, Ordering::Relaxed);
    let id = format!("gen-{}-{}", started_ms.div_euclid(1000), alphanumeric(state.instance, number, 20));
    let seed = plan.seed.unwrap_or_else(|| mix(state.settings.seed, number));
    let order = Order {
        api_key: api_key.to_owned(),
        model: request.model,
        user: request.user,
        streamed: request.stream,
    };
    let generation = Generation::new(id, started_ms, seed, order, price, plan);
    let open = Open { state: Arc::clone(state), generation, delivered: 0, settled: false };
    if let Some(pause) = open.generation.plan.delay_headers() {
        tokio::time::sleep(pause).await;
    }
    Ok(respond(open))
}

/// The headers and the body of an answer.
fn respond(mut open: Open) -> MockResponse {
    let plan = &open.generation.plan;
    let gzip = plan.has(Behaviour::Gzip);
    let hidden = plan.has(Behaviour::NoHeaderId) || plan.has(Behaviour::NoId);
    let id = HeaderValue::from_str(&open.generation.id).ok().filter(|_| !hidden);
    let mut response = if open.generation.streamed {
        let script = Script::stream(&open.generation);
        scripted(ScriptBody::new(open, script), "text/event-stream")
    } else {
        let (before, after) = plain(&open.generation);
        if open.generation.plan.scripts_plain() {
            let script = Script::plain(&open.generation, before.into(), after.into());
            scripted(ScriptBody::new(open, script), "application/json")
        } else {
            let body = before + &after;
            let hasher = open.state.settings.keep_bodies.then(|| Sha256::new_with_prefix(&body));
            open.complete(hasher);
            json(StatusCode::OK, body)
        }
    };
    if let Some(id) = id {
        response.headers_mut().insert("x-generation-id", id);
    }
    if gzip {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn scripted(body: ScriptBody, content_type: &'static str) -> MockResponse {
    let mut response = Response::new(MockBody::Script(Box::new(body)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A plain answer in two halves, cut where its content ends.
fn plain(generation: &Generation) -> (String, String) {
    let plan = &generation.plan;
    let events = generation.reachable_events();
    let failed = events < plan.content_events();
    let (open, close) =
        if failed { message(r#""error""#, Some(PROVIDER_ERROR)) } else { message(r#""stop""#, None) };
    let mut before = generation.head("chat.completion") + &open;
    (0..events).for_each(|index| before.push_str(generation.text(index)));
    let usage = if failed || plan.has(Behaviour::NoUsage) {
        String::new()
    } else {
        format!(r#","usage":{}"#, generation.usage(generation.completion_tokens(events)))
    };
    (before, format!("{close}]{usage}}}"))
}

/// An HTTP error as OpenRouter answers it before any model has run.
fn refusal(status: u16) -> MockResponse {
    let (message, metadata) = match status {
        401 => ("User not found.", None),
        402 => (
            "Insufficient credits. Add more using https://openrouter.ai/settings/credits",
            Some(r#"{"limit_source":"openrouter_credits"}"#),
        ),
        403 => (
            "Key limit exceeded (weekly limit). Manage it using https://openrouter.ai/settings/keys",
            Some(r#"{"limit_source":"openrouter_key_limit","scope":"key"}"#),
        ),
        404 => ("No endpoints found for this model.", None),
        429 => (
            "Provider returned error",
            Some(
                r#"{"error_type":"rate_limit_exceeded","limit_source":"upstream_provider_shared_pool","provider_name":"Mock","raw":"{\"error\":\"slow down\"}"}"#,
            ),
        ),
        500 => ("Internal Server Error", None),
        502 | 503 => (
            "Provider returned error",
            Some(r#"{"error_type":"provider_unavailable","provider_name":"Mock"}"#),
        ),
        _ => ("The mock was asked for this error.", Some(r#"{"error_type":"unmapped"}"#)),
    };
    let mut response =
        error(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), message, metadata);
    if status == 429 {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    }
    response
}

/// A generation that is running. It is entered into the ledger when it is complete or, failing that, when it is dropped.
pub(crate) struct Open {
    pub(crate) state: Arc<State>,
    pub(crate) generation: Generation,
    /// Completion tokens handed to the connection.
    pub(crate) delivered: i64,
    settled: bool,
}

impl Open {
    /// The answer has gone out to its last byte.
    pub(crate) fn complete(&mut self, body: Option<Sha256>) {
        let tokens = self.generation.completion_tokens(self.generation.reachable_events());
        self.settle(tokens, false, body.map(|hasher| hex(&hasher.finalize())));
    }

    fn settle(&mut self, completion_tokens: i64, cancelled: bool, body_sha256: Option<String>) {
        self.settled = true;
        let generation = &self.generation;
        let bill = generation.bill(completion_tokens);
        let failed = generation.reachable_events() < generation.plan.content_events();
        let charge = Charge {
            id: generation.id.clone(),
            api_key: generation.api_key.clone(),
            user: generation.user.clone(),
            model: generation.model.clone(),
            requested_model: generation.requested_model.clone(),
            provider: generation.price.provider,
            cost: bill.cost,
            cost_text: bill.cost_text,
            upstream_text: bill.upstream_text,
            total: bill.total,
            byok: generation.byok(),
            prompt_tokens: generation.prompt_tokens,
            completion_tokens,
            cached_tokens: generation.cached_tokens,
            reasoning_tokens: generation.reasoning_tokens(completion_tokens),
            streamed: generation.streamed,
            cancelled,
            finish_reason: (!cancelled).then_some(if failed { "error" } else { "stop" }),
            started_unix_ms: generation.started_ms,
            finished_unix_ms: (self.state.settings.now)(),
            body_sha256,
        };
        let delay = generation.plan.generation_delay.unwrap_or(self.state.settings.generation_delay);
        self.state.ledger.push(charge, delay);
    }
}

impl Drop for Open {
    /// The client left or the connection broke. A provider that can abort charges what was delivered; a plain answer, and
    /// a provider that cannot abort, is charged in full.
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let full = self.generation.completion_tokens(self.generation.reachable_events());
        let runs_on = !self.generation.streamed || self.generation.plan.has(Behaviour::NoAbort);
        let tokens = if runs_on { full } else { self.delivered };
        self.settle(tokens, tokens < full, None);
    }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The fields of a request that matter here.
#[derive(Default)]
struct ChatRequest {
    model: String,
    stream: bool,
    user: Option<String>,
}

impl<'de> Deserialize<'de> for ChatRequest {
    /// Of a field that stands there twice the last one counts, as in JavaScript.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = ChatRequest;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object with a model")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ChatRequest, A::Error> {
                let mut request = ChatRequest::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "model" => request.model = map.next_value()?,
                        "stream" => request.stream = map.next_value::<Option<bool>>()?.unwrap_or(false),
                        "user" => request.user = map.next_value()?,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(request)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}
