//! An answer that is read to its end: every byte arrives, and nothing leaves before it is recorded.

use futures_util::StreamExt;
use mai_capture::{
    ExchangeId, NotAdmitted,
    body::BodyError,
    proxy::{ProxyBody, ProxyError},
    record::{Outcome, Record},
};
use mai_generation_processing::PendingReason;
use mai_mock_openrouter::{Behaviour, Outcome as Expected, nano_usd};
use proptest::{prelude::*, sample::subsequence, test_runner::TestRunner};
use sha2::{Digest, Sha256};

use crate::{
    road::{Road, Wish, call},
    run,
};

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// One answer of the mock: how it is cut, how its lines look, what it says about itself.
pub(crate) fn wishes() -> impl Strategy<Value = Wish> {
    let cut = prop::sample::select(vec!["ok", "split-1", "split-random", "split-random", "one-chunk"]);
    let line_end = prop::sample::select(vec!["ok", "crlf", "cr"]);
    let shapes = subsequence(vec!["comments", "bom", "data-lines", "no-space", "usage-in-content"], 0..=5);
    let usage = prop::sample::select(vec![
        "ok",
        "usage-finish-null",
        "usage-empty-choices",
        "usage-middle",
        "usage-twice",
        "cost-exponent",
        "cost-17-digits",
        "byok",
        "no-usage",
        "cost-null",
        "no-done",
    ]);
    let id = prop::sample::select(vec!["ok", "ok", "no-header-id", "id-number", "id-null"]);
    (cut, line_end, shapes, usage, id, 1..12_u32, any::<bool>(), any::<u64>()).prop_map(
        |(cut, line_end, shapes, usage, id, tokens, streamed, seed)| {
            let tokens = format!("tokens-{tokens}");
            let behaviours = [vec![cut, line_end, usage, id, &tokens], shapes].concat().join(",");
            Wish { streamed, seed, ..Wish::stream(&behaviours) }
        },
    )
}

/// What must be durable when these bytes have left, by an own reading of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Nothing,
    Opened,
    Settled,
}

fn due(wish: &Wish, bytes: &[u8], id: &str) -> Due {
    let text = String::from_utf8_lossy(bytes);
    let line_ended = |rest: &str| rest.starts_with(['\r', '\n']);
    let done = if wish.streamed {
        text.split_once("[DONE]").is_some_and(|(_, rest)| line_ended(rest))
    } else {
        serde_json::from_slice::<serde_json::Value>(bytes).is_ok()
    };
    if done {
        return Due::Settled;
    }
    let event_ended = |rest: &str| ["\n\n", "\r\r", "\r\n\r\n"].iter().any(|end| rest.contains(end));
    let id_in_body = text
        .split_once(id)
        .is_some_and(|(_, rest)| if wish.streamed { event_ended(rest) } else { !rest.is_empty() });
    let id_in_header = !wish.behaviours.contains("no-header-id");
    if id_in_header || id_in_body { Due::Opened } else { Due::Nothing }
}

fn durable(road: &Road, exchange: &ExchangeId) -> Due {
    match road.records(exchange).last() {
        None | Some(Record::Sent(_)) => Due::Nothing,
        Some(Record::Opened(_) | Record::Carried(_)) => Due::Opened,
        Some(Record::Settled(_)) => Due::Settled,
    }
}

/// Reads an answer; after each piece the journal is looked at before the next one is asked for.
async fn read_watching_the_journal(wish: &Wish) {
    let road = Road::new();
    let (exchange, mut body) = road.send(wish).await;
    let mut bytes = Vec::new();
    let mut seen = Vec::new();
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk.unwrap());
        // Once it is settled there is nothing more to become durable.
        if seen.last().is_none_or(|(_, durable)| *durable < Due::Settled) {
            seen.push((bytes.len(), durable(&road, &exchange)));
        }
    }
    let settled = road.settled(&exchange);
    let charge = road.charge(&settled);
    assert_eq!(sha256(&bytes), charge.body_sha256.clone().unwrap());
    for (length, durable) in seen {
        let due = due(wish, &bytes[..length], &charge.id);
        assert!(durable >= due, "after {length} bytes {durable:?} is durable, {due:?} is due");
    }
    if ["no-usage", "cost-null"].iter().any(|unknown| wish.behaviours.contains(unknown)) {
        assert!(matches!(settled.outcome, Outcome::Unknown { .. }), "{:?}", settled.outcome);
    } else {
        let Outcome::Exact(usage) = settled.outcome else { panic!("{:?}", settled.outcome) };
        assert_eq!(usage.cost().nanos(), nano_usd(&charge.total));
        assert_eq!(
            (usage.input_tokens, usage.output_tokens),
            (charge.prompt_tokens, charge.completion_tokens)
        );
    }
}

#[test]
fn every_byte_arrives_and_nothing_leaves_before_it_is_durable() {
    let config = ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() };
    let checked = TestRunner::new(config).run(&wishes(), |wish| {
        run(read_watching_the_journal(&wish));
        Ok(())
    });
    checked.unwrap();
}

