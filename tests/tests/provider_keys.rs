//! Provider keys through OpenRouter's management API, and what becomes of them where the database refuses.

use diesel::prelude::*;
use mai_mock_openrouter::{Mock, MockSettings};
use mai_organization::audit_log::schema::audit_head;
use mai_storage::{Result as StorageResult, testing::TestDb};
use mai_tests::{
    client::Client,
    gateway::{Gateway, Installation, provider_key},
    management::{call, reseller, until_chat},
    on_each_database,
    reports::RESELLER,
    run,
};
use reqwest::Method;
use serde_json::{Value, json};

const NONE: Value = Value::Null;

/// A gateway with a provisioning key in its settings.
fn house(database: &TestDb) -> (Mock, Installation, Gateway) {
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(database, &mock);
    let gateway = installation.serve();
    run(async {
        let key = json!({ "openrouter_provisioning_key": MockSettings::default().management_key });
        reseller(&gateway, "POST", "settings", &key, 200).await;
    });
    (mock, installation, gateway)
}

/// Names and whether they are disabled, sorted.
fn at_openrouter(mock: &Mock) -> Vec<(String, bool)> {
    let mut keys: Vec<_> =
        mock.managed_keys().into_iter().map(|(name, _, disabled)| (name, disabled)).collect();
    keys.sort();
    keys
}

fn key(name: &str, disabled: bool) -> (String, bool) {
    (name.to_owned(), disabled)
}

/// Lets every change fail in the database, until the returned row is put back.
fn break_audit(database: &TestDb) -> (i64, String) {
    let head: StorageResult<(i64, String)> = database.storage.write_blocking(|conn| {
        let head = audit_head::table.select((audit_head::seq, audit_head::hash)).first(conn)?;
        diesel::delete(audit_head::table).execute(conn)?;
        Ok(head)
    });
    head.unwrap()
}

fn mend_audit(database: &TestDb, (seq, hash): &(i64, String)) {
    let done: StorageResult<usize> = database.storage.write_blocking(|conn| {
        let row = (audit_head::id.eq(1), audit_head::seq.eq(seq), audit_head::hash.eq(hash));
        Ok(diesel::insert_into(audit_head::table).values(row).execute(conn)?)
    });
    done.unwrap();
}

