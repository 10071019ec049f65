//! Accounts and API tokens by the API and by the command line.

use mai_mock_openrouter::{Mock, MockSettings};
use mai_storage::testing::TestDb;
use mai_tests::{
    browser::{Answer, read},
    gateway::{Gateway, Installation},
    on_each_database, run,
};
use reqwest::Method;
use serde_json::{Value, json};

const RESELLER: &str = "reseller-token-of-tests-0123456789";

async fn call(gateway: &Gateway, token: &str, method: Method, path: &str, body: Value) -> Answer {
    let request = reqwest::Client::new().request(method, format!("{}{path}", gateway.base));
    read(request.bearer_auth(token).body(body.to_string())).await
}

#[test]
fn administrators_see_and_change_the_accounts_of_their_own_organization() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let (ours, theirs) = (installation.organization("Ours"), installation.organization("Theirs"));
        let gateway = installation.serve();
        run(async {
            let create = async |token: &str, body: Value| {
                call(&gateway, token, Method::POST, "/api/v1/accounts", body).await
            };
            let new = json!({ "email": "a@ours.example", "name": "A", "role": "admin" });
            let made = create(&ours.token, new.clone()).await;
            assert_eq!(
                (made.status.as_u16(), &made.body["account"]["client_org_id"]),
                (201, &json!(ours.id))
            );
            let id = made.body["account"]["id"].as_str().unwrap().to_owned();
            assert!(!made.body.to_string().contains("password_hash"));
            for (token, body, status, code) in [
                (&ours.token, new, 409, "already_exists"),
                (
                    &ours.token,
                    json!({ "email": "b@x", "name": "B", "role": "reseller" }),
                    400,
                    "invalid_field",
                ),
                (&ours.token, json!({ "email": "b@x", "name": "B", "role": "member" }), 400, "invalid_field"),
                (&ours.token, json!({ "email": "b", "name": "B", "role": "admin" }), 400, "invalid_field"),
                (&ours.token, json!({ "email": "b@x", "name": "B", "role": "boss" }), 400, "invalid_body"),
                (
                    &ours.token,
                    json!({ "email": "b@x", "name": "B", "role": "admin", "client_org_id": theirs.id }),
                    404,
                    "not_found",
                ),
                (
                    &RESELLER.to_owned(),
                    json!({ "email": "b@x", "name": "B", "role": "admin", "client_org_id": "nobody" }),
                    404,
                    "not_found",
                ),
            ] {
                let shown = body.to_string();
                assert_eq!(create(token, body).await.refusal(), (status, code), "{shown}");
            }
            let path = format!("/api/v1/accounts/{id}");
            for (method, path) in [
                (Method::PATCH, path.clone()),
                (Method::DELETE, path.clone()),
                (Method::POST, format!("{path}/link")),
            ] {
                let answer = call(&gateway, &theirs.token, method, &path, json!({})).await;
                assert_eq!(answer.refusal(), (404, "not_found"), "{path}");
            }
            let other = json!({ "name": "A 2", "role": "member", "user_id": "anna" });
            let changed = call(&gateway, &ours.token, Method::PATCH, &path, other).await;
            assert_eq!(changed.status, 200, "{changed:?}");
            let listed = call(&gateway, &ours.token, Method::GET, "/api/v1/accounts", Value::Null).await.body;
            assert_eq!((&listed["total"], &listed["items"][0]), (&json!(1), &changed.body["account"]));
            assert_eq!(listed["items"][0]["user_id"], json!("anna"));
            let none = call(&gateway, RESELLER, Method::GET, "/api/v1/accounts", Value::Null).await.body;
            assert_eq!(none["total"], json!(0));
        });
        gateway.stop();
    });
}

#[test]
fn the_same_account_is_made_once_by_twenty_at_once() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let gateway = Installation::new(database, &mock).serve();
        run(async {
            let new = || json!({ "email": "one@x.example", "name": "One", "role": "reseller" });
            let calls = (0..20).map(|_| call(&gateway, RESELLER, Method::POST, "/api/v1/accounts", new()));
            let answers = futures_util::future::join_all(calls).await;
            let made = answers.iter().filter(|answer| answer.status == 201).count();
            let taken = answers.iter().filter(|answer| answer.refusal() == (409, "already_exists")).count();
            assert_eq!((made, taken), (1, 19), "{answers:?}");
        });
        gateway.stop();
    });
}

