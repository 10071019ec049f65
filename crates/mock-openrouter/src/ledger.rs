//! What the mock has charged: the truth that a meter is compared with.

use crate::money::nano_usd;
use crate::route::Route;
use rust_decimal::Decimal;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Milliseconds of a UTC day.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// One generation as the mock has charged it. Every generation is in the ledger exactly once, free ones too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Its own generation id, as in `/generation?id=`, and in `X-Generation-Id` unless an id is reused.
    pub id: String,
    /// The generation id that the answer told. It differs from `id` only with `reused-id`.
    pub told_id: String,
    /// What was ordered.
    pub route: Route,
    /// The bearer key it was ordered with.
    pub api_key: String,
    /// The `user` field of the request body or form.
    pub user: Option<String>,
    /// The model that answered, as the answer names it.
    pub model: String,
    /// The model the request asked for.
    pub requested_model: String,
    /// Display name of the serving provider.
    pub provider: &'static str,
    /// Cost in USD as `/generation` prints it, and as the inline usage prints it where that tells the truth (see
    /// [`Behaviour::outcome_on`](crate::Behaviour::outcome_on)).
    pub cost_text: String,
    /// The number of `cost_text`.
    pub cost: Decimal,
    /// `upstream_inference_cost` in USD as printed, for generations with an own provider key.
    pub upstream_text: Option<String>,
    /// What was spent in USD, unrounded: cost plus, with an own provider key, the upstream cost. A meter books
    /// [`nano_usd`] of it.
    pub total: Decimal,
    /// Whether an own provider key was used.
    pub byok: bool,
    /// Native prompt tokens.
    pub prompt_tokens: i64,
    /// Native completion tokens that were charged, reasoning included; 0 for embeddings and rankings.
    pub completion_tokens: i64,
    /// The part of `prompt_tokens` that came from the provider's cache.
    pub cached_tokens: i64,
    /// The part of `prompt_tokens` that was written to the provider's cache.
    pub cache_write_tokens: i64,
    /// The part of `completion_tokens` that was reasoning.
    pub reasoning_tokens: i64,
    /// Whether the answer was a stream.
    pub streamed: bool,
    /// Whether the client left, or the connection broke, and the provider stopped early.
    pub cancelled: bool,
    /// `stop`, `error`, or nothing for a cancelled generation.
    pub finish_reason: Option<&'static str>,
    /// When the request was complete, in milliseconds since 1970-01-01T00:00:00Z. It decides the UTC day of key usage.
    pub started_unix_ms: i64,
    /// When the generation ended, in the same unit.
    pub finished_unix_ms: i64,
    /// Lower-case hex SHA-256 of all body bytes, when all were sent and bodies are kept.
    pub body_sha256: Option<String>,
}

/// Spend of one key on one UTC day, in USD.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spend {
    /// Charged to the account.
    pub(crate) usage: Decimal,
    /// Spent at the own provider.
    pub(crate) byok: Decimal,
}

/// The result of asking for a generation.
pub(crate) enum Found {
    /// Not known, or not yet.
    NotYet,
    /// A failure the settings ask for.
    Fail(u16),
    /// The record.
    Charge(Arc<Charge>),
}

struct Entry {
    charge: Arc<Charge>,
    visible_at: Instant,
    look_ups: u32,
}

#[derive(Default)]
struct Book {
    charges: VecDeque<Arc<Charge>>,
    by_id: HashMap<String, Entry>,
    /// Key to UTC day number to spend.
    by_key: HashMap<String, BTreeMap<i64, Spend>>,
    /// Key to the id that its answers with a reused id tell.
    reused: HashMap<String, String>,
    count: u64,
    total_nanos: i64,
}

/// All charges, under one lock that is never held over anything slow.
pub(crate) struct Ledger {
    book: Mutex<Book>,
    keep: usize,
    failures: u32,
}

impl Ledger {
    /// An empty ledger that keeps that many charges and fails the first look-ups of each.
    pub(crate) fn new(keep: usize, failures: u32) -> Self {
        Self { book: Mutex::default(), keep, failures }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id that all answers of a key with a reused id tell: the first of their own ids.
    pub(crate) fn reuse_id(&self, key: &str, own: &str) -> String {
        self.book().reused.entry(key.to_owned()).or_insert_with(|| own.to_owned()).clone()
    }

    /// Enters a charge; `/generation` knows it after `delay`.
    pub(crate) fn push(&self, charge: Charge, delay: Duration) -> Arc<Charge> {
        let charge = Arc::new(charge);
        let visible_at = Instant::now() + delay;
        let mut book = self.book();
        book.count += 1;
        book.total_nanos = book.total_nanos.saturating_add(nano_usd(&charge.total));
        if !book.by_key.contains_key(&charge.api_key) {
            book.by_key.insert(charge.api_key.clone(), BTreeMap::new());
        }
        if let Some(days) = book.by_key.get_mut(&charge.api_key) {
            let day = days.entry(charge.started_unix_ms.div_euclid(DAY_MS)).or_default();
            day.usage += charge.cost;
            day.byok += charge.total - charge.cost;
        }
        book.by_id.insert(charge.id.clone(), Entry { charge: Arc::clone(&charge), visible_at, look_ups: 0 });
        book.charges.push_back(Arc::clone(&charge));
        while book.charges.len() > self.keep {
            if let Some(oldest) = book.charges.pop_front() {
                book.by_id.remove(&oldest.id);
            }
        }
        charge
    }

    /// Looks a generation up as a client of `/generation` does.
    pub(crate) fn look_up(&self, id: &str) -> Found {
        let mut book = self.book();
        let Some(entry) = book.by_id.get_mut(id) else { return Found::NotYet };
        if entry.look_ups < self.failures {
            entry.look_ups += 1;
            return Found::Fail(if entry.look_ups % 2 == 1 { 500 } else { 429 });
        }
        if Instant::now() < entry.visible_at {
            return Found::NotYet;
        }
        Found::Charge(Arc::clone(&entry.charge))
    }

    /// The kept charges in the order they were made.
    pub(crate) fn charges(&self) -> Vec<Charge> {
        self.book().charges.iter().map(|charge| Charge::clone(charge)).collect()
    }

    /// How many charges were made, and their sum in nano-dollars, each rounded on its own.
    pub(crate) fn totals(&self) -> (u64, i64) {
        let book = self.book();
        (book.count, book.total_nanos)
    }

    /// What a key spent from a UTC day (number since 1970-01-01) on.
    pub(crate) fn spent_since(&self, key: &str, day: i64) -> Spend {
        let book = self.book();
        let mut sum = Spend::default();
        for spend in
            book.by_key.get(key).into_iter().flat_map(|days| days.range(day..)).map(|(_, spend)| spend)
        {
            sum.usage += spend.usage;
            sum.byok += spend.byok;
        }
        sum
    }
}
