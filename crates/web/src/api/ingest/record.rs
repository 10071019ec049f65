//! [`ManualRecord`]: the body of `usage/manual-record`, the original's fields and what it lacked.

use chrono::Datelike;
use mai_primitives::{GenerationId, ModelName, UnixTime, UsageDate, Usd, UserId};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::fields::{EARLIEST_YEAR, Field, ReportError, ReportedTokens, object};
use crate::api::json_money::JsonUsd;

/// Usage that a person enters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManualRecord {
    /// Who pays, where the caller names it.
    pub client_org_id: Option<String>,
    /// The member, where the caller names one.
    pub user_id: Option<UserId>,
    /// The model.
    pub model: ModelName,
    /// Its tokens, more than none.
    pub tokens: ReportedTokens,
    /// The raw cost, more than nothing.
    pub cost: Usd,
    /// The caller's own text of the cost.
    pub cost_text: String,
    /// When it was used.
    pub when: When,
    /// An id by which a repetition is recognized.
    pub request_id: Option<GenerationId>,
}

/// When usage that a person enters took place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Just now.
    Now,
    /// At an instant.
    At(UnixTime),
    /// On a day of the organization's calendar.
    On(UsageDate),
}

/// The members that are read; all others are ignored.
#[derive(Deserialize, ToSchema)]
#[schema(as = ManualRecord)]
pub(super) struct Body {
    #[schema(value_type = Option<String>)]
    client_org_id: Option<Box<RawValue>>,
    #[schema(value_type = Option<String>)]
    user_id: Option<Box<RawValue>>,
    #[schema(value_type = String, required = true)]
    model: Option<Box<RawValue>>,
    #[schema(value_type = Option<i64>)]
    tokens: Option<Box<RawValue>>,
    #[schema(value_type = Option<i64>)]
    input_tokens: Option<Box<RawValue>>,
    #[schema(value_type = Option<i64>)]
    output_tokens: Option<Box<RawValue>>,
    #[schema(value_type = JsonUsd, required = true)]
    cost: Option<Box<RawValue>>,
    #[schema(value_type = Option<String>)]
    date: Option<Box<RawValue>>,
    #[schema(value_type = Option<String>)]
    timestamp: Option<Box<RawValue>>,
    #[schema(value_type = Option<String>)]
    request_id: Option<Box<RawValue>>,
}

impl ManualRecord {
    /// Reads a body. Nothing is looked up and nobody is asked for the time.
    pub fn parse(body: &[u8]) -> Result<Self, ReportError> {
        let body: Body = object(body)?;
        let model = Field::new("model", "invalid_model", body.model.as_deref());
        let total = Field::new("tokens", "invalid_tokens", body.tokens.as_deref());
        let tokens = ReportedTokens::of(
            total,
            Field::new("input_tokens", "invalid_tokens", body.input_tokens.as_deref()),
            Field::new("output_tokens", "invalid_tokens", body.output_tokens.as_deref()),
        )?;
        if tokens.input == 0 && tokens.output == 0 {
            return Err(total.refuse("must be greater than 0"));
        }
        let cost_field = Field::new("cost", "invalid_cost", body.cost.as_deref());
        let (cost, cost_text) = cost_field.cost()?;
        if cost == Usd::ZERO {
            return Err(cost_field.refuse("must be greater than 0"));
        }
        Ok(Self {
            client_org_id: Field::new("client_org_id", "invalid_request", body.client_org_id.as_deref())
                .text()?,
            user_id: Field::new("user_id", "invalid_user", body.user_id.as_deref()).id(UserId::new)?,
            model: model.id(ModelName::new)?.ok_or(ReportError::Missing(model.name))?,
            tokens,
            cost,
            cost_text,
            when: when(
                Field::new("date", "invalid_timestamp", body.date.as_deref()),
                Field::new("timestamp", "invalid_timestamp", body.timestamp.as_deref()),
            )?,
            request_id: Field::new("request_id", "invalid_request_id", body.request_id.as_deref())
                .id(GenerationId::new)?,
        })
    }
}

/// A date or an instant, not both.
fn when(date: Field<'_>, timestamp: Field<'_>) -> Result<When, ReportError> {
    match (date.text()?, timestamp.instant()?) {
        (None, None) => Ok(When::Now),
        (None, Some(at)) => Ok(When::At(at)),
        (Some(date_text), None) => {
            let day = UsageDate::parse(&date_text).map_err(|_| date.refuse("is not a date `YYYY-MM-DD`"))?;
            let too_early = day.date().year() < EARLIEST_YEAR;
            if too_early { Err(date.refuse("is before the year 2023")) } else { Ok(When::On(day)) }
        }
        (Some(_), Some(_)) => Err(date.refuse("and `timestamp` cannot both be given")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(changes: &Value) -> Result<ManualRecord, ReportError> {
        let mut body = json!({ "model": "openai/o3", "tokens": 10, "cost": "0.5", "client_org_id": "abc" });
        for (field, value) in changes.as_object().unwrap() {
            body[field] = value.clone();
        }
        ManualRecord::parse(body.to_string().as_bytes())
    }

    #[test]
    fn the_original_fields_are_enough() {
        let record = ManualRecord::parse(br#"{"model":"openai/o3","tokens":10,"cost":0.5}"#).unwrap();
        assert_eq!((record.tokens.input, record.tokens.output, record.tokens.estimated), (7, 3, true));
        assert_eq!((record.cost.nanos(), record.cost_text.as_str()), (500_000_000, "0.5"));
        assert_eq!((record.client_org_id, record.user_id, record.when), (None, None, When::Now));
    }

    #[test]
    fn a_day_or_an_instant_can_be_named() {
        let when = |changes: Value| parse(&changes).map(|record| record.when).map_err(|error| error.code());
        let day = UsageDate::parse("2026-02-28").unwrap();
        assert_eq!(when(json!({ "date": "2026-02-28" })), Ok(When::On(day)));
        let at = UnixTime::from_seconds(1_795_341_600);
        assert_eq!(when(json!({ "timestamp": 1_795_341_600 })), Ok(When::At(at)));
        for wrong in [
            json!({ "date": "2026-02-30" }),
            json!({ "date": "2022-12-31" }),
            json!({ "date": 20_260_228 }),
            json!({ "date": "2026-02-28", "timestamp": 1_795_341_600 }),
        ] {
            assert_eq!(when(wrong.clone()), Err("invalid_timestamp"), "{wrong}");
        }
    }

    #[test]
    fn nothing_is_not_recorded() {
        let code = |changes: Value| parse(&changes).unwrap_err().code();
        assert_eq!(code(json!({ "tokens": 0 })), "invalid_tokens");
        assert_eq!(code(json!({ "tokens": 0, "input_tokens": 0, "output_tokens": 0 })), "invalid_tokens");
        assert_eq!(code(json!({ "cost": 0 })), "invalid_cost");
        assert_eq!(code(json!({ "cost": "1e-10" })), "invalid_cost");
        assert_eq!(code(json!({ "cost": -1 })), "invalid_cost");
        assert_eq!(code(json!({ "model": null })), "missing_field");
        assert_eq!(code(json!({ "client_org_id": 7 })), "invalid_request");
    }
}
