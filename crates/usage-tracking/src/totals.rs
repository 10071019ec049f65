//! The four figures that every daily table adds up.

use mai_primitives::Usd;

use crate::error::{Error, Result};

/// Tokens, generations and both costs of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Tokens of prompts and answers.
    pub tokens: i64,
    /// Generations.
    pub requests: i64,
    /// What OpenRouter charged.
    pub raw_cost: Usd,
    /// What the client is charged.
    pub markup_cost: Usd,
}

impl Totals {
    /// The sum, or an error that names the figure which left the range.
    pub fn checked_add(self, other: Self) -> Result<Self> {
        Ok(Self {
            tokens: self.tokens.checked_add(other.tokens).ok_or(Error::OutOfRange("tokens"))?,
            requests: self.requests.checked_add(other.requests).ok_or(Error::OutOfRange("requests"))?,
            raw_cost: self.raw_cost.checked_add(other.raw_cost).ok_or(Error::OutOfRange("raw costs"))?,
            markup_cost: self
                .markup_cost
                .checked_add(other.markup_cost)
                .ok_or(Error::OutOfRange("client prices"))?,
        })
    }

    /// What takes these figures out of a sum again.
    pub(crate) fn checked_neg(self) -> Result<Self> {
        Ok(Self {
            tokens: self.tokens.checked_neg().ok_or(Error::OutOfRange("tokens"))?,
            requests: self.requests.checked_neg().ok_or(Error::OutOfRange("requests"))?,
            raw_cost: Usd::ZERO.checked_sub(self.raw_cost).ok_or(Error::OutOfRange("raw costs"))?,
            markup_cost: Usd::ZERO.checked_sub(self.markup_cost).ok_or(Error::OutOfRange("client prices"))?,
        })
    }

    /// The sum of many.
    pub fn sum(parts: impl IntoIterator<Item = Self>) -> Result<Self> {
        parts.into_iter().try_fold(Self::default(), Self::checked_add)
    }
}
