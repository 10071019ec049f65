//! What is read of an answer while it passes, and the record that comes of it.

use std::pin::Pin;

use bytes::Bytes;
use http::{HeaderMap, header};
use hyper::body::Incoming;
use mai_generation_processing::PendingReason;
use mai_openrouter::{BodyTee, Observation, Route, StreamTee, TeeProgress};
use mai_primitives::GenerationId;

use crate::{
    call::Call,
    notice,
    record::{Opened, Outcome, Settled},
    recorder::{RecordError, Recorder},
};

/// A record that is being made durable.
pub(crate) type Recording = Pin<Box<dyn Future<Output = Result<(), RecordError>> + Send>>;

/// What reads ids and usage from the passing bytes.
pub(crate) enum Tee {
    /// A stream of events.
    Stream(Box<StreamTee>),
    /// One JSON object.
    Object(Box<BodyTee>),
    /// Bytes that say nothing about usage, such as audio, or encoded ones.
    Blind,
}

impl Tee {
    /// What can read an answer with these headers. With `keeps_error` it keeps the error that a stream of
    /// choices hides.
    pub(crate) fn choose(route: Route, headers: &HeaderMap, keeps_error: bool) -> Self {
        let encoded = headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        match kind.split(';').next().map(str::trim) {
            _ if encoded => Self::Blind,
            Some(kind) if kind.eq_ignore_ascii_case("text/event-stream") => {
                let tee = if keeps_error { StreamTee::keeping_error(route) } else { StreamTee::new(route) };
                Self::Stream(Box::new(tee))
            }
            Some(kind) if kind.eq_ignore_ascii_case("application/json") => {
                Self::Object(Box::new(BodyTee::new(route)))
            }
            _ => Self::Blind,
        }
    }

    /// Whether nothing can be learned by reading.
    pub(crate) const fn is_blind(&self) -> bool {
        matches!(self, Self::Blind)
    }

    /// Whether it keeps the error that the answer hides.
    pub(crate) const fn keeps_error(&self) -> bool {
        match self {
            Self::Stream(tee) => tee.keeps_error(),
            Self::Object(_) | Self::Blind => false,
        }
    }

    pub(crate) fn feed(&mut self, chunk: &[u8]) -> TeeProgress {
        match self {
            Self::Stream(tee) => tee.feed(chunk),
            Self::Object(tee) => tee.feed(chunk),
            Self::Blind => TeeProgress::default(),
        }
    }

    fn generation_id(&self) -> Option<&str> {
        match self {
            Self::Stream(tee) => tee.generation_id(),
            Self::Object(tee) => tee.generation_id(),
            Self::Blind => None,
        }
    }

    /// What was seen. Blind bytes were an answer to their end if nothing interrupted them.
    fn finish(self, interrupted: bool) -> Observation {
        match self {
            Self::Stream(tee) => tee.finish(),
            Self::Object(tee) => tee.finish(),
            Self::Blind => Observation { complete: !interrupted, ..Observation::default() },
        }
    }
}

/// Everything that is needed to settle a call, wherever its answer is read to the end.
pub(crate) struct Metering {
    pub(crate) upstream: Incoming,
    pub(crate) tee: Tee,
    pub(crate) call: Call,
    /// From the header `X-Generation-Id`, else from the first event or object that has one.
    pub(crate) generation_id: Option<GenerationId>,
    pub(crate) recorder: Recorder,
    /// Whether the client is still to be shown a failure of the answer.
    pub(crate) shows_failure: bool,
}

/// A call whose answer was read as far as it came.
pub(crate) struct Ended {
    /// Who writes the final record.
    pub(crate) recorder: Recorder,
    /// The final record.
    pub(crate) settled: Settled,
    /// The body with what was not read.
    pub(crate) rest: Incoming,
    /// What the client is to be shown of a failure, behind everything else.
    pub(crate) notice: Option<Bytes>,
}

impl Metering {
    /// Ends the reading. `interrupted` is why the answer was not read to its end, if it was not.
    pub(crate) fn settle(self, interrupted: Option<PendingReason>) -> Ended {
        let seen = self.tee.finish(interrupted.is_some());
        let from_body = || seen.generation_id.as_deref().and_then(|id| GenerationId::new(id).ok());
        let generation_id = self.generation_id.or_else(from_body);
        let outcome = match interrupted {
            // Usage in the middle of an answer is not what upstream bills for the part that was made.
            Some(reason) if !seen.complete => Outcome::Unknown { reason },
            _ if seen.complete => Outcome::of(&seen, PendingReason::NoUsage),
            _ => Outcome::of(&seen, PendingReason::UpstreamCut),
        };
        let notice = self.shows_failure.then(|| notice::at_end(&seen, interrupted.is_some())).flatten();
        let settled = Settled::by_gateway(self.call, generation_id, outcome);
        Ended { recorder: self.recorder, settled, rest: self.upstream, notice }
    }

    /// The piece that was just read, for the client: with a notice where it tells a hidden error.
    pub(crate) fn shown(&mut self, chunk: Bytes, progress: TeeProgress) -> Bytes {
        let (Some(at), Tee::Stream(tee), true) = (progress.error_ends_at, &self.tee, self.shows_failure)
        else {
            return chunk;
        };
        self.shows_failure = false;
        notice::inserted(&chunk, at, tee.stream_error()).unwrap_or(chunk)
    }

    /// The opened record of a call whose id is only known by its body, when it has just become known.
    pub(crate) fn opening_by_body(&mut self, progress: TeeProgress) -> Option<Recording> {
        if !progress.first_id || self.generation_id.is_some() {
            return None;
        }
        let id = GenerationId::new(self.tee.generation_id()?).ok()?;
        self.generation_id = Some(id.clone());
        Some(self.opening(id))
    }

    /// The opened record, to be awaited.
    pub(crate) fn opening(&self, generation_id: GenerationId) -> Recording {
        let opened = Opened { call: self.call.clone(), generation_id };
        Box::pin(self.recorder.clone().open(opened))
    }
}
