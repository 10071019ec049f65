//! How many calls a minute a key and a member may make, and whoever asks the API.
//!
//! It is GCRA, the leaky bucket that needs one instant per bucket: a bucket may take a minute's calls at
//! once and then one each time an equal part of a minute has passed. It is written here, in some lines,
//! because each key has a rate of its own and time comes from a [`Clock`](mai_primitives::Clock); the
//! crate `governor` has one rate and one clock for all of its buckets. All numbers are whole.
//!
//! A bucket that is empty again is forgotten, so memory follows the calls of the last minute. Each process
//! counts for itself.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use mai_organization::{audit_log::Actor, client_organization::GatewayKeyEntry};
use mai_primitives::UserId;
use thiserror::Error;

/// The highest rate that can be set.
pub const MAX_RATE: u32 = 1_000_000;

const MINUTE_MICROS: i64 = 60_000_000;
const SECOND_MICROS: i64 = 1_000_000;

/// How many locks share the buckets, so that threads seldom wait for one another.
const SHARDS: usize = 64;
/// A shard with fewer buckets is not worth being cleaned.
const SWEEP_FROM: usize = 32;

/// A call came too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("too many requests: {whose} may make {limit} a minute; try again in {retry_after_seconds} s")]
pub struct TooMany {
    whose: &'static str,
    limit: NonZeroU32,
    /// After how many seconds a call is taken again, rounded up.
    pub(crate) retry_after_seconds: i64,
}

/// The buckets of all keys and members.
#[derive(Debug)]
pub struct RateLimits {
    per_member: Option<NonZeroU32>,
    per_caller: Option<NonZeroU32>,
    /// A bucket goes by a hash that nobody outside can compute, so that no text of any length is kept. Two
    /// buckets with one hash would share a rate; among a million of them it is one chance in 37 million.
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

impl RateLimits {
    /// Empty buckets, with a rate of each member at the gateway and of each caller of the API, where there
    /// is one.
    pub fn new(per_member: Option<NonZeroU32>, per_caller: Option<NonZeroU32>) -> Self {
        let shards = std::array::from_fn(|_| Mutex::default());
        Self { per_member, per_caller, hasher: RandomState::new(), shards }
    }

    /// Takes a request to the API of whoever has a token or is signed in.
    pub(crate) fn take_for_caller(&self, caller: &Actor, now: DateTime<Utc>) -> Result<(), TooMany> {
        let Some(limit) = self.per_caller else { return Ok(()) };
        self.take(("caller", caller.kind().as_str(), caller.id()), limit, now).map_err(
            |retry_after_seconds| TooMany { whose: "each caller of the API", limit, retry_after_seconds },
        )
    }

    /// Takes a call with this key, if the key has a rate of its own.
    pub(super) fn take_for_key(&self, key: &GatewayKeyEntry, now: DateTime<Utc>) -> Result<(), TooMany> {
        let Some(limit) = key.requests_per_minute else { return Ok(()) };
        self.take(("key", key.organization.id.as_str(), key.id.as_str()), limit, now)
            .map_err(|retry_after_seconds| TooMany { whose: "this API key", limit, retry_after_seconds })
    }

    /// Takes a call of a member, with whatever key. Calls of nobody count for the key that brings them.
    pub(super) fn take_for_member(
        &self,
        key: &GatewayKeyEntry,
        user: &UserId,
        now: DateTime<Utc>,
    ) -> Result<(), TooMany> {
        let Some(limit) = self.per_member else { return Ok(()) };
        let organization = key.organization.id.as_str();
        let (bucket, whose) = if user.as_str() == UserId::UNATTRIBUTED {
            (("nobody", organization, key.id.as_str()), "an API key without a member")
        } else {
            (("member", organization, user.as_str()), "each member")
        };
        self.take(bucket, limit, now).map_err(|retry_after_seconds| TooMany {
            whose,
            limit,
            retry_after_seconds,
        })
    }

    /// Takes one call, or tells after how many seconds it would be taken.
    fn take(&self, bucket: impl Hash, limit: NonZeroU32, now: DateTime<Utc>) -> Result<(), i64> {
        let hash = self.hasher.hash_one(bucket);
        let shard = usize::try_from(hash >> 58).ok().and_then(|index| self.shards.get(index));
        // There are as many shards as six bits have values.
        let Some(shard) = shard else { return Ok(()) };
        // A shard is valid whatever its last holder did.
        shard.lock().unwrap_or_else(PoisonError::into_inner).take(hash, limit, now.timestamp_micros())
    }

    #[cfg(test)]
    fn buckets(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().empty_at.len()).sum()
    }
}

/// Some of the buckets.
#[derive(Debug, Default)]
struct Shard {
    /// When each bucket is empty again, in microseconds since 1970.
    empty_at: HashMap<u64, i64>,
    /// How many buckets there may be until those that are empty are forgotten.
    sweep_at: usize,
}

impl Shard {
    fn take(&mut self, bucket: u64, limit: NonZeroU32, now: i64) -> Result<(), i64> {
        let limit = i64::from(limit.get());
        let interval = MINUTE_MICROS / limit;
        let full = limit.saturating_mul(interval);
        let Some(empty_at) = self.empty_at.get_mut(&bucket) else {
            self.insert(bucket, now.saturating_add(interval), now);
            return Ok(());
        };
        // A bucket cannot be fuller than full: a clock that was set back must not shut anybody out.
        *empty_at = (*empty_at).clamp(now, now.saturating_add(full));
        let next = empty_at.saturating_add(interval);
        let too_early = next.saturating_sub(now).saturating_sub(full);
        if too_early > 0 {
            // Rounded up, so that whoever waits so long is not refused again.
            return Err(too_early.saturating_add(SECOND_MICROS - 1) / SECOND_MICROS);
        }
        *empty_at = next;
        Ok(())
    }

