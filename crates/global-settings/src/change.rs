//! [`Change`]: a field of a partial update whose value can also be taken away.

use serde::{Deserialize, Deserializer};

/// What a partial update does to a nullable field.
///
/// In JSON a missing field keeps the value (with `#[serde(default)]` on the field), `null` clears
/// it, and anything else sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Change<T> {
    /// The field stays as it is.
    #[default]
    Keep,
    /// The field becomes null.
    Clear,
    /// The field gets this value.
    Set(T),
}

impl<T> Change<T> {
    /// The value after the change, where `old` is the value before it.
    pub fn apply(self, old: Option<T>) -> Option<T> {
        match self {
            Self::Keep => old,
            Self::Clear => None,
            Self::Set(value) => Some(value),
        }
    }

    /// The same change of another type.
    pub fn map<U>(self, map: impl FnOnce(T) -> U) -> Change<U> {
        match self {
            Self::Keep => Change::Keep,
            Self::Clear => Change::Clear,
            Self::Set(value) => Change::Set(map(value)),
        }
    }

    /// As [`Self::map`], where the new value may be refused.
    pub fn try_map<U, E>(self, map: impl FnOnce(T) -> Result<U, E>) -> Result<Change<U>, E> {
        Ok(match self {
            Self::Keep => Change::Keep,
            Self::Clear => Change::Clear,
            Self::Set(value) => Change::Set(map(value)?),
        })
    }

    /// What happens to the field without its value, which may be a secret; none where it stays.
    pub const fn word(&self) -> Option<&'static str> {
        match self {
            Self::Keep => None,
            Self::Clear => Some("cleared"),
            Self::Set(_) => Some("changed"),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Patch {
        #[serde(default)]
        limit: Change<u8>,
    }

    #[test]
    fn missing_null_and_value_are_three_things() {
        for (json, expected, from_one) in [
            ("{}", Change::Keep, Some(1)),
            ("{\"limit\":null}", Change::Clear, None),
            ("{\"limit\":5}", Change::Set(5), Some(5)),
        ] {
            let patch: Patch = serde_json::from_str(json).unwrap();
            assert_eq!(patch.limit, expected, "{json}");
            assert_eq!(patch.limit.apply(Some(1)), from_one, "{json}");
        }
    }
}
