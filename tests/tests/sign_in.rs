//! Signing in and out of the real binary: passwords, links, cookies, and what a browser must prove.

use mai_mock_openrouter::{Mock, MockSettings};
use mai_storage::testing::TestDb;
use mai_tests::{
    browser::{Answer, Browser, read},
    gateway::{Gateway, Installation},
    on_each_database, run,
};
use reqwest::Method;
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";
const SESSION: &str = "/api/v1/auth/session";

fn installation(database: &TestDb, mock: &Mock) -> Installation {
    Installation::new(database, mock)
}

/// An administrator's account of an organization; its first link.
fn admin(installation: &Installation, organization: &str, email: &str) -> String {
    let arguments = ["users", "create", "--email", email, "--role", "admin", "--org", organization, "--json"];
    installation.json(&arguments)["token"].as_str().unwrap().to_owned()
}

/// A browser that is signed in with a password.
async fn signed_in(gateway: &Gateway, email: &str, link: &str) -> Browser {
    let mut browser = Browser::new(&gateway.base);
    assert_eq!(browser.open_link(link).await.status, 200);
    assert_eq!(browser.choose_password(PASSWORD).await.status, 200);
    let answer = browser.sign_in(email, PASSWORD).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    browser
}

/// The entries of the audit log of an action, the newest first.
fn entries(gateway: &Gateway, action: &str) -> Vec<Value> {
    let url = format!("{}/api/v1/client-organizations/audit-log?action={action}&limit=500", gateway.base);
    let answer = run(read(reqwest::Client::new().get(url).bearer_auth("reseller-token-of-tests-0123456789")));
    answer.body["items"].as_array().unwrap().clone()
}

#[test]
fn the_first_start_prints_a_link_that_leads_to_the_first_account() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(&database, &mock)
        .with("MAI_ADMIN_TOKEN", "")
        .with("MAI_PUBLIC_URL", "https://usage.example");
    let gateway = installation.serve();
    let link = gateway
        .printed
        .iter()
        .find_map(|line| line.trim().strip_prefix("https://usage.example/sign-in/link#"));
    let link = link.expect("a link was printed").to_owned();
    assert!(gateway.printed.iter().any(|line| line.contains("curl") && line.contains(&link)));
    run(async {
        let mut browser = Browser::new(&gateway.base);
        let answer = browser.open_link(&link).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        // Browsers reach it by https, so the cookie is for that only.
        let cookie = answer.set_cookie.unwrap();
        assert!(cookie.starts_with("__Host-mai_session=mai-session-"), "{cookie}");
        is_kept_for_two_weeks(&cookie, " HttpOnly; SameSite=Lax; Secure");
        // Any service of the domain could have set one of the other name.
        let mut planted = browser.clone();
        planted.cookie = browser.cookie.as_ref().map(|cookie| cookie.replace("__Host-", ""));
        assert_eq!(planted.get(SESSION).await.refusal(), (401, "unauthorized"));
        assert_eq!((&answer.body["role"], &answer.body["kind"]), (&json!("reseller"), &json!("link")));
        assert_eq!(answer.body["account"], Value::Null);

        let new = json!({ "email": "Boss@X.example", "name": "Boss", "role": "reseller" });
        let created = browser.post("/api/v1/accounts", &new).await;
        assert_eq!(created.status, 201, "{created:?}");
        let id = created.body["account"]["id"].as_str().unwrap();
        // The session is the account's now.
        let session = browser.get(SESSION).await.body;
        assert_eq!(session["account"]["email"], "boss@x.example");
        let invited = browser.post(&format!("/api/v1/accounts/{id}/link"), &json!({})).await;
        assert_eq!(invited.status, 201, "{invited:?}");
        let token = invited.body["token"].as_str().unwrap();
        assert_eq!(invited.body["link"], format!("https://usage.example/sign-in/link#{token}"));
        let mut boss = signed_in(&gateway, "boss@x.example", token).await;
        assert_eq!(browser.get(SESSION).await.refusal(), (401, "unauthorized"), "it ended with the password");
        let session = boss.get(SESSION).await.body;
        assert_eq!(
            (&session["kind"], &session["account"]["email"]),
            (&json!("password"), &json!("boss@x.example"))
        );
        assert_eq!(session["csrf_token"], boss.csrf_token);

        let second = boss.post(&format!("/api/v1/accounts/{id}/link"), &json!({})).await;
        assert_eq!(second.status, 201);
        let last = boss.send(Method::DELETE, &format!("/api/v1/accounts/{id}"), &json!({})).await;
        assert_eq!(last.refusal(), (409, "wrong_state"));
        let gone = boss.open_link(token).await;
        assert_eq!(gone.refusal(), (401, "sign_in_failed"));
    });
    gateway.stop();
    let gateway = installation.serve();
    assert!(!gateway.printed.iter().any(|line| line.contains("mai-link-")), "{:?}", gateway.printed);
}

