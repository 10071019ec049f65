//! One event, told three times by each of three sources, in random order, to two processes on one PostgreSQL: one row.

use std::collections::BTreeMap;

use mai_mock_openrouter::{Charge, Mock, MockSettings, nano_usd};
use mai_organization::{ProcessedGenerationModel, generation_processing::UsageSource};
use mai_storage::testing::TestDb;
use mai_tests::{
    client::Client,
    gateway::{Installation, Organization, provider_key},
    ledger::{assert_consistent, pending, rows, wait_until},
    reports::now,
    run,
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const BROADCAST_TOKEN: &str = "broadcast-token-of-tests";
const ADMIN_TOKEN: &str = "reseller-token-of-tests-0123456789";
const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const BASE: &str = "/api/v1/usage-tracking";

/// What happened once, and what each source says that it cost.
#[derive(Debug, Clone)]
struct Event {
    id: String,
    model: String,
    user: String,
    input: i64,
    output: i64,
    started_at: i64,
    /// Cost as the webhook, Broadcast and the manual record tell it.
    costs: [String; 3],
}

/// A message of a source about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Webhook,
    Broadcast,
    Manual,
}

const SOURCES: [Source; 3] = [Source::Webhook, Source::Broadcast, Source::Manual];

#[test]
fn every_event_is_one_row_whoever_tells_it_and_how_often() {
    let database = TestDb::postgres();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installations = [0, 1].map(|_| {
        Installation::new(&database, &mock)
            .with("MAI_MASTER_KEY", MASTER_KEY)
            .with("MAI_BROADCAST_TOKEN", BROADCAST_TOKEN)
    });
    let organization = installations[0].organization("Sources");
    let gateways = installations.each_ref().map(Installation::serve);
    let bases = gateways.each_ref().map(|gateway| gateway.base.clone());

    let mut random = StdRng::seed_from_u64(1);
    // Calls of our own gateways, events that no gateway saw, and events on which the sources differ.
    let called = run(call(&bases, &organization, 40));
    let called: Vec<Event> =
        mock.ledger().iter().filter(|charge| called.contains(&charge.id)).map(charged).collect();
    assert_eq!(called.len(), 40);
    let unseen: Vec<Event> = (0..40).map(|number| made_up(number, ["0.0123", "0.0123", "0.0123"])).collect();
    let disputed: Vec<Event> = (40..60).map(|number| made_up(number, ["0.5", "0.0123", "0.7"])).collect();

    let events = [called.clone(), unseen.clone(), disputed.clone()].concat();
    let mut deliveries: Vec<(Event, Source)> = Vec::new();
    for event in &events {
        deliveries.extend(SOURCES.repeat(3).into_iter().map(|source| (event.clone(), source)));
    }
    deliveries.shuffle(&mut random);
    let statuses = run(deliver(&bases, &organization, deliveries, &mut random));
    println!("{} events, answers {statuses:?}", events.len());
    assert!(statuses.keys().all(|status| [200, 202, 409].contains(status)), "{statuses:?}");

    wait_until("every event is booked by its best source", || {
        let booked = rows(&database.storage, &organization.id);
        booked.len() == events.len()
            && called.iter().all(|event| booked[&event.id].source == UsageSource::Gateway)
            && pending(&database.storage, &organization.id).is_empty()
    });
    let booked = rows(&database.storage, &organization.id);
    for charge in mock.ledger() {
        assert_row(&booked[&charge.id], UsageSource::Gateway, nano_usd(&charge.total));
    }
    for event in unseen.iter().chain(&disputed) {
        assert_row(&booked[&event.id], UsageSource::Broadcast, 12_300_000);
        assert_eq!(booked[&event.id].user_id.as_str(), event.user);
        assert_eq!(
            (booked[&event.id].input_tokens, booked[&event.id].output_tokens),
            (event.input, event.output)
        );
    }
    assert_consistent(&database.storage, &organization.id);
    for gateway in gateways {
        assert!(gateway.stop().success());
    }
}

fn assert_row(row: &ProcessedGenerationModel, source: UsageSource, nanos: i64) {
    assert_eq!((row.source, row.total_cost.nanos()), (source, nanos), "{row:?}");
}

