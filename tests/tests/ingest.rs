//! Usage that others report, through the same door as the gateway's own.

use std::sync::mpsc;

use mai_mock_openrouter::{Mock, MockSettings};
use mai_organization::{
    MasterKey, OrganizationServices,
    client_organization::openrouter_user_id,
    generation_processing::{NewGeneration, UsageSource},
    usage_tracking::record_generations,
};
use mai_primitives::{
    Clock, GenerationId, MarkupRate, ModelName, OrganizationId, SystemClock, UsageDate, Usd, UserId,
};
use mai_storage::testing::TestDb;
use mai_tests::{
    client::Client,
    gateway::{Installation, provider_key},
    ledger::{assert_consistent, assert_equal_to_mock, pending, rows, wait_until},
    on_each_database,
    reports::{WEBHOOK, event, installation, now, post, row, send, verdict},
    run,
};
use serde_json::{Value, json};

fn services(database: &TestDb) -> OrganizationServices {
    let clock = std::sync::Arc::new(SystemClock);
    OrganizationServices::new(database.storage.clone(), MasterKey::generate().unwrap(), clock)
}

#[test]
fn every_answer_of_the_webhook() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = installation(database, &mock);
        let organization = installation.organization("Events");
        let closed = installation.organization("Closed");
        let services = services(database);
        let closed_id = closed.id.parse().unwrap();
        assert!(run(services.client_organization_db.deactivate(&closed_id)).unwrap());
        let gateway = installation.serve();
        let provider = provider_key("events");
        run(async {
            for (changes, status, text) in [
                (json!({}), 200, "Usage recorded"),
                (json!({}), 200, "Duplicate request ignored"),
                (json!({ "cost": "0.010" }), 200, "Duplicate request ignored"),
                (json!({ "cost": 0.02 }), 409, "conflicting_usage"),
                (json!({ "cost": 0.02 }), 409, "conflicting_usage"),
                (json!({ "api_key": organization.key, "request_id": "req-2" }), 200, "Usage recorded"),
                (json!({ "request_id": null }), 200, "Usage recorded"),
                (json!({ "request_id": null }), 200, "Usage recorded"),
                (json!({ "api_key": "sk-or-v1-unknown" }), 401, "unauthorized"),
                (json!({ "api_key": closed.key }), 403, "organization_inactive"),
                (json!({ "api_key": null }), 400, "missing_field"),
                (json!({ "cost": -1 }), 400, "invalid_cost"),
                (json!({ "cost": "1e300" }), 400, "invalid_cost"),
                (json!({ "cost": "NaN" }), 400, "invalid_cost"),
                (json!({ "tokens_used": -1 }), 400, "invalid_tokens"),
                (json!({ "model": "x".repeat(10_000) }), 400, "invalid_model"),
                (json!({ "external_user": "a\u{0}b" }), 400, "invalid_user"),
                (json!({ "request_id": "x".repeat(10_000) }), 400, "invalid_request_id"),
                (json!({ "timestamp": "yesterday" }), 400, "invalid_timestamp"),
                (json!({ "timestamp": now().seconds() + 600 }), 400, "timestamp_in_future"),
                (json!({ "timestamp": now().seconds() * 1_000 }), 400, "timestamp_in_future"),
                (json!({ "cost": "9000000000", "request_id": "dear" }), 400, "invalid_cost"),
                (json!({ "filler": "x".repeat(70_000) }), 413, "body_too_large"),
            ] {
                let answer = send(&gateway, &event(&provider, &changes)).await;
                let changes: String = changes.to_string().chars().take(80).collect();
                assert_eq!(verdict(&answer), (status, text.to_owned()), "{changes}");
            }
            let duplicate = send(&gateway, &event(&provider, &json!({}))).await.json();
            assert_eq!((&duplicate["duplicate"], &duplicate["status"]), (&json!(true), &json!("success")));
            for (body, headers, status, code) in [
                ("", &[][..], 400, "invalid_body"),
                ("{\"api_key\":", &[], 400, "invalid_body"),
                ("[]", &[], 400, "invalid_body"),
                ("{}", &[("content-encoding", "gzip")], 415, "unsupported_encoding"),
            ] {
                let answer = post(&gateway, WEBHOOK, headers, body).await;
                assert_eq!(verdict(&answer), (status, code.to_owned()), "{body}");
            }
        });
        let booked = rows(&database.storage, &organization.id);
        assert_eq!(booked.len(), 4, "{:?}", booked.keys());
        let first = &booked["req-1"];
        assert_eq!((first.total_cost.nanos(), first.source), (10_000_000, UsageSource::Webhook));
        assert_eq!((first.input_tokens, first.output_tokens, first.tokens_estimated), (70, 30, true));
        assert_eq!((first.user_id.as_str(), first.markup_cost.nanos()), ("unattributed", 13_000_000));
        assert!(booked["req-2"].gateway_key_id.is_some() && first.gateway_key_id.is_none());
        assert!(pending(&database.storage, &organization.id).is_empty());
        assert!(rows(&database.storage, &closed.id).is_empty());
        assert_consistent(&database.storage, &organization.id);
    });
}

