//! A client that leaves: whatever the moment, one settled record stays, and it is true.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use mai_capture::{
    Drains, ProxySettings,
    record::{Outcome, Record, Settled},
};
use mai_generation_processing::PendingReason;
use mai_mock_openrouter::nano_usd;

use crate::{
    eventually,
    road::{Road, Wish, call},
    run,
};

/// Pauses after the first event for longer than any test runs.
const ENDLESS: &str = "slow-3600000";

const CLIENT_GONE: Outcome = Outcome::Unknown { reason: PendingReason::ClientGone };

fn assert_exact(road: &Road, settled: &Settled) {
    let charge = road.charge(settled);
    let Outcome::Exact(usage) = &settled.outcome else { panic!("{:?}", settled.outcome) };
    assert_eq!(usage.cost().nanos(), nano_usd(&charge.total));
    assert_eq!(usage.output_tokens, charge.completion_tokens);
}

#[test]
fn a_stream_that_is_left_after_any_piece_is_settled_once() {
    run(async {
        let road = Road::new();
        let wish = Wish::stream("tokens-4,split-random");
        let mut left = Vec::new();
        for pieces in 0.. {
            let (exchange, mut body) = road.send(&wish).await;
            let mut seen = Vec::new();
            let mut ended = false;
            for _ in 0..pieces {
                match body.next().await {
                    Some(chunk) => seen.extend_from_slice(&chunk.unwrap()),
                    None => ended = true,
                }
            }
            drop(body);
            left.push((exchange, String::from_utf8_lossy(&seen).into_owned()));
            if ended {
                break;
            }
        }
        assert!(left.len() > 20, "the stream came in {} pieces", left.len());
        road.finish().await;
        for (exchange, seen) in &left {
            let settled = road.settled(exchange);
            let opened = road.records(exchange).len() == 2;
            assert_eq!(opened, !seen.is_empty(), "what reached the client was opened before");
            if seen.contains("[DONE]\n") {
                assert_exact(&road, &settled);
            } else {
                // Also after the usage: upstream has not said that it was the last one.
                assert_eq!(settled.outcome, CLIENT_GONE, "after {seen}");
            }
            assert!(settled.generation_id.is_some());
        }
    });
}

#[test]
fn leaving_closes_upstream_so_that_it_stops() {
    run(async {
        let road = Road::new();
        let wish = Wish::stream(&format!("tokens-50,{ENDLESS}"));
        let (exchange, mut body) = road.send(&wish).await;
        body.next().await.unwrap().unwrap();
        // The second piece will not come.
        assert!(body.next().now_or_never().is_none());
        drop(body);
        eventually("upstream has seen the client leave", || road.mock.charge_count() == 1).await;
        road.finish().await;
        let settled = road.settled(&exchange);
        assert_eq!(settled.outcome, CLIENT_GONE);
        let charge = road.charge(&settled);
        assert!(charge.cancelled);
        assert_eq!(charge.completion_tokens, 1);
    });
}

#[test]
fn leaving_during_upstream_s_silence_settles() {
    run(async {
        let road = Road::new();
        let (exchange, mut body) = road.send(&Wish::stream("headers-then-nothing")).await;
        // The opened record needs a moment; nothing else can come.
        eventually("an opened record", || {
            assert!(body.next().now_or_never().is_none());
            matches!(road.records(&exchange).as_slice(), [Record::Opened(_)])
        })
        .await;
        drop(body);
        eventually("upstream has seen the client leave", || road.mock.charge_count() == 1).await;
        road.finish().await;
        assert_eq!(road.settled(&exchange).outcome, CLIENT_GONE);
    });
}

#[test]
fn a_plain_call_is_read_to_its_end_whenever_its_client_leaves() {
    run(async {
        let road = Road::new();
        let mut left = Vec::new();
        for pieces in 0..30 {
            let (exchange, mut body) = road.send(&Wish::plain("split-random")).await;
            for _ in 0..pieces {
                body.next().await.map(Result::unwrap);
            }
            drop(body);
            left.push(exchange);
        }
        road.finish().await;
        for exchange in &left {
            let settled = road.settled(exchange);
            assert_exact(&road, &settled);
            assert!(road.charge(&settled).body_sha256.is_some(), "upstream could send everything");
        }
    });
}

#[test]
fn a_stream_is_drained_where_the_organization_wants_it() {
    run(async {
        let road = Road::new();
        let wish = Wish { drain: true, ..Wish::stream("tokens-20,slow-1") };
        let (exchange, mut body) = road.send(&wish).await;
        body.next().await.unwrap().unwrap();
        drop(body);
        road.finish().await;
        let settled = road.settled(&exchange);
        assert_exact(&road, &settled);
        assert!(!road.charge(&settled).cancelled);
    });
}

/// The web framework drops the handler when its client leaves, and upstream bills all the same.
#[test]
fn a_call_whose_client_leaves_before_the_head_is_settled() {
    run(async {
        let road = Road::new();
        let mut left = Vec::new();
        for wish in [Wish::plain("delay-headers-50"), Wish::stream("delay-headers-50")] {
            let call = call("org_road", wish.streamed);
            left.push(call.exchange.clone());
            let mut sending = Box::pin(road.answer(call, &wish));
            assert!((&mut sending).now_or_never().is_none());
            drop(sending);
        }
        road.finish().await;
        assert_exact(&road, &road.settled(&left[0]));
        let stream = road.settled(&left[1]);
        assert_eq!(stream.outcome, CLIENT_GONE);
        assert!(stream.generation_id.is_some());
    });
}

