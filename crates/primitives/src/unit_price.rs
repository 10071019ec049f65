//! [`UnitPrice`]: what one token, request or picture costs, in whole femto-dollars.

use std::fmt;

use crate::{
    decimal::{Excess, MoneyError, divide_half_even, format_scaled, parse_scaled},
    usd::Usd,
};

/// Femto-dollars in a nano-dollar.
const FEMTOS_PER_NANO: i128 = 1_000_000;

/// A price of one unit in US dollars, as a whole number of femto-dollars (1e-15 USD).
///
/// A token costs less than a nano-dollar, so [`Usd`] cannot hold its price. A femto-dollar for a token is a
/// nano-dollar for a million tokens: the number is the same in both. The range is about ±9,223 USD a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnitPrice(i64);

impl UnitPrice {
    /// For nothing.
    pub const ZERO: Self = Self(0);

    /// A price of `femtos` femto-dollars.
    pub const fn from_femtos(femtos: i64) -> Self {
        Self(femtos)
    }

    /// The price in femto-dollars.
    pub const fn femtos(self) -> i64 {
        self.0
    }

    /// Reads a decimal text such as `0.00000015`, in US dollars a unit. Digits beyond the femto-dollar, of
    /// which no price list is known, are rounded once, half to even.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        parse_scaled(text, 15, Excess::RoundHalfEven).map(Self)
    }

    /// The price of a unit of which a million cost `price`; exact.
    pub const fn of_million(price: Usd) -> Self {
        Self(price.nanos())
    }

    /// The price of a million units; exact.
    pub const fn per_million(self) -> Usd {
        Usd::from_nanos(self.0)
    }

    /// `numerator / denominator` of the price, such as with a markup or a discount, rounded half to even to the
    /// femto-dollar. None where the denominator is not positive or the result leaves the range.
    pub fn scaled(self, numerator: i64, denominator: i64) -> Option<Self> {
        if denominator <= 0 {
            return None;
        }
        let product = i128::from(self.0) * i128::from(numerator);
        i64::try_from(divide_half_even(product, i128::from(denominator))).ok().map(Self)
    }

    /// What so many units of several prices cost together: the exact sum, rounded up once to the nano-dollar.
    /// None where it leaves the range of [`Usd`].
    pub fn total_rounded_up(parts: impl IntoIterator<Item = (Self, u64)>) -> Option<Usd> {
        let mut femtos: i128 = 0;
        for (price, units) in parts {
            femtos = femtos.checked_add(i128::from(price.0).checked_mul(i128::from(units))?)?;
        }
        let whole = femtos.div_euclid(FEMTOS_PER_NANO);
        let nanos = whole.checked_add(i128::from(femtos.rem_euclid(FEMTOS_PER_NANO) != 0))?;
        i64::try_from(nanos).ok().map(Usd::from_nanos)
    }
}

/// The exact price of one unit as a plain decimal without trailing zeros, for example `0.00000015`.
impl fmt::Display for UnitPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_scaled(self.0, 15, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn price(text: &str) -> UnitPrice {
        UnitPrice::parse(text).unwrap()
    }

    #[test]
    fn a_price_keeps_every_digit_of_the_list() {
        for (text, femtos, per_million) in [
            ("0.00000015", 150_000_000, "0.15"),
            ("0.000000123457", 123_457_000, "0.123457"),
            ("1.5e-7", 150_000_000, "0.15"),
            ("0.00006", 60_000_000_000, "60"),
            ("0.000000000000001", 1, "0.000000001"),
            ("0.0000000000000025", 2, "0.000000002"),
            ("0.01", 10_000_000_000_000, "10000"),
            ("0", 0, "0"),
        ] {
            assert_eq!(price(text).femtos(), femtos, "{text}");
            assert_eq!(price(text).per_million().to_string(), per_million, "{text}");
        }
        assert_eq!(price("0.00000015").to_string(), "0.00000015");
        assert_eq!(UnitPrice::of_million(Usd::parse("0.15").unwrap()), price("0.00000015"));
        assert!(UnitPrice::parse("10000").is_err() && UnitPrice::parse("free").is_err());
    }

    #[test]
    fn a_part_of_a_price_is_rounded_half_to_even() {
        assert_eq!(price("0.00000015").scaled(1_300_000, 1_000_000), Some(price("0.000000195")));
        for (femtos, half) in [(1, 0), (3, 2), (5, 2)] {
            assert_eq!(UnitPrice::from_femtos(femtos).scaled(1, 2), Some(UnitPrice::from_femtos(half)));
        }
        assert_eq!(UnitPrice::from_femtos(1).scaled(1, 0), None);
        assert_eq!(UnitPrice::from_femtos(i64::MAX).scaled(2, 1), None);
    }

    #[test]
    fn a_total_is_exact_and_rounded_up_once() {
        let total = |parts: &[(&str, u64)]| {
            UnitPrice::total_rounded_up(parts.iter().map(|(text, units)| (price(text), *units)))
        };
        assert_eq!(total(&[("0.00000015", 1_000), ("0.0000006", 500)]), Some(Usd::from_nanos(450_000)));
        assert_eq!(total(&[("0.000000123457", 1)]), Some(Usd::from_nanos(124)));
        assert_eq!(total(&[("0.000000000000001", 1), ("0.000000000000001", 1)]), Some(Usd::from_nanos(1)));
        assert_eq!(total(&[]), Some(Usd::ZERO));
        assert_eq!(total(&[("9000", u64::MAX)]), None);
        assert_eq!(total(&[("9000", u64::MAX), ("9000", u64::MAX)]), None);
    }

    proptest! {
        #[test]
        fn a_total_is_less_than_a_nano_above_the_sum(femtos in 0..=i64::MAX / 1_000, units in 0_u64..1_000) {
            let exact = i128::from(femtos) * i128::from(units);
            let total = UnitPrice::total_rounded_up([(UnitPrice::from_femtos(femtos), units)]).unwrap();
            let excess = i128::from(total.nanos()) * FEMTOS_PER_NANO - exact;
            prop_assert!((0..FEMTOS_PER_NANO).contains(&excess));
        }
    }
}
