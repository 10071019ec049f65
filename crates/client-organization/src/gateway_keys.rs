//! The keys with which an organization's programs call the gateway.

use std::{fmt, sync::Arc};

use diesel::prelude::*;
use mai_audit_log::{Actor, Details, NewEntry, append};
use mai_global_settings::bump_revision;
use mai_primitives::{Clock, OrganizationId, UnixTime, UserId};
use mai_storage::{DbConnection, Storage};
use secrecy::SecretString;

use crate::{
    digest,
    error::{Error, Result},
    query::require_organization,
    schema::gateway_keys,
    validate,
};

/// What every gateway key begins with.
pub const KEY_PREFIX: &str = "sk-mai-";

/// A key as it is stored, without the key.
#[derive(Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = gateway_keys)]
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
    /// From when on the key does not work; none means never.
    pub expires_at: Option<UnixTime>,
    /// When the key was taken back; none means it was not.
    pub revoked_at: Option<UnixTime>,
    /// When the row was made.
    pub created_at: UnixTime,
    /// When the row was last changed.
    pub updated_at: UnixTime,
}

/// Leaves the hash out: it opens nothing, but it has no place in a log.
impl fmt::Debug for GatewayKeyModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayKeyModel")
            .field("client_org_id", &self.client_org_id)
            .field("id", &self.id)
            .field("key_prefix", &self.key_prefix)
            .field("name", &self.name)
            .field("user_id", &self.user_id)
            .field("is_trusted_client", &self.is_trusted_client)
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
    /// From when on the key does not work; none means never.
    pub expires_at: Option<UnixTime>,
}

/// A new key. This is the only time that the key itself is there.
#[derive(Debug)]
pub struct CreatedGatewayKey {
    /// `sk-mai-` and 32 random bytes in URL-safe base64.
    pub key: SecretString,
    /// What is stored of it.
    pub model: GatewayKeyModel,
}

/// The keys of an organization, by the time they were made.
pub fn keys_of(conn: &mut DbConnection, organization: &OrganizationId) -> Result<Vec<GatewayKeyModel>> {
    Ok(gateway_keys::table
        .filter(gateway_keys::client_org_id.eq(organization))
        .order((gateway_keys::created_at, gateway_keys::id))
        .select(GatewayKeyModel::as_select())
        .load(conn)?)
}

fn key(conn: &mut DbConnection, organization: &OrganizationId, id: &str) -> Result<GatewayKeyModel> {
    let found = gateway_keys::table
        .find((organization, id))
        .select(GatewayKeyModel::as_select())
        .first(conn)
        .optional()?;
    found.ok_or_else(|| Error::not_found("gateway key", id))
}

/// What the audit log shows of a key, which is never the key.
fn details(key: &GatewayKeyModel) -> Details {
    Details::none()
        .with("name", key.name.as_str())
        .with("key_prefix", key.key_prefix.as_str())
        .with("is_trusted_client", key.is_trusted_client)
        .with_some("user_id", key.user_id.as_ref().map(UserId::as_str))
        .with_some("expires_at", key.expires_at.map(UnixTime::seconds))
}

fn log(
    conn: &mut DbConnection,
    actor: &Actor,
    action: &str,
    key: &GatewayKeyModel,
    now: UnixTime,
) -> Result<()> {
    let entry = NewEntry::done(Some(&key.client_org_id), action, &key.id).with(details(key));
    append(conn, actor, now, &entry)?;
    Ok(())
}

/// Makes, lists and takes back gateway keys.
#[derive(Clone)]
pub struct GatewayKeyTable {
    storage: Storage,
    clock: Arc<dyn Clock>,
    actor: Actor,
}

impl GatewayKeyTable {
    /// A service on `storage`.
    pub fn new(storage: Storage, clock: Arc<dyn Clock>) -> Self {
        Self { storage, clock, actor: Actor::system() }
    }

    /// The same service in the name of `actor`, whom the audit log will tell.
    #[must_use]
    pub fn acting_as(&self, actor: Actor) -> Self {
        Self { actor, ..self.clone() }
    }

