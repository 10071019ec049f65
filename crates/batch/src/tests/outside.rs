//! The steps that ask NBP and OpenRouter, against the stand-in, and the freezing of months.

use std::sync::Arc;

use diesel::prelude::*;
use mai_billing::schema::subscription_months;
use mai_exchange_rates::{NbpClient, NbpSettings, RateUpdater};
use mai_mock_openrouter::{Mock, MockSettings};
use mai_model_prices::ModelPriceTable;
use mai_openrouter::OpenRouterClient;
use mai_primitives::{Clock, ManualClock, UsageDate, UsdPlnRate};
use mai_storage::{DbConnection, Storage, testing::TestDb};
use mai_usage_tracking::schema::client_daily_usage;
use serde_json::json;

use super::{clock, create_organization, details, do_run, record, settings, used};
use crate::{Batch, RunStatus, Sources, StepStatus};

fn mock_at(clock: &ManualClock) -> Mock {
    let clock = clock.clone();
    let now = Arc::new(move || clock.now().timestamp_millis());
    Mock::start(MockSettings { now, ..MockSettings::default() }).unwrap()
}

fn batch_asking(storage: &Storage, clock: &ManualClock, nbp: &str, openrouter: &str) -> Batch {
    // Another test of this process may have done it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let client = NbpClient::new(NbpSettings::at(nbp)).unwrap();
    let sources = Sources {
        rates: RateUpdater::new(storage.clone(), client, Arc::clone(&shared)),
        prices: ModelPriceTable::new(
            storage.clone(),
            OpenRouterClient::new(openrouter).unwrap(),
            Arc::clone(&shared),
        ),
    };
    let settings = crate::BatchSettings { sources: Some(sources), ..settings() };
    Batch::new(storage.clone(), shared, settings, "p").0
}

/// The rate and the table's day of the one day with usage.
fn rate_of_the_day(storage: &Storage) -> (Option<UsdPlnRate>, Option<UsageDate>) {
    let read = |conn: &mut DbConnection| {
        let columns = (client_daily_usage::usd_pln_rate, client_daily_usage::rate_effective_date);
        Ok::<_, mai_storage::Error>(client_daily_usage::table.select(columns).first(conn)?)
    };
    storage.read_blocking(read).unwrap()
}

fn frozen(storage: &Storage) -> Vec<String> {
    let read = |conn: &mut DbConnection| {
        let months = subscription_months::table.select(subscription_months::month);
        Ok::<_, mai_storage::Error>(months.order(subscription_months::month).load::<UsageDate>(conn)?)
    };
    storage.read_blocking(read).unwrap().iter().map(ToString::to_string).collect()
}

#[test]
fn a_run_brings_rates_prices_and_seats_up_to_date() {
    TestDb::each(|storage| {
        let now = clock("2026-01-10T10:00:00Z");
        create_organization(storage, "a", &now);
        let now = clock("2026-03-11T12:00:00Z");
        record(storage, &[used("a", "g1", "2026-03-10", "anna", "x/a", 1_000_000)], now.now().into());
        let mock = mock_at(&now);
        let batch = batch_asking(storage, &now, &mock.nbp_url(), &mock.base_url());

        let (run, steps) = do_run(&batch, "2026-03-10", false);
        assert_eq!(run.status, RunStatus::Succeeded);
        let rates = details(&steps, "exchange_rate_update");
        assert_eq!((&rates["days_fixed"], &rates["tables_differing"]), (&json!(1), &json!(0)));
        // The run is at 13:00, when the table of the day is there.
        assert_eq!(rates["effective_date"], "2026-03-11");
        let (rate, table) = rate_of_the_day(storage);
        assert!(rate.is_some());
        assert_eq!(table.map(|day| day.to_string()).as_deref(), Some("2026-03-10"));
        assert!(details(&steps, "model_pricing_update")["models_count"].as_u64().unwrap() > 10);
        // From the organization's first month on.
        assert_eq!(details(&steps, "subscription_freeze")["frozen"], 2);
        assert_eq!(frozen(storage), ["2026-01-01", "2026-02-01"]);

        let (_, steps) = do_run(&batch, "2026-03-10", true);
        assert_eq!(details(&steps, "exchange_rate_update")["days_fixed"], 0);
        assert_eq!(details(&steps, "subscription_freeze")["frozen"], 0);
        assert_eq!(rate_of_the_day(storage).0, rate);
    });
}

#[test]
fn without_nbp_a_run_fails_and_without_the_price_list_it_does_not() {
    TestDb::each(|storage| {
        let now = clock("2026-03-11T12:00:00Z");
        create_organization(storage, "a", &now);
        record(storage, &[used("a", "g1", "2026-03-10", "anna", "x/a", 1_000_000)], now.now().into());
        let mock = mock_at(&now);
        // A port where nobody listens.
        let nobody = "http://127.0.0.1:9";
        // In this order, because what is known is not asked for again.
        for (nbp, openrouter, succeeds) in
            [(nobody.to_owned(), mock.base_url(), false), (mock.nbp_url(), nobody.to_owned(), true)]
        {
            let batch = batch_asking(storage, &now, &nbp, &openrouter);
            let (run, steps) = do_run(&batch, "2026-03-10", true);
            assert_eq!(run.status == RunStatus::Succeeded, succeeds, "{run:?}");
            let failed: Vec<&str> = steps
                .iter()
                .filter(|step| step.status == StepStatus::Failed)
                .map(|step| step.name.as_str())
                .collect();
            let expected = if succeeds { "model_pricing_update" } else { "exchange_rate_update" };
            assert_eq!(failed, [expected]);
            // What does not need them is done all the same.
            details(&steps, "daily_validation");
        }
    });
}
