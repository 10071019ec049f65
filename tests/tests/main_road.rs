//! The way of one request: what a client gets, and what is booked for it.

use mai_mock_openrouter::{Behaviour, Mock, MockSettings, Outcome};
use mai_tests::{
    client::Client,
    gateway::Installation,
    ledger::{assert_equal_to_mock, rows, wait_until},
    on_each_database, run,
    upstream::calls,
};

/// Every shape that the mock knows, but those that never end and those that have no id of their own to compare by.
fn shapes() -> impl Iterator<Item = Behaviour> {
    let left_out = [Behaviour::HeadersThenNothing, Behaviour::ReusedId];
    Behaviour::ALL.iter().copied().filter(move |behaviour| !left_out.contains(behaviour))
}

#[test]
fn a_chat_reaches_the_summary() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let organization = installation.organization("Summary");
        let gateway = installation.serve();
        run(async {
            let client = Client::new(&gateway.base, &organization.key);
            for (seed, stream) in [(1, true), (2, false)] {
                let answer = client.chat("openai/gpt-4o-mini", stream, seed).await.unwrap();
                assert!(answer.status.is_success() && answer.complete);
            }
        });
        assert_equal_to_mock(&database.storage, &organization.id, &mock);
        let booked = rows(&database.storage, &organization.id);
        let tokens: i64 = booked.values().map(|row| row.total_tokens).sum();
        let cost: i64 = booked.values().map(|row| row.markup_cost.nanos()).sum();
        let summary = run(async {
            let path = "/api/v1/usage-tracking/my-organization/usage-summary";
            let answer = Client::new(&gateway.base, &organization.token).get(path).await;
            assert!(answer.status.is_success(), "{answer:?}");
            answer
        });
        let month = &summary.json()["stats"]["current_month"];
        assert_eq!(month["total_tokens"], tokens);
        assert_eq!(month["total_requests"], 2);
        let shown = mai_primitives::Usd::from_nanos(cost).to_string();
        let text = String::from_utf8(summary.body.clone()).unwrap();
        assert!(text.contains(&format!("\"total_cost\":{shown},")), "{shown} is not in {text}");
        assert!(gateway.stop().success());
    });
}

#[test]
fn the_bytes_of_every_shape_pass_unchanged_and_are_booked_exactly() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let organization = installation.organization("Shapes");
        let gateway = installation.serve();
        let mut hashes = Vec::new();
        run(async {
            let client = Client::new(&gateway.base, &organization.key);
            for behaviour in shapes() {
                // Random chunkings of many seeds, the other shapes of a few.
                let seeds = if behaviour == Behaviour::SplitRandom { 40 } else { 2 };
                for (stream, seed) in (0..seeds).flat_map(|seed| [(true, seed), (false, seed)]) {
                    let answer = client.chat(&behaviour.model(), stream, seed).await;
                    if behaviour.outcome() == Outcome::NoGeneration {
                        continue;
                    }
                    let answer = answer.unwrap_or_else(|| panic!("{behaviour} gave no answer"));
                    assert!(answer.status.is_success(), "{behaviour}: {answer:?}");
                    if answer.complete {
                        hashes.push((behaviour, stream, answer.generation.clone(), answer.sha256()));
                    }
                }
            }
        });
        assert!(hashes.len() > 150, "only {} answers came whole", hashes.len());
        let sent = mock.ledger();
        for (behaviour, stream, generation, hash) in hashes {
            let same = |charge: &&mai_mock_openrouter::Charge| charge.body_sha256.as_ref() == Some(&hash);
            let charge = sent.iter().find(same);
            let charge =
                charge.unwrap_or_else(|| panic!("{behaviour} (stream: {stream}) was changed on its way"));
            // Where the answer names its generation, the bytes are those of that very generation.
            assert!(generation.is_none_or(|id| id == charge.id), "{behaviour} (stream: {stream})");
        }
        let id_is_unknown = |charge: &str| charge.contains("no-id");
        let charges = mock.ledger();
        let (unknown, known): (Vec<_>, Vec<_>) =
            charges.iter().partition(|charge| id_is_unknown(&charge.requested_model));
        wait_until("all are booked", || rows(&database.storage, &organization.id).len() >= charges.len());
        let booked = rows(&database.storage, &organization.id);
        for charge in known {
            let row =
                booked.get(&charge.id).unwrap_or_else(|| panic!("{} is not booked", charge.requested_model));
            assert_eq!(
                row.total_cost.nanos(),
                mai_mock_openrouter::nano_usd(&charge.total),
                "{} cost",
                charge.requested_model
            );
        }
        // Without any id of upstream's the call is booked under ours.
        assert_eq!(unknown.len(), booked.keys().filter(|id| id.starts_with("mai-")).count());
        mai_tests::ledger::assert_consistent(&database.storage, &organization.id);
    });
}

#[test]
fn upstream_gets_our_key_and_user_and_the_client_no_account_id() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let organization = installation.organization("Identity");
        let trusted = installation.key(&organization.id, &["--trusted-client"]);
        let personal = installation.key(&organization.id, &["--user", "anna"]);
        let gateway = installation.serve();
        run(async {
            let body = Client::chat_body("mock/ok", false);
            let send = |key: &str, user: Option<&str>| {
                let mut body = body.clone();
                if let Some(user) = user {
                    body["user"] = user.into();
                }
                Client::new(&gateway.base, key)
                    .post("/api/v1/chat/completions", &body)
                    .header("x-openwebui-user-id", "00000000-0000-4000-8000-000000000001")
                    .header("x-openwebui-user-name", "%C5%BB%C3%B3%C5%82w Admin")
                    .header("x-openwebui-user-email", "zolw@example.com")
                    .header("cookie", "session=1")
            };
            for (key, user) in [
                (&trusted, Some("ignored")),
                (&personal, Some("ignored as well")),
                (&organization.key, Some("from the body")),
                (&organization.key, None),
            ] {
                let answer = send(key, user).send().await.unwrap();
                assert!(answer.status().is_success());
                assert!(answer.headers().contains_key("x-request-id"));
            }
            let refused = Client::new(&gateway.base, &organization.key)
                .chat("mock/status-400", false, 1)
                .await
                .unwrap();
            assert_eq!(refused.status, 400);
            assert!(
                refused.json().get("user_id").is_none() && refused.json()["error"]["message"].is_string()
            );
        });
        for request in calls(&mock) {
            assert_eq!(
                request.headers["authorization"],
                format!("Bearer {}", mai_tests::gateway::provider_key("identity"))
            );
            assert!(
                !request
                    .headers
                    .keys()
                    .any(|name| name.as_str().starts_with("x-openwebui-") || name == "cookie")
            );
        }
        let users: Vec<Option<String>> = mock.ledger().into_iter().map(|charge| charge.user).collect();
        let first = users[0].as_deref().unwrap();
        assert!(
            first.starts_with("identity_user_11e594f4") && first.len() == "identity_user_".len() + 16,
            "{first}"
        );
        wait_until("four calls are booked", || rows(&database.storage, &organization.id).len() == 4);
        let mut booked: Vec<(String, Option<String>)> = rows(&database.storage, &organization.id)
            .into_values()
            .map(|row| (row.user_id.to_string(), Some(row.openrouter_user_id.to_string())))
            .collect();
        booked.sort();
        let members: Vec<&str> = booked.iter().map(|(user, _)| user.as_str()).collect();
        assert_eq!(
            members,
            ["00000000-0000-4000-8000-000000000001", "anna", "from the body", "unattributed"]
        );
        assert!(booked.iter().all(|(_, sent)| users.contains(sent)), "{booked:?} {users:?}");
    });
}
