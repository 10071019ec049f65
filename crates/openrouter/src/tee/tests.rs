use super::samples::{BODIES, BODY, BYOK_BODY, ERROR_BODY, ERROR_STREAM, OPENAI_STREAM, STREAM, STREAMS};
use super::*;
use crate::usage::Usage;
use mai_primitives::Usd;
use proptest::prelude::*;

mod errors;
mod hostile;
mod memory;
mod routes;

const CHAT: Route = Route::ChatCompletions;

fn stream_pieces_of<'a>(route: Route, pieces: impl IntoIterator<Item = &'a [u8]>) -> Observation {
    let mut tee = StreamTee::new(route);
    for piece in pieces {
        tee.feed(piece);
    }
    tee.finish()
}

fn stream_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Observation {
    stream_pieces_of(CHAT, pieces)
}

fn stream(text: &str) -> Observation {
    stream_pieces([text.as_bytes()])
}

fn body_pieces_of<'a>(route: Route, pieces: impl IntoIterator<Item = &'a [u8]>) -> Observation {
    let mut tee = BodyTee::new(route);
    for piece in pieces {
        tee.feed(piece);
    }
    tee.finish()
}

fn body_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Observation {
    body_pieces_of(CHAT, pieces)
}

fn body(text: &str) -> Observation {
    body_pieces([text.as_bytes()])
}

fn usage(input_tokens: i64, output_tokens: i64, nanos: i64, cost_text: &str) -> Usage {
    Usage {
        input_tokens,
        output_tokens,
        cached_tokens: None,
        cache_write_tokens: None,
        reasoning_tokens: None,
        cost: Usd::from_nanos(nanos),
        cost_text: cost_text.to_owned(),
        is_byok: false,
    }
}

fn with_zero_details(usage: Usage) -> UsageReport {
    let zero = Some(0);
    UsageReport::Exact(Usage {
        cached_tokens: zero,
        cache_write_tokens: zero,
        reasoning_tokens: zero,
        ..usage
    })
}

fn observation(id: &str, model: &str, provider: Option<&str>, usage: UsageReport) -> Observation {
    Observation {
        generation_id: Some(id.to_owned()),
        model: Some(model.to_owned()),
        provider: provider.map(str::to_owned),
        usage,
        error: false,
        stream_error: StreamError::None,
        complete: true,
    }
}

/// One event with the usage of 1 + 1 tokens at this cost.
fn usage_event(cost: &str) -> String {
    format!(
        "data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":1,\"completion_tokens\":1,\"cost\":{cost}}}}}\n\n"
    )
}

fn cost_nanos(observation: &Observation) -> Option<i64> {
    observation.usage.exact().map(|usage| usage.cost.nanos())
}

#[test]
fn reads_the_samples() {
    let id = "gen-1786988078-NGfmEgJ5Z2MYGfqmExLw";
    let expected = with_zero_details(usage(20, 2, 4000, "0.000004"));
    assert_eq!(stream(STREAM), observation(id, "qwen/qwen3-coder-next", Some("Parasail"), expected));
    let expected = UsageReport::Exact(usage(9, 1, 5792, "5.7915e-06"));
    assert_eq!(stream(OPENAI_STREAM), observation("chatcmpl-123", "gpt-4o", None, expected));
    let expected = with_zero_details(usage(194, 2, 5792, "0.0000057915"));
    assert_eq!(body(BODY), observation(id, "openai/gpt-5-mini", Some("OpenAI"), expected));
    let expected =
        UsageReport::Exact(Usage { is_byok: true, ..usage(10_253, 12_600, 219_760_000, "0+0.21976") });
    assert_eq!(
        body(BYOK_BODY),
        observation("gen-byok", "anthropic/claude-sonnet-4", Some("Anthropic"), expected)
    );
}

