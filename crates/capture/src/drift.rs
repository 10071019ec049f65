//! [`KeyReader`]: reads what OpenRouter has charged to each provider key, to be compared with the
//! ledger.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use mai_client_organization::OrganizationEntry;
use mai_openrouter::{KeyUsageSource, LookupError};
use mai_primitives::{Clock, OrganizationCalendar, UnixTime, UsageDate};
use mai_storage::Storage;
use mai_usage_tracking::drift::{KeyReading, store_reading};
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{applier::causes, directory::SharedDirectory};

/// How many keys are read at once.
const AT_ONCE: usize = 8;
const SECONDS_PER_DAY: i64 = 86_400;
/// Keys are read at 00:01, 00:16, 00:31 … UTC.
const EVERY_SECONDS: i64 = 900;
/// Within so many seconds of midnight UTC no key is read: OpenRouter's clock might show another day
/// than ours, and the reading would be stored under the wrong one.
const NEAR_MIDNIGHT_SECONDS: i64 = 60;

/// Reads all provider keys every quarter of an hour, the first time one minute after midnight UTC.
pub struct KeyReader {
    /// Where the usage of a key is asked for.
    pub source: Arc<dyn KeyUsageSource>,
    /// The database.
    pub storage: Storage,
    /// For the organizations' provider keys.
    pub directory: SharedDirectory,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Why a key was not read.
#[derive(Debug, Error)]
enum ReadError {
    #[error(transparent)]
    Source(#[from] LookupError),
    #[error("OpenRouter's figures leave the range that can be stored")]
    OutOfRange,
    #[error(transparent)]
    Storage(#[from] mai_storage::Error),
}

impl KeyReader {
    /// Works until `stop`. Several processes may do so on one database: they store the same.
    pub async fn run(self, stop: CancellationToken) {
        let pause = || {
            let now = self.clock.now().timestamp();
            Duration::from_secs(u64::try_from(next_round(now) - now).unwrap_or(0))
        };
        while stop.run_until_cancelled(tokio::time::sleep(pause())).await.is_some() {
            if stop.run_until_cancelled(self.round()).await.is_none() {
                return;
            }
        }
    }

    /// Reads every key once, unless midnight is near. What cannot be read is logged and read again the
    /// next time.
    pub async fn round(&self) {
        let now = self.clock.now();
        if is_near_midnight(now.timestamp()) {
            return;
        }
        let (read_at, usage_date) = (UnixTime::from(now), OrganizationCalendar::UTC.usage_date(now));
        let organizations: Vec<_> = self.directory.current().organizations().cloned().collect();
        stream::iter(organizations)
            .for_each_concurrent(AT_ONCE, |organization| async move {
                if let Err(cause) = self.read(&organization, read_at, usage_date).await {
                    warn!(organization = %organization.id, error = causes(&cause), "a provider key's usage was not read");
                }
            })
            .await;
    }

    /// Reads and stores the usage of an organization's key, if it has one.
    async fn read(
        &self,
        organization: &OrganizationEntry,
        read_at: UnixTime,
        usage_date: UsageDate,
    ) -> Result<(), ReadError> {
        let (Some(key), Some(fingerprint)) =
            (&organization.provider_key, &organization.provider_key_fingerprint)
        else {
            return Ok(());
        };
        let usage = self.source.key_usage(key).await?;
        let reading = KeyReading {
            client_org_id: organization.id.clone(),
            key_fingerprint: fingerprint.clone(),
            key_last4: organization.provider_key_last4.clone().unwrap_or_default(),
            read_at,
            usage_date,
            opening_total: usage.opening().ok_or(ReadError::OutOfRange)?,
            daily: usage.daily,
        };
        Ok(store_reading(&self.storage, reading).await?)
    }
}

/// The Unix second of the next round after `now`.
const fn next_round(now: i64) -> i64 {
    let rounds = (now - NEAR_MIDNIGHT_SECONDS).div_euclid(EVERY_SECONDS) + 1;
    rounds * EVERY_SECONDS + NEAR_MIDNIGHT_SECONDS
}

/// Whether a Unix second lies too near to midnight UTC.
fn is_near_midnight(now: i64) -> bool {
    let second = now.rem_euclid(SECONDS_PER_DAY);
    !(NEAR_MIDNIGHT_SECONDS..SECONDS_PER_DAY - NEAR_MIDNIGHT_SECONDS).contains(&second)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-07-15T00:00:00Z.
    const MIDNIGHT: i64 = 1_784_073_600;

    #[test]
    fn rounds_come_every_quarter_of_an_hour_and_never_near_midnight() {
        for (now, next) in [(0, 60), (59, 60), (60, 960), (61, 960), (959, 960), (86_399, 86_460)] {
            assert_eq!(next_round(MIDNIGHT + now), MIDNIGHT + next, "{now}");
        }
        let mut at = MIDNIGHT;
        for _ in 0..96 {
            at = next_round(at);
            assert!(!is_near_midnight(at), "{at}");
        }
        assert_eq!(at, MIDNIGHT + 85_560);
        for (second, near) in
            [(0, true), (59, true), (60, false), (86_339, false), (86_340, true), (86_399, true)]
        {
            assert_eq!(is_near_midnight(MIDNIGHT + second), near, "{second}");
        }
    }
}
