//! Limits over TCP: calls at once, what is in flight at a crash, members and models, changes, months.
//!
//! `MAI_TEST_LIMITED_CALLS` sets how many calls must all pass; `cargo xtask acceptance` makes 100,000.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use mai_mock_openrouter::{Mock, MockSettings};
use mai_organization::{ClientOrganizationForm, client_organization::NewGatewayKey};
use mai_primitives::{ManualClock, OrganizationId, Usd};
use mai_storage::testing::TestDb;
use mai_tests::{
    client::{Answer, Client, read},
    database_url,
    gateway::{Gateway, Installation, Organization, provider_key},
    ledger::{all_pending, assert_equal_to_mock, rows, wait_until},
    load::size,
    management::{call, reseller, until_chat},
    on_each_database,
    reports::RESELLER,
    run,
};
use mai_web::{Application, Settings};
use reqwest::Response;
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// What is reserved for each call: less than what any of them would be estimated at, so that it is this.
const RESERVATION: &str = "0.001";

fn mock() -> Mock {
    Mock::start(MockSettings { keep_requests: 0, keep_bodies: false, ..MockSettings::default() }).unwrap()
}

/// An installation and an organization with a limit, in USD.
fn limited(database: &TestDb, mock: &Mock, limit: &str) -> (Installation, Organization) {
    let installation = Installation::new(database, mock).with("MAI_RESERVATION_AT_MOST_USD", RESERVATION);
    let organization = installation.organization("Limited");
    let arguments = ["org", "update", "--org", &organization.id, "--monthly-limit", limit];
    assert!(installation.run(&arguments).status.success());
    (installation, organization)
}

/// Calls that are all sent before any has ended: the answers that have begun, and the refusals.
async fn at_once(client: &Client, calls: u64) -> (Vec<Response>, Vec<Answer>) {
    let mut sent = JoinSet::new();
    for seed in 0..calls {
        let client = client.clone();
        sent.spawn(async move { client.open("mock/headers-then-nothing", true, seed).await.unwrap() });
    }
    let (mut open, mut refused) = (Vec::new(), Vec::new());
    while let Some(response) = sent.join_next().await {
        let response = response.unwrap();
        if response.status().is_success() {
            open.push(response);
        } else {
            assert_eq!(response.headers()["x-should-retry"], "false");
            refused.push(read(response).await);
        }
    }
    (open, refused)
}

async fn limits(gateway: &Gateway, organization: &Organization) -> Value {
    reseller(gateway, "GET", &format!("clients/{}/limits", organization.id), &Value::Null, 200).await
}

/// A figure of the organization's own limit, as the API writes it.
async fn figure(gateway: &Gateway, organization: &Organization, name: &str) -> String {
    limits(gateway, organization).await["items"][0][name].to_string()
}

async fn until_figure(gateway: &Gateway, organization: &Organization, name: &str, value: &str) {
    while figure(gateway, organization, name).await != value {
        tokio::task::yield_now().await;
    }
}

