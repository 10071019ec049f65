//! Ids that cannot be mixed up.
//!
//! Each is a short text of somebody else's making, so the constructors check what would hurt us
//! later: emptiness, length, and control characters. Clones are cheap, as an id travels with every
//! request.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// The longest id that we store, in bytes.
pub const MAX_ID_BYTES: usize = 255;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdError {
    /// Nothing, or only white space.
    #[error("the {0} is empty")]
    Empty(&'static str),
    /// More than [`MAX_ID_BYTES`].
    #[error("the {0} has {1} bytes; at most {MAX_ID_BYTES} are allowed")]
    TooLong(&'static str, usize),
    /// A control character, which PostgreSQL (NUL) or a log line would choke on.
    #[error("the {0} contains a control character")]
    ControlCharacter(&'static str),
}

fn check(what: &'static str, text: &str) -> Result<(), IdError> {
    if text.trim().is_empty() {
        Err(IdError::Empty(what))
    } else if text.len() > MAX_ID_BYTES {
        Err(IdError::TooLong(what, text.len()))
    } else if text.chars().any(char::is_control) {
        Err(IdError::ControlCharacter(what))
    } else {
        Ok(())
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "diesel", derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow))]
        #[cfg_attr(feature = "diesel", diesel(sql_type = diesel::sql_types::Text))]
        pub struct $name(Arc<str>);

        impl $name {
            #[doc = concat!("Checks `text` and makes it a ", $what, ".")]
            pub fn new(text: impl AsRef<str>) -> Result<Self, IdError> {
                let text = text.as_ref();
                check($what, text)?;
                Ok(Self(text.into()))
            }

            /// The text of the id.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
                Self::new(text).map_err(serde::de::Error::custom)
            }
        }

        #[cfg(feature = "diesel")]
        crate::sql::text_column!($name);
    };
}

text_id!(
    /// A client organization: `org_…`, or the value of `OPENROUTER_EXTERNAL_USER` in
    /// single-organization mode.
    OrganizationId,
    "organization id"
);
text_id!(
    /// A member as our own side knows it; with Open WebUI the UUID of its user.
    UserId,
    "user id"
);
text_id!(
    /// The value that OpenRouter gets as `user` for a member: `{organization}_user_{16 hex}`.
    OpenRouterUserId,
    "OpenRouter user id"
);
text_id!(
    /// One generation: OpenRouter's `gen-…`, a caller's request id, or an id that we made because
    /// there was none.
    GenerationId,
    "generation id"
);
text_id!(
    /// A model slug such as `anthropic/claude-sonnet-4`.
    ModelName,
    "model name"
);

impl UserId {
    /// The user of calls whose sender nobody named.
    pub const UNATTRIBUTED: &'static str = "unattributed";

    /// The user of usage that a person entered without naming one; the original's.
    pub const MANUAL: &'static str = "manual_admin";

    /// The user of calls whose sender nobody named.
    pub fn unattributed() -> Self {
        Self(Self::UNATTRIBUTED.into())
    }
}

impl GenerationId {
    /// An id of our own making, for calls to which upstream gave none: `mai-` and 32 hex digits.
    pub fn own(number: u128) -> Self {
        Self(format!("mai-{number:032x}").into())
    }
}

impl ModelName {
    /// The model of generations of which no source names one.
    pub fn unknown() -> Self {
        Self("unknown".into())
    }

    /// The author's slug: what stands before the first `/`; none where there is no `/`.
    pub fn author(&self) -> Option<&str> {
        self.0.split_once('/').map(|(author, _)| author).filter(|author| !author.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constructors_refuse_what_would_hurt_later() {
        assert_eq!(UserId::new("  "), Err(IdError::Empty("user id")));
        assert_eq!(UserId::new("x".repeat(256)), Err(IdError::TooLong("user id", 256)));
        assert_eq!(UserId::new("a\0b"), Err(IdError::ControlCharacter("user id")));
        assert_eq!(UserId::new("Żółw <img src=x>").unwrap().as_str(), "Żółw <img src=x>");
        assert!(serde_json::from_str::<GenerationId>("\"\"").is_err());
        let id: GenerationId = serde_json::from_str("\"gen-\\u0031\"").unwrap();
        assert_eq!(id.as_str(), "gen-1");
    }

    #[test]
    fn the_author_of_a_model() {
        let author = |name: &str| ModelName::new(name).unwrap().author().map(str::to_owned);
        assert_eq!(author("x-ai/grok-4:free").as_deref(), Some("x-ai"));
        assert_eq!(author("grok"), None);
        assert_eq!(author("/grok"), None);
    }
}
