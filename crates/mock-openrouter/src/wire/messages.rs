//! `/messages`: Anthropic's form. Its input tokens leave out what the cache read and wrote, and a stream tells the input
//! at its beginning and the output, with the cost, at its end.

use super::{Event, Part, byok_members, id_members};
use crate::behaviour::Behaviour;
use crate::generation::Generation;
use crate::respond::quote;

/// The error in Anthropic's shape.
const ERROR: &str = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded","error_type":"provider_overloaded"}}"#;

/// The events of a part of a stream.
pub(super) fn events(part: Part<'_>, generation: &Generation) -> Vec<Event> {
    let event = |name, data: String| Event { name: Some(name), data };
    match part {
        Part::Opening => {
            let (open, close) = message(generation, "null", &input_usage(generation));
            vec![
                event("message_start", format!(r#"{{"type":"message_start","message":{open}{close}}}"#)),
                event(
                    "content_block_start",
                    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#
                        .to_owned(),
                ),
                event("ping", r#"{"type":"ping"}"#.to_owned()),
            ]
        }
        Part::Content(text) => vec![event(
            "content_block_delta",
            format!(
                r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{text}"}}}}"#
            ),
        )],
        Part::Finish(_) => {
            vec![event("content_block_stop", r#"{"type":"content_block_stop","index":0}"#.to_owned())]
        }
        Part::Usage(tokens, text) => {
            let reason = if text.is_some() { r#""end_turn""# } else { "null" };
            let usage = output_usage(generation, tokens);
            vec![event(
                "message_delta",
                format!(
                    r#"{{"type":"message_delta","delta":{{"stop_reason":{reason},"stop_sequence":null}},"usage":{usage}}}"#
                ),
            )]
        }
        Part::Error(_) => vec![event("error", ERROR.to_owned())],
        Part::Done => vec![event("message_stop", r#"{"type":"message_stop"}"#.to_owned())],
    }
}

/// A plain answer, cut where its text ends.
pub(super) fn plain(generation: &Generation) -> (String, String) {
    if generation.fails_first() {
        let (before, after) = ERROR.split_at(r#"{"type":"error","#.len());
        return (before.to_owned(), after.to_owned());
    }
    let events = generation.reachable_events();
    let tokens = generation.completion_tokens(events);
    let usage = format!(
        r#"{{{input},"output_tokens":{tokens},"service_tier":"standard"{cost}}}"#,
        input = input_members(generation),
        cost = cost_members(generation, tokens)
    );
    let (open, close) = message(generation, r#""end_turn""#, &usage);
    let content = format!(r#"{{"type":"text","text":"{}"#, generation.texts(events));
    (open + &content, format!(r#""}}{close}"#))
}

/// The message object up to its content, and from there on.
fn message(generation: &Generation, reason: &str, usage: &str) -> (String, String) {
    (
        format!(
            r#"{{{id}"type":"message","role":"assistant","model":{model},"provider":{provider},"content":["#,
            id = id_members(generation),
            model = quote(&generation.model),
            provider = quote(generation.price.provider),
        ),
        format!(r#"],"stop_reason":{reason},"stop_sequence":null,"usage":{usage}}}"#),
    )
}

/// The usage of `message_start`: all of the input and a first token of the output.
fn input_usage(generation: &Generation) -> String {
    format!(r#"{{{},"output_tokens":1,"service_tier":"standard"}}"#, input_members(generation))
}

fn input_members(generation: &Generation) -> String {
    format!(
        r#""input_tokens":{input},"cache_creation_input_tokens":{written},"cache_read_input_tokens":{cached}"#,
        input = generation.prompt_tokens - generation.cached_tokens - generation.cache_write_tokens,
        written = generation.cache_write_tokens,
        cached = generation.cached_tokens,
    )
}

/// The usage of `message_delta`: cumulative, and null where `message_start` has said it.
fn output_usage(generation: &Generation, tokens: i64) -> String {
    format!(
        r#"{{"input_tokens":null,"output_tokens":{tokens},"cache_creation_input_tokens":null,"cache_read_input_tokens":null,"output_tokens_details":null,"server_tool_use":null{cost}}}"#,
        cost = cost_members(generation, tokens)
    )
}

/// The cost, with a leading comma. Anthropic's own form has none.
fn cost_members(generation: &Generation, tokens: i64) -> String {
    if generation.plan.has(Behaviour::NoUsage) {
        return String::new();
    }
    let money = generation.inline_cost(tokens);
    format!(r#","cost":{}{}"#, money.cost, byok_members(generation, &money.upstream))
}
