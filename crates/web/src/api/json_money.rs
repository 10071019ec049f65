//! Money, rates and percentages as JSON numbers with their exact digits, as the compatibility API shows and
//! takes them.

use std::fmt::Display;

use mai_primitives::{MarkupRate, Pln, Usd, UsdPlnRate};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serde_json::value::RawValue;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

/// An amount that is written as a JSON number, digit by digit and never by way of a float. It is read
/// from a number, or from a text with the same digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JsonUsd(pub(crate) Usd);

/// A markup rate such as `1.3`, in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JsonRate(pub(crate) MarkupRate);

/// An amount in złoty with two decimals, in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JsonPln(pub(crate) Pln);

/// How many PLN one USD is worth; it is only written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JsonUsdPln(pub(crate) UsdPlnRate);

/// A decimal text that is written as the number that it is, such as a percentage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonDecimal(pub(crate) String);

macro_rules! written_as_a_number {
    ($($type:ident),+) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                number(self.0.to_string()).map_err(serde::ser::Error::custom)?.serialize(serializer)
            }
        }
    )+};
}

written_as_a_number!(JsonUsd, JsonRate, JsonPln, JsonUsdPln, JsonDecimal);

impl<'de> Deserialize<'de> for JsonUsd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse(deserializer, Usd::parse).map(Self)
    }
}

impl<'de> Deserialize<'de> for JsonRate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse(deserializer, MarkupRate::parse).map(Self)
    }
}

impl<'de> Deserialize<'de> for JsonPln {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse(deserializer, Pln::parse).map(Self)
    }
}

/// The digits of a number as they stand, or those of a text.
fn parse<'de, D: Deserializer<'de>, T, E: Display>(
    deserializer: D,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    let text = match raw.get().strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"').unwrap_or_default(),
        None => raw.get(),
    };
    parse(text).map_err(|error| D::Error::custom(format!("`{}`: {error}", cut(raw.get()))))
}

fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}

/// A decimal text that becomes a JSON number as it stands.
fn number(decimal: String) -> Result<Box<RawValue>, serde_json::Error> {
    RawValue::from_string(decimal)
}

macro_rules! number_schema {
    ($type:ident, $description:literal) => {
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new().schema_type(Type::Number).description(Some($description)).into()
            }
        }

        impl ToSchema for $type {}
    };
}

number_schema!(JsonUsd, "US dollars, exact, with up to nine decimals");
number_schema!(JsonRate, "a factor with up to six decimals, such as 1.3");
number_schema!(JsonPln, "Polish złoty with two decimals; null while there is no exchange rate");
number_schema!(JsonUsdPln, "PLN for one USD, with four decimals");
number_schema!(JsonDecimal, "an exact decimal");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digit_reaches_the_json_and_comes_back() {
        for (nanos, json) in [(9_007_199_254_740_993, "9007199.254740993"), (0, "0"), (-1, "-0.000000001")] {
            let amount = JsonUsd(Usd::from_nanos(nanos));
            assert_eq!(serde_json::to_string(&amount).unwrap(), json);
            assert_eq!(serde_json::from_str::<JsonUsd>(json).unwrap(), amount);
            assert_eq!(serde_json::from_str::<JsonUsd>(&format!("\"{json}\"")).unwrap(), amount);
        }
        let rate: JsonRate = serde_json::from_str("1.25").unwrap();
        assert_eq!((rate.0.ppm(), serde_json::to_string(&rate).unwrap().as_str()), (1_250_000, "1.25"));
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for wrong in ["null", "true", "\"\"", "\"", "[1]", "\"1e400\"", "\"NaN\"", "99999999999"] {
            assert!(serde_json::from_str::<JsonUsd>(wrong).is_err(), "{wrong}");
        }
        for wrong in ["0", "-1", "\"x\""] {
            assert!(serde_json::from_str::<JsonRate>(wrong).is_err(), "{wrong}");
        }
    }
}
