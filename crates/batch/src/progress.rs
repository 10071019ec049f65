//! How far the run of this process is, in memory.

use std::sync::{Arc, Mutex, PoisonError};

use mai_primitives::UsageDate;

/// What a process is doing for the daily run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// The run.
    pub run_id: String,
    /// Its processing date.
    pub processing_date: UsageDate,
    /// The name of the step.
    pub step: String,
    /// Its place in the run, from 0.
    pub position: i32,
    /// How many steps there are.
    pub steps: usize,
    /// How far the step is, in whatever it counts.
    pub done: i64,
    /// Where `done` ends; none while that is not known.
    pub total: Option<i64>,
}

/// Where it can be seen how far this process is. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Mutex<Option<Current>>>);

impl Progress {
    /// What this process is doing; none while it does nothing for the daily run.
    pub fn current(&self) -> Option<Current> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, current: Option<Current>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = current;
    }

    /// A step has begun to count up to `total`.
    pub(crate) fn count_to(&self, total: usize) {
        self.change(|current| {
            (current.done, current.total) = (0, Some(i64::try_from(total).unwrap_or(i64::MAX)));
        });
    }

    /// A step has done some more of what it counts.
    pub(crate) fn add(&self, done: usize) {
        let done = i64::try_from(done).unwrap_or(i64::MAX);
        self.change(|current| current.done = current.done.saturating_add(done));
    }

    fn change(&self, change: impl FnOnce(&mut Current)) {
        if let Some(current) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            change(current);
        }
    }
}
