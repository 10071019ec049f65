//! The event that makes a failure visible in Open WebUI.
//!
//! OpenRouter tells an error in the middle of a stream beside a non-empty `choices`. Open WebUI takes such
//! an event for a part of the answer, and its user sees an answer that ends for no reason. It shows an
//! error only from an event without choices. So a client that is known to be Open WebUI gets one event
//! more, with the same error and `choices: []`; all of upstream's bytes stay as they are.
//!
//! It stands right behind the event that told the error, because nobody reads what follows `[DONE]`.
//! Where an answer just ends, it is the last thing in it. OpenAI's clients fail at the first event with an
//! error anyway, and see from the event at the end what they would otherwise see from a broken connection.

use bytes::{Bytes, BytesMut};
use mai_openrouter::{Observation, StreamError, UsageReport};

/// Nobody but the client can know whether half an answer is of use.
const CUT_OFF: &str = r#"{"message":"The answer was cut off. Please try again.","type":"server_error","param":null,"code":"answer_cut_off"}"#;

/// For an error that is longer than what the tee keeps, or no JSON.
const UNREADABLE: &str = r#"{"message":"The answer failed, and the explanation of the provider cannot be shown.","type":"server_error","param":null,"code":"upstream_error"}"#;

/// The chunk with the event of `error` at `at`, where the event ends that has told it.
pub(crate) fn inserted(chunk: &Bytes, at: usize, error: &StreamError) -> Option<Bytes> {
    let StreamError::Hidden(text) = error else { return None };
    let (before, after) = chunk.split_at_checked(at)?;
    let event = event_of(text.as_deref());
    let mut whole = BytesMut::with_capacity(chunk.len().saturating_add(event.len()));
    for part in [before, event.as_bytes(), after] {
        whole.extend_from_slice(part);
    }
    Some(whole.freeze())
}

/// The event at the end of an answer that told no error by then, or none where nothing is missing.
/// `was_cut` says that it did not end by itself.
pub(crate) fn at_end(seen: &Observation, was_cut: bool) -> Option<Bytes> {
    if seen.complete {
        return None;
    }
    match &seen.stream_error {
        StreamError::Hidden(text) => Some(behind_anything(&event_of(text.as_deref()))),
        // The usage comes last. Without `[DONE]` behind it nothing of the answer is missing.
        StreamError::None if was_cut || seen.usage == UsageReport::Absent => Some(cut_off()),
        StreamError::None | StreamError::Visible => None,
    }
}

/// The event of an answer of which the rest does not come.
pub(crate) fn cut_off() -> Bytes {
    behind_anything(&event(CUT_OFF))
}

/// Whatever was cut before it, the event begins after a blank line.
fn behind_anything(event: &str) -> Bytes {
    Bytes::from(format!("\n\n{event}"))
}

fn event_of(error: Option<&[u8]>) -> String {
    let is_json = |text: &&str| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    match error.and_then(|text| std::str::from_utf8(text).ok()).filter(is_json) {
        // In valid JSON a line only ends between two tokens, where a space is as good.
        Some(text) => event(&text.replace(['\r', '\n'], " ")),
        None => event(UNREADABLE),
    }
}

fn event(error: &str) -> String {
    format!("data: {{\"error\":{error},\"choices\":[]}}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inserted_into(chunk: &'static str, at: usize, error: &str) -> String {
        let hidden = StreamError::Hidden(Some(error.as_bytes().to_vec()));
        String::from_utf8(inserted(&Bytes::from(chunk), at, &hidden).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn the_error_is_told_once_more_behind_its_event() {
        assert_eq!(
            inserted_into("data: 1\n\ndata: [DONE]\n\n", 9, r#"{"code":429,"message":"x"}"#),
            "data: 1\n\ndata: {\"error\":{\"code\":429,\"message\":\"x\"},\"choices\":[]}\n\ndata: [DONE]\n\n"
        );
        // An error over several lines takes one.
        let text = inserted_into("", 0, "{\"code\":\r\n1,\n\"message\":\"a\\nb\"}");
        assert_eq!(text, "data: {\"error\":{\"code\":  1, \"message\":\"a\\nb\"},\"choices\":[]}\n\n");
    }

    #[test]
    fn what_is_no_json_or_too_long_is_not_passed_on() {
        for text in ["{\"a\":}", "{\"a\":\"\n\"}", "{\"a\":1}}", ""] {
            assert!(inserted_into("", 0, text).contains("upstream_error"), "{text}");
        }
        let event = inserted(&Bytes::new(), 0, &StreamError::Hidden(None)).unwrap();
        assert!(
            event.starts_with(b"data: {\"error\":{\"message\":") && event.ends_with(b"\"choices\":[]}\n\n")
        );
        assert_eq!(inserted(&Bytes::from("a"), 2, &StreamError::Hidden(None)), None);
        assert_eq!(inserted(&Bytes::from("a"), 1, &StreamError::Visible), None);
    }

    #[test]
    fn an_answer_that_ends_early_says_so_and_no_other() {
        let seen = |complete, usage: UsageReport| Observation { complete, usage, ..Observation::default() };
        let gap = || UsageReport::Incomplete { why: mai_openrouter::UsageGap::CostUnknown };
        assert_eq!(at_end(&seen(true, UsageReport::Absent), false), None);
        assert_eq!(at_end(&seen(true, UsageReport::Absent), true), None);
        assert_eq!(at_end(&seen(false, gap()), false), None);
        for cut in [at_end(&seen(false, gap()), true), at_end(&seen(false, UsageReport::Absent), false)] {
            let text = String::from_utf8(cut.unwrap().to_vec()).unwrap();
            let json = text.strip_prefix("\n\ndata: ").unwrap().strip_suffix("\n\n").unwrap();
            let event: serde_json::Value = serde_json::from_str(json).unwrap();
            assert_eq!(
                (&event["error"]["code"], &event["choices"]),
                (&"answer_cut_off".into(), &serde_json::json!([]))
            );
        }
        let told = |stream_error| Observation { stream_error, ..Observation::default() };
        assert_eq!(at_end(&told(StreamError::Visible), true), None);
        let event = at_end(&told(StreamError::Hidden(Some(b"7".to_vec()))), true).unwrap();
        assert_eq!(event, "\n\ndata: {\"error\":7,\"choices\":[]}\n\n");
    }
}
