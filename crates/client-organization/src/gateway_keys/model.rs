//! The row of a gateway key and its forms.

use std::fmt;

use diesel::prelude::*;
use mai_global_settings::Change;
use mai_primitives::{OrganizationId, UnixTime, UserId};
use secrecy::SecretString;

use crate::schema::gateway_keys;

/// A key as it is stored, without the key.
#[derive(Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = gateway_keys, primary_key(client_org_id, id))]
#[diesel(treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct GatewayKeyModel {
    /// The organization.
    pub client_org_id: OrganizationId,
    /// `key_…`
    pub id: String,
    /// Hex SHA-256 of the key.
    pub key_hash: String,
    /// The first twelve characters of the key, by which people tell keys apart.
    pub key_prefix: String,
    /// What people call the key.
    pub name: String,
    /// The member whose key it is; none means the organization as a whole.
    pub user_id: Option<UserId>,
    /// Whether the identity headers of its caller are believed.
    pub is_trusted_client: bool,
    /// Whether its caller is Open WebUI, to which an error within a stream must be shown in its own form.
    pub is_open_webui: bool,
    /// What its caller signs identities with, sealed. With one, plain headers are refused.
    pub identity_secret: Option<String>,
    /// How many calls a minute may bring; none means that only each member's rate is limited.
    pub requests_per_minute: Option<i64>,
    /// From when on the key does not work; none means never.
    pub expires_at: Option<UnixTime>,
    /// When the key was taken back; none means it was not.
    pub revoked_at: Option<UnixTime>,
    /// When the row was made.
    pub created_at: UnixTime,
    /// When the row was last changed.
    pub updated_at: UnixTime,
}

/// Leaves the hash and the sealed secret out: they open nothing, but they have no place in a log.
impl fmt::Debug for GatewayKeyModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayKeyModel")
            .field("client_org_id", &self.client_org_id)
            .field("id", &self.id)
            .field("key_prefix", &self.key_prefix)
            .field("name", &self.name)
            .field("user_id", &self.user_id)
            .field("is_trusted_client", &self.is_trusted_client)
            .field("is_open_webui", &self.is_open_webui)
            .field("signs_identities", &self.identity_secret.is_some())
            .field("requests_per_minute", &self.requests_per_minute)
            .field("expires_at", &self.expires_at)
            .field("revoked_at", &self.revoked_at)
            .finish_non_exhaustive()
    }
}

/// What a new key is made of.
#[derive(Debug, Clone, Default)]
pub struct NewGatewayKey {
    /// 1 to 200 characters.
    pub name: String,
    /// The member whose key it is; none means the organization as a whole.
    pub user_id: Option<UserId>,
    /// Whether the identity headers of its caller are believed.
    pub is_trusted_client: bool,
    /// Whether its caller is Open WebUI.
    pub is_open_webui: bool,
    /// What its caller signs identities with, in clear: 32 to 512 visible ASCII characters.
    pub identity_secret: Option<SecretString>,
    /// How many calls a minute may bring, 1 to 1,000,000; none means no limit of the key's own.
    pub requests_per_minute: Option<i64>,
    /// From when on the key does not work; none means never.
    pub expires_at: Option<UnixTime>,
}

/// A partial update of a key: what is absent stays as it is.
#[derive(Debug, Clone, Default)]
pub struct GatewayKeyPatch {
    /// 1 to 200 characters.
    pub name: Option<String>,
    /// Whether the identity headers of its caller are believed.
    pub is_trusted_client: Option<bool>,
    /// Whether its caller is Open WebUI.
    pub is_open_webui: Option<bool>,
    /// What its caller signs identities with, in clear: 32 to 512 visible ASCII characters. Cleared, no
    /// signature is asked for.
    pub identity_secret: Change<SecretString>,
    /// How many calls a minute may bring, 1 to 1,000,000; cleared means no limit of the key's own.
    pub requests_per_minute: Change<i64>,
    /// From when on the key does not work; cleared means never.
    pub expires_at: Change<UnixTime>,
}

/// A new key. This is the only time that the key itself is there.
#[derive(Debug)]
pub struct CreatedGatewayKey {
    /// `sk-mai-` and 32 random bytes in URL-safe base64.
    pub key: SecretString,
    /// What is stored of it.
    pub model: GatewayKeyModel,
}
