//! The daily run of the real binary: by the API, by the command line, and by a fleet of which one is killed.

use std::{thread, time::Duration};

use diesel::{PgConnection, connection::SimpleConnection as _, prelude::*};
use mai_mock_openrouter::{Mock, MockSettings};
use mai_organization::{
    generation_processing::{NewGeneration, UsageSource},
    usage_tracking::{record_generations, schema::client_daily_usage as days},
};
use mai_primitives::{
    Clock, GenerationId, MarkupRate, ModelName, OpenRouterUserId, OrganizationCalendar, OrganizationId,
    SystemClock, UnixTime, UsageDate, Usd, UserId,
};
use mai_storage::{DbConnection, Storage, testing::TestDb};
use mai_tests::{
    client::Client,
    database_url,
    gateway::{Gateway, Installation},
    ledger::wait_until,
    on_each_database, run,
};
use serde_json::{Value, json};

const TOKEN: &str = "reseller-token-of-tests-0123456789";

/// The day that a run of today is about.
fn yesterday() -> UsageDate {
    OrganizationCalendar::default().usage_date(SystemClock.now()).minus_days(1)
}

/// One generation of an organization on a day.
fn generation(org: &OrganizationId, id: &str, date: UsageDate) -> NewGeneration {
    NewGeneration {
        client_org_id: org.clone(),
        id: GenerationId::new(id).unwrap(),
        generation_date: date,
        total_cost: Usd::from_nanos(1_000),
        cost_text: "0.000001".into(),
        markup_rate: MarkupRate::parse("1.5").unwrap(),
        user_id: UserId::new("anna").unwrap(),
        openrouter_user_id: OpenRouterUserId::new("anna").unwrap(),
        model_name: ModelName::new("openai/o3").unwrap(),
        requested_model: None,
        serving_provider: None,
        input_tokens: 10,
        output_tokens: 5,
        cached_tokens: None,
        cache_write_tokens: None,
        reasoning_tokens: None,
        is_byok: false,
        tokens_estimated: false,
        streamed: false,
        source: UsageSource::Gateway,
        gateway_key_id: None,
        task: None,
        started_at: OrganizationCalendar::default().start_of(date).plus_seconds(43_200),
    }
}

fn organization(number: usize) -> OrganizationId {
    OrganizationId::new(format!("org_{number:05}")).unwrap()
}

/// Usage of yesterday of many organizations, of which every tenth has a wrong day.
fn fill(storage: &Storage, organizations: usize) -> usize {
    let now = UnixTime::from(SystemClock.now());
    let mut spoilt = 0;
    for number in 0..organizations {
        let org = organization(number);
        let new = generation(&org, "gen-1", yesterday());
        let book = |conn: &mut DbConnection| {
            record_generations(conn, &org, std::slice::from_ref(&new), now).unwrap();
            if number % 10 == 0 {
                let row = diesel::update(days::table.find((&org, yesterday())));
                row.set(days::raw_cost.eq(7)).execute(conn)?;
            }
            Ok::<_, mai_storage::Error>(())
        };
        storage.write_blocking(book).unwrap();
        spoilt += usize::from(number % 10 == 0);
    }
    spoilt
}

async fn get(gateway: &Gateway, path: &str) -> Value {
    let answer =
        reqwest::Client::new().get(format!("{}{path}", gateway.base)).bearer_auth(TOKEN).send().await;
    let answer = answer.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

async fn post(gateway: &Gateway, path: &str, token: &str, body: &Value) -> (u16, Value) {
    let request = reqwest::Client::new().post(format!("{}{path}", gateway.base)).bearer_auth(token);
    let answer =
        request.header("content-type", "application/json").body(body.to_string()).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
}

async fn status(gateway: &Gateway) -> Value {
    get(gateway, "/api/v1/usage-tracking/admin/batch-status").await
}

fn wait_until_idle(gateway: &Gateway) -> Value {
    wait_until("the daily run is over", || {
        let status = run(status(gateway));
        status["running_process"].is_null() && status["last_batch_run"].is_string()
    });
    run(status(gateway))
}

#[test]
fn a_run_by_the_api_and_by_the_command_line() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let ours = installation.organization("Ours");
        let gateway = installation.serve();
        // What was due before the start is caught up.
        let first = wait_until_idle(&gateway);
        assert_eq!(
            (&first["batch_processor_available"], &first["influxdb_enabled"]),
            (&true.into(), &false.into())
        );
        assert_eq!(first["runs"].as_array().unwrap().len(), 1);
        assert_eq!(first["runs"][0]["success"], true, "{first}");
        assert_eq!(first["schedule"], "13:00 Europe/Warsaw");
        let date = yesterday().to_string();
        let trigger = "/api/v1/usage-tracking/admin/trigger-batch";
        let (code, begun) =
            run(post(&gateway, trigger, TOKEN, &json!({ "processing_date": date, "force_reprocess": true })));
        assert_eq!((code, &begun["processing_date"]), (202, &date.as_str().into()), "{begun}");
        let second = wait_until_idle(&gateway);
        assert_eq!(second["runs"][0]["run_id"], begun["run_id"]);
        assert_eq!((&second["runs"][0]["started_by"], &second["progress"]), (&"api".into(), &Value::Null));
        let (code, done) = run(post(&gateway, trigger, TOKEN, &json!({ "processing_date": date })));
        assert_eq!((code, &done["results"]["run_id"]), (200, &begun["run_id"]));
        for (body, expected) in [
            (json!({ "processing_date": "2026-02-30" }), 400),
            (json!({ "processing_date": "2999-01-01" }), 400),
            (json!({ "unknown": 1 }), 400),
        ] {
            assert_eq!(run(post(&gateway, trigger, TOKEN, &body)).0, expected, "{body}");
        }
        let path = format!("/api/v1/usage-tracking/admin/batch-runs/{}", begun["run_id"].as_str().unwrap());
        let complete = run(get(&gateway, &path));
        let names: Vec<_> =
            complete["steps"].as_array().unwrap().iter().map(|step| step["operation"].clone()).collect();
        assert_eq!(
            names,
            [
                "exchange_rate_update",
                "model_pricing_update",
                "daily_validation",
                "monthly_totals_update",
                "subscription_freeze",
                "reconcile",
                "anomalies",
                "data_cleanup",
                "backup"
            ]
        );
        assert!(complete["steps"][3]["details"]["monthly_summaries"].is_array());
        assert!(second["runs"][0]["steps"][3]["details"]["monthly_summaries"].is_null());
        // Beside the service.
        let by_hand = installation.json(&["run-batch", "--date", &date, "--force", "--json"]);
        assert_eq!((&by_hand["success"], &by_hand["started_by"]), (&true.into(), &"command_line".into()));
        let text = installation.run(&["run-batch", "--date", &date]);
        let text = String::from_utf8_lossy(&text.stdout).into_owned();
        assert!(text.contains("was processed before") && text.contains("daily_validation"), "{text}");
        assert_eq!(installation.run(&["run-batch", "--date", "2999-01-01"]).status.code(), Some(1));
        let (_, ready) = run(gateway.ready());
        assert_eq!(ready["checks"]["batch"], "ok");
        let anomalies = format!("/api/v1/client-organizations/clients/{}/anomalies", ours.id);
        assert_eq!(run(get(&gateway, &anomalies))["items"], json!([]));
        let unknown = json!({ "usage_date": date, "kind": "member", "subject": "x", "measure": "spend" });
        let (code, _) = run(post(&gateway, &format!("{anomalies}/acknowledge"), &ours.token, &unknown));
        assert_eq!(code, 404);
        drop(Client::new(&gateway.base, &ours.key));
        assert!(gateway.stop().success());
    });
}

