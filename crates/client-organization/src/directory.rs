//! [`Directory`]: all that a gateway must know to let a call through, in memory.
//!
//! A gateway loads it again when [`mai_global_settings::revision`] has moved on from
//! [`Directory::revision`]. Members who turned up in the traffic since then are not in it.

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroU32,
    sync::Arc,
};

use mai_global_settings::MasterKey;
use mai_primitives::{MarkupRate, OpenRouterUserId, OrganizationCalendar, OrganizationId, UnixTime, UserId};
use mai_storage::DbConnection;
use secrecy::SecretString;
use tracing::error;

use crate::{
    digest,
    error::Result,
    identity_secret::{IdentitySecret, SealedIdentitySecret},
    limits::Limits,
    openrouter_user::parse_openrouter_user_id,
    reporters::Reporters,
    service::open_provider_key,
    stored::{SealedSecrets, StoredDirectory, StoredKey, StoredOrganization},
    webhook_secret::WebhookSecret,
};

/// All organizations and gateway keys as they were at one revision.
#[derive(Debug, Default)]
pub struct Directory {
    /// The directory revision that this was loaded at.
    pub revision: i64,
    organizations: HashMap<OrganizationId, Arc<OrganizationEntry>>,
    /// By the SHA-256 of the key.
    keys: HashMap<[u8; 32], GatewayKeyEntry>,
    reporters: Reporters,
}

/// What a gateway knows of an organization.
#[derive(Debug)]
pub struct OrganizationEntry {
    /// The organization.
    pub id: OrganizationId,
    /// What people call it.
    pub name: String,
    /// Whether its keys work.
    pub is_active: bool,
    /// By whose days its usage counts.
    pub calendar: OrganizationCalendar,
    /// Its own rate, or the global default at the time of loading.
    pub markup_rate: MarkupRate,
    /// Its OpenRouter key in clear.
    pub provider_key: Option<SecretString>,
    /// Hex SHA-256 of the OpenRouter key, opened or not.
    pub provider_key_fingerprint: Option<String>,
    /// The last four characters of the OpenRouter key.
    pub provider_key_last4: Option<String>,
    /// Whether there is an OpenRouter key that the master key does not open.
    pub provider_key_error: bool,
    /// What posts to the usage webhook must be signed with.
    pub webhook_secret: WebhookSecret,
    /// Whether an answer is read to its end when the client has left.
    pub drain_on_disconnect: bool,
    /// What OpenRouter gets as `HTTP-Referer`.
    pub site_url: Option<String>,
    /// The members whom OpenRouter knows, by our id of them. Whoever is missing goes by the id that
    /// [`openrouter_user_id`](crate::openrouter_user_id) makes.
    pub openrouter_user_ids: HashMap<UserId, OpenRouterUserId>,
    /// The ids of inactive members, further ones among them. Under any other id somebody may call.
    pub inactive_users: HashSet<UserId>,
    /// What it, its members and its models may cost in a month.
    pub limits: Limits,
    /// Its secrets as they were stored, for a snapshot.
    pub(crate) sealed: SealedSecrets,
}

/// What a gateway knows of a key.
#[derive(Debug)]
pub struct GatewayKeyEntry {
    /// The id of the key.
    pub id: String,
    /// The organization that pays.
    pub organization: Arc<OrganizationEntry>,
    /// The member whose key it is; none means the organization as a whole.
    pub user_id: Option<UserId>,
    /// Whether the identity headers of its caller are believed.
    pub is_trusted_client: bool,
    /// Whether its caller is Open WebUI, to which an error within a stream must be shown in its own form.
    pub is_open_webui: bool,
    /// What the identities that its caller presents must be signed with.
    pub identity_secret: IdentitySecret,
    /// How many calls a minute may bring; none means that only each member's rate is limited.
    pub requests_per_minute: Option<NonZeroU32>,
    /// From when on the key does not work.
    pub expires_at: Option<UnixTime>,
    /// Whether the key was taken back.
    pub revoked: bool,
    /// Its secret as it was stored, for a snapshot.
    sealed: SealedIdentitySecret,
}

impl Directory {
    /// Loads everything. One organization's unreadable row does not take the others down: it is
    /// logged, and the organization is without its provider key, or without its place in the
    /// directory.
    pub fn load(conn: &mut DbConnection, master_key: &MasterKey) -> Result<Self> {
        Ok(Self::open(StoredDirectory::read(conn)?, master_key))
    }

    /// Opens what was stored, wherever it comes from.
    pub(crate) fn open(stored: StoredDirectory, master_key: &MasterKey) -> Self {
        let mut organizations = HashMap::new();
        for organization in stored.organizations {
            if let Some(entry) = OrganizationEntry::open(organization, master_key) {
                organizations.insert(entry.id.clone(), Arc::new(entry));
            }
        }
        let mut keys = HashMap::new();
        for key in stored.keys {
            let Some(organization) = organizations.get(&key.organization) else { continue };
            let Some(hash) = digest::from_hex(&key.hash) else {
                error!(gateway_key.id = key.id, "the stored hash of a gateway key is not a SHA-256");
                continue;
            };
            keys.insert(hash, GatewayKeyEntry::open(key, Arc::clone(organization), master_key));
        }
        let reporters = Reporters::of(organizations.values());
        Self { revision: stored.revision, organizations, keys, reporters }
    }

    /// What [`Self::open`] opens to the same directory.
    pub(crate) fn stored(&self) -> StoredDirectory {
        StoredDirectory {
            revision: self.revision,
            organizations: self.organizations.values().map(|entry| entry.stored()).collect(),
            keys: self.keys.iter().map(|(hash, entry)| entry.stored(hash)).collect(),
        }
    }