#[test]
fn an_organization_gets_a_key_of_its_own() {
    on_each_database(|database| {
        let (mock, installation, gateway) = house(database);
        run(async {
            let new = json!({ "id": "abc", "name": "ABC", "create_provider_key": { "limit": 12.5 } });
            let made = reseller(&gateway, "POST", "clients", &new, 201).await;
            assert_eq!(
                (&made["api_key_info"]["limit"], &made["api_key_info"]["usage"]),
                (&json!(12.5), &json!(0))
            );
            assert_eq!(made["api_key_info"]["name"], "Client: ABC");
            let secret = mock.managed_keys().remove(0).1;
            assert!(!made.to_string().contains(&secret), "{made}");
            assert_eq!(made["client"]["openrouter_key_hash"], made["api_key_info"]["key_hash"]);

            let made =
                reseller(&gateway, "POST", "clients/abc/gateway-keys", &json!({ "name": "k" }), 201).await;
            let client = Client::new(&gateway.base, made["key"].as_str().unwrap());
            until_chat(&client, 200).await;
            let live = reseller(&gateway, "GET", "clients/abc/provider-key", &NONE, 200).await;
            let live = &live["provider_key"];
            let usage = format!("\"usage\":{}", mai_primitives::Usd::from_nanos(mock.total_nano_usd()));
            assert!(live.to_string().contains(&usage), "{live} {usage}");
            assert_eq!(live["last_four"], format!("…{}", &secret[secret.len() - 4..]));

            let patch = json!({ "limit": "0.000000001", "limit_reset": "monthly" });
            let changed = reseller(&gateway, "PATCH", "clients/abc/provider-key", &patch, 200).await;
            assert_eq!(changed["provider_key"]["limit_reset"], "monthly");
            assert!(
                changed.to_string().contains("\"limit\":1e-9") || changed.to_string().contains("0.000000001")
            );
            for wrong in [json!({ "limit": -1 }), json!({ "limit_reset": "yearly" }), json!({ "name": "x" })]
            {
                reseller(&gateway, "PATCH", "clients/abc/provider-key", &wrong, 400).await;
            }

            // A second one only on request; the first is disabled when the new one is stored.
            let again = json!({ "name": "Second" });
            let refused = reseller(&gateway, "POST", "clients/abc/provider-key", &again, 409).await;
            assert_eq!(refused["code"], "wrong_state");
            let by_hand = json!({ "openrouter_api_key": "sk-or-v1-by-hand-0123" });
            reseller(&gateway, "PATCH", "clients/abc", &by_hand, 409).await;
            let again = json!({ "name": "Second", "replace": true });
            let replaced = reseller(&gateway, "POST", "clients/abc/provider-key", &again, 201).await;
            assert_eq!(replaced.get("warning"), None);
            assert_eq!(at_openrouter(&mock), [key("Client: ABC", true), key("Second", false)]);
            until_chat(&client, 200).await;

            // An inactive organization has no working key there either.
            reseller(&gateway, "DELETE", "clients/abc", &NONE, 200).await;
            assert_eq!(at_openrouter(&mock), [key("Client: ABC", true), key("Second", true)]);
            reseller(&gateway, "PATCH", "clients/abc", &json!({ "is_active": true }), 200).await;
            assert_eq!(at_openrouter(&mock), [key("Client: ABC", true), key("Second", false)]);
            mock.fail_management(&[Method::PATCH]);
            let warned = reseller(&gateway, "DELETE", "clients/abc", &NONE, 200).await;
            assert!(warned["warning"].as_str().unwrap().contains("could not be disabled"), "{warned}");
            mock.fail_management(&[]);

            reseller(&gateway, "DELETE", "clients/abc/provider-key", &NONE, 200).await;
            assert_eq!(at_openrouter(&mock), [key("Client: ABC", true), key("Second", true)]);
            let none = reseller(&gateway, "GET", "clients/abc/provider-key", &NONE, 200).await;
            assert_eq!(none["provider_key"], NONE);
            let client = reseller(&gateway, "GET", "clients/abc", &NONE, 200).await;
            assert_eq!((&client["openrouter_api_key"], &client["openrouter_key_hash"]), (&NONE, &NONE));
            reseller(&gateway, "DELETE", "clients/abc/provider-key", &NONE, 404).await;
        });
        let verified = installation.run(&["audit", "verify"]);
        assert!(verified.status.success(), "{verified:?}");
        assert!(gateway.stop().success());
    });
}

#[test]
fn what_the_database_refuses_is_undone_at_openrouter() {
    on_each_database(|database| {
        let (mock, installation, gateway) = house(database);
        let other = installation.organization("Other");
        run(async {
            // The id is taken.
            let new = json!({ "id": other.id, "name": "Again", "create_provider_key": {} });
            let refused = reseller(&gateway, "POST", "clients", &new, 409).await;
            assert_eq!(refused["code"], "already_exists");
            assert_eq!(at_openrouter(&mock), []);

            // Nothing is made at all where the form is bad.
            let bad = json!({ "name": "A", "timezone": "Nowhere", "create_provider_key": {} });
            reseller(&gateway, "POST", "clients", &bad, 400).await;
            let posted = mock.requests().iter().filter(|request| request.path == "/api/v1/keys").count();
            assert_eq!(posted, 1);

            // The key is another organization's.
            reseller(&gateway, "POST", "clients", &json!({ "id": "abc", "name": "ABC" }), 201).await;
            mock.next_managed_key(&provider_key(&other.id));
            let refused = reseller(&gateway, "POST", "clients/abc/provider-key", &json!({}), 409).await;
            assert_eq!(refused["code"], "already_exists");
            assert_eq!(at_openrouter(&mock), []);

            // It cannot be undone: whoever asked is told which key is left.
            mock.fail_management(&[Method::DELETE]);
            let left = reseller(&gateway, "POST", "clients", &new, 500).await;
            assert_eq!(left["code"], "provider_key_left");
            let hash = left["error"].as_str().unwrap().split_whitespace().find(|word| word.len() == 64);
            assert!(hash.is_some(), "{left}");
            assert_eq!(at_openrouter(&mock), [key("Client: Again", false)]);
            mock.fail_management(&[]);

            // A change that cannot be written down is taken back.
            let made = json!({ "limit": 5, "limit_reset": "daily" });
            reseller(&gateway, "POST", "clients/abc/provider-key", &made, 201).await;
            let head = break_audit(database);
            let patch = json!({ "limit": null, "limit_reset": null, "disabled": true });
            let failed = call(&gateway, "PATCH", "clients/abc/provider-key", RESELLER, &patch).await;
            assert_eq!(failed.status.as_u16(), 500);
            let failed = call(&gateway, "DELETE", "clients/abc/provider-key", RESELLER, &NONE).await;
            assert_eq!(failed.status.as_u16(), 500);
            mend_audit(database, &head);
            let live = reseller(&gateway, "GET", "clients/abc/provider-key", &NONE, 200).await;
            let live = &live["provider_key"];
            assert_eq!(
                (&live["limit"], &live["limit_reset"], &live["disabled"]),
                (&json!(5), &json!("daily"), &json!(false))
            );
        });
        assert!(gateway.stop().success());
    });
}