#[test]
fn an_event_counts_on_the_local_day_of_its_own_time_unless_the_ledger_has_forgotten_that_day() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = installation(database, &mock);
        let create =
            ["org", "create", "--name", "Tokyo", "--id", "tokyo", "--time-zone", "Asia/Tokyo", "--json"];
        installation.json(&create);
        let key = installation.key("tokyo", &[]);
        let day = UsageDate::new(SystemClock.now().date_naive()).minus_days(40);
        let services = services(database);
        let gateway = installation.serve();
        run(async {
            // 15:30 in London is half past midnight in Tokyo.
            let changes =
                json!({ "timestamp": format!("{day} 15:30:00"), "input_tokens": 99, "output_tokens": 1 });
            let answer = send(&gateway, &event(&key, &changes)).await;
            assert_eq!(verdict(&answer), (200, "Usage recorded".to_owned()));
            services.processed_generation_db.cleanup_old_generations(30).await.unwrap();
            let old = json!({ "timestamp": format!("{}T00:00:00Z", day.minus_days(1)), "request_id": "old" });
            let answer = send(&gateway, &event(&key, &old)).await;
            assert_eq!(verdict(&answer), (422, "too_old".to_owned()));
        });
        let tokyo = OrganizationId::new("tokyo").unwrap();
        let read = |conn: &mut mai_storage::DbConnection| {
            mai_organization::usage_tracking::query::daily_rows(
                conn,
                &tokyo,
                day.minus_days(9),
                day.plus_days(9),
            )
        };
        let days = database.storage.read_blocking(read).unwrap();
        let days: Vec<(UsageDate, i64)> = days.iter().map(|row| (row.usage_date, row.total_tokens)).collect();
        assert_eq!(days, [(day.plus_days(1), 100)]);
    });
}

#[test]
fn an_organization_with_a_secret_signs_what_it_reports() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = installation(database, &mock);
        let organization = installation.organization("Signed");
        let set = installation.json(&["org", "webhook-secret", "--org", &organization.id, "--json"]);
        let secret = set["webhook_secret"].as_str().unwrap().to_owned();
        let gateway = installation.serve();
        run(async {
            let body = event(&organization.key, &json!({})).to_string();
            let signature = hmac_sha256(&secret, &body);
            let other = hmac_sha256(&secret, &format!("{body} "));
            for (header, status, text) in [
                (None, 401, "invalid_signature"),
                (Some(String::new()), 401, "invalid_signature"),
                (Some(secret.clone()), 401, "invalid_signature"),
                (Some(format!("sha256={other}")), 401, "invalid_signature"),
                (Some(format!("sha256={signature}")), 200, "Usage recorded"),
                (Some(signature), 200, "Duplicate request ignored"),
            ] {
                let headers: Vec<_> =
                    header.iter().map(|value| ("x-webhook-signature", value.as_str())).collect();
                let answer = post(&gateway, WEBHOOK, &headers, body.as_str()).await;
                assert_eq!(verdict(&answer), (status, text.to_owned()), "{header:?}");
            }
        });
        installation.json(&["org", "webhook-secret", "--org", &organization.id, "--clear", "--json"]);
        wait_until("the gateway learns that no signature is needed", || {
            run(async { send(&gateway, &event(&organization.key, &json!({}))).await.status.is_success() })
        });
        assert_eq!(rows(&database.storage, &organization.id).len(), 1);
    });
}

fn hmac_sha256(secret: &str, body: &str) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    let tag = ring::hmac::sign(&key, body.as_bytes());
    format!("{:x}", bytes::Bytes::copy_from_slice(tag.as_ref()))
}

#[test]
fn what_the_gateway_booked_is_a_duplicate_and_cannot_be_changed_from_outside() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = installation(database, &mock);
        let organization = installation.organization("Twice");
        let gateway = installation.serve();
        run(async {
            let client = Client::new(&gateway.base, &organization.key);
            assert!(client.chat("openai/gpt-4o-mini", true, 1).await.unwrap().complete);
        });
        assert_equal_to_mock(&database.storage, &organization.id, &mock);
        let booked = rows(&database.storage, &organization.id).into_values().next().unwrap();
        let id = booked.id.as_str();
        run(async {
            for (changes, status, text) in [
                (json!({ "cost": booked.cost_text }), 200, "Duplicate request ignored"),
                (
                    json!({ "cost": booked.cost_text, "input_tokens": 1, "tokens_used": null, "output_tokens": 2 }),
                    409,
                    "conflicting_usage",
                ),
                (json!({ "cost": 99 }), 409, "conflicting_usage"),
            ] {
                let mut changes = changes;
                changes["request_id"] = id.into();
                let answer = send(&gateway, &event(&organization.key, &changes)).await;
                assert_eq!(verdict(&answer), (status, text.to_owned()), "{changes}");
            }
        });
        assert_eq!(row(database, &organization, id), booked);
        assert_equal_to_mock(&database.storage, &organization.id, &mock);
    });
}