fn said(answer: &Answer) -> String {
    answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn calls_at_once_share_the_room_and_the_others_are_refused() {
    on_each_database(|database| {
        let mock = mock();
        let (installation, organization) = limited(database, &mock, "0.01");
        let gateway = installation.serve();
        run(async {
            let client = Client::new(&gateway.base, &organization.key);
            let (open, refused) = at_once(&client, 200).await;
            assert_eq!((open.len(), refused.len()), (10, 190));
            for answer in &refused {
                let error = &answer.json()["error"];
                assert_eq!((answer.status.as_u16(), &error["type"]), (402, &json!("budget_exceeded")));
                assert_eq!(error["code"], "budget_exceeded");
            }
            let text = said(&refused[0]);
            assert!(text.contains("of the organization (0.01 USD)") && text.contains("-01"), "{text}");
            let seen = limits(&gateway, &organization).await;
            let own = &seen["items"][0];
            assert_eq!(own["in_flight"], serde_json::from_str::<Value>("0.01").unwrap(), "{seen}");
            assert_eq!(
                (&own["percent"], &own["state"], &own["scope"]),
                (&json!(0), &json!("ok"), &json!("organization"))
            );
            let metrics =
                String::from_utf8(Client::new(&gateway.base, RESELLER).get("/metrics").await.body).unwrap();
            assert!(
                metrics.contains("\nmai_limit_refusals_total{scope=\"organization\"} 190\n"),
                "{metrics}"
            );
            // Their clients leave, upstream tells what that has cost, and there is room again.
            drop(open);
            until_chat(&client, 200).await;
        });
        assert_equal_to_mock(&database.storage, &organization.id, &mock);
        // What was refused is no generation and no failed call of upstream's.
        assert_eq!(rows(&database.storage, &organization.id).len(), mock.ledger().len());
        assert!(gateway.stop().success());
    });
}

#[test]
fn what_nobody_knows_the_cost_of_keeps_its_reservation() {
    on_each_database(|database| {
        let mock = mock();
        let (installation, organization) = limited(database, &mock, "0.003");
        let gateway = installation.serve();
        run(async {
            let client = Client::new(&gateway.base, &organization.key);
            for seed in 0..2 {
                let answer = client.chat("mock/cut-before-headers", false, seed).await.unwrap();
                assert_eq!(answer.status.as_u16(), 502);
            }
            until_figure(&gateway, &organization, "pending", "0.002").await;
            // One that is in flight when the process dies.
            let late = client.clone();
            let mut in_flight = JoinSet::new();
            in_flight.spawn(async move { late.chat("mock/delay-headers-600000", false, 3).await });
            until_figure(&gateway, &organization, "in_flight", "0.001").await;
            assert_eq!(client.chat("mock/ok", false, 4).await.unwrap().status.as_u16(), 402);
            // Its client does not leave before.
            in_flight.detach_all();
        });
        gateway.kill();
        let gateway = installation.serve();
        run(async {
            let client = Client::new(&gateway.base, &organization.key);
            assert_eq!(client.chat("mock/ok", false, 5).await.unwrap().status.as_u16(), 402);
        });
        let waiting = || all_pending(&database.storage, &organization.id);
        wait_until("what was lost is with a person", || waiting().len() == 3);
        assert!(
            waiting().iter().all(|row| row.reservation == Usd::parse(RESERVATION).ok()),
            "{:?}",
            waiting()
        );
        run(async {
            let client = Client::new(&gateway.base, &organization.key);
            until_figure(&gateway, &organization, "pending", "0.003").await;
            assert_eq!(figure(&gateway, &organization, "state").await, "\"reached\"");
            assert_eq!(client.chat("mock/ok", false, 6).await.unwrap().status.as_u16(), 402);
            // A person decides of one.
            let id = waiting()[0].id.to_string();
            let dismissed = installation.run(&[
                "pending",
                "dismiss",
                "--org",
                &organization.id,
                "--id",
                &id,
                "--reason",
                "test",
            ]);
            assert!(dismissed.status.success(), "{}", String::from_utf8_lossy(&dismissed.stderr));
            until_chat(&client, 200).await;
        });
        assert!(gateway.stop().success());
    });
}

#[test]
fn members_and_models_have_limits_and_changes_hold_at_once() {
    on_each_database(|database| {
        let mock = mock();
        let installation =
            Installation::new(database, &mock).with("MAI_RESERVATION_AT_MOST_USD", RESERVATION);
        let organization = installation.organization("Limited");
        let (anna, ben) = (
            installation.key(&organization.id, &["--user", "anna"]),
            installation.key(&organization.id, &["--user", "ben"]),
        );
        let gateway = installation.serve();
        let base = format!("clients/{}", organization.id);
        run(async {
            let (anna, ben) = (Client::new(&gateway.base, &anna), Client::new(&gateway.base, &ben));
            let passes = async |client: &Client, model: &str| {
                let answer = client.chat(model, false, 1).await.unwrap();
                assert!(matches!(answer.status.as_u16(), 200 | 402), "{answer:?}");
                answer.status.as_u16() == 200
            };
            let member = json!({ "user_id": "anna", "role": "member", "email": "anna@x.example" });
            reseller(&gateway, "POST", &format!("{base}/members"), &member, 201).await;
            let route = format!("{base}/limits");
            let set = async |scope: &str, subject: &str, limit: &str| {
                let body = json!({ "scope": scope, "subject": subject, "monthly_limit": limit });
                let answer = call(&gateway, "PUT", &route, &organization.token, &body).await;
                assert_eq!(answer.status.as_u16(), 200, "{}", answer.json());
                answer.json()["limit"].clone()
            };
            let clear = async |scope: &str, subject: &str| {
                let route = format!("{route}?scope={scope}&subject={subject}");
                call(&gateway, "DELETE", &route, &organization.token, &Value::Null).await.status.as_u16()
            };
            assert!(passes(&anna, "mock/ok").await && passes(&ben, "mock/ok").await);
            set("member", "anna", "0").await;
            assert!(!passes(&anna, "mock/ok").await && passes(&ben, "mock/ok").await);
            let refused = anna.chat("mock/ok", false, 1).await.unwrap();
            assert!(said(&refused).contains("of the member `anna` (0 USD)"), "{}", said(&refused));
            // In the shape of Anthropic's clients.
            let body = json!({ "model": "mock/ok", "max_tokens": 5, "messages": [] });
            let response = anna.post("/v1/messages", &body).send().await.unwrap();
            assert_eq!(
                (response.status().as_u16(), &response.headers()["x-should-retry"]),
                (402, &"false".parse().unwrap())
            );
            let error = read(response).await.json();
            assert_eq!(
                (&error["type"], &error["error"]["type"]),
                (&json!("error"), &json!("billing_error")),
                "{error}"
            );
            // What was spent before the limit was set counts.
            let limit = set("member", "anna", "100").await;
            assert!(passes(&anna, "mock/ok").await, "{limit}");
            assert_eq!(clear("member", "anna").await, 200);
            assert_eq!(clear("member", "anna").await, 404);

            set("model", "mock/ok", "0").await;
            assert!(!passes(&ben, "mock/ok").await && !passes(&ben, "mock/ok:nitro").await);
            assert!(passes(&ben, "mock/crlf").await);
            set("model", "mock/ok", "0.5").await;
            assert!(passes(&ben, "mock/ok").await && passes(&anna, "mock/ok").await);

            // The organization's own limit is the reseller's to set.
            let body = json!({ "monthly_limit": 0 });
            assert_eq!(call(&gateway, "PATCH", &base, &organization.token, &body).await.status.as_u16(), 403);
            reseller(&gateway, "PATCH", &base, &body, 200).await;
            assert!(!passes(&anna, "mock/crlf").await && !passes(&ben, "mock/crlf").await);
            reseller(&gateway, "PATCH", &base, &json!({ "monthly_limit": null }), 200).await;
            assert!(passes(&anna, "mock/crlf").await);
        });
        assert_equal_to_mock(&database.storage, &organization.id, &mock);
        run(shown_to_each(&installation, &gateway, &organization));
        assert!(gateway.stop().success());
    });
}

/// Who sees which limits, and what cannot be set.
async fn shown_to_each(installation: &Installation, gateway: &Gateway, organization: &Organization) {
    let arguments = ["limits", "set", "--org", &organization.id, "--member", "anna", "--usd", "2", "--json"];
    let set = installation.json(&arguments);
    assert_eq!((&set["scope"], &set["monthly_limit_usd"]), (&json!("member"), &json!("2")));
    assert_eq!(set["known"], true);
    let listed = installation.json(&["limits", "list", "--org", &organization.id, "--json"]);
    let shown: Vec<_> = listed.as_array().unwrap().iter().map(|row| &row["subject"]).collect();
    assert_eq!(shown, ["anna", "mock/ok"]);
    assert!(listed.as_array().unwrap().iter().all(|row| row["spent_usd"] != "0"), "{listed}");

    let own = "/api/v1/usage-tracking/my-organization/limits";
    let seen = Client::new(&gateway.base, &organization.token).get(own).await.json();
    assert_eq!((&seen["total"], &seen["organization_reached"]), (&json!(2), &json!(false)), "{seen}");
    let arguments =
        ["tokens", "create", "--org", &organization.id, "--role", "member", "--user", "anna", "--json"];
    let member = installation.json(&arguments)["token"].as_str().unwrap().to_owned();
    let seen = Client::new(&gateway.base, &member).get(own).await.json();
    assert_eq!((&seen["total"], &seen["items"][0]["subject"]), (&json!(1), &json!("anna")), "{seen}");
    let searched = limits_page(gateway, organization, "search=MOCK").await;
    assert_eq!((&searched["total"], &searched["items"][0]["scope"]), (&json!(1), &json!("model")));
    let first = limits_page(gateway, organization, "limit=1").await;
    assert_eq!(first["items"][0]["subject"], "anna");
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = limits_page(gateway, organization, &format!("limit=1&cursor={cursor}")).await;
    assert_eq!((&second["items"][0]["subject"], &second["next_cursor"]), (&json!("mock/ok"), &Value::Null));
    let past = limits_page(gateway, organization, "month=2020-02").await;
    assert_eq!((&past["items"][0]["spent"], &past["renewed_on"]), (&json!(0), &json!("2020-03-01")));

    for (body, status, field) in [
        (json!({ "scope": "member", "subject": "nobody", "monthly_limit": 1 }), 404, Value::Null),
        (json!({ "scope": "model", "subject": "mock/ok:free", "monthly_limit": 1 }), 400, json!("subject")),
        (json!({ "scope": "model", "subject": "mock/ok", "monthly_limit": -1 }), 400, json!("monthly_limit")),
        (json!({ "scope": "organization", "subject": "", "monthly_limit": 1 }), 400, Value::Null),
    ] {
        let route = format!("clients/{}/limits", organization.id);
        let answer = call(gateway, "PUT", &route, RESELLER, &body).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["field"]),
            (status, &field),
            "{body}: {}",
            answer.json()
        );
    }
}

