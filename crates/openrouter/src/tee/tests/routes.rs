//! What each route's answers look like by OpenRouter's documents, and what is read of them.

use super::*;

const EMBEDDINGS: &str = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,-2e-3]}],"model":"qwen/qwen3-embedding-8b","usage":{"prompt_tokens":6,"total_tokens":6,"cost":1.2e-7},"provider":"DeepInfra","id":"gen-emb-1779328942-abc"}"#;

const RERANK: &str = r#"{"id":"gen-rerank-1234567890-abc","model":"cohere/rerank-v3.5","provider":"Cohere","results":[{"document":{"text":"\"usage\":{\"cost\":9}"},"index":0,"relevance_score":0.98}],"usage":{"search_units":1,"total_tokens":150,"cost":0.002}}"#;

const TRANSCRIPTION: &str = r#"{"text":"Hello","usage":{"seconds":9.2,"input_tokens":83,"output_tokens":30,"total_tokens":113,"cost":0.000508}}"#;

const IMAGES: &str = r#"{"created":1748372400,"data":[{"b64_json":"iVBORw0KGgo=","media_type":"image/png"}],"usage":{"prompt_tokens":12,"completion_tokens":4175,"total_tokens":4187,"cost":0.04,"is_byok":false,"cost_details":{"upstream_inference_cost":null}}}"#;

const RESPONSES: &str = r#"{"id":"resp_abc123","object":"response","created_at":1704067200,"model":"openai/gpt-5-mini","status":"completed","error":null,"output":[{"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"pong","annotations":[]}]}],
 "usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":2},"output_tokens":25,"output_tokens_details":{"reasoning_tokens":3},"total_tokens":35,
 "cost":0.0012,"is_byok":false,"cost_details":{"upstream_inference_cost":null,"upstream_inference_input_cost":0.0008,"upstream_inference_output_cost":0.0004}}}"#;

const MESSAGES: &str = r#"{"id":"msg_01","type":"message","role":"assistant","model":"anthropic/claude-haiku-4.5","provider":"Amazon Bedrock","content":[{"type":"tool_use","id":"toolu_1","name":"f","input":{"usage":{"input_tokens":9,"output_tokens":9,"cost":9}}}],"stop_reason":"end_turn","stop_sequence":null,
 "usage":{"input_tokens":10,"cache_creation_input_tokens":100,"cache_read_input_tokens":1000,"output_tokens":25,"output_tokens_details":{"thinking_tokens":3},"service_tier":"standard","cost":0.0012,"is_byok":false}}"#;

const RESPONSES_STREAM: &str = r#": OPENROUTER PROCESSING

event: response.created
data: {"type":"response.created","sequence_number":0,"response":{"id":"gen-1790000000-abc","object":"response","model":"openai/gpt-5-mini","status":"in_progress","error":null,"output":[],"usage":null}}

event: response.in_progress
data: {"type":"response.in_progress","sequence_number":1,"response":{"id":"gen-1790000000-abc","model":"openai/gpt-5-mini","usage":{"input_tokens":9,"output_tokens":0,"cost":9}}}

event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":2,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"pong"}

event: response.completed
data: {"type":"response.completed","sequence_number":3,"response":{"output":[{"type":"message","content":[{"type":"output_text","text":"pong"}],"usage":{"input_tokens":9,"output_tokens":9,"cost":9}}],"id":"gen-1790000000-abc","model":"openai/gpt-5-mini-2025-08-07","status":"completed","error":null,"usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":2},"output_tokens":25,"output_tokens_details":{"reasoning_tokens":3},"total_tokens":35,"cost":0.0012,"is_byok":false}}}

data: [DONE]

"#;

const MESSAGES_STREAM: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"gen-1790000000-abc","type":"message","role":"assistant","content":[],"model":"anthropic/claude-4.5-haiku-20251001","provider":"Amazon Bedrock","stop_reason":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":100,"cache_read_input_tokens":1000,"output_tokens":1}}}

event: ping
data: {"type":"ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"{\"usage\":{\"cost\":9}}"}}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"input_tokens":null,"output_tokens":25,"cache_creation_input_tokens":null,"cache_read_input_tokens":null,"output_tokens_details":{"thinking_tokens":3},"server_tool_use":null,"cost":0.0012,"is_byok":false}}

