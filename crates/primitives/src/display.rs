//! How people see money: the display rules of the product contract, section 5.
//!
//! Rounding for display is half away from zero, and happens here only.

use crate::{decimal::divide_half_away, pln::Pln, usd::Usd};

/// No-break space, which Polish typography puts between digit groups and before the currency.
const NBSP: char = '\u{a0}';

/// US style: `$12,345.68`, `-$3.50`; six decimals where the amount is above zero and below one cent.
pub fn usd(amount: Usd) -> String {
    let nanos = i128::from(amount.nanos());
    let places = if (1..10_000_000).contains(&nanos) { 6_u32 } else { 2 };
    let rounded = divide_half_away(nanos, 10_i128.pow(9 - places));
    let scale = 10_u128.pow(places);
    let magnitude = rounded.unsigned_abs();
    let sign = if rounded < 0 { "-" } else { "" };
    let width = usize::try_from(places).unwrap_or(2);
    format!("{sign}${}.{:0width$}", grouped(magnitude / scale, ',', 4), magnitude % scale)
}

/// Polish style: `1234,50 zł`, `12 345,68 zł` with no-break spaces; groups begin at five digits.
pub fn pln(amount: Pln) -> String {
    let magnitude = u128::from(amount.grosz().unsigned_abs());
    let sign = if amount.grosz() < 0 { "-" } else { "" };
    format!("{sign}{},{:02}{NBSP}zł", grouped(magnitude / 100, NBSP, 5), magnitude % 100)
}

/// Both currencies: `$1.00 (3,64 zł)`; dollars alone while there is no rate.
pub fn dual(dollars: Usd, zloty: Option<Pln>) -> String {
    match zloty {
        Some(zloty) => format!("{} ({})", usd(dollars), pln(zloty)),
        None => usd(dollars),
    }
}

/// Digits in groups of three from `least` digits on.
fn grouped(number: u128, separator: char, least: usize) -> String {
    let digits = number.to_string();
    if digits.len() < least {
        return digits;
    }
    let mut text = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(separator);
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_as_the_original_showed_them() {
        for (amount, shown) in [
            ("0", "$0.00"),
            ("0.000123", "$0.000123"),
            ("0.0000001", "$0.000000"),
            ("0.00999999", "$0.010000"),
            ("0.01", "$0.01"),
            ("0.015", "$0.02"),
            ("999.994", "$999.99"),
            ("12345.678", "$12,345.68"),
            ("1234567.005", "$1,234,567.01"),
            ("-3.5", "-$3.50"),
            ("-0.005", "-$0.01"),
        ] {
            assert_eq!(usd(Usd::parse(amount).unwrap()), shown, "{amount}");
        }
    }

    #[test]
    fn zloty_as_poles_write_them() {
        assert_eq!(pln(Pln::from_grosz(123_450)), "1234,50\u{a0}zł");
        assert_eq!(pln(Pln::from_grosz(1_234_568)), "12\u{a0}345,68\u{a0}zł");
        assert_eq!(pln(Pln::from_grosz(-5)), "-0,05\u{a0}zł");
        assert_eq!(dual(Usd::from_nanos(1_000_000_000), Some(Pln::from_grosz(364))), "$1.00 (3,64\u{a0}zł)");
        assert_eq!(dual(Usd::from_nanos(1_000_000_000), None), "$1.00");
    }
}