#[test]
fn without_a_working_provisioning_key_nothing_is_made() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        installation.organization("Abc");
        let gateway = installation.serve();
        run(async {
            let replace = json!({ "replace": true });
            let refused = reseller(&gateway, "POST", "clients/abc/provider-key", &replace, 409).await;
            assert!(refused["error"].as_str().unwrap().contains("OPENROUTER_PROVISIONING_KEY"), "{refused}");
            let wrong = json!({ "openrouter_provisioning_key": "sk-or-v1-wrong-provisioning" });
            reseller(&gateway, "POST", "settings", &wrong, 200).await;
            let refused = reseller(&gateway, "POST", "clients/abc/provider-key", &replace, 409).await;
            assert!(!refused.to_string().contains("wrong-provisioning"), "{refused}");
        });
        assert!(gateway.stop().success());
        // The environment's is used where the settings have none.
        let installation =
            installation.with("OPENROUTER_PROVISIONING_KEY", &MockSettings::default().management_key);
        let gateway = installation.serve();
        run(async {
            reseller(&gateway, "POST", "settings", &json!({ "openrouter_provisioning_key": null }), 200)
                .await;
            reseller(&gateway, "POST", "clients/abc/provider-key", &json!({ "replace": true }), 201).await;
            mock.fail_management(&[Method::POST]);
            let failed =
                reseller(&gateway, "POST", "clients/abc/provider-key", &json!({ "replace": true }), 503)
                    .await;
            assert_eq!(failed["code"], "upstream_unavailable");
        });
        assert!(gateway.stop().success());
    });
}

#[test]
fn a_key_that_was_entered_by_hand_is_replaced_on_request_only() {
    on_each_database(|database| {
        let (mock, installation, gateway) = house(database);
        installation.organization("Abc");
        run(async {
            let before = reseller(&gateway, "GET", "clients/abc", &NONE, 200).await;
            let refused = reseller(&gateway, "POST", "clients/abc/provider-key", &json!({}), 409).await;
            assert_eq!(refused["code"], "wrong_state");
            assert_eq!(at_openrouter(&mock), []);
            assert_eq!(reseller(&gateway, "GET", "clients/abc", &NONE, 200).await, before);
            reseller(&gateway, "POST", "clients/abc/provider-key", &json!({ "replace": true }), 201).await;
            assert_eq!(at_openrouter(&mock), [key("Client: Abc", false)]);
        });
        assert!(gateway.stop().success());
    });
}

/// Waits until OpenRouter's keys are so.
async fn until(mock: &Mock, expected: &[(String, bool)]) {
    until_true(|| at_openrouter(mock) == expected).await;
}

