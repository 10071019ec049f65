use super::*;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn parse(body: &str) -> Result<GenerationRequest, RequestError> {
    GenerationRequest::parse(body.as_bytes())
}

fn rewritten(body: &str, user: &str) -> String {
    let bytes = Bytes::copy_from_slice(body.as_bytes());
    let pieces = rewrite_user(bytes, &parse(body).unwrap(), user);
    String::from_utf8(pieces.concat()).unwrap()
}

#[test]
fn reads_the_members_it_needs() {
    let request =
        parse(r#" {"model":"openai/gpt-5-mini","messages":[{"user":"no"}],"stream":true,"user":"u\u0031"} "#)
            .unwrap();
    assert_eq!(request.model.as_deref(), Some("openai/gpt-5-mini"));
    assert_eq!((request.stream, request.user.as_deref()), (true, Some("u1")));
    for body in
        ["{}", r#"{"model":null,"stream":null,"user":null}"#, r#"{"messages":[{"model":"a","stream":true}]}"#]
    {
        let request = parse(body).unwrap();
        assert_eq!((request.model, request.stream, request.user), (None, false, None), "{body}");
    }
}

#[test]
fn the_first_of_a_list_of_models_is_asked_for_where_no_other_is() {
    let model = |body: &str| parse(body).unwrap().model;
    assert_eq!(model(r#"{"models":["a/\u0062","c/d"]}"#).as_deref(), Some("a/b"));
    assert_eq!(model(r#"{"models":["a/b"],"model":null}"#).as_deref(), Some("a/b"));
    assert_eq!(model(r#"{"models":["a/b"],"model":"c/d"}"#).as_deref(), Some("c/d"));
    for odd in ["[]", "null", "\"a/b\"", "[1]", "{}"] {
        assert_eq!(model(&format!(r#"{{"models":{odd}}}"#)), None, "{odd}");
    }
}

#[test]
fn reads_what_bounds_the_answer_and_refuses_nothing_of_it() {
    let bounds = |body: &str| {
        let request = parse(body).unwrap();
        (request.max_tokens, request.answers)
    };
    assert_eq!(bounds(r#"{"model":"a"}"#), (None, 1));
    assert_eq!(bounds(r#"{"max_tokens":100}"#), (Some(100), 1));
    assert_eq!(bounds(r#"{"max_tokens":100,"max_completion_tokens":200,"n":3}"#), (Some(200), 3));
    assert_eq!(bounds(r#"{"max_output_tokens":7,"max_tokens":null,"n":0}"#), (Some(7), 1));
    for odd in ["-1", "1.5", "\"100\"", "[100]", "true", "99999999999999999999"] {
        assert_eq!(bounds(&format!(r#"{{"max_tokens":{odd},"n":{odd}}}"#)), (None, 1), "{odd}");
    }
    // Only at the top, and the greatest of several.
    assert_eq!(bounds(r#"{"provider":{"max_tokens":9},"max_tokens":1,"max_tokens":2}"#), (Some(2), 1));
}

#[test]
fn data_in_a_body_has_fewer_tokens_than_text() {
    assert_eq!(input_tokens_at_most(b""), 0);
    assert_eq!(input_tokens_at_most(&[b'a'; 301]), 101);
    let picture = |length| format!(r#"{{"url":"data:image/png;base64,{}"}}"#, "A".repeat(length));
    let around = u64::try_from(picture(0).len()).unwrap().div_ceil(3);
    assert_eq!(input_tokens_at_most(picture(5_000).as_bytes()), around + 100);
    let two = picture(5_000) + &picture(10_000);
    assert_eq!(
        input_tokens_at_most(two.as_bytes()),
        (2 * u64::try_from(picture(0).len()).unwrap()).div_ceil(3) + 300
    );
    // One that does not end.
    assert_eq!(input_tokens_at_most(b";base64,AAAA"), 3 + 1);
}

#[test]
fn refuses_what_is_not_one_json_object() {
    for body in ["[]", "null", "12", " \"{}\" "] {
        assert_eq!(parse(body), Err(RequestError::NotAnObject), "{body}");
    }
    for body in [
        "",
        " ",
        "{",
        "{}}",
        "{} {}",
        "nonsense",
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        "{a:1}",
        "\u{feff}{}",
        "{\"a\":\"\n\"}",
    ] {
        assert!(matches!(parse(body), Err(RequestError::NotJson(_))), "{body}");
    }
    assert!(matches!(GenerationRequest::parse(b"{\"a\":\"\xff\"}"), Err(RequestError::NotJson(_))));
    assert!(matches!(GenerationRequest::parse(b"{\"\xff\":1}"), Err(RequestError::NotJson(_))));
}

#[test]
fn refuses_ambiguous_and_mistyped_members() {
    assert_eq!(parse(r#"{"user":"a","\u0075ser":"b"}"#), Err(RequestError::Repeated("user")));
    assert_eq!(parse(r#"{"model":"a","x":1,"model":"a"}"#), Err(RequestError::Repeated("model")));
    assert_eq!(parse(r#"{"stream":true,"stream":false}"#), Err(RequestError::Repeated("stream")));
    let wrong = |field, expected| Err(RequestError::WrongType { field, expected });
    assert_eq!(parse(r#"{"stream":"true"}"#), wrong("stream", "true or false"));
    assert_eq!(parse(r#"{"model":["a"]}"#), wrong("model", "a string"));
    assert_eq!(parse(r#"{"user":12}"#), wrong("user", "a string"));
}

#[test]
fn error_texts_say_what_to_change_and_quote_no_content() {
    let text = parse(r#"{"messages":"secret",,}"#).unwrap_err().to_string();
    assert!(text.contains("line 1 column") && !text.contains("secret"), "{text}");
    assert_eq!(parse(r#"{"stream":1}"#).unwrap_err().to_string(), "`stream` must be true or false.");
}

#[test]
fn sets_the_user_and_keeps_every_other_byte() {
    for (body, expected) in [
        (r#"{ "user" : "old" , "n":1.50e0}"#, r#"{ "user" : "new" , "n":1.50e0}"#),
        (r#"{"\u0075ser":null}"#, r#"{"\u0075ser":"new"}"#),
        (r#"{"n":1}"#, r#"{"user":"new","n":1}"#),
        ("\n{ \"n\":{\"user\":\"x\"}}\n", "\n{\"user\":\"new\", \"n\":{\"user\":\"x\"}}\n"),
        (" { } ", r#" {"user":"new" } "#),
    ] {
        assert_eq!(rewritten(body, "new"), expected);
    }
    assert_eq!(rewritten("{}", "a\"\\\n"), r#"{"user":"a\"\\\n"}"#);
}

#[test]
fn the_body_is_not_copied() {
    let body = Bytes::from_static(br#"{"n":1,"user":"old","m":2}"#);
    let [before, _, after] = rewrite_user(body.clone(), &GenerationRequest::parse(&body).unwrap(), "new");
    assert_eq!(before.as_ptr(), body.as_ptr());
    assert_eq!(after.as_ptr(), body[19..].as_ptr());
}

#[test]
fn a_request_of_another_body_does_not_panic() {
    let request = parse(r#"{"model":"a","user":"old"}"#).unwrap();
    assert_eq!(rewrite_user(Bytes::from_static(b"{}"), &request, "u").concat(), br#"{}"u""#);
}

#[test]
fn deep_nesting_needs_no_stack() {
    let body = format!("{{\"a\":{}{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    assert!(parse(&body).is_ok());
}

fn members() -> impl Strategy<Value = Map<String, Value>> {
    let value = prop_oneof![
        Just(Value::Null),
        any::<u32>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
        Just(json!({"user": "inner", "a": [1, "}"]})),
        prop::collection::vec(".{0,3}", 0..3).prop_map(Value::from),
    ];
    prop::collection::btree_map(".{0,4}|users|\"", value, 0..5).prop_map(|map| map.into_iter().collect())
}

proptest! {
    #[test]
    fn only_the_user_changes(mut object in members(), old in prop::option::of(".{0,6}"), user in ".{0,12}", pretty: bool) {
        if let Some(old) = &old {
            object.insert("user".to_owned(), old.clone().into());
        }
        let body = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) }.unwrap();
        let result = rewritten(&body, &user);
        let mut expected = object.clone();
        expected.insert("user".to_owned(), user.clone().into());
        prop_assert_eq!(serde_json::from_str::<Map<String, Value>>(&result).unwrap(), expected);
        if let Some(old) = old {
            // Setting the old value again gives the old bytes.
            prop_assert_eq!(rewritten(&result, &old), body);
        } else {
            let inserted = format!("\"user\":{}", Value::from(user));
            let at = body.find('{').unwrap() + 1;
            let rest = result[at..].strip_prefix(&inserted).unwrap();
            let rest = if object.is_empty() { rest } else { rest.strip_prefix(',').unwrap() };
            prop_assert_eq!(format!("{}{rest}", &result[..at]), body);
        }
    }
}
