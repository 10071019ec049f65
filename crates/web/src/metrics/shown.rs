//! The figures of this process that a page for people shows.

use std::time::Duration;

use mai_primitives::UnixTime;

use super::Metrics;

/// What has happened since the process began, and what is going on.
pub(crate) struct Shown {
    /// When it began.
    pub(crate) started_at: UnixTime,
    /// Calls of the gateway whose answer has not passed through yet.
    pub(crate) open_calls: i64,
    /// Those of them whose answer is a stream.
    pub(crate) open_streams: i64,
    /// How many calls were answered.
    pub(crate) calls: u64,
    /// How many calls were refused because a limit had no room.
    pub(crate) refused: u64,
    /// Look-ups of costs that found one, and those that failed.
    pub(crate) look_ups: (u64, u64),
    /// How many records were made durable, and how many reached the database.
    pub(crate) records: (u64, u64),
    /// Bytes that the journal may have.
    pub(crate) journal_limit: u64,
    /// Since when organizations and keys were not compared with the database; none before the first time.
    pub(crate) directory_age: Option<Duration>,
}

impl Metrics {
    /// The figures.
    pub(crate) fn shown(&self) -> Shown {
        let stats = self.journal.stats();
        let looked = self.look_ups.by_result();
        let of = |wanted: &[&str]| {
            let counts = looked.iter().filter(|(result, _)| wanted.contains(result));
            counts.fold(0_u64, |sum, (_, count)| sum.saturating_add(*count))
        };
        Shown {
            started_at: self.started_at,
            open_calls: self.traffic.open_calls(),
            open_streams: self.traffic.open_streams(),
            calls: self.traffic.calls().fold(0_u64, |sum, calls| sum.saturating_add(calls.count)),
            refused: self.limits.refusals().iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count)),
            look_ups: (of(&["found"]), of(&["unauthorized", "rate_limited", "failed"])),
            records: (stats.records, self.applier.records()),
            journal_limit: stats.max_bytes,
            directory_age: self.directory.age(),
        }
    }
}
