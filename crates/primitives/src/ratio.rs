//! Shares, changes and averages: exact quotients of whole numbers that are rounded once, half away
//! from zero, and never a float.

use crate::{decimal::divide_half_away, usd::Usd};

const MILLION: i128 = 1_000_000;

/// `part / whole` in parts per million. None where `whole` is zero or the result leaves the range.
pub fn parts_per_million(part: impl Into<i128>, whole: impl Into<i128>) -> Option<i64> {
    rounded(part.into().checked_mul(MILLION)?, whole.into())
}

/// By how much `now` differs from `before`, in parts per million of `before`: 250,000 is a quarter
/// more. None where there was nothing before.
pub fn change_per_million(now: impl Into<i128>, before: impl Into<i128>) -> Option<i64> {
    let before = before.into();
    parts_per_million(now.into().checked_sub(before)?, before)
}

/// `numerator / denominator` as a decimal text with at most `places` decimal places and no trailing
/// zeros. None where the denominator is zero or the result leaves the range.
pub fn decimal(numerator: impl Into<i128>, denominator: impl Into<i128>, places: u32) -> Option<String> {
    let scaled = numerator.into().checked_mul(10_i128.checked_pow(places)?)?;
    Some(crate::decimal::format_scaled(rounded(scaled, denominator.into())?, places, 0))
}

/// What `unit` of something cost on average when `count` of it cost `amount`, to the nano-dollar.
/// None where nothing was counted or the result leaves the range.
pub fn unit_cost(amount: Usd, count: i64, unit: u32) -> Option<Usd> {
    let amount = i128::from(amount.nanos()) * i128::from(unit);
    rounded(amount, i128::from(count)).map(Usd::from_nanos)
}

/// The quotient; both may have any sign.
fn rounded(numerator: i128, denominator: i128) -> Option<i64> {
    // Twice of either is computed on the way.
    let is_far = |number: i128| number.unsigned_abs() > i128::MAX.unsigned_abs() / 4;
    if denominator == 0 || is_far(numerator) || is_far(denominator) {
        return None;
    }
    let (numerator, denominator) =
        if denominator < 0 { (-numerator, -denominator) } else { (numerator, denominator) };
    i64::try_from(divide_half_away(numerator, denominator)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shares_and_changes() {
        assert_eq!(parts_per_million(12, 27), Some(444_444));
        assert_eq!(parts_per_million(2, 3), Some(666_667));
        assert_eq!(parts_per_million(5, 0), None);
        assert_eq!(parts_per_million(i64::MAX, i64::MAX), Some(1_000_000));
        assert_eq!(change_per_million(5, 4), Some(250_000));
        assert_eq!(change_per_million(0, 4), Some(-1_000_000));
        assert_eq!(change_per_million(4, 0), None);
        // 9e18 millionths of one do not fit.
        assert_eq!(change_per_million(i64::MAX, 1), None);
    }

    #[test]
    fn decimals_are_rounded_half_away_from_zero() {
        for (numerator, denominator, places, text) in [
            (30, 100, 6, "0.3"),
            (1, 3, 6, "0.333333"),
            (-1, 8, 2, "-0.13"),
            (1, -8, 2, "-0.13"),
            (7, 1, 2, "7"),
            (0, 5, 2, "0"),
        ] {
            assert_eq!(decimal(numerator, denominator, places).as_deref(), Some(text));
        }
        assert_eq!(decimal(1, 0, 2), None);
        assert_eq!(decimal(i128::MAX, 1, 2), None);
        assert_eq!(decimal(1, 1, 60), None);
    }

    #[test]
    fn a_thousand_tokens_cost_a_whole_number_of_nanos() {
        assert_eq!(unit_cost(Usd::from_nanos(1), 2_000, 1_000), Some(Usd::from_nanos(1)));
        assert_eq!(unit_cost(Usd::from_nanos(1), 2_001, 1_000), Some(Usd::ZERO));
        assert_eq!(unit_cost(Usd::from_nanos(10), 3, 1), Some(Usd::from_nanos(3)));
        assert_eq!(unit_cost(Usd::from_nanos(10), 0, 1_000), None);
        assert_eq!(unit_cost(Usd::from_nanos(i64::MAX), 1, 1_000), None);
    }

    proptest! {
        #[test]
        fn no_quotient_is_further_away_than_a_half(part: i64, whole in 1_i64..) {
            if let Some(ppm) = parts_per_million(part, whole) {
                let distance = i128::from(part) * MILLION - i128::from(ppm) * i128::from(whole);
                prop_assert!(distance.abs() * 2 <= i128::from(whole));
            }
        }
    }
}
