//! What a generation used and cost, read exactly from OpenRouter's own number texts.
//!
//! The cost goes from its JSON text to [`Usd`] in one rounding and never through a float. Whatever is not known exactly
//! is an [`UsageReport::Incomplete`], never a zero: such a generation is looked up later.

use mai_primitives::{MoneyError, Usd, exact_sum};
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

/// Longest number text that is taken for a cost, in bytes. A double in exponent form needs 24; the text is stored.
const MAX_NUMBER: usize = 100;

/// Tokens and cost of one generation, as OpenRouter bills it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Prompt tokens by the provider's own tokenizer, cached ones included.
    pub input_tokens: i64,
    /// Completion tokens by the provider's own tokenizer, reasoning included.
    pub output_tokens: i64,
    /// Part of the input that was read from the provider's cache, where reported.
    pub cached_tokens: Option<i64>,
    /// Part of the input that was written to the provider's cache, where reported.
    pub cache_write_tokens: Option<i64>,
    /// Part of the output that was reasoning, where reported.
    pub reasoning_tokens: Option<i64>,
    /// What the generation cost: credits charged, plus the provider's own charge if `is_byok`.
    pub cost: Usd,
    /// Upstream's own text of the cost, unrounded: one decimal number such as `5.7915e-06`, or for `is_byok` two of them
    /// joined by a plus sign, credits first: `0+0.21976`.
    pub cost_text: String,
    /// The call ran on the customer's own provider key ("bring your own key").
    pub is_byok: bool,
}

/// What is known about a generation's usage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum UsageReport {
    /// Nothing was reported.
    #[default]
    Absent,
    /// Something was reported, but not an exact cost and exact token counts.
    Incomplete {
        /// The first thing found missing or wrong.
        why: UsageGap,
    },
    /// Cost and tokens are known exactly.
    Exact(Usage),
}

impl UsageReport {
    /// The usage, if it is exact.
    pub fn exact(&self) -> Option<&Usage> {
        match self {
            Self::Exact(usage) => Some(usage),
            Self::Absent | Self::Incomplete { .. } => None,
        }
    }
}

/// Why a usage report is not exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UsageGap {
    /// The usage object was longer than the gateway keeps (16 KiB).
    #[error("the usage object is too long")]
    TooLong,
    /// `usage` is not an object of the documented shape.
    #[error("the usage is not an object of the documented shape")]
    Malformed,
    /// A token count is null or absent.
    #[error("a token count is unknown")]
    TokensUnknown,
    /// A token count is negative, fractional, too large or not a number.
    #[error("a token count is not a whole number")]
    TokensInvalid,
    /// The cost is null or absent.
    #[error("the cost is unknown")]
    CostUnknown,
    /// A call on the customer's own provider key reports no provider charge.
    #[error("the provider's own charge is unknown")]
    UpstreamCostUnknown,
    /// The cost is not a decimal number.
    #[error("the cost is not a number")]
    CostInvalid,
    /// The cost is below zero.
    #[error("the cost is negative")]
    CostNegative,
    /// The cost does not fit the range that can be booked.
    #[error("the cost is out of range")]
    CostOutOfRange,
}

/// The inline `usage` object of chat completions. `total_tokens` is ignored: total is input plus output.
#[derive(Deserialize)]
struct UsageObject<'a> {
    #[serde(borrow)]
    prompt_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    completion_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    cost: Option<&'a RawValue>,
    is_byok: Option<bool>,
    #[serde(borrow)]
    prompt_tokens_details: Option<&'a RawValue>,
    #[serde(borrow)]
    completion_tokens_details: Option<&'a RawValue>,
    #[serde(borrow)]
    cost_details: Option<&'a RawValue>,
}

/// The members that are read of the three `*_details` objects.
#[derive(Default, Deserialize)]
struct Details<'a> {
    #[serde(borrow)]
    cached_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    cache_write_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    upstream_inference_cost: Option<&'a RawValue>,
}

