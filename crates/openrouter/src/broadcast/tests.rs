use super::*;
use crate::usage::Usage;
use mai_primitives::Usd;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A delivery in the form of OpenRouter's: the root span of a generation, and two children.
const DELIVERY: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"openrouter"}},{"key":"openrouter.trace.id","value":{"stringValue":"gen-1790"}}]},
"scopeSpans":[{"scope":{"name":"openrouter"},"spans":[
{"traceId":"0123456789abcdef0123456789abcdef","spanId":"0123456789abcdef","name":"LLM Generation","kind":3,"startTimeUnixNano":"1790000000999999999","endTimeUnixNano":"1790000002000000000","status":{"code":1},
"attributes":[
 {"key":"span.type","value":{"stringValue":"generation"}},{"key":"gen_ai.operation.name","value":{"stringValue":"chat"}},
 {"key":"gen_ai.prompt","value":{"stringValue":"{\"key\":\"gen_ai.usage.total_cost\",\"value\":{\"doubleValue\":9}}"}},
 {"key":"gen_ai.request.model","value":{"stringValue":"anthropic/claude-haiku-4.5"}},{"key":"gen_ai.response.model","value":{"stringValue":"anthropic/claude-4.5-haiku-20251001"}},
 {"key":"gen_ai.response.id","value":{"stringValue":"gen-1790"}},{"key":"gen_ai.provider.name","value":{"stringValue":"anthropic"}},
 {"key":"gen_ai.usage.input_tokens","value":{"intValue":13}},{"key":"gen_ai.usage.output_tokens","value":{"intValue":"7"}},{"key":"gen_ai.usage.total_tokens","value":{"intValue":20}},
 {"key":"gen_ai.usage.input_cost","value":{"doubleValue":0.0000043}},{"key":"gen_ai.usage.output_cost","value":{"doubleValue":0.00000705}},{"key":"gen_ai.usage.total_cost","value":{"doubleValue":0.00001135}},
 {"key":"gen_ai.usage.input_tokens.cached","value":{"intValue":4}},{"key":"gen_ai.usage.input_tokens.cache_write","value":{"intValue":2}},{"key":"gen_ai.usage.output_tokens.reasoning","value":{"intValue":3}},
 {"key":"user.id","value":{"stringValue":"org_user_1"}},{"key":"session.id","value":{"stringValue":"sess-1"}},
 {"key":"trace.metadata.openrouter.provider_name","value":{"stringValue":"Amazon Bedrock"}},
 {"key":"trace.metadata.openrouter_generation.streamed","value":{"boolValue":true}},{"key":"trace.metadata.openrouter_generation.cancelled","value":{"boolValue":false}},
 {"key":"trace.metadata.openrouter_generation.is_byok","value":{"boolValue":false}},{"key":"trace.metadata.openrouter_generation.byok_usage_inference","value":{"doubleValue":0}},
 {"key":"trace.metadata.tags","value":{"arrayValue":{"values":[{"stringValue":"a"}]}}}]},
{"name":"generation","parentSpanId":"0123456789abcdef","attributes":[{"key":"gen_ai.response.id","value":{"stringValue":"gen-1790"}},{"key":"gen_ai.usage.input_tokens","value":{"intValue":13}}]},
{"name":"provider attempt 1: Amazon Bedrock","parentSpanId":"0123456789abcdef","attributes":[{"key":"gen_ai.response.id","value":{"stringValue":"gen-1790:attempt-0"}}]}
]}]}]}"#;

const PROBE: &str = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"00000000000000000000000000000001","spanId":"0000000000000001","name":"openrouter-connection-test","kind":1,"startTimeUnixNano":"1790000000000000000","endTimeUnixNano":"1790000000000000000"}]}]}]}"#;

/// A delivery of these spans.
fn delivery(spans: &[Value]) -> String {
    json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).to_string()
}

fn attribute(key: &str, value: &Value) -> Value {
    json!({"key": key, "value": value})
}

/// A span named as a root, with these attributes.
fn root(attributes: &[(&str, Value)]) -> Value {
    let attributes: Vec<Value> = attributes.iter().map(|(key, value)| attribute(key, value)).collect();
    json!({"name": "LLM Generation", "attributes": attributes})
}