/// Reading on takes as long as the model does, and the process may die meanwhile.
#[test]
fn a_call_that_is_read_on_without_its_client_is_opened_first() {
    run(async {
        let road = Road::new();
        // The last one has its id in its first event only, which nobody but the draining task sees.
        let in_the_body = format!("no-header-id,{ENDLESS}");
        for (streamed, behaviours) in
            [(false, "headers-then-nothing"), (true, "headers-then-nothing"), (true, &in_the_body)]
        {
            let wish = Wish { streamed, drain: true, ..Wish::plain(behaviours) };
            let (exchange, body) = road.send(&wish).await;
            drop(body);
            eventually("an opened record", || {
                matches!(road.records(&exchange).as_slice(), [Record::Opened(_)])
            })
            .await;
        }
        // All are still read on.
        assert_eq!(road.tracker.len(), 3);
    });
}

/// Of a smaller usage in the middle nobody knows whether it is what upstream bills in the end.
#[test]
fn usage_in_the_middle_of_a_stream_that_is_left_is_not_taken_for_exact() {
    run(async {
        let road = Road::new();
        for behaviour in ["usage-twice", "usage-middle"] {
            let (exchange, mut body) = road.send(&Wish::stream(behaviour)).await;
            let mut seen = String::new();
            while !seen.split_once("\"usage\"").is_some_and(|(_, rest)| rest.contains("\n\n")) {
                let chunk = body.next().await.unwrap().unwrap();
                seen.push_str(&String::from_utf8_lossy(&chunk));
            }
            drop(body);
            eventually("a settled record", || {
                matches!(road.records(&exchange).last(), Some(Record::Settled(_)))
            })
            .await;
            assert_eq!(road.settled(&exchange).outcome, CLIENT_GONE, "{behaviour}");
        }
    });
}

/// When the process stops, nobody waits for answers that are read on.
#[test]
fn a_stopping_process_records_what_it_does_not_read_on() {
    let road = Road::new();
    let exchanges = run(async {
        let (reading_on, body) = road.send(&Wish::plain("headers-then-nothing")).await;
        drop(body);
        eventually("the answer is read on", || road.tracker.len() == 1).await;
        let waiting = call("org_road", true);
        let exchange = waiting.exchange.clone();
        let wish = Wish::stream("headers-then-nothing,delay-headers-3600000");
        let mut sending = Box::pin(road.answer(waiting, &wish));
        assert!((&mut sending).now_or_never().is_none());
        eventually("upstream has both requests", || road.mock.request_count() == 2).await;
        let (left, body) = road.send(&Wish::plain("headers-then-nothing")).await;
        road.tracker.close();
        drop(body);
        assert_eq!(road.tracker.len(), 2, "nothing new is begun");
        [
            (reading_on, PendingReason::ClientGone),
            (exchange, PendingReason::NoAnswer),
            (left, PendingReason::ClientGone),
        ]
    });
    // The runtime is gone, and with it every task.
    road.journal.clone().close().unwrap();
    for (exchange, reason) in exchanges {
        assert_eq!(road.settled(&exchange).outcome, Outcome::Unknown { reason });
    }
}

/// Beyond the bounds upstream is closed, and the cost is looked up.
#[test]
fn answers_are_read_on_within_bounds_of_number_and_time() {
    run(async {
        let mock = Road::new();
        let bounded = |drains| ProxySettings { drains, ..ProxySettings::default() };
        let one_place = Road::new().to(&mock.mock.base_url(), bounded(Drains::new(1, Duration::MAX)));
        let wish = Wish { drain: true, ..Wish::stream(&format!("tokens-50,{ENDLESS}")) };
        let (first, body) = one_place.send(&wish).await;
        drop(body);
        eventually("the first one is read on", || one_place.tracker.len() == 1).await;
        let (second, body) = one_place.send(&wish).await;
        drop(body);
        eventually("the second one is settled", || {
            matches!(one_place.records(&second).last(), Some(Record::Settled(_)))
        })
        .await;
        assert_eq!(one_place.settled(&second).outcome, CLIENT_GONE);
        assert_eq!(one_place.tracker.len(), 1);
        assert!(!matches!(one_place.records(&first).last(), Some(Record::Settled(_))));

        let no_time = Road::new().to(&mock.mock.base_url(), bounded(Drains::new(9, Duration::ZERO)));
        let (late, body) = no_time.send(&wish).await;
        drop(body);
        no_time.finish().await;
        let settled = no_time.settled(&late);
        assert_eq!(settled.outcome, CLIENT_GONE);
        assert!(settled.generation_id.is_some());
    });
}

/// Of an encoded answer nothing can be learned by reading it without its client.
#[test]
fn an_answer_that_cannot_be_read_is_not_read_on() {
    run(async {
        let road = Road::new();
        let (exchange, mut body) = road.send(&Wish::plain(&format!("gzip,{ENDLESS}"))).await;
        body.next().await.map(Result::unwrap);
        drop(body);
        assert!(road.tracker.is_empty());
        road.finish().await;
        let settled = road.settled(&exchange);
        assert!(settled.generation_id.is_some());
    });
}
