//! `/generation` and the answer it belongs to say the same.

use crate::client::{chat, chat_with, get, look_up, raw, send, start};
use mai_mock_openrouter::{Behaviour, Mock, MockSettings, Outcome};
use std::time::Duration;

#[test]
fn every_generation_is_found_with_the_text_of_its_cost() {
    let mock = start();
    for behaviour in Behaviour::ALL {
        if behaviour.outcome() != Outcome::NoGeneration && *behaviour != Behaviour::HeadersThenNothing {
            chat_with(&mock, &behaviour.model(), true, &[("x-mock-delay-ms", "1")]);
        }
    }
    let ledger = mock.ledger();
    assert!(ledger.len() > 35);
    for charge in ledger {
        let answer = look_up(&mock, &charge.id);
        assert_eq!(answer.status, 200);
        let (text, data) = (answer.text(), answer.json()["data"].clone());
        assert_eq!(raw(&text, "usage"), charge.cost_text);
        assert_eq!(raw(&text, "total_cost"), charge.cost_text);
        assert_eq!(raw(&text, "upstream_inference_cost"), charge.upstream_text.as_deref().unwrap_or("null"));
        assert_eq!(data["id"], charge.id.as_str());
        assert_eq!(data["is_byok"], charge.byok);
        assert_eq!(data["native_tokens_prompt"], charge.prompt_tokens);
        assert_eq!(data["native_tokens_completion"], charge.completion_tokens);
        assert_eq!(data["native_tokens_cached"], charge.cached_tokens);
        assert_eq!(data["native_tokens_reasoning"], charge.reasoning_tokens);
        assert_ne!(data["tokens_prompt"], data["native_tokens_prompt"]);
        assert_eq!(data["external_user"], "acme_user_1");
        assert_eq!(data["model"], charge.model.as_str());
    }
}

#[test]
fn unknown_and_early_look_ups_are_the_same_404() {
    let mock =
        Mock::start(MockSettings { generation_delay: Duration::from_secs(3600), ..MockSettings::default() })
            .unwrap();
    chat(&mock, "mock/ok", false);
    chat_with(&mock, "mock/ok", false, &[("x-mock-generation-delay-ms", "0")]);
    let ledger = mock.ledger();
    let (early, unknown) = (look_up(&mock, &ledger[0].id), look_up(&mock, "gen-0-nobody"));
    assert_eq!((early.status, unknown.status), (404, 404));
    assert_eq!(early.text(), r#"{"error":{"code":404,"message":"Resource not found"}}"#);
    assert_eq!(early.text(), unknown.text());
    assert_eq!(look_up(&mock, &ledger[1].id).status, 200);
    assert_eq!(get(&mock, "/api/v1/generation").status, 400);
    assert_eq!(send(&mock, "GET", "/api/v1/generation?id=x", &[], "").status, 401);
}

#[test]
fn look_ups_fail_as_often_as_asked() {
    let mock = Mock::start(MockSettings { generation_failures: 3, ..MockSettings::default() }).unwrap();
    chat(&mock, "mock/ok", false);
    let id = mock.ledger().remove(0).id;
    let statuses: Vec<u16> = (0..5).map(|_| look_up(&mock, &id).status).collect();
    assert_eq!(statuses, [500, 429, 500, 200, 200]);
}

#[test]
fn only_the_latest_charges_are_kept_but_all_are_counted() {
    let mock = Mock::start(MockSettings { keep_charges: 1, ..MockSettings::default() }).unwrap();
    let first = chat(&mock, "openai/o3", false);
    let first_total = mock.total_nano_usd();
    chat(&mock, "openai/o3", false);
    assert_eq!((mock.ledger().len(), mock.charge_count()), (1, 2));
    assert!(mock.total_nano_usd() > first_total);
    assert_eq!(look_up(&mock, first.header("x-generation-id").unwrap()).status, 404);
}
