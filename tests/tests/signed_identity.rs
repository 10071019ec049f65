//! Whose a call is, where the client signs it, and what else a client's headers say.

use std::sync::Arc;

use mai_mock_openrouter::{Mock, MockSettings};
use mai_organization::client_organization::MemberTable;
use mai_primitives::{OrganizationId, SystemClock};
use mai_storage::testing::TestDb;
use mai_tests::{
    client::{Client, read},
    gateway::{Gateway, Installation, Organization},
    identity::{SECRET, claims, now, signed, token},
    ledger::{assert_equal_to_mock, rows, wait_until},
    on_each_database, run,
    upstream::calls,
};
use serde_json::{Value, json};

const JWT: &str = "x-openwebui-user-jwt";
const PLAIN: [(&str, &str); 3] = [
    ("x-openwebui-user-id", "mallory"),
    ("x-openwebui-user-name", "Mallory"),
    ("x-openwebui-user-email", "mallory@example.com"),
];

fn with_gateway(name: &str, test: impl Fn(&TestDb, &Mock, &Installation, &Organization, &Gateway)) {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let organization = installation.organization(name);
        let gateway = installation.serve();
        test(database, &mock, &installation, &organization, &gateway);
        assert!(gateway.stop().success());
    });
}

/// Status and error code of a chat call with these headers.
fn call(gateway: &Gateway, key: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let (status, body) = call_on(gateway, key, "/v1/chat/completions", headers);
    (status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
}

fn call_on(gateway: &Gateway, key: &str, path: &str, headers: &[(&str, &str)]) -> (u16, Value) {
    run(async {
        let mut request = Client::new(&gateway.base, key).post(path, &Client::chat_body("mock/ok", false));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = read(request.send().await.unwrap()).await;
        (answer.status.as_u16(), answer.json())
    })
}

/// Makes a key that asks for signed identities, from a secret on standard input, and waits until it works.
fn signing_key(installation: &Installation, gateway: &Gateway, organization: &Organization) -> String {
    let create = ["keys", "create", "--org", &organization.id, "--trusted-client", "--json"];
    let create = [create.as_slice(), &["--identity-secret", "-"]].concat();
    let output = installation.run_with_input(&create, &format!("{SECRET}\n"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&made["signs_identities"], made.get("identity_secret")), (&json!(true), None));
    let key = made["key"].as_str().unwrap().to_owned();
    wait_until("the new key is known", || call(gateway, &key, &[]).1 != "invalid_api_key");
    key
}

#[test]
fn only_a_signed_identity_opens_a_key_that_asks_for_one() {
    with_gateway("Signed", |database, mock, installation, organization, gateway| {
        let key = signing_key(installation, gateway, organization);
        let changed = |name: &str, value: Value| {
            let mut claims = claims("anna");
            claims[name] = value;
            signed(&claims, SECRET)
        };
        let header = |alg: &str| token(&json!({ "alg": alg }), &claims("anna"), SECRET);
        let unsigned = header("none").rsplit_once('.').unwrap().0.to_owned() + ".";
        let good = signed(&claims("anna"), SECRET);
        for (what, jwt, expected) in [
            ("nothing", None, "identity_required"),
            ("an empty header", Some(String::new()), "identity_required"),
            ("an expired one", Some(changed("exp", json!(now() - 61))), "expired_identity"),
            ("another secret", Some(signed(&claims("anna"), &SECRET.replace('0', "1"))), "invalid_identity"),
            ("alg none, signed", Some(header("none")), "invalid_identity"),
            ("alg none, unsigned", Some(unsigned), "invalid_identity"),
            ("another alg", Some(header("HS512")), "invalid_identity"),
            ("one from the future", Some(changed("iat", json!(now() + 600))), "invalid_identity"),
            ("one without an end", Some(changed("exp", Value::Null)), "invalid_identity"),
            ("another issuer", Some(changed("iss", json!("somebody"))), "invalid_identity"),
            ("nobody", Some(changed("sub", json!(" "))), "invalid_identity"),
            ("no text", Some("x".to_owned()), "invalid_identity"),
            ("a long one", Some("x.".repeat(10_000)), "invalid_identity"),
        ] {
            for plain in [&[][..], &PLAIN] {
                let headers: Vec<_> =
                    jwt.iter().map(|jwt| (JWT, jwt.as_str())).chain(plain.iter().copied()).collect();
                assert_eq!(call(gateway, &key, &headers), (401, expected.to_owned()), "{what}");
            }
        }
        let (status, body) = call_on(gateway, &key, "/v1/messages", &PLAIN);
        assert_eq!((status, &body["error"]["type"]), (401, &json!("authentication_error")));
        assert!(calls(mock).is_empty(), "a refused call must not reach upstream");

        // The signed one counts, whatever plain headers and the body say.
        assert_eq!(call(gateway, &key, &[(JWT, &good)]).0, 200);
        let both: Vec<_> = [(JWT, good.as_str())].into_iter().chain(PLAIN).collect();
        assert_eq!(call(gateway, &key, &both).0, 200);
        // A list of models is for nobody.
        assert_eq!(run(Client::new(&gateway.base, &key).get("/v1/models")).status, 200);
        assert_equal_to_mock(&database.storage, &organization.id, mock);
        let booked = rows(&database.storage, &organization.id);
        assert!(booked.len() == 2 && booked.values().all(|row| row.user_id.as_str() == "anna"), "{booked:?}");
        let id = OrganizationId::new(&organization.id).unwrap();
        let members = MemberTable::new(database.storage.clone(), Arc::new(SystemClock));
        let members = run(members.list(&id)).unwrap();
        let said: Vec<_> = members
            .iter()
            .map(|one| (one.user_id.as_str(), one.name.as_deref(), one.email.as_deref()))
            .collect();
        assert_eq!(said, [("anna", Some("Żółw Admin"), Some("anna@example.com"))]);
        for request in mock.requests() {
            assert!(!request.headers.keys().any(|name| name.as_str().starts_with("x-openwebui-")));
        }
    });
}

/// Open WebUI's fallback must not open a key, and a token must not open one that believes plain headers.
#[test]
fn a_key_without_a_secret_does_not_read_tokens() {
    with_gateway("Plain", |database, mock, installation, organization, gateway| {
        let trusted = installation.key(&organization.id, &["--trusted-client"]);
        let jwt = signed(&claims("anna"), SECRET);
        wait_until("the new key is known", || call(gateway, &trusted, &[]).0 == 200);
        let both: Vec<_> = [(JWT, jwt.as_str())].into_iter().chain(PLAIN).collect();
        assert_eq!(call(gateway, &trusted, &both).0, 200);
        assert_eq!(call(gateway, &organization.key, &both).0, 200);
        assert_equal_to_mock(&database.storage, &organization.id, mock);
        let mut users: Vec<_> = rows(&database.storage, &organization.id)
            .into_values()
            .map(|row| row.user_id.to_string())
            .collect();
        users.sort();
        assert_eq!(users, ["mallory", "unattributed", "unattributed"]);
    });
}

#[test]
fn a_secret_that_cannot_be_read_refuses_every_call() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let organization = installation.organization("Lost");
        let key = installation.key(&organization.id, &["--trusted-client", "--identity-secret", SECRET]);
        let other = installation.with("MAI_MASTER_KEY", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=");
        let gateway = other.serve();
        let jwt = signed(&claims("anna"), SECRET);
        for headers in [&[][..], &PLAIN, &[(JWT, jwt.as_str())]] {
            assert_eq!(call(&gateway, &key, headers), (503, "identity_secret_unreadable".to_owned()));
        }
        assert!(calls(&mock).is_empty());
    });
}