/// Reads the raw text of a non-null inline `usage` value.
///
/// Only the token counts are required by OpenRouter's schema; `is_byok` absent or null means no BYOK call. Detail counts
/// that are missing or no whole numbers are none: they explain the usage and do not change it.
pub(crate) fn parse_usage(raw: &[u8]) -> UsageReport {
    let report = || {
        // Serde would take an array as the object's members in their order.
        let object = Some(raw).filter(|raw| raw.first() == Some(&b'{')).ok_or(UsageGap::Malformed)?;
        let usage: UsageObject<'_> = serde_json::from_slice(object).map_err(|_| UsageGap::Malformed)?;
        let prompt = details(usage.prompt_tokens_details);
        let completion = details(usage.completion_tokens_details);
        let is_byok = usage.is_byok.unwrap_or(false);
        let (cost, cost_text) =
            total_cost(usage.cost, is_byok, details(usage.cost_details).upstream_inference_cost)?;
        Ok(Usage {
            input_tokens: tokens(usage.prompt_tokens)?.ok_or(UsageGap::TokensUnknown)?,
            output_tokens: tokens(usage.completion_tokens)?.ok_or(UsageGap::TokensUnknown)?,
            cached_tokens: tokens(prompt.cached_tokens).ok().flatten(),
            cache_write_tokens: tokens(prompt.cache_write_tokens).ok().flatten(),
            reasoning_tokens: tokens(completion.reasoning_tokens).ok().flatten(),
            cost,
            cost_text,
            is_byok,
        })
    };
    report().into()
}

impl From<Result<Usage, UsageGap>> for UsageReport {
    fn from(result: Result<Usage, UsageGap>) -> Self {
        match result {
            Ok(usage) => Self::Exact(usage),
            Err(why) => Self::Incomplete { why },
        }
    }
}

fn details(raw: Option<&RawValue>) -> Details<'_> {
    let object = raw.map(RawValue::get).filter(|text| text.starts_with('{'));
    object.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// A token count: none if it is null or absent, an error if it is anything but a whole number from zero.
pub(crate) fn tokens(raw: Option<&RawValue>) -> Result<Option<i64>, UsageGap> {
    let Some(raw) = raw else { return Ok(None) };
    let count: i64 = raw.get().parse().map_err(|_| UsageGap::TokensInvalid)?;
    if count < 0 { Err(UsageGap::TokensInvalid) } else { Ok(Some(count)) }
}

/// The whole cost and its text.
///
/// For BYOK calls the provider's charge is added to the credits; the sum is made in exact decimal and rounded once. Its
/// components are not read: they can be 0 where their total is not.
pub(crate) fn total_cost(
    cost: Option<&RawValue>,
    is_byok: bool,
    upstream_cost: Option<&RawValue>,
) -> Result<(Usd, String), UsageGap> {
    let credits = number_text(cost.ok_or(UsageGap::CostUnknown)?)?;
    if !is_byok {
        return Ok((amount(&credits)?, credits));
    }
    let upstream = number_text(upstream_cost.ok_or(UsageGap::UpstreamCostUnknown)?)?;
    amount(&credits)?;
    amount(&upstream)?;
    let sum = exact_sum(&credits, &upstream).ok_or(UsageGap::CostOutOfRange)?;
    Ok((amount(&sum)?, format!("{credits}+{upstream}")))
}

/// The decimal text of a JSON number, or of a JSON string that holds one: money is written either way on the wire.
fn number_text(raw: &RawValue) -> Result<String, UsageGap> {
    let text = raw.get();
    let text = if text.starts_with('"') {
        serde_json::from_str(text).map_err(|_| UsageGap::CostInvalid)?
    } else {
        text.to_owned()
    };
    if text.len() > MAX_NUMBER { Err(UsageGap::CostInvalid) } else { Ok(text) }
}

fn amount(text: &str) -> Result<Usd, UsageGap> {
    let cost = Usd::parse(text).map_err(|error| match error {
        MoneyError::OutOfRange(_) => UsageGap::CostOutOfRange,
        _ => UsageGap::CostInvalid,
    })?;
    // The sign is read from the text, because a small negative number rounds to zero.
    if text.starts_with('-') { Err(UsageGap::CostNegative) } else { Ok(cost) }
}

#[cfg(test)]
mod tests;
