//! The mock's NBP, a clock that is set by hand, and both databases.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use mai_mock_openrouter::{Mock, MockSettings};
use mai_primitives::{Clock, ManualClock, UnixTime, UsageDate, UsdPlnRate};
use mai_storage::Storage;

use crate::{KnownDays, NbpClient, NbpSettings, PublishedRate, RateUpdater};

mod client;
mod golden;
mod published;
mod sum_pln;
mod update;

fn day(text: &str) -> UsageDate {
    UsageDate::parse(text).unwrap()
}

fn days(from: &str, through: &str) -> KnownDays {
    KnownDays { from: day(from), through: day(through) }
}

fn table(date: &str, rate: &str) -> PublishedRate {
    PublishedRate {
        effective_date: day(date),
        table_no: format!("{date}/A"),
        rate: UsdPlnRate::parse(rate).unwrap(),
        fetched_at: UnixTime::from_seconds(0),
    }
}

/// On one runtime for all, which open connections belong to.
fn wait<T>(work: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().build().unwrap()
    });
    runtime.block_on(work)
}

/// The mock and a clock that both it and the updater go by.
struct World {
    mock: Mock,
    clock: ManualClock,
}

impl World {
    fn at(now: &str) -> Self {
        // Fails when another test of this process was first, and then there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = ManualClock::at(now.parse().unwrap());
        let mock_clock = clock.clone();
        let now = Arc::new(move || mock_clock.now().timestamp_millis());
        Self { mock: Mock::start(MockSettings { now, ..MockSettings::default() }).unwrap(), clock }
    }

    fn set(&self, now: &str) {
        self.clock.set(now.parse().unwrap());
    }

    fn client(&self, attempts_after_the_first: usize) -> NbpClient {
        let pauses = vec![Duration::from_millis(1); attempts_after_the_first];
        NbpClient::new(NbpSettings { pauses, ..NbpSettings::at(self.mock.nbp_url()) }).unwrap()
    }

    fn updater(&self, storage: &Storage) -> RateUpdater {
        RateUpdater::new(storage.clone(), self.client(0), Arc::new(self.clock.clone()))
    }
}