event: message_stop
data: {"type":"message_stop"}

"#;

const IMAGES_STREAM: &str = r#"event: image_generation.partial_image
data: {"type":"image_generation.partial_image","b64_json":"iVBORw0KGgo=","partial_image_index":0}

event: image_generation.completed
data: {"type":"image_generation.completed","b64_json":"iVBORw0KGgo=","created":1748372400,"media_type":"image/png","usage":{"prompt_tokens":12,"completion_tokens":4175,"total_tokens":4187,"cost":0.04}}

data: [DONE]

"#;

const TRANSCRIPT_STREAM: &str = r#"data: {"type":"transcript.text.segment","id":"seg_001","text":"Hel","speaker":"A"}

data: {"type":"transcript.text.delta","delta":"lo"}

data: {"type":"transcript.text.done","text":"Hello","usage":{"type":"tokens","input_tokens":83,"output_tokens":30,"total_tokens":113,"cost":0.000508}}

"#;

const ERROR_EVENTS: &str = r#"data: {"type":"error","code":"rate_limit_exceeded","message":"slow down","param":null,"sequence_number":7}

"#;

pub(super) const BODIES: [&str; 6] = [EMBEDDINGS, RERANK, TRANSCRIPTION, IMAGES, RESPONSES, MESSAGES];
pub(super) const STREAMS: [&str; 5] =
    [RESPONSES_STREAM, MESSAGES_STREAM, IMAGES_STREAM, TRANSCRIPT_STREAM, ERROR_EVENTS];

/// Every sample of a plain answer with its route.
pub(super) const PLAIN: [(Route, &str); 6] = [
    (Route::Embeddings, EMBEDDINGS),
    (Route::Rerank, RERANK),
    (Route::Transcriptions, TRANSCRIPTION),
    (Route::Images, IMAGES),
    (Route::Responses, RESPONSES),
    (Route::Messages, MESSAGES),
];

/// Every sample of a streamed answer with its route.
pub(super) const STREAMED: [(Route, &str); 4] = [
    (Route::Responses, RESPONSES_STREAM),
    (Route::Messages, MESSAGES_STREAM),
    (Route::Images, IMAGES_STREAM),
    (Route::Transcriptions, TRANSCRIPT_STREAM),
];

fn stream_of(route: Route, text: &str) -> Observation {
    stream_pieces_of(route, [text.as_bytes()])
}

fn body_of(route: Route, text: &str) -> Observation {
    body_pieces_of(route, [text.as_bytes()])
}

fn with_parts(usage: Usage, [cached, cache_write, reasoning]: [i64; 3]) -> UsageReport {
    UsageReport::Exact(Usage {
        cached_tokens: Some(cached),
        cache_write_tokens: Some(cache_write),
        reasoning_tokens: Some(reasoning),
        ..usage
    })
}

fn complete(
    id: Option<&str>,
    model: Option<&str>,
    provider: Option<&str>,
    usage: UsageReport,
) -> Observation {
    Observation {
        generation_id: id.map(str::to_owned),
        model: model.map(str::to_owned),
        provider: provider.map(str::to_owned),
        usage,
        error: false,
        stream_error: StreamError::None,
        complete: true,
    }
}

#[test]
fn reads_plain_answers() {
    let exact = |input, output, nanos, text| UsageReport::Exact(usage(input, output, nanos, text));
    let expected = [
        complete(
            Some("gen-emb-1779328942-abc"),
            Some("qwen/qwen3-embedding-8b"),
            Some("DeepInfra"),
            exact(6, 0, 120, "1.2e-7"),
        ),
        complete(
            Some("gen-rerank-1234567890-abc"),
            Some("cohere/rerank-v3.5"),
            Some("Cohere"),
            exact(150, 0, 2_000_000, "0.002"),
        ),
        complete(None, None, None, exact(83, 30, 508_000, "0.000508")),
        complete(None, None, None, exact(12, 4175, 40_000_000, "0.04")),
        complete(
            None,
            Some("openai/gpt-5-mini"),
            None,
            with_parts(usage(10, 25, 1_200_000, "0.0012"), [4, 2, 3]),
        ),
        complete(
            None,
            Some("anthropic/claude-haiku-4.5"),
            Some("Amazon Bedrock"),
            with_parts(usage(1110, 25, 1_200_000, "0.0012"), [1000, 100, 3]),
        ),
    ];
    for ((route, sample), expected) in PLAIN.into_iter().zip(expected) {
        assert_eq!(body_of(route, sample), expected, "{route:?}");
    }
    assert_eq!(body_of(Route::Completions, BODY), body(BODY));
}

