//! Gateway keys from their making to their end, by the command line and at the gateway.

use mai_mock_openrouter::{Mock, MockSettings};
use mai_tests::{
    client::{Answer, Client},
    gateway::{Gateway, Installation},
    identity::SECRET,
    ledger::wait_until,
    on_each_database, run,
};
use serde_json::{Value, json};

fn ask(gateway: &Gateway, key: &str) -> Answer {
    run(Client::new(&gateway.base, key).chat("mock/ok", false, 1)).expect("an answer")
}

/// Why a key does not work; an empty text if it does.
fn refusal(gateway: &Gateway, key: &str) -> String {
    let answer = ask(gateway, key);
    let code = answer.error_code();
    assert_eq!(answer.status.as_u16(), if code.is_empty() { 200 } else { 401 }, "{code}");
    code
}

#[test]
fn a_rotated_key_works_until_its_grace_is_over_and_a_revoked_one_no_more() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let organization = installation.organization("Rotated");
        let gateway = installation.serve();
        let command = |command: &str, id: &Value, more: &[&str]| {
            let id = id.as_str().unwrap();
            let arguments = ["keys", command, "--org", &organization.id, "--id", id, "--json"];
            installation.json(&[arguments.as_slice(), more].concat())
        };
        let keys = || installation.json(&["keys", "list", "--org", &organization.id, "--json"]);
        let old = keys()[0]["id"].clone();
        let next = command("rotate", &old, &["--grace-hours", "1"]);
        let next_key = next["key"].as_str().unwrap();
        wait_until("the new key works", || refusal(&gateway, next_key).is_empty());
        assert_eq!(refusal(&gateway, &organization.key), "", "within its grace");
        // The grace of a second rotation is over at once.
        let last = command("rotate", &old, &["--grace-hours", "0"]);
        wait_until("the old key has expired", || refusal(&gateway, &organization.key) == "expired_api_key");
        assert_eq!(refusal(&gateway, next_key), "");

        let revoked = command("revoke", &next["id"], &[]);
        assert!(revoked["revoked_at"].is_i64() && revoked.get("key").is_none(), "{revoked}");
        wait_until("the revoked key does not work", || refusal(&gateway, next_key) == "invalid_api_key");
        wait_until("the last key works", || refusal(&gateway, last["key"].as_str().unwrap()).is_empty());
        for (what, id) in [("rotate", next["id"].as_str().unwrap()), ("revoke", "key_of_nobody")] {
            let output = installation.run(&["keys", what, "--org", &organization.id, "--id", id]);
            assert!(!output.status.success());
        }
        assert!(gateway.stop().success());
    });
}

#[test]
fn a_key_is_made_with_all_of_its_attributes_or_not_at_all() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let organization = installation.organization("Attributes");
        let create = ["keys", "create", "--org", &organization.id, "--json"];
        let made = installation.json(
            &[
                create.as_slice(),
                &[
                    "--open-webui",
                    "--identity-secret",
                    SECRET,
                    "--requests-per-minute",
                    "60",
                    "--expires-in-days",
                    "30",
                ],
            ]
            .concat(),
        );
        assert_eq!((&made["is_open_webui"], &made["signs_identities"]), (&json!(true), &json!(true)));
        assert_eq!((&made["requests_per_minute"], &made["is_trusted_client"]), (&json!(60), &json!(false)));
        let lifetime = made["expires_at"].as_i64().unwrap() - made["created_at"].as_i64().unwrap();
        assert!((0..10).contains(&(30 * 86_400 - lifetime)), "{lifetime} s");
        let text = made.to_string();
        assert!(!text.contains(SECRET), "{text}");
        for wrong in [
            ["--requests-per-minute", "0"],
            ["--requests-per-minute", "-5"],
            ["--requests-per-minute", "1000001"],
            ["--requests-per-minute", "many"],
            ["--expires-in-days", "0"],
            ["--expires-in-days", "3651"],
            ["--identity-secret", "short"],
        ] {
            let output = installation.run(&[create.as_slice(), &wrong].concat());
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            let name = wrong[0].trim_start_matches('-');
            let named = text.contains(name) || text.contains(&name.replace('-', "_"));
            assert!(!output.status.success() && named, "{wrong:?}: {text}");
        }
        let keys = installation.json(&["keys", "list", "--org", &organization.id, "--json"]);
        assert_eq!(keys.as_array().unwrap().len(), 2, "{keys}");
    });
}