#[test]
fn reads_errors() {
    let expected = observation("gen-abc123", "openai/gpt-4o", Some("OpenAI"), UsageReport::Absent);
    assert_eq!(stream(ERROR_STREAM), Observation { error: true, complete: false, ..expected });
    assert_eq!(body(ERROR_BODY), Observation { error: true, complete: true, ..Observation::default() });
    let long = format!("{{\"error\":{{\"raw\":\"{}\"}}}}", "x".repeat(10_000));
    assert!(body(&long).error);
    assert!(!body(r#"{"error":null,"choices":[{"error":{"code":1}}]}"#).error);
    assert!(stream("event: error\ndata: {\"message\":\"x\"}\n\n").error);
    assert!(!stream("event: errors\ndata: {\"event\":\"error\"}\n\n").error);
}

#[test]
fn tells_what_each_chunk_brought() {
    let nothing = TeeProgress::default();
    let mut tee = StreamTee::new(CHAT);
    assert_eq!(tee.feed(b": OPENROUTER PROCESSING\n\ndata: {\"id\":\"gen-1\""), nothing);
    assert_eq!(tee.generation_id(), None);
    assert_eq!(
        tee.feed(b",\"model\":\"m\",\"provider\":\"P\"}\n"),
        TeeProgress { first_id: true, ..nothing }
    );
    assert_eq!(tee.generation_id(), Some("gen-1"));
    assert_eq!(tee.feed(b"\ndata: {\"id\":\"gen-2\"}\n\n"), nothing);
    assert_eq!(tee.generation_id(), Some("gen-1"));
    assert_eq!(tee.feed(usage_event("1").as_bytes()), TeeProgress { usage: true, ..nothing });
    assert_eq!(tee.feed(b"data: [DONE]"), nothing);
    assert_eq!(tee.feed(b"\n"), TeeProgress { done: true, ..nothing });
    assert_eq!(tee.feed(usage_event("2").as_bytes()), nothing);
    let seen = tee.finish();
    assert_eq!(cost_nanos(&seen), Some(1_000_000_000));
    assert_eq!((seen.model.as_deref(), seen.provider.as_deref(), seen.error), (Some("m"), Some("P"), false));

    let mut tee = BodyTee::new(CHAT);
    assert_eq!(tee.feed(b"{\"id\":\"gen-1"), nothing);
    assert_eq!(tee.generation_id(), None);
    assert_eq!(tee.feed(b"\","), TeeProgress { first_id: true, ..nothing });
    assert_eq!(tee.generation_id(), Some("gen-1"));
    assert_eq!(tee.feed(b"\"model\":\"m\",\"provider\":\"P\",\"error\":1,\"usage\":{}"), nothing);
    assert_eq!(tee.feed(b"}"), TeeProgress { usage: true, done: true, ..nothing });
    assert_eq!(tee.feed(b"\n"), nothing);
    let seen = tee.finish();
    assert_eq!((seen.model.as_deref(), seen.provider.as_deref(), seen.error), (Some("m"), Some("P"), true));
    assert_eq!(seen.usage, UsageReport::Incomplete { why: UsageGap::CostUnknown });
}

#[test]
fn done_counts_at_the_end_of_its_line_and_nowhere_else() {
    for text in [
        "data: [DONE]\n",
        "data:[DONE]\r",
        "data: [DONE]",
        "data: x\ndata: [DONE] \n",
        "data: {\"a\":1}\ndata: [DONE]\n",
    ] {
        assert!(stream(text).complete, "{text:?}");
    }
    for text in [
        "data: {\"a\":\"[DONE]\"}\n\n",
        "data: [DON\ndata: E]\n\n",
        "data: [done]\n\n",
        ": [DONE]\n\n",
        "[DONE]\n\n",
        "data: [DO",
    ] {
        assert!(!stream(text).complete, "{text:?}");
    }
}

#[test]
fn usage_counts_wherever_it_stands_and_the_last_one_wins() {
    let (one, two) = (usage_event("1"), usage_event("2"));
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}],\"usage\":null}\n\n";
    for (stream_text, nanos) in [
        (format!("{text}{one}{text}data: [DONE]\n\n"), 1_000_000_000),
        (format!("{one}{two}"), 2_000_000_000),
        (format!("{two}{text}{one}{text}"), 1_000_000_000),
        (one.replace("[]", r#"[{"index":0,"delta":{},"finish_reason":"stop"}]"#), 1_000_000_000),
        (one.replace("\n\n", ""), 1_000_000_000),
        (one.replace(",\"usage\"", ",\ndata: \"usage\""), 1_000_000_000),
    ] {
        assert_eq!(cost_nanos(&stream(&stream_text)), Some(nanos), "{stream_text}");
    }
    // A later report that is not exact makes the earlier one doubtful.
    let long = format!("data: {{\"usage\":{{\"x\":\"{}\"}}}}\n\n", "x".repeat(20_000));
    assert_eq!(stream(&format!("{one}{long}")).usage, UsageReport::Incomplete { why: UsageGap::TooLong });
    assert_eq!(
        stream(&format!("{one}{}", usage_event("null"))).usage,
        UsageReport::Incomplete { why: UsageGap::CostUnknown }
    );
}

#[test]
fn data_lines_are_joined_with_a_line_feed() {
    assert_eq!(
        stream(&usage_event("1\ndata: 2")).usage,
        UsageReport::Incomplete { why: UsageGap::Malformed }
    );
}

#[test]
fn what_follows_done_is_not_read() {
    let text = format!("data: [DONE]\n\n{}event: error\ndata: {{\"id\":\"x\"}}\n\n", usage_event("1"));
    assert_eq!(stream(&text), Observation { complete: true, ..Observation::default() });
}

#[test]
fn of_a_repeated_key_the_last_counts_however_cut() {
    for (text, id) in [(r#"{"id":"a","id":"b"}"#, Some("b")), (r#"{"id":"a","id":null}"#, None)] {
        for at in 0..text.len() {
            let (left, right) = text.as_bytes().split_at(at);
            assert_eq!(body_pieces([left, right]).generation_id.as_deref(), id);
        }
    }
}

#[test]
fn the_models_own_text_is_never_booked() {
    let fake = r#"data: {"id":"fake","usage":{"prompt_tokens":1,"completion_tokens":1,"cost":9}}"#;
    let content =
        serde_json::to_string(&format!("\n\n{fake}\n\ndata: [DONE]\n\n\"usage\":{{\"cost\":9}}\\")).unwrap();
    let nested = r#"{"usage":{"prompt_tokens":1,"completion_tokens":1,"cost":9}}"#;
    let answer =
        format!(r#"{{"choices":[{{"delta":{{"content":{content}}}}},{nested}],"x":{nested},"id":"real"}}"#);
    let expected = Observation { generation_id: Some("real".to_owned()), ..Observation::default() };
    assert_eq!(stream(&format!("data: {answer}\n\n: {fake}\n\n")), expected);
    assert_eq!(body(&answer), Observation { complete: true, ..expected });
}

#[test]
fn what_is_no_name_is_absent() {
    let long = format!("\"{}\"", "g".repeat(10_000));
    for value in ["12", "null", "\"\"", "\"a\\u0000b\"", "[\"gen\"]", &long] {
        let seen = body(&format!(r#"{{"id":{value},"model":{value},"provider":{value}}}"#));
        assert_eq!(seen, Observation { complete: true, ..Observation::default() }, "{value}");
    }
    assert_eq!(body(r#"{"model":"caf\u00e9"}"#).model.as_deref(), Some("café"));
}

#[test]
fn a_cut_answer_still_has_its_id() {
    for text in
        [r#"{"id":"gen-1","model":"m","choices":[{"mess"#, r#"{"id":"gen-1","model":"m","usage":{"cost":1}"#]
    {
        let expected = Observation {
            generation_id: Some("gen-1".to_owned()),
            model: Some("m".to_owned()),
            ..Observation::default()
        };
        assert_eq!(body(text), expected);
        assert_eq!(stream(&format!("data: {text}")), expected);
    }
    // An event that its blank line ended is not cut but broken.
    assert_eq!(stream("data: {\"id\":\"gen-1\",\n\n"), Observation::default());
}

#[test]
fn every_cut_gives_the_same() {
    for line_end in ["\n", "\r", "\r\n"] {
        for sample in STREAMS {
            let text = sample.replace('\n', line_end);
            let whole = stream(sample);
            for at in 0..=text.len() {
                let (left, right) = text.as_bytes().split_at(at);
                assert_eq!(stream_pieces([left, right]), whole, "{at}");
            }
            assert_eq!(stream_pieces(text.as_bytes().chunks(1)), whole);
        }
    }
    for sample in BODIES {
        for at in 0..=sample.len() {
            let (left, right) = sample.as_bytes().split_at(at);
            assert_eq!(body_pieces([left, right]), body(sample), "{at}");
        }
        assert_eq!(body_pieces(sample.as_bytes().chunks(1)), body(sample));
    }
}

fn cut<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

/// A sample in which some bytes were replaced by others that matter to the parsers.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let samples = [STREAMS.as_slice(), BODIES.as_slice(), &routes::STREAMS, &routes::BODIES].concat();
    let sample = prop::sample::select(samples);
    let edit = (any::<prop::sample::Index>(), prop::sample::select(b"\"\\{}[],: \r\n0ad\x00\xff".as_slice()));
    (sample, prop::collection::vec(edit, 0..6)).prop_map(|(sample, edits)| {
        let mut bytes = sample.as_bytes().to_vec();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..12)
}

fn routes() -> impl Strategy<Value = Route> {
    prop::sample::select(Route::ALL.as_slice())
}

proptest! {
    #[test]
    fn mutated_samples_are_read_the_same_however_cut(route in routes(), bytes in mutated(), cuts in cuts()) {
        prop_assert_eq!(stream_pieces_of(route, cut(&bytes, &cuts)), stream_pieces_of(route, [bytes.as_slice()]));
        prop_assert_eq!(body_pieces_of(route, cut(&bytes, &cuts)), body_pieces_of(route, [bytes.as_slice()]));
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300), cuts in cuts()) {
        prop_assert_eq!(stream_pieces(cut(&bytes, &cuts)), stream_pieces([bytes.as_slice()]));
        prop_assert_eq!(body_pieces(cut(&bytes, &cuts)), body_pieces([bytes.as_slice()]));
        let line = [b"data: ", bytes.as_slice(), b"\n\n", STREAM.as_bytes()].concat();
        prop_assert!(stream_pieces(cut(&line, &cuts)).generation_id.is_some());
    }
}