/// The stored runs prove that each step was done once, and only the one in which the leader died was begun
/// again.
#[test]
fn a_killed_leader_is_followed_by_another_process() {
    let database = TestDb::postgres();
    let spoilt = fill(&database.storage, 1_500);
    let mock = Mock::start(MockSettings::default()).unwrap();
    // The run of today is due at whatever time the test runs.
    let lease = |installation: Installation| {
        installation.with("MAI_BATCH_LEASE_SECONDS", "2").with("MAI_BATCH_TIME", "00:00")
    };
    let (one, two) = (lease(Installation::new(&database, &mock)), lease(Installation::new(&database, &mock)));
    let mut other = PgConnection::establish(&database_url(&database)).unwrap();
    let held = format!(
        "BEGIN; SELECT 1 FROM client_daily_usage WHERE client_org_id = '{}' FOR UPDATE",
        organization(700)
    );
    other.batch_execute(&held).unwrap();
    // Both at once, so that the first is not done before the second is there.
    let mut fleet: Vec<Gateway> = thread::scope(|scope| {
        let starting = [&one, &two].map(|installation| scope.spawn(|| installation.serve()));
        starting.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    // Whoever is the leader waits in the middle, however quick it is.
    let leader = loop {
        let status = run(status(&fleet[0]));
        let is_in_the_middle =
            |step: &Value| step["operation"] == "daily_validation" && step["status"] == "running";
        let steps = status["runs"][0]["steps"].as_array().cloned().unwrap_or_default();
        let has_begun = validated(&database.storage) > 0;
        match status["running_process"].as_str() {
            Some(process) if has_begun && steps.iter().any(is_in_the_middle) => break process.to_owned(),
            _ => thread::sleep(Duration::from_millis(5)),
        }
        let is_over = status["last_batch_run"].is_string();
        assert!(!is_over, "the run was over before anybody could be killed");
    };
    let place = fleet.iter().position(|gateway| leader.starts_with(&format!("pid-{}-", gateway.pid())));
    fleet.remove(place.expect("one of the two has the lease")).kill();
    other.batch_execute("ROLLBACK").unwrap();
    let before = validated(&database.storage);
    assert!(before < 1_500, "it was not killed in the middle");
    let after = wait_until_idle(&fleet[0]);
    let runs = after["runs"].as_array().unwrap();
    assert_eq!((runs.len(), &runs[0]["success"]), (1, &true.into()), "{after}");
    let steps = runs[0]["steps"].as_array().unwrap();
    // The leader died in the third step, and had ended the two before.
    let by_leader: Vec<bool> = steps.iter().map(|step| step["process"] == leader.as_str()).collect();
    assert_eq!(by_leader, [true, true, false, false, false, false, false, false, false]);
    let attempts: Vec<_> = steps.iter().map(|step| step["attempts"].as_i64().unwrap()).collect();
    assert_eq!(attempts, [1, 1, 2, 1, 1, 1, 1, 1, 1]);
    assert!(steps.iter().all(|step| step["status"] == "succeeded"));
    // Every day was validated, and every wrong one corrected once, by whichever of the two.
    assert_eq!(validated(&database.storage), 1_500);
    let log = fleet.remove(0);
    let entries = run(get(&log, "/api/v1/client-organizations/audit-log?action=usage.correct&limit=500"));
    assert_eq!(entries["items"].as_array().unwrap().len(), spoilt);
    assert!(log.stop().success());
}

fn validated(storage: &Storage) -> usize {
    let count = |conn: &mut DbConnection| {
        let rows: i64 = mai_batch::schema::day_validations::table.count().get_result(conn)?;
        Ok::<_, mai_storage::Error>(rows)
    };
    usize::try_from(storage.read_blocking(count).unwrap()).unwrap()
}
