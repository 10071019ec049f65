//! What a [`Directory`](crate::Directory) is made of, every secret still sealed: the form in which it
//! comes from the database and in which it lies in a [snapshot](crate::snapshot).

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use diesel::prelude::*;
use mai_global_settings::{query::default_markup_rate, revision};
use mai_primitives::{MarkupRate, OpenRouterUserId, OrganizationId, UnixTime, UserId};
use mai_storage::DbConnection;
use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    gateway_keys::GatewayKeyModel,
    limits::{Limits, by_organization},
    model::ClientOrganizationModel,
    query,
    schema::{external_users, gateway_keys, members, user_client_mapping},
};

/// The members whom OpenRouter knows, by our id of them.
pub(crate) type UserIds = HashMap<UserId, OpenRouterUserId>;

/// All organizations and gateway keys as they were at one revision.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StoredDirectory {
    pub(crate) revision: i64,
    pub(crate) organizations: Vec<StoredOrganization>,
    pub(crate) keys: Vec<StoredKey>,
}

/// An organization with its own rate, or the global default where it has none.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StoredOrganization {
    pub(crate) id: OrganizationId,
    pub(crate) name: String,
    pub(crate) is_active: bool,
    pub(crate) timezone: String,
    #[serde(with = "parts_per_million")]
    pub(crate) markup_rate: MarkupRate,
    pub(crate) provider_key_fingerprint: Option<String>,
    pub(crate) provider_key_last4: Option<String>,
    pub(crate) sealed: SealedSecrets,
    pub(crate) drain_on_disconnect: bool,
    #[serde(default)]
    pub(crate) site_url: Option<String>,
    pub(crate) openrouter_user_ids: UserIds,
    /// A snapshot without this field was written before calls of inactive members were refused.
    #[serde(default)]
    pub(crate) inactive_users: HashSet<UserId>,
    /// A snapshot without this field was written before limits were kept.
    #[serde(default)]
    pub(crate) limits: Limits,
}

/// The secrets of an organization as the master key sealed them.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SealedSecrets {
    pub(crate) provider_key: Option<String>,
    pub(crate) webhook_secret: Option<String>,
}

/// Sealed or not, it has no place in a log.
impl fmt::Debug for SealedSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedSecrets").finish_non_exhaustive()
    }
}

/// A gateway key, by the hex SHA-256 of it.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredKey {
    pub(crate) hash: String,
    pub(crate) id: String,
    pub(crate) organization: OrganizationId,
    pub(crate) user_id: Option<UserId>,
    pub(crate) is_trusted_client: bool,
    #[serde(default)]
    pub(crate) is_open_webui: bool,
    /// Sealed. A snapshot without this field was written before there were such secrets.
    #[serde(default)]
    pub(crate) identity_secret: Option<String>,
    #[serde(default)]
    pub(crate) requests_per_minute: Option<i64>,
    pub(crate) expires_at: Option<UnixTime>,
    pub(crate) revoked: bool,
}

/// Leaves the hash and the sealed secret out, as [`GatewayKeyModel`] does.
impl fmt::Debug for StoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl StoredDirectory {
    /// Everything that the database has.
    pub(crate) fn read(conn: &mut DbConnection) -> Result<Self> {
        // First, so that a change that comes in between is loaded once more rather than never.
        let revision = revision(conn)?;
        let default_rate = default_markup_rate(conn)?;
        let mut user_ids = openrouter_user_ids(conn)?;
        let mut inactive = inactive_users(conn)?;
        let mut limits = by_organization(conn)?;
        let organizations = query::organizations(conn)?.into_iter().map(|organization| {
            let ids = user_ids.remove(&organization.id).unwrap_or_default();
            let inactive_users = inactive.remove(&organization.id).unwrap_or_default();
            let limits = limits.remove(&organization.id).unwrap_or_default();
            let limits = limits.with_organization(organization.monthly_limit);
            let others = StoredOrganization::of(organization, default_rate, ids);
            StoredOrganization { inactive_users, limits, ..others }
        });
        let organizations = organizations.collect();
        let keys = gateway_keys::table.select(GatewayKeyModel::as_select()).load(conn)?;
        Ok(Self { revision, organizations, keys: keys.into_iter().map(StoredKey::of).collect() })
    }
}

