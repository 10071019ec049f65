//! [`Directory`]: all that a gateway must know to let a call through, in memory.
//!
//! A gateway loads it again when [`mai_global_settings::revision`] has moved on from
//! [`Directory::revision`]. Members who turned up in the traffic since then are not in it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use diesel::prelude::*;
use mai_global_settings::{MasterKey, query::default_markup_rate, revision};
use mai_primitives::{MarkupRate, OpenRouterUserId, OrganizationCalendar, OrganizationId, UnixTime, UserId};
use mai_storage::DbConnection;
use secrecy::SecretString;
use tracing::error;

use crate::{
    digest,
    error::Result,
    gateway_keys::GatewayKeyModel,
    model::ClientOrganizationModel,
    openrouter_user::parse_openrouter_user_id,
    query,
    reporters::Reporters,
    schema::{gateway_keys, user_client_mapping},
    service::open_provider_key,
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
    /// Whether there is an OpenRouter key that the master key does not open.
    pub provider_key_error: bool,
    /// What posts to the usage webhook must be signed with.
    pub webhook_secret: WebhookSecret,
    /// Whether an answer is read to its end when the client has left.
    pub drain_on_disconnect: bool,
    /// The members whom OpenRouter knows, by our id of them. Whoever is missing goes by the id that
    /// [`openrouter_user_id`](crate::openrouter_user_id) makes.
    pub openrouter_user_ids: HashMap<UserId, OpenRouterUserId>,
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
    /// From when on the key does not work.
    pub expires_at: Option<UnixTime>,
    /// Whether the key was taken back.
    pub revoked: bool,
}

impl Directory {
    /// Loads everything. One organization's unreadable row does not take the others down: it is
    /// logged, and the organization is without its provider key, or without its place in the
    /// directory.
    pub fn load(conn: &mut DbConnection, master_key: &MasterKey) -> Result<Self> {
        // First, so that a change that comes in between is loaded once more rather than never.
        let revision = revision(conn)?;
        let default_rate = default_markup_rate(conn)?;
        let mut user_ids = openrouter_user_ids(conn)?;
        let mut organizations = HashMap::new();
        for organization in query::organizations(conn)? {
            let ids = user_ids.remove(&organization.id).unwrap_or_default();
            if let Some(entry) = organization_entry(organization, default_rate, ids, master_key) {
                organizations.insert(entry.id.clone(), Arc::new(entry));
            }
        }
        let mut keys = HashMap::new();
        for key in gateway_keys::table.select(GatewayKeyModel::as_select()).load(conn)? {
            let Some(organization) = organizations.get(&key.client_org_id) else { continue };
            let Some(hash) = digest::from_hex(&key.key_hash) else {
                error!(gateway_key.id = key.id, "the stored hash of a gateway key is not a SHA-256");
                continue;
            };
            keys.insert(hash, key_entry(key, Arc::clone(organization)));
        }
        let reporters = Reporters::of(organizations.values());
        Ok(Self { revision, organizations, keys, reporters })
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

type UserIds = HashMap<UserId, OpenRouterUserId>;

/// The active mappings by organization.
fn openrouter_user_ids(conn: &mut DbConnection) -> Result<BTreeMap<OrganizationId, UserIds>> {
    use user_client_mapping::{client_org_id, is_active, openrouter_user_id, table, user_id};
    let mut by_organization = BTreeMap::<OrganizationId, UserIds>::new();
    let rows = table
        .filter(is_active.eq(true))
        .select((client_org_id, user_id, openrouter_user_id))
        .load::<(OrganizationId, UserId, OpenRouterUserId)>(conn)?;
    for (organization, user, openrouter_user) in rows {
        by_organization.entry(organization).or_default().insert(user, openrouter_user);
    }
    Ok(by_organization)
}

fn organization_entry(
    organization: ClientOrganizationModel,
    default_rate: MarkupRate,
    openrouter_user_ids: UserIds,
    master_key: &MasterKey,
) -> Option<OrganizationEntry> {
    let calendar = match organization.calendar() {
        Ok(calendar) => calendar,
        Err(error) => {
            error!(organization.id = %organization.id, %error, "an organization cannot be served");
            return None;
        }
    };
    let provider_key = open_provider_key(master_key, &organization);
    if let Err(error) = &provider_key {
        error!(organization.id = %organization.id, %error, "an OpenRouter key cannot be opened");
    }
    Some(OrganizationEntry {
        provider_key_error: provider_key.is_err(),
        provider_key: provider_key.unwrap_or_default(),
        webhook_secret: WebhookSecret::open(
            master_key,
            &organization.id,
            organization.webhook_secret.as_deref(),
        ),
        id: organization.id,
        name: organization.name,
        is_active: organization.is_active,
        calendar,
        markup_rate: organization.markup_rate.unwrap_or(default_rate),
        drain_on_disconnect: organization.drain_on_disconnect,
        openrouter_user_ids,
    })
}

fn key_entry(key: GatewayKeyModel, organization: Arc<OrganizationEntry>) -> GatewayKeyEntry {
    GatewayKeyEntry {
        id: key.id,
        organization,
        user_id: key.user_id,
        is_trusted_client: key.is_trusted_client,
        expires_at: key.expires_at,
        revoked: key.revoked_at.is_some(),
    }
}
