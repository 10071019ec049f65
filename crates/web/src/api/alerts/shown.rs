//! A destination as it is shown.

use mai_alerts::{Channel, DestinationModel, Language};
use mai_primitives::UnixTime;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Kind;
use crate::api::Api;

/// By which way alerts go somewhere.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = AlertChannel)]
pub(super) enum Way {
    /// A signed POST.
    Webhook,
    /// A mail.
    Email,
}

/// In which language mail is written.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = AlertLanguage)]
pub(super) enum Tongue {
    /// Polish.
    #[serde(rename = "pl")]
    Polish,
    /// English.
    #[default]
    #[serde(rename = "en")]
    English,
}

impl Tongue {
    pub(super) const fn stored(self) -> Language {
        match self {
            Self::Polish => Language::Polish,
            Self::English => Language::English,
        }
    }
}

/// A destination, without its secret.
#[derive(Serialize, ToSchema)]
pub(super) struct AlertDestination {
    /// `alert_dest_…`
    id: String,
    /// Whose alerts go there; null is the reseller, who gets those of all organizations.
    client_org_id: Option<String>,
    channel: Way,
    /// The URL of a webhook, or an e-mail address.
    target: String,
    /// What people call it.
    name: String,
    language: Tongue,
    /// What it hears of.
    kinds: Vec<Kind>,
    /// Whether anything goes there. What waits for an inactive one waits on.
    is_active: bool,
    /// When the receiver said that it is gone (410), by which it became inactive, in Unix seconds.
    gone_at: Option<i64>,
    /// Whether what goes there can be sent: false for mail while no mail server is set up. It waits then.
    can_be_sent: bool,
    /// Until when the secret before the present one signs too, in Unix seconds.
    previous_secret_until: Option<i64>,
    /// Unix seconds.
    created_at: i64,
    /// Unix seconds.
    updated_at: i64,
}

/// Whether what goes that way can be sent: mail only while a mail server is set up.
pub(crate) fn can_be_sent(channel: Channel, api: &Api) -> bool {
    channel == Channel::Webhook || api.alerts.deliverer.has_mail()
}

/// Until when the secret before the present one signs too, where it still does.
pub(crate) fn previous_secret_until(row: &DestinationModel, api: &Api) -> Option<UnixTime> {
    row.previous_until.filter(|end| UnixTime::from(api.clock.now()) < *end)
}

impl AlertDestination {
    pub(super) fn shown(row: DestinationModel, api: &Api) -> Self {
        let kinds = [(Kind::LimitReached, row.wants_limits), (Kind::Anomaly, row.wants_anomalies)];
        Self {
            previous_secret_until: previous_secret_until(&row, api).map(UnixTime::seconds),
            client_org_id: row.client_org_id.map(|id| id.to_string()),
            can_be_sent: can_be_sent(row.channel, api),
            channel: match row.channel {
                Channel::Webhook => Way::Webhook,
                Channel::Email => Way::Email,
            },
            target: row.target,
            name: row.name,
            language: match row.language {
                Language::Polish => Tongue::Polish,
                Language::English => Tongue::English,
            },
            kinds: kinds.into_iter().filter_map(|(kind, wants)| wants.then_some(kind)).collect(),
            is_active: row.is_active,
            gone_at: row.gone_at.map(UnixTime::seconds),
            created_at: row.created_at.seconds(),
            updated_at: row.updated_at.seconds(),
            id: row.id,
        }
    }
}