#[test]
fn reads_streamed_answers() {
    let exact = |input, output, nanos, text| UsageReport::Exact(usage(input, output, nanos, text));
    let id = Some("gen-1790000000-abc");
    let expected = [
        complete(
            id,
            Some("openai/gpt-5-mini-2025-08-07"),
            None,
            with_parts(usage(10, 25, 1_200_000, "0.0012"), [4, 2, 3]),
        ),
        complete(
            id,
            Some("anthropic/claude-4.5-haiku-20251001"),
            Some("Amazon Bedrock"),
            with_parts(usage(1110, 25, 1_200_000, "0.0012"), [1000, 100, 3]),
        ),
        complete(None, None, None, exact(12, 4175, 40_000_000, "0.04")),
        complete(None, None, None, exact(83, 30, 508_000, "0.000508")),
    ];
    for ((route, sample), expected) in STREAMED.into_iter().zip(expected) {
        assert_eq!(stream_of(route, sample), expected, "{route:?}");
    }
    assert_eq!(stream_of(Route::Completions, STREAM), stream(STREAM));
}

#[test]
fn every_cut_of_every_route_gives_the_same() {
    for (route, sample) in STREAMED {
        let whole = stream_of(route, sample);
        for at in 0..=sample.len() {
            let (left, right) = sample.as_bytes().split_at(at);
            assert_eq!(stream_pieces_of(route, [left, right]), whole, "{route:?} {at}");
        }
        assert_eq!(stream_pieces_of(route, sample.as_bytes().chunks(1)), whole);
    }
    for (route, sample) in PLAIN {
        let whole = body_of(route, sample);
        for at in 0..=sample.len() {
            let (left, right) = sample.as_bytes().split_at(at);
            assert_eq!(body_pieces_of(route, [left, right]), whole, "{route:?} {at}");
        }
    }
}

#[test]
fn the_last_event_ends_the_answer_and_nothing_before_it_does() {
    for (route, ending) in [
        (Route::Responses, "data: {\"type\":\"response.completed\""),
        (Route::Messages, "data: {\"type\":\"message_stop\""),
        (Route::Images, "data: [DONE]"),
        (Route::Transcriptions, "data: {\"type\":\"transcript.text.done\""),
    ] {
        let (_, sample) = STREAMED.into_iter().find(|(of, _)| *of == route).unwrap();
        let at = sample.find(ending).unwrap();
        let end = at + sample[at..].find('\n').unwrap();
        let mut tee = StreamTee::new(route);
        assert!(!tee.feed(&sample.as_bytes()[..end]).done, "{route:?}");
        assert!(tee.feed(b"\n").done, "{route:?}");
        assert_eq!(tee.feed(b"\ndata: {\"type\":\"error\"}\n\n"), TeeProgress::default());
        assert_eq!(tee.finish(), stream_of(route, sample));
        let cut = stream_of(route, &sample[..at]);
        assert!(!cut.complete, "{route:?}");
    }
}

#[test]
fn all_endings_of_a_response_count() {
    let usage = r#""usage":{"input_tokens":1,"output_tokens":1,"cost":1}"#;
    for (kind, error) in [("completed", false), ("incomplete", false), ("failed", true), ("done", false)] {
        let seen = stream_of(
            Route::Responses,
            &format!("data: {{\"type\":\"response.{kind}\",\"response\":{{{usage}}}}}\n"),
        );
        assert_eq!(
            (seen.complete, seen.error, cost_nanos(&seen)),
            (true, error, Some(1_000_000_000)),
            "{kind}"
        );
    }
    let failed = stream_of(
        Route::Responses,
        "data: {\"response\":{\"usage\":null,\"error\":{\"code\":\"server_error\"}},\"type\":\"response.failed\"}\n",
    );
    assert_eq!((failed.complete, failed.error, failed.usage), (true, true, UsageReport::Absent));
    for kind in ["response.cancelled", "response.output_text.done", "message_stop", "transcript.text.done"] {
        let seen =
            stream_of(Route::Responses, &format!("data: {{\"type\":\"{kind}\",\"response\":{{{usage}}}}}\n"));
        assert_eq!((seen.complete, seen.usage), (false, UsageReport::Absent), "{kind}");
    }
    let seen = stream_of(Route::ChatCompletions, "data: {\"type\":\"message_stop\"}\n");
    assert!(!seen.complete);
    assert!(Route::ALL.iter().all(|route| stream_of(*route, "data: [DONE]\n").complete));
}

