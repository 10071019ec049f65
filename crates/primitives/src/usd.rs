//! [`Usd`]: US dollars in whole nano-dollars.

use std::fmt;

use crate::decimal::{Excess, MoneyError, format_scaled, parse_scaled};

/// An amount in US dollars, as a whole number of nano-dollars (1e-9 USD).
///
/// OpenRouter's prices are per token with eight decimals, so a short call costs less than a
/// micro-dollar's worth of rounding; nano-dollars keep it. The range is about ±9.2 billion USD.
/// There is no `Add`: sums are checked, and currencies never mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "diesel", derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow))]
#[cfg_attr(feature = "diesel", diesel(sql_type = diesel::sql_types::BigInt))]
pub struct Usd(i64);

impl Usd {
    #[cfg(feature = "diesel")]
    pub(crate) const fn as_number(&self) -> &i64 {
        &self.0
    }

    /// No money.
    pub const ZERO: Self = Self(0);

    /// An amount of `nanos` nano-dollars.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The amount in nano-dollars.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Reads a decimal text such as `0.00014`, `1.4e-07` or `12`, and rounds it once, half to even,
    /// to the nano-dollar.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        parse_scaled(text, 9, Excess::RoundHalfEven).map(Self)
    }

    /// The sum, or none when it leaves the range.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or none when it leaves the range.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The sum of many amounts, or none when it leaves the range.
    pub fn checked_sum(amounts: impl IntoIterator<Item = Self>) -> Option<Self> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }
}

/// The exact amount as a plain decimal without trailing zeros, for example `0.000005792`.
/// This is the form of our JSON; what people see is [`crate::display::usd`].
impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_scaled(self.0, 9, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_exact_amount() {
        for (nanos, shown) in [
            (0, "0"),
            (5_792, "0.000005792"),
            (-1, "-0.000000001"),
            (1_500_000_000, "1.5"),
            (i64::MIN, "-9223372036.854775808"),
        ] {
            assert_eq!(Usd::from_nanos(nanos).to_string(), shown);
        }
    }

    #[test]
    fn sums_are_checked() {
        let most = Usd::from_nanos(i64::MAX);
        assert_eq!(most.checked_add(Usd::from_nanos(1)), None);
        assert_eq!(Usd::checked_sum([most, Usd::from_nanos(1)]), None);
        assert_eq!(Usd::checked_sum([Usd::from_nanos(1), Usd::from_nanos(2)]), Some(Usd::from_nanos(3)));
        assert_eq!(Usd::from_nanos(i64::MIN).checked_sub(Usd::from_nanos(1)), None);
    }
}
