//! What the API owes its callers beside its answers: changes that hold at once, names of any letters, inputs
//! that no database can keep, a rate, and what an administrator must not learn.

use mai_mock_openrouter::{Mock, MockSettings};
use mai_tests::{
    client::{Client, read},
    gateway::{Gateway, Installation},
    management::{call, reseller},
    on_each_database,
    reports::RESELLER,
    run,
};
use serde_json::{Value, json};

const NONE: Value = Value::Null;

async fn chat(gateway: &Gateway, key: &str) -> u16 {
    Client::new(&gateway.base, key).chat("mock/ok", false, 1).await.unwrap().status.as_u16()
}

#[test]
fn a_change_holds_before_its_answer() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        installation.organization("Turtle");
        let gateway = installation.serve();
        run(async {
            // Many times, because a change that holds within half a second would hold by chance now and then.
            for number in 0..8 {
                let name = json!({ "name": format!("key {number}") });
                let made = reseller(&gateway, "POST", "clients/turtle/gateway-keys", &name, 201).await;
                let key = made["key"].as_str().unwrap();
                assert_eq!(chat(&gateway, key).await, 200);
                let id = made["gateway_key"]["id"].as_str().unwrap();
                reseller(&gateway, "DELETE", &format!("clients/turtle/gateway-keys/{id}"), &NONE, 200).await;
                assert_eq!(chat(&gateway, key).await, 401);
            }
        });
        assert!(gateway.stop().success());
    });
}

#[test]
fn an_id_may_have_any_letters() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        installation.organization("Turtle");
        let gateway = installation.serve();
        run(async {
            for (id, path) in
                [("a/b", "a%2Fb"), ("a+b@x.pl", "a%2Bb@x.pl"), ("100%", "100%25"), ("Żółw", "Żółw")]
            {
                let new = json!({ "user_id": id });
                reseller(&gateway, "POST", "clients/turtle/members", &new, 201).await;
                let shown =
                    reseller(&gateway, "GET", &format!("clients/turtle/members/{path}"), &NONE, 200).await;
                assert_eq!(shown["member"]["user_id"], id, "{shown}");
            }
            let further = "clients/turtle/members/Żółw/external-ids/x%2Fy";
            reseller(&gateway, "PUT", further, &NONE, 200).await;
            let shown = reseller(&gateway, "GET", "clients/turtle/members/Żółw", &NONE, 200).await;
            assert_eq!(shown["external_user_ids"], json!(["x/y"]), "{shown}");
        });
        assert!(gateway.stop().success());
    });
}

#[test]
fn nul_is_refused_before_it_reaches_a_database() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        installation.organization("Turtle");
        let gateway = installation.serve();
        run(async {
            let http = reqwest::Client::new();
            let with_nul = json!({ "email": "a\0@b", "password": "x" }).to_string();
            let sign_in = http.post(format!("{}/api/v1/auth/sign-in", gateway.base)).body(with_nul);
            assert_eq!(read(sign_in.send().await.unwrap()).await.json()["code"], "invalid_body");
            for (method, route, body, status) in [
                ("GET", "audit-log?action=%00", NONE, 400),
                ("GET", "audit-log?cursor=Ilx1MDAwMCI", NONE, 400),
                ("GET", "clients/turtle/pending-generations?cursor=WzEsIlx1MDAwMCIsInR1cnRsZSJd", NONE, 400),
                ("POST", "clients/turtle/gateway-keys/%00/rotate", json!({}), 404),
                ("DELETE", "clients/turtle/api-tokens/%00", NONE, 404),
                ("GET", "clients/%00", NONE, 404),
                ("PATCH", "clients/turtle", json!({ "name": "a\0b" }), 400),
                ("POST", "clients/turtle/pending-generations/gen-1/dismiss", json!({ "reason": "\0" }), 400),
            ] {
                let answer = call(&gateway, method, route, RESELLER, &body).await;
                assert_eq!(answer.status.as_u16(), status, "{method} {route}: {:?}", answer.json());
            }
        });
        assert!(!gateway.log().contains("ERROR"), "{}", gateway.log());
        assert!(gateway.stop().success());
    });
}

#[test]
fn a_caller_may_ask_so_often_and_the_reseller_always() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock).with("MAI_API_RATE_LIMIT_PER_MINUTE", "1");
        let (ours, theirs) = (installation.organization("Ours"), installation.organization("Theirs"));
        let gateway = installation.serve();
        run(async {
            let first = call(&gateway, "GET", "clients/ours", &ours.token, &NONE).await;
            assert_eq!(first.status.as_u16(), 200);
            // At one a minute not all of these can be taken, however slow the machine is.
            let url = format!("{}/api/v1/client-organizations/clients/ours", gateway.base);
            let mut refused = None;
            for _ in 0..20 {
                let answer = reqwest::Client::new().get(&url).bearer_auth(&ours.token).send().await.unwrap();
                if answer.status() != 200 {
                    refused = Some(answer);
                }
            }
            let refused = refused.expect("one of twenty is refused");
            assert_eq!(refused.status(), 429);
            let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=60).contains(&wait), "{wait}");
            assert_eq!(read(refused).await.json()["code"], "rate_limit_exceeded");
            let other = call(&gateway, "GET", "clients/theirs", &theirs.token, &NONE).await;
            assert_eq!(other.status.as_u16(), 200);
            for _ in 0..5 {
                reseller(&gateway, "GET", "clients", &NONE, 200).await;
            }
        });
        assert!(gateway.stop().success());
    });
}

