//! `/embeddings`, `/rerank`, `/images` and `/audio/transcriptions`: one JSON body each.

use super::{byok_members, choices, created, id_members};
use crate::behaviour::Behaviour;
use crate::generation::Generation;
use crate::random::below;
use crate::respond::quote;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// An image of one pixel.
const IMAGE: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==";

/// What vectors are made of: numbers as JSON and as the bits of an IEEE 754 single.
const NUMBERS: [(&str, u32); 8] = [
    ("0.125", 0x3e00_0000),
    ("-0.5", 0xbf00_0000),
    ("0.25", 0x3e80_0000),
    ("-0.0625", 0xbd80_0000),
    ("0.5", 0x3f00_0000),
    ("-0.125", 0xbe00_0000),
    ("0.0625", 0x3d80_0000),
    ("-0.25", 0xbe80_0000),
];

/// Vectors of eight numbers, cut before the first of them.
pub(super) fn embeddings(generation: &Generation) -> (String, String) {
    let vectors: Vec<String> = (0..generation.order.inputs).map(|index| vector(generation, index)).collect();
    let usage = usage(generation, |money, byok| {
        let tokens = generation.prompt_tokens;
        format!(r#"{{"prompt_tokens":{tokens},"total_tokens":{tokens},"cost":{money}{byok}}}"#)
    });
    let id = id_members(generation);
    (
        r#"{"object":"list","data":["#.to_owned(),
        format!(
            r#"{vectors}],"model":{model}{usage},{id}"provider":{provider}}}"#,
            vectors = vectors.join(","),
            model = quote(&generation.model),
            provider = quote(generation.price.provider),
        ),
    )
}

fn vector(generation: &Generation, index: usize) -> String {
    let shift = below(generation.seed, 6, 8) + u32::try_from(index).unwrap_or(0);
    let numbers = NUMBERS.iter().cycle().skip(usize::try_from(shift % 8).unwrap_or(0)).take(8);
    let vector = if generation.order.base64 {
        let bytes: Vec<u8> = numbers.flat_map(|(_, bits)| bits.to_le_bytes()).collect();
        quote(&STANDARD.encode(bytes))
    } else {
        format!("[{}]", numbers.map(|(text, _)| *text).collect::<Vec<_>>().join(","))
    };
    format!(r#"{{"object":"embedding","index":{index},"embedding":{vector}}}"#)
}

/// The documents in the reverse of their order, cut before the first of them.
pub(super) fn rerank(generation: &Generation) -> (String, String) {
    let ranked = generation.order.documents.iter().enumerate().rev().enumerate();
    let results: Vec<String> = ranked
        .map(|(rank, (index, text))| {
            let score = 9_876_usize.checked_div(rank + 1).unwrap_or(0);
            format!(
                r#"{{"index":{index},"relevance_score":0.{score:04},"document":{{"text":{}}}}}"#,
                quote(text)
            )
        })
        .collect();
    let usage = usage(generation, |money, byok| {
        let tokens = generation.prompt_tokens;
        format!(r#"{{"search_units":1,"total_tokens":{tokens},"cost":{money}{byok}}}"#)
    });
    (
        format!(
            r#"{{{id}"model":{model},"provider":{provider},"results":["#,
            id = id_members(generation),
            model = quote(&generation.model),
            provider = quote(generation.price.provider),
        ),
        format!("{}]{usage}}}", results.join(",")),
    )
}

/// One image, cut where its bytes begin. The usage is that of chat.
pub(super) fn images(generation: &Generation) -> (String, String) {
    let tokens = generation.completion_tokens(generation.reachable_events());
    let usage = if generation.plan.has(Behaviour::NoUsage) {
        String::new()
    } else {
        format!(r#","usage":{}"#, choices::usage(generation, tokens))
    };
    (
        format!(r#"{{"created":{},"data":[{{"b64_json":""#, created(generation)),
        format!(r#"{IMAGE}","media_type":"image/png"}}]{usage}}}"#),
    )
}

/// What was said, cut where it ends. Sound of 1.0 to 60.9 seconds.
pub(super) fn transcription(generation: &Generation) -> (String, String) {
    let events = generation.reachable_events();
    let (input, output) = (generation.prompt_tokens, generation.completion_tokens(events));
    let (seconds, tenths) = (1 + below(generation.seed, 7, 60), below(generation.seed, 8, 10));
    let usage = usage(generation, |money, byok| {
        format!(
            r#"{{"seconds":{seconds}.{tenths},"input_tokens":{input},"output_tokens":{output},"total_tokens":{total},"cost":{money}{byok}}}"#,
            total = input + output,
        )
    });
    (format!(r#"{{"text":"{}"#, generation.texts(events)), format!(r#""{usage}}}"#))
}

/// The member `usage` with a leading comma, or nothing. `write` gets the cost and what an own provider key adds.
fn usage(generation: &Generation, write: impl Fn(&str, &str) -> String) -> String {
    if generation.plan.has(Behaviour::NoUsage) {
        return String::new();
    }
    let money = generation.inline_cost(generation.completion_tokens(generation.reachable_events()));
    format!(r#","usage":{}"#, write(&money.cost, &byok_members(generation, &money.upstream)))
}
