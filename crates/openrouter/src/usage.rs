//! What a generation used and cost, read exactly from OpenRouter's own number texts.
//!
//! The cost goes from its JSON text to [`Usd`] in one rounding and never through a float. Whatever is not known exactly
//! is an [`UsageReport::Incomplete`], never a zero: such a generation is looked up later.

use mai_primitives::{MoneyError, Usd};
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::decimal::exact_sum;
use crate::route::Route;

/// Longest number text that is taken for a cost, in bytes. A double in exponent form needs 24; the text is stored.
const MAX_NUMBER: usize = 100;

/// Tokens and cost of one generation, as OpenRouter bills it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Input tokens by the provider's own tokenizer, those included that a cache read or wrote.
    pub input_tokens: i64,
    /// Output tokens by the provider's own tokenizer, reasoning included.
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

/// An inline `usage` object of any route. Only what [`Reported::add`] picks by route counts.
#[derive(Deserialize)]
struct UsageObject<'a> {
    #[serde(borrow)]
    prompt_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    completion_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    input_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    output_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    total_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    cache_read_input_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    cache_creation_input_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    cost: Option<&'a RawValue>,
    is_byok: Option<bool>,
    #[serde(borrow)]
    prompt_tokens_details: Option<&'a RawValue>,
    #[serde(borrow)]
    completion_tokens_details: Option<&'a RawValue>,
    #[serde(borrow)]
    input_tokens_details: Option<&'a RawValue>,
    #[serde(borrow)]
    output_tokens_details: Option<&'a RawValue>,
    #[serde(borrow)]
    cost_details: Option<&'a RawValue>,
}

/// The members that are read of the `*_details` objects.
#[derive(Default, Deserialize)]
struct Details<'a> {
    #[serde(borrow)]
    cached_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    cache_write_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_tokens: Option<&'a RawValue>,
    /// Anthropic's name of the same.
    #[serde(borrow)]
    thinking_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    upstream_inference_cost: Option<&'a RawValue>,
}

/// A token count; none if it is null or absent.
pub(crate) type Count = Result<Option<i64>, UsageGap>;

/// The decimal text of an amount of money; none if it is null or absent.
pub(crate) type Amount = Result<Option<String>, UsageGap>;

/// What one or more usage objects said of a generation, before it is known to be enough.
#[derive(Debug)]
pub(crate) struct Reported {
    pub(crate) input: Count,
    pub(crate) output: Count,
    /// Counted within `input`, except on [`Route::Messages`].
    pub(crate) cached: Count,
    /// Counted within `input`, except on [`Route::Messages`].
    pub(crate) cache_write: Count,
    pub(crate) reasoning: Count,
    pub(crate) cost: Amount,
    pub(crate) upstream_cost: Amount,
    pub(crate) is_byok: bool,
    /// An object that could not be read: what it said is not known.
    pub(crate) unread: Option<UsageGap>,
}

impl Default for Reported {
    fn default() -> Self {
        Self {
            input: Ok(None),
            output: Ok(None),
            cached: Ok(None),
            cache_write: Ok(None),
            reasoning: Ok(None),
            cost: Ok(None),
            upstream_cost: Ok(None),
            is_byok: false,
            unread: None,
        }
    }
}

