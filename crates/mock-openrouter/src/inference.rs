//! An order of a generation, from the request to the ledger.

use crate::behaviour::Behaviour;
use crate::body::ScriptBody;
use crate::generation::{Generation, Names};
use crate::ledger::Charge;
use crate::models;
use crate::order::Order;
use crate::plan::Plan;
use crate::random::{alphanumeric, mix};
use crate::refusal::{refusal, refuse};
use crate::respond::{Abort, MockBody, MockResponse, hex, whole};
use crate::route::Route;
use crate::script::Script;
use crate::server::State;
use crate::wire;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header, request};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Answers a request of this key.
pub(crate) async fn answer(
    state: &Arc<State>,
    route: Route,
    api_key: &str,
    head: &request::Parts,
    body: &Bytes,
) -> Result<MockResponse, Abort> {
    let bad = |message: &str| Ok(refuse(route, StatusCode::BAD_REQUEST, message, None));
    let order = match Order::new(route, api_key, &head.headers, body) {
        Ok(order) => order,
        Err(problem) => return bad(&format!("Invalid request body: {problem}")),
    };
    let plan = match Plan::new(&order.model, &head.headers) {
        Ok(plan) => plan,
        Err(problem) => return bad(&problem),
    };
    if plan.has(Behaviour::CutBeforeHeaders) {
        return Err(Abort);
    }
    if let Some(status) = plan.status() {
        return Ok(refusal(route, status));
    }
    let Some(price) = models::find(&order.model) else {
        return bad(&format!("{} is not a valid model ID", order.model));
    };
    let started_ms = (state.settings.now)();
    let number = state.counter.fetch_add(1, Ordering::Relaxed);
    let names = names(state, &order, &plan, started_ms, number);
    let seed = plan.seed.unwrap_or_else(|| mix(state.settings.seed, number));
    let generation = Generation::new(names, started_ms, seed, order, price, plan);
    let open = Open { state: Arc::clone(state), generation, delivered: 0, settled: false };
    if let Some(pause) = open.generation.plan.delay_headers() {
        tokio::time::sleep(pause).await;
    }
    Ok(respond(open))
}

/// Names generation `number` of this mock.
fn names(state: &State, order: &Order, plan: &Plan, started_ms: i64, number: u64) -> Names {
    let letters = |length| alphanumeric(state.instance, number, length);
    let own = format!("{}{}-{}", order.route.id_prefix(), started_ms.div_euclid(1000), letters(20));
    let told =
        if plan.has(Behaviour::ReusedId) { state.ledger.reuse_id(&order.api_key, &own) } else { own.clone() };
    let body = match order.route {
        Route::Responses => format!("resp_{}", letters(24)),
        Route::Messages => format!("msg_{}", letters(24)),
        _ => told.clone(),
    };
    Names { own, told, body }
}

/// The headers and the body of an answer.
fn respond(mut open: Open) -> MockResponse {
    let (generation, plan) = (&open.generation, &open.generation.plan);
    let gzip = plan.has(Behaviour::Gzip);
    let hidden = plan.has(Behaviour::NoHeaderId) || plan.has(Behaviour::NoId);
    let id = HeaderValue::from_str(&generation.names.told).ok().filter(|_| !hidden);
    let mut response = if generation.order.streamed {
        let script = Script::stream(generation);
        scripted(ScriptBody::new(open, script), "text/event-stream")
    } else if generation.route() == Route::Speech && !generation.fails_first() {
        let script = Script::sound(generation);
        scripted(ScriptBody::new(open, script), "audio/mpeg")
    } else {
        let (before, after) = wire::plain(generation);
        if plan.scripts_plain() {
            let script = Script::plain(generation, before.into(), after.into());
            scripted(ScriptBody::new(open, script), "application/json")
        } else {
            let body = before + &after;
            let hasher = open.state.settings.keep_bodies.then(|| Sha256::new_with_prefix(&body));
            open.complete(hasher);
            whole(StatusCode::OK, "application/json", body)
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
        let (generation, order) = (&self.generation, &self.generation.order);
        let bill = generation.bill(completion_tokens);
        let charge = Charge {
            id: generation.names.own.clone(),
            told_id: generation.names.told.clone(),
            route: order.route,
            api_key: order.api_key.clone(),
            user: order.user.clone(),
            model: generation.model.clone(),
            requested_model: order.model.clone(),
            provider: generation.price.provider,
            cost: bill.cost,
            cost_text: bill.cost_text,
            upstream_text: bill.upstream_text,
            total: bill.total,
            byok: generation.byok(),
            prompt_tokens: generation.prompt_tokens,
            completion_tokens,
            cached_tokens: generation.cached_tokens,
            cache_write_tokens: generation.cache_write_tokens,
            reasoning_tokens: generation.reasoning_tokens(completion_tokens),
            streamed: order.streamed,
            cancelled,
            finish_reason: (!cancelled).then_some(if generation.fails() { "error" } else { "stop" }),
            started_unix_ms: generation.started_ms,
            finished_unix_ms: (self.state.settings.now)(),
            body_sha256,
        };
        let delay = generation.plan.generation_delay.unwrap_or(self.state.settings.generation_delay);
        let charge = self.state.ledger.push(charge, delay);
        self.state.broadcasts.announce(charge);
    }
}

impl Drop for Open {
    /// The client left or the connection broke. A provider that can abort charges what was delivered; a plain answer and
    /// sound, and a provider that cannot abort, is charged in full.
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let full = self.generation.completion_tokens(self.generation.reachable_events());
        let runs_on = !self.generation.order.streamed || self.generation.plan.has(Behaviour::NoAbort);
        let tokens = if runs_on { full } else { self.delivered };
        self.settle(tokens, tokens < full, None);
    }
}
