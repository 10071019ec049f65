//! Where the answers of each route say what the tees look for.

use crate::json_scan::{JsonScan, Key, Value, Wanted};
use crate::route::Route;

const ID: Key = ("id", 512);
const MODEL: Key = ("model", 512);
/// The display name of the host; OpenRouter adds it to most answers.
const PROVIDER: Key = ("provider", 512);
const USAGE: Key = ("usage", 16 * 1024);
/// Long enough for `null`: any other value is an error, whatever it says.
const ERROR: Key = ("error", 4);
/// The same where its text is kept.
const ERROR_TEXT: Key = ("error", 8 * 1024);
/// Long enough to see that there are none.
const CHOICES: Key = ("choices", 8);
/// Long enough for every kind of event that is told apart here.
const KIND: Key = ("type", 64);

const NO_INNER: (&str, &[Key]) = ("", &[]);

/// What is read of a plain answer.
pub(super) const fn of_body(route: Route) -> Wanted {
    match route {
        // Sound, and no word about it: only `GET /generation` knows.
        Route::Speech => Wanted { top: &[ERROR], inner: NO_INNER },
        _ => Wanted { top: &[ID, MODEL, PROVIDER, USAGE, ERROR], inner: NO_INNER },
    }
}

/// What is read of each event of a streamed answer.
pub(super) const fn of_event(route: Route) -> Wanted {
    match route {
        Route::Speech => Wanted { top: &[KIND, ERROR], inner: NO_INNER },
        Route::Responses => {
            Wanted { top: &[KIND, ERROR], inner: ("response", &[ID, MODEL, PROVIDER, USAGE]) }
        }
        Route::Messages => {
            Wanted { top: &[KIND, ERROR, USAGE], inner: ("message", &[ID, MODEL, PROVIDER, USAGE]) }
        }
        _ => Wanted { top: &[KIND, ID, MODEL, PROVIDER, USAGE, ERROR], inner: NO_INNER },
    }
}

/// The same of the events of a stream of choices whose error is kept.
pub(super) const OF_CHOICES_WITH_ERROR: Wanted =
    Wanted { top: &[KIND, ID, MODEL, PROVIDER, USAGE, ERROR_TEXT, CHOICES], inner: NO_INNER };

/// The object of an event that names id and model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// The whole body or event.
    Top,
    /// The response or message within the event.
    Inner,
}

impl Names {
    pub(super) const fn of_event(route: Route) -> Self {
        match route {
            Route::Responses | Route::Messages => Self::Inner,
            _ => Self::Top,
        }
    }

    pub(super) fn value<'a>(self, scan: &'a JsonScan, name: &str) -> Value<'a> {
        match self {
            Self::Top => scan.value(name),
            Self::Inner => scan.inner_value(name),
        }
    }
}

/// Whether the `id` in the answer with this raw text may be the generation's. Where OpenRouter does not document it as
/// such, it may be that of a message, of a response or of a piece of a transcript, and counts only in OpenRouter's own
/// form.
pub(super) fn is_generation_id(route: Route, raw: &[u8]) -> bool {
    match route {
        Route::ChatCompletions | Route::Completions | Route::Embeddings | Route::Rerank => true,
        _ => raw.starts_with(b"\"gen-"),
    }
}

/// Whether an event of this `type` is the last one that says anything.
pub(super) fn ends_stream(route: Route, kind: &[u8]) -> bool {
    match route {
        Route::Responses => {
            matches!(
                kind,
                b"response.completed" | b"response.incomplete" | b"response.failed" | b"response.done"
            )
        }
        Route::Messages => kind == b"message_stop",
        Route::Transcriptions => kind == b"transcript.text.done",
        // Images may be several, each completed by an event of its own.
        _ => false,
    }
}

/// Whether an event of this `type` says that the answer failed.
pub(super) fn is_error(kind: &[u8]) -> bool {
    matches!(kind, b"error" | b"response.failed")
}
