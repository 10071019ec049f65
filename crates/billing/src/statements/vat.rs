//! [`Vat`]: how a statement is taxed.

use std::{fmt, str::FromStr};

use mai_primitives::Pln;

/// The text of a sale that is not taxed here.
const NOT_APPLICABLE: &str = "not_applicable";
/// A hundred percent.
const WHOLE: u32 = 10_000;

/// The VAT of a statement, stored as basis points (`2300` is 23 %) or `not_applicable`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vat {
    /// A rate in basis points, 0 to 10,000.
    Rate(u32),
    /// None is charged, such as where the buyer owes it abroad. A note has to say by which rule.
    NotApplicable,
}

impl Vat {
    /// A rate of so many basis points; none above a hundred percent.
    pub fn rate(basis_points: u32) -> Option<Self> {
        (basis_points <= WHOLE).then_some(Self::Rate(basis_points))
    }

    /// The tax on a net amount, rounded once, half away from zero to the grosz. None where it leaves the range.
    pub fn of(self, net: Pln) -> Option<Pln> {
        match self {
            Self::Rate(basis_points) => net.share(basis_points, WHOLE),
            Self::NotApplicable => Some(Pln::ZERO),
        }
    }

    /// The rate in percent as people write it, such as `23` or `8.5`; none where there is none.
    pub fn percent(self) -> Option<String> {
        let Self::Rate(points) = self else { return None };
        let text = format!("{}.{:02}", points / 100, points % 100);
        Some(text.trim_end_matches('0').trim_end_matches('.').to_owned())
    }
}

impl fmt::Display for Vat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate(basis_points) => basis_points.fmt(f),
            Self::NotApplicable => f.write_str(NOT_APPLICABLE),
        }
    }
}

impl FromStr for Vat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == NOT_APPLICABLE {
            return Ok(Self::NotApplicable);
        }
        let rate = text.parse().ok().and_then(Self::rate);
        rate.ok_or_else(|| "must be 0 to 10000 basis points or `not_applicable`".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vat_is_rounded_once_half_away_from_zero() {
        for (net, vat, tax) in [
            ("100.00", "2300", "23.00"),
            ("0.02", "2300", "0.00"),
            // 23 % of 0.50 is 0.115: the half goes away from zero, both ways.
            ("0.50", "2300", "0.12"),
            ("-0.50", "2300", "-0.12"),
            ("1234.56", "2300", "283.95"),
            ("1234.56", "800", "98.76"),
            ("1234.56", "0", "0.00"),
            ("1234.56", "not_applicable", "0.00"),
        ] {
            let vat: Vat = vat.parse().unwrap();
            assert_eq!(vat.of(Pln::parse(net).unwrap()).unwrap().to_string(), tax, "{net} {vat}");
        }
    }

    #[test]
    fn rates_are_read_and_written() {
        for (text, percent) in [
            ("2300", Some("23")),
            ("850", Some("8.5")),
            ("0", Some("0")),
            ("not_applicable", None),
            ("1000", Some("10")),
        ] {
            let vat: Vat = text.parse().unwrap();
            assert_eq!((vat.to_string().as_str(), vat.percent().as_deref()), (text, percent));
        }
        for wrong in ["", "23%", "-1", "10001", "zw"] {
            assert!(wrong.parse::<Vat>().is_err(), "{wrong}");
        }
    }
}
