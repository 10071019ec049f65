//! [`Pln`] and the rate that leads to it.

use std::fmt;

use crate::{
    decimal::{Excess, MoneyError, divide_half_away, format_scaled, parse_scaled},
    usd::Usd,
};

/// An amount in Polish złoty, as a whole number of grosz (0.01 PLN).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "diesel", derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow))]
#[cfg_attr(feature = "diesel", diesel(sql_type = diesel::sql_types::BigInt))]
pub struct Pln(i64);

impl Pln {
    #[cfg(feature = "diesel")]
    pub(crate) const fn as_number(&self) -> &i64 {
        &self.0
    }

    /// No money.
    pub const ZERO: Self = Self(0);

    /// An amount of `grosz` grosz.
    pub const fn from_grosz(grosz: i64) -> Self {
        Self(grosz)
    }

    /// The amount in grosz.
    pub const fn grosz(self) -> i64 {
        self.0
    }

    /// Reads a decimal text such as `79` or `54.50`; more than two decimal places are refused.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        parse_scaled(text, 2, Excess::Refuse).map(Self)
    }

    /// The sum, or none when it leaves the range.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The sum of many amounts, or none when it leaves the range.
    pub fn checked_sum(amounts: impl IntoIterator<Item = Self>) -> Option<Self> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }

    /// `part / whole` of the amount, rounded half away from zero to the grosz. None where the whole is zero
    /// or the result leaves the range.
    pub fn share(self, part: u32, whole: u32) -> Option<Self> {
        if whole == 0 {
            return None;
        }
        let product = i128::from(self.0) * i128::from(part);
        i64::try_from(divide_half_away(product, i128::from(whole))).ok().map(Self)
    }
}

/// The amount with two decimals and a point, for example `1234.50`, the form of our JSON;
/// what people see is [`crate::display::pln`].
impl fmt::Display for Pln {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_scaled(self.0, 2, 2))
    }
}

/// How many PLN one USD is worth, in steps of 0.0001 as NBP's table A publishes its mid rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "diesel", derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow))]
#[cfg_attr(feature = "diesel", diesel(sql_type = diesel::sql_types::BigInt))]
pub struct UsdPlnRate(i64);

/// Nano-dollars times ten-thousandths, per grosz: 1e9 * 1e4 / 1e2.
const STEPS_PER_GROSZ: i128 = 100_000_000_000;

impl UsdPlnRate {
    #[cfg(feature = "diesel")]
    pub(crate) const fn as_number(&self) -> &i64 {
        &self.0
    }

    /// The greatest rate, 99.9999 PLN. Below it a database converts any amount exactly in 64 bits.
    pub const MAX: Self = Self(999_999);

    /// A rate of `steps` times 0.0001; zero and less are refused, and more than [`Self::MAX`].
    pub fn from_ten_thousandths(steps: i64) -> Result<Self, MoneyError> {
        match steps {
            ..=0 => Err(MoneyError::NotPositive(format_scaled(steps, 4, 4))),
            steps if steps > Self::MAX.0 => Err(MoneyError::OutOfRange(format_scaled(steps, 4, 4))),
            steps => Ok(Self(steps)),
        }
    }

    /// Reads a mid rate such as `3.6376`; more than four decimal places are refused.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        Self::from_ten_thousandths(parse_scaled(text, 4, Excess::Refuse)?)
    }

    /// The rate in steps of 0.0001.
    pub const fn ten_thousandths(self) -> i64 {
        self.0
    }

    /// The worth of `amount` in PLN, rounded half away from zero to the grosz; none when it leaves
    /// the range of [`Pln`].
    pub fn convert(self, amount: Usd) -> Option<Pln> {
        let product = i128::from(amount.nanos()) * i128::from(self.0);
        i64::try_from(divide_half_away(product, STEPS_PER_GROSZ)).ok().map(Pln)
    }
}

/// The rate with its four decimals, for example `3.6370`.
impl fmt::Display for UsdPlnRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_scaled(self.0, 4, 4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_half_away_from_zero() {
        let rate = UsdPlnRate::parse("3.6376").unwrap();
        let convert = |text: &str| rate.convert(Usd::parse(text).unwrap()).unwrap().to_string();
        assert_eq!(convert("100"), "363.76");
        assert_eq!(convert("0.001"), "0.00");
        // 0.0125 USD at 4.0000 is exactly 5 grosz; half a grosz goes away from zero both ways.
        let four = UsdPlnRate::parse("4.0").unwrap();
        for (text, grosz) in [("0.01125", 5), ("-0.01125", -5), ("0.0112499", 4)] {
            assert_eq!(four.convert(Usd::parse(text).unwrap()), Some(Pln::from_grosz(grosz)), "{text}");
        }
    }

    #[test]
    fn a_share_is_rounded_half_away_from_zero() {
        let share =
            |text: &str, part, whole| Pln::parse(text).unwrap().share(part, whole).unwrap().to_string();
        // A seat that was added on the 15th of a February, on a 31st of January, on a leap day, on 16 April.
        assert_eq!(share("69", 14, 28), "34.50");
        assert_eq!(share("69", 1, 31), "2.23");
        assert_eq!(share("79", 1, 29), "2.72");
        assert_eq!(share("54", 15, 30), "27.00");
        assert_eq!(share("0.01", 1, 2), "0.01");
        assert_eq!(share("-0.01", 1, 2), "-0.01");
        assert_eq!(Pln::from_grosz(1).share(1, 0), None);
        assert_eq!(Pln::from_grosz(i64::MAX).share(2, 1), None);
        assert_eq!(Pln::checked_sum([Pln::from_grosz(i64::MAX), Pln::from_grosz(1)]), None);
        assert!(Pln::parse("0.001").is_err());
    }

    #[test]
    fn refuses_rates_that_nbp_cannot_publish() {
        assert!(UsdPlnRate::parse("0").is_err());
        assert_eq!(UsdPlnRate::parse("99.9999"), Ok(UsdPlnRate::MAX));
        assert!(matches!(UsdPlnRate::parse("100"), Err(MoneyError::OutOfRange(_))));
        assert!(matches!(UsdPlnRate::parse("3.63765"), Err(MoneyError::TooPrecise(_, 4))));
        assert_eq!(UsdPlnRate::parse("3.637").unwrap().to_string(), "3.6370");
    }
}