impl Reported {
    /// Takes over what the raw text of a usage value says; what it leaves out, or is null there, stays as it was.
    pub(crate) fn add(&mut self, raw: &[u8], route: Route) {
        // Serde would take an array as the object's members in their order.
        let object = Some(raw).filter(|raw| raw.first() == Some(&b'{'));
        let usage = object.and_then(|object| serde_json::from_slice::<UsageObject<'_>>(object).ok());
        let Some(usage) = usage else {
            self.unread = Some(UsageGap::Malformed);
            return;
        };
        let (input, output, input_details, output_details) = match route {
            Route::Responses | Route::Messages | Route::Transcriptions => (
                usage.input_tokens,
                usage.output_tokens,
                usage.input_tokens_details,
                usage.output_tokens_details,
            ),
            // What is ranked is read and nothing is written.
            Route::Rerank => (usage.total_tokens, None, None, None),
            _ => (
                usage.prompt_tokens,
                usage.completion_tokens,
                usage.prompt_tokens_details,
                usage.completion_tokens_details,
            ),
        };
        let (input_details, output_details) = (details(input_details), details(output_details));
        let (cached, cache_write, reasoning) = match route {
            Route::Messages => (
                usage.cache_read_input_tokens,
                usage.cache_creation_input_tokens,
                output_details.thinking_tokens,
            ),
            _ => (
                input_details.cached_tokens,
                input_details.cache_write_tokens,
                output_details.reasoning_tokens,
            ),
        };
        replace(&mut self.input, tokens(input));
        replace(&mut self.output, tokens(output));
        replace(&mut self.cached, tokens(cached));
        replace(&mut self.cache_write, tokens(cache_write));
        replace(&mut self.reasoning, tokens(reasoning));
        replace(&mut self.cost, amount(usage.cost));
        replace(&mut self.upstream_cost, amount(details(usage.cost_details).upstream_inference_cost));
        self.is_byok = usage.is_byok.unwrap_or(self.is_byok);
    }

    /// The usage, if what was said is enough to book it.
    ///
    /// Only the token counts are required by OpenRouter's schema; `is_byok` absent or null means no BYOK call. Detail
    /// counts that are missing or no whole numbers are none: they explain the usage and do not change it.
    pub(crate) fn report(&self, route: Route) -> UsageReport {
        let report = || {
            if let Some(gap) = self.unread {
                return Err(gap);
            }
            let (cost, cost_text) = total_cost(self.cost.clone(), self.is_byok, self.upstream_cost.clone())?;
            let input = self.input?.ok_or(UsageGap::TokensUnknown)?;
            let output = match route {
                // Nothing is completed there, and OpenRouter names no count of it.
                Route::Embeddings | Route::Rerank => self.output?.unwrap_or(0),
                _ => self.output?.ok_or(UsageGap::TokensUnknown)?,
            };
            Ok(Usage {
                input_tokens: if route == Route::Messages { self.with_cache(input)? } else { input },
                output_tokens: output,
                cached_tokens: self.cached.ok().flatten(),
                cache_write_tokens: self.cache_write.ok().flatten(),
                reasoning_tokens: self.reasoning.ok().flatten(),
                cost,
                cost_text,
                is_byok: self.is_byok,
            })
        };
        report().into()
    }

    /// Anthropic's `input_tokens` leave out what the cache read and wrote, where other forms include it.
    fn with_cache(&self, input: i64) -> Result<i64, UsageGap> {
        let (read, written) = (self.cached?.unwrap_or(0), self.cache_write?.unwrap_or(0));
        let sum = input.checked_add(read).and_then(|sum| sum.checked_add(written));
        sum.ok_or(UsageGap::TokensInvalid)
    }
}

/// Keeps what is known where nothing new was said.
fn replace<T>(known: &mut Result<Option<T>, UsageGap>, new: Result<Option<T>, UsageGap>) {
    if !matches!(new, Ok(None)) {
        *known = new;
    }
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
pub(crate) fn tokens(raw: Option<&RawValue>) -> Count {
    raw.map(|raw| whole_number(raw.get())).transpose()
}

/// A token count in decimal digits.
pub(crate) fn whole_number(text: &str) -> Result<i64, UsageGap> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(UsageGap::TokensInvalid)
}

/// The decimal text of a JSON number, or of a JSON string that holds one: money is written either way on the wire.
pub(crate) fn amount(raw: Option<&RawValue>) -> Amount {
    let Some(raw) = raw else { return Ok(None) };
    let text = raw.get();
    let text = if text.starts_with('"') {
        serde_json::from_str(text).map_err(|_| UsageGap::CostInvalid)?
    } else {
        text.to_owned()
    };
    if text.len() > MAX_NUMBER { Err(UsageGap::CostInvalid) } else { Ok(Some(text)) }
}

/// The whole cost and its text.
///
/// For BYOK calls the provider's charge is added to the credits; the sum is made in exact decimal and rounded once. Its
/// components are not read: they can be 0 where their total is not.
pub(crate) fn total_cost(
    credits: Amount,
    is_byok: bool,
    upstream: Amount,
) -> Result<(Usd, String), UsageGap> {
    let credits = credits?.ok_or(UsageGap::CostUnknown)?;
    if !is_byok {
        return Ok((charge(&credits)?, credits));
    }
    let upstream = upstream?.ok_or(UsageGap::UpstreamCostUnknown)?;
    charge(&credits)?;
    charge(&upstream)?;
    let sum = exact_sum(&credits, &upstream).ok_or(UsageGap::CostOutOfRange)?;
    Ok((charge(&sum)?, format!("{credits}+{upstream}")))
}

fn charge(text: &str) -> Result<Usd, UsageGap> {
    let cost = Usd::parse(text).map_err(|error| match error {
        MoneyError::OutOfRange(_) => UsageGap::CostOutOfRange,
        _ => UsageGap::CostInvalid,
    })?;
    // The sign is read from the text, because a small negative number rounds to zero.
    if text.starts_with('-') { Err(UsageGap::CostNegative) } else { Ok(cost) }
}

#[cfg(test)]
mod tests;