fn parse(body: &str) -> Vec<BroadcastSpan> {
    parse_broadcast(body.as_bytes()).unwrap()
}

/// What the only root span of a delivery says.
fn single(span: Value) -> BroadcastSpan {
    let mut spans = parse(&delivery(&[span]));
    assert_eq!(spans.len(), 1);
    spans.remove(0)
}

/// The usage of a root span whose total cost has this raw value, with 13 tokens in and 7 out.
fn usage_with_cost(value: &str) -> UsageReport {
    let body = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"LLM Generation","attributes":[
        {"key":"gen_ai.usage.input_tokens","value":{"intValue":13}},{"key":"gen_ai.usage.output_tokens","value":{"intValue":7}},
        {"key":"gen_ai.usage.total_cost","value":VALUE}]}]}]}]}"#;
    parse(&body.replace("VALUE", value)).remove(0).usage
}

const COST: &str = "gen_ai.usage.total_cost";
const IS_BYOK: &str = "trace.metadata.openrouter_generation.is_byok";
const BYOK_COST: &str = "trace.metadata.openrouter_generation.byok_usage_inference";

#[test]
fn reads_a_delivery() {
    let expected = BroadcastSpan {
        generation_id: Some("gen-1790".to_owned()),
        model: Some("anthropic/claude-4.5-haiku-20251001".to_owned()),
        requested_model: Some("anthropic/claude-haiku-4.5".to_owned()),
        serving_provider: Some("Amazon Bedrock".to_owned()),
        user: Some("org_user_1".to_owned()),
        started_at: Some(UnixTime::from_seconds(1_790_000_000)),
        usage: UsageReport::Exact(Usage {
            input_tokens: 13,
            output_tokens: 7,
            cached_tokens: Some(4),
            cache_write_tokens: Some(2),
            reasoning_tokens: Some(3),
            cost: Usd::from_nanos(11_350),
            cost_text: "0.00001135".to_owned(),
            is_byok: false,
        }),
        failed: false,
        streamed: Some(true),
        cancelled: Some(false),
    };
    assert_eq!(parse(DELIVERY), [expected]);
}

#[test]
fn the_probe_has_no_spans() {
    assert_eq!(parse(PROBE), []);
}

#[test]
fn only_roots_count() {
    let cost = [
        attribute(COST, &json!({"doubleValue": 1})),
        attribute("gen_ai.response.id", &json!({"stringValue": "gen-1"})),
    ];
    let attempt =
        [cost[0].clone(), attribute("gen_ai.response.id", &json!({"stringValue": "gen-1:attempt-0"}))];
    for (span, counts) in [
        (json!({"name": "LLM Generation"}), true),
        (json!({"name": "LLM Generation", "parentSpanId": ""}), true),
        (json!({"name": "LLM Generation", "parentSpanId": "0123456789abcdef"}), false),
        (json!({"name": "my own name", "attributes": cost}), true),
        (json!({"attributes": cost}), true),
        (json!({"name": "my own name", "attributes": cost, "parentSpanId": "0123456789abcdef"}), true),
        (json!({"name": "my own name"}), false),
        (json!({"name": "my own name", "attributes": [attribute(COST, &json!({}))]}), false),
        (json!({"name": "generation", "attributes": cost}), false),
        (json!({"name": "provider attempt 2: Azure", "attributes": cost}), false),
        (json!({"name": "LLM Generation", "attributes": attempt}), false),
        (json!({}), false),
    ] {
        assert_eq!(parse(&delivery(std::slice::from_ref(&span))).len(), usize::from(counts), "{span}");
    }
}