impl StoredOrganization {
    fn of(
        organization: ClientOrganizationModel,
        default_rate: MarkupRate,
        openrouter_user_ids: UserIds,
    ) -> Self {
        Self {
            id: organization.id,
            name: organization.name,
            is_active: organization.is_active,
            timezone: organization.timezone,
            markup_rate: organization.markup_rate.unwrap_or(default_rate),
            provider_key_fingerprint: organization.provider_key.fingerprint,
            provider_key_last4: organization.provider_key.last4,
            sealed: SealedSecrets {
                provider_key: organization.provider_key.sealed,
                webhook_secret: organization.webhook_secret,
            },
            drain_on_disconnect: organization.drain_on_disconnect,
            site_url: organization.site_url,
            openrouter_user_ids,
            inactive_users: HashSet::new(),
            limits: Limits::default(),
        }
    }
}

impl StoredKey {
    fn of(key: GatewayKeyModel) -> Self {
        Self {
            hash: key.key_hash,
            id: key.id,
            organization: key.client_org_id,
            user_id: key.user_id,
            is_trusted_client: key.is_trusted_client,
            is_open_webui: key.is_open_webui,
            identity_secret: key.identity_secret,
            requests_per_minute: key.requests_per_minute,
            expires_at: key.expires_at,
            revoked: key.revoked_at.is_some(),
        }
    }
}

/// The active mappings by organization.
fn openrouter_user_ids(conn: &mut DbConnection) -> Result<HashMap<OrganizationId, UserIds>> {
    use user_client_mapping::{client_org_id, is_active, openrouter_user_id, table, user_id};
    let mut by_organization = HashMap::<OrganizationId, UserIds>::new();
    let rows = table
        .filter(is_active.eq(true))
        .select((client_org_id, user_id, openrouter_user_id))
        .load::<(OrganizationId, UserId, OpenRouterUserId)>(conn)?;
    for (organization, user, openrouter_user) in rows {
        by_organization.entry(organization).or_default().insert(user, openrouter_user);
    }
    Ok(by_organization)
}

/// The ids by organization under which nobody may call: those of inactive members with their further ids,
/// without those that are further ids of active members by now.
fn inactive_users(conn: &mut DbConnection) -> Result<HashMap<OrganizationId, HashSet<UserId>>> {
    let mut by_organization = HashMap::<OrganizationId, HashSet<UserId>>::new();
    let rows = members::table
        .filter(members::is_active.eq(false))
        .select((members::client_org_id, members::user_id))
        .load::<(OrganizationId, UserId)>(conn)?;
    for (organization, user) in rows {
        by_organization.entry(organization).or_default().insert(user);
    }
    let rows = external_users::table
        .select((external_users::client_org_id, external_users::external_user_id, external_users::user_id))
        .load::<(OrganizationId, UserId, UserId)>(conn)?;
    let inactive_themselves = by_organization.clone();
    for (organization, external, user) in rows {
        let Some(inactive) = by_organization.get_mut(&organization) else { continue };
        if inactive_themselves.get(&organization).is_some_and(|members| members.contains(&user)) {
            inactive.insert(external);
        } else {
            inactive.remove(&external);
        }
    }
    Ok(by_organization)
}

/// A rate as a whole number, so that it reads back exactly.
mod parts_per_million {
    use mai_primitives::MarkupRate;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    pub(super) fn serialize<S: Serializer>(rate: &MarkupRate, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(rate.ppm())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MarkupRate, D::Error> {
        MarkupRate::from_ppm(i64::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
