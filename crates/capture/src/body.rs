//! [`MeteredBody`]: the answer on its way to the client, watched and never delayed.
//!
//! Every piece goes on as it came. Only two things wait, each for one group commit of the journal:
//! the first piece for the opened record, and the piece that ends the answer for the settled one.
//! So whatever a client has received to the end is durable, whatever happens next.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::Stream;
use http_body::Body;
use hyper::body::Incoming;
use mai_generation_processing::PendingReason;
use mai_openrouter::TeeProgress;
use mai_primitives::GenerationId;
use thiserror::Error;
use tokio_util::task::TaskTracker;

use crate::{
    drain::{Drains, Unsettled},
    metering::{Metering, Recording},
    notice,
    recorder::RecordError,
};

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
    /// Whether the client is told of a failure by an event. Behind it the answer ends in an orderly way: a
    /// broken connection could take the event away with it.
    shows_failures: bool,
    /// Where the answer is read on when the client leaves; without, upstream is closed.
    when_left: Option<(TaskTracker, Drains)>,
}

impl MeteredBody {
    /// A body that records as it passes. With `when_left` the answer is read to its end when the
    /// client leaves, else upstream is closed.
    pub(crate) fn new(metering: Metering, when_left: Option<(TaskTracker, Drains)>) -> Self {
        let state = metering.generation_id.clone().map_or(State::Passing, State::Fresh);
        let shows_failures = metering.shows_failure;
        let unsettled = Unsettled(Some(metering));
        Self { state, unsettled, rest: None, held: None, shows_failures, when_left }
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
            self.state = State::Opening(metering.opening(id.clone()));
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
            Poll::Ready(Err(cause)) => self.fail(BodyError::NotRecorded(cause)),
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
                let chunk = metering.shown(chunk, progress);
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
        let ended = metering.settle(interrupted);
        self.rest = Some(ended.rest);
        let then = match (ended.notice, then) {
            // There is one only where nothing else is held: at the end of the answer, or where it broke off.
            (Some(notice), _) => {
                self.held = Some(notice);
                Then::End
            }
            (None, Then::Fail(_)) if self.shows_failures => Then::End,
            (None, then) => then,
        };
        self.state = State::Settling(Box::pin(ended.recorder.settle(ended.settled)), then);
    }

    /// Ends the answer before its end.
    fn fail(&mut self, cause: BodyError) -> Poll<Option<Result<Bytes, BodyError>>> {
        self.state = State::Done;
        self.held = None;
        Poll::Ready(Some(if self.shows_failures { Ok(notice::cut_off()) } else { Err(cause) }))
    }

    fn poll_settling(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let State::Settling(recording, _) = &mut self.state else { return Poll::Ready(None) };
        let outcome = ready!(recording.as_mut().poll(context));
        let State::Settling(_, then) = std::mem::replace(&mut self.state, State::Done) else {
            return Poll::Ready(None);
        };
        if let Err(cause) = outcome {
            return self.fail(BodyError::NotRecorded(cause));
        }
        match then {
            Then::PassRest => self.state = State::Passing,
            Then::End => {}
            Then::Fail(cause) => return Poll::Ready(Some(Err(cause))),
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

/// The next piece of data; trailers carry nothing for us and are passed over.
pub(crate) fn poll_data(
    body: &mut Incoming,
    context: &mut Context<'_>,
) -> Poll<Option<hyper::Result<Bytes>>> {
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
        let Some((tracker, drains)) = self.when_left.take() else { return };
        let unsettled = Unsettled(self.unsettled.0.take());
        if unsettled.0.is_none() {
            return;
        }
        let opening = match std::mem::replace(&mut self.state, State::Done) {
            State::Opening(recording) => Some(recording),
            State::Fresh(id) => unsettled.0.as_ref().map(|metering| metering.opening(id)),
            _ => None,
        };
        drains.begin(&tracker, unsettled, opening);
    }
}
