//! The keys with which an organization's programs call the gateway.

mod model;

use std::sync::Arc;

use diesel::prelude::*;
use mai_audit_log::{Actor, Details, NewEntry, append};
use mai_global_settings::{Change, MasterKey, bump_revision};
use mai_primitives::{Clock, OrganizationId, UnixTime, UserId};
use mai_storage::{DbConnection, Storage};

pub use self::model::{CreatedGatewayKey, GatewayKeyModel, GatewayKeyPatch, NewGatewayKey};
use crate::{
    digest,
    error::{Error, Result},
    identity_secret::{self, seal_for_another},
    query::require_organization,
    schema::gateway_keys,
    validate,
};

/// What every gateway key begins with.
pub const KEY_PREFIX: &str = "sk-mai-";

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

/// A key that was not taken back; one that was can only be looked at.
fn usable_key(conn: &mut DbConnection, organization: &OrganizationId, id: &str) -> Result<GatewayKeyModel> {
    let found = key(conn, organization, id)?;
    match found.revoked_at {
        Some(_) => Err(Error::invalid("id", "the key was revoked")),
        None => Ok(found),
    }
}

fn replace(conn: &mut DbConnection, key: &GatewayKeyModel) -> Result<()> {
    diesel::update(gateway_keys::table.find((&key.client_org_id, &key.id))).set(key).execute(conn)?;
    Ok(())
}

/// What the audit log shows of a key, which is never the key nor its secret.
fn details(key: &GatewayKeyModel) -> Details {
    Details::none()
        .with("name", key.name.as_str())
        .with("key_prefix", key.key_prefix.as_str())
        .with("is_trusted_client", key.is_trusted_client)
        .with("is_open_webui", key.is_open_webui)
        .with("signs_identities", key.identity_secret.is_some())
        .with_some("requests_per_minute", key.requests_per_minute)
        .with_some("user_id", key.user_id.as_ref().map(UserId::as_str))
        .with_some("expires_at", key.expires_at.map(UnixTime::seconds))
}

