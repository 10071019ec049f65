//! Reads ids, model and usage from an answer while its bytes pass by.
//!
//! The gateway forwards every byte at once and shows it to a tee. A tee keeps a few small values and nothing of the
//! answer's text, whatever its length and however it is cut into chunks.

use crate::json_scan::{JsonScan, Value};
use crate::sse::{Part, SseScan};
use crate::usage::{UsageGap, UsageReport, parse_usage};

/// The top-level keys that are read, and the longest raw value that is kept of each, in bytes.
const FIELDS: [(&str, usize); 5] =
    [("id", 512), ("model", 512), ("provider", 512), ("usage", 16 * 1024), ("error", 4 * 1024)];

/// What one chunk brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TeeProgress {
    /// The generation id became known.
    pub first_id: bool,
    /// A usage object was read; see the tee's `usage`.
    pub usage: bool,
    /// The answer ended: the `[DONE]` line, or the closing brace of a plain body.
    pub done: bool,
}

/// What an answer said about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// `id` of the body or of the first event that has one. The response header `X-Generation-Id`, where present, is
    /// the better source: it comes first and on every endpoint.
    pub generation_id: Option<String>,
    /// The model that answered, as last reported.
    pub model: Option<String>,
    /// Display name of the host that served the model, as last reported.
    pub provider: Option<String>,
    /// The last usage object that was not null.
    pub usage: UsageReport,
    /// A top-level error object or an event named `error` was seen.
    pub error: bool,
    /// The `[DONE]` line was read, or the body's JSON object was closed.
    pub complete: bool,
}

impl Observation {
    /// Takes everything that the scan of a complete object found.
    fn take_object(&mut self, scan: &JsonScan, progress: &mut TeeProgress) {
        self.take_id(scan, progress);
        self.take_names(scan);
        match scan.value("usage") {
            Value::Absent | Value::Raw(b"null") => {}
            Value::TooLong => self.set_usage(UsageReport::Incomplete { why: UsageGap::TooLong }, progress),
            Value::Raw(raw) => self.set_usage(parse_usage(raw), progress),
        }
        self.error |= !matches!(scan.value("error"), Value::Absent | Value::Raw(b"null"));
    }

    fn set_usage(&mut self, usage: UsageReport, progress: &mut TeeProgress) {
        self.usage = usage;
        progress.usage = true;
    }

    /// The first id stays: a call that was opened under one id is not renamed.
    fn take_id(&mut self, scan: &JsonScan, progress: &mut TeeProgress) {
        if self.generation_id.is_none() {
            self.generation_id = text(scan.value("id"));
            progress.first_id |= self.generation_id.is_some();
        }
    }

    fn take_names(&mut self, scan: &JsonScan) {
        replace(&mut self.model, scan.value("model"));
        replace(&mut self.provider, scan.value("provider"));
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

/// Tee of a streamed chat completion (`text/event-stream`).
///
/// A `data` line counts as soon as it ends, because that is when clients act on it: some wait for the blank line of the
/// standard, others do not. What follows `[DONE]` is not read, as clients do not read it either.
#[derive(Debug)]
pub struct StreamTee {
    sse: SseScan,
    events: Events,
}

#[derive(Debug)]
struct Events {
    scan: JsonScan,
    /// The first bytes of the data line, by which `[DONE]` is known.
    mark: Mark,
    seen: Observation,
}

const DONE: &[u8] = b"[DONE]";

/// How much of [`DONE`] the data line began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Matched(usize),
    Different,
}

impl Mark {
    fn push(self, piece: &[u8]) -> Self {
        let Self::Matched(length) = self else { return self };
        let expected = DONE.get(length..).unwrap_or_default();
        let compared = expected.len().min(piece.len());
        if expected.get(..compared) == piece.get(..compared) {
            Self::Matched(length.saturating_add(compared))
        } else {
            Self::Different
        }
    }
}

impl Events {
    fn read(&mut self, part: Part<'_>, progress: &mut TeeProgress) {
        if self.seen.complete {
            return;
        }
        match part {
            Part::DataLineStart => {
                self.mark = Mark::Matched(0);
                // The line feed that joins this line to the one before; at the beginning of an object it means nothing.
                self.scan.feed(b"\n");
            }
            Part::Data(piece) => {
                self.mark = self.mark.push(piece);
                self.scan.feed(piece);
            }
            Part::DataLineEnd => self.end_line(progress),
            Part::EventEnd(name) => {
                self.seen.error |= name == b"error";
                self.scan.reset();
            }
        }
    }