async fn limits_page(gateway: &Gateway, organization: &Organization, query: &str) -> Value {
    reseller(gateway, "GET", &format!("clients/{}/limits?{query}", organization.id), &Value::Null, 200).await
}

/// Each call costs 130 nano-dollars, and there is room for the price of all of them and for the reservations of those
/// at once.
#[test]
fn none_is_refused_for_whom_there_is_room() {
    const AT_ONCE: u64 = 8;
    on_each_database(|database| {
        let (mock, calls) = (mock(), size("MAI_TEST_LIMITED_CALLS", 600));
        let nanos = (calls - AT_ONCE) * 130 + AT_ONCE * 1_000;
        let limit = Usd::from_nanos(i64::try_from(nanos).unwrap()).to_string();
        let (installation, organization) = limited(database, &mock, &limit);
        let installation = installation.with("MAI_RESERVATION_AT_MOST_USD", "0.000001");
        let gateway = installation.serve();
        run(async {
            let (client, next) = (Client::new(&gateway.base, &organization.key), Arc::new(AtomicU64::new(0)));
            let mut clients = JoinSet::new();
            for _ in 0..AT_ONCE {
                let (client, next) = (client.clone(), Arc::clone(&next));
                clients.spawn(async move {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= calls {
                            return;
                        }
                        let answer = client.chat("mock/cost-tiny", seed % 2 == 0, seed).await.unwrap();
                        assert_eq!(answer.status.as_u16(), 200, "call {seed}: {}", answer.json());
                    }
                });
            }
            while let Some(ended) = clients.join_next().await {
                ended.expect("no call was refused");
            }
        });
        assert_equal_to_mock(&database.storage, &organization.id, &mock);
        let spent: i64 =
            rows(&database.storage, &organization.id).values().map(|row| row.markup_cost.nanos()).sum();
        println!("{calls} calls passed, {spent} of {nanos} nano-USD");
        assert_eq!(u64::try_from(spent).unwrap(), calls * 130);
        assert!(gateway.stop().success());
    });
}