/// The settled record of a call for which the mock behaved like this.
pub(crate) async fn outcome_of(road: &Road, wish: &Wish) -> Outcome {
    let call = call("org_road", wish.streamed);
    let exchange = call.exchange.clone();
    match road.answer(call, wish).await {
        Ok(answer) => {
            if let ProxyBody::Metered(mut body) = answer.body {
                while body.next().await.is_some_and(|chunk| chunk.is_ok()) {}
            }
        }
        Err(cause) => assert!(matches!(cause, ProxyError::Upstream(_)), "{cause}"),
    }
    crate::eventually("a settled record", || durable(road, &exchange) == Due::Settled).await;
    road.settled(&exchange).outcome
}

#[test]
fn each_behaviour_of_upstream_leaves_what_can_be_known() {
    let shapes = Behaviour::ALL.iter().filter(|shape| **shape != Behaviour::HeadersThenNothing);
    run(async {
        let road = Road::new();
        for shape in shapes {
            for streamed in [true, false] {
                let wish = Wish { streamed, ..Wish::stream(&shape.to_string()) };
                let outcome = outcome_of(&road, &wish).await;
                let fits = match shape.outcome() {
                    Expected::ExactInline => matches!(outcome, Outcome::Exact(_)),
                    Expected::LookUp => matches!(outcome, Outcome::Unknown { .. }),
                    // Whether upstream has billed what it never answered, nobody knows.
                    Expected::NoGeneration if *shape == Behaviour::CutBeforeHeaders => {
                        outcome == Outcome::Unknown { reason: PendingReason::NoAnswer }
                    }
                    Expected::NoGeneration => matches!(outcome, Outcome::Failed { .. }),
                };
                assert!(fits, "{shape}, streamed {streamed}: {outcome:?}");
            }
        }
    });
}

#[test]
fn an_unknown_cost_says_why() {
    let expected = [
        ("cut", PendingReason::UpstreamCut),
        ("error-first", PendingReason::ErrorEvent),
        ("error-mid", PendingReason::ErrorEvent),
        ("no-usage", PendingReason::NoUsage),
        ("cost-null", PendingReason::CostUnknown),
        ("gzip", PendingReason::NoUsage),
        ("cut-before-headers", PendingReason::NoAnswer),
    ];
    run(async {
        let road = Road::new();
        for (behaviour, reason) in expected {
            let outcome = outcome_of(&road, &Wish::stream(behaviour)).await;
            assert_eq!(outcome, Outcome::Unknown { reason }, "{behaviour}");
        }
        let refused = outcome_of(&road, &Wish::stream("status-429")).await;
        assert_eq!(refused, Outcome::Failed { status: 429, reason: "upstream_status".to_owned() });
        let road = Road::new();
        road.mock.stop();
        let unreachable = outcome_of(&road, &Wish::stream("ok")).await;
        assert_eq!(unreachable, Outcome::Failed { status: 0, reason: "no_connection".to_owned() });
    });
}

#[test]
fn a_cut_is_recorded_before_the_client_learns_of_it() {
    run(async {
        let road = Road::new();
        let (exchange, mut body) = road.send(&Wish::stream("cut,split-random")).await;
        let cut = loop {
            match body.next().await.expect("a cut, not an end") {
                Ok(_) => assert_eq!(durable(&road, &exchange), Due::Opened),
                Err(cause) => break cause,
            }
        };
        assert!(matches!(cut, BodyError::UpstreamCut(_)), "{cut}");
        assert_eq!(durable(&road, &exchange), Due::Settled);
        assert!(body.next().await.is_none());
    });
}

#[test]
fn what_cannot_be_recorded_is_not_released() {
    run(async {
        let road = Road::new();
        let (_, mut unopened) = road.send(&Wish::stream("ok")).await;
        let (_, mut opened) = road.send(&Wish::stream("ok")).await;
        let mut released = opened.next().await.unwrap().unwrap().to_vec();
        road.journal.clone().close().unwrap();
        assert!(matches!(unopened.next().await, Some(Err(BodyError::NotRecorded(_)))));
        let refused = loop {
            match opened.next().await.expect("an error, not an end") {
                Ok(chunk) => released.extend_from_slice(&chunk),
                Err(cause) => break cause,
            }
        };
        assert!(matches!(refused, BodyError::NotRecorded(_)), "{refused}");
        assert!(!String::from_utf8_lossy(&released).contains("[DONE]"));
        assert!(unopened.next().await.is_none() && opened.next().await.is_none());
    });
}

#[test]
fn a_full_journal_admits_no_call() {
    run(async {
        let road = Road::with(|settings| mai_journal::JournalSettings {
            segment_bytes: 1_000,
            max_bytes: 1_000,
            ..settings
        });
        while durable_bytes(&road) < 1_000 {
            road.read(&Wish::plain("ok")).await;
        }
        let asked = road.mock.request_count();
        let refused = road.answer(call("org_road", true), &Wish::stream("ok")).await;
        assert!(matches!(refused, Err(ProxyError::NotAdmitted(NotAdmitted::Full))));
        assert_eq!(road.mock.request_count(), asked);
    });
}

fn durable_bytes(road: &Road) -> u64 {
    road.journal.stats().retained_bytes
}
