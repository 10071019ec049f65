//! What resellers and administrators manage: settings, gateway keys, webhook secrets, pending generations.

use std::time::Duration;

use mai_mock_openrouter::{Mock, MockSettings};
use mai_tests::{
    client::{Client, read},
    gateway::Installation,
    ledger::{assert_consistent, pending, rows, wait_until},
    management::{call, reseller, until_chat},
    on_each_database,
    reports::{RESELLER, event, send, verdict},
    run,
};
use serde_json::{Value, json};

const NONE: Value = Value::Null;

#[test]
fn settings_are_changed_in_part_and_show_no_key() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let organization = installation.organization("Settings");
        let gateway = installation.serve();
        run(async {
            let before = reseller(&gateway, "GET", "settings", &NONE, 200).await;
            assert_eq!(
                (&before["openrouter_provisioning_key"], &before["default_markup_rate"]),
                (&NONE, &json!(1.3))
            );
            let key = json!({ "openrouter_provisioning_key": "sk-or-v1-provisioning-of-tests" });
            let changed = reseller(&gateway, "POST", "settings", &key, 200).await;
            assert_eq!(changed["settings"]["openrouter_provisioning_key"], "…ests");
            let changed =
                reseller(&gateway, "POST", "settings", &json!({ "default_markup_rate": 1.25 }), 200).await;
            assert_eq!(changed["settings"]["default_markup_rate"], json!(1.25));
            assert_eq!(changed["settings"]["openrouter_provisioning_key"], "…ests", "it stays");
            for (body, code) in [
                (json!({ "billing_currency": "EUR" }), "invalid_field"),
                (json!({ "default_markup_rate": 0 }), "invalid_body"),
                (json!({ "openrouter_provisioning_key": "two words" }), "invalid_field"),
                (json!({ "provisioning_key": "x" }), "invalid_body"),
            ] {
                let answer = reseller(&gateway, "POST", "settings", &body, 400).await;
                assert_eq!(answer["code"], code, "{body}");
                assert!(!answer.to_string().contains("two words"));
            }
            let all = reseller(&gateway, "GET", "settings", &NONE, 200).await;
            assert_eq!(all["default_markup_rate"], json!(1.25));
            assert!(!all.to_string().contains("provisioning-of"), "{all}");
            let cleared = json!({ "openrouter_provisioning_key": null });
            let changed = reseller(&gateway, "POST", "settings", &cleared, 200).await;
            assert_eq!(changed["settings"]["openrouter_provisioning_key"], NONE);
            let denied = call(&gateway, "GET", "settings", &organization.token, &NONE).await;
            assert_eq!(denied.status.as_u16(), 403);
        });
        assert!(gateway.stop().success());
    });
}

