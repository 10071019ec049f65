//! Every shape of a stream.

use crate::client::{Answer, charge, chat, chat_with, raw, start};
use serde_json::Value;

fn usage_event(answer: &Answer) -> Value {
    let events = answer.events();
    let event = events.iter().rev().find(|event| event.contains(r#""usage":{"prompt"#)).unwrap();
    serde_json::from_str(event).unwrap()
}

#[test]
fn todays_shape_has_22_events_and_repeats_the_finish_reason() {
    let mock = start();
    let answer = chat(&mock, "openai/gpt-4o-mini", true);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert!(answer.complete);
    let events = answer.events();
    assert_eq!(events.len(), 22);
    assert_eq!(answer.chunks.len(), 22, "one HTTP chunk per event");
    assert_eq!(events[21], "[DONE]");
    let charge = charge(&mock);
    let mut finishes = 0;
    for event in &events[..21] {
        let event: Value = serde_json::from_str(event).unwrap();
        assert_eq!(event["id"], charge.id.as_str());
        assert_eq!(event["model"], "openai/gpt-4o-mini");
        finishes += usize::from(event["choices"][0]["finish_reason"] == "stop");
    }
    assert_eq!(finishes, 2);
    assert_eq!(answer.header("x-generation-id"), Some(charge.id.as_str()));
    let usage = &usage_event(&answer)["usage"];
    assert_eq!(usage["prompt_tokens"], charge.prompt_tokens);
    assert_eq!(usage["completion_tokens"], charge.completion_tokens);
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], charge.cached_tokens);
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], charge.reasoning_tokens);
    assert_eq!(raw(&events[20], "cost"), charge.cost_text);
    assert!(charge.streamed && !charge.cancelled && !charge.byok);
    assert_eq!(charge.user.as_deref(), Some("acme_user_1"));
}

#[test]
fn usage_events_of_all_times() {
    let mock = start();
    let finish_null = usage_event(&chat(&mock, "mock/usage-finish-null", true));
    assert_eq!(finish_null["choices"][0]["finish_reason"], Value::Null);
    let empty = usage_event(&chat(&mock, "mock/usage-empty-choices", true));
    assert_eq!(empty["choices"], Value::Array(Vec::new()));
    for stream in [true, false] {
        assert!(!chat(&mock, "mock/no-usage", stream).text().contains("\"usage\":"));
    }
}

#[test]
fn usage_in_the_middle_is_final_and_usage_twice_ends_final() {
    let mock = start();
    let middle = chat(&mock, "mock/usage-middle", true).events();
    let position = middle.iter().position(|event| event.contains("\"usage\"")).unwrap();
    assert_eq!((middle.len(), position), (22, 10));
    let twice = chat(&mock, "mock/usage-twice", true).events();
    let usages: Vec<&String> = twice.iter().filter(|event| event.contains("\"usage\"")).collect();
    assert_eq!(usages.len(), 2);
    assert_ne!(raw(usages[0], "cost"), raw(usages[1], "cost"));
    let ledger = mock.ledger();
    assert_eq!(raw(&middle[10], "cost"), ledger[0].cost_text);
    assert_eq!(raw(usages[1], "cost"), ledger[1].cost_text);
}

#[test]
fn line_forms_say_the_same() {
    let mock = start();
    let seed = [("x-mock-seed", "42")];
    // Ids differ from answer to answer, so that they are left out of the comparison.
    let payloads = |text: &str| -> Vec<Value> {
        let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n");
        let mut events = Vec::new();
        for event in text.split("\n\n").filter(|event| event.starts_with("data:")) {
            let lines: Vec<&str> = event.lines().map(|line| line.strip_prefix("data:").unwrap()).collect();
            let mut value: Value = serde_json::from_str(&lines.join("\n")).unwrap_or(Value::Null);
            if let Some(object) = value.as_object_mut() {
                object.remove("id");
                object.remove("created");
            }
            events.push(value);
        }
        events
    };
    let expected = payloads(&chat_with(&mock, "mock/ok", true, &seed).text());
    assert_eq!(expected.len(), 22);
    for form in ["crlf", "cr", "bom", "data-lines", "no-space", "comments", "comments,crlf,split-random"] {
        let mut answer = payloads(&chat_with(&mock, &format!("mock/{form}"), true, &seed).text());
        for value in answer.iter_mut().filter(|value| value.is_object()) {
            value["model"] = "mock/ok".into();
        }
        assert_eq!(answer, expected, "{form}");
    }
    let text = |form: &str| chat_with(&mock, form, true, &seed).text();
    assert!(text("mock/bom").starts_with("\u{feff}data: "));
    assert!(text("mock/no-space").starts_with("data:{"));
    assert!(text("mock/crlf").ends_with("data: [DONE]\r\n\r\n"));
    assert!(text("mock/cr").ends_with("data: [DONE]\r\r"));
    assert!(
        text("mock/comments").starts_with(": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\ndata: {")
    );
    assert!(text("mock/comments").matches(": OPENROUTER").count() > 5);
    assert!(!text("mock/no-done").contains("[DONE]"));
}