    fn end_line(&mut self, progress: &mut TeeProgress) {
        if self.mark == Mark::Matched(DONE.len()) {
            self.seen.complete = true;
            progress.done = true;
        }
        if self.scan.is_complete() {
            self.seen.take_object(&self.scan, progress);
            self.scan.reset();
        }
    }
}

impl Default for StreamTee {
    fn default() -> Self {
        Self::new()
    }
}

impl StreamTee {
    /// A tee at the beginning of the answer's body.
    pub fn new() -> Self {
        let events =
            Events { scan: JsonScan::new(&FIELDS), mark: Mark::Matched(0), seen: Observation::default() };
        Self { sse: SseScan::new(), events }
    }

    /// Reads the next bytes of the body, cut anywhere.
    pub fn feed(&mut self, chunk: &[u8]) -> TeeProgress {
        let mut progress = TeeProgress::default();
        if !self.events.seen.complete {
            self.sse.feed(chunk, |part| self.events.read(part, &mut progress));
        }
        progress
    }

    /// `id` of the first event that has one.
    pub fn generation_id(&self) -> Option<&str> {
        self.events.seen.generation_id.as_deref()
    }

    /// The model that answered, as last reported.
    pub fn model(&self) -> Option<&str> {
        self.events.seen.model.as_deref()
    }

    /// Display name of the host that served the model, as last reported.
    pub fn provider(&self) -> Option<&str> {
        self.events.seen.provider.as_deref()
    }

    /// What the last usage object that was not null said.
    pub fn usage(&self) -> &UsageReport {
        &self.events.seen.usage
    }

    /// A top-level error object or an event named `error` was seen.
    pub fn error_seen(&self) -> bool {
        self.events.seen.error
    }

    /// The body ended, early or not. A last event without its blank line counts if its JSON is complete; of one that was
    /// cut, id, model and provider are taken, so that the generation can be looked up.
    pub fn finish(mut self) -> Observation {
        let mut progress = TeeProgress::default();
        if !self.events.seen.complete {
            self.events.seen.take_id(&self.events.scan, &mut progress);
            self.events.seen.take_names(&self.events.scan);
            self.sse.finish(|part| self.events.read(part, &mut progress));
        }
        self.events.seen
    }

    /// Bytes of heap held by the buffers.
    #[cfg(test)]
    fn capacity(&self) -> usize {
        self.events.scan.capacity() + self.sse.capacity()
    }
}

/// Tee of a plain answer: one JSON object, read without being held.
#[derive(Debug)]
pub struct BodyTee {
    scan: JsonScan,
    seen: Observation,
}

impl Default for BodyTee {
    fn default() -> Self {
        Self::new()
    }
}

impl BodyTee {
    /// A tee at the beginning of the answer's body.
    pub fn new() -> Self {
        Self { scan: JsonScan::new(&FIELDS), seen: Observation::default() }
    }

    /// Reads the next bytes of the body, cut anywhere.
    ///
    /// The id is known as soon as its value was read; everything else counts when the object is closed. Of a repeated key
    /// the last value counts in the end.
    pub fn feed(&mut self, chunk: &[u8]) -> TeeProgress {
        let mut progress = TeeProgress::default();
        self.scan.feed(chunk);
        self.seen.take_id(&self.scan, &mut progress);
        if self.scan.is_complete() && !self.seen.complete {
            self.seen.take_object(&self.scan, &mut progress);
            self.seen.complete = true;
            progress.done = true;
        }
        progress
    }

    /// `id` of the body.
    pub fn generation_id(&self) -> Option<&str> {
        self.seen.generation_id.as_deref()
    }

    /// The model that answered.
    pub fn model(&self) -> Option<&str> {
        self.seen.model.as_deref()
    }

    /// Display name of the host that served the model.
    pub fn provider(&self) -> Option<&str> {
        self.seen.provider.as_deref()
    }

    /// What the body's usage object said.
    pub fn usage(&self) -> &UsageReport {
        &self.seen.usage
    }

    /// A top-level error object was seen.
    pub fn error_seen(&self) -> bool {
        self.seen.error
    }

    /// The body ended, early or not. Of a cut body, id, model and provider are taken if they were read.
    pub fn finish(mut self) -> Observation {
        self.seen.generation_id = text(self.scan.value("id"));
        self.seen.take_names(&self.scan);
        self.seen
    }

    /// Bytes of heap held by the buffers.
    #[cfg(test)]
    fn capacity(&self) -> usize {
        self.scan.capacity()
    }
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
