//! The journal's records: what is known about a call, as JSON, one record a payload.
//!
//! A settled record repeats the whole call, so that its opened record may be forgotten first.

use mai_generation_processing::{PendingReason, UsageSource};
use mai_openrouter::{Observation, Usage, UsageReport};
use mai_primitives::{GenerationId, ModelName, Usd};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::call::Call;

/// A record that cannot be written or read, which only a defect or a foreign file can cause.
#[derive(Debug, Error)]
#[error("a journal record cannot be encoded or read")]
pub struct RecordFormatError(#[from] serde_json::Error);

/// One record of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// The call is about to be sent upstream.
    Sent(Sent),
    /// Upstream has accepted the call.
    Opened(Opened),
    /// What is known of an open call, written again so that old segments can be deleted under a long one.
    Carried(OpenCall),
    /// The call is over, and this is what is known.
    Settled(Settled),
}

/// A call that is about to be sent. It is written without waiting for the disk, so it survives a crash
/// of the process and, for a moment, not one of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The call.
    pub call: Call,
}

/// A call that was sent and is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenCall {
    /// The call.
    pub call: Call,
    /// The id by which upstream knows it, once upstream has accepted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation_id: Option<GenerationId>,
}

impl From<Sent> for OpenCall {
    fn from(sent: Sent) -> Self {
        Self { call: sent.call, generation_id: None }
    }
}

impl From<Opened> for OpenCall {
    fn from(opened: Opened) -> Self {
        Self { call: opened.call, generation_id: Some(opened.generation_id) }
    }
}

/// A call that upstream has accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The call.
    pub call: Call,
    /// The id by which upstream knows it.
    pub generation_id: GenerationId,
}

/// A call that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// The call.
    pub call: Call,
    /// The id by which upstream knows it, where it told us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation_id: Option<GenerationId>,
    /// What is known about its cost.
    pub outcome: Outcome,
    /// Who told us: our own gateway, if nothing is written.
    #[serde(default = "gateway", skip_serializing_if = "is_gateway", with = "text")]
    pub source: UsageSource,
}

/// What is known about the cost of a call that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Upstream reported exact usage.
    Exact(ExactUsage),
    /// The generation exists, its cost is not known.
    Unknown {
        /// Why it is not known.
        #[serde(with = "text")]
        reason: PendingReason,
    },
    /// Upstream refused or failed the call and charges nothing.
    Failed {
        /// The HTTP status, or 0 where there was no answer.
        status: u16,
        /// A short word for what happened.
        reason: String,
    },
}

/// Exact usage, as upstream reported it. Amounts are nano-dollars, counts are native tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExactUsage {
    /// The model that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelName>,
    /// The host that served it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving_provider: Option<String>,
    /// Prompt tokens.
    pub input_tokens: i64,
    /// Completion tokens.
    pub output_tokens: i64,
    /// Part of the prompt tokens that came from a cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<i64>,
    /// Part of the prompt tokens that went into a cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<i64>,
    /// Part of the completion tokens that was reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<i64>,
    /// The raw cost in nano-dollars.
    pub cost_nanos: i64,
    /// Upstream's own text of the cost.
    pub cost_text: String,
    /// Whether the organization's own provider key was charged.
    pub is_byok: bool,
    /// Whether the token counts are not the native ones. The cost is exact all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tokens_estimated: bool,
}

impl ExactUsage {
    /// The usage with the names that go with it. Names that we could not store are left out.
    pub fn new(usage: &Usage, model: Option<&str>, serving_provider: Option<&str>) -> Self {
        Self {
            model: model.and_then(|name| ModelName::new(name).ok()),
            serving_provider: serving_provider.map(str::to_owned),
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cached_tokens: usage.cached_tokens,
            cache_write_tokens: usage.cache_write_tokens,
            reasoning_tokens: usage.reasoning_tokens,
            cost_nanos: usage.cost.nanos(),
            cost_text: usage.cost_text.clone(),
            is_byok: usage.is_byok,
            tokens_estimated: false,
        }
    }

    /// The raw cost.
    pub const fn cost(&self) -> Usd {
        Usd::from_nanos(self.cost_nanos)
    }
}

impl Outcome {
    /// What an observed answer says; `otherwise` is why its usage would be missing.
    pub fn of(seen: &Observation, otherwise: PendingReason) -> Self {
        match &seen.usage {
            UsageReport::Exact(usage) => {
                Self::Exact(ExactUsage::new(usage, seen.model.as_deref(), seen.provider.as_deref()))
            }
            UsageReport::Incomplete { .. } => Self::Unknown { reason: PendingReason::CostUnknown },
            UsageReport::Absent if seen.error => Self::Unknown { reason: PendingReason::ErrorEvent },
            UsageReport::Absent => Self::Unknown { reason: otherwise },
        }
    }
}

impl Record {
    /// The bytes for the journal.
    pub fn to_bytes(&self) -> Result<Vec<u8>, RecordFormatError> {
        Ok(serde_json::to_vec(self)?)
    }

    /// The call that the record is about.
    pub const fn call(&self) -> &Call {
        match self {
            Self::Sent(Sent { call })
            | Self::Opened(Opened { call, .. })
            | Self::Carried(OpenCall { call, .. })
            | Self::Settled(Settled { call, .. }) => call,
        }
    }

    /// The call, without the record.
    pub(crate) fn into_call(self) -> Call {
        match self {
            Self::Sent(Sent { call })
            | Self::Opened(Opened { call, .. })
            | Self::Carried(OpenCall { call, .. })
            | Self::Settled(Settled { call, .. }) => call,
        }
    }

    /// The record as JSON without what the client said about its member, for a log, where names and e-mail
    /// addresses have no place.
    pub(crate) fn to_log(&self) -> Result<String, RecordFormatError> {
        let mut record = self.clone();
        match &mut record {
            Self::Sent(Sent { call })
            | Self::Opened(Opened { call, .. })
            | Self::Carried(OpenCall { call, .. })
            | Self::Settled(Settled { call, .. }) => call.new_member = None,
        }
        Ok(serde_json::to_string(&record)?)
    }

    /// Reads what [`Record::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordFormatError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

impl Settled {
    /// What our own gateway knows of a call that is over.
    pub const fn by_gateway(call: Call, generation_id: Option<GenerationId>, outcome: Outcome) -> Self {
        Self { call, generation_id, outcome, source: UsageSource::Gateway }
    }
}

const fn gateway() -> UsageSource {
    UsageSource::Gateway
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_gateway(source: &UsageSource) -> bool {
    *source == UsageSource::Gateway
}

/// Reasons and sources travel as the same texts that the database stores.
mod text {
    use std::{borrow::Cow, fmt::Display, str::FromStr};

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        Cow::<'_, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