/// A cookie lasts as long as its session does, which has begun some seconds ago on a slow machine.
fn is_kept_for_two_weeks(cookie: &str, attributes: &str) {
    let (_, kept) = cookie.split_once("; Path=/; Max-Age=").expect("it ends some day");
    let (seconds, others) = kept.split_once(';').expect("it has more attributes");
    let seconds: i64 = seconds.parse().expect("a number of seconds");
    assert!((1_209_540..=1_209_600).contains(&seconds) && others == attributes, "{cookie}");
}

#[test]
fn a_session_lives_until_its_owner_signs_out() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = installation(database, &mock);
        let organization = installation.organization("ABC");
        let link = admin(&installation, &organization.id, "anna@abc.example");
        let gateway = installation.serve();
        run(async {
            let first = signed_in(&gateway, "anna@abc.example", &link).await;
            let mut others = [Browser::new(&gateway.base), Browser::new(&gateway.base)];
            for other in &mut others {
                let answer = other.sign_in("ANNA@abc.example", PASSWORD).await;
                let cookie = answer.set_cookie.unwrap();
                is_kept_for_two_weeks(&cookie, " HttpOnly; SameSite=Lax");
            }
            let clients = format!("/api/v1/client-organizations/clients/{}", organization.id);
            assert_eq!(first.get(&clients).await.body["id"], json!(organization.id));
            let sessions = first.get("/api/v1/auth/sessions").await.body;
            let current: Vec<bool> = sessions["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|session| session["is_current"].as_bool().unwrap())
                .collect();
            // Beside the three there is the one of the password that was chosen.
            assert_eq!((current.len(), current.iter().filter(|current| **current).count()), (4, 1));

            let signed_out = others[0].post("/api/v1/auth/sign-out", &json!({})).await;
            assert_eq!(signed_out.status, 200);
            assert!(signed_out.set_cookie.unwrap().starts_with("mai_session=; Path=/; Max-Age=0;"));
            assert_eq!(others[0].get(SESSION).await.refusal(), (401, "unauthorized"));
            assert_eq!(others[1].get(SESSION).await.status, 200);
            let id = others[1].get(SESSION).await.body["session_id"].as_str().unwrap().to_owned();
            let ended = first.send(Method::DELETE, &format!("/api/v1/auth/sessions/{id}"), &json!({})).await;
            assert_eq!(ended.status, 200);
            assert_eq!(others[1].get(SESSION).await.refusal(), (401, "unauthorized"));

            others[1].sign_in("anna@abc.example", PASSWORD).await;
            assert_eq!(first.post("/api/v1/auth/sign-out-everywhere", &json!({})).await.status, 200);
            for browser in [&first, &others[1]] {
                assert_eq!(browser.get(SESSION).await.refusal(), (401, "unauthorized"));
                assert_eq!(browser.get(&clients).await.refusal(), (401, "unauthorized"));
            }
        });
        let ended = entries(&gateway, "session");
        assert!(ended.iter().all(|entry| entry["client_org_id"] == json!(organization.id)));
        assert_eq!(ended[0]["action"], json!("session.end_all"));
        assert_eq!((&ended[0]["actor_kind"], &ended[0]["remote"]), (&json!("account"), &json!("127.0.0.1")));
        gateway.stop();
    });
}