#[test]
fn a_trusted_client_says_what_its_calls_are_for() {
    with_gateway("Tasks", |database, mock, installation, organization, gateway| {
        let trusted = installation.key(&organization.id, &["--trusted-client"]);
        wait_until("the new key is known", || call(gateway, &trusted, &[]).0 == 200);
        let longest = "x".repeat(64);
        let too_long = "x".repeat(65);
        for task in ["title_generation", " tags_generation ", &longest, "", " ", &too_long, "two words"] {
            assert_eq!(call(gateway, &trusted, &[("X-Mai-Task", task)]).0, 200);
        }
        assert_eq!(call(gateway, &organization.key, &[("X-Mai-Task", "title_generation")]).0, 200);
        // Its cost is looked up later, and the label stays.
        run(async {
            let body = Client::chat_body("mock/no-usage", true);
            let request = Client::new(&gateway.base, &trusted).post("/v1/chat/completions", &body);
            let answer = request.header("x-mai-task", "follow_up_generation").send().await.unwrap();
            assert!(read(answer).await.complete);
        });
        assert_equal_to_mock(&database.storage, &organization.id, mock);
        let mut tasks: Vec<_> =
            rows(&database.storage, &organization.id).into_values().filter_map(|row| row.task).collect();
        tasks.sort();
        assert_eq!(tasks, ["follow_up_generation", "tags_generation", "title_generation", &longest]);
        let sent = mock.requests();
        assert!(sent.iter().all(|request| !request.headers.contains_key("x-mai-task")));
    });
}

