//! A deliberately simple reader of what an answer tells of its usage, by the documented place of each route.

use crate::client::Answer;
use mai_mock_openrouter::Route;
use serde_json::{Map, Value};

/// What an answer told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) input: Option<i64>,
    pub(crate) output: Option<i64>,
    /// The text of the cost as JSON.
    pub(crate) cost: Option<String>,
    pub(crate) upstream: Option<String>,
    pub(crate) byok: bool,
}

/// Name and payload of each event, in whatever form the lines are.
pub(crate) fn events(answer: &Answer) -> Vec<(String, String)> {
    let text = answer.text().replace("\r\n", "\n").replace('\r', "\n");
    let text = text.trim_start_matches('\u{feff}');
    let mut events = Vec::new();
    for block in text.split("\n\n") {
        let field = |name: &str| -> Vec<&str> {
            let values = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            values.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect()
        };
        if !field("data").is_empty() {
            events.push((field("event").concat(), field("data").join("\n")));
        }
    }
    events
}

/// The objects that may tell the usage, with the text they were read from, in their order.
fn usages(route: Route, answer: &Answer) -> Vec<Value> {
    if answer.header("content-type") != Some("text/event-stream") {
        let body: Value = serde_json::from_slice(&answer.body()).unwrap_or_default();
        return vec![body["usage"].clone()];
    }
    let parsed = events(answer).into_iter().filter_map(|(_, data)| serde_json::from_str(&data).ok());
    let told = parsed.filter_map(|event: Value| match (route, event["type"].as_str()) {
        (Route::Responses, Some("response.completed")) => Some(event["response"]["usage"].clone()),
        (Route::Responses, _) => None,
        (Route::Messages, Some("message_start")) => Some(event["message"]["usage"].clone()),
        _ => Some(event["usage"].clone()),
    });
    told.collect()
}

/// Reads an answer as a meter would.
pub(crate) fn read(route: Route, answer: &Answer) -> Told {
    if answer.header("content-encoding").is_some() {
        return Told::default();
    }
    let mut usage = Map::new();
    for part in usages(route, answer) {
        let Value::Object(part) = part else { continue };
        usage.extend(part.into_iter().filter(|(_, value)| !value.is_null()));
    }
    let count = |name: &str| usage.get(name).and_then(Value::as_i64);
    let cached =
        ["cache_creation_input_tokens", "cache_read_input_tokens"].map(|name| count(name).unwrap_or(0));
    let (input, output) = match route {
        Route::ChatCompletions | Route::Completions | Route::Images => {
            (count("prompt_tokens"), count("completion_tokens"))
        }
        Route::Embeddings => (count("prompt_tokens"), count("prompt_tokens").map(|_| 0)),
        Route::Rerank => (count("total_tokens"), count("total_tokens").map(|_| 0)),
        _ => (count("input_tokens").map(|input| input + cached[0] + cached[1]), count("output_tokens")),
    };
    // Numbers are taken from the text, where the usage stands last.
    let text = answer.text();
    let number = |name: &str| {
        let rest = text.rsplit_once(&format!("\"{name}\":"))?.1;
        Some(rest[..rest.find([',', '}'])?].to_owned())
    };
    Told {
        input,
        output,
        cost: usage.get("cost").and_then(|_| number("cost")),
        upstream: usage.get("cost_details").and_then(|_| number("upstream_inference_cost")),
        byok: usage.get("is_byok") == Some(&Value::Bool(true)),
    }
}
