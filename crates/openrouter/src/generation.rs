//! The answer of `GET /generation`: what OpenRouter recorded about a call.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::tee::is_name;
use crate::usage::{Usage, UsageGap, UsageReport, amount, tokens, total_cost};

/// What a look-up brought.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one per look-up, and never a collection of them")]
pub enum GenerationLookup {
    /// OpenRouter does not know the id, or does not know it yet: its records appear some 20 seconds after the call, later
    /// when it was interrupted, and the two cases look the same.
    NotReady,
    /// The record.
    Found(GenerationDetails),
}

/// The record of one generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationDetails {
    /// The generation id that was asked for.
    pub id: String,
    /// The model that answered.
    pub model: Option<String>,
    /// Display name of the host that served the model.
    pub provider_name: Option<String>,
    /// Tokens and cost. Exact as soon as the cost is known, see `tokens_estimated`.
    pub usage: UsageReport,
    /// The cost is exact, but at least one native token count is null, as in rows of cancelled calls. In its place stands
    /// OpenRouter's own normalised count, or 0 where that is null too.
    pub tokens_estimated: bool,
    /// The client left before the end.
    pub cancelled: bool,
    /// When the call began, as upstream wrote it, for example `2024-07-15T23:33:19.433273+00:00`.
    pub created_at: Option<String>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Row<'a>,
}

/// The members that are read. `usage` is the charge as a number here, not an object.
#[derive(Deserialize)]
struct Row<'a> {
    id: String,
    model: Option<String>,
    provider_name: Option<String>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    total_cost: Option<&'a RawValue>,
    #[serde(borrow)]
    upstream_inference_cost: Option<&'a RawValue>,
    is_byok: Option<bool>,
    #[serde(borrow)]
    native_tokens_prompt: Option<&'a RawValue>,
    #[serde(borrow)]
    native_tokens_completion: Option<&'a RawValue>,
    #[serde(borrow)]
    native_tokens_cached: Option<&'a RawValue>,
    #[serde(borrow)]
    native_tokens_reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    tokens_prompt: Option<&'a RawValue>,
    #[serde(borrow)]
    tokens_completion: Option<&'a RawValue>,
    cancelled: Option<bool>,
    created_at: Option<String>,
}

impl GenerationDetails {
    /// Reads the body of a 200 answer; none if it is not of the documented shape.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let Answer { data: row } = serde_json::from_slice(body).ok()?;
        let (usage, tokens_estimated) = match row.usage() {
            Ok((usage, estimated)) => (UsageReport::Exact(usage), estimated),
            Err(why) => (UsageReport::Incomplete { why }, false),
        };
        Some(Self {
            id: row.id,
            model: row.model.filter(|text| is_name(text)),
            provider_name: row.provider_name.filter(|text| is_name(text)),
            usage,
            tokens_estimated,
            cancelled: row.cancelled.unwrap_or(false),
            created_at: row.created_at,
        })
    }
}

impl Row<'_> {
    /// The usage, and whether one of its counts is an estimate. Native counts are those that are billed.
    fn usage(&self) -> Result<(Usage, bool), UsageGap> {
        let is_byok = self.is_byok.unwrap_or(false);
        let (cost, cost_text) = total_cost(
            amount(self.usage.or(self.total_cost)),
            is_byok,
            amount(self.upstream_inference_cost),
        )?;
        let (input_tokens, input_estimated) = count(self.native_tokens_prompt, self.tokens_prompt)?;
        let (output_tokens, output_estimated) = count(self.native_tokens_completion, self.tokens_completion)?;
        let usage = Usage {
            input_tokens,
            output_tokens,
            cached_tokens: tokens(self.native_tokens_cached).ok().flatten(),
            cache_write_tokens: None,
            reasoning_tokens: tokens(self.native_tokens_reasoning).ok().flatten(),
            cost,
            cost_text,
            is_byok,
        };
        Ok((usage, input_estimated || output_estimated))
    }
}

