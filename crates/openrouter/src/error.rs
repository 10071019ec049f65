//! Error bodies: what is taken out of OpenRouter's, and the shape of our own.

use std::borrow::Cow;

use serde_json::Value;

use crate::members::visit_members;

/// An OpenRouter error body without its top-level `user_id`, which names the reseller's account.
///
/// All other bytes stay as they were; a body that is not a JSON object stays untouched.
pub fn strip_user_id(body: &[u8]) -> Cow<'_, [u8]> {
    let mut found = false;
    let mut kept: Vec<u8> = Vec::new();
    let mut kept_any = false;
    let mut end_of_last = None;
    let walk = visit_members(body, |member| {
        // Before the first member stands the opening brace, before every other one a comma.
        let before = body.get(end_of_last.unwrap_or(0)..member.span.start).unwrap_or_default();
        if end_of_last.is_none() {
            kept.extend_from_slice(before);
        }
        if member.name_of(&["user_id"]).is_some() {
            found = true;
        } else {
            if kept_any {
                kept.extend_from_slice(before);
            }
            kept.extend_from_slice(body.get(member.span.clone()).unwrap_or_default());
            kept_any = true;
        }
        end_of_last = Some(member.span.end);
    });
    if walk.is_err() || !found {
        return Cow::Borrowed(body);
    }
    kept.extend_from_slice(body.get(end_of_last.unwrap_or(0)..).unwrap_or_default());
    Cow::Owned(kept)
}

/// An error body as OpenAI's clients read it: `{"error":{"message":…,"type":…,"param":null,"code":…}}`.
///
/// `message` is for people; `kind` becomes `type`, for example `invalid_request_error`; `code` is for programs.
pub fn openai_error(message: &str, kind: &str, code: &str) -> Vec<u8> {
    let (message, kind, code) = (Value::from(message), Value::from(kind), Value::from(code));
    format!(r#"{{"error":{{"message":{message},"type":{kind},"param":null,"code":{code}}}}}"#).into_bytes()
}

/// An error body as Anthropic's clients read it: `{"type":"error","error":{"type":…,"message":…,"code":…}}`.
///
/// `kind` is one of Anthropic's error types, for example `authentication_error`; `code`, which their form does not
/// have, is for programs that know ours.
pub fn anthropic_error(message: &str, kind: &str, code: &str) -> Vec<u8> {
    let (message, kind, code) = (Value::from(message), Value::from(kind), Value::from(code));
    format!(r#"{{"type":"error","error":{{"type":{kind},"message":{message},"code":{code}}}}}"#).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, json};

    fn stripped(body: &str) -> String {
        String::from_utf8(strip_user_id(body.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn the_account_id_is_removed_and_nothing_else() {
        for (body, expected) in [
            (
                r#"{"error":{"code":402,"message":"m"},"user_id":"user_2abc"}"#,
                r#"{"error":{"code":402,"message":"m"}}"#,
            ),
            (r#"{ "user_id" : "u" , "error" : 1 }"#, r#"{ "error" : 1 }"#),
            (r#"{"a":1, "user_id":{"x":[1]}, "b":2}"#, r#"{"a":1, "b":2}"#),
            (r#"{"user_id":1,"a":1,"\u0075ser_id":2,"user_id":3}"#, r#"{"a":1}"#),
            (r#" {"user_id":null} "#, " {} "),
        ] {
            assert_eq!(stripped(body), expected);
        }
    }

    #[test]
    fn other_bodies_stay_untouched() {
        for body in [
            "",
            "<html>user_id</html>",
            "[{\"user_id\":1}]",
            "{\"user_id\":1",
            "{}",
            r#"{"error":{"user_id":1}}"#,
        ] {
            assert!(
                matches!(strip_user_id(body.as_bytes()), Cow::Borrowed(same) if same == body.as_bytes()),
                "{body}"
            );
        }
    }

    #[test]
    fn our_errors_have_openais_shape() {
        let body = openai_error("Over the \"limit\"", "budget_exceeded", "budget");
        let expected = r#"{"error":{"message":"Over the \"limit\"","type":"budget_exceeded","param":null,"code":"budget"}}"#;
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }

    proptest! {
        #[test]
        fn the_rest_parses_equal(members in prop::collection::vec(("user_id|[a-d]", ".{0,5}"), 0..6), spaces: bool) {
            let space = if spaces { " " } else { "" };
            let texts = members.iter().map(|(key, value)| format!("{space}\"{key}\"{space}:{}", Value::from(value.as_str())));
            let body = format!("{{{}}}", texts.collect::<Vec<_>>().join(","));
            let result: Value = serde_json::from_str(&stripped(&body)).unwrap();
            let kept: Map<String, Value> =
                members.into_iter().filter(|(key, _)| key != "user_id").map(|(key, value)| (key, json!(value))).collect();
            prop_assert_eq!(result, Value::Object(kept));
        }
    }
}
