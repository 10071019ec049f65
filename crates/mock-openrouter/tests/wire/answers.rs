//! Plain answers, costs, ids, errors and what is recorded of requests.

use crate::client::{
    Answer, KEY, charge, chat, chat_body, chat_with, get, look_up, order_with, raw, send, start,
};
use mai_mock_openrouter::{Mock, MockSettings, Route, nano_usd};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::HashSet;

fn sha256(bytes: &[u8]) -> String {
    let digits = Sha256::digest(bytes).iter().flat_map(|byte| [byte >> 4, byte & 15]).collect::<Vec<u8>>();
    digits.into_iter().map(|digit| char::from_digit(digit.into(), 16).unwrap()).collect()
}

#[test]
fn bodies_are_hashed_as_sent() {
    let mock = start();
    let request = chat_body("mock/split-random", true);
    let answer = chat(&mock, "mock/split-random", true);
    assert_eq!(charge(&mock).body_sha256, Some(sha256(&answer.body())));
    assert_eq!(mock.requests()[0].body_sha256, Some(sha256(request.as_bytes())));
}

#[test]
fn a_plain_answer_carries_its_usage() {
    let mock = start();
    let answer = chat(&mock, "openai/o3", false);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let (json, charge) = (answer.json(), charge(&mock));
    assert_eq!(json["object"], "chat.completion");
    assert_eq!(json["id"], charge.id.as_str());
    assert_eq!(json["choices"][0]["finish_reason"], "stop");
    assert!(!json["choices"][0]["message"]["content"].as_str().unwrap().is_empty());
    assert_eq!(json["usage"]["completion_tokens"], charge.completion_tokens);
    assert_eq!(raw(&answer.text(), "cost"), charge.cost_text);
    assert!(!charge.streamed);
    assert_eq!(charge.body_sha256, Some(sha256(&answer.body())));
}

#[test]
fn a_price_can_be_recomputed_from_the_list() {
    let mock = start();
    chat(&mock, "openai/gpt-4o-mini", true);
    let charge = charge(&mock);
    // In nano-dollars: 150 per prompt token (75 when cached), 600 per completion token.
    let nanos = (charge.prompt_tokens - charge.cached_tokens) * 150
        + charge.cached_tokens * 75
        + charge.completion_tokens * 600;
    assert_eq!(nano_usd(&charge.total), nanos);
    assert_eq!(mock.total_nano_usd(), nanos);
    assert_eq!(mock.charge_count(), 1);
}

#[test]
fn costs_are_printed_in_every_way() {
    let mock = start();
    let cost = |behaviour: &str| {
        let text = chat(&mock, &format!("mock/{behaviour}"), false).text();
        raw(&text, "cost").to_owned()
    };
    assert!(cost("cost-exponent").contains("e-0"));
    assert_eq!(cost("cost-17-digits").trim_start_matches(['0', '.']).trim_end_matches('0').len(), 17);
    assert_eq!(cost("cost-zero"), "0");
    assert_eq!(cost("cost-null"), "null");
    assert!(cost("cost-string").starts_with("\"0.0"));
    let half = cost("cost-half-nano");
    assert!(half.len() == 12 && half.ends_with('5'), "{half}");
    assert_eq!(cost("byok"), "0");
    assert_ne!(cost("byok-fee"), "0");
    assert_eq!((cost("cost-negative").as_str(), cost("cost-huge").as_str()), ("-0.001", "1e300"));
    assert_eq!(cost("cost-tiny"), "1e-7");
    let ledger = mock.ledger();
    assert!(!ledger[3].total.is_zero(), "a null cost is charged all the same");
    for lie in &ledger[8..10] {
        assert!(lie.total > 0.into() && lie.total < 1.into(), "what is charged is the usual price");
        assert_eq!(raw(&look_up(&mock, &lie.id).text(), "usage"), lie.total.normalize().to_string());
    }
    assert_eq!(nano_usd(&ledger[10].total), 100);
    let (byok, fee) = (&ledger[6], &ledger[7]);
    assert!(byok.byok && byok.cost.is_zero() && !byok.total.is_zero());
    assert_eq!(byok.upstream_text.as_deref(), Some(byok.total.to_string().as_str()));
    let upstream: rust_decimal::Decimal = fee.upstream_text.as_deref().unwrap().parse().unwrap();
    assert_eq!(fee.total, upstream + fee.cost);
}