async fn until_true(mut is_so: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !is_so() {
        assert!(std::time::Instant::now() < deadline, "waited in vain");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// How many requests of a method the management API has got.
fn count(mock: &Mock, method: &Method) -> usize {
    let requests = mock.requests();
    requests.iter().filter(|one| one.method == *method && one.path.starts_with("/api/v1/keys")).count()
}

#[test]
fn a_client_that_leaves_stops_nothing_halfway() {
    on_each_database(|database| {
        let (mock, installation, gateway) = house(database);
        run(async {
            reseller(&gateway, "POST", "clients", &json!({ "id": "abc", "name": "ABC" }), 201).await;
            let made = [key("Client: ABC", false)];
            mock.hold_management(&[Method::POST]);
            let body = json!({});
            tokio::select! {
                answer = call(&gateway, "POST", "clients/abc/provider-key", RESELLER, &body) => {
                    panic!("it is held: {answer:?}")
                }
                () = until(&mock, &made) => {}
            }
            // The connection is closed; give the server time to notice that before it goes on.
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            mock.hold_management(&[]);
            let mut stored = NONE;
            for _ in 0..200 {
                stored = reseller(&gateway, "GET", "clients/abc", &NONE, 200).await;
                if !stored["openrouter_key_hash"].is_null() {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            assert!(stored["openrouter_key_hash"].is_string(), "{stored}");

            // Nor does a stop.
            let disabled = [key("Client: ABC", true)];
            mock.hold_management(&[Method::PATCH]);
            tokio::select! {
                answer = call(&gateway, "DELETE", "clients/abc/provider-key", RESELLER, &NONE) => {
                    panic!("it is held: {answer:?}")
                }
                () = until(&mock, &disabled) => {}
            }
        });
        gateway.terminate();
        std::thread::sleep(std::time::Duration::from_secs(1));
        mock.hold_management(&[]);
        assert!(gateway.stop().success());
        let gateway = installation.serve();
        run(async {
            let stored = reseller(&gateway, "GET", "clients/abc", &NONE, 200).await;
            assert_eq!(stored["openrouter_key_hash"], NONE);
        });
        assert!(gateway.stop().success());
    });
}

#[test]
fn a_key_that_was_replaced_meanwhile_is_not_enabled_again() {
    on_each_database(|database| {
        let (mock, _installation, gateway) = house(database);
        run(async {
            let new = json!({ "id": "abc", "name": "ABC", "create_provider_key": { "name": "0" } });
            reseller(&gateway, "POST", "clients", &new, 201).await;
            let route = "clients/abc/provider-key";
            for (round, method, body) in [(0, "DELETE", NONE), (1, "PATCH", json!({ "disabled": true }))] {
                let keys: Vec<_> = (0..=round).map(|number| key(&number.to_string(), true)).collect();
                let patches = count(&mock, &Method::PATCH);
                mock.hold_management(&[Method::PATCH]);
                let first = call(&gateway, method, route, RESELLER, &body);
                let second = async {
                    until(&mock, &keys).await;
                    let new = json!({ "name": (round + 1).to_string(), "replace": true });
                    reseller(&gateway, "POST", route, &new, 201).await
                };
                let release = async {
                    until_true(|| count(&mock, &Method::PATCH) == patches + 2).await;
                    mock.hold_management(&[]);
                };
                let (first, _, ()) = tokio::join!(first, second, release);
                assert_eq!(first.status.as_u16(), 409, "{method} {}", first.json());
                let mut keys = keys;
                keys.push(key(&(round + 1).to_string(), false));
                assert_eq!(at_openrouter(&mock), keys, "{method}");
            }
        });
        assert!(gateway.stop().success());
    });
}

#[test]
fn of_twenty_who_make_a_provider_key_at_once_one_does() {
    on_each_database(|database| {
        let (mock, installation, gateway) = house(database);
        run(async {
            let bare = json!({ "name": "Bare", "id": "bare" });
            reseller(&gateway, "POST", "clients", &bare, 201).await;
            let empty = json!({});
            let calls =
                (0..20).map(|_| call(&gateway, "POST", "clients/bare/provider-key", RESELLER, &empty));
            let answers = futures_util::future::join_all(calls).await;
            let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
            statuses.sort_unstable();
            assert_eq!(statuses, [&[201][..], &[409; 19]].concat());
            let enabled = at_openrouter(&mock).into_iter().filter(|(_, disabled)| !disabled).count();
            assert_eq!(enabled, 1, "the keys of the others were taken back");
        });
        assert!(gateway.stop().success());
        drop(installation);
    });
}
