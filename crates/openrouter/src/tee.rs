//! Reads ids, model and usage from an answer while its bytes pass by.
//!
//! The gateway forwards every byte at once and shows it to a tee. A tee keeps a few small values and nothing of the
//! answer's text, whatever its length and however it is cut into chunks. What it looks for, and where, depends on the
//! [`Route`] that was asked.

mod body;
mod stream;
mod wanted;

pub use body::BodyTee;
pub use stream::StreamTee;

use crate::json_scan::{JsonScan, Value};
use crate::route::Route;
use crate::usage::{Reported, UsageGap, UsageReport};
use wanted::{Names, is_generation_id};

/// What one chunk brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TeeProgress {
    /// The generation id became known.
    pub first_id: bool,
    /// A usage object was read that says what the answer used.
    pub usage: bool,
    /// Where in the chunk the event has ended that told a [`StreamError::Hidden`].
    pub error_ends_at: Option<usize>,
    /// The answer ended: `[DONE]`, the last event of a route that has one, or the closing brace of a plain body.
    pub done: bool,
}

/// The error that a stream told, as far as a client that reads only `choices` gets to see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StreamError {
    /// No error was seen, or the tee does not look.
    #[default]
    None,
    /// The event has no choices, so that every client takes it for the error that it is.
    Visible,
    /// The event has choices beside its error, by which some clients take it for a part of the answer. With the raw JSON
    /// text of the error, unless that is longer than 8 KiB.
    Hidden(Option<Vec<u8>>),
}

/// What an answer said about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// The generation id of the body or of the first event that has one. The `id` of routes whose answers have ids of
    /// another kind counts only if it begins with `gen-`. The response header `X-Generation-Id`, where present, is the
    /// better source: it comes first and on every endpoint.
    pub generation_id: Option<String>,
    /// The model that answered, as last reported.
    pub model: Option<String>,
    /// Display name of the host that served the model, as last reported.
    pub provider: Option<String>,
    /// The last usage object that was not null; of a streamed message the sum of what its events said.
    pub usage: UsageReport,
    /// A top-level error object, an event named `error` or an event of a failing `type` was seen.
    pub error: bool,
    /// The first error of a stream, if it was read by [`StreamTee::keeping_error`].
    pub stream_error: StreamError,
    /// The end of the answer was read, see [`TeeProgress::done`].
    pub complete: bool,
}

impl Observation {
    /// The first id stays: a call that was opened under one id is not renamed.
    fn take_id(&mut self, route: Route, names: Names, scan: &JsonScan, progress: &mut TeeProgress) {
        if self.generation_id.is_none()
            && let id @ Value::Raw(raw) = names.value(scan, "id")
            && is_generation_id(route, raw)
        {
            self.generation_id = text(id);
            progress.first_id |= self.generation_id.is_some();
        }
    }

    fn take_names(&mut self, names: Names, scan: &JsonScan) {
        replace(&mut self.model, names.value(scan, "model"));
        replace(&mut self.provider, names.value(scan, "provider"));
    }

    fn take_error(&mut self, scan: &JsonScan) {
        self.error |= !matches!(scan.value("error"), Value::Absent | Value::Raw(b"null"));
    }

    /// Keeps the first error of a stream of choices, and tells whether it is hidden by them.
    fn keep_error(&mut self, scan: &JsonScan) -> bool {
        let text = match scan.value("error") {
            Value::Absent | Value::Raw(b"null") => return false,
            Value::TooLong => None,
            Value::Raw(text) => Some(text.to_vec()),
        };
        if self.stream_error != StreamError::None {
            return false;
        }
        let is_hidden = match scan.value("choices") {
            Value::Absent | Value::Raw(b"null") => false,
            Value::Raw(choices) => choices.iter().any(|byte| !b"[] \t\r\n".contains(byte)),
            Value::TooLong => true,
        };
        self.stream_error = if is_hidden { StreamError::Hidden(text) } else { StreamError::Visible };
        is_hidden
    }

    fn set_usage(&mut self, usage: UsageReport, progress: &mut TeeProgress) {
        self.usage = usage;
        progress.usage = true;
    }
}

/// What a usage value says by itself; none if there is none.
fn usage_of(value: Value<'_>, route: Route) -> Option<UsageReport> {
    match value {
        Value::Absent | Value::Raw(b"null") => None,
        Value::TooLong => Some(UsageReport::Incomplete { why: UsageGap::TooLong }),
        Value::Raw(raw) => {
            let mut reported = Reported::default();
            reported.add(raw, route);
            Some(reported.report(route))
        }
    }
}

/// Sets `known` to the text of `value`, if it is one. The usual case, an equal text in every event, allocates nothing.
fn replace(known: &mut Option<String>, value: Value<'_>) {
    if let (Some(known), Value::Raw([b'"', inner @ .., b'"'])) = (known.as_ref(), value)
        && known.as_bytes() == inner
        && !inner.contains(&b'\\')
    {
        return;
    }
    if let Some(new) = text(value) {
        *known = Some(new);
    }
}

/// A JSON string that can serve as a name: not empty, and without control characters, which no real name has and
/// which a database may refuse.
fn text(value: Value<'_>) -> Option<String> {
    let Value::Raw(raw @ [b'"', ..]) = value else { return None };
    serde_json::from_slice(raw).ok().filter(|text: &String| is_name(text))
}

pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_control)
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