#[test]
fn a_new_month_begins_with_all_of_the_limit() {
    for database in [TestDb::sqlite(), TestDb::postgres()] {
        let mock = mock();
        let clock = ManualClock::at("2026-10-31T22:59:58Z".parse().unwrap());
        mai_tests::install_tls();
        actix_web::rt::System::new().block_on(over_a_month(&database, &mock, &clock));
    }
}

async fn over_a_month(database: &TestDb, mock: &Mock, clock: &ManualClock) {
    let data = tempfile::tempdir().unwrap();
    let settings = Settings::from_source(|name| match name {
        "MAI_LISTEN" => Some("127.0.0.1:0".to_owned()),
        "MAI_DATABASE_URL" => Some(database_url(database)),
        "MAI_DATA_DIR" => Some(data.path().display().to_string()),
        "OPENROUTER_BASE_URL" => Some(mock.base_url()),
        "NBP_BASE_URL" => Some(mock.nbp_url()),
        "MAI_WORKERS" => Some("1".to_owned()),
        "MAI_RETENTION_DAYS" => Some("36500".to_owned()),
        "MAI_RESERVATION_AT_MOST_USD" => Some(RESERVATION.to_owned()),
        _ => None,
    });
    let application = Application::build(settings.unwrap(), Arc::new(clock.clone()), true).await.unwrap();
    let services = application.services().clone();
    let form = ClientOrganizationForm {
        id: Some(OrganizationId::new("months").unwrap()),
        name: "Months".to_owned(),
        openrouter_api_key: Some(provider_key("months").into()),
        monthly_limit: Usd::parse(RESERVATION).ok(),
        ..ClientOrganizationForm::default()
    };
    let organization = services.client_organization_db.create(form).await.unwrap();
    let new = NewGatewayKey { name: "key".into(), ..NewGatewayKey::default() };
    let key = services.gateway_key_db.create(&organization.id, new).await.unwrap().key;
    application.refresh_directory().await.unwrap();
    let client =
        Client::new(&format!("http://{}", application.address()), secrecy::ExposeSecret::expose_secret(&key));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = application.run_until(async move {
        let _ = stopped.await;
    });
    let calling = async {
        let status = async || client.chat("mock/ok", false, 1).await.unwrap().status.as_u16();
        // Behind the first one there is no room for another's reservation.
        assert_eq!((status().await, status().await), (200, 402));
        // In Warsaw it is November, in London it is October.
        clock.set("2026-10-31T23:00:00Z".parse().unwrap());
        assert_eq!((status().await, status().await), (200, 402));
        let refused = said(&client.chat("mock/ok", false, 1).await.unwrap());
        assert!(refused.contains("on 2026-12-01"), "{refused}");
        drop(stop);
    };
    let (served, ()) = tokio::join!(serving, calling);
    served.unwrap();
}