#[test]
fn upstream_gets_the_site_of_the_organization_and_no_other() {
    with_gateway("Sites", |_, mock, installation, organization, gateway| {
        let sent = || {
            let headers = [("http-referer", "https://client.example"), ("referer", "https://client.example")];
            assert_eq!(call(gateway, &organization.key, &headers).0, 200);
            let headers = calls(mock).pop().unwrap().headers;
            assert!(!headers.contains_key("referer"));
            headers.get("http-referer").map(|value| value.to_str().unwrap().to_owned())
        };
        let update = |site: &str| {
            let arguments = ["org", "update", "--org", &organization.id, "--site-url", site, "--json"];
            installation.json(&arguments)["site_url"].clone()
        };
        assert_eq!(sent(), None);
        assert_eq!(update("https://chat.sites.example/"), "https://chat.sites.example/");
        wait_until("upstream gets the site", || sent().as_deref() == Some("https://chat.sites.example/"));
        let refused =
            installation.run(&["org", "update", "--org", &organization.id, "--site-url", "ftp://x"]);
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(
            !refused.status.success() && text.contains("site_url: must be an http or https URL"),
            "{text}"
        );
        assert_eq!(update("none"), Value::Null);
        wait_until("upstream gets no site", || sent().is_none());
    });
}

#[test]
fn organizations_are_changed_by_the_command_line() {
    with_gateway("Changed", |_, _, installation, organization, _| {
        let update = |more: &[&str]| {
            installation.json(&[&["org", "update", "--org", &organization.id, "--json"], more].concat())
        };
        let before = update(&[]);
        let all = update(&[
            "--name",
            "Other",
            "--markup",
            "1.25",
            "--monthly-limit",
            "12.5",
            "--drain-on-disconnect",
            "true",
        ]);
        assert_eq!((&all["name"], &all["markup_rate"]), (&json!("Other"), &json!("1.25")));
        assert_eq!((&all["monthly_limit_usd"], &all["drain_on_disconnect"]), (&json!("12.5"), &json!(true)));
        assert_eq!(update(&[]), all);
        let name = before["name"].as_str().unwrap();
        let cleared = ["--name", name, "--markup", "default", "--monthly-limit", "none"];
        let cleared = [cleared.as_slice(), &["--drain-on-disconnect", "false"]].concat();
        assert_eq!(update(&cleared), before);
        for wrong in [["--markup", "0"], ["--monthly-limit", "-1"], ["--drain-on-disconnect", "maybe"]] {
            let arguments = [&["org", "update", "--org", &organization.id], wrong.as_slice()].concat();
            assert!(!installation.run(&arguments).status.success(), "{wrong:?}");
        }
        assert_eq!(update(&[]), before);
    });
}