#[test]
fn an_administrator_cannot_compute_what_the_reseller_pays() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let ours = installation.organization("Ours");
        let gateway = installation.serve();
        run(async {
            let rate = json!({ "markup_rate": 1.375, "billing_email": "a@x.example" });
            reseller(&gateway, "PATCH", "clients/ours", &rate, 200).await;
            let usage = json!({
                "client_org_id": "ours", "user_id": "stranger", "model": "openai/o3", "tokens": 100, "cost": 0.0625,
            });
            let url = format!("{}/api/v1/usage-tracking/usage/manual-record", gateway.base);
            let report = reqwest::Client::new().post(url).bearer_auth(RESELLER).body(usage.to_string());
            assert_eq!(report.send().await.unwrap().status(), 200);
            reseller(&gateway, "POST", "clients/ours/members", &json!({ "user_id": "anna" }), 201).await;
            let assign = json!({ "from_user_id": "stranger", "to_user_id": "anna" });
            reseller(&gateway, "POST", "clients/ours/members/assign", &assign, 200).await;

            let organization = call(&gateway, "GET", "clients/ours", &ours.token, &NONE).await.json();
            for hidden in ["markup_rate", "openrouter_api_key", "openrouter_key_hash"] {
                assert_eq!(organization[hidden], NONE, "{hidden}");
            }
            assert_eq!(organization["billing_email"], "a@x.example");
            for route in
                ["audit-log", "audit-log?action=usage", "clients/ours/pending-generations", "clients/ours"]
            {
                let answer = call(&gateway, "GET", route, &ours.token, &NONE).await;
                let text = String::from_utf8(answer.body.clone()).unwrap();
                for secret in ["1.375", "0.0625", "confidential", "…ours"] {
                    assert!(!text.contains(secret), "{secret} in {route}: {text}");
                }
            }
            let entries =
                call(&gateway, "GET", "audit-log?action=usage.assign", &ours.token, &NONE).await.json();
            let entry = &entries["items"][0];
            assert_eq!((&entry["details"]["requests"], &entry["hash"]), (&json!(1), &NONE));
            // The reseller sees all of it.
            let entries = reseller(&gateway, "GET", "audit-log?action=usage.assign", &NONE, 200).await;
            assert_eq!(entries["items"][0]["details"]["confidential"]["raw_cost"], "0.0625");
            let entries = reseller(&gateway, "GET", "audit-log?action=organization.update", &NONE, 200).await;
            assert_eq!(entries["items"][0]["details"]["confidential"]["markup_rate"], "1.375");
        });
        assert!(gateway.stop().success());
    });
}

#[test]
fn what_a_known_caller_was_refused_is_in_the_audit_log() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let ours = installation.organization("Ours");
        let gateway = installation.serve();
        run(async {
            let refused =
                call(&gateway, "PATCH", "clients/ours", &ours.token, &json!({ "name": "Mine" })).await;
            assert_eq!(refused.status.as_u16(), 403);
            let stranger = call(&gateway, "PATCH", "clients/ours", "mai-token-unknown", &json!({})).await;
            assert_eq!(stranger.status.as_u16(), 401);
            let entries =
                reseller(&gateway, "GET", "audit-log?client_org_id=ours&limit=500", &NONE, 200).await;
            let refusals =
                entries["items"].as_array().unwrap().iter().filter(|entry| entry["result"] != "ok");
            let refusals: Vec<_> =
                refusals.map(|entry| (&entry["actor_kind"], &entry["result"], &entry["target"])).collect();
            let target = json!("/api/v1/client-organizations/clients/ours");
            assert_eq!(refusals, [(&json!("api_token"), &json!("forbidden"), &target)], "{entries}");
        });
        assert!(gateway.stop().success());
    });
}

#[test]
fn the_page_of_a_sign_in_link_is_there_and_runs_nothing_foreign() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let gateway = Installation::new(database, &mock).serve();
        run(async {
            for (path, kind) in [
                ("/sign-in/link", "text/html; charset=utf-8"),
                ("/api/docs", "text/html; charset=utf-8"),
                ("/api/docs/api.css", "text/css"),
                ("/api/docs/api.js", "text/javascript"),
            ] {
                let answer = reqwest::get(format!("{}{path}", gateway.base)).await.unwrap();
                assert_eq!(answer.status(), 200, "{path}");
                assert_eq!(answer.headers()["content-type"], kind);
                let policy = answer.headers()["content-security-policy"].to_str().unwrap();
                assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
                assert!(!policy.contains("unsafe"), "{policy}");
                let text = answer.text().await.unwrap();
                assert!(!text.contains("<script>") && !text.contains(" onclick="), "{path}");
            }
        });
        assert!(gateway.stop().success());
    });
}
