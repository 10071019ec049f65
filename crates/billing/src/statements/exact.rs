//! Amounts in the canonical JSON: numbers with exactly the digits of their value, which never pass through a float.

/// A module of (de)serialisation for a type with `Display` and an own `parse`.
macro_rules! exact {
    ($name:ident, $type:ty) => {
        pub(super) mod $name {
            use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de, ser};
            use serde_json::value::RawValue;

            pub(in crate::statements) fn serialize<S: Serializer>(
                value: &$type,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                RawValue::from_string(value.to_string()).map_err(ser::Error::custom)?.serialize(serializer)
            }

            pub(in crate::statements) fn deserialize<'de, D: Deserializer<'de>>(
                deserializer: D,
            ) -> Result<$type, D::Error> {
                let raw = Box::<RawValue>::deserialize(deserializer)?;
                <$type>::parse(raw.get()).map_err(de::Error::custom)
            }
        }
    };
}

/// The same for an optional one; none is null.
macro_rules! optional {
    ($optional:ident, $name:ident, $type:ty) => {
        pub(super) mod $optional {
            use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de};
            use serde_json::value::RawValue;

            #[expect(clippy::ref_option, reason = "serde calls it with a reference")]
            pub(in crate::statements) fn serialize<S: Serializer>(
                value: &Option<$type>,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                match value {
                    Some(value) => super::$name::serialize(value, serializer),
                    None => None::<()>.serialize(serializer),
                }
            }

            pub(in crate::statements) fn deserialize<'de, D: Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Option<$type>, D::Error> {
                let raw = Option::<Box<RawValue>>::deserialize(deserializer)?;
                let parse = |raw: Box<RawValue>| <$type>::parse(raw.get()).map_err(de::Error::custom);
                raw.map(parse).transpose()
            }
        }
    };
}

exact!(usd, mai_primitives::Usd);
exact!(pln, mai_primitives::Pln);
exact!(rate, mai_primitives::UsdPlnRate);
optional!(pln_option, pln, mai_primitives::Pln);