#[test]
fn an_external_user_is_the_member_whom_the_gateway_knows() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = installation(database, &mock);
        let organization = installation.organization("People");
        let annas_key = installation.key(&organization.id, &["--user", "anna"]);
        let gateway = installation.serve();
        run(async { Client::new(&gateway.base, &annas_key).chat("mock/ok", false, 1).await.unwrap() });
        assert_equal_to_mock(&database.storage, &organization.id, &mock);
        let anna = mock.ledger()[0].user.clone().unwrap();
        let org: OrganizationId = organization.id.parse().unwrap();
        let nobody = openrouter_user_id(&org, &UserId::unattributed()).unwrap().to_string();
        run(async {
            for (id, key, changes) in [
                ("sixteen", &organization.key, json!({ "external_user": anna })),
                ("eight", &organization.key, json!({ "external_user": &anna[..anna.len() - 8] })),
                ("by-id", &organization.key, json!({ "user_id": "anna", "external_user": "x" })),
                ("her-key", &annas_key, json!({ "user_id": "bert" })),
                ("stranger", &organization.key, json!({ "external_user": "stranger@example.com" })),
                ("nobody", &organization.key, json!({ "external_user": nobody })),
                ("none", &organization.key, json!({})),
            ] {
                let mut changes = changes;
                changes["request_id"] = id.into();
                let answer = send(&gateway, &event(key, &changes)).await;
                assert_eq!(verdict(&answer), (200, "Usage recorded".to_owned()), "{id}");
            }
        });
        for (id, user) in [
            ("sixteen", "anna"),
            ("eight", "anna"),
            ("by-id", "anna"),
            ("her-key", "anna"),
            ("stranger", "stranger@example.com"),
            ("nobody", "unattributed"),
            ("none", "unattributed"),
        ] {
            assert_eq!(row(database, &organization, id).user_id.as_str(), user, "{id}");
        }
        assert_consistent(&database.storage, &organization.id);
    });
}

#[test]
fn while_the_database_is_held_up_a_report_is_kept_and_booked_once() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let organization = installation.organization("Slow");
        let gateway = installation.serve();
        let org: OrganizationId = organization.id.parse().unwrap();
        let held = generation(&org, "req-1");
        let storage = database.storage.clone();
        let (locked, is_locked) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        // Whoever books the same generation has to wait for this transaction.
        let holder = std::thread::spawn(move || {
            let held_up: Result<(), mai_organization::usage_tracking::Error> =
                storage.write_blocking(|conn| {
                    record_generations(conn, &org, std::slice::from_ref(&held), now())?;
                    locked.send(()).unwrap();
                    released.recv().unwrap();
                    Err(mai_storage::Error::NotFound.into())
                });
            assert!(held_up.is_err());
        });
        is_locked.recv().unwrap();
        let answer = run(async { send(&gateway, &event(&organization.key, &json!({}))).await });
        assert_eq!(answer.status, 202, "{answer:?}");
        let answer = answer.json();
        assert_eq!((&answer["queued"], &answer["duplicate"]), (&json!(true), &Value::Null));
        assert!(rows(&database.storage, &organization.id).is_empty());
        release.send(()).unwrap();
        holder.join().unwrap();
        wait_until("the report is booked", || rows(&database.storage, &organization.id).len() == 1);
        // The journal's record of it comes after this one, which it must not double.
        assert!(gateway.stop().success());
        let booked = row(database, &organization, "req-1");
        assert_eq!((booked.total_cost.nanos(), booked.source), (10_000_000, UsageSource::Webhook));
        assert_eq!(rows(&database.storage, &organization.id).len(), 1);
        assert!(pending(&database.storage, &organization.id).is_empty());
        assert_consistent(&database.storage, &organization.id);
    });
}

/// A generation of now, as somebody booked it by hand.
fn generation(org: &OrganizationId, id: &str) -> NewGeneration {
    let user = UserId::unattributed();
    NewGeneration {
        client_org_id: org.clone(),
        id: GenerationId::new(id).unwrap(),
        generation_date: UsageDate::new(SystemClock.now().date_naive()),
        total_cost: Usd::from_nanos(1),
        cost_text: "1e-9".to_owned(),
        markup_rate: MarkupRate::DEFAULT,
        openrouter_user_id: openrouter_user_id(org, &user).unwrap(),
        user_id: user,
        model_name: ModelName::unknown(),
        requested_model: None,
        serving_provider: None,
        input_tokens: 1,
        output_tokens: 1,
        cached_tokens: None,
        cache_write_tokens: None,
        reasoning_tokens: None,
        is_byok: false,
        tokens_estimated: false,
        streamed: false,
        source: UsageSource::Manual,
        gateway_key_id: None,
        task: None,
        started_at: now(),
    }
}
