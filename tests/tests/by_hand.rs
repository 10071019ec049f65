//! What people do by hand: they record usage, and start look-ups.

use mai_mock_openrouter::{Mock, MockSettings};
use mai_organization::generation_processing::UsageSource;
use mai_primitives::{Clock, SystemClock, UsageDate};
use mai_tests::{
    client::Client,
    ledger::{assert_consistent, assert_equal_to_mock, pending, rows, wait_until},
    on_each_database,
    reports::{MANUAL, RESELLER, SYNC, event, installation, post, row, send, verdict},
    run,
};
use serde_json::json;

#[test]
fn a_person_records_by_hand() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = installation(database, &mock);
        let organization = installation.organization("Hand");
        let other = installation.organization("Other");
        let member =
            ["tokens", "create", "--org", &organization.id, "--role", "member", "--user", "m", "--json"];
        let member = installation.json(&member)["token"].as_str().unwrap().to_owned();
        let gateway = installation.serve();
        let today = UsageDate::new(SystemClock.now().date_naive());
        let (yesterday, far) = (today.minus_days(2).to_string(), today.plus_days(2).to_string());
        run(async {
            for (token, changes, status, text) in [
                (RESELLER, json!({ "client_org_id": organization.id }), 200, "Usage recorded"),
                (RESELLER, json!({ "client_org_id": organization.id }), 200, "Duplicate request ignored"),
                (RESELLER, json!({}), 400, "invalid_request"),
                (RESELLER, json!({ "client_org_id": "nobody" }), 404, "not_found"),
                (&organization.token, json!({}), 200, "Duplicate request ignored"),
                (&organization.token, json!({ "client_org_id": other.id }), 404, "not_found"),
                (
                    &organization.token,
                    json!({ "request_id": "day", "date": yesterday, "user_id": "anna" }),
                    200,
                    "Usage recorded",
                ),
                (
                    &organization.token,
                    json!({ "request_id": "late", "date": far }),
                    400,
                    "timestamp_in_future",
                ),
                (&organization.token, json!({ "cost": 0 }), 400, "invalid_cost"),
                (&member, json!({}), 403, "forbidden"),
                ("unknown", json!({}), 401, "unauthorized"),
            ] {
                let mut body =
                    json!({ "model": "openai/o3", "tokens": 10, "cost": "0.5", "request_id": "hand-1" });
                for (field, value) in changes.as_object().unwrap() {
                    body[field] = value.clone();
                }
                let bearer = format!("Bearer {token}");
                let answer = post(&gateway, MANUAL, &[("authorization", &bearer)], body.to_string()).await;
                assert_eq!(verdict(&answer), (status, text.to_owned()), "{token} {changes}");
            }
            // A program's report is believed more than a person's.
            let changes = json!({ "request_id": "hand-1", "tokens_used": 20, "cost": "0.25" });
            let answer = send(&gateway, &event(&organization.key, &changes)).await;
            assert_eq!(verdict(&answer), (200, "Usage corrected".to_owned()));
        });
        let day = row(database, &organization, "day");
        assert_eq!((day.user_id.as_str(), day.generation_date.to_string()), ("anna", yesterday));
        assert_eq!((day.source, day.input_tokens, day.tokens_estimated), (UsageSource::Manual, 7, true));
        let first = row(database, &organization, "hand-1");
        assert_eq!((first.total_cost.nanos(), first.source), (250_000_000, UsageSource::Webhook));
        assert_eq!(rows(&database.storage, &organization.id).len(), 2);
        assert_consistent(&database.storage, &organization.id);
    });
}

#[test]
fn a_sync_looks_up_what_waits() {
    on_each_database(|database| {
        let settings = MockSettings { generation_failures: 3, ..MockSettings::default() };
        let mock = Mock::start(settings).unwrap();
        let installation = installation(database, &mock);
        let organization = installation.organization("Sync");
        let gateway = installation.serve();
        run(async {
            let reseller = [("authorization", &*format!("Bearer {RESELLER}"))];
            let admin = [("authorization", &*format!("Bearer {}", organization.token))];
            for (headers, body, status, code) in [
                (&reseller, "{\"days_back\":0}", 400, "invalid_request"),
                (&reseller, "{\"days_back\":31}", 400, "invalid_request"),
                (&reseller, "{\"days_back\":1.5}", 400, "invalid_request"),
                (&reseller, "nothing", 400, "invalid_request"),
                (&admin, "{}", 403, "forbidden"),
            ] {
                let answer = post(&gateway, SYNC, headers, body).await;
                assert_eq!(verdict(&answer), (status, code.to_owned()), "{body}");
            }
            let client = Client::new(&gateway.base, &organization.key);
            assert!(client.chat("mock/cost-null", true, 1).await.unwrap().complete);
            wait_until("the call waits", || pending(&database.storage, &organization.id).len() == 1);
            let answer = post(&gateway, SYNC, &reseller, "").await.json();
            assert_eq!((&answer["status"], &answer["total_organizations"]), (&json!("success"), &json!(1)));
            let result = &answer["results"][0];
            assert_eq!((&result["organization"], &result["client_org_id"]), (&json!("Sync"), &json!("sync")));
            assert_eq!((&result["synced_generations"], &result["status"]), (&json!(1), &json!("success")));
        });
        assert_equal_to_mock(&database.storage, &organization.id, &mock);
    });
}
