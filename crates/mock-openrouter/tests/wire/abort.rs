//! Clients that leave and connections that break.

use crate::client::{KEY, body, charge, chat, look_up, open, order, path, start, ways};
use mai_mock_openrouter::{Charge, Mock, Route};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn wait_for(what: &str, done: impl Fn() -> bool) {
    let patience = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < patience, "{what}");
        std::thread::yield_now();
    }
}

/// The charge, once the mock has noticed that its client is gone.
fn eventually(mock: &Mock) -> Charge {
    wait_for("the mock never noticed", || mock.charge_count() > 0);
    charge(mock)
}

fn begin(mock: &Mock, model: &str, stream: bool) -> TcpStream {
    begin_on(mock, Route::ChatCompletions, model, stream)
}

fn begin_on(mock: &Mock, route: Route, model: &str, stream: bool) -> TcpStream {
    let bearer = format!("Bearer {KEY}");
    open(mock, "POST", &path(route), &[("authorization", &bearer)], &body(route, model, stream))
}

/// Reads until so many events have arrived.
fn read_events(stream: &mut TcpStream, count: usize) -> String {
    let mut text = Vec::new();
    let mut piece = [0; 1024];
    while String::from_utf8_lossy(&text).matches("\n\n").count() < count {
        let length = stream.read(&mut piece).unwrap();
        assert_ne!(length, 0);
        text.extend_from_slice(&piece[..length]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn leaving_a_stream_pays_what_was_delivered() {
    let mock = start();
    let mut stream = begin(&mock, "mock/slow-20,tokens-1000", true);
    let read = read_events(&mut stream, 5).matches("\"content\":\"").count();
    drop(stream);
    let charge = eventually(&mock);
    assert!(charge.cancelled && charge.finish_reason.is_none() && charge.body_sha256.is_none());
    let tokens = usize::try_from(charge.completion_tokens).unwrap();
    assert!(tokens >= read && tokens < 1000, "{tokens}");
    assert!(!charge.total.is_zero());
    let record = look_up(&mock, &charge.id).json();
    assert_eq!(record["data"]["cancelled"], true);
    assert_eq!(record["data"]["native_tokens_completion"], charge.completion_tokens);
}

#[test]
fn leaving_any_stream_pays_what_was_delivered() {
    for route in Route::ALL.into_iter().filter(|route| route.streams()) {
        let mock = start();
        let mut stream = begin_on(&mock, route, "mock/slow-5,tokens-1000", true);
        read_events(&mut stream, 12);
        drop(stream);
        let charge = eventually(&mock);
        assert!(charge.cancelled && charge.finish_reason.is_none(), "{route:?}");
        // At most the head and the opening events of a route come before its content.
        assert!((5..1000).contains(&charge.completion_tokens), "{route:?}: {}", charge.completion_tokens);
    }
}

#[test]
fn leaving_any_plain_call_pays_in_full() {
    for (route, _) in ways().filter(|(_, stream)| !stream) {
        let mock = start();
        let stream = begin_on(&mock, route, "mock/delay-headers-60000,tokens-50", false);
        wait_for("the request never arrived", || mock.request_count() > 0);
        drop(stream);
        let charge = eventually(&mock);
        let expected = if matches!(route, Route::Embeddings | Route::Rerank) { 0 } else { 50 };
        assert_eq!((charge.completion_tokens, charge.cancelled), (expected, false), "{route:?}");
        assert!(!charge.total.is_zero(), "{route:?}");
    }
}

#[test]
fn sound_that_is_left_or_cut_is_paid_in_full() {
    let mock = start();
    let mut stream = begin_on(&mock, Route::Speech, "mock/slow-20,tokens-1000", false);
    let mut piece = [0; 1000];
    stream.read_exact(&mut piece).unwrap();
    drop(stream);
    let charge = eventually(&mock);
    assert_eq!((charge.completion_tokens, charge.cancelled), (1000, false));

    let mock = start();
    let cut = order(&mock, Route::Speech, "mock/cut,tokens-10", false);
    assert_eq!((cut.chunks.len(), cut.complete), (5, false));
    assert_eq!(eventually(&mock).completion_tokens, 10);
}

#[test]
fn a_provider_that_cannot_abort_is_paid_in_full() {
    let mock = start();
    let mut stream = begin(&mock, "mock/slow-20,tokens-1000,no-abort", true);
    read_events(&mut stream, 3);
    drop(stream);
    let charge = eventually(&mock);
    assert_eq!((charge.completion_tokens, charge.cancelled), (1000, false));
}

#[test]
fn headers_then_nothing_costs_nothing_until_the_client_leaves() {
    let mock = start();
    let mut stream = begin(&mock, "mock/headers-then-nothing", true);
    let mut head = [0; 12];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    assert_eq!(mock.charge_count(), 0);
    drop(stream);
    let charge = eventually(&mock);
    assert!(charge.cancelled && charge.total.is_zero());
}

#[test]
fn leaving_a_plain_call_pays_in_full() {
    let mock = start();
    let stream = begin(&mock, "mock/delay-headers-60000,tokens-50", false);
    // A client that leaves before its request has been read has ordered nothing.
    wait_for("the request never arrived", || mock.request_count() > 0);
    drop(stream);
    let charge = eventually(&mock);
    assert_eq!((charge.completion_tokens, charge.cancelled), (50, false));
}

#[test]
fn an_upload_that_breaks_off_orders_nothing() {
    let mock = start();
    let bearer = format!("Bearer {KEY}");
    let mut stream = TcpStream::connect(mock.address()).unwrap();
    let (route, request) = (Route::Transcriptions, body(Route::Transcriptions, "mock/ok", false));
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: mock\r\nauthorization: {bearer}\r\ntransfer-encoding: chunked\r\n\r\n",
        path(route)
    );
    // A whole order in one chunk, without the chunk that ends the body.
    stream.write_all(format!("{head}{:x}\r\n{request}\r\n", request.len()).as_bytes()).unwrap();
    drop(stream);
    wait_for("the mock never noticed", || mock.broken_request_count() > 0);
    assert_eq!((mock.request_count(), mock.charge_count()), (0, 0));
}

#[test]
fn cut_bodies_are_charged_and_found() {
    let mock = start();
    let stream = chat(&mock, "mock/cut,tokens-10", true);
    assert!(!stream.complete && stream.header("x-generation-id").is_some());
    assert_eq!(stream.events().len(), 5);
    let plain = chat(&mock, "mock/cut,tokens-10", false);
    assert!(!plain.complete && !plain.text().contains("usage"));
    let ledger = mock.ledger();
    assert_eq!((ledger[0].completion_tokens, ledger[0].cancelled), (5, true));
    assert_eq!((ledger[1].completion_tokens, ledger[1].cancelled), (10, false));
    for charge in ledger {
        assert_eq!(look_up(&mock, &charge.id).status, 200);
    }
}

#[test]
fn a_connection_without_an_answer_is_free() {
    let mock = start();
    let answer = chat(&mock, "mock/cut-before-headers", true);
    assert_eq!(answer.status, 0, "nothing was sent");
    assert_eq!((mock.charge_count(), mock.request_count()), (0, 1));
}

#[test]
fn stopping_settles_what_was_running_and_closes_the_port() {
    let mock = start();
    let mut stream = begin(&mock, "mock/slow-20,tokens-1000", true);
    read_events(&mut stream, 2);
    mock.stop();
    mock.stop();
    assert!(charge(&mock).cancelled);
    assert!(TcpStream::connect(mock.address()).is_err());
}
