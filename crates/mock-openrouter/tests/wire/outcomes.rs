//! Every behaviour on every route: what the answer leaves to a meter, the ledger and `/generation` agree.

use crate::client::{Answer, charge, look_up, order_with, raw, start, ways};
use crate::meter;
use mai_mock_openrouter::{Behaviour, Charge, Outcome, Route};

fn check(behaviour: Behaviour, route: Route, stream: bool, seed: usize) {
    let case = format!("{behaviour} on {route:?}, stream {stream}");
    let mock = start();
    let headers = [("x-mock-delay-ms", "1"), ("x-mock-seed", &seed.to_string())];
    let answer = order_with(&mock, route, &behaviour.model(), stream, &headers);
    if behaviour.outcome_on(route) == Outcome::NoGeneration {
        assert!(mock.ledger().is_empty() && answer.status != 200, "{case}");
        assert_eq!(answer.header("x-generation-id"), None, "{case}");
        return;
    }
    let charge = charge(&mock);
    assert_eq!(answer.status, 200, "{case}");
    assert_eq!((charge.route, charge.streamed), (route, stream), "{case}");
    assert_eq!(charge.user.as_deref(), Some("acme_user_1"), "{case}");
    assert_eq!(answer.complete, behaviour != Behaviour::Cut, "{case}");
    let is_exact = behaviour.outcome_on(route) == Outcome::ExactInline;
    assert_eq!(is_told(&charge, route, &answer), is_exact, "{case}: {}", answer.text());
    let hidden = matches!(behaviour, Behaviour::NoId | Behaviour::NoHeaderId);
    assert_eq!(answer.header("x-generation-id"), (!hidden).then_some(charge.id.as_str()), "{case}");
    let record = look_up(&mock, &charge.id);
    assert_eq!((record.status, raw(&record.text(), "usage")), (200, charge.cost_text.as_str()), "{case}");
    assert_eq!(record.json()["data"]["api_type"], route.api_type(), "{case}");
    assert_eq!(record.json()["data"]["native_tokens_completion"], charge.completion_tokens, "{case}");
}

/// Whether the answer told exactly what was charged.
fn is_told(charge: &Charge, route: Route, answer: &Answer) -> bool {
    if route == Route::Speech {
        return false;
    }
    let told = meter::read(route, answer);
    let cost = told.cost.as_deref().map(|cost| cost.trim_matches('"'));
    (told.input, told.output) == (Some(charge.prompt_tokens), Some(charge.completion_tokens))
        && cost == Some(charge.cost_text.as_str())
        && told.byok == charge.byok
        && (!charge.byok || told.upstream == charge.upstream_text)
}

#[test]
fn each_behaviour_leaves_what_it_promises_on_each_route() {
    let behaviours = Behaviour::ALL.iter().filter(|behaviour| **behaviour != Behaviour::HeadersThenNothing);
    for (seed, behaviour) in behaviours.enumerate() {
        for (route, stream) in ways() {
            check(*behaviour, route, stream, seed);
        }
    }
}
