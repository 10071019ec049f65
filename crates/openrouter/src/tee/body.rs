//! The tee of plain answers.

use super::wanted::{Names, of_body};
use super::{Observation, TeeProgress, usage_of};
use crate::json_scan::JsonScan;
use crate::route::Route;

/// Tee of a plain answer: one JSON object, read without being held.
#[derive(Debug)]
pub struct BodyTee {
    route: Route,
    scan: JsonScan,
    seen: Observation,
}

impl BodyTee {
    /// A tee at the beginning of the body of an answer from `route`.
    pub fn new(route: Route) -> Self {
        Self { route, scan: JsonScan::new(of_body(route)), seen: Observation::default() }
    }

    /// Reads the next bytes of the body, cut anywhere.
    ///
    /// The id is known as soon as its value was read; everything else counts when the object is closed. Of a repeated key
    /// the last value counts in the end.
    pub fn feed(&mut self, chunk: &[u8]) -> TeeProgress {
        let mut progress = TeeProgress::default();
        self.scan.feed(chunk);
        self.seen.take_id(self.route, Names::Top, &self.scan, &mut progress);
        if self.scan.is_complete() && !self.seen.complete {
            self.seen.take_names(Names::Top, &self.scan);
            self.seen.take_error(&self.scan);
            if let Some(usage) = usage_of(self.scan.value("usage"), self.route) {
                self.seen.set_usage(usage, &mut progress);
            }
            self.seen.complete = true;
            progress.done = true;
        }
        progress
    }

    /// The generation id that the body names.
    pub fn generation_id(&self) -> Option<&str> {
        self.seen.generation_id.as_deref()
    }

    /// The body ended, early or not. Of a cut body, id, model and provider are taken if they were read.
    pub fn finish(mut self) -> Observation {
        self.seen.generation_id = None;
        self.seen.take_id(self.route, Names::Top, &self.scan, &mut TeeProgress::default());
        self.seen.take_names(Names::Top, &self.scan);
        self.seen
    }

    /// Bytes of heap held for what was read.
    #[cfg(any(test, feature = "testing"))]
    pub fn capacity(&self) -> usize {
        self.scan.capacity()
    }
}