/// The native count, else the normalised one or 0 as an estimate.
fn count(native: Option<&RawValue>, normalised: Option<&RawValue>) -> Result<(i64, bool), UsageGap> {
    match tokens(native)? {
        Some(count) => Ok((count, false)),
        None => Ok((tokens(normalised)?.unwrap_or(0), true)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mai_primitives::Usd;
    use serde_json::{Value, json};

    /// The sample of OpenRouter's documentation, without the members that nobody reads.
    fn row() -> Value {
        json!({
            "id": "gen-3bhGkxlo4XFrqiabUM7NDtwDzWwG", "upstream_id": "chatcmpl-791bcf62-080e-4568-87d0-94c72e3b4946",
            "total_cost": 0.0015, "usage": 0.0015, "upstream_inference_cost": 0.0012, "cache_discount": null,
            "is_byok": false, "created_at": "2024-07-15T23:33:19.433273+00:00", "model": "sao10k/l3-stheno-8b",
            "provider_name": "Infermatic", "streamed": true, "cancelled": false, "finish_reason": "stop",
            "tokens_prompt": 9, "tokens_completion": 4, "native_tokens_prompt": 10, "native_tokens_completion": 25,
            "native_tokens_completion_images": 0, "native_tokens_reasoning": 5, "native_tokens_cached": 3,
            "num_search_results": 5, "provider_responses": null
        })
    }

    /// The details of the sample with some members set.
    fn details(changes: &Value) -> GenerationDetails {
        let mut row = row();
        for (key, value) in changes.as_object().unwrap() {
            row[key] = value.clone();
        }
        GenerationDetails::parse(json!({"data": row}).to_string().as_bytes()).unwrap()
    }

    fn gap(changes: &Value) -> UsageGap {
        match details(changes).usage {
            UsageReport::Incomplete { why } => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn reads_the_documented_record() {
        let usage = Usage {
            input_tokens: 10,
            output_tokens: 25,
            cached_tokens: Some(3),
            cache_write_tokens: None,
            reasoning_tokens: Some(5),
            cost: Usd::from_nanos(1_500_000),
            cost_text: "0.0015".to_owned(),
            is_byok: false,
        };
        let expected = GenerationDetails {
            id: "gen-3bhGkxlo4XFrqiabUM7NDtwDzWwG".to_owned(),
            model: Some("sao10k/l3-stheno-8b".to_owned()),
            provider_name: Some("Infermatic".to_owned()),
            usage: UsageReport::Exact(usage),
            tokens_estimated: false,
            cancelled: false,
            created_at: Some("2024-07-15T23:33:19.433273+00:00".to_owned()),
        };
        assert_eq!(details(&json!({})), expected);
    }

    #[test]
    fn keeps_the_text_of_the_cost() {
        let body = r#"{"data":{"id":"g","usage":0.0013162506673300167,"native_tokens_prompt":1,"native_tokens_completion":1}}"#;
        let details = GenerationDetails::parse(body.as_bytes()).unwrap();
        let usage = details.usage.exact().unwrap();
        assert_eq!((usage.cost.nanos(), usage.cost_text.as_str()), (1_316_251, "0.0013162506673300167"));
    }

    #[test]
    fn the_charge_is_usage_and_else_total_cost() {
        let nanos = |changes: &Value| details(changes).usage.exact().unwrap().cost.nanos();
        assert_eq!(nanos(&json!({"usage": 1, "total_cost": 2})), 1_000_000_000);
        assert_eq!(nanos(&json!({"usage": null, "total_cost": 2})), 2_000_000_000);
        assert_eq!(nanos(&json!({"usage": 0, "total_cost": 2})), 0);
        assert_eq!(nanos(&json!({"usage": 1, "is_byok": true})), 1_001_200_000);
        assert_eq!(gap(&json!({"usage": null, "total_cost": null})), UsageGap::CostUnknown);
        assert_eq!(
            gap(&json!({"usage": 1, "is_byok": true, "upstream_inference_cost": null})),
            UsageGap::UpstreamCostUnknown
        );
        assert_eq!(gap(&json!({"usage": -1})), UsageGap::CostNegative);
    }

    #[test]
    fn missing_native_counts_are_flagged() {
        let counts = |changes: &Value| {
            let details = details(changes);
            let usage = details.usage.exact().unwrap().clone();
            (usage.input_tokens, usage.output_tokens, details.tokens_estimated)
        };
        assert_eq!(counts(&json!({"native_tokens_completion": null})), (10, 4, true));
        assert_eq!(counts(&json!({"native_tokens_prompt": null, "tokens_prompt": null})), (0, 25, true));
        assert_eq!(counts(&json!({"native_tokens_completion": 0})), (10, 0, false));
        assert_eq!(gap(&json!({"native_tokens_prompt": 1.5})), UsageGap::TokensInvalid);
        assert_eq!(gap(&json!({"native_tokens_prompt": null, "tokens_prompt": -1})), UsageGap::TokensInvalid);
    }

    #[test]
    fn most_members_may_be_missing() {
        let details = GenerationDetails::parse(br#"{"data":{"id":"g"}}"#).unwrap();
        assert_eq!(details.usage, UsageReport::Incomplete { why: UsageGap::CostUnknown });
        assert_eq!((details.model, details.provider_name, details.cancelled), (None, None, false));
    }

    #[test]
    fn what_is_no_record_is_none() {
        for body in ["", "{}", "[]", r#"{"data":null}"#, r#"{"data":{}}"#, r#"{"data":{"id":12}}"#, "<html>"]
        {
            assert_eq!(GenerationDetails::parse(body.as_bytes()), None, "{body}");
        }
    }
}
