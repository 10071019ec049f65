//! [`MarkupRate`]: what a client pays for one dollar that OpenRouter charged us.

use std::fmt;

use crate::{
    decimal::{Excess, MoneyError, divide_half_even, format_scaled, parse_scaled},
    usd::Usd,
};

const PARTS: i128 = 1_000_000;

/// A factor on raw cost in parts per million: 1.3 is `1_300_000`. Always greater than zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "diesel", derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow))]
#[cfg_attr(feature = "diesel", diesel(sql_type = diesel::sql_types::BigInt))]
pub struct MarkupRate(i64);

impl MarkupRate {
    #[cfg(feature = "diesel")]
    pub(crate) const fn as_number(&self) -> &i64 {
        &self.0
    }

    /// 1.3, the rate where neither the organization nor the global settings name one.
    pub const DEFAULT: Self = Self(1_300_000);

    /// A rate of `ppm` parts per million; zero and less are refused.
    pub fn from_ppm(ppm: i64) -> Result<Self, MoneyError> {
        if ppm > 0 { Ok(Self(ppm)) } else { Err(MoneyError::NotPositive(format_scaled(ppm, 6, 0))) }
    }

    /// Reads a decimal factor such as `1.3` with at most six decimal places.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        Self::from_ppm(parse_scaled(text, 6, Excess::Refuse)?)
    }

    /// The rate in parts per million.
    pub const fn ppm(self) -> i64 {
        self.0
    }

    /// The client's price for a raw cost, rounded half to even to the nano-dollar; none when it
    /// leaves the range of [`Usd`].
    pub fn apply(self, raw: Usd) -> Option<Usd> {
        let product = i128::from(raw.nanos()) * i128::from(self.0);
        i64::try_from(divide_half_even(product, PARTS)).ok().map(Usd::from_nanos)
    }
}

/// The factor as a plain decimal, for example `1.3`.
impl fmt::Display for MarkupRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_scaled(self.0, 6, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_positive_rates_of_six_places_exist() {
        assert_eq!(MarkupRate::parse("1.3").unwrap(), MarkupRate::DEFAULT);
        assert_eq!(MarkupRate::parse("1.30000000").unwrap(), MarkupRate::DEFAULT);
        assert!(matches!(MarkupRate::parse("0"), Err(MoneyError::NotPositive(_))));
        assert!(matches!(MarkupRate::parse("-1.3"), Err(MoneyError::NotPositive(_))));
        assert!(matches!(MarkupRate::parse("1.0000001"), Err(MoneyError::TooPrecise(_, 6))));
        assert_eq!(MarkupRate::DEFAULT.to_string(), "1.3");
    }

    #[test]
    fn client_price_is_rounded_half_even_once() {
        let rate = MarkupRate::parse("1.5").unwrap();
        for (raw, client) in [(1, 2), (3, 4), (5, 8), (-1, -2), (2, 3)] {
            assert_eq!(rate.apply(Usd::from_nanos(raw)), Some(Usd::from_nanos(client)), "{raw}");
        }
        assert_eq!(rate.apply(Usd::from_nanos(i64::MAX)), None);
    }
}
