//! The `pricing` object of a model: what a token, a request or a picture costs, read exactly.
//!
//! Prices are texts in US dollars a unit. `discount` is taken off each of them, `overrides` take the place of some of them
//! under a condition, and `-1` stands for a price that nobody knows before the call, as that of a router. One model has
//! several hosts with prices of their own, so the list is an estimate; what is charged is in the answer's `usage.cost`.

use std::collections::BTreeMap;

use mai_primitives::UnitPrice;
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::usage::amount;

/// Femto-dollars in a dollar: the price of -1 USD that is none, and the whole of a discount.
const ONE: i64 = 1_000_000_000_000_000;

/// What a price is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PriceKind {
    /// A token of the prompt.
    Prompt,
    /// A token of the answer.
    Completion,
    /// A token of the prompt that a cache knew.
    InputCacheRead,
    /// A token of the prompt that is kept in a cache for minutes.
    InputCacheWrite,
    /// A token of the prompt that is kept in a cache for an hour.
    InputCacheWrite1h,
    /// A token of sound in the prompt.
    Audio,
    /// A token of sound in the prompt that a cache knew.
    InputAudioCache,
    /// A token of a picture in the prompt.
    ImageToken,
    /// A token of reasoning.
    InternalReasoning,
    /// A token of sound in the answer.
    AudioOutput,
    /// A token of a picture in the answer.
    ImageOutput,
    /// A call, whatever its length.
    Request,
    /// A picture in the prompt.
    Image,
    /// A search of the web.
    WebSearch,
}

impl PriceKind {
    const ALL: [(Self, &'static str); 14] = [
        (Self::Prompt, "prompt"),
        (Self::Completion, "completion"),
        (Self::InputCacheRead, "input_cache_read"),
        (Self::InputCacheWrite, "input_cache_write"),
        (Self::InputCacheWrite1h, "input_cache_write_1h"),
        (Self::Audio, "audio"),
        (Self::InputAudioCache, "input_audio_cache"),
        (Self::ImageToken, "image_token"),
        (Self::InternalReasoning, "internal_reasoning"),
        (Self::AudioOutput, "audio_output"),
        (Self::ImageOutput, "image_output"),
        (Self::Request, "request"),
        (Self::Image, "image"),
        (Self::WebSearch, "web_search"),
    ];

    /// Whether it is for a token that is sent.
    pub const fn is_input_token(self) -> bool {
        matches!(
            self,
            Self::Prompt
                | Self::InputCacheRead
                | Self::InputCacheWrite
                | Self::InputCacheWrite1h
                | Self::Audio
                | Self::InputAudioCache
                | Self::ImageToken
        )
    }

    /// Whether it is for a token that comes back.
    pub const fn is_output_token(self) -> bool {
        matches!(self, Self::Completion | Self::InternalReasoning | Self::AudioOutput | Self::ImageOutput)
    }
}

/// Prices by what they are for, after the discount. What the list does not name is missing, which is not for nothing.
pub type UnitPrices = BTreeMap<PriceKind, UnitPrice>;

/// Prices that take the place of others under a condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceOverride {
    /// Only where the prompt has more tokens than this.
    pub min_prompt_tokens: Option<u64>,
    /// Only from this time of the UTC day on, as `HHMM`.
    pub utc_start: Option<String>,
    /// Only before this time of the UTC day, as `HHMM`; where it is before `utc_start`, that of the next day.
    pub utc_end: Option<String>,
    /// The prices that differ.
    pub prices: UnitPrices,
}

/// What a model costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPricing {
    /// The usual prices; `Prompt` and `Completion` are always among them.
    pub prices: UnitPrices,
    /// Prices under a condition.
    pub overrides: Vec<PriceOverride>,
}

/// Why a `pricing` object cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct PricingError(pub(crate) &'static str);

impl ModelPricing {
    /// Reads a `pricing` object. None where one of its prices is `-1`: what the model costs, nobody knows before the call.
    pub fn parse(text: &str) -> Result<Option<Self>, PricingError> {
        let shape = PricingError("a pricing is not an object of the documented shape");
        let members: Members<'_> = serde_json::from_str(text).map_err(|_| shape)?;
        let rest = ONE - discount(members.get("discount").copied())?;
        let Some(prices) = unit_prices(&members, rest)? else { return Ok(None) };
        if ![PriceKind::Prompt, PriceKind::Completion].iter().all(|kind| prices.contains_key(kind)) {
            return Err(PricingError("a pricing names no price of the prompt or of the answer"));
        }
        let conditional: Option<Vec<Members<'_>>> = match members.get("overrides") {
            Some(raw) => serde_json::from_str(raw.get()).map_err(|_| shape)?,
            None => None,
        };
        let mut overrides = Vec::new();
        for members in conditional.unwrap_or_default() {
            let Some(prices) = unit_prices(&members, rest)? else { return Ok(None) };
            overrides.push(PriceOverride {
                min_prompt_tokens: value(&members, "min_prompt_tokens")?,
                utc_start: value(&members, "utc_start")?,
                utc_end: value(&members, "utc_end")?,
                prices,
            });
        }
        Ok(Some(Self { prices, overrides }))
    }
}

type Members<'a> = BTreeMap<String, &'a RawValue>;

/// A member that is no price; none where it is null or absent.
fn value<'a, T: Deserialize<'a>>(members: &Members<'a>, name: &str) -> Result<Option<T>, PricingError> {
    let Some(raw) = members.get(name) else { return Ok(None) };
    serde_json::from_str(raw.get()).map_err(|_| PricingError("the condition of a price cannot be read"))
}

