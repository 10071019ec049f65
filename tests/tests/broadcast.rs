//! OpenRouter's Broadcast: its own reports of what our organizations used.

use mai_mock_openrouter::{Mock, MockSettings};
use mai_organization::{client_organization::openrouter_user_id, generation_processing::UsageSource};
use mai_primitives::{Clock, OrganizationId, SystemClock, UserId};
use mai_tests::{
    client::{Answer, Client, read},
    gateway::Gateway,
    ledger::{assert_consistent, assert_equal_to_mock, pending, rows, wait_until},
    on_each_database,
    reports::installation,
    run,
};
use serde_json::{Value, json};

const TOKEN: &str = "a-static-secret-of-the-deployment";

/// A root span as OpenRouter sends it, with the number texts in strings so that they stay exact.
fn span(id: &str, user: &str, cost: Option<&str>) -> Value {
    let started = SystemClock.now().timestamp() - 60;
    let mut attributes = vec![
        json!({ "key": "gen_ai.response.id", "value": { "stringValue": id } }),
        json!({ "key": "gen_ai.request.model", "value": { "stringValue": "openai/gpt-4o-mini" } }),
        json!({ "key": "gen_ai.response.model", "value": { "stringValue": "openai/gpt-4o-mini" } }),
        json!({ "key": "gen_ai.usage.input_tokens", "value": { "intValue": "13" } }),
        json!({ "key": "gen_ai.usage.output_tokens", "value": { "intValue": 7 } }),
        json!({ "key": "user.id", "value": { "stringValue": user } }),
    ];
    attributes.extend(
        cost.map(|cost| json!({ "key": "gen_ai.usage.total_cost", "value": { "doubleValue": cost } })),
    );
    json!({
        "traceId": "0123456789abcdef0123456789abcdef", "spanId": "0123456789abcdef", "name": "LLM Generation",
        "startTimeUnixNano": format!("{started}000000000"), "status": { "code": 1 }, "attributes": attributes,
    })
}

fn trace(spans: &[Value]) -> String {
    json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] }).to_string()
}

async fn push(gateway: &Gateway, headers: &[(&str, &str)], body: impl Into<String>) -> Answer {
    let url = format!("{}/api/v1/usage-tracking/webhook/openrouter-broadcast", gateway.base);
    let mut request = reqwest::Client::new().put(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    read(request.body(body.into()).send().await.expect("an answer")).await
}

/// Pushes spans and returns the counts that are not zero.
async fn pushed(gateway: &Gateway, spans: &[Value]) -> Value {
    let answer = push(gateway, &[("authorization", &format!("Bearer {TOKEN}"))], trace(spans)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let Value::Object(mut answer) = answer.json() else { panic!("an object") };
    assert_eq!(
        (answer.remove("success"), answer.remove("status")),
        (Some(json!(true)), Some(json!("success")))
    );
    answer.into_iter().filter(|(_, count)| *count != json!(0)).collect::<serde_json::Map<_, _>>().into()
}

fn sent_as(organization: &str, user: &str) -> String {
    let organization: OrganizationId = organization.parse().unwrap();
    openrouter_user_id(&organization, &UserId::new(user).unwrap()).unwrap().to_string()
}

#[test]
fn only_the_token_opens_it() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = installation(database, &mock);
        let gateway = installation.serve();
        let closed = run(push(&gateway, &[("authorization", &format!("Bearer {TOKEN}"))], trace(&[])));
        assert_eq!((closed.status.as_u16(), &closed.json()["code"]), (404, &json!("not_configured")));
        assert!(gateway.stop().success());

        let gateway = installation.with("MAI_BROADCAST_TOKEN", TOKEN).serve();
        let bearer = format!("Bearer {TOKEN}");
        run(async {
            let wrong = format!("{bearer}x");
            for (headers, body, status, code) in [
                (&[][..], trace(&[]), 401, "unauthorized"),
                (&[("authorization", wrong.as_str())], trace(&[]), 401, "unauthorized"),
                (&[("x-webhook-signature", "x")], trace(&[]), 401, "unauthorized"),
                (&[("x-webhook-signature", TOKEN)], trace(&[]), 200, ""),
                (&[("authorization", bearer.as_str())], trace(&[]), 200, ""),
                (
                    &[("authorization", bearer.as_str()), ("x-test-connection", "true")],
                    "probe".to_owned(),
                    200,
                    "",
                ),
                (
                    &[("authorization", bearer.as_str())],
                    "{\"resourceSpans\":".to_owned(),
                    400,
                    "invalid_body",
                ),
                (&[("authorization", bearer.as_str())], "[]".to_owned(), 400, "invalid_body"),
                (&[("authorization", bearer.as_str())], "x".repeat((16 << 20) + 1), 413, "body_too_large"),
                (
                    &[("authorization", bearer.as_str()), ("content-encoding", "gzip")],
                    trace(&[]),
                    415,
                    "unsupported_encoding",
                ),
            ] {
                let answer = push(&gateway, headers, body).await;
                let found = answer.json()["code"].as_str().unwrap_or_default().to_owned();
                assert_eq!((answer.status.as_u16(), found.as_str()), (status, code), "{headers:?}");
            }
        });
    });
}