#[test]
fn a_token_may_be_for_reading_only_and_says_when_it_was_used() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let organization = installation.organization("ABC");
        let gateway = installation.serve();
        let path = format!("/api/v1/client-organizations/clients/{}/api-tokens", organization.id);
        let id = run(async {
            let post = async |token: &str, path: &str, body: Value| {
                call(&gateway, token, Method::POST, path, body).await
            };
            let made = post(&organization.token, &path, json!({ "name": "r", "scope": "read" })).await;
            assert_eq!(made.status, 201, "{made:?}");
            let token = made.body["token"].as_str().unwrap();
            assert_eq!(call(&gateway, token, Method::GET, &path, Value::Null).await.status, 200);
            let refused = post(token, &path, json!({ "name": "more" })).await;
            assert_eq!(refused.refusal(), (403, "read_only_token"));
            let late = post(&organization.token, &path, json!({ "name": "x", "expires_at": 1 })).await;
            assert_eq!((late.refusal(), &late.body["field"]), ((400, "invalid_field"), &json!("expires_at")));
            let nobody = post(&organization.token, &path, json!({ "name": "x", "role": "member" })).await;
            assert_eq!(nobody.refusal(), (400, "invalid_field"));

            let short = post(
                &organization.token,
                &path,
                json!({ "name": "short", "role": "member", "user_id": "u" }),
            );
            let short = short.await.body;
            let (short, short_id) =
                (short["token"].as_str().unwrap(), short["api_token"]["id"].as_str().unwrap());
            assert_eq!(
                call(&gateway, short, Method::GET, &path, Value::Null).await.refusal(),
                (403, "forbidden")
            );
            let revoke = format!("{path}/{short_id}");
            let revoked = call(&gateway, &organization.token, Method::DELETE, &revoke, Value::Null).await;
            assert_eq!(revoked.status, 200);
            assert_eq!(
                call(&gateway, short, Method::GET, &path, Value::Null).await.refusal(),
                (401, "unauthorized")
            );

            let own = post(RESELLER, "/api/v1/api-tokens", json!({ "name": "ops", "scope": "read" })).await;
            let own = own.body["token"].as_str().unwrap().to_owned();
            let listed = call(&gateway, &own, Method::GET, "/api/v1/api-tokens", Value::Null).await.body;
            assert_eq!(
                (&listed["items"][0]["name"], &listed["items"][0]["role"]),
                (&json!("ops"), &json!("reseller"))
            );
            made.body["api_token"]["id"].as_str().unwrap().to_owned()
        });
        // The stop writes what was not written yet.
        gateway.stop();
        let listed = installation.json(&["tokens", "list", "--org", &organization.id, "--json"]);
        let used = listed.as_array().unwrap().iter().find(|token| token["id"] == json!(id)).unwrap();
        assert!(used["last_used_at"].as_i64().unwrap() > 1_700_000_000, "{used}");
        let log = installation.json(&["tokens", "revoke", "--org", &organization.id, "--id", &id, "--json"]);
        assert_eq!(log["revoked"], json!(true));
    });
}

#[test]
fn accounts_by_the_command_line() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(&database, &mock).with("MAI_LISTEN", "127.0.0.1:8123");
    let organization = installation.organization("ABC");
    let create =
        ["users", "create", "--email", "Anna@abc.example", "--role", "member", "--org", &organization.id];
    let missing = installation.run(&create);
    assert!(!missing.status.success());
    assert!(String::from_utf8_lossy(&missing.stderr).contains("user_id: is needed for the role `member`"));
    let output = installation.run(&[&create[..], &["--user", "anna"]].concat());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("http://127.0.0.1:8123/sign-in/link#mai-link-"), "{text}");
    let off = installation.json(&["users", "deactivate", "--email", "anna@ABC.example", "--json"]);
    assert_eq!((&off["is_active"], &off["has_password"]), (&json!(false), &json!(false)));
    let refused = installation.run(&["users", "link", "--email", "anna@abc.example"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("the account is inactive"));
    installation.json(&["users", "activate", "--email", "anna@abc.example", "--json"]);
    let link = installation.json(&["users", "link", "--email", "anna@abc.example", "--json"]);
    assert!(link["link"].as_str().unwrap().ends_with(link["token"].as_str().unwrap()));
    let listed = installation.json(&["users", "list", "--org", &organization.id, "--json"]);
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["email"]), (1, &json!("anna@abc.example")));
    assert!(installation.run(&["users", "list"]).status.success());
}