/// The part that is taken off, in femto-parts.
fn discount(raw: Option<&RawValue>) -> Result<i64, PricingError> {
    let wrong = PricingError("a discount is not a number from 0 to 1");
    let Some(text) = amount(raw.filter(|raw| raw.get() != "null")).map_err(|_| wrong)? else { return Ok(0) };
    // A femto-part has as many places as a femto-dollar.
    let part = UnitPrice::parse(&text).map_err(|_| wrong)?.femtos();
    if (0..=ONE).contains(&part) { Ok(part) } else { Err(wrong) }
}

/// The prices that an object names, of each of which `rest` femto-parts are asked for. None where one is `-1`.
fn unit_prices(members: &Members<'_>, rest: i64) -> Result<Option<UnitPrices>, PricingError> {
    let mut prices = UnitPrices::new();
    for (kind, name) in PriceKind::ALL {
        let raw = members.get(name).copied().filter(|raw| raw.get() != "null");
        let wrong = PricingError("a price is not a decimal number that can be kept");
        let Some(text) = amount(raw).map_err(|_| wrong)? else { continue };
        let price = UnitPrice::parse(&text).map_err(|_| wrong)?;
        if price.femtos() == -ONE {
            return Ok(None);
        }
        if price < UnitPrice::ZERO {
            return Err(PricingError("a price is below zero and not -1"));
        }
        prices.insert(kind, price.scaled(rest, ONE).ok_or(wrong)?);
    }
    Ok(Some(prices))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sample of OpenRouter's documentation.
    const SAMPLE: &str = r#"{"prompt":"0.00000015","completion":"0.0000006","request":"0","image":"0.000217",
        "web_search":"0.01","internal_reasoning":"0","input_cache_read":"0.000000075","input_cache_write":"0.0000001875",
        "input_cache_write_1h":"0.0000003","audio":"0","audio_output":"0","discount":0.01,"new_kind":"0.5",
        "overrides":[{"min_prompt_tokens":200000,"prompt":"0.0000003","completion":"0.0000012"},
        {"utc_start":"1630","utc_end":"0030","prompt":"0.0000001"}]}"#;

    fn parse(text: &str) -> Result<Option<ModelPricing>, PricingError> {
        ModelPricing::parse(text)
    }

    #[test]
    fn the_documented_sample_is_read_to_the_last_digit() {
        let pricing = parse(SAMPLE).unwrap().unwrap();
        let price = |kind| pricing.prices[&kind].to_string();
        assert_eq!(price(PriceKind::Prompt), "0.0000001485");
        assert_eq!(price(PriceKind::Completion), "0.000000594");
        assert_eq!(price(PriceKind::Image), "0.00021483");
        assert_eq!(price(PriceKind::WebSearch), "0.0099");
        assert_eq!(price(PriceKind::InputCacheWrite1h), "0.000000297");
        assert_eq!(price(PriceKind::Request), "0");
        assert!(!pricing.prices.contains_key(&PriceKind::ImageToken), "not named is not for nothing");
        let [long, night] = pricing.overrides.as_slice() else { panic!("two overrides") };
        assert_eq!((long.min_prompt_tokens, long.prices.len()), (Some(200_000), 2));
        assert_eq!(long.prices[&PriceKind::Completion].to_string(), "0.000001188");
        assert_eq!((night.utc_start.as_deref(), night.utc_end.as_deref()), (Some("1630"), Some("0030")));
        assert_eq!(night.prices[&PriceKind::Prompt].to_string(), "0.000000099");
    }

    #[test]
    fn minus_one_is_not_a_price() {
        for text in [
            r#"{"prompt":"-1","completion":"-1"}"#,
            r#"{"prompt":"0","completion":"-1.0"}"#,
            r#"{"prompt":"0","completion":"0","web_search":"-1","discount":0.5}"#,
            r#"{"prompt":"0","completion":"0","overrides":[{"prompt":"-1"}]}"#,
        ] {
            assert_eq!(parse(text), Ok(None), "{text}");
        }
    }

    #[test]
    fn numbers_and_nulls_are_read_as_well() {
        let pricing =
            parse(r#"{"prompt":1.5e-7,"completion":0,"request":null,"discount":null,"overrides":null}"#);
        let pricing = pricing.unwrap().unwrap();
        assert_eq!(pricing.prices[&PriceKind::Prompt].femtos(), 150_000_000);
        assert_eq!((pricing.prices.len(), pricing.overrides.len()), (2, 0));
    }

    #[test]
    fn what_cannot_be_read_is_no_price_at_all() {
        for text in [
            "",
            "[]",
            "null",
            "{}",
            r#"{"prompt":"0"}"#,
            r#"{"prompt":"","completion":"0"}"#,
            r#"{"prompt":"free","completion":"0"}"#,
            r#"{"prompt":"-0.5","completion":"0"}"#,
            r#"{"prompt":"1e300","completion":"0"}"#,
            r#"{"prompt":true,"completion":"0"}"#,
            r#"{"prompt":"0","completion":"0","discount":1.5}"#,
            r#"{"prompt":"0","completion":"0","discount":-0.5}"#,
            r#"{"prompt":"0","completion":"0","overrides":{}}"#,
            r#"{"prompt":"0","completion":"0","overrides":[{"min_prompt_tokens":-1}]}"#,
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_kind_is_of_one_side_at_most() {
        for (kind, name) in PriceKind::ALL {
            assert!(!(kind.is_input_token() && kind.is_output_token()), "{name}");
        }
    }
}
