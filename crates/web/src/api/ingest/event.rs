//! [`UsageEvent`]: the body of the usage webhook, in the original system's format.

use mai_primitives::{GenerationId, ModelName, OpenRouterUserId, UnixTime, Usd, UserId};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::fields::{Field, ReportError, ReportedTokens, object};
use crate::api::json_money::JsonUsd;

/// One generation, as somebody else reports it.
#[derive(Debug, Clone)]
pub struct UsageEvent {
    /// The organization's OpenRouter key, or one of its gateway keys.
    pub api_key: SecretString,
    /// The member as we know it, where the caller does.
    pub user_id: Option<UserId>,
    /// What OpenRouter got as `user`, or another name of the member.
    pub external_user: Option<OpenRouterUserId>,
    /// The model that answered.
    pub model: ModelName,
    /// Its tokens.
    pub tokens: ReportedTokens,
    /// The raw cost.
    pub cost: Usd,
    /// The caller's own text of the cost.
    pub cost_text: String,
    /// When the request began; not checked against the present.
    pub timestamp: UnixTime,
    /// The generation's id. Without one a repetition cannot be told from another generation.
    pub request_id: Option<GenerationId>,
}

/// The members that are read; all others are ignored.
#[derive(Deserialize, ToSchema)]
#[schema(as = UsageEvent)]
pub(super) struct Body {
    #[schema(value_type = String, required = true)]
    api_key: Option<Box<RawValue>>,
    #[schema(value_type = Option<String>)]
    user_id: Option<Box<RawValue>>,
    #[schema(value_type = Option<String>)]
    external_user: Option<Box<RawValue>>,
    #[schema(value_type = String, required = true)]
    model: Option<Box<RawValue>>,
    #[schema(value_type = Option<i64>)]
    tokens_used: Option<Box<RawValue>>,
    #[schema(value_type = Option<i64>)]
    input_tokens: Option<Box<RawValue>>,
    #[schema(value_type = Option<i64>)]
    output_tokens: Option<Box<RawValue>>,
    #[schema(value_type = JsonUsd, required = true)]
    cost: Option<Box<RawValue>>,
    #[schema(value_type = String, required = true)]
    timestamp: Option<Box<RawValue>>,
    #[schema(value_type = Option<String>)]
    request_id: Option<Box<RawValue>>,
}

