//! A body that is written step by step: how the bytes of a [`Script`] travel, with every split, pause and break.

use crate::behaviour::Behaviour;
use crate::gzip::Gzip;
use crate::inference::Open;
use crate::random::below;
use crate::respond::Abort;
use crate::script::{Next, Script};
use bytes::Bytes;
use http_body::Frame;
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::time::{Sleep, sleep};

/// The body of one generation. Dropping it before its end is how the mock learns that the client has left.
pub(crate) struct ScriptBody {
    open: Open,
    script: Script,
    pieces: VecDeque<Bytes>,
    gzip: Option<Gzip>,
    hasher: Option<Sha256>,
    pause: Option<Pin<Box<Sleep>>>,
    wrote: bool,
    finished: bool,
}

impl ScriptBody {
    /// Writes this script for this generation.
    pub(crate) fn new(open: Open, script: Script) -> Self {
        Self {
            gzip: open.generation.plan.has(Behaviour::Gzip).then(Gzip::new),
            hasher: open.state.settings.keep_bodies.then(Sha256::new),
            open,
            script,
            pieces: VecDeque::new(),
            pause: None,
            wrote: false,
            finished: false,
        }
    }

    /// Whether the last byte has been handed out.
    pub(crate) const fn is_finished(&self) -> bool {
        self.finished
    }

    /// The next piece. Between two pieces it yields once, so that each goes out in a write of its own, as tokens do.
    pub(crate) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Abort>>> {
        if self.wrote {
            self.wrote = false;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.pieces.is_empty() {
            if let Some(pause) = self.pause.as_mut() {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            match self.script.next() {
                Next::End => return Poll::Ready(None),
                Next::Break => return Poll::Ready(Some(Err(Abort))),
                Next::Hang => return Poll::Pending,
                Next::Bytes => self.fill(),
            }
        }
        let Some(piece) = self.pieces.pop_front() else { return Poll::Ready(None) };
        if let Some(hasher) = self.hasher.as_mut() {
            hasher.update(&piece);
        }
        if self.pieces.is_empty() {
            self.open.delivered = self.script.delivered;
            if self.script.next() == Next::End {
                self.finished = true;
                self.open.complete(self.hasher.take());
            } else {
                self.pause = self.open.generation.plan.slow().map(|pause| Box::pin(sleep(pause)));
            }
        }
        self.wrote = true;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    /// Turns the next step, or with `one-chunk` all of them, into pieces.
    fn fill(&mut self) {
        let generation = &self.open.generation;
        let mut parts = self.script.take(generation);
        if generation.plan.has(Behaviour::OneChunk) {
            while self.script.next() == Next::Bytes {
                parts.append(&mut self.script.take(generation));
            }
            parts = vec![parts.concat().into()];
        }
        if let Some(gzip) = self.gzip.as_mut() {
            let mut out = Vec::new();
            for part in &parts {
                gzip.part(part, &mut out);
            }
            if self.script.next() == Next::End {
                gzip.finish(&mut out);
            }
            parts = vec![out.into()];
        }
        for part in parts {
            self.split(part);
        }
    }

    /// Queues a part in the pieces that the behaviour asks for.
    fn split(&mut self, mut part: Bytes) {
        let generation = &self.open.generation;
        let plan = &generation.plan;
        let longest = if plan.has(Behaviour::Split1) {
            Some(1)
        } else if plan.has(Behaviour::SplitRandom) {
            Some(40)
        } else {
            None
        };
        let length_at = |rest: usize, longest: u32| {
            let index = u64::try_from(rest).unwrap_or(0);
            usize::try_from(below(generation.seed, index, longest)).unwrap_or(0) + 1
        };
        while let Some(length) = longest.map(|longest| length_at(part.len(), longest))
            && length < part.len()
        {
            self.pieces.push_back(part.split_to(length));
        }
        self.pieces.push_back(part);
    }
}