#[test]
fn ids_are_hidden_and_odd_as_asked() {
    let mock = start();
    let id = |behaviour: &str| {
        let answer = chat(&mock, &format!("mock/{behaviour}"), true);
        let event: Value = serde_json::from_str(&answer.events()[0]).unwrap();
        (answer.header("x-generation-id").map(str::to_owned), event.get("id").cloned())
    };
    let (header, body) = id("no-header-id");
    assert!(header.is_none() && body.unwrap().as_str().unwrap().starts_with("gen-"));
    assert_eq!(id("no-id"), (None, None));
    let (header, body) = id("id-number");
    assert!(header.is_some() && body.unwrap().is_u64());
    let (header, body) = id("id-null");
    assert!(header.is_some() && body == Some(Value::Null));
    let (header, body) = id("id-10k");
    assert_eq!((header.unwrap().len(), body.unwrap().as_str().unwrap().len()), (35, 10_000));
    let (header, body) = id("dated-model");
    assert_eq!(header.as_deref(), body.as_ref().and_then(Value::as_str));
    let (header, body) = id("id-missing");
    assert!(header.is_some() && body.is_none());
    let (header, body) = id("id-repeated");
    assert_eq!(header.as_deref(), body.as_ref().and_then(Value::as_str), "the last one counts");
    let ledger = mock.ledger();
    let ids: HashSet<&str> = ledger.iter().map(|charge| charge.id.as_str()).collect();
    assert_eq!(ids.len(), 8);
    let repeated = chat(&mock, "mock/id-repeated", false).text();
    assert_eq!(repeated.matches("\"id\":\"gen-").count(), 2);
    assert_eq!(ledger[5].model, "mock/dated-model-20260318");
    assert_eq!(ledger[5].requested_model, "mock/dated-model");
}

#[test]
fn a_reused_id_hides_charges_from_those_who_go_by_it() {
    let mock = start();
    let other = ("authorization", "Bearer sk-or-v1-other");
    let told = |answer: &Answer| answer.header("x-generation-id").unwrap().to_owned();
    let plain = chat(&mock, "mock/reused-id", false);
    let stream = order_with(&mock, Route::Messages, "mock/reused-id", true, &[]);
    let usual = chat(&mock, "mock/ok", false);
    let elsewhere =
        send(&mock, "POST", "/api/v1/chat/completions", &[other], &chat_body("mock/reused-id", false));
    let ledger = mock.ledger();
    let ids: HashSet<&str> = ledger.iter().map(|charge| charge.id.as_str()).collect();
    assert_eq!(ids.len(), 4, "each is charged under an id of its own");
    assert_eq!((told(&plain), told(&stream)), (ledger[0].id.clone(), ledger[0].id.clone()));
    assert_eq!(plain.json()["id"], ledger[0].id.as_str());
    assert_eq!((told(&usual), told(&elsewhere)), (ledger[2].id.clone(), ledger[3].id.clone()));
    let named: Vec<&str> = ledger.iter().map(|charge| charge.told_id.as_str()).collect();
    assert_eq!(named, [&ledger[0].id, &ledger[0].id, &ledger[2].id, &ledger[3].id]);
    for charge in &ledger {
        assert_eq!(raw(&look_up(&mock, &charge.id).text(), "total_cost"), charge.cost_text);
    }
}

#[test]
fn the_same_seed_says_the_same_under_new_ids() {
    let texts = |mock: &Mock| -> Vec<String> {
        (0..3).map(|_| chat(mock, "mock/ok", false).json()["choices"][0].to_string()).collect()
    };
    let (one, two) = (start(), start());
    let first = texts(&one);
    assert_eq!(first, texts(&two));
    assert_ne!(first[0], first[1]);
    let ids = |mock: &Mock| mock.ledger().into_iter().map(|charge| charge.id).collect::<HashSet<String>>();
    assert!(ids(&one).is_disjoint(&ids(&two)));
    let seeded = |mock: &Mock| chat_with(mock, "openai/o3", true, &[("x-mock-seed", "9")]).events().len();
    assert_eq!(seeded(&one), seeded(&two));
    assert_eq!(one.ledger()[3].total, two.ledger()[3].total);
}