#[test]
fn an_error_as_the_only_event_is_an_error_on_every_route() {
    for route in Route::ALL {
        for sample in [
            ERROR_EVENTS,
            "data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
            "data: {\"error\":{\"code\":429}}\n\n",
            "event: error\ndata: {}\n\n",
        ] {
            let seen = stream_of(route, sample);
            assert_eq!(seen, Observation { error: true, ..Observation::default() }, "{route:?} {sample}");
        }
        let seen = body_of(route, r#"{"type":"error","error":{"type":"api_error","message":"x"}}"#);
        assert_eq!(seen, Observation { error: true, complete: true, ..Observation::default() }, "{route:?}");
    }
}

#[test]
fn a_message_that_has_only_begun_has_no_usage() {
    let start =
        r#"{"type":"message_start","message":{"usage":{"input_tokens":1,"output_tokens":1,"cost":1}}}"#;
    let seen = stream_of(Route::Messages, &format!("data: {start}\n\n"));
    assert_eq!(seen, Observation::default());
    let delta = r#"{"type":"message_delta","usage":{"output_tokens":7,"cost":null}}"#;
    let seen = stream_of(Route::Messages, &format!("data: {start}\n\ndata: {delta}\n\n"));
    assert_eq!(seen.usage, UsageReport::Exact(usage(1, 7, 1_000_000_000, "1")));
}

#[test]
fn deltas_of_a_message_are_cumulative() {
    let event = |usage: &str| format!("data: {{\"type\":\"message_delta\",\"usage\":{usage}}}\n\n");
    for (usages, expected) in [
        (vec![r#"{"output_tokens":5,"cost":1}"#, r#"{"output_tokens":9,"cost":2}"#], Ok((9, 2))),
        (
            vec![r#"{"output_tokens":5,"cost":2}"#, r#"{"output_tokens":null,"cost":null}"#, "null"],
            Ok((5, 2)),
        ),
        (vec![r#"{"output_tokens":5}"#], Err(UsageGap::CostUnknown)),
        (vec![r#"{"cost":2}"#], Err(UsageGap::TokensUnknown)),
        (vec![r#"{"output_tokens":5,"cost":2}"#, r#"{"output_tokens":-9}"#], Err(UsageGap::TokensInvalid)),
        (vec!["7", r#"{"output_tokens":5,"cost":2}"#], Err(UsageGap::Malformed)),
    ] {
        let start = "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3}}}\n\n";
        let text = usages.iter().fold(start.to_owned(), |text, usage| text + &event(usage));
        let seen = stream_of(Route::Messages, &text);
        match expected {
            Ok((output, dollars)) => {
                let read = seen.usage.exact().map(|usage| (usage.input_tokens, usage.output_tokens));
                assert_eq!((read, cost_nanos(&seen)), (Some((3, output)), Some(dollars * 1_000_000_000)));
            }
            Err(why) => assert_eq!(seen.usage, UsageReport::Incomplete { why }, "{usages:?}"),
        }
    }
    let long = event(&format!("{{\"iterations\":\"{}\"}}", "x".repeat(20_000)));
    let seen = stream_of(Route::Messages, &long);
    assert_eq!(seen.usage, UsageReport::Incomplete { why: UsageGap::TooLong });
}

#[test]
fn speech_says_nothing_about_itself() {
    for sample in BODIES {
        let seen = body_of(Route::Speech, sample);
        assert_eq!(seen, Observation { complete: true, ..Observation::default() });
    }
    for sample in [STREAM, RESPONSES_STREAM, MESSAGES_STREAM] {
        let seen = stream_of(Route::Speech, sample);
        assert_eq!(Observation { complete: false, ..seen }, Observation::default());
    }
}
