//! The words of each route: what its answer says, as JSON. How it travels is decided in [`script`](crate::script).

mod choices;
mod messages;
mod responses;
mod speech;
mod whole;

pub(crate) use speech::sound;

use crate::behaviour::Behaviour;
use crate::generation::Generation;
use crate::respond::quote;
use crate::route::Route;

/// The error a provider ends an answer with.
const PROVIDER_ERROR: &str = r#"{"code":502,"message":"Provider returned error","metadata":{"error_type":"provider_unavailable","provider_code":"upstream_error","provider_name":"Mock"}}"#;

/// A part of a streamed answer.
#[derive(Clone, Copy)]
pub(crate) enum Part<'a> {
    /// What comes before any content.
    Opening,
    /// A piece of text, as it stands inside a JSON string.
    Content(&'a str),
    /// The content is complete; here is all of it.
    Finish(&'a str),
    /// The usage of that many completion tokens, with all of the text where it is final.
    Usage(i64, Option<&'a str>),
    /// The provider fails, after so many content events.
    Error(u64),
    /// The end.
    Done,
}

/// An event of a stream.
pub(crate) struct Event {
    /// The `event:` line, on routes that have one.
    pub(crate) name: Option<&'static str>,
    /// The `data:` line.
    pub(crate) data: String,
}

/// Writes the events of one stream in their order.
pub(crate) enum StreamWriter {
    Choices(choices::Writer),
    Responses(responses::Writer),
    Messages,
}

impl StreamWriter {
    /// The writer of this generation's route.
    pub(crate) fn new(generation: &Generation) -> Self {
        match generation.route() {
            Route::Responses => Self::Responses(responses::Writer::default()),
            Route::Messages => Self::Messages,
            _ => Self::Choices(choices::Writer::new(generation)),
        }
    }

    /// The events of a part.
    pub(crate) fn write(&mut self, part: Part<'_>, generation: &Generation) -> Vec<Event> {
        match self {
            Self::Choices(writer) => writer.write(part, generation),
            Self::Responses(writer) => writer.write(part, generation),
            Self::Messages => messages::events(part, generation),
        }
    }
}

/// A plain answer in two halves, cut where its content ends or begins.
pub(crate) fn plain(generation: &Generation) -> (String, String) {
    match generation.route() {
        Route::ChatCompletions | Route::Completions => choices::plain(generation),
        Route::Responses => responses::plain(generation),
        Route::Messages => messages::plain(generation),
        _ if generation.fails_first() => (r#"{"error":"#.to_owned(), format!("{PROVIDER_ERROR}}}")),
        Route::Embeddings => whole::embeddings(generation),
        Route::Rerank => whole::rerank(generation),
        Route::Images => whole::images(generation),
        // Sound has no JSON.
        Route::Transcriptions | Route::Speech => whole::transcription(generation),
    }
}

/// The `id` members of a body or an event, each with its comma.
fn id_members(generation: &Generation) -> String {
    let (plan, id) = (&generation.plan, &generation.names.body);
    if plan.has(Behaviour::NoId) || plan.has(Behaviour::IdMissing) {
        String::new()
    } else if plan.has(Behaviour::IdNumber) {
        format!(r#""id":{},"#, crate::random::mix(generation.seed, 4) >> 12)
    } else if plan.has(Behaviour::IdNull) {
        r#""id":null,"#.to_owned()
    } else if plan.has(Behaviour::Id10k) {
        format!(r#""id":"gen-{}","#, "x".repeat(9_996))
    } else if plan.has(Behaviour::IdRepeated) {
        format!(r#""id":"gen-1000000000-repeatedFirstTimeXXX","id":{},"#, quote(id))
    } else {
        format!(r#""id":{},"#, quote(id))
    }
}

/// What an own provider key adds to a usage that otherwise says nothing about it, with a leading comma.
fn byok_members(generation: &Generation, upstream: &str) -> String {
    if generation.byok() {
        format!(r#","is_byok":true,"cost_details":{{"upstream_inference_cost":{upstream}}}"#)
    } else {
        String::new()
    }
}

/// The seconds since 1970 at which it began.
const fn created(generation: &Generation) -> i64 {
    generation.started_ms.div_euclid(1000)
}