#[test]
fn errors_name_the_account_and_charge_nothing() {
    let mock = start();
    for status in [400, 401, 402, 403, 404, 429, 500, 502, 503, 529] {
        let answer = chat(&mock, &format!("mock/status-{status}"), true);
        assert_eq!(answer.status, status);
        let json = answer.json();
        assert_eq!(json["error"]["code"], status);
        assert!(json["user_id"].as_str().unwrap().starts_with("user_"));
        assert_eq!(answer.header("retry-after"), (status == 429).then_some("2"));
        assert_eq!(answer.header("x-generation-id"), None);
    }
    assert!(mock.ledger().is_empty());
}

#[test]
fn wrong_requests_are_refused() {
    let mock = start();
    let post =
        |headers: &[(&str, &str)], body: &str| send(&mock, "POST", "/api/v1/chat/completions", headers, body);
    assert_eq!(post(&[], &chat_body("mock/ok", false)).status, 401);
    let bearer = format!("Bearer {KEY}");
    let key = [("authorization", bearer.as_str())];
    assert_eq!(
        post(&[("authorization", "Bearer sk-mai-not-a-provider-key")], &chat_body("mock/ok", false)).status,
        401
    );
    assert_eq!(
        post(&[("authorization", "Bearer sk-or-v1-management")], &chat_body("mock/ok", false)).status,
        401
    );
    for body in ["", "[]", "{", r#"{"model":1}"#, r#"{"model":"openai/gpt-9"}"#, r#"{"model":"mock/tipo"}"#] {
        assert_eq!(post(&key, body).status, 400, "{body}");
    }
    assert_eq!(get(&mock, "/api/v1/nothing").status, 404);
    assert_eq!(get(&mock, "/elsewhere").status, 404);
    assert!(mock.ledger().is_empty());
    // Of a repeated field the last one counts, as at the real service.
    let twice = r#"{"model":"mock/ok","user":"first","stream":null,"us\u0065r":"second"}"#;
    assert_eq!(post(&key, twice).status, 200);
    assert_eq!(charge(&mock).user.as_deref(), Some("second"));
}

#[test]
fn requests_are_recorded_as_they_came_up_to_the_cap() {
    let mock = Mock::start(MockSettings { keep_requests: 2, ..MockSettings::default() }).unwrap();
    get(&mock, "/api/v1/models");
    chat_with(&mock, "mock/ok", false, &[("x-title", "mAI")]);
    get(&mock, "/api/v1/generation?id=1");
    let requests = mock.requests();
    assert_eq!((requests.len(), mock.request_count()), (2, 3));
    assert_eq!(requests[0].path, "/api/v1/chat/completions");
    assert_eq!(requests[0].headers["x-title"], "mAI");
    assert_eq!(requests[0].body, chat_body("mock/ok", false));
    assert!(requests[0].body_sha256.is_some());
    assert_eq!(requests[1].path, "/api/v1/generation?id=1");

    let light = Mock::start(MockSettings { keep_bodies: false, ..MockSettings::default() }).unwrap();
    chat(&light, "mock/ok", true);
    assert!(light.requests()[0].body.is_empty() && light.requests()[0].body_sha256.is_none());
    assert_eq!(charge(&light).body_sha256, None);
}

#[test]
fn models_are_listed_with_prices_per_token() {
    let mock = start();
    let list = send(&mock, "GET", "/api/v1/models", &[], "").json();
    let models = list["data"].as_array().unwrap();
    assert_eq!(list["total_count"], models.len());
    let mini = models.iter().find(|model| model["id"] == "openai/gpt-4o-mini").unwrap();
    assert_eq!(mini["pricing"]["prompt"], "0.00000015");
    assert_eq!(mini["pricing"]["completion"], "0.0000006");
    assert_eq!(mini["pricing"]["input_cache_read"], "0.000000075");
    assert_eq!(mini["canonical_slug"], "openai/gpt-4o-mini-20260318");
    for model in models {
        // What is listed for the sake of its price only, nobody sells.
        let is_sold = !["openrouter/auto", "x-ai/grok-4-tiered"].iter().any(|id| model["id"] == *id);
        let status = chat(&mock, model["id"].as_str().unwrap(), false).status;
        assert_eq!(status, if is_sold { 200 } else { 400 }, "{model}");
    }
}

#[test]
fn the_list_of_models_can_be_another_one() {
    let mock = start();
    mock.answer_models(Some((http::StatusCode::BAD_GATEWAY, "later")));
    let answer = send(&mock, "GET", "/api/v1/models", &[], "");
    assert_eq!((answer.status, answer.text().as_str()), (502, "later"));
    mock.answer_models(None);
    assert_eq!(send(&mock, "GET", "/api/v1/models", &[], "").status, 200);
}
