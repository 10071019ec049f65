//! [`MeteredBody`]: the answer on its way to the client, watched and never delayed.
//!
//! Every piece goes on as it came. Only two things wait, each for one group commit of the journal:
//! the first piece for the opened record, and the piece that ends the answer for the settled one.
//! So whatever a client has received to the end is durable, whatever happens next.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::Stream;
use http_body::Body;
use hyper::body::Incoming;
use mai_generation_processing::PendingReason;
use mai_openrouter::{BodyTee, Observation, StreamTee, TeeProgress};
use mai_primitives::GenerationId;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::error;

use crate::{
    call::Call,
    record::{Opened, Outcome, Settled},
    recorder::{RecordError, Recorder},
};

/// How long an answer that nobody waits for is read on, so that its usage becomes known at once.
const DRAIN_AT_MOST: Duration = Duration::from_secs(15 * 60);

/// Why an answer ends before its end.
#[derive(Debug, Error)]
pub enum BodyError {
    /// The connection to upstream broke.
    #[error("upstream cut the answer")]
    UpstreamCut(#[source] hyper::Error),
    /// The record of this call could not be made durable.
    #[error("the call could not be recorded")]
    NotRecorded(#[source] RecordError),
}

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
    fn feed(&mut self, chunk: &[u8]) -> TeeProgress {
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

    fn finish(self) -> Observation {
        match self {
            Self::Stream(tee) => tee.finish(),
            Self::Object(tee) => tee.finish(),
            Self::Blind => Observation { complete: true, ..Observation::default() },
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
}

impl Metering {
    /// The final record, who writes it, and the body with what was not read. `interrupted` is why the
    /// answer was not read to its end, if it was not.
    fn settle(self, interrupted: Option<PendingReason>) -> (Recorder, Settled, Incoming) {
        let seen = self.tee.finish();
        let from_body = || seen.generation_id.as_deref().and_then(|id| GenerationId::new(id).ok());
        let generation_id = self.generation_id.or_else(from_body);
        let outcome = match interrupted {
            // Usage in the middle of an answer is not what upstream bills for the part that was made.
            Some(reason) if !seen.complete => Outcome::Unknown { reason },
            _ if seen.complete => Outcome::of(&seen, PendingReason::NoUsage),
            _ => Outcome::of(&seen, PendingReason::UpstreamCut),
        };
        (self.recorder, Settled::by_gateway(self.call, generation_id, outcome), self.upstream)
    }

    /// The opened record of a call whose id is only known by its body, when it has just become known.
    fn opening_by_body(&mut self, progress: TeeProgress) -> Option<Recording> {
        if !progress.first_id || self.generation_id.is_some() {
            return None;
        }
        let id = GenerationId::new(self.tee.generation_id()?).ok()?;
        self.generation_id = Some(id.clone());
        Some(opening(self, id))
    }
}

/// A call that is not settled. Dropping it, at whatever point and also when the process stops,
/// records it as left by its client.
struct Unsettled(Option<Metering>);

impl Unsettled {
    /// Reads on without a client and settles. That can take as long as the model does, so the opened
    /// record is made durable before, if it is not yet.
    async fn drain(mut self, opening: Option<Recording>) {
        note_failure(opening).await;
        let interrupted = tokio::time::timeout(DRAIN_AT_MOST, self.read_on()).await;
        let Some(metering) = self.0.take() else { return };
        let (recorder, settled, _) = metering.settle(interrupted.unwrap_or(Some(PendingReason::ClientGone)));
        let exchange = settled.call.exchange.clone();
        if let Err(cause) = recorder.settle(settled).await {
            error!(%exchange, error = %cause, "a call whose client had left could not be recorded");
        }
    }

    /// Shows the rest of the answer to the tee; tells why it ended early, if it did.
    async fn read_on(&mut self) -> Option<PendingReason> {
        let metering = self.0.as_mut()?;
        loop {
            match poll_fn(|context| poll_data(&mut metering.upstream, context)).await {
                None => return None,
                Some(Err(_)) => return Some(PendingReason::UpstreamCut),
                Some(Ok(chunk)) => {
                    let progress = metering.tee.feed(&chunk);
                    if progress.done {
                        return None;
                    }
                    note_failure(metering.opening_by_body(progress)).await;
                }
            }
        }
    }
}

/// Waits for an opened record without which the call can go on.
async fn note_failure(opening: Option<Recording>) {
    if let Some(opening) = opening
        && let Err(cause) = opening.await
    {
        error!(error = %cause, "a call whose client had left could not be opened");
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        let Some(metering) = self.0.take() else { return };
        let (recorder, settled, _) = metering.settle(Some(PendingReason::ClientGone));
        recorder.settle_detached(settled);
    }
}

type Recording = Pin<Box<dyn Future<Output = Result<(), RecordError>> + Send>>;

/// What follows when the settled record is durable.
enum Then {
    /// The rest of the answer passes through.
    PassRest,
    /// The answer has ended.
    End,
    /// The answer was cut, and the client learns it by a cut as well.
    Fail(BodyError),
}

enum State {
    /// Nothing is written yet. If the whole answer is here already, the settled record is enough.
    Fresh(GenerationId),
    /// The opened record is being made durable.
    Opening(Recording),
    Passing,
    Settling(Recording, Then),
    Done,
}

/// The body of a metered answer, to be polled by the server towards the client.
pub struct MeteredBody {
    state: State,
    unsettled: Unsettled,
    /// What is left to pass through after that.
    rest: Option<Incoming>,
    held: Option<Bytes>,
    drain_when_left: bool,
    tracker: TaskTracker,
}

impl MeteredBody {
    /// A body that records as it passes. With `drain_when_left` the answer is read to its end when
    /// the client leaves, else upstream is closed.
    pub(crate) fn new(metering: Metering, drain_when_left: bool, tracker: TaskTracker) -> Self {
        let state = metering.generation_id.clone().map_or(State::Passing, State::Fresh);
        Self { state, unsettled: Unsettled(Some(metering)), rest: None, held: None, drain_when_left, tracker }
    }

    fn poll_fresh(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let polled = self.poll_upstream(context, Self::hold_first);
        if polled.is_pending() && matches!(self.state, State::Fresh(_)) {
            self.begin_opening();
            return self.poll_opening(context);
        }
        polled
    }

    /// The first piece waits for the opened record, or for the settled one if it is all there is.
    fn hold_first(&mut self, chunk: Bytes, progress: TeeProgress) -> Option<Bytes> {
        self.held = Some(chunk);
        if progress.done {
            self.begin_settling(None, Then::PassRest);
        } else if matches!(self.state, State::Fresh(_)) {
            self.begin_opening();
        }
        None
    }

    fn begin_opening(&mut self) {
        if let (State::Fresh(id), Some(metering)) = (&self.state, &self.unsettled.0) {
            self.state = State::Opening(opening(metering, id.clone()));
        }
    }

    fn poll_opening(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let State::Opening(recording) = &mut self.state else { return Poll::Ready(None) };
        match recording.as_mut().poll(context) {
            Poll::Ready(Ok(())) => {
                self.state = State::Passing;
                match self.held.take() {
                    Some(chunk) => Poll::Ready(Some(Ok(chunk))),
                    None => self.poll_passing(context),
                }
            }
            Poll::Ready(Err(cause)) => {
                self.state = State::Done;
                Poll::Ready(Some(Err(BodyError::NotRecorded(cause))))
            }
            // Meanwhile one piece may be fetched. If it ends the answer, the settled record follows the
            // opened one, which stands in the queue already, and the two share a commit if they can.
            Poll::Pending if self.held.is_none() => self.poll_upstream(context, Self::hold_first),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_passing(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        self.poll_upstream(context, |body, chunk, progress| {
            if progress.done {
                body.held = Some(chunk);
                body.begin_settling(None, Then::PassRest);
                return None;
            }
            let metering = body.unsettled.0.as_mut();
            if let Some(opening) = metering.and_then(|metering| metering.opening_by_body(progress)) {
                body.held = Some(chunk);
                body.state = State::Opening(opening);
                return None;
            }
            Some(chunk)
        })
    }

    /// Fetches the next piece, shows it to the tee and lets `next` decide whether it goes on at once.
    fn poll_upstream(
        &mut self,
        context: &mut Context<'_>,
        next: impl FnOnce(&mut Self, Bytes, TeeProgress) -> Option<Bytes>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        let Some(metering) = &mut self.unsettled.0 else { return self.poll_rest(context) };
        match ready!(poll_data(&mut metering.upstream, context)) {
            Some(Ok(chunk)) => {
                let progress = metering.tee.feed(&chunk);
                match next(self, chunk, progress) {
                    Some(chunk) => Poll::Ready(Some(Ok(chunk))),
                    None => self.poll_body(context),
                }
            }
            Some(Err(cause)) => {
                self.begin_settling(
                    Some(PendingReason::UpstreamCut),
                    Then::Fail(BodyError::UpstreamCut(cause)),
                );
                self.poll_body(context)
            }
            None => {
                self.begin_settling(None, Then::End);
                self.poll_body(context)
            }
        }
    }

    fn begin_settling(&mut self, interrupted: Option<PendingReason>, then: Then) {
        let Some(metering) = self.unsettled.0.take() else { return };
        let (recorder, settled, rest) = metering.settle(interrupted);
        self.rest = Some(rest);
        self.state = State::Settling(Box::pin(recorder.settle(settled)), then);
    }

    fn poll_settling(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let State::Settling(recording, _) = &mut self.state else { return Poll::Ready(None) };
        let outcome = ready!(recording.as_mut().poll(context));
        let State::Settling(_, then) = std::mem::replace(&mut self.state, State::Done) else {
            return Poll::Ready(None);
        };
        if let Err(cause) = outcome {
            return Poll::Ready(Some(Err(BodyError::NotRecorded(cause))));
        }
        match then {
            Then::PassRest => self.state = State::Passing,
            Then::End => {}
            Then::Fail(cause) => {
                return Poll::Ready(Some(Err(cause)));
            }
        }
        match self.held.take() {
            Some(chunk) => Poll::Ready(Some(Ok(chunk))),
            None => self.poll_body(context),
        }
    }

    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        let polled = ready!(poll_data(rest, context));
        Poll::Ready(polled.map(|chunk| chunk.map_err(BodyError::UpstreamCut)))
    }

    fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        match self.state {
            State::Fresh(_) => self.poll_fresh(context),
            State::Opening(_) => self.poll_opening(context),
            State::Passing => self.poll_passing(context),
            State::Settling(..) => self.poll_settling(context),
            State::Done => Poll::Ready(None),
        }
    }
}

fn opening(metering: &Metering, generation_id: GenerationId) -> Recording {
    let opened = Opened { call: metering.call.clone(), generation_id };
    Box::pin(metering.recorder.clone().open(opened))
}

/// The next piece of data; trailers carry nothing for us and are passed over.
fn poll_data(body: &mut Incoming, context: &mut Context<'_>) -> Poll<Option<hyper::Result<Bytes>>> {
    loop {
        match ready!(Pin::new(&mut *body).poll_frame(context)) {
            None => return Poll::Ready(None),
            Some(Err(cause)) => return Poll::Ready(Some(Err(cause))),
            Some(Ok(frame)) => {
                if let Ok(chunk) = frame.into_data() {
                    return Poll::Ready(Some(Ok(chunk)));
                }
            }
        }
    }
}

impl Stream for MeteredBody {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_body(context)
    }
}

/// The client has left before the end: what is not settled is read on, or settled as it is.
impl Drop for MeteredBody {
    fn drop(&mut self) {
        // A tracker that is closed belongs to a service that is stopping and waits for nothing new.
        if self.drain_when_left && !self.tracker.is_closed() && Handle::try_current().is_ok() {
            self.begin_opening();
            let opening = match std::mem::replace(&mut self.state, State::Done) {
                State::Opening(recording) => Some(recording),
                _ => None,
            };
            let unsettled = Unsettled(self.unsettled.0.take());
            self.tracker.spawn(unsettled.drain(opening));
        }
    }
}
