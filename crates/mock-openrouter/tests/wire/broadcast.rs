//! Broadcast, against a target that knows nothing but TCP.

use crate::client::{KEY, body, chat, open, order, path, start, ways};
use mai_mock_openrouter::{BroadcastTarget, Charge, Mock, MockSettings, Route};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What arrived: the head in lower case, and the document.
type Arrived = Arc<Mutex<Vec<(String, Value)>>>;

/// A target that answers with these statuses and, when they are used up, with 200. One connection per request.
fn target(statuses: &[u16]) -> (SocketAddr, Arrived) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let arrived = Arrived::default();
    let (seen, statuses) = (Arc::clone(&arrived), statuses.to_vec());
    std::thread::spawn(move || {
        let mut statuses = statuses.into_iter();
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                assert_ne!(stream.read_line(&mut head).unwrap(), 0);
            }
            let head = head.to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            stream.read_exact(&mut body).unwrap();
            seen.lock().unwrap().push((head, serde_json::from_slice(&body).unwrap()));
            let status = statuses.next().unwrap_or(200);
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    });
    (address, arrived)
}

fn broadcasting(address: SocketAddr, change: impl FnOnce(&mut BroadcastTarget)) -> Mock {
    let mut target = BroadcastTarget::new(format!("http://{address}/hook?a=b"));
    change(&mut target);
    Mock::start(MockSettings { broadcast: Some(target), ..MockSettings::default() }).unwrap()
}

fn wait(mock: &Mock) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let delivered =
        async { tokio::time::timeout(Duration::from_secs(20), mock.broadcasts_delivered()).await };
    runtime.block_on(delivered).unwrap();
    assert_eq!(mock.pending_broadcasts(), 0);
}

fn spans(document: &Value) -> &Vec<Value> {
    document["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap()
}

fn attribute<'a>(span: &'a Value, key: &str) -> Option<&'a Value> {
    let attributes = span["attributes"].as_array().unwrap();
    attributes.iter().find(|attribute| attribute["key"] == key).map(|attribute| &attribute["value"])
}

/// An integer in either form.
fn int(span: &Value, key: &str) -> i64 {
    let value = &attribute(span, key).unwrap()["intValue"];
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).unwrap()
}

/// The document of a charge.
fn of<'a>(documents: &'a [(String, Value)], charge: &Charge) -> &'a Value {
    let is_its = |document: &&(String, Value)| {
        attribute(&spans(&document.1)[0], "gen_ai.response.id").unwrap()["stringValue"] == charge.id.as_str()
    };
    &documents.iter().find(is_its).unwrap().1
}

#[test]
fn each_charge_is_told_once_with_its_totals() {
    let (address, arrived) = target(&[]);
    let mock = broadcasting(address, |target| {
        target.headers.push(("X-Webhook-Signature".to_owned(), "secret".to_owned()));
    });
    for (route, stream) in ways() {
        order(&mock, route, "mock/cost-17-digits", stream);
        order(&mock, route, "mock/status-500", stream);
    }
    wait(&mock);
    let (documents, ledger) = (arrived.lock().unwrap(), mock.ledger());
    assert_eq!((documents.len(), ledger.len()), (13, 13), "an HTTP error is told to nobody");
    let mut forms = [0, 0];
    for charge in &ledger {
        let spans = spans(of(&documents, charge));
        let root = &spans[0];
        assert_eq!((&root["name"], root.get("parentSpanId")), (&"LLM Generation".into(), None));
        assert_eq!(int(root, "gen_ai.usage.input_tokens"), charge.prompt_tokens);
        assert_eq!(int(root, "gen_ai.usage.output_tokens"), charge.completion_tokens);
        assert_eq!(int(root, "gen_ai.usage.input_tokens.cached"), charge.cached_tokens);
        assert_eq!(attribute(root, "user.id").unwrap()["stringValue"], "acme_user_1");
        let start = root["startTimeUnixNano"].as_str().unwrap();
        assert_eq!(start, format!("{}000000", charge.started_unix_ms));
        for attribute in root["attributes"].as_array().unwrap() {
            let value = &attribute["value"]["intValue"];
            forms[0] += i32::from(value.is_number());
            forms[1] += i32::from(value.is_string());
        }
        let attempt = &spans[1];
        assert!(attempt["name"].as_str().unwrap().starts_with("provider attempt 1: "));
        assert_eq!((&attempt["parentSpanId"], &attempt["traceId"]), (&root["spanId"], &root["traceId"]));
        assert_eq!(attribute(attempt, "gen_ai.usage.total_cost"), None);
    }
    assert!(forms[0] > 0 && forms[1] > 0, "{forms:?}");
    let head = &documents[0].0;
    assert!(head.starts_with("post /hook?a=b http/1.1\r\n"), "{head}");
    assert!(
        head.contains("x-webhook-signature: secret\r\n") && head.contains("content-type: application/json")
    );
}

