//! The exact sum of two decimal number texts.
//!
//! A BYOK call has two charges. Rounding each and adding would round twice, so they are added as decimals of any scale
//! and the text of the sum is rounded once by its reader.

/// `digits` times ten to the power of `exponent`, not negative.
struct Decimal {
    digits: i128,
    exponent: i32,
}

/// The sum of two non-negative numbers in the grammar of JSON, in exponent form such as `21976e-5`.
///
/// None if one of them is no such number, or if the sum needs more than 38 digits from its first to its last one. Sums
/// of money do not: a float has 17 digits, and costs lie between 1e-12 and 1e6.
pub fn exact_sum(left: &str, right: &str) -> Option<String> {
    let (left, right) = (parse(left)?, parse(right)?);
    let exponent = left.exponent.min(right.exponent);
    let sum = scaled(&left, exponent)?.checked_add(scaled(&right, exponent)?)?;
    Some(format!("{sum}e{exponent}"))
}

/// The digits of `number` when it is written with the smaller `exponent`.
fn scaled(number: &Decimal, exponent: i32) -> Option<i128> {
    if number.digits == 0 {
        return Some(0);
    }
    let shift = u32::try_from(number.exponent.checked_sub(exponent)?).ok()?;
    number.digits.checked_mul(10_i128.checked_pow(shift)?)
}

fn parse(text: &str) -> Option<Decimal> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse().ok()?),
        None => (text, 0_i32),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    if digits < 0 {
        return None;
    }
    if digits == 0 {
        return Some(Decimal { digits, exponent: 0 });
    }
    Some(Decimal { digits, exponent: exponent.checked_sub(i32::try_from(fraction.len()).ok()?)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Usd;
    use proptest::prelude::*;

    #[test]
    fn adds_without_rounding() {
        for (left, right, sum) in [
            ("0", "0.21976", "21976e-5"),
            ("0.21976", "0", "21976e-5"),
            ("1e-7", "2", "20000001e-7"),
            ("1.50", "1.5E+1", "165e-1"),
            ("0.0", "0e300", "0e0"),
            ("0.0013162506673300167", "5.7915e-06", "13220421673300167e-19"),
        ] {
            assert_eq!(exact_sum(left, right).as_deref(), Some(sum), "{left} + {right}");
        }
    }

    #[test]
    fn two_halves_of_the_last_place_are_rounded_once() {
        let sum = exact_sum("0.0000000004", "0.0000000004").unwrap();
        assert_eq!(Usd::parse(&sum).unwrap().nanos(), 1);
    }

    #[test]
    fn a_sum_that_cannot_be_exact_is_none() {
        assert_eq!(exact_sum("1e300", "1"), None);
        assert_eq!(exact_sum("1e-2147483648", "0.5"), None);
        assert_eq!(exact_sum("1.5e-2147483648", "1"), None);
        assert_eq!(exact_sum("-1", "1"), None);
        assert_eq!(exact_sum("x", "1"), None);
    }

    proptest! {
        #[test]
        fn equals_the_sum_of_whole_nanos(left in 0..=1_000_000_000_000_i64, right in 0..=1_000_000_000_000_i64) {
            let left_text = Usd::from_nanos(left).to_string();
            let right_text = format!("{right}e-9");
            let sum = Usd::parse(&exact_sum(&left_text, &right_text).unwrap()).unwrap();
            prop_assert_eq!(sum.nanos(), left + right);
        }
    }
}
