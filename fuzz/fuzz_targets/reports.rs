//! Usage that others report: the bodies of the usage webhook and of manual records.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mai_web::api::ingest::{ManualRecord, ReportError, ReportedTokens, UsageEvent};

/// What every report promises of its figures: no sum of them overflows, and their texts can be stored.
fn check(tokens: ReportedTokens, cost_nanos: i64, cost_text: &str) {
    assert!(tokens.input >= 0 && tokens.output >= 0 && tokens.input.checked_add(tokens.output).is_some());
    assert!(cost_nanos >= 0 && (1..=100).contains(&cost_text.len()) && !cost_text.starts_with('-'));
}

fn check_name(name: &str) {
    assert!((1..=255).contains(&name.len()) && !name.contains(char::is_control));
}

/// A refusal has one of the codes that are documented.
fn check_refusal(refusal: &ReportError) {
    let known = [
        "invalid_body",
        "missing_field",
        "invalid_api_key",
        "invalid_user",
        "invalid_model",
        "invalid_tokens",
        "invalid_cost",
        "invalid_timestamp",
        "invalid_request_id",
        "invalid_request",
    ];
    assert!(known.contains(&refusal.code()), "{refusal:?}");
}

fuzz_target!(|body: &[u8]| {
    match UsageEvent::parse(body) {
        Err(refusal) => check_refusal(&refusal),
        Ok(event) => {
            check(event.tokens, event.cost.nanos(), &event.cost_text);
            check_name(event.model.as_str());
            event.user_id.iter().for_each(|id| check_name(id.as_str()));
            event.external_user.iter().for_each(|id| check_name(id.as_str()));
            event.request_id.iter().for_each(|id| check_name(id.as_str()));
            // The beginning of 2023.
            assert!(event.timestamp.seconds() >= 1_672_531_200);
        }
    }
    match ManualRecord::parse(body) {
        Err(refusal) => check_refusal(&refusal),
        Ok(record) => {
            check(record.tokens, record.cost.nanos(), &record.cost_text);
            assert!(record.cost.nanos() > 0 && (record.tokens.input > 0 || record.tokens.output > 0));
            check_name(record.model.as_str());
            record.user_id.iter().for_each(|id| check_name(id.as_str()));
            record.request_id.iter().for_each(|id| check_name(id.as_str()));
        }
    }
});