/// A changed number; null where it was cleared.
fn shown(change: Change<i64>) -> Option<serde_json::Value> {
    match change {
        Change::Keep => None,
        Change::Clear => Some(serde_json::Value::Null),
        Change::Set(number) => Some(number.into()),
    }
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

/// Makes, lists, changes and takes back gateway keys.
#[derive(Clone)]
pub struct GatewayKeyTable {
    storage: Storage,
    master_key: MasterKey,
    clock: Arc<dyn Clock>,
    actor: Actor,
}

impl GatewayKeyTable {
    /// A service on `storage` that seals identity secrets with `master_key`.
    pub fn new(storage: Storage, master_key: MasterKey, clock: Arc<dyn Clock>) -> Self {
        Self { storage, master_key, clock, actor: Actor::system() }
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
        validate::requests_per_minute(new.requests_per_minute)?;
        let generated = digest::new_key(KEY_PREFIX)?;
        let id = digest::new_id("key_")?;
        let seal = |secret| identity_secret::seal(&self.master_key, organization, &id, secret);
        let identity_secret = new.identity_secret.as_ref().map(seal).transpose()?;
        let model = GatewayKeyModel {
            client_org_id: organization.clone(),
            id,
            key_hash: generated.hash,
            key_prefix: generated.prefix,
            name: validate::name(&new.name)?,
            user_id: new.user_id,
            is_trusted_client: new.is_trusted_client,
            is_open_webui: new.is_open_webui,
            identity_secret,
            requests_per_minute: new.requests_per_minute,
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
                replace(conn, &new)?;
                log(conn, &actor, "gateway_key.revoke", &new, now)?;
                Ok(new)
            })
            .await
    }

    /// Changes what the patch names. A key that the organization does not have is [`Error::NotFound`],
    /// one that was revoked [`Error::Invalid`].
    pub async fn update(
        &self,
        organization: &OrganizationId,
        id: &str,
        patch: GatewayKeyPatch,
    ) -> Result<GatewayKeyModel> {
        let (patch, actor) = (self.check(organization, id, patch)?, self.actor.clone());
        let (organization, id) = (organization.clone(), id.to_owned());
        self.storage
            .write(move |conn| {
                bump_revision(conn)?;
                let new = patch.apply(usable_key(conn, &organization, &id)?);
                replace(conn, &new)?;
                let entry = NewEntry::done(Some(&organization), "gateway_key.update", &id);
                append(conn, &actor, patch.now, &entry.with(patch.details()))?;
                Ok(new)
            })
            .await
    }

    /// Checks a patch and seals its secret, so that the transaction, which may run more than once, only
    /// writes.
    fn check(&self, organization: &OrganizationId, id: &str, patch: GatewayKeyPatch) -> Result<CheckedPatch> {
        let now = self.clock.now().into();
        if let Change::Set(expires_at) = patch.expires_at {
            validate::expiry(Some(expires_at), now)?;
        }
        if let Change::Set(rate) = patch.requests_per_minute {
            validate::requests_per_minute(Some(rate))?;
        }
        let identity_secret = match &patch.identity_secret {
            Change::Keep => Change::Keep,
            Change::Clear => Change::Clear,
            Change::Set(secret) => {
                Change::Set(identity_secret::seal(&self.master_key, organization, id, secret)?)
            }
        };
        let name = patch.name.as_deref().map(validate::name).transpose()?;
        Ok(CheckedPatch { patch: GatewayKeyPatch { name, ..patch }, identity_secret, now })
    }

    /// Makes a key that replaces another: it is in everything like that one but never expires. The old
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
        let master_key = self.master_key.clone();
        let model = self
            .storage
            .write(move |conn| {
                bump_revision(conn)?;
                let mut old = usable_key(conn, &organization, &id)?;
                old.expires_at = Some(old.expires_at.map_or(ends_at, |at| at.min(ends_at)));
                old.updated_at = now;
                replace(conn, &old)?;
                // It is sealed for the row that it is in.
                let seal = |sealed| seal_for_another(&master_key, &organization, (&id, sealed), &new_id);
                let identity_secret = old.identity_secret.as_deref().map(seal).transpose()?;
                let new = GatewayKeyModel {
                    id: new_id.clone(),
                    key_hash: hash.clone(),
                    key_prefix: prefix.clone(),
                    identity_secret,
                    expires_at: None,
                    created_at: now,
                    updated_at: now,
                    ..old
                };
                diesel::insert_into(gateway_keys::table).values(&new).execute(conn)?;
                let details = details(&new).with("replaces", id.as_str());
                let entry = NewEntry::done(Some(&organization), "gateway_key.rotate", &new.id);
                append(conn, &actor, now, &entry.with(details))?;
                Ok::<_, Error>(new)
            })
            .await?;
        Ok(CreatedGatewayKey { key: generated.key, model })
    }
}

/// A patch whose values are good and whose secret is sealed.
struct CheckedPatch {
    patch: GatewayKeyPatch,
    /// Sealed.
    identity_secret: Change<String>,
    now: UnixTime,
}

impl CheckedPatch {
    /// What changes, the secret by name only.
    fn details(&self) -> Details {
        let patch = &self.patch;
        Details::none()
            .with_some("name", patch.name.as_deref())
            .with_some("is_trusted_client", patch.is_trusted_client)
            .with_some("is_open_webui", patch.is_open_webui)
            .with_some("identity_secret", patch.identity_secret.word())
            .with_some("requests_per_minute", shown(patch.requests_per_minute))
            .with_some("expires_at", shown(patch.expires_at.map(UnixTime::seconds)))
    }

    fn apply(&self, old: GatewayKeyModel) -> GatewayKeyModel {
        let patch = self.patch.clone();
        GatewayKeyModel {
            name: patch.name.unwrap_or(old.name),
            is_trusted_client: patch.is_trusted_client.unwrap_or(old.is_trusted_client),
            is_open_webui: patch.is_open_webui.unwrap_or(old.is_open_webui),
            identity_secret: self.identity_secret.clone().apply(old.identity_secret),
            requests_per_minute: patch.requests_per_minute.apply(old.requests_per_minute),
            expires_at: patch.expires_at.apply(old.expires_at),
            updated_at: self.now,
            ..old
        }
    }
}
