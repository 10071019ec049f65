//! A simulated clock around midnight in Warsaw, on days of 23, 24 and 25 hours.

use std::sync::Arc;

use mai_mock_openrouter::{Mock, MockSettings};
use mai_organization::{ClientOrganizationForm, client_organization::NewGatewayKey};
use mai_primitives::{ManualClock, OrganizationId};
use mai_storage::testing::TestDb;
use mai_tests::{client::Client, database_url, gateway::provider_key, ledger::rows};
use mai_web::{Application, Settings};

/// The instant, and the local day on which its call must be booked.
const CALLS: [(&str, &str); 10] = [
    ("2026-01-31T22:59:59.999Z", "2026-01-31"),
    ("2026-01-31T23:00:00.000Z", "2026-02-01"),
    ("2026-03-28T22:59:59.999Z", "2026-03-28"),
    ("2026-03-28T23:00:00.000Z", "2026-03-29"),
    ("2026-03-29T21:59:59.999Z", "2026-03-29"),
    ("2026-03-29T22:00:00.000Z", "2026-03-30"),
    ("2026-10-24T21:59:59.999Z", "2026-10-24"),
    ("2026-10-24T22:00:00.000Z", "2026-10-25"),
    ("2026-10-25T22:59:59.999Z", "2026-10-25"),
    ("2026-10-25T23:00:00.000Z", "2026-10-26"),
];

#[test]
fn calls_land_on_the_day_of_the_organization() {
    for database in [TestDb::sqlite(), TestDb::postgres()] {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let clock = ManualClock::at(CALLS[0].0.parse().unwrap());
        // Another test of the same process may have installed it before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let generations = actix_web::rt::System::new().block_on(serve_and_call(&database, &mock, &clock));
        let booked = rows(&database.storage, "days");
        for ((instant, day), id) in CALLS.iter().zip(generations) {
            assert_eq!(booked[&id].generation_date.to_string(), *day, "{instant}");
        }
        mai_tests::ledger::assert_consistent(&database.storage, "days");
    }
}

/// Makes one call at each instant; their generation ids, in order.
async fn serve_and_call(database: &TestDb, mock: &Mock, clock: &ManualClock) -> Vec<String> {
    let data = tempfile::tempdir().unwrap();
    let settings = Settings::from_source(|name| match name {
        "MAI_LISTEN" => Some("127.0.0.1:0".to_owned()),
        "MAI_DATABASE_URL" => Some(database_url(database)),
        "MAI_DATA_DIR" => Some(data.path().display().to_string()),
        "OPENROUTER_BASE_URL" => Some(mock.base_url()),
        "NBP_BASE_URL" => Some(mock.nbp_url()),
        "MAI_WORKERS" => Some("1".to_owned()),
        // The clock goes on by months, and the daily run of this clock cleans up.
        "MAI_RETENTION_DAYS" => Some("36500".to_owned()),
        _ => None,
    });
    let application = Application::build(settings.unwrap(), Arc::new(clock.clone()), true).await.unwrap();
    let services = application.services().clone();
    let form = ClientOrganizationForm {
        id: Some(OrganizationId::new("days").unwrap()),
        name: "Days".to_owned(),
        openrouter_api_key: Some(provider_key("days").into()),
        ..ClientOrganizationForm::default()
    };
    let organization = services.client_organization_db.create(form).await.unwrap();
    let new = NewGatewayKey { name: "key".into(), ..NewGatewayKey::default() };
    let key = services.gateway_key_db.create(&organization.id, new).await.unwrap().key;
    application.refresh_directory().await.unwrap();
    let client =
        Client::new(&format!("http://{}", application.address()), secrecy::ExposeSecret::expose_secret(&key));

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = application.run_until(async move {
        let _ = stopped.await;
    });
    let calling = async {
        let mut generations = Vec::new();
        for (instant, _) in CALLS {
            clock.set(instant.parse().unwrap());
            // The day is that of the start: a slow call does not move to the day of its end.
            let answer = client.chat("mock/ok", true, 1).await.unwrap();
            assert!(answer.complete && answer.status.is_success());
            generations.push(answer.generation.unwrap());
        }
        drop(stop);
        generations
    };
    let (served, generations) = tokio::join!(serving, calling);
    served.unwrap();
    generations
}
