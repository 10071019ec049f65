//! Who made a call, for whom, and under which terms: fixed when the call starts.

use std::fmt;

use mai_primitives::{
    GenerationId, MarkupRate, ModelName, OpenRouterUserId, OrganizationId, UnixTime, UsageDate, UserId,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits::Held;

/// Our own id of one call, known before upstream has given it a generation id: `mai-` and a UUID.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExchangeId(GenerationId);

impl ExchangeId {
    /// A new id, which sorts by time.
    pub fn new() -> Self {
        Self(GenerationId::own(uuid::Uuid::now_v7().as_u128()))
    }

    /// The id as that of a generation to which upstream gave none.
    pub const fn as_generation_id(&self) -> &GenerationId {
        &self.0
    }
}

impl Default for ExchangeId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One call as it was accepted. It travels with every journal record of the call, so that booking
/// needs no look-up and a change of settings during a stream changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Our id of the call.
    pub exchange: ExchangeId,
    /// The organization that pays.
    pub organization: OrganizationId,
    /// The member that the usage is counted for.
    pub user: UserId,
    /// What OpenRouter got as `user`.
    pub openrouter_user: OpenRouterUserId,
    /// The model that the client asked for, if it named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_model: Option<ModelName>,
    /// The markup rate at the start of the call.
    #[serde(serialize_with = "write_rate", deserialize_with = "read_rate")]
    pub markup_rate: MarkupRate,
    /// When the call started.
    pub started_at: UnixTime,
    /// The organization's local day of that instant.
    pub usage_date: UsageDate,
    /// Whether the client asked for a stream.
    pub streamed: bool,
    /// The gateway key that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_key_id: Option<String>,
    /// What a trusted client says that the call is for: at most 64 visible ASCII characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Set when the member is not registered yet, or is told of anew: what the client said about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_member: Option<NewMember>,
    /// What limits hold for it; none where the organization has no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
}

/// What a trusted client said about a member, who may be new.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewMember {
    /// The member's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The member's e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The member's role in the client, as the client calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn write_rate<S: Serializer>(rate: &MarkupRate, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(rate.ppm())
}

fn read_rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MarkupRate, D::Error> {
    MarkupRate::from_ppm(i64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A call by somebody on some day.
    pub(crate) fn call() -> Call {
        let organization = OrganizationId::new("org_test").unwrap();
        Call {
            exchange: ExchangeId::new(),
            openrouter_user: OpenRouterUserId::new("org_test_user_0123456789abcdef").unwrap(),
            organization,
            user: UserId::new("user-1").unwrap(),
            requested_model: Some(ModelName::new("openai/gpt-4o-mini").unwrap()),
            markup_rate: MarkupRate::DEFAULT,
            started_at: UnixTime::from_seconds(1_795_310_285),
            usage_date: UsageDate::parse("2026-11-22").unwrap(),
            streamed: true,
            gateway_key_id: None,
            task: None,
            new_member: None,
            held: None,
        }
    }
    #[test]
    fn exchange_ids_are_unique_and_sort_by_time() {
        let ids: Vec<_> = (0..1_000).map(|_| ExchangeId::new()).collect();
        assert!(ids.is_sorted());
        assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), ids.len());
        let shown = ids[0].to_string();
        assert!(shown.starts_with("mai-") && shown.len() == 36, "{shown}");
        assert_eq!(ids[0].as_generation_id().as_str(), shown);
    }

    #[test]
    fn what_is_absent_is_not_written() {
        let text = serde_json::to_string(&call()).unwrap();
        for absent in ["null", "gateway_key_id", "task", "new_member", "held"] {
            assert!(!text.contains(absent), "{text}");
        }
        // The rate is a whole number, so that it reads back exactly.
        assert!(text.contains("\"markup_rate\":1300000"), "{text}");
    }
}
