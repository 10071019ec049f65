//! The tee of streamed answers.

use super::wanted::{Names, OF_CHOICES_WITH_ERROR, ends_stream, is_error, of_event};
use super::{Observation, StreamError, TeeProgress, usage_of};
use crate::json_scan::{JsonScan, Value, Wanted};
use crate::route::Route;
use crate::sse::{Part, SseScan};
use crate::usage::{Reported, UsageGap};

/// Tee of a streamed answer (`text/event-stream`).
///
/// A `data` line counts as soon as it ends, because that is when clients act on it: some wait for the blank line of the
/// standard, others do not. What follows the end of the answer, `[DONE]` or the route's last event, is not read, as
/// clients do not read it either.
#[derive(Debug)]
pub struct StreamTee {
    sse: SseScan,
    events: Events,
}

#[derive(Debug)]
struct Events {
    route: Route,
    scan: JsonScan,
    /// The first bytes of the data line, by which `[DONE]` is known.
    mark: Mark,
    /// What the events of a message said of its usage so far.
    message_usage: Reported,
    /// Whether the first error is kept.
    keeps_error: bool,
    /// Whether the event that is being read told a hidden error.
    has_hidden_error: bool,
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
            Part::EventEnd { name, rest } => {
                self.seen.error |= name == b"error";
                self.scan.reset();
                if std::mem::take(&mut self.has_hidden_error) {
                    // For now that is counted from the end of the chunk.
                    progress.error_ends_at = Some(rest.len());
                }
            }
        }
    }

    fn end_line(&mut self, progress: &mut TeeProgress) {
        if self.scan.is_complete() {
            self.take_event(progress);
            self.scan.reset();
        }
        self.seen.complete |= self.mark == Mark::Matched(DONE.len());
        progress.done |= self.seen.complete;
    }

    /// Takes everything that the scan of a complete event found.
    fn take_event(&mut self, progress: &mut TeeProgress) {
        self.take_names(progress);
        self.seen.take_error(&self.scan);
        self.has_hidden_error |= self.keeps_error && self.seen.keep_error(&self.scan);
        let kind = match self.scan.value("type") {
            Value::Raw([b'"', kind @ .., b'"']) => kind,
            _ => &[],
        };
        let ends = ends_stream(self.route, kind);
        self.seen.error |= is_error(kind);
        self.seen.complete |= ends;
        let usage = match self.route {
            // Only the last event's response is the whole one.
            Route::Responses if !ends => None,
            Route::Responses => usage_of(self.scan.inner_value("usage"), self.route),
            Route::Messages => {
                add(&mut self.message_usage, self.scan.inner_value("usage"));
                // The first event's counts are those of a message that has only begun.
                let said_more = add(&mut self.message_usage, self.scan.value("usage"));
                said_more.then(|| self.message_usage.report(self.route))
            }
            _ => usage_of(self.scan.value("usage"), self.route),
        };
        if let Some(usage) = usage {
            self.seen.set_usage(usage, progress);
        }
    }

    fn take_names(&mut self, progress: &mut TeeProgress) {
        let names = Names::of_event(self.route);
        self.seen.take_id(self.route, names, &self.scan, progress);
        self.seen.take_names(names, &self.scan);
    }
}

/// Adds a usage value of a message to what is known, and tells whether there was one.
fn add(known: &mut Reported, value: Value<'_>) -> bool {
    match value {
        Value::Absent | Value::Raw(b"null") => return false,
        Value::TooLong => known.unread = Some(UsageGap::TooLong),
        Value::Raw(raw) => known.add(raw, Route::Messages),
    }
    true
}

impl StreamTee {
    /// A tee at the beginning of the body of an answer from `route`.
    pub fn new(route: Route) -> Self {
        Self::reading(route, of_event(route), false)
    }

    /// The same, which also keeps the first error that it tells: see [`Observation::stream_error`]. Only streams of
    /// choices hide their errors; a tee of another route is as [`StreamTee::new`] makes it.
    pub fn keeping_error(route: Route) -> Self {
        match route {
            Route::ChatCompletions | Route::Completions => Self::reading(route, OF_CHOICES_WITH_ERROR, true),
            _ => Self::new(route),
        }
    }

    fn reading(route: Route, wanted: Wanted, keeps_error: bool) -> Self {
        let events = Events {
            route,
            scan: JsonScan::new(wanted),
            mark: Mark::Matched(0),
            message_usage: Reported::default(),
            keeps_error,
            has_hidden_error: false,
            seen: Observation::default(),
        };
        Self { sse: SseScan::new(), events }
    }

    /// Reads the next bytes of the body, cut anywhere.
    pub fn feed(&mut self, chunk: &[u8]) -> TeeProgress {
        let mut progress = TeeProgress::default();
        if !self.events.seen.complete {
            self.sse.feed(chunk, |part| self.events.read(part, &mut progress));
        }
        progress.error_ends_at = progress.error_ends_at.map(|left| chunk.len().saturating_sub(left));
        progress
    }

    /// Whether the first error is kept.
    pub const fn keeps_error(&self) -> bool {
        self.events.keeps_error
    }

    /// The first error that was told so far.
    pub const fn stream_error(&self) -> &StreamError {
        &self.events.seen.stream_error
    }

    /// The generation id that the first event with one named.
    pub fn generation_id(&self) -> Option<&str> {
        self.events.seen.generation_id.as_deref()
    }

    /// The body ended, early or not. A last event without its blank line counts if its JSON is complete; of one that was
    /// cut, id, model and provider are taken, so that the generation can be looked up.
    pub fn finish(mut self) -> Observation {
        let mut progress = TeeProgress::default();
        if !self.events.seen.complete {
            self.events.take_names(&mut progress);
            self.sse.finish(|part| self.events.read(part, &mut progress));
        }
        self.events.seen
    }

    /// Bytes of heap held for what was read.
    #[cfg(any(test, feature = "testing"))]
    pub fn capacity(&self) -> usize {
        let error = match &self.events.seen.stream_error {
            StreamError::Hidden(Some(text)) => text.capacity(),
            _ => 0,
        };
        [self.events.scan.capacity(), self.sse.capacity(), error].into_iter().fold(0, usize::saturating_add)
    }
}
