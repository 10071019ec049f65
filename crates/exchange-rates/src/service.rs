//! [`ExchangeRateTable`]: what is stored of NBP's tables, for whoever asks. It never asks NBP.

use mai_primitives::{UsageDate, UsdPlnRate};
use mai_storage::Storage;

use crate::{
    error::Result,
    model::{CurrentRate, PublishedRate},
    policy::DayRatePolicy,
    published::{KnownDays, Published},
    query,
};

/// Reads the stored tables.
#[derive(Clone)]
pub struct ExchangeRateTable {
    storage: Storage,
    fallback: Option<UsdPlnRate>,
}

/// What is known of a day's rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayRate {
    /// The rate: of the day's table by the policy, or the present one while that is not certain. None where
    /// no rate is known at all.
    pub rate: Option<CurrentRate>,
    /// Whether it is certain and will not change.
    pub is_final: bool,
}

impl ExchangeRateTable {
    /// A service on `storage`. Where no table is known, the configured `fallback` stands in, if there is
    /// one.
    pub const fn new(storage: Storage, fallback: Option<UsdPlnRate>) -> Self {
        Self { storage, fallback }
    }

    /// The same service with another configured rate.
    #[must_use]
    pub fn with_fallback(self, fallback: Option<UsdPlnRate>) -> Self {
        Self { fallback, ..self }
    }

    /// The latest table that was published.
    pub async fn latest(&self) -> Result<Option<PublishedRate>> {
        self.storage.read(query::latest).await
    }

    /// The days of which it is known whether they have a table.
    pub async fn known(&self) -> Result<Option<KnownDays>> {
        self.storage.read(query::known).await
    }

    /// What is needed to tell the tables of the days from `from` to `to`, both included.
    pub async fn published(&self, from: UsageDate, to: UsageDate) -> Result<Published> {
        self.storage.read(move |conn| query::published(conn, from, to)).await
    }

    /// The rate of a day, by a policy.
    pub async fn rate_of(&self, day: UsageDate, policy: DayRatePolicy) -> Result<DayRate> {
        let fallback = self.fallback;
        let found = self.storage.read(move |conn| {
            let published = query::published(conn, day, day)?;
            Ok(match policy.rate_of(&published, day) {
                Some(table) => DayRate { rate: Some(table.clone().into()), is_final: true },
                None => DayRate { rate: query::current(conn, fallback)?, is_final: false },
            })
        });
        found.await
    }
}
