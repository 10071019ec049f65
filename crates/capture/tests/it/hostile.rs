//! Ids and bodies that nobody should send.

use futures_util::StreamExt;
use mai_capture::{
    ProxySettings,
    proxy::ProxyBody,
    record::{Outcome, Settled},
};
use mai_generation_processing::PendingReason;
use mai_primitives::GenerationId;

use crate::{
    raw::answering,
    road::{Road, Wish, call},
    run,
};

/// The settled record of a call to which upstream answered so, and the bytes that the client got.
async fn settle(headers: &[u8], body: &str) -> (Settled, Vec<u8>) {
    let mut answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\n".to_vec();
    answer.extend_from_slice(headers);
    answer.extend_from_slice(b"\r\n");
    answer.extend_from_slice(body.as_bytes());
    let road = Road::new().to(&answering(answer), ProxySettings::default());
    let call = call("org_road", false);
    let exchange = call.exchange.clone();
    let answer = road.answer(call, &Wish::plain("ok")).await.unwrap();
    let ProxyBody::Metered(mut body) = answer.body else { panic!("an error") };
    let mut seen = Vec::new();
    while let Some(chunk) = body.next().await {
        seen.extend_from_slice(&chunk.unwrap());
    }
    (road.settled(&exchange), seen)
}

/// An edge that has lost patience answers in upstream's place and does not know what was charged.
#[test]
fn an_error_that_upstream_did_not_write_does_not_say_that_nothing_was_charged() {
    let outcome = |status: &str, kind: &str| {
        let answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: {kind}\r\n\r\n{{}}");
        run(async {
            let road = Road::new().to(&answering(answer.into_bytes()), ProxySettings::default());
            let call = call("org_road", false);
            let exchange = call.exchange.clone();
            assert!(matches!(road.answer(call, &Wish::plain("ok")).await.unwrap().body, ProxyBody::Whole(_)));
            road.finish().await;
            road.settled(&exchange).outcome
        })
    };
    let failed = |status| Outcome::Failed { status, reason: "upstream_status".to_owned() };
    assert_eq!(outcome("504 Gateway Timeout", "application/json; charset=utf-8"), failed(504));
    assert_eq!(outcome("429 Too Many Requests", "text/html"), failed(429));
    let unknown = Outcome::Unknown { reason: PendingReason::NoAnswer };
    assert_eq!(outcome("504 Gateway Timeout", "text/html"), unknown);
    assert_eq!(outcome("524 A Timeout Occurred", "text/plain"), unknown);
}

fn usage(id: &str) -> String {
    format!(
        r#"{{"id":{id},"model":"openai/o3","usage":{{"prompt_tokens":3,"completion_tokens":2,"cost":1e-6}}}}"#
    )
}

#[test]
fn an_id_that_cannot_be_one_is_ignored_and_the_header_goes_before_the_body() {
    let long = "x".repeat(300);
    let header = |id: &[u8]| [b"X-Generation-Id: ".as_slice(), id, b"\r\n"].concat();
    let both = [header(b"gen-h"), header(b"gen-i")].concat();
    let (good, quoted_long) = (r#""gen-b""#, format!("\"{long}\""));
    let ten_kilobytes = format!("\"{}\"", "x".repeat(10_240));
    let cases: [(Vec<u8>, &str, Option<&str>); 14] = [
        (header(b"gen-h"), good, Some("gen-h")),
        (both, good, Some("gen-h")),
        (header(b""), good, Some("gen-b")),
        (header(long.as_bytes()), good, Some("gen-b")),
        (header(b"gen\t1"), good, Some("gen-b")),
        (header(b"gen-\xc5\xbc"), good, Some("gen-b")),
        (header(b"gen-h"), "null", Some("gen-h")),
        (vec![], good, Some("gen-b")),
        (vec![], "17", None),
        (vec![], "null", None),
        (vec![], r#""""#, None),
        (vec![], r#""gen\u0000b""#, None),
        (vec![], &quoted_long, None),
        (vec![], &ten_kilobytes, None),
    ];
    run(async {
        for (mut headers, id, expected) in cases {
            let shown = format!("{} and {id:.40}", String::from_utf8_lossy(&headers));
            headers.extend_from_slice(b"Content-Type: application/json\r\n");
            let (settled, seen) = settle(&headers, &usage(id)).await;
            assert_eq!(seen, usage(id).as_bytes(), "{shown}");
            assert_eq!(settled.generation_id.as_ref().map(GenerationId::as_str), expected, "{shown}");
            let Outcome::Exact(exact) = settled.outcome else { panic!("{shown}: {:?}", settled.outcome) };
            assert_eq!(exact.cost_nanos, 1_000, "{shown}");
        }
    });
}

/// Nothing is read out of what is not JSON or is encoded, whatever it looks like: its cost is looked up.
#[test]
fn what_is_not_plain_json_is_not_read() {
    run(async {
        for headers in [
            "Content-Type: text/plain\r\n",
            "Content-Type: audio/mpeg\r\n",
            "Content-Type: text/html\r\n",
            "Content-Type: application/jsonl\r\n",
            "Content-Type: application/json\r\nContent-Encoding: br\r\n",
            "Content-Type: text/event-stream\r\nContent-Encoding: gzip\r\n",
            "",
        ] {
            let body = usage(r#""gen-b""#);
            let with_id = format!("X-Generation-Id: gen-h\r\n{headers}");
            let (settled, seen) = settle(with_id.as_bytes(), &body).await;
            assert_eq!(seen, body.as_bytes());
            let unknown = Outcome::Unknown { reason: PendingReason::NoUsage };
            assert_eq!(settled.outcome, unknown, "{headers}");
            assert_eq!(settled.generation_id.unwrap().as_str(), "gen-h");
            let (settled, _) = settle(headers.as_bytes(), &body).await;
            assert_eq!((settled.outcome, settled.generation_id), (unknown, None), "{headers}");
        }
    });
}