impl UsageEvent {
    /// Reads a webhook's body. Nothing is looked up and nobody is asked for the time.
    pub fn parse(body: &[u8]) -> Result<Self, ReportError> {
        let body: Body = object(body)?;
        let model = Field::new("model", "invalid_model", body.model.as_deref());
        let timestamp = Field::new("timestamp", "invalid_timestamp", body.timestamp.as_deref());
        let (cost, cost_text) = Field::new("cost", "invalid_cost", body.cost.as_deref()).cost()?;
        Ok(Self {
            api_key: Field::new("api_key", "invalid_api_key", body.api_key.as_deref()).needed_text()?.into(),
            user_id: Field::new("user_id", "invalid_user", body.user_id.as_deref()).id(UserId::new)?,
            external_user: Field::new("external_user", "invalid_user", body.external_user.as_deref())
                .id(OpenRouterUserId::new)?,
            model: model.id(ModelName::new)?.ok_or(ReportError::Missing(model.name))?,
            tokens: ReportedTokens::of(
                Field::new("tokens_used", "invalid_tokens", body.tokens_used.as_deref()),
                Field::new("input_tokens", "invalid_tokens", body.input_tokens.as_deref()),
                Field::new("output_tokens", "invalid_tokens", body.output_tokens.as_deref()),
            )?,
            cost,
            cost_text,
            timestamp: timestamp.instant()?.ok_or(ReportError::Missing(timestamp.name))?,
            request_id: Field::new("request_id", "invalid_request_id", body.request_id.as_deref())
                .id(GenerationId::new)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret;
    use serde_json::{Value, json};

    use super::*;

    fn event() -> Value {
        json!({
            "api_key": "sk-or-v1-x", "model": "openai/o3", "tokens_used": 101, "cost": 0.0123,
            "timestamp": "2026-11-22T10:00:00Z", "request_id": "gen-1", "unknown": [1, { "a": null }],
        })
    }

    /// The event with one field replaced by a JSON text, or left out.
    fn with(field: &str, value: Option<&str>) -> Result<UsageEvent, ReportError> {
        let mut event = event();
        event.as_object_mut().unwrap().remove(field);
        let mut text = event.to_string();
        if let Some(value) = value {
            text.insert_str(1, &format!("\"{field}\":{value},"));
        }
        UsageEvent::parse(text.as_bytes())
    }

    fn code(field: &str, value: &str) -> &'static str {
        match with(field, Some(value)) {
            Ok(event) => panic!("{field} {value} was taken: {event:?}"),
            Err(error) => error.code(),
        }
    }

    #[test]
    fn the_original_payload_is_read() {
        let event = UsageEvent::parse(event().to_string().as_bytes()).unwrap();
        assert_eq!(event.api_key.expose_secret(), "sk-or-v1-x");
        assert_eq!((event.cost.nanos(), event.cost_text.as_str()), (12_300_000, "0.0123"));
        assert_eq!(event.tokens, ReportedTokens { input: 70, output: 31, estimated: true });
        assert_eq!(event.timestamp.seconds(), 1_795_341_600);
        assert_eq!(event.request_id.unwrap().as_str(), "gen-1");
        assert!(event.user_id.is_none() && event.external_user.is_none());
        assert!(!format!("{:?}", event.api_key).contains("sk-or"));
    }

    #[test]
    fn a_cost_is_exact_in_every_form_or_refused() {
        for (text, nanos) in [
            ("0", 0),
            ("1e-7", 100),
            ("\"5.7915e-06\"", 5_792),
            ("0.30000000000000004", 300_000_000),
            ("\" 12.5 \"", 12_500_000_000),
            ("1e6", 1_000_000_000_000_000),
        ] {
            assert_eq!(with("cost", Some(text)).unwrap().cost.nanos(), nanos, "{text}");
        }
        let long = format!("0.{}", "1".repeat(10_000));
        for text in [
            "-0.1",
            "-1e-30",
            "-0",
            "1e300",
            "1000000.000000001",
            "\"NaN\"",
            "\"Infinity\"",
            "\"1,5\"",
            "\"0x1\"",
            "true",
            "[]",
            "{}",
            "\"1 2\"",
            long.as_str(),
        ] {
            assert_eq!(code("cost", text), "invalid_cost", "{text}");
        }
        for text in ["null", "\"\""] {
            assert_eq!(code("cost", text), "missing_field", "{text}");
        }
        assert_eq!(code("cost", "NaN"), "invalid_body");
    }

    #[test]
    fn tokens_are_whole_and_add_up() {
        let tokens = |total: Value, input: Value, output: Value| {
            let mut event = event();
            for (field, value) in [("tokens_used", total), ("input_tokens", input), ("output_tokens", output)]
            {
                event[field] = value;
            }
            let event = UsageEvent::parse(event.to_string().as_bytes());
            event.map(|event| (event.tokens.input, event.tokens.output, event.tokens.estimated))
        };
        let none = Value::Null;
        for (total, input, output, expected) in [
            (json!(0), none.clone(), none.clone(), (0, 0, true)),
            (json!(9), none.clone(), none.clone(), (6, 3, true)),
            (
                json!(1_000_000_000_000_i64),
                none.clone(),
                none.clone(),
                (700_000_000_000, 300_000_000_000, true),
            ),
            (none.clone(), json!(3), json!(4), (3, 4, false)),
            (json!(7), json!(3), json!(4), (3, 4, false)),
            (json!(7), json!(7), none.clone(), (7, 0, false)),
            (json!(7), none.clone(), json!(1), (6, 1, false)),
        ] {
            assert_eq!(tokens(total, input, output), Ok(expected));
        }
        for (total, input, output) in [
            (json!(8), json!(3), json!(4)),
            (json!(2), json!(3), none.clone()),
            (none.clone(), json!(i64::MAX), json!(1)),
            (none.clone(), json!(1_000_000_000_000_i64), json!(1)),
            (json!(1_000_000_000_001_i64), none.clone(), none.clone()),
            (json!(i64::MAX), none.clone(), none.clone()),
            (json!(-1), none.clone(), none.clone()),
            (json!(1.5), none.clone(), none.clone()),
            (json!("7"), none.clone(), none.clone()),
            (none.clone(), json!(1), json!(-1)),
        ] {
            let shown = format!("{total} {input} {output}");
            assert_eq!(tokens(total, input, output).unwrap_err().code(), "invalid_tokens", "{shown}");
        }
        for (total, input, output) in
            [(none.clone(), none.clone(), none.clone()), (none.clone(), json!(1), none)]
        {
            assert_eq!(tokens(total, input, output).unwrap_err().code(), "missing_field");
        }
        assert_eq!(code("tokens_used", "1e300"), "invalid_tokens");
        assert_eq!(code("tokens_used", "9223372036854775808"), "invalid_tokens");
    }

    #[test]
    fn instants_are_read_in_every_documented_form() {
        for text in [
            "\"2026-11-22T10:00:00Z\"",
            "\"2026-11-22T11:00:00.999+01:00\"",
            "\"2026-11-22 10:00:00\"",
            "\"2026-11-22T10:00:00.123456\"",
            "1795341600",
            "1795341600.75",
            "\"1795341600\"",
        ] {
            assert_eq!(with("timestamp", Some(text)).unwrap().timestamp.seconds(), 1_795_341_600, "{text}");
        }
        for text in [
            "\"yesterday\"",
            "\"2026-11-22\"",
            "\"22.11.2026 10:00:00\"",
            "\"2026-02-30T10:00:00Z\"",
            "0",
            "-1",
            "1e9",
            "true",
            "{}",
            "\"1969-12-31T23:59:59Z\"",
            "\"2022-12-31T23:59:59Z\"",
            "99999999999999999999999",
            "\"NaN\"",
        ] {
            assert_eq!(code("timestamp", text), "invalid_timestamp", "{text}");
        }
        assert_eq!(code("timestamp", "null"), "missing_field");
    }

    #[test]
    fn ids_that_would_hurt_are_refused() {
        let long = format!("\"{}\"", "x".repeat(10_000));
        for (field, expected) in [
            ("model", "invalid_model"),
            ("user_id", "invalid_user"),
            ("external_user", "invalid_user"),
            ("request_id", "invalid_request_id"),
        ] {
            for value in [long.as_str(), "\"a\\u0000b\"", "\"a\\nb\"", "7", "[\"x\"]"] {
                assert_eq!(code(field, value), expected, "{field}");
            }
        }
        for absent in ["null", "\"\"", "\"  \""] {
            assert!(with("request_id", Some(absent)).unwrap().request_id.is_none(), "{absent}");
            assert_eq!(code("model", absent), "missing_field", "{absent}");
            assert_eq!(code("api_key", absent), "missing_field", "{absent}");
        }
        assert_eq!(
            with("request_id", Some("\" Żółw 🐢 \"")).unwrap().request_id.unwrap().as_str(),
            "Żółw 🐢"
        );
    }

    #[test]
    fn what_is_no_object_or_names_a_field_twice_is_refused() {
        let event = event().to_string();
        let twice = event.replacen('{', "{\"cost\":0,", 1);
        for body in
            ["", "null", "[]", "7", "{", &event[..event.len() - 1], twice.as_str(), &format!("{event}x")]
        {
            assert_eq!(UsageEvent::parse(body.as_bytes()).unwrap_err().code(), "invalid_body", "{body}");
        }
        assert_eq!(UsageEvent::parse(b"{\"api_key\":\"\xff\"}").unwrap_err().code(), "invalid_body");
        assert_eq!(UsageEvent::parse(&b"[".repeat(60_000)).unwrap_err().code(), "invalid_body");
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = UsageEvent::parse(&body);
        }

        #[test]
        fn a_sum_is_split_without_loss(total in 0..=mai_capture::bounds::TOKENS_AT_MOST) {
            let tokens = with("tokens_used", Some(&total.to_string())).unwrap().tokens;
            prop_assert_eq!(tokens.input + tokens.output, total);
            prop_assert_eq!(i128::from(tokens.input), i128::from(total) * 7 / 10);
        }
    }
}