#[test]
fn a_browser_must_prove_that_a_change_is_meant() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = installation(&database, &mock);
    let organization = installation.organization("ABC");
    let link = admin(&installation, &organization.id, "anna@abc.example");
    let gateway = installation.serve();
    run(async {
        let anna = signed_in(&gateway, "anna@abc.example", &link).await;
        let own = gateway.base.clone();
        let tokens = format!("/api/v1/client-organizations/clients/{}/api-tokens", organization.id);
        let body = json!({ "name": "made by another site" }).to_string();
        let proof = ("x-csrf-token", anna.csrf_token.as_str());
        for headers in [
            &[][..],
            &[("x-csrf-token", "")],
            &[("x-csrf-token", "0000")],
            &[proof, ("origin", "https://evil.example")],
            &[proof, ("origin", "null")],
            &[proof, ("sec-fetch-site", "cross-site")],
            &[proof, ("sec-fetch-site", "same-site")],
        ] {
            let mut request = anna.request(Method::POST, &tokens).body(body.clone());
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            assert_eq!(read(request).await.refusal(), (403, "csrf"), "{headers:?}");
        }
        let listed = anna.get(&tokens).await.body;
        assert_eq!(listed["items"].as_array().unwrap().len(), 1, "nothing was made");
        let honest = anna
            .request(Method::POST, &tokens)
            .header(proof.0, proof.1)
            .header("origin", &own)
            .header("sec-fetch-site", "same-origin")
            .body(body.clone());
        assert_eq!(read(honest).await.status, 201);

        // Nobody is signed in to an account of somebody else's choice, either.
        let sign_in = json!({ "email": "anna@abc.example", "password": PASSWORD }).to_string();
        let foreign = Browser::new(&gateway.base)
            .request(Method::POST, "/api/v1/auth/sign-in")
            .header("origin", "https://evil.example")
            .body(sign_in);
        assert_eq!(read(foreign).await.refusal(), (403, "csrf"));
        // A token is sent by nobody unasked, so it needs no proof.
        let by_token = reqwest::Client::new()
            .post(format!("{}{tokens}", gateway.base))
            .bearer_auth(&organization.token)
            .header("origin", "https://evil.example")
            .body(body.clone());
        assert_eq!(read(by_token).await.status, 201);
    });
    let refused = entries(
        &gateway,
        "POST%20%2Fapi%2Fv1%2Fclient-organizations%2Fclients%2F%7Bclient_id%7D%2Fapi-tokens",
    );
    assert_eq!(refused.iter().filter(|entry| entry["result"] == json!("csrf")).count(), 7);
    gateway.stop();
}

#[test]
fn nobody_learns_by_trying_passwords() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = installation(database, &mock);
        let organization = installation.organization("ABC");
        let link = admin(&installation, &organization.id, "anna@abc.example");
        let gateway = installation.serve();
        let anna = "anna@abc.example";
        run(async {
            let mut browser = signed_in(&gateway, anna, &link).await;
            let refused = |answer: Answer| {
                assert_eq!((answer.refusal(), &answer.set_cookie), ((401, "sign_in_failed"), &None));
                assert_eq!(answer.retry_after, None);
                answer.body
            };
            let unknown = refused(Browser::new(&gateway.base).sign_in("nobody@abc.example", PASSWORD).await);
            for _ in 0..5 {
                assert_eq!(refused(browser.sign_in(anna, "a wrong password").await), unknown);
            }
            // The right one tells nothing more than a wrong one now.
            assert_eq!(refused(Browser::new(&gateway.base).sign_in(anna, PASSWORD).await), unknown);
            // Whoever is signed in stays so, and a link opens the account again.
            assert_eq!(browser.get(SESSION).await.status, 200);
            let link = installation.json(&["users", "link", "--email", anna, "--json"]);
            let mut other = Browser::new(&gateway.base);
            assert_eq!(other.open_link(link["token"].as_str().unwrap()).await.status, 200);
            assert_eq!(browser.sign_in(anna, PASSWORD).await.status, 200);
        });
        let results: Vec<String> = entries(&gateway, "account.sign_in")
            .iter()
            .map(|entry| entry["result"].as_str().unwrap().to_owned())
            .collect();
        let wrong = "wrong_password";
        assert_eq!(results, ["account_locked", wrong, wrong, wrong, wrong, wrong, "unknown_account"]);
        gateway.stop();
    });
}

