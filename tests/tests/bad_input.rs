//! What a stranger can send gets a clear answer with a stable code, and reaches nothing.

use mai_mock_openrouter::{Mock, MockSettings};
use mai_storage::testing::TestDb;
use mai_tests::{client::Client, gateway::Installation, run, upstream::calls};

#[test]
fn refusals_have_their_status_and_code_and_never_reach_upstream() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(&database, &mock).with("MAI_BODY_LIMIT_MIB", "1");
    let organization = installation.organization("Strict");
    let closed = installation.organization("Closed");
    let keyless = installation.json(&["org", "create", "--name", "No key", "--id", "keyless", "--json"]);
    let keyless_key = installation.key(keyless["id"].as_str().unwrap(), &[]);
    deactivate(&database, &closed.id);
    let gateway = installation.serve();
    run(async {
        let good = Client::chat_body("mock/ok", false);
        let call = |key: &str, body: String| {
            let request = reqwest::Client::new()
                .post(format!("{}/v1/chat/completions", gateway.base))
                .header("content-type", "application/json")
                .body(body);
            if key.is_empty() { request } else { request.bearer_auth(key) }
        };
        let large = serde_json::json!({ "model": "mock/ok", "filler": "x".repeat(1 << 20) }).to_string();
        for (key, body, status, code) in [
            ("", good.to_string(), 401, "invalid_api_key"),
            ("sk-mai-unknown", good.to_string(), 401, "invalid_api_key"),
            (closed.key.as_str(), good.to_string(), 403, "organization_inactive"),
            (keyless_key.as_str(), good.to_string(), 503, "provider_key_missing"),
            (organization.key.as_str(), "{\"model\":".to_owned(), 400, "invalid_body"),
            (organization.key.as_str(), "[]".to_owned(), 400, "invalid_body"),
            (organization.key.as_str(), String::new(), 400, "invalid_body"),
            (organization.key.as_str(), "{\"model\":1}".to_owned(), 400, "invalid_body"),
            (organization.key.as_str(), "{\"user\":\"a\",\"user\":\"b\"}".to_owned(), 400, "invalid_body"),
            (organization.key.as_str(), format!("{{\"user\":\"{}\"}}", "u".repeat(256)), 400, "invalid_user"),
            (organization.key.as_str(), large, 413, "body_too_large"),
        ] {
            let shown: String = body.chars().take(60).collect();
            let answer = mai_tests::client::read(call(key, body).send().await.unwrap()).await;
            assert_eq!(
                (answer.status.as_u16(), answer.error_code().as_str()),
                (status, code),
                "{key} {shown}"
            );
        }
        for path in ["/v1/unknown", "/api/v1/chat", "/nothing", "/v1/completions"] {
            let answer = Client::new(&gateway.base, &organization.key).get(path).await;
            assert_eq!(
                (answer.status.as_u16(), answer.error_code().as_str()),
                (404, "unknown_route"),
                "{path}"
            );
        }
        let summary = "/api/v1/usage-tracking/my-organization/usage-summary";
        for (token, query, status, code) in [
            ("mai-token-unknown", "", 401, "unauthorized"),
            (organization.key.as_str(), "", 401, "unauthorized"),
            (organization.token.as_str(), "?client_org_id=closed", 404, "not_found"),
            (organization.token.as_str(), "?other=1", 400, "invalid_request"),
            ("reseller-token-of-tests-0123456789", "", 400, "invalid_request"),
            ("reseller-token-of-tests-0123456789", "?client_org_id=nobody", 404, "not_found"),
            ("reseller-token-of-tests-0123456789", "?client_org_id=strict", 200, ""),
        ] {
            let answer = Client::new(&gateway.base, token).get(&format!("{summary}{query}")).await;
            let found = answer.json()["code"].as_str().unwrap_or_default().to_owned();
            assert_eq!((answer.status.as_u16(), found.as_str()), (status, code), "{token} {query}");
        }
    });
    let asked = calls(&mock);
    assert!(asked.is_empty(), "{asked:?}");
}

fn deactivate(database: &TestDb, id: &str) {
    use mai_organization::{MasterKey, OrganizationServices};
    let clock = std::sync::Arc::new(mai_primitives::SystemClock);
    let services = OrganizationServices::new(database.storage.clone(), MasterKey::generate().unwrap(), clock);
    let id = id.parse().unwrap();
    assert!(run(services.client_organization_db.deactivate(&id)).unwrap());
}

#[test]
fn a_partial_single_organization_stops_the_start_and_names_what_is_missing() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(&database, &mock)
        .with("OPENROUTER_API_KEY", "sk-or-v1-never-shown")
        .with("ORGANIZATION_NAME", "ABC");
    let output = installation.run(&["serve"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(text.contains("missing: OPENROUTER_EXTERNAL_USER"), "{text}");
    assert!(!text.contains("never-shown"), "{text}");
}

#[test]
fn a_complete_single_organization_serves_under_its_own_id() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(&database, &mock)
        .with("OPENROUTER_API_KEY", "sk-or-v1-single")
        .with("OPENROUTER_EXTERNAL_USER", "mai_client_abc")
        .with("ORGANIZATION_NAME", "ABC Sp. z o.o.");
    let gateway = installation.serve();
    let key = installation.key("mai_client_abc", &[]);
    run(async {
        let client = Client::new(&gateway.base, &key);
        // The running gateway learns of a key that was made beside it.
        for _ in 0..100 {
            let answer = client.chat("mock/ok", false, 1).await.unwrap();
            if answer.status.is_success() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("the new key was not learned");
    });
    assert_eq!(mock.ledger()[0].api_key, "sk-or-v1-single");
    assert!(mock.ledger()[0].user.as_deref().unwrap().starts_with("mai_client_abc_user_"));
}

#[test]
fn an_organization_without_a_zone_of_its_own_gets_the_configured_one() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(&database, &mock).with("MAI_TIME_ZONE", "America/New_York");
    let zone = |more: &[&str]| {
        let arguments = [&["org", "create", "--name", "Zone", "--json"], more].concat();
        installation.json(&arguments)["timezone"].clone()
    };
    assert_eq!(zone(&[]), "America/New_York");
    assert_eq!(zone(&["--time-zone", "Asia/Tokyo"]), "Asia/Tokyo");
}