#[test]
fn a_gateway_key_is_made_replaced_and_taken_back() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let organization = installation.organization("Keys");
        let other = installation.organization("Other");
        let gateway = installation.serve();
        run(async {
            let keys = format!("clients/{}/gateway-keys", organization.id);
            let new = json!({ "name": "Backend", "is_trusted_client": true });
            let made = call(&gateway, "POST", &keys, &organization.token, &new).await;
            assert_eq!(made.status.as_u16(), 201, "{}", made.json());
            let made = made.json();
            let key = Client::new(&gateway.base, made["key"].as_str().unwrap());
            until_chat(&key, 200).await;

            // The old one works on within the grace.
            let id = made["gateway_key"]["id"].as_str().unwrap();
            let rotate = format!("{keys}/{id}/rotate");
            let rotated =
                call(&gateway, "POST", &rotate, &organization.token, &json!({ "grace_seconds": 3600 })).await;
            assert_eq!(rotated.status.as_u16(), 201);
            let rotated = rotated.json();
            assert_eq!(rotated["gateway_key"]["is_trusted_client"], true);
            let replacement = Client::new(&gateway.base, rotated["key"].as_str().unwrap());
            until_chat(&replacement, 200).await;
            until_chat(&key, 200).await;
            let long = json!({ "grace_seconds": 30 * 86_400 + 1 });
            assert_eq!(reseller(&gateway, "POST", &rotate, &long, 400).await["field"], "grace_seconds");

            let body = json!({ "name": "Renamed", "requests_per_minute": 6000, "is_open_webui": true });
            let one = format!("{keys}/{id}");
            let patched = call(&gateway, "PATCH", &one, &organization.token, &body).await.json();
            assert_eq!(
                (&patched["gateway_key"]["name"], &patched["gateway_key"]["requests_per_minute"]),
                (&json!("Renamed"), &json!(6000))
            );
            for body in [json!({ "requests_per_minute": 0 }), json!({ "identity_secret": "short" })] {
                reseller(&gateway, "PATCH", &one, &body, 400).await;
            }

            // Every page has the next key, and none shows a secret.
            let (mut seen, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = reseller(&gateway, "GET", &format!("{keys}?limit=1{cursor}"), &NONE, 200).await;
                assert_eq!(page["total"], 3);
                assert!(!page.to_string().contains("hash"), "{page}");
                seen.push(page["items"][0]["id"].as_str().unwrap().to_owned());
                let Some(next) = page["next_cursor"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            assert_eq!(seen.len(), 3);

            let one = format!("{keys}/{id}");
            for (token, status) in
                [(&other.token, 404), (&organization.token, 200), (&organization.token, 200)]
            {
                assert_eq!(call(&gateway, "DELETE", &one, token, &NONE).await.status.as_u16(), status);
            }
            until_chat(&key, 401).await;
            until_chat(&replacement, 200).await;
            assert_eq!(reseller(&gateway, "GET", &keys, &NONE, 200).await["total"], 2);
            let all = reseller(&gateway, "GET", &format!("{keys}?include_revoked=true"), &NONE, 200).await;
            assert_eq!(all["total"], 3);

            // Another organization's key looks like none at all.
            let foreign = format!("clients/{}/gateway-keys/{id}", other.id);
            let nothing = format!("clients/{}/gateway-keys/key_none", other.id);
            for (method, body) in [("DELETE", NONE), ("PATCH", json!({ "name": "x" }))] {
                let answers = [
                    call(&gateway, method, &foreign, &other.token, &body).await,
                    call(&gateway, method, &nothing, &other.token, &body).await,
                ];
                assert_eq!(answers.map(|answer| answer.status.as_u16()), [404, 404]);
            }
            reseller(&gateway, "GET", "clients/nobody/gateway-keys", &NONE, 404).await;
            reseller(&gateway, "POST", &keys, &json!({ "name": " " }), 400).await;
        });
        assert!(gateway.stop().success());
    });
}

#[test]
fn a_webhook_secret_is_shown_once_and_taken_away() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation =
            Installation::new(database, &mock).with("MAI_REPORT_PATIENCE_MILLISECONDS", "60000");
        let organization = installation.organization("Hooks");
        let gateway = installation.serve();
        run(async {
            let route = format!("clients/{}/webhook-secret", organization.id);
            let made = call(&gateway, "POST", &route, &organization.token, &NONE).await;
            assert_eq!(made.status.as_u16(), 201);
            assert!(made.json()["webhook_secret"].as_str().unwrap().starts_with("mai-webhook-"));
            let unsigned = event(&organization.key, &json!({}));
            // The gateway reads the organization again within a second or so.
            while verdict(&send(&gateway, &unsigned).await).0 != 401 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let client = reseller(&gateway, "GET", &format!("clients/{}", organization.id), &NONE, 200).await;
            assert_eq!(client["has_webhook_secret"], true);
            let cleared = call(&gateway, "DELETE", &route, &organization.token, &NONE).await;
            assert_eq!(cleared.status.as_u16(), 200);
            while verdict(&send(&gateway, &unsigned).await).0 != 200 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        assert!(gateway.stop().success());
    });
}

