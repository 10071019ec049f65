//! Every route, plain and streamed: what upstream charged is what is recorded.

use futures_util::{StreamExt, future::join_all};
use mai_capture::record::{Outcome, Record, Settled};
use mai_generation_processing::PendingReason;
use mai_mock_openrouter::{Behaviour, Charge, Outcome as Expected, Route as Sold, nano_usd};
use mai_openrouter::Route;

use crate::{
    eventually,
    passing::{outcome_of, sha256},
    road::{Road, Wish, call},
    run,
};

/// Every route in every form that it has.
fn forms() -> impl Iterator<Item = Wish> {
    Route::ALL.into_iter().zip(Sold::ALL).flat_map(|(route, sold)| {
        assert_eq!(route.path(), sold.path());
        let streamed: &[bool] = if sold.streams() { &[false, true] } else { &[false] };
        streamed.iter().map(move |streamed| Wish { route, streamed: *streamed, ..Wish::stream("") })
    })
}

fn sold(route: Route) -> Sold {
    Sold::ALL.into_iter().find(|sold| sold.path() == route.path()).unwrap()
}

fn with(form: &Wish, behaviours: &str) -> Wish {
    Wish { behaviours: behaviours.to_owned(), ..form.clone() }
}

/// Makes a call, reads its answer, and returns its record with what was charged for it.
async fn read(road: &Road, wish: &Wish) -> (Settled, Option<Charge>, Vec<u8>) {
    let before = road.mock.charge_count();
    let (exchange, bytes) = road.read(wish).await;
    let settled = road.settled(&exchange);
    let charge = (road.mock.charge_count() > before).then(|| road.mock.ledger().pop().unwrap());
    (settled, charge, bytes)
}

fn assert_exact(shown: &Wish, settled: &Settled, charge: &Charge) {
    let Outcome::Exact(usage) = &settled.outcome else { panic!("{shown:?}: {:?}", settled.outcome) };
    assert_eq!(usage.cost_nanos, nano_usd(&charge.total), "{shown:?}");
    // A ranking tells nothing but a total.
    let tokens = (charge.prompt_tokens, charge.completion_tokens);
    assert_eq!((usage.input_tokens, usage.output_tokens), tokens, "{shown:?}");
}

#[test]
fn every_byte_arrives_and_what_was_charged_is_recorded() {
    run(async {
        let road = Road::new();
        for form in forms() {
            for behaviours in [
                "ok",
                "split-1",
                "split-random,comments",
                "one-chunk",
                "byok-fee",
                "cost-exponent",
                "usage-twice",
                "usage-in-content",
                "no-done",
            ] {
                let wish = with(&form, behaviours);
                let (settled, charge, bytes) = read(&road, &wish).await;
                let charge = charge.unwrap();
                assert_eq!(Some(sha256(&bytes)), charge.body_sha256, "{wish:?}");
                assert_eq!(settled.generation_id.as_ref().unwrap().as_str(), charge.id, "{wish:?}");
                if form.route == Route::Speech {
                    assert_eq!(settled.outcome, Outcome::Unknown { reason: PendingReason::NoUsage });
                } else {
                    assert_exact(&wish, &settled, &charge);
                }
            }
        }
    });
}

/// Whatever upstream does to an answer, on any route: exact, to be looked up, or failed.
#[test]
fn each_behaviour_leaves_what_can_be_known_on_every_route() {
    // One never ends, and of a megabyte in one line chat has enough to do.
    let skipped =
        |shape: &Behaviour| matches!(shape, Behaviour::HeadersThenNothing | Behaviour::EndlessLine(_));
    let shapes: Vec<_> = Behaviour::ALL.iter().filter(|shape| !skipped(shape)).collect();
    run(async {
        let road = Road::new();
        let forms = forms().filter(|form| form.route != Route::ChatCompletions);
        // Side by side, because some of them are slow on purpose.
        join_all(forms.map(|form| read_every_shape(&road, form, &shapes))).await;
    });
}

async fn read_every_shape(road: &Road, form: Wish, shapes: &[&Behaviour]) {
    for shape in shapes {
        let wish = with(&form, &shape.to_string());
        let outcome = outcome_of(road, &wish).await;
        let fits = match shape.outcome_on(sold(form.route)) {
            Expected::ExactInline => matches!(outcome, Outcome::Exact(_)),
            Expected::LookUp => matches!(outcome, Outcome::Unknown { .. }),
            Expected::NoGeneration if **shape == Behaviour::CutBeforeHeaders => {
                outcome == Outcome::Unknown { reason: PendingReason::NoAnswer }
            }
            Expected::NoGeneration => matches!(outcome, Outcome::Failed { .. }),
        };
        assert!(fits, "{wish:?}: {outcome:?}");
    }
}

/// The ids of the bodies of some routes are no generation ids; an exact cost is recorded without one.
#[test]
fn without_the_header_only_a_generation_s_own_id_counts() {
    run(async {
        let road = Road::new();
        for form in forms() {
            let wish = with(&form, "no-header-id");
            let (settled, charge, _) = read(&road, &wish).await;
            let has_id = matches!(
                form.route,
                Route::ChatCompletions | Route::Completions | Route::Embeddings | Route::Rerank
            );
            let expected = has_id.then(|| charge.clone().unwrap().id);
            let id = settled.generation_id.as_ref().map(|id| id.as_str().to_owned());
            assert_eq!(id, expected, "{wish:?}");
            if form.route != Route::Speech {
                assert_exact(&wish, &settled, &charge.unwrap());
            }
        }
    });
}

/// A stream is closed, a plain answer is read to its end, and sound is left alone.
#[test]
fn a_client_that_leaves_any_route_is_recorded() {
    run(async {
        let road = Road::new();
        for form in forms() {
            let wish = with(&form, "split-random,slow-1");
            let call = call("org_road", form.streamed);
            let exchange = call.exchange.clone();
            let answer = road.answer(call, &wish).await.unwrap();
            let mai_capture::proxy::ProxyBody::Metered(mut body) = answer.body else { panic!("an error") };
            body.next().await.unwrap().unwrap();
            drop(body);
            eventually("a settled record", || {
                matches!(road.records(&exchange).last(), Some(Record::Settled(_)))
            })
            .await;
            let settled = road.settled(&exchange);
            eventually("a charge", || {
                road.charge_of(settled.generation_id.as_ref().unwrap().as_str()).is_some()
            })
            .await;
            if form.streamed || form.route == Route::Speech {
                let gone = Outcome::Unknown { reason: PendingReason::ClientGone };
                assert_eq!(settled.outcome, gone, "{wish:?}");
            } else {
                assert_exact(&wish, &settled, &road.charge(&settled));
            }
        }
    });
}