#[test]
fn the_secret_in_a_header_is_not_shown() {
    let mut target = BroadcastTarget::new("http://127.0.0.1/hook");
    target.headers.push(("authorization".to_owned(), "Bearer hidden".to_owned()));
    let settings = MockSettings { broadcast: Some(target), ..MockSettings::default() };
    let shown = format!("{settings:?}");
    assert!(shown.contains("/hook") && !shown.contains("hidden"), "{shown}");
}

#[test]
fn the_cost_is_told_digit_by_digit() {
    let (address, arrived) = target(&[]);
    let mock = broadcasting(address, |_| {});
    let costs = ["cost-exponent", "cost-tiny", "cost-negative", "byok-fee", "error-first", "error-mid"];
    for behaviour in costs {
        chat(&mock, &format!("mock/{behaviour}"), true);
        wait(&mock);
    }
    let documents = arrived.lock().unwrap();
    for (charge, (_, document)) in std::iter::zip(mock.ledger(), documents.iter()) {
        let root = &spans(document)[0];
        let failed = charge.finish_reason == Some("error");
        assert_eq!(root["status"]["code"], if failed { 2 } else { 1 });
        let cost = attribute(root, "gen_ai.usage.total_cost");
        assert_eq!(cost.is_some(), !charge.total.is_zero(), "{}", charge.requested_model);
        if let Some(cost) = cost {
            let expected: Value = serde_json::from_str(&charge.cost_text).unwrap();
            assert_eq!(cost["doubleValue"], expected);
        }
        let byok = attribute(root, "trace.metadata.openrouter_generation.is_byok").unwrap();
        assert_eq!(byok["boolValue"], charge.byok);
        let upstream = attribute(root, "trace.metadata.openrouter_generation.byok_usage_inference");
        assert_eq!(upstream.is_some(), charge.byok);
    }
}

#[test]
fn a_client_that_left_is_told_with_what_it_cost() {
    let (address, arrived) = target(&[]);
    let mock = broadcasting(address, |_| {});
    let route = Route::Messages;
    let bearer = format!("Bearer {KEY}");
    let request = body(route, "mock/slow-5,tokens-1000", true);
    let mut stream = open(&mock, "POST", &path(route), &[("authorization", &bearer)], &request);
    stream.read_exact(&mut [0; 3000]).unwrap();
    drop(stream);
    while mock.charge_count() == 0 {
        std::thread::yield_now();
    }
    wait(&mock);
    let documents = arrived.lock().unwrap();
    let root = &spans(&documents[0].1)[0];
    assert_eq!(root["status"]["message"], "The client has disconnected");
    let cancelled = attribute(root, "trace.metadata.openrouter_generation.cancelled").unwrap();
    assert_eq!(cancelled["boolValue"], true);
    assert!(attribute(root, "gen_ai.usage.total_cost").is_some());
}

#[test]
fn a_charge_is_sent_as_often_as_asked() {
    let (address, arrived) = target(&[503, 200, 500]);
    let mock = broadcasting(address, |target| target.deliveries = 3);
    chat(&mock, "mock/ok", false);
    wait(&mock);
    let documents = arrived.lock().unwrap();
    assert_eq!(documents.len(), 3, "what is refused is lost");
    assert!(documents.iter().all(|(_, document)| *document == documents[0].1));
}

#[test]
fn what_is_not_accepted_is_sent_again_where_asked() {
    let (address, arrived) = target(&[503, 404, 200, 500]);
    let mock = broadcasting(address, |target| {
        (target.deliveries, target.until_accepted) = (2, true);
    });
    chat(&mock, "mock/ok", false);
    wait(&mock);
    // Refused twice, accepted, refused, accepted.
    assert_eq!(arrived.lock().unwrap().len(), 5);
}

#[test]
fn the_target_can_change_while_something_waits() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mock = start();
    chat(&mock, "mock/ok", false);
    assert_eq!(mock.pending_broadcasts(), 0, "nobody listens");
    let mut nobody = BroadcastTarget::new(format!("http://{closed}/"));
    nobody.until_accepted = true;
    mock.broadcast_to(Some(nobody));
    chat(&mock, "mock/ok", false);
    assert_eq!(mock.pending_broadcasts(), 1);
    let (address, arrived) = target(&[]);
    mock.broadcast_to(Some(BroadcastTarget::new(format!("http://{address}/"))));
    wait(&mock);
    assert_eq!(arrived.lock().unwrap().len(), 1);
    mock.broadcast_to(None);
    chat(&mock, "mock/ok", false);
    wait(&mock);
    assert_eq!(arrived.lock().unwrap().len(), 1);
}
