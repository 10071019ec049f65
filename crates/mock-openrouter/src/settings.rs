//! What a mock is started with.

use crate::broadcast::BroadcastTarget;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The clock of a mock: the present moment in milliseconds since 1970-01-01T00:00:00Z.
pub type Now = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Settings of a [`Mock`](crate::Mock). The defaults suit a test; a load test turns the recording of requests off.
#[derive(Clone)]
pub struct MockSettings {
    /// Port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Clock for ids, timestamps, key usage per UTC day and the "today" of the NBP tables.
    pub now: Now,
    /// Seed of texts, token counts and exchange rates. The same seed and the same order of requests give the same answers.
    pub seed: u64,
    /// How long after its end a generation stays unknown (404) to `/generation`. Real time, not [`MockSettings::now`].
    pub generation_delay: Duration,
    /// The first so many look-ups of each generation fail, in turn with 500 and 429.
    pub generation_failures: u32,
    /// How many of the latest requests are kept for [`Mock::requests`](crate::Mock::requests); 0 keeps none.
    pub keep_requests: usize,
    /// Keep request bodies with their SHA-256, and hash answers for [`Charge::body_sha256`](crate::Charge::body_sha256).
    pub keep_bodies: bool,
    /// How many of the latest charges are kept for the ledger and `/generation`. The totals are never cut.
    pub keep_charges: usize,
    /// The only key that may call `/keys`. It may not call inference, as at OpenRouter.
    pub management_key: String,
    /// Where each charge is broadcast to. [`Mock::broadcast_to`](crate::Mock::broadcast_to) changes it later, for a target
    /// that is started after the mock.
    pub broadcast: Option<BroadcastTarget>,
}

impl Default for MockSettings {
    fn default() -> Self {
        Self {
            port: 0,
            now: system_clock(),
            seed: 1,
            generation_delay: Duration::ZERO,
            generation_failures: 0,
            keep_requests: 10_000,
            keep_bodies: true,
            keep_charges: usize::MAX,
            management_key: "sk-or-v1-management".to_owned(),
            broadcast: None,
        }
    }
}

impl fmt::Debug for MockSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("MockSettings")
            .field("port", &self.port)
            .field("seed", &self.seed)
            .field("generation_delay", &self.generation_delay)
            .field("generation_failures", &self.generation_failures)
            .field("keep_requests", &self.keep_requests)
            .field("keep_bodies", &self.keep_bodies)
            .field("keep_charges", &self.keep_charges)
            .field("broadcast", &self.broadcast)
            .finish_non_exhaustive()
    }
}

/// The clock of the machine.
#[expect(
    clippy::disallowed_methods,
    reason = "the mock depends on no other crate, so this is its only door to the system clock"
)]
pub fn system_clock() -> Now {
    Arc::new(|| {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
    })
}
