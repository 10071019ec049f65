//! Decimal text to whole numbers and back, without a float on the way.
//!
//! The text of a JSON number is the only exact form in which a cost reaches us, and it may come in
//! exponent form or with seventeen digits. One parser serves all money and rate types.

use thiserror::Error;

/// Why a text is not an amount or a rate.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MoneyError {
    /// The text is not a decimal number as JSON writes it.
    #[error("`{0}` is not a decimal number")]
    NotANumber(String),
    /// The value does not fit the type's range.
    #[error("`{0}` is outside of the range that can be booked")]
    OutOfRange(String),
    /// A rate must be greater than zero.
    #[error("a rate must be greater than zero, not `{0}`")]
    NotPositive(String),
    /// The value has more decimal places than the type keeps, where rounding would be a lie.
    #[error("`{0}` has more than {1} decimal places")]
    TooPrecise(String, u32),
}

/// What happens to digits beyond the last kept decimal place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Excess {
    /// Round half to even, once.
    RoundHalfEven,
    /// Refuse the text.
    Refuse,
}

/// The digits of a decimal text: value = `±digits × 10^exponent`.
struct Parts<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

/// Parses `text` to a whole number of `10^-places`.
pub(crate) fn parse_scaled(text: &str, places: u32, excess: Excess) -> Result<i64, MoneyError> {
    let not_a_number = || MoneyError::NotANumber(clip(text));
    let out_of_range = || MoneyError::OutOfRange(clip(text));
    let parts = split(text.as_bytes()).ok_or_else(not_a_number)?;
    // The decimal point of the scaled number stands behind this many of the digits.
    let whole_len = i64::try_from(parts.whole.len()).map_err(|_| out_of_range())?;
    let point = whole_len.saturating_add(parts.exponent).saturating_add(i64::from(places));
    let mut value: i128 = 0;
    let mut first_dropped = None;
    let mut rest_dropped = false;
    let mut index: i64 = 0;
    for digit in parts.whole.iter().chain(parts.fraction).map(|byte| byte.wrapping_sub(b'0')) {
        if index < point {
            value = value * 10 + i128::from(digit);
            if value > i128::from(i64::MAX) * 10 {
                return Err(out_of_range());
            }
        } else if index == point && point >= 0 {
            first_dropped = Some(digit);
        } else {
            rest_dropped |= digit != 0;
        }
        index += 1;
    }
    // A positive exponent may ask for zeros that the text does not spell out.
    while index < point && value != 0 {
        value *= 10;
        if value > i128::from(i64::MAX) * 10 {
            return Err(out_of_range());
        }
        index += 1;
    }
    let dropped = first_dropped.unwrap_or(0);
    if excess == Excess::Refuse && (dropped != 0 || rest_dropped) {
        return Err(MoneyError::TooPrecise(clip(text), places));
    }
    if dropped > 5 || (dropped == 5 && (rest_dropped || value % 2 == 1)) {
        value += 1;
    }
    if parts.negative {
        value = -value;
    }
    i64::try_from(value).map_err(|_| out_of_range())
}

/// Splits by the grammar of a JSON number, with leading zeros allowed as other sources write them.
fn split(text: &[u8]) -> Option<Parts<'_>> {
    let (negative, text) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, text),
    };
    let (mantissa, exponent) = match text.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (text.get(..at)?, parse_exponent(text.get(at + 1..)?)?),
        None => (text, 0),
    };
    let (whole, fraction) = match mantissa.iter().position(|byte| *byte == b'.') {
        Some(at) => {
            let fraction = mantissa.get(at + 1..)?;
            if fraction.is_empty() {
                return None;
            }
            (mantissa.get(..at)?, fraction)
        }
        None => (mantissa, &[][..]),
    };
    let digits_only = whole.iter().chain(fraction).all(u8::is_ascii_digit);
    (digits_only && !whole.is_empty()).then_some(Parts { negative, whole, fraction, exponent })
}

/// An exponent beyond nine digits cannot matter: it is clamped, and the range check decides.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut value: i64 = 0;
    for digit in digits {
        value = (value * 10 + i64::from(digit - b'0')).min(1_000_000_000);
    }
    Some(if negative { -value } else { value })
}

/// Error texts quote at most this much of what a stranger sent.
fn clip(text: &str) -> String {
    text.chars().take(60).collect()
}

/// `numerator / denominator`, rounded half to even. The denominator must be positive.
pub(crate) fn divide_half_even(numerator: i128, denominator: i128) -> i128 {
    let quotient = numerator.div_euclid(denominator);
    let remainder = numerator.rem_euclid(denominator);
    let up = match (remainder * 2).cmp(&denominator) {
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => quotient % 2 != 0,
        std::cmp::Ordering::Less => false,
    };
    quotient + i128::from(up)
}

