//! The original's five categories of models, by what a million tokens cost.

use mai_openrouter::{PriceKind, UnitPrices};
use mai_primitives::Usd;

/// Up to where a category goes: the price of a million tokens of the prompt and a million of the answer together, which is
/// twice their average. The original compares the average with 1, 5, 10 and 50 USD.
const BELOW: [(i64, &str); 4] = [
    (2_000_000_000, "Budget"),
    (10_000_000_000, "Standard"),
    (20_000_000_000, "Fast"),
    (100_000_000_000, "Premium"),
];

/// `Budget`, `Standard`, `Fast`, `Premium` or `Reasoning`, by the average raw price of prompt and answer. None where one of
/// them is not known.
pub fn category(prices: &UnitPrices) -> Option<&'static str> {
    let million = |kind| prices.get(&kind).map(|price| price.per_million());
    let sum: Usd = million(PriceKind::Prompt)?.checked_add(million(PriceKind::Completion)?)?;
    let found = BELOW.iter().find(|(bound, _)| sum.nanos() < *bound);
    Some(found.map_or("Reasoning", |(_, name)| name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mai_primitives::UnitPrice;

    #[test]
    fn the_average_decides() {
        for (input, output, expected) in [
            ("0", "0", "Budget"),
            ("0.5", "1.499999999", "Budget"),
            ("0.5", "1.5", "Standard"),
            ("2", "7.999999999", "Standard"),
            ("4", "6", "Fast"),
            ("9", "10.999999999", "Fast"),
            ("10", "10", "Premium"),
            ("20", "79.999999999", "Premium"),
            ("20", "80", "Reasoning"),
            ("60", "240", "Reasoning"),
        ] {
            let price = |text| UnitPrice::of_million(Usd::parse(text).unwrap());
            let prices =
                UnitPrices::from([(PriceKind::Prompt, price(input)), (PriceKind::Completion, price(output))]);
            assert_eq!(category(&prices), Some(expected), "{input} {output}");
        }
        assert_eq!(category(&UnitPrices::new()), None);
    }
}
