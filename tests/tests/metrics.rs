//! `/metrics` by the real binary: who may read it, and that it tells what happened.

use mai_mock_openrouter::{Mock, MockSettings};
use mai_storage::testing::TestDb;
use mai_tests::{
    client::{Answer, Client},
    gateway::{Gateway, Installation},
    ledger::wait_until,
    run,
};
use reqwest::StatusCode;

const RESELLER: &str = "reseller-token-of-tests-0123456789";

async fn scrape(gateway: &Gateway, token: &str) -> Answer {
    Client::new(&gateway.base, token).get("/metrics").await
}

/// The figure of a sample, by its name with labels.
fn figure(page: &str, sample: &str) -> Option<u64> {
    let line = page.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))?;
    Some(line.parse().expect("a whole number"))
}

#[test]
fn the_reseller_sees_what_happened_and_nobody_else_does() {
    let (database, mock) = (TestDb::sqlite(), Mock::start(MockSettings::default()).unwrap());
    let installation = Installation::new(&database, &mock);
    let organization = installation.organization("Metrics");
    let gateway = installation.serve();
    let client = Client::new(&gateway.base, &organization.key);
    let page = || {
        let answer = run(scrape(&gateway, RESELLER));
        assert_eq!(answer.status, StatusCode::OK);
        String::from_utf8(answer.body).unwrap()
    };
    run(async {
        for stream in [true, true, false] {
            assert!(client.chat("mock/ok", stream, 1).await.unwrap().status.is_success());
        }
        let stranger = Client::new(&gateway.base, "sk-mai-nobody");
        assert_eq!(stranger.get("/v1/models").await.status, StatusCode::UNAUTHORIZED);
        for token in [&organization.token, &organization.key, "nonsense"] {
            assert_eq!(scrape(&gateway, token).await.status, StatusCode::UNAUTHORIZED);
        }
    });
    wait_until("the calls are applied and the monitor has looked", || {
        let page = page();
        figure(&page, "mai_journal_lag_bytes") == Some(0)
            && figure(&page, "mai_database_reachable") == Some(1)
            && figure(&page, "mai_directory_age_seconds").is_some()
    });
    let page = page();
    let chat =
        |outcome| format!("mai_gateway_calls_total{{route=\"chat/completions\",status=\"{outcome}\"}}");
    for (sample, expected) in [
        (chat("2xx").as_str(), 3),
        (&chat("4xx"), 0),
        ("mai_gateway_calls_total{route=\"models\",status=\"4xx\"}", 1),
        ("mai_gateway_open_calls", 0),
        ("mai_gateway_open_streams", 0),
        ("mai_applier_failing", 0),
        ("mai_pending_generations{state=\"unresolved\"}", 0),
        ("mai_journal_poisoned", 0),
    ] {
        assert_eq!(figure(&page, sample), Some(expected), "{sample}\n{page}");
    }
    for positive in
        ["mai_journal_records_total", "mai_applier_records_total", "process_resident_memory_bytes"]
    {
        assert!(figure(&page, positive).is_some_and(|figure| figure > 0), "{positive}\n{page}");
    }
    for secret in [RESELLER, &organization.id, &organization.key, &organization.token] {
        assert!(!page.contains(secret), "{page}");
    }
    assert!(gateway.stop().success());

    let gateway = installation.with("MAI_METRICS_OPEN", "true").serve();
    assert_eq!(run(scrape(&gateway, "")).status, StatusCode::OK);
    assert!(gateway.stop().success());
}