#[test]
fn each_span_is_booked_once_for_the_organization_of_its_user() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = installation(database, &mock).with("MAI_BROADCAST_TOKEN", TOKEN);
        let (first, second) = (installation.organization("First"), installation.organization("Second"));
        let gateway = installation.serve();
        let (one, two) = (sent_as("first", "anna"), sent_as("second", "bert"));
        let failed = |mut span: Value| {
            span["status"] = json!({ "code": 2, "message": "The client has disconnected" });
            span
        };
        let child = |mut span: Value| {
            span["name"] = json!("provider attempt 1: OpenAI");
            span["parentSpanId"] = json!("fedcba9876543210");
            span
        };
        run(async {
            let counts = pushed(
                &gateway,
                &[
                    span("gen-1", &one, Some("0.00001135")),
                    child(span("gen-1:attempt-0", &one, None)),
                    span("gen-1", &one, Some("1.135e-05")),
                    span("gen-2", &two, Some("0.5")),
                    span("gen-1", &two, Some("0")),
                    span("gen-3", "somebody-else", Some("0.5")),
                    span("gen-3", &sent_as("third", "carl"), Some("0.5")),
                    span("", &one, Some("0.5")),
                    span("gen-4", &one, None),
                    failed(span("gen-5", &one, Some("0.5"))),
                ],
            )
            .await;
            assert_eq!(counts, json!({ "recorded": 3, "duplicates": 1, "ignored": 3, "pending": 2 }));
            let counts = pushed(
                &gateway,
                &[span("gen-1", &one, Some("0.00001135")), span("gen-2", &two, Some("0.6"))],
            )
            .await;
            assert_eq!(counts, json!({ "duplicates": 1, "conflicts": 1 }));
        });
        let of_first = rows(&database.storage, &first.id);
        assert_eq!(of_first.keys().collect::<Vec<_>>(), ["gen-1"]);
        let row = &of_first["gen-1"];
        assert_eq!((row.total_cost.nanos(), row.input_tokens, row.output_tokens), (11_350, 13, 7));
        assert_eq!((row.source, row.user_id.as_str()), (UsageSource::Broadcast, one.as_str()));
        let of_second = rows(&database.storage, &second.id);
        assert_eq!(of_second.keys().collect::<Vec<_>>(), ["gen-1", "gen-2"]);
        assert_eq!(of_second["gen-1"].total_cost.nanos(), 0, "a cost of 0 is a cost");
        let waiting: Vec<String> =
            pending(&database.storage, &first.id).iter().map(|row| row.id.to_string()).collect();
        assert_eq!(waiting, ["gen-4", "gen-5"]);
        for organization in [&first, &second] {
            assert_consistent(&database.storage, &organization.id);
        }
    });
}

#[test]
fn whichever_of_gateway_and_broadcast_comes_first_the_gateways_record_stands() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = installation(database, &mock).with("MAI_BROADCAST_TOKEN", TOKEN);
        let organization = installation.organization("Order");
        let annas_key = installation.key(&organization.id, &["--user", "anna"]);
        let gateway = installation.serve();
        let anna = sent_as(&organization.id, "anna");
        run(async {
            // The report overtakes the end of the stream, and says something else.
            let client = Client::new(&gateway.base, &annas_key);
            let response = client.open("mock/slow-50", true, 1).await.unwrap();
            let id = response.headers()["x-generation-id"].to_str().unwrap().to_owned();
            let counts = pushed(&gateway, &[span(&id, &anna, Some("99"))]).await;
            assert_eq!(counts, json!({ "recorded": 1 }));
            let early = rows(&database.storage, &organization.id);
            assert_eq!(
                (early[&id].total_cost.nanos(), early[&id].user_id.as_str()),
                (99_000_000_000, anna.as_str())
            );
            assert!(read(response).await.complete);
            wait_until("the gateway's record is booked", || {
                rows(&database.storage, &organization.id)[&id].source == UsageSource::Gateway
            });
            assert_equal_to_mock(&database.storage, &organization.id, &mock);
            assert_eq!(rows(&database.storage, &organization.id)[&id].user_id.as_str(), "anna");

            // Afterwards it changes nothing, whatever it says.
            let counts = pushed(&gateway, &[span(&id, &anna, Some("99"))]).await;
            assert_eq!(counts, json!({ "conflicts": 1 }));
            // Of anna's other calls only Broadcast knows; by now she can be told from her id.
            let counts = pushed(&gateway, &[span("gen-elsewhere", &anna, Some("0.5"))]).await;
            assert_eq!(counts, json!({ "recorded": 1 }));
        });
        assert_eq!(rows(&database.storage, &organization.id)["gen-elsewhere"].user_id.as_str(), "anna");
        assert!(pending(&database.storage, &organization.id).is_empty());
        assert_consistent(&database.storage, &organization.id);
    });
}