    /// The key that a caller presents, by its hash; none when we never made it. Whether it still
    /// works is for the caller to decide, so that it can say why not.
    pub fn find_key(&self, presented: &str) -> Option<&GatewayKeyEntry> {
        self.keys.get(&digest::sha256(presented))
    }

    /// The organization whose OpenRouter key somebody presents, by the key's hash, active or not.
    pub fn organization_by_provider_key(&self, presented: &str) -> Option<&Arc<OrganizationEntry>> {
        self.organizations.get(self.reporters.by_provider_key(presented)?)
    }

    /// The organization to which OpenRouter's `user` belongs, active or not: the one whose id stands
    /// before `_user_`, else the only one that has mapped a member to it.
    pub fn organization_of(&self, user: &OpenRouterUserId) -> Option<&Arc<OrganizationEntry>> {
        let named =
            parse_openrouter_user_id(user.as_str()).and_then(|id| OrganizationId::new(id.prefix).ok());
        let named = named.and_then(|id| self.organizations.get(&id));
        named.or_else(|| self.organizations.get(self.reporters.by_unusual_id(user)?))
    }

    /// An organization, active or not.
    pub fn organization(&self, id: &OrganizationId) -> Option<&Arc<OrganizationEntry>> {
        self.organizations.get(id)
    }

    /// All organizations, active or not, in no order.
    pub fn organizations(&self) -> impl Iterator<Item = &Arc<OrganizationEntry>> {
        self.organizations.values()
    }
}

impl OrganizationEntry {
    fn open(stored: StoredOrganization, master_key: &MasterKey) -> Option<Self> {
        let calendar = match OrganizationCalendar::parse(&stored.timezone) {
            Ok(calendar) => calendar,
            Err(error) => {
                error!(organization.id = %stored.id, %error, "an organization cannot be served");
                return None;
            }
        };
        let provider_key = open_provider_key(master_key, &stored.id, stored.sealed.provider_key.as_deref());
        if let Err(error) = &provider_key {
            error!(organization.id = %stored.id, %error, "an OpenRouter key cannot be opened");
        }
        Some(Self {
            provider_key_error: provider_key.is_err(),
            provider_key: provider_key.unwrap_or_default(),
            provider_key_fingerprint: stored.provider_key_fingerprint,
            provider_key_last4: stored.provider_key_last4,
            webhook_secret: WebhookSecret::open(
                master_key,
                &stored.id,
                stored.sealed.webhook_secret.as_deref(),
            ),
            id: stored.id,
            name: stored.name,
            is_active: stored.is_active,
            calendar,
            markup_rate: stored.markup_rate,
            drain_on_disconnect: stored.drain_on_disconnect,
            site_url: stored.site_url,
            openrouter_user_ids: stored.openrouter_user_ids,
            inactive_users: stored.inactive_users,
            limits: stored.limits,
            sealed: stored.sealed,
        })
    }

    /// Every field is named here, so that a new one is not forgotten.
    fn stored(&self) -> StoredOrganization {
        let Self {
            id,
            name,
            is_active,
            calendar,
            markup_rate,
            provider_key: _,
            provider_key_error: _,
            webhook_secret: _,
            provider_key_fingerprint,
            provider_key_last4,
            drain_on_disconnect,
            site_url,
            openrouter_user_ids,
            inactive_users,
            limits,
            sealed,
        } = self;
        StoredOrganization {
            id: id.clone(),
            name: name.clone(),
            is_active: *is_active,
            timezone: calendar.zone().to_owned(),
            markup_rate: *markup_rate,
            provider_key_fingerprint: provider_key_fingerprint.clone(),
            provider_key_last4: provider_key_last4.clone(),
            sealed: sealed.clone(),
            drain_on_disconnect: *drain_on_disconnect,
            site_url: site_url.clone(),
            openrouter_user_ids: openrouter_user_ids.clone(),
            inactive_users: inactive_users.clone(),
            limits: limits.clone(),
        }
    }
}

impl GatewayKeyEntry {
    fn open(key: StoredKey, organization: Arc<OrganizationEntry>, master_key: &MasterKey) -> Self {
        let sealed = SealedIdentitySecret(key.identity_secret);
        Self {
            identity_secret: IdentitySecret::open(master_key, &organization.id, &key.id, &sealed),
            id: key.id,
            organization,
            user_id: key.user_id,
            is_trusted_client: key.is_trusted_client,
            is_open_webui: key.is_open_webui,
            // The database has none below 1, and one above the range is as good as none.
            requests_per_minute: key
                .requests_per_minute
                .and_then(|rate| u32::try_from(rate).ok()?.try_into().ok()),
            expires_at: key.expires_at,
            revoked: key.revoked,
            sealed,
        }
    }

    /// Every field is named here, so that a new one is not forgotten.
    fn stored(&self, hash: &[u8; 32]) -> StoredKey {
        let Self {
            id,
            organization,
            user_id,
            is_trusted_client,
            is_open_webui,
            identity_secret: _,
            requests_per_minute,
            expires_at,
            revoked,
            sealed,
        } = self;
        StoredKey {
            hash: digest::hex(hash),
            id: id.clone(),
            organization: organization.id.clone(),
            user_id: user_id.clone(),
            is_trusted_client: *is_trusted_client,
            is_open_webui: *is_open_webui,
            identity_secret: sealed.0.clone(),
            requests_per_minute: requests_per_minute.map(|rate| rate.get().into()),
            expires_at: *expires_at,
            revoked: *revoked,
        }
    }
}
