//! Failures of streams, shown to a client that is Open WebUI and to no other.

use futures_util::StreamExt;
use mai_capture::{
    ProxySettings,
    body::BodyError,
    record::{Outcome, Settled},
};
use mai_generation_processing::PendingReason;
use mai_openrouter::Route;
use proptest::{prelude::*, sample::subsequence, test_runner::TestRunner};

use crate::{
    passing::{sha256, wishes},
    raw::answering,
    road::{Road, Wish, call},
    run,
};

const CHOICES: [Route; 2] = [Route::ChatCompletions, Route::Completions];

/// The event about the error that the mock tells.
const NOTICE: &str = r#"data: {"error":{"code":502,"message":"Provider returned error","metadata":{"error_type":"provider_unavailable","provider_code":"upstream_error","provider_name":"Mock"}},"choices":[]}"#;

const CUT_OFF: &str = r#"data: {"error":{"message":"The answer was cut off. Please try again.","type":"server_error","param":null,"code":"answer_cut_off"},"choices":[]}"#;

fn shown(wish: Wish) -> Wish {
    Wish { shows_failures: true, ..wish }
}

/// What a client gets, whether it got it to an orderly end, and what was recorded.
async fn read(road: &Road, wish: &Wish) -> (Vec<u8>, bool, Settled) {
    let (exchange, mut body) = road.send(wish).await;
    let mut bytes = Vec::new();
    let ended = loop {
        match body.next().await {
            Some(Ok(chunk)) => bytes.extend_from_slice(&chunk),
            Some(Err(_)) => break false,
            None => break true,
        }
    };
    assert!(body.next().await.is_none());
    (bytes, ended, road.settled(&exchange))
}

/// Streams that tell an error, in all the ways in which they may come.
fn failures() -> impl Strategy<Value = Wish> {
    let error = prop::sample::select(vec!["error-first", "error-mid"]);
    let cut = prop::sample::select(vec!["ok", "split-1", "split-random", "split-random", "one-chunk"]);
    let line_end = prop::sample::select(vec!["ok", "crlf", "cr"]);
    let shapes = subsequence(vec!["comments", "bom", "data-lines", "no-space", "no-header-id"], 0..=5);
    let route = prop::sample::select(CHOICES.to_vec());
    (error, cut, line_end, shapes, route, any::<u64>()).prop_map(
        |(error, cut, line_end, shapes, route, seed)| {
            let behaviours = [vec![error, cut, line_end], shapes].concat().join(",");
            shown(Wish { route, seed, ..Wish::stream(&behaviours) })
        },
    )
}

