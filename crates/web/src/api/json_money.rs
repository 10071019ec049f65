//! Money as JSON numbers with its exact digits, as the compatibility API shows it.

use mai_primitives::Usd;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// An amount that is written as a JSON number, digit by digit and never by way of a float.
#[derive(Debug, Clone, Copy)]
pub(super) struct JsonUsd(pub(super) Usd);

impl Serialize for JsonUsd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        number(self.0.to_string()).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

/// A decimal text that becomes a JSON number as it stands.
pub(super) fn number(decimal: String) -> Result<Box<RawValue>, serde_json::Error> {
    RawValue::from_string(decimal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digit_reaches_the_json() {
        for (nanos, json) in [(9_007_199_254_740_993, "9007199.254740993"), (0, "0"), (-1, "-0.000000001")] {
            assert_eq!(serde_json::to_string(&JsonUsd(Usd::from_nanos(nanos))).unwrap(), json);
        }
    }
}
