//! The trace of one charge, as OpenRouter's Broadcast words it.

use crate::ledger::Charge;
use crate::respond::{hex, quote};
use sha2::{Digest, Sha256};

/// The trace: a root span that carries the totals, and the span of a provider's attempt that carries none.
pub(super) fn document(charge: &Charge) -> String {
    let (trace, root) = (digest("", &charge.id, 32), digest("root", &charge.id, 16));
    let times = format!(
        r#""kind":3,"startTimeUnixNano":"{}000000","endTimeUnixNano":"{}000000""#,
        charge.started_unix_ms, charge.finished_unix_ms
    );
    let mut resource = Attributes::default();
    resource.text("service.name", "openrouter");
    resource.text("openrouter.trace.id", &charge.id);
    resource.text("service.version", "1.0.0");
    let mut attempt = Attributes::default();
    attempt.text("span.type", "provider_attempt");
    attempt.text("gen_ai.response.id", &format!("{}:attempt-0", charge.id));
    attempt.text("trace.metadata.openrouter.provider_name", charge.provider);
    attempt.int("http.response.status_code", 200);
    format!(
        concat!(
            r#"{{"resourceSpans":[{{"resource":{{"attributes":[{resource}]}},"scopeSpans":[{{"scope":{{"name":"openrouter"}},"spans":["#,
            r#"{{"traceId":"{trace}","spanId":"{root}","name":"LLM Generation",{times},"status":{status},"attributes":[{totals}]}},"#,
            r#"{{"traceId":"{trace}","spanId":"{child}","parentSpanId":"{root}","name":{name},{times},"status":{{"code":1}},"attributes":[{attempt}]}}"#,
            r#"]}}]}}]}}"#,
        ),
        resource = resource.join(),
        trace = trace,
        root = root,
        times = times,
        status = status(charge),
        totals = totals(charge).join(),
        child = digest("attempt", &charge.id, 16),
        name = quote(&format!("provider attempt 1: {}", charge.provider)),
        attempt = attempt.join(),
    )
}

/// Lower-case hex of that many digits.
fn digest(kind: &str, id: &str, digits: usize) -> String {
    hex(&Sha256::digest(format!("{kind}{id}"))).chars().take(digits).collect()
}

/// The status of the root span.
fn status(charge: &Charge) -> &'static str {
    match charge.finish_reason {
        Some("error") => r#"{"code":2,"message":"Provider returned error"}"#,
        None => r#"{"code":2,"message":"The client has disconnected"}"#,
        Some(_) => r#"{"code":1}"#,
    }
}

/// The attributes of the root span. A span that failed and cost nothing says nothing of its cost.
fn totals(charge: &Charge) -> Attributes {
    let mut span = Attributes::default();
    span.text("span.type", "generation");
    span.text("gen_ai.operation.name", charge.route.operation());
    span.text("gen_ai.request.model", &charge.requested_model);
    span.text("gen_ai.response.model", &charge.model);
    span.text("gen_ai.response.id", &charge.id);
    span.text("gen_ai.provider.name", &charge.provider.to_lowercase());
    span.int("gen_ai.usage.input_tokens", charge.prompt_tokens);
    span.int("gen_ai.usage.output_tokens", charge.completion_tokens);
    span.int("gen_ai.usage.total_tokens", charge.prompt_tokens + charge.completion_tokens);
    span.int("gen_ai.usage.input_tokens.cached", charge.cached_tokens);
    span.int("gen_ai.usage.input_tokens.cache_write", charge.cache_write_tokens);
    span.int("gen_ai.usage.output_tokens.reasoning", charge.reasoning_tokens);
    if charge.finish_reason == Some("stop") || !charge.total.is_zero() {
        span.double("gen_ai.usage.input_cost", "0");
        span.double("gen_ai.usage.output_cost", &charge.cost_text);
        span.double("gen_ai.usage.total_cost", &charge.cost_text);
        span.double("trace.metadata.openrouter_generation.usage", &charge.cost_text);
        if let Some(upstream) = &charge.upstream_text {
            span.double("trace.metadata.openrouter_generation.byok_usage_inference", upstream);
        }
    }
    span.flag("trace.metadata.openrouter_generation.is_byok", charge.byok);
    span.flag("trace.metadata.openrouter_generation.streamed", charge.streamed);
    span.flag("trace.metadata.openrouter_generation.cancelled", charge.cancelled);
    if let Some(reason) = charge.finish_reason {
        span.text("gen_ai.response.finish_reason", reason);
    }
    if let Some(user) = &charge.user {
        span.text("user.id", user);
    }
    span.text("trace.metadata.openrouter.api_key_name", "mock");
    span.text("trace.metadata.openrouter.provider_name", charge.provider);
    span
}

/// Attributes in the encoding of OTLP/JSON.
#[derive(Default)]
struct Attributes(Vec<String>);

impl Attributes {
    fn add(&mut self, key: &str, kind: &str, value: &str) {
        self.0.push(format!(r#"{{"key":"{key}","value":{{"{kind}":{value}}}}}"#));
    }

    fn text(&mut self, key: &str, value: &str) {
        self.add(key, "stringValue", &quote(value));
    }

    /// In turn a number, as OpenRouter sends it, and a string, as the norm has it.
    fn int(&mut self, key: &str, value: i64) {
        let text = value.to_string();
        if self.0.len().is_multiple_of(2) {
            self.add(key, "intValue", &text);
        } else {
            self.add(key, "intValue", &quote(&text));
        }
    }

    /// The text of a number, kept as it is.
    fn double(&mut self, key: &str, number: &str) {
        self.add(key, "doubleValue", number);
    }

    fn flag(&mut self, key: &str, value: bool) {
        self.add(key, "boolValue", if value { "true" } else { "false" });
    }

    fn join(&self) -> String {
        self.0.join(",")
    }
}