#[test]
fn an_address_may_fail_ten_times_a_minute() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = installation(&database, &mock).with("MAI_SIGN_IN_ATTEMPTS_PER_MINUTE", "10");
    let organization = installation.organization("ABC");
    let link = admin(&installation, &organization.id, "anna@abc.example");
    let gateway = installation.serve();
    let revoked = installation.json(&["tokens", "create", "--org", &organization.id, "--json"]);
    let id = revoked["id"].as_str().unwrap();
    assert!(installation.run(&["tokens", "revoke", "--org", &organization.id, "--id", id]).status.success());
    let revoked = revoked["token"].as_str().unwrap().to_owned();
    run(async {
        let anna = signed_in(&gateway, "anna@abc.example", &link).await;
        let mut browser = Browser::new(&gateway.base);
        let with_token = async |token: &str| {
            let url = format!("{}/api/v1/client-organizations/clients/abc", gateway.base);
            read(reqwest::Client::new().get(url).bearer_auth(token)).await
        };
        for index in 0..5 {
            let answer = browser.sign_in(&format!("{index}@abc.example"), PASSWORD).await;
            assert_eq!(answer.refusal(), (401, "sign_in_failed"));
            // Neither a right token nor one that was taken back is a guess.
            assert_eq!(with_token(&organization.token).await.status, 200);
            assert_eq!(with_token(&revoked).await.refusal(), (401, "unauthorized"));
            let guess = with_token(&format!("mai-token-{index}")).await;
            assert_eq!(guess.refusal(), (401, "unauthorized"));
        }
        // A right token would end the guessing, so that none is looked at. Who is signed in stays so.
        for token in [&organization.token, "mai-token-guess", "reseller-token-of-tests-0123456789"] {
            let answer = with_token(token).await;
            assert_eq!(answer.refusal(), (429, "too_many_attempts"));
            assert!((1..=60).contains(&answer.retry_after.unwrap()), "{answer:?}");
        }
        assert_eq!(anna.get(SESSION).await.status, 200);
        for answer in [
            browser.sign_in("nobody@abc.example", PASSWORD).await,
            browser.open_link("mai-link-unknown").await,
        ] {
            assert_eq!(answer.refusal(), (429, "too_many_attempts"));
            assert!((1..=60).contains(&answer.retry_after.unwrap()), "{answer:?}");
        }
    });
    gateway.stop();
}

#[test]
fn of_twenty_who_open_one_link_one_is_signed_in() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = installation(database, &mock);
        let organization = installation.organization("ABC");
        let link = admin(&installation, &organization.id, "anna@abc.example");
        let gateway = installation.serve();
        run(async {
            let opened = (0..20).map(|_| async {
                let mut browser = Browser::new(&gateway.base);
                browser.open_link(&link).await
            });
            let answers = futures_util::future::join_all(opened).await;
            let signed_in: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 200).collect();
            assert_eq!(signed_in.len(), 1);
            for refused in answers.iter().filter(|answer| answer.status != 200) {
                assert_eq!((refused.refusal(), &refused.set_cookie), ((401, "sign_in_failed"), &None));
            }
        });
        gateway.stop();
    });
}

