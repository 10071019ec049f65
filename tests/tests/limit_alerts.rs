//! Parts of limits that are used up are told once, whichever of several processes sees them first.

use mai_mock_openrouter::{Mock, MockSettings};
use mai_storage::testing::TestDb;
use mai_tests::{
    client::Client,
    gateway::Installation,
    ledger::{rows, wait_until},
    management::{call, get, reseller},
    run,
    webhook_receiver::WebhookReceiver,
};
use serde_json::{Value, json};

/// Settings that both processes have.
fn process(database: &TestDb, mock: &Mock) -> Installation {
    Installation::new(database, mock)
        .with("MAI_WEBHOOKS_TO_PRIVATE_ADDRESSES", "true")
        .with("MAI_MASTER_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
}

/// Kind of limit, percent, limit and spending of what the receiver got.
fn told(receiver: &WebhookReceiver) -> Vec<(String, i64, String, String)> {
    let bodies = receiver.received().into_iter().map(|one| serde_json::from_str::<Value>(&one.body).unwrap());
    let mut told: Vec<_> = bodies
        .filter(|body| body["type"] == "alert.limit_reached")
        .map(|body| {
            let text = |field: &str| body["data"][field].as_str().unwrap().to_owned();
            let percent = body["data"]["threshold_percent"].as_i64().unwrap();
            (text("scope"), percent, text("limit_usd"), text("spent_usd"))
        })
        .collect();
    told.sort();
    told
}

#[test]
fn each_part_of_a_limit_is_told_once_by_two_processes() {
    let (database, receiver) = (TestDb::postgres(), WebhookReceiver::start());
    let mock = Mock::start(MockSettings::default()).unwrap();
    let (first, second) = (process(&database, &mock), process(&database, &mock));
    let organization = first.organization("Limited");
    let gateways = [first.serve(), second.serve()];
    let [gateway, other] = &gateways;
    run(async {
        let client = Client::new(&gateway.base, &organization.key);
        for seed in 0..3 {
            assert!(client.chat("mock/ok", false, seed).await.unwrap().status.is_success());
        }
        let hook = json!({ "channel": "webhook", "target": receiver.url(), "name": "Hook" });
        let made = call(gateway, "POST", "alert-destinations", &organization.token, &hook).await;
        assert_eq!(made.status.as_u16(), 201, "{}", made.json());
    });
    wait_until("the calls are booked", || rows(&database.storage, &organization.id).len() == 3);
    let spent: i64 =
        rows(&database.storage, &organization.id).values().map(|row| row.markup_cost.nanos()).sum();
    let usd = |nanos: i64| mai_primitives::Usd::from_nanos(nanos).to_string();

    // Of the model a little more than half, to the nano-dollar; of the organization everything.
    let (whole, half) = (spent, 2 * spent - 1);
    run(async {
        let base = format!("clients/{}", organization.id);
        let limit = json!({ "scope": "model", "subject": "mock/ok", "monthly_limit": usd(half) });
        reseller(gateway, "PUT", &format!("{base}/limits"), &limit, 200).await;
        let limit = format!("{{\"monthly_limit\":{}}}", usd(whole));
        reseller(other, "PATCH", &base, &serde_json::from_str(&limit).unwrap(), 200).await;
    });
    wait_until("it is told", || told(&receiver).len() >= 4);
    let expected = [
        ("model", 50, half),
        ("organization", 50, whole),
        ("organization", 80, whole),
        ("organization", 100, whole),
    ];
    let expected =
        expected.map(|(scope, percent, limit)| (scope.to_owned(), percent, usd(limit), usd(spent)));
    assert_eq!(told(&receiver), expected);

    // Another month's worth of room, and then none again: it was told for this month.
    run(async {
        let base = format!("clients/{}", organization.id);
        reseller(gateway, "PATCH", &base, &json!({ "monthly_limit": 100 }), 200).await;
        reseller(gateway, "PATCH", &base, &json!({ "monthly_limit": 0.000_000_1 }), 200).await;
    });
    for gateway in gateways {
        assert!(gateway.stop().success());
    }
    // A process looks at once when it starts, and tells what is new: here the other half of the model's.
    let gateway = second.serve();
    run(async {
        let limit = json!({ "scope": "model", "subject": "mock/ok", "monthly_limit": usd(spent) });
        reseller(&gateway, "PUT", &format!("clients/{}/limits", organization.id), &limit, 200).await;
    });
    wait_until("the rest of the model's limit is told", || told(&receiver).len() >= 6);
    let percents =
        told(&receiver).iter().map(|(scope, percent, ..)| (scope.clone(), *percent)).collect::<Vec<_>>();
    let expected = [
        ("model", 50),
        ("model", 80),
        ("model", 100),
        ("organization", 50),
        ("organization", 80),
        ("organization", 100),
    ];
    assert_eq!(percents, expected.map(|(scope, percent)| (scope.to_owned(), percent)));
    run(async {
        let raised = get(&gateway, "alerts?kind=limit_reached&client_org_id=limited").await;
        assert_eq!(raised["items"].as_array().map(Vec::len), Some(6), "{raised}");
    });
    assert!(gateway.stop().success());
}
