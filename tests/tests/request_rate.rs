//! How many calls a minute a member and a key may make.

use std::time::Instant;

use mai_mock_openrouter::{Mock, MockSettings};
use mai_tests::{
    client::{Client, read},
    gateway::{Gateway, Installation},
    ledger::assert_equal_to_mock,
    on_each_database, run,
};
use reqwest::Response;
use serde_json::{Value, json};

async fn send(
    gateway: &Gateway,
    key: &str,
    path: &str,
    user: Option<&str>,
    headers: &[(&str, &str)],
) -> Response {
    let mut body = Client::chat_body("mock/ok", false);
    body["user"] = user.map_or(Value::Null, Value::from);
    let mut request = Client::new(&gateway.base, key).post(path, &body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.expect("an answer")
}

/// How many of five calls are taken. The others must be refused as they should be.
fn taken_of_five(gateway: &Gateway, key: &str, user: Option<&str>, headers: &[(&str, &str)]) -> usize {
    run(async {
        let mut taken = 0;
        for _ in 0..5 {
            let answer = send(gateway, key, "/v1/chat/completions", user, headers).await;
            if answer.status() == 200 {
                taken += 1;
                continue;
            }
            assert_eq!(answer.status(), 429);
            let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=20).contains(&wait), "a call every 20 s, and told to wait {wait} s");
            let error = read(answer).await.json()["error"].clone();
            assert_eq!(
                (&error["code"], &error["type"]),
                (&json!("rate_limit_exceeded"), &json!("rate_limit_error"))
            );
            assert!(error["message"].as_str().unwrap().contains("may make 3 a minute"), "{error}");
        }
        taken
    })
}

/// Three a minute: one more is taken each 20 s, which a slow machine may see.
struct Taken {
    began: Instant,
    all: usize,
}

impl Taken {
    #[track_caller]
    fn check(&mut self, taken: usize, expected: usize) {
        let more = usize::try_from(self.began.elapsed().as_secs() / 20).unwrap();
        assert!((expected..=expected + more).contains(&taken), "{taken} were taken, not {expected}");
        self.all += taken;
    }
}

#[test]
fn members_and_keys_are_limited_each_for_themselves() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock).with("MAI_RATE_LIMIT_PER_MINUTE", "3");
        let organization = installation.organization("Rates");
        let other = installation.organization("Others");
        let key = |more: &[&str]| installation.key(&organization.id, more);
        let (trusted, again, annas) =
            (key(&["--trusted-client"]), key(&["--trusted-client"]), key(&["--user", "anna"]));
        let slow = key(&["--trusted-client", "--requests-per-minute", "3"]);
        let gateway = installation.serve();
        let id = |id| [("x-openwebui-user-id", id)];
        let mut all = Taken { began: Instant::now(), all: 0 };

        // A member's calls count together, whatever key brings them and however it is told.
        all.check(taken_of_five(&gateway, &trusted, None, &id("anna")), 3);
        all.check(taken_of_five(&gateway, &again, None, &id("anna")), 0);
        all.check(taken_of_five(&gateway, &annas, None, &[]), 0);
        all.check(taken_of_five(&gateway, &organization.key, Some("anna"), &[]), 0);
        // Other members, calls of nobody, and the same name elsewhere have rates of their own.
        all.check(taken_of_five(&gateway, &trusted, None, &id("ben")), 3);
        all.check(taken_of_five(&gateway, &organization.key, Some("carl"), &[]), 3);
        all.check(taken_of_five(&gateway, &organization.key, None, &[]), 3);
        all.check(taken_of_five(&gateway, &again, None, &[]), 3);
        all.check(taken_of_five(&gateway, &other.key, Some("anna"), &[]), 3);

        // A key's own rate holds for all of its members together.
        for (user, expected) in [("dora", 2), ("emil", 1), ("fred", 0)] {
            let taken = run(async {
                let mut taken = 0;
                for _ in 0..2 {
                    let answer = send(&gateway, &slow, "/v1/chat/completions", None, &id(user)).await;
                    taken += usize::from(answer.status() == 200);
                }
                taken
            });
            all.check(taken, expected);
        }
        // Anthropic's clients read it in their own shape.
        run(async {
            let answer = send(&gateway, &slow, "/v1/messages", None, &id("gina")).await;
            assert!(answer.status() == 429 && answer.headers().contains_key("retry-after"));
            assert_eq!(read(answer).await.json()["error"]["type"], "rate_limit_error");
        });
        // What was refused was neither sent nor booked.
        assert_eq!(mock.ledger().len(), all.all);
        assert!(gateway.stop().success());
    });
}

#[test]
fn without_a_rate_nobody_is_limited() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock).with("MAI_RATE_LIMIT_PER_MINUTE", "0");
        let organization = installation.organization("Unlimited");
        let gateway = installation.serve();
        run(async {
            for _ in 0..120 {
                let answer = send(&gateway, &organization.key, "/v1/chat/completions", None, &[]).await;
                assert_eq!(answer.status(), 200);
            }
        });
        assert_equal_to_mock(&database.storage, &organization.id, &mock);
        assert!(gateway.stop().success());
    });
}

#[test]
fn a_refusal_does_not_wait_for_the_body() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let organization = installation.organization("Early");
        let key = installation.key(&organization.id, &["--requests-per-minute", "1"]);
        let gateway = installation.serve();
        run(async {
            let send_first = send(&gateway, &key, "/v1/chat/completions", None, &[]).await;
            assert_eq!(send_first.status(), 200);
            let body = reqwest::Body::wrap_stream(futures_util::stream::pending::<
                Result<Vec<u8>, std::io::Error>,
            >());
            let request = reqwest::Client::new().post(format!("{}/v1/chat/completions", gateway.base));
            let answer = request.bearer_auth(&key).body(body).send().await.unwrap();
            assert_eq!(answer.status(), 429);
        });
    });
}