/// Calls through both gateways; the ids of their answers.
async fn call(bases: &[String; 2], organization: &Organization, calls: u64) -> Vec<String> {
    let clients = bases.each_ref().map(|base| Client::new(base, &organization.key));
    let mut ids = Vec::new();
    for (number, client) in (0..calls).zip(clients.iter().cycle()) {
        let answer = client.chat("mock/ok", number % 3 == 0, number).await.unwrap();
        assert!(answer.complete && answer.status.is_success());
        ids.push(answer.generation.unwrap());
    }
    ids
}

fn charged(charge: &Charge) -> Event {
    Event {
        id: charge.id.clone(),
        model: charge.model.clone(),
        user: charge.user.clone().unwrap_or_default(),
        input: charge.prompt_tokens,
        output: charge.completion_tokens,
        started_at: charge.started_unix_ms.div_euclid(1_000),
        costs: [(); 3].map(|()| charge.total.to_string()),
    }
}

fn made_up(number: i64, costs: [&str; 3]) -> Event {
    Event {
        id: format!("gen-1790000000-unseen{number:04}"),
        model: "openai/gpt-4o-mini".to_owned(),
        user: format!("sources_user_{:016x}", number % 7),
        input: 100 + number,
        output: 10,
        // Within the time that the ledger is kept.
        started_at: now().seconds() - 3 * 86_400 + number * 60,
        costs: costs.map(str::to_owned),
    }
}

/// Sends all of them, sixteen at a time, each to one of the two processes. Counts the answers by status.
async fn deliver(
    bases: &[String; 2],
    organization: &Organization,
    deliveries: Vec<(Event, Source)>,
    random: &mut StdRng,
) -> BTreeMap<u16, usize> {
    let http = reqwest::Client::new();
    let (mut running, mut statuses) = (JoinSet::new(), BTreeMap::new());
    for (event, source) in deliveries {
        if running.len() == 16 {
            *statuses.entry(running.join_next().await.unwrap().unwrap()).or_default() += 1;
        }
        let base = &bases[random.random_range(0..2)];
        let request = message(&http, base, &organization.id, &event, source);
        running.spawn(async move { request.send().await.unwrap().status().as_u16() });
    }
    while let Some(status) = running.join_next().await {
        *statuses.entry(status.unwrap()).or_default() += 1;
    }
    statuses
}

fn message(
    http: &reqwest::Client,
    base: &str,
    organization: &str,
    event: &Event,
    source: Source,
) -> reqwest::RequestBuilder {
    let (path, token, body) = match source {
        Source::Webhook => ("webhook/openrouter-usage", None, webhook(organization, event)),
        Source::Broadcast => {
            ("webhook/openrouter-broadcast", Some(BROADCAST_TOKEN), broadcast(organization, event))
        }
        Source::Manual => ("usage/manual-record", Some(ADMIN_TOKEN), manual(organization, event)),
    };
    let request = http.post(format!("{base}{BASE}/{path}")).header("content-type", "application/json");
    let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
    request.body(body.to_string())
}

fn webhook(organization: &str, event: &Event) -> Value {
    json!({
        "api_key": provider_key(organization), "external_user": event.user, "model": event.model,
        "tokens_used": event.input + event.output, "input_tokens": event.input, "output_tokens": event.output,
        "cost": event.costs[0], "timestamp": event.started_at.to_string(), "request_id": event.id,
    })
}

fn broadcast(organization: &str, event: &Event) -> Value {
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let count = |key: &str, value: i64| json!({ "key": key, "value": { "intValue": value.to_string() } });
    json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [{
        "traceId": "0123456789abcdef0123456789abcdef", "spanId": "0123456789abcdef", "name": "LLM Generation",
        "kind": 3, "startTimeUnixNano": format!("{}000000000", event.started_at),
        "endTimeUnixNano": format!("{}000000000", event.started_at + 1), "status": { "code": 1 },
        "attributes": [
            text("gen_ai.response.id", &event.id), text("gen_ai.response.model", &event.model),
            text("gen_ai.request.model", &event.model), text("user.id", &event.user),
            text("trace.metadata.openrouter.api_key_name", organization),
            count("gen_ai.usage.input_tokens", event.input), count("gen_ai.usage.output_tokens", event.output),
            { "key": "gen_ai.usage.total_cost", "value": { "doubleValue": event.costs[1] } },
        ],
    }] }] }] })
}

fn manual(organization: &str, event: &Event) -> Value {
    json!({
        "client_org_id": organization, "user_id": event.user, "model": event.model,
        "input_tokens": event.input, "output_tokens": event.output, "cost": event.costs[2],
        "request_id": event.id, "timestamp": event.started_at.to_string(),
    })
}