#[test]
fn people_settle_dismiss_and_look_up_what_is_pending() {
    on_each_database(|database| {
        // OpenRouter does not know the generations as long as this test lasts.
        let settings =
            MockSettings { generation_delay: Duration::from_secs(3_600), ..MockSettings::default() };
        let mock = Mock::start(settings).unwrap();
        let installation = Installation::new(database, &mock);
        let organization = installation.organization("Waiting");
        let other = installation.organization("Other");
        let gateway = installation.serve();
        run(async {
            let client = Client::new(&gateway.base, &organization.key);
            for seed in 1..=3 {
                client.chat("mock/cost-null", true, seed).await.unwrap();
            }
            wait_until("three wait", || pending(&database.storage, &organization.id).len() == 3);
            let list = format!("clients/{}/pending-generations", organization.id);
            let mut ids = Vec::new();
            let mut cursor = String::new();
            loop {
                let page = call(
                    &gateway,
                    "GET",
                    &format!("{list}?limit=2&state=pending{cursor}"),
                    &organization.token,
                    &NONE,
                )
                .await
                .json();
                for item in page["items"].as_array().unwrap() {
                    assert_eq!(
                        (&item["reason"], &item["state"]),
                        (&json!("cost_unknown"), &json!("pending"))
                    );
                    ids.push(item["generation_id"].as_str().unwrap().to_owned());
                }
                let Some(next) = page["next_cursor"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), 3);
            let all = reseller(&gateway, "GET", "pending-generations", &NONE, 200).await;
            assert_eq!(all["items"].as_array().unwrap().len(), 3);
            let none = reseller(&gateway, "GET", "pending-generations?state=unresolved", &NONE, 200).await;
            assert_eq!(none["items"], json!([]));

            // Only the reseller says what something has cost.
            let settle = format!("{list}/{}/settle", ids[0]);
            let found = json!({ "cost": "0.0123", "input_tokens": 900, "output_tokens": 120 });
            for (token, status) in [(&organization.token, 403), (&other.token, 404)] {
                assert_eq!(call(&gateway, "POST", &settle, token, &found).await.status.as_u16(), status);
            }
            for (field, value) in [
                ("cost", json!(-1)),
                ("cost", json!(1_000_001)),
                ("input_tokens", json!(-1)),
                ("output_tokens", json!(1_000_000_000_000_i64)),
            ] {
                let mut wrong = found.clone();
                wrong[field] = value;
                reseller(&gateway, "POST", &settle, &wrong, 400).await;
            }
            reseller(&gateway, "POST", &settle, &found, 200).await;
            assert_eq!(reseller(&gateway, "POST", &settle, &found, 404).await["code"], "not_found");

            let dismiss = format!("{list}/{}/dismiss", ids[1]);
            assert_eq!(
                reseller(&gateway, "POST", &dismiss, &json!({ "reason": " " }), 400).await["field"],
                "reason"
            );
            reseller(&gateway, "POST", &dismiss, &json!({ "reason": "not on the invoice" }), 200).await;
            let audit = format!("clients/{}/generation-audit", organization.id);
            let audit = reseller(&gateway, "GET", &audit, &NONE, 200).await;
            let row = &audit["items"][0];
            assert_eq!((&row["action"], &row["reason"]), (&json!("dismissed"), &json!("not on the invoice")));
            assert_eq!((&row["generation_id"], &row["booked"]["cost"]), (&json!(ids[1]), &NONE));

            let look_up = format!("{list}/{}/look-up", ids[2]);
            let asked = call(&gateway, "POST", &look_up, &organization.token, &NONE).await;
            assert_eq!(asked.status.as_u16(), 200, "{}", asked.json());
            reseller(&gateway, "POST", &format!("{list}/{}/look-up", ids[1]), &NONE, 404).await;

            let booked = rows(&database.storage, &organization.id);
            assert_eq!(booked.len(), 1);
            let row = &booked[&ids[0]];
            assert_eq!((row.total_cost.nanos(), row.total_tokens), (12_300_000, 1_020));
            assert_consistent(&database.storage, &organization.id);
        });
        assert!(gateway.stop().success());
    });
}

#[test]
fn the_reseller_sees_how_the_service_is() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let organization = installation.organization("Health");
        let gateway = installation.serve();
        run(async {
            let ask = async |token: &str| {
                let url = format!("{}/api/v1/usage-tracking/admin/system-health", gateway.base);
                read(reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap()).await
            };
            let health = ask(RESELLER).await.json();
            assert_eq!((&health["success"], &health["ready"]), (&json!(true), &json!(true)), "{health}");
            for part in ["database", "journal", "applier", "unresolved", "accepting"] {
                assert_eq!(health[part]["status"], "ok", "{part}: {health}");
            }
            assert!(health["timestamp"].as_str().unwrap().contains('T'));
            assert_eq!(ask(&organization.token).await.status.as_u16(), 403);
        });
        assert!(gateway.stop().success());
    });
}

#[test]
fn twenty_clients_make_one_organization() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let gateway = installation.serve();
        run(async {
            let body = json!({ "id": "same", "name": "Same" });
            let calls = (0..20).map(|_| call(&gateway, "POST", "clients", RESELLER, &body));
            let answers = futures_util::future::join_all(calls).await;
            let mut told: Vec<(u16, String)> = answers.iter().map(verdict).collect();
            told.sort();
            let mut expected = vec![(201, "Organization created".to_owned())];
            expected.extend(vec![(409, "already_exists".to_owned()); 19]);
            assert_eq!(told, expected);
        });
        assert!(gateway.stop().success());
    });
}