    /// Adds a bucket, and now and then forgets those that are empty.
    fn insert(&mut self, bucket: u64, empty_at: i64, now: i64) {
        if self.empty_at.len() >= self.sweep_at {
            self.empty_at.retain(|_, empty_at| *empty_at > now);
            self.sweep_at = self.empty_at.len().saturating_mul(2).max(SWEEP_FROM);
            self.empty_at.shrink_to(self.sweep_at);
        }
        self.empty_at.insert(bucket, empty_at);
    }
}

#[cfg(test)]
mod tests {
    use mai_primitives::{Clock, ManualClock};
    use proptest::prelude::*;

    use super::*;

    fn limit(limit: u32) -> NonZeroU32 {
        NonZeroU32::new(limit).unwrap()
    }

    fn clock() -> ManualClock {
        ManualClock::at("2026-11-26T12:00:00Z".parse().unwrap())
    }

    #[test]
    fn a_minute_s_calls_may_come_at_once_and_then_one_by_one() {
        let (rates, clock) = (RateLimits::new(None, None), clock());
        let take = |bucket: &str, per_minute| rates.take(bucket, limit(per_minute), clock.now());
        for _ in 0..100 {
            assert_eq!(take("anna", 100), Ok(()));
        }
        assert_eq!(take("anna", 100), Err(1));
        // Others are not concerned.
        assert_eq!(take("ben", 100), Ok(()));
        clock.advance_millis(599);
        assert_eq!(take("anna", 100), Err(1));
        clock.advance_millis(1);
        assert_eq!(take("anna", 100), Ok(()));
        assert_eq!(take("anna", 100), Err(1));
        clock.advance_millis(60_000);
        for _ in 0..100 {
            assert_eq!(take("anna", 100), Ok(()));
        }
        assert_eq!(take("anna", 100), Err(1));
    }

    #[test]
    fn the_wait_is_told_in_whole_seconds_rounded_up() {
        let (rates, clock) = (RateLimits::new(None, None), clock());
        let take = || rates.take("anna", limit(1), clock.now());
        assert_eq!(take(), Ok(()));
        for (millis, expected) in [(0, 60), (1, 60), (999, 59), (58_999, 1), (0, 1)] {
            clock.advance_millis(millis);
            assert_eq!(take(), Err(expected), "after {millis} ms more");
        }
        clock.advance_millis(1);
        assert_eq!(take(), Ok(()));
    }

    #[test]
    fn a_clock_that_is_set_back_shuts_nobody_out_for_longer_than_a_full_bucket() {
        let (rates, clock) = (RateLimits::new(None, None), clock());
        let take = || rates.take("anna", limit(60), clock.now());
        assert_eq!(take(), Ok(()));
        clock.advance_millis(-86_400_000);
        assert_eq!(take(), Err(1));
        clock.advance_millis(1_000);
        assert_eq!(take(), Ok(()));
    }

    #[test]
    fn a_rate_that_is_changed_holds_at_once() {
        let (rates, clock) = (RateLimits::new(None, None), clock());
        for _ in 0..50 {
            assert_eq!(rates.take("anna", limit(100), clock.now()), Ok(()));
        }
        // Half a minute's worth was taken.
        assert_eq!(rates.take("anna", limit(2), clock.now()), Ok(()));
        assert_eq!(rates.take("anna", limit(2), clock.now()), Err(30));
        assert_eq!(rates.take("anna", limit(MAX_RATE), clock.now()), Err(1));
        clock.advance_millis(1);
        assert_eq!(rates.take("anna", limit(MAX_RATE), clock.now()), Ok(()));
    }

    #[test]
    fn buckets_that_are_empty_are_forgotten() {
        let (rates, clock) = (RateLimits::new(None, None), clock());
        for number in 0..100_000_u32 {
            rates.take(number, limit(60), clock.now()).unwrap();
            clock.advance_millis(1);
        }
        // One call is in its bucket for a second, so about a thousand of them count.
        let kept = rates.buckets();
        assert!((1_000..=2 * 1_000 + SHARDS * SWEEP_FROM).contains(&kept), "{kept} buckets");
    }

    proptest! {
        /// However calls come, a minute has no more than its calls and those that a full bucket held before.
        #[test]
        fn no_pattern_brings_more(per_minute in 1..200_u32, pauses in prop::collection::vec(0..5_000_i64, 1..400)) {
            let (rates, clock) = (RateLimits::new(None, None), clock());
            let mut taken = Vec::new();
            for pause in pauses {
                clock.advance_millis(pause);
                match rates.take("anna", limit(per_minute), clock.now()) {
                    Ok(()) => taken.push(clock.now().timestamp_millis()),
                    Err(wait) => {
                        prop_assert!((1..=60).contains(&wait));
                        // Whoever waits as told is taken.
                        let later = clock.now() + chrono::TimeDelta::seconds(wait);
                        let copy = rates.take("anna", limit(per_minute), later);
                        prop_assert_eq!(copy, Ok(()));
                        clock.set(later);
                        taken.push(later.timestamp_millis());
                    }
                }
            }
            for (at, first) in taken.iter().enumerate() {
                let within = taken[at..].iter().take_while(|instant| **instant - first < 60_000).count();
                prop_assert!(within < 2 * usize::try_from(per_minute).unwrap() + 1, "{within} calls");
            }
        }
    }
}