#[test]
fn pieces_of_every_size() {
    let mock = start();
    let bytes = chat(&mock, "mock/split-1", true);
    assert!(bytes.chunks.iter().all(|chunk| chunk.len() == 1));
    let random = chat(&mock, "mock/split-random", true);
    assert!(random.chunks.iter().all(|chunk| chunk.len() <= 40));
    assert!(random.chunks.iter().any(|chunk| std::str::from_utf8(chunk).is_err()), "none inside UTF-8");
    let one = chat(&mock, "mock/one-chunk", true);
    assert_eq!((one.chunks.len(), one.events().len()), (1, 22));
    assert!(bytes.complete && random.complete && one.complete);
}

/// Decodes a gzip member of stored blocks, checking its sums.
fn stored(gzip: &[u8]) -> Vec<u8> {
    assert_eq!(gzip[..4], [0x1f, 0x8b, 8, 0]);
    let (mut rest, mut out) = (&gzip[10..], Vec::new());
    loop {
        let length = u16::from_le_bytes([rest[1], rest[2]]);
        assert_eq!(!length, u16::from_le_bytes([rest[3], rest[4]]));
        let last = rest[0] == 1;
        out.extend_from_slice(&rest[5..5 + usize::from(length)]);
        rest = &rest[5 + usize::from(length)..];
        if last {
            break;
        }
    }
    let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
    assert_eq!(number(&rest[..4]), crc32fast::hash(&out));
    assert_eq!(usize::try_from(number(&rest[4..])), Ok(out.len()));
    out
}

#[test]
fn gzip_decodes_to_the_same_answer() {
    let mock = start();
    let stream = chat(&mock, "mock/gzip,split-random", true);
    assert_eq!(stream.header("content-encoding"), Some("gzip"));
    assert!(stored(&stream.body()).ends_with(b"data: [DONE]\n\n"));
    let plain = chat_with(&mock, "mock/gzip,endless-line", false, &[("x-mock-mib", "1")]);
    let json: Value = serde_json::from_slice(&stored(&plain.body())).unwrap();
    assert!(json["choices"][0]["message"]["content"].as_str().unwrap().len() > 1 << 20);
    assert_eq!(json["usage"]["completion_tokens"], mock.ledger()[1].completion_tokens);
}

#[test]
fn an_endless_line_is_long_and_followed_by_usage() {
    let mock = start();
    let answer = chat_with(&mock, "mock/endless-line", true, &[("x-mock-mib", "2")]);
    let events = answer.events();
    assert_eq!(events.len(), 22);
    assert!(events[0].len() > 2 << 20);
    assert!(serde_json::from_str::<Value>(&events[0]).is_ok());
    assert_eq!(raw(&events[20], "cost"), charge(&mock).cost_text);
}

#[test]
fn length_and_tokens_are_as_asked() {
    let mock = start();
    assert_eq!(chat(&mock, "mock/long-stream-500", true).events().len(), 503);
    let tokens = chat(&mock, "mock/tokens-7", true);
    assert_eq!(usage_event(&tokens)["usage"]["completion_tokens"], 7);
    assert_eq!(tokens.events().len(), 10);
}

#[test]
fn fake_usage_stands_only_in_the_content() {
    let mock = start();
    let answer = chat(&mock, "mock/usage-in-content", true);
    let first: Value = serde_json::from_str(&answer.events()[0]).unwrap();
    let content = first["choices"][0]["delta"]["content"].as_str().unwrap();
    assert!(content.starts_with("data: {\"usage\":{\"cost\":999}}\n\n"));
    assert!(charge(&mock).total < 1.into());
}

#[test]
fn errors_end_the_stream_without_done() {
    let mock = start();
    let first = chat(&mock, "mock/error-first", true);
    assert_eq!((first.status, first.events().len()), (200, 1));
    let event: Value = serde_json::from_str(&first.events()[0]).unwrap();
    assert_eq!(event["error"]["code"], 502);
    assert_eq!(event["choices"][0]["finish_reason"], "error");
    let mid = chat(&mock, "mock/error-mid", true);
    assert_eq!(mid.events().len(), 11);
    assert!(mid.events()[10].contains("\"error\":{") && !mid.text().contains("usage"));
    let ledger = mock.ledger();
    assert!(ledger[0].total.is_zero() && ledger[0].completion_tokens == 0);
    assert!(!ledger[1].total.is_zero() && !ledger[1].cancelled);
    assert_eq!(ledger[1].finish_reason, Some("error"));
}
