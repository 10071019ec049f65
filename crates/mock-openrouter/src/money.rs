//! Money of the mock: decimal arithmetic and the different ways OpenRouter prints a number.

use rust_decimal::{Decimal, RoundingStrategy};

/// An amount in USD as whole nano-dollars (1e-9), rounded half to even.
///
/// This is what an exact meter books for a [`Charge`](crate::Charge), computed by other means. An amount beyond
/// 9.2 billion dollars, which the mock never charges, gives the nearest representable number.
pub fn nano_usd(amount: &Decimal) -> i64 {
    let mut rounded = amount.round_dp_with_strategy(9, RoundingStrategy::MidpointNearestEven);
    rounded.rescale(9);
    i64::try_from(rounded.mantissa()).unwrap_or(if rounded.is_sign_negative() { i64::MIN } else { i64::MAX })
}

/// The plain decimal form without trailing zeros, like `0.0000057915`.
pub(crate) fn plain_text(amount: Decimal) -> String {
    amount.normalize().to_string()
}

/// The exponent form, like `5.7915e-06`.
pub(crate) fn exponent_text(amount: Decimal) -> String {
    let amount = amount.normalize();
    let digits = amount.mantissa().unsigned_abs().to_string();
    let sign = if amount.is_sign_negative() { "-" } else { "" };
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let exponent = i64::try_from(rest.len()).unwrap_or(0) - i64::from(amount.scale());
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{first}{point}{rest}e{exponent_sign}{:02}", exponent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn prints_as_openrouter_does() {
        assert_eq!(plain_text(decimal("0.00000579150")), "0.0000057915");
        assert_eq!(exponent_text(decimal("0.0000057915")), "5.7915e-06");
        assert_eq!(exponent_text(decimal("0.000004")), "4e-06");
        assert_eq!(exponent_text(decimal("0")), "0e+00");
        assert_eq!(exponent_text(decimal("120")), "1.20e+02");
    }

    #[test]
    fn rounds_half_to_even_once() {
        let cases = [
            ("0.0000000005", 0),
            ("0.0000000015", 2),
            ("0.0000000025", 2),
            ("0.00000000250000000001", 3),
            ("0.0013162506673300167", 1_316_251),
            ("-0.0000000015", -2),
            ("1", 1_000_000_000),
            ("99999999999", i64::MAX),
        ];
        for (text, nanos) in cases {
            assert_eq!(nano_usd(&decimal(text)), nanos, "{text}");
        }
    }

    proptest! {
        #[test]
        fn exponent_form_is_the_same_number(mantissa in 0_i64..i64::MAX, scale in 0_u32..20) {
            let amount = Decimal::new(mantissa, scale);
            prop_assert_eq!(Decimal::from_scientific(&exponent_text(amount)).unwrap(), amount);
        }
    }
}