#[test]
fn an_absent_cost_is_never_zero() {
    let failed = json!({"name": "LLM Generation", "status": {"code": 2, "message": "The client has disconnected"},
        "attributes": [attribute("gen_ai.usage.input_tokens", &json!({"intValue": 13}))]});
    let span = single(failed);
    assert_eq!((span.usage, span.failed, span.started_at), (UsageReport::Absent, true, None));
    for value in ["{}", "null", r#"{"doubleValue":null}"#, r#"{"boolValue":true}"#, r#"{"arrayValue":{}}"#] {
        assert_eq!(usage_with_cost(value), UsageReport::Absent, "{value}");
    }
    assert_eq!(usage_with_cost(r#"{"intValue":0}"#).exact().unwrap().cost, Usd::ZERO);
}

#[test]
fn costs_are_read_from_their_text() {
    for (value, nanos) in [
        (r#"{"doubleValue":1.135e-05}"#, 11_350),
        (r#"{"doubleValue":"0.0013162506673300167"}"#, 1_316_251),
        (r#"{"intValue":"2"}"#, 2_000_000_000),
        (r#"{"stringValue":"1e-7"}"#, 100),
    ] {
        assert_eq!(usage_with_cost(value).exact().unwrap().cost.nanos(), nanos, "{value}");
    }
    for (value, why) in [
        (r#"{"doubleValue":-1e-30}"#, UsageGap::CostNegative),
        (r#"{"doubleValue":1e300}"#, UsageGap::CostOutOfRange),
        (r#"{"doubleValue":"NaN"}"#, UsageGap::CostInvalid),
        (r#"{"doubleValue":[1]}"#, UsageGap::CostInvalid),
    ] {
        assert_eq!(usage_with_cost(value), UsageReport::Incomplete { why }, "{value}");
    }
}

#[test]
fn token_counts_must_be_known() {
    let usage = |input: Value| {
        let output = ("gen_ai.usage.output_tokens", json!({"intValue": 7}));
        single(root(&[("gen_ai.usage.input_tokens", input), output, (COST, json!({"doubleValue": 1}))])).usage
    };
    for (input, why) in [
        (json!({}), UsageGap::TokensUnknown),
        (json!({"intValue": -1}), UsageGap::TokensInvalid),
        (json!({"intValue": "+1"}), UsageGap::TokensInvalid),
        (json!({"doubleValue": 1.5}), UsageGap::TokensInvalid),
        (json!({"stringValue": "many"}), UsageGap::TokensInvalid),
        (json!({"intValue": "x".repeat(1000)}), UsageGap::TokensInvalid),
    ] {
        assert_eq!(usage(input.clone()), UsageReport::Incomplete { why }, "{input}");
    }
    assert_eq!(usage(json!({"doubleValue": 13})).exact().unwrap().input_tokens, 13);
}

#[test]
fn byok_adds_the_providers_charge() {
    let usage = |extra: &[(&str, Value)]| {
        let mut attributes = vec![
            ("gen_ai.usage.input_tokens", json!({"intValue": 13})),
            ("gen_ai.usage.output_tokens", json!({"intValue": 7})),
            (COST, json!({"doubleValue": 0.001})),
        ];
        attributes.extend_from_slice(extra);
        single(root(&attributes)).usage
    };
    let charge = (BYOK_COST, json!({"doubleValue": 0.21976}));
    let byok = usage(&[(IS_BYOK, json!({"boolValue": true})), charge.clone()]);
    let byok = byok.exact().unwrap();
    assert_eq!(
        (byok.cost.nanos(), byok.cost_text.as_str(), byok.is_byok),
        (220_760_000, "0.001+0.21976", true)
    );
    assert_eq!(usage(std::slice::from_ref(&charge)).exact().unwrap().cost_text, "0.001");
    assert_eq!(
        usage(&[(IS_BYOK, json!({"boolValue": true}))]),
        UsageReport::Incomplete { why: UsageGap::UpstreamCostUnknown }
    );
}

#[test]
fn what_is_no_name_is_absent() {
    for value in [
        json!({}),
        json!({"stringValue": ""}),
        json!({"stringValue": "a\u{0}"}),
        json!({"stringValue": "x".repeat(513)}),
        json!({"stringValue": 12}),
        json!({"intValue": 12}),
    ] {
        let names = [
            "gen_ai.response.id",
            "gen_ai.response.model",
            "gen_ai.request.model",
            "user.id",
            "trace.metadata.openrouter.provider_name",
        ];
        let span = single(root(&names.map(|name| (name, value.clone()))));
        let found = [span.generation_id, span.model, span.requested_model, span.user, span.serving_provider];
        assert_eq!(found, [None, None, None, None, None], "{value}");
    }
}

#[test]
fn times_and_codes_come_in_two_forms() {
    for (time, seconds) in [
        (json!("1790000000999999999"), Some(1_790_000_000)),
        (json!(1_790_000_000_000_000_000_u64), Some(1_790_000_000)),
        (json!("0"), Some(0)),
        (json!("soon"), None),
        (json!(-1), None),
        (Value::Null, None),
    ] {
        let span = single(json!({"name": "LLM Generation", "startTimeUnixNano": time}));
        assert_eq!(span.started_at, seconds.map(UnixTime::from_seconds), "{time}");
    }
    for (code, failed) in [
        (json!(2), true),
        (json!("STATUS_CODE_ERROR"), true),
        (json!(1), false),
        (json!(0), false),
        (Value::Null, false),
    ] {
        assert_eq!(
            single(json!({"name": "LLM Generation", "status": {"code": code}})).failed,
            failed,
            "{code}"
        );
    }
    assert!(!single(json!({"name": "LLM Generation", "status": null})).failed);
}

#[test]
fn several_spans_come_in_their_order() {
    let span = |id: &str| root(&[("gen_ai.response.id", json!({"stringValue": id}))]);
    let group = |id: &str| json!({"scopeSpans": [{"spans": [span(id)]}, {"spans": null}, {}]});
    let body = json!({"resourceSpans": [group("a"), group("b"), {"scopeSpans": []}]}).to_string();
    let ids: Vec<_> = parse(&body).into_iter().filter_map(|span| span.generation_id).collect();
    assert_eq!(ids, ["a", "b"]);
    for body in
        ["{}", r#"{"resourceSpans":null}"#, r#"{"resourceSpans":[]}"#, r#"{"resourceSpans":[{}],"x":1}"#]
    {
        assert_eq!(parse(body), []);
    }
}

#[test]
fn what_is_no_trace_is_refused_without_quoting_it() {
    for (body, name) in [
        ("", "resourceSpans"),
        ("[]", "resourceSpans"),
        ("\"secret\"", "resourceSpans"),
        (r#"{"resourceSpans":"secret"}"#, "resourceSpans"),
        (r#"{"resourceSpans":[]} {}"#, "resourceSpans"),
        (r#"{"resourceSpans":["secret"]}"#, "scopeSpans"),
        (r#"{"resourceSpans":[{"scopeSpans":[7]}]}"#, "spans"),
        (r#"{"resourceSpans":[{"scopeSpans":[{"spans":["secret"]}]}]}"#, "spans"),
        (r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":7}]}]}]}"#, "spans"),
        (r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":"secret"}]}]}]}"#, "attributes"),
        (
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[{"value":"secret"},{"key":"a"}]}]}]}]}"#,
            "attributes",
        ),
    ] {
        let error = parse_broadcast(body.as_bytes()).unwrap_err();
        assert_eq!(error, BroadcastError::Malformed(name), "{body}");
        assert!(!error.to_string().contains("secret"));
    }
}

#[test]
fn spans_are_limited_wherever_they_stand() {
    let spans = |count: usize| vec!["{}"; count].join(",");
    let scopes = |counts: &[usize]| {
        let scopes: Vec<String> =
            counts.iter().map(|count| format!(r#"{{"spans":[{}]}}"#, spans(*count))).collect();
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{}]}}]}}"#, scopes.join(","))
    };
    assert_eq!(parse(&scopes(&[MAX_SPANS])), []);
    for counts in [vec![MAX_SPANS + 1], vec![MAX_SPANS / 2; 3]] {
        assert_eq!(parse_broadcast(scopes(&counts).as_bytes()), Err(BroadcastError::TooManySpans));
    }
}

proptest! {
    #[test]
    fn cut_and_mutated_deliveries_do_no_harm(
        edits in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"\"\\{}[],:0-a\x00\xff".as_slice())), 0..5),
        end in any::<prop::sample::Index>(),
    ) {
        let mut body = DELIVERY.as_bytes().to_vec();
        for (at, byte) in edits {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let _ = parse_broadcast(&body[..end.index(body.len() + 1)]);
        if let Ok(spans) = parse_broadcast(&body) {
            for usage in spans.iter().filter_map(|span| span.usage.exact()) {
                prop_assert!(usage.cost >= Usd::ZERO && usage.input_tokens >= 0 && usage.output_tokens >= 0);
            }
        }
    }
}