    /// Makes a key. An unknown organization is [`Error::NotFound`].
    pub async fn create(
        &self,
        organization: &OrganizationId,
        new: NewGatewayKey,
    ) -> Result<CreatedGatewayKey> {
        let (now, actor) = (self.clock.now().into(), self.actor.clone());
        validate::expiry(new.expires_at, now)?;
        let generated = digest::new_key(KEY_PREFIX)?;
        let model = GatewayKeyModel {
            client_org_id: organization.clone(),
            id: digest::new_id("key_")?,
            key_hash: generated.hash,
            key_prefix: generated.prefix,
            name: validate::name(&new.name)?,
            user_id: new.user_id,
            is_trusted_client: new.is_trusted_client,
            expires_at: new.expires_at,
            revoked_at: None,
            created_at: now,
            updated_at: now,
        };
        let model = self
            .storage
            .write(move |conn| {
                bump_revision(conn)?;
                require_organization(conn, &model.client_org_id)?;
                diesel::insert_into(gateway_keys::table).values(&model).execute(conn)?;
                log(conn, &actor, "gateway_key.create", &model, now)?;
                Ok::<_, Error>(model.clone())
            })
            .await?;
        Ok(CreatedGatewayKey { key: generated.key, model })
    }

    /// The keys of an organization, also those that no longer work, by the time they were made.
    pub async fn list(&self, organization: &OrganizationId) -> Result<Vec<GatewayKeyModel>> {
        let organization = organization.clone();
        self.storage.read(move |conn| keys_of(conn, &organization)).await
    }

    /// Takes a key back, for good. Doing so again keeps the first time. A key that the organization
    /// does not have is [`Error::NotFound`].
    pub async fn revoke(&self, organization: &OrganizationId, id: &str) -> Result<GatewayKeyModel> {
        let (organization, id) = (organization.clone(), id.to_owned());
        let (now, actor) = (self.clock.now().into(), self.actor.clone());
        self.storage
            .write(move |conn| {
                bump_revision(conn)?;
                let old = key(conn, &organization, &id)?;
                if old.revoked_at.is_some() {
                    return Ok(old);
                }
                let new = GatewayKeyModel { revoked_at: Some(now), updated_at: now, ..old };
                diesel::update(gateway_keys::table.find((&organization, &id)))
                    .set((gateway_keys::revoked_at.eq(new.revoked_at), gateway_keys::updated_at.eq(now)))
                    .execute(conn)?;
                log(conn, &actor, "gateway_key.revoke", &new, now)?;
                Ok(new)
            })
            .await
    }

    /// Makes a key that replaces another: it has its name, user and trust, and never expires. The old
    /// one works for `grace_seconds` more, unless it would have expired before.
    pub async fn rotate(
        &self,
        organization: &OrganizationId,
        id: &str,
        grace_seconds: u32,
    ) -> Result<CreatedGatewayKey> {
        let (organization, id) = (organization.clone(), id.to_owned());
        let (now, actor): (UnixTime, _) = (self.clock.now().into(), self.actor.clone());
        let ends_at = now.plus_seconds(grace_seconds.into());
        let generated = digest::new_key(KEY_PREFIX)?;
        let new_id = digest::new_id("key_")?;
        let (hash, prefix) = (generated.hash, generated.prefix);
        let model = self
            .storage
            .write(move |conn| {
                bump_revision(conn)?;
                let old = key(conn, &organization, &id)?;
                if old.revoked_at.is_some() {
                    return Err(Error::invalid("id", "the key was revoked"));
                }
                let expires_at = old.expires_at.map_or(ends_at, |at| at.min(ends_at));
                diesel::update(gateway_keys::table.find((&organization, &id)))
                    .set((gateway_keys::expires_at.eq(Some(expires_at)), gateway_keys::updated_at.eq(now)))
                    .execute(conn)?;
                let new = GatewayKeyModel {
                    id: new_id.clone(),
                    key_hash: hash.clone(),
                    key_prefix: prefix.clone(),
                    expires_at: None,
                    created_at: now,
                    updated_at: now,
                    ..old
                };
                diesel::insert_into(gateway_keys::table).values(&new).execute(conn)?;
                let details = details(&new).with("replaces", id.as_str());
                let entry = NewEntry::done(Some(&organization), "gateway_key.rotate", &new.id);
                append(conn, &actor, now, &entry.with(details))?;
                Ok(new)
            })
            .await?;
        Ok(CreatedGatewayKey { key: generated.key, model })
    }
}