/// `numerator / denominator`, rounded half away from zero. The denominator must be positive.
pub(crate) fn divide_half_away(numerator: i128, denominator: i128) -> i128 {
    let magnitude = (numerator.abs() * 2 + denominator) / (denominator * 2);
    if numerator < 0 { -magnitude } else { magnitude }
}

/// Writes `value × 10^-places` with no trailing zeros and at least `least` decimal places.
pub(crate) fn format_scaled(value: i64, places: u32, least: usize) -> String {
    let scale = 10_u64.pow(places);
    let magnitude = value.unsigned_abs();
    let sign = if value < 0 { "-" } else { "" };
    let width = usize::try_from(places).unwrap_or(0);
    let mut fraction = format!("{:0width$}", magnitude % scale);
    while fraction.len() > least && fraction.ends_with('0') {
        fraction.pop();
    }
    let whole = magnitude / scale;
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nano(text: &str) -> Result<i64, MoneyError> {
        parse_scaled(text, 9, Excess::RoundHalfEven)
    }

    #[test]
    fn reads_every_form_in_which_a_cost_was_seen() {
        for (text, expected) in [
            ("0", 0),
            ("-0", 0),
            ("0.0", 0),
            ("1e-7", 100),
            ("4e-6", 4_000),
            ("5.7915e-06", 5_792),
            ("0.0000057915", 5_792),
            ("0.0013162506673300167", 1_316_251),
            ("1.5E+1", 15_000_000_000),
            ("12", 12_000_000_000),
            ("9223372036.854775807", i64::MAX),
            ("-9223372036.854775808", i64::MIN),
            ("0.0000000005", 0),
            ("0.0000000015", 2),
            ("0.00000000050000000000000000000000000000000001", 1),
            ("1e-400", 0),
            ("0e400", 0),
            ("5e-10", 0),
            ("0.6e-9", 1),
        ] {
            assert_eq!(nano(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_an_amount() {
        for text in [
            "", "-", ".", "1.", ".5", "1e", "1e+", "0x1", "1,5", "NaN", "Infinity", " 1", "1 ", "--1",
            "1e1.5",
        ] {
            assert_eq!(nano(text), Err(MoneyError::NotANumber(text.into())), "{text}");
        }
        for text in ["1e300", "9223372036.8547758075", "-9223372036.854775809", "99999999999999999999999999"]
        {
            assert_eq!(nano(text), Err(MoneyError::OutOfRange(text.into())), "{text}");
        }
    }

    #[test]
    fn divisions_round_as_their_names_say() {
        for (numerator, even, away) in [
            (5, 0, 1),
            (15, 2, 2),
            (25, 2, 3),
            (-5, 0, -1),
            (-15, -2, -2),
            (-25, -2, -3),
            (26, 3, 3),
            (-24, -2, -2),
        ] {
            assert_eq!(divide_half_even(numerator, 10), even, "{numerator} even");
            assert_eq!(divide_half_away(numerator, 10), away, "{numerator} away");
        }
    }

    proptest! {
        /// rust_decimal is an independent implementation of the same arithmetic.
        #[test]
        fn agrees_with_an_independent_decimal_library(mantissa in -9_999_999_999_999_999_i64..9_999_999_999_999_999, scale in 0_u32..25) {
            let decimal = rust_decimal::Decimal::from_i128_with_scale(i128::from(mantissa), scale);
            let nanos = (decimal.round_dp_with_strategy(9, rust_decimal::RoundingStrategy::MidpointNearestEven)
                .checked_mul(rust_decimal::Decimal::from(1_000_000_000_i64))).and_then(|scaled| i64::try_from(scaled.normalize()).ok());
            match nanos {
                Some(nanos) => prop_assert_eq!(nano(&decimal.to_string()), Ok(nanos)),
                None => prop_assert!(nano(&decimal.to_string()).is_err()),
            }
        }

        #[test]
        fn exponent_form_means_the_same(mantissa in -99_999_999_i64..99_999_999, exponent in -12_i32..2) {
            let plain = rust_decimal::Decimal::from_scientific(&format!("{mantissa}e{exponent}")).unwrap();
            prop_assert_eq!(nano(&format!("{mantissa}e{exponent}")), nano(&plain.to_string()));
        }

        #[test]
        fn formatting_and_parsing_are_inverse(value: i64) {
            prop_assert_eq!(nano(&format_scaled(value, 9, 0)), Ok(value));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = nano(&text);
        }
    }
}