#[test]
fn another_password_needs_the_present_one_and_ends_every_session() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = installation(&database, &mock);
    let organization = installation.organization("ABC");
    let link = admin(&installation, &organization.id, "anna@abc.example");
    let gateway = installation.serve();
    run(async {
        let mut anna = signed_in(&gateway, "anna@abc.example", &link).await;
        let mut other = Browser::new(&gateway.base);
        other.sign_in("anna@abc.example", PASSWORD).await;
        let path = "/api/v1/auth/password";
        for (body, field) in [
            (json!({ "new": "another horse battery" }), "current"),
            (json!({ "current": "a wrong password", "new": "another horse battery" }), "current"),
            (json!({ "current": PASSWORD, "new": "short" }), "password"),
        ] {
            let answer = anna.post(path, &body).await;
            assert_eq!((answer.refusal(), &answer.body["field"]), ((400, "invalid_field"), &json!(field)));
        }
        let old = anna.clone();
        let changed = anna.enter(path, &json!({ "current": PASSWORD, "new": "another horse battery" })).await;
        assert_eq!(changed.status, 200, "{changed:?}");
        assert_eq!(anna.get(SESSION).await.status, 200);
        for ended in [&old, &other] {
            assert_eq!(ended.get(SESSION).await.refusal(), (401, "unauthorized"));
        }
        assert_eq!(other.sign_in("anna@abc.example", PASSWORD).await.refusal(), (401, "sign_in_failed"));
        assert_eq!(other.sign_in("anna@abc.example", "another horse battery").await.status, 200);
    });
    gateway.stop();
}

#[test]
fn whoever_is_shut_out_is_out_at_once() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = installation(database, &mock);
        let organization = installation.organization("ABC");
        let link = admin(&installation, &organization.id, "anna@abc.example");
        let gateway = installation.serve();
        run(async {
            let mut anna = signed_in(&gateway, "anna@abc.example", &link).await;
            let tokens = format!("/api/v1/client-organizations/clients/{}/api-tokens", organization.id);
            let by_token = async || {
                let url = format!("{}{tokens}", gateway.base);
                read(reqwest::Client::new().get(url).bearer_auth(&organization.token)).await
            };
            let reseller = async |method: Method, path: &str, body: Value| {
                let request = reqwest::Client::new().request(method, format!("{}{path}", gateway.base));
                read(request.bearer_auth("reseller-token-of-tests-0123456789").body(body.to_string())).await
            };
            let client = format!("/api/v1/client-organizations/clients/{}", organization.id);
            assert_eq!(by_token().await.status, 200);
            assert_eq!(reseller(Method::DELETE, &client, json!({})).await.status, 200);
            assert_eq!(anna.get(SESSION).await.refusal(), (403, "organization_inactive"));
            assert_eq!(by_token().await.refusal(), (403, "organization_inactive"));
            let answer = Browser::new(&gateway.base).sign_in("anna@abc.example", PASSWORD).await;
            assert_eq!(answer.refusal(), (403, "organization_inactive"));
            assert_eq!(reseller(Method::PATCH, &client, json!({ "is_active": true })).await.status, 200);
            assert_eq!(
                (anna.get(SESSION).await.status, by_token().await.status.as_u16()),
                (200.try_into().unwrap(), 200)
            );

            let path = format!("/api/v1/accounts?client_org_id={}&search=ANNA", organization.id);
            let listed = reseller(Method::GET, &path, json!({})).await.body;
            let account = listed["items"][0]["id"].as_str().unwrap().to_owned();
            let path = format!("/api/v1/accounts/{account}");
            assert_eq!(reseller(Method::DELETE, &path, json!({})).await.status, 200);
            assert_eq!(anna.get(SESSION).await.refusal(), (401, "unauthorized"));
            assert_eq!(anna.sign_in("anna@abc.example", PASSWORD).await.refusal(), (401, "sign_in_failed"));
            assert_eq!(reseller(Method::PATCH, &path, json!({ "is_active": true })).await.status, 200);
            assert_eq!(anna.sign_in("anna@abc.example", PASSWORD).await.status, 200);
        });
        gateway.stop();
    });
}
