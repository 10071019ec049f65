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
    /// The answer ended: `[DONE]`, the last event of a route that has one, or the closing brace of a plain body.
    pub done: bool,
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