fn check(wishes: impl Strategy<Value = Wish>, checked: &impl AsyncFn(&Wish)) {
    let config = ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&wishes, |wish| {
        run(checked(&wish));
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn a_hidden_error_is_shown_right_behind_its_event_and_every_other_byte_stays() {
    check(failures(), &async |wish| {
        let road = Road::new();
        let (bytes, ended, settled) = read(&road, wish).await;
        let text = String::from_utf8(bytes).unwrap();
        let notice = format!("{NOTICE}\n\n");
        let (before, after) = text.split_once(&notice).unwrap_or_else(|| panic!("no notice in {text:?}"));
        assert!(ended && !after.contains(NOTICE), "{text:?}");
        // The failing event has ended, and nothing but a line feed that belongs to it comes in between.
        assert!(["\n\n", "\r\r", "\r\n\r\n", "\r\n\r"].iter().any(|end| before.ends_with(end)), "{text:?}");
        assert_eq!(after.trim_start_matches('\n'), "", "{text:?}");
        let sent = format!("{before}{after}");
        assert_eq!(Some(sha256(sent.as_bytes())), road.charge(&settled).body_sha256, "{text:?}");
        assert_eq!(settled.outcome, Outcome::Unknown { reason: PendingReason::ErrorEvent });
    });
}

#[test]
fn an_answer_without_a_failure_stays_as_it_is() {
    check(wishes().prop_map(shown), &async |wish| {
        let road = Road::new();
        let (bytes, ended, settled) = read(&road, wish).await;
        assert!(ended);
        assert_eq!(Some(sha256(&bytes)), road.charge(&settled).body_sha256);
    });
}

#[test]
fn other_clients_and_other_routes_get_the_bytes_as_they_are() {
    run(async {
        let road = Road::new();
        for behaviour in ["error-first", "error-mid", "no-done,no-usage", "error-plain-200"] {
            for route in Route::ALL {
                let plain = Wish { route, ..Wish::stream(behaviour) };
                let mut wishes = vec![plain.clone(), Wish { streamed: false, ..shown(plain.clone()) }];
                if !CHOICES.contains(&route) {
                    wishes.push(shown(plain));
                }
                for wish in wishes {
                    let (bytes, ended, settled) = read(&road, &wish).await;
                    assert!(ended, "{wish:?}");
                    assert_eq!(Some(sha256(&bytes)), road.charge(&settled).body_sha256, "{wish:?}");
                }
            }
        }
    });
}

#[test]
fn an_answer_that_is_cut_ends_with_a_notice() {
    run(async {
        let road = Road::new();
        for route in CHOICES {
            for behaviour in ["cut", "cut,split-1", "cut,crlf,comments", "no-done,no-usage"] {
                let plain = Wish { route, ..Wish::stream(behaviour) };
                let (bytes, ended, settled) = read(&road, &plain).await;
                assert_eq!(ended, !behaviour.contains("cut"), "{behaviour}");
                assert_eq!(settled.outcome, Outcome::Unknown { reason: PendingReason::UpstreamCut });
                let (with_notice, ended, settled) = read(&road, &shown(plain)).await;
                assert!(ended, "{behaviour}: a break could take the notice away");
                assert_eq!(settled.outcome, Outcome::Unknown { reason: PendingReason::UpstreamCut });
                let text = String::from_utf8(with_notice).unwrap();
                let sent =
                    text.strip_suffix(&format!("\n\n{CUT_OFF}\n\n")).unwrap_or_else(|| panic!("{text:?}"));
                assert!(!sent.contains("answer_cut_off"));
                // Ids and times differ from call to call.
                assert_eq!(sent.len(), bytes.len(), "{behaviour}");
            }
        }
    });
}

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\
    X-Generation-Id: gen-1\r\n";
const FAILED: &str = "data: {\"choices\":[{}],\"error\":{\"code\":1,\"message\":\"no\"}}\n\n";
const FAILED_NOTICE: &str = "data: {\"error\":{\"code\":1,\"message\":\"no\"},\"choices\":[]}\n\n";

/// What Open WebUI gets when upstream sends this, and whether it was an orderly end.
async fn answer_to(head: &str, body: &str) -> (String, bool) {
    let base = answering(format!("{HEAD}{head}\r\n{body}").into_bytes());
    let road = Road::new().to(&base, ProxySettings::default());
    let wish = shown(Wish::stream("ok"));
    let head = road.answer(call("org_road", true), &wish).await.unwrap().headers;
    assert!(!head.contains_key("content-length"), "a notice may come on top");
    let (bytes, ended, _) = read(&road, &wish).await;
    (String::from_utf8(bytes).unwrap(), ended)
}

#[test]
fn the_notice_comes_before_done_and_once() {
    run(async {
        let done = "data: [DONE]\n\n";
        let usage = "data: {\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1,\"cost\":1}}\n\n";
        let visible = FAILED.replace("[{}]", "[]");
        for (body, expected) in [
            (format!("{FAILED}{done}"), format!("{FAILED}{FAILED_NOTICE}{done}")),
            (format!("{FAILED}{FAILED}"), format!("{FAILED}{FAILED_NOTICE}{FAILED}")),
            (format!("{FAILED}{usage}{done}"), format!("{FAILED}{FAILED_NOTICE}{usage}{done}")),
            // What Open WebUI shows by itself is not shown twice.
            (format!("{visible}{done}"), format!("{visible}{done}")),
            (visible.clone(), visible.clone()),
            (format!("{visible}{FAILED}{done}"), format!("{visible}{FAILED}{done}")),
            // Nobody reads behind the end.
            (format!("{done}{FAILED}"), format!("{done}{FAILED}")),
            // All of the answer has come, though upstream forgot to say so.
            (usage.to_owned(), usage.to_owned()),
            // Without its blank line the event may not have been read.
            (FAILED.trim_end().to_owned(), format!("{}\n\n{FAILED_NOTICE}", FAILED.trim_end())),
            (String::new(), format!("\n\n{CUT_OFF}\n\n")),
        ] {
            assert_eq!(answer_to("", &body).await, (expected.clone(), true), "{body:?}");
            let length = format!("Content-Length: {}\r\n", body.len());
            assert_eq!(answer_to(&length, &body).await, (expected, true), "{body:?} with its length");
        }
    });
}

#[test]
fn a_break_behind_the_notice_is_an_orderly_end() {
    run(async {
        let length = format!("Content-Length: {}\r\n", FAILED.len() + 10);
        let (text, ended) = answer_to(&length, FAILED).await;
        assert_eq!((text, ended), (format!("{FAILED}{FAILED_NOTICE}"), true));
    });
}

#[test]
fn what_cannot_be_recorded_is_not_released_and_ends_with_a_notice() {
    run(async {
        let road = Road::new();
        let (_, mut unopened) = road.send(&shown(Wish::stream("ok"))).await;
        let (_, mut opened) = road.send(&shown(Wish::stream("ok"))).await;
        let (_, mut plain) = road.send(&Wish::stream("ok")).await;
        let mut released = opened.next().await.unwrap().unwrap().to_vec();
        road.journal.clone().close().unwrap();
        let notice = format!("\n\n{CUT_OFF}\n\n");
        assert_eq!(unopened.next().await.unwrap().unwrap(), notice);
        assert!(unopened.next().await.is_none());
        while let Some(chunk) = opened.next().await {
            released.extend_from_slice(&chunk.unwrap());
        }
        let released = String::from_utf8(released).unwrap();
        assert!(released.ends_with(&notice) && !released.contains("[DONE]"), "{released}");
        assert!(matches!(plain.next().await, Some(Err(BodyError::NotRecorded(_)))));
    });
}
