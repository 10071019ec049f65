//! Provider keys that were made by OpenRouter's management API: the row of the organization holds the key
//! and its hash there.
//!
//! What happens at OpenRouter is not part of a transaction here. Each method therefore names the key that
//! its caller has worked on, and refuses where the organization has another one by now.

use mai_audit_log::{Details, NewEntry, append};
use mai_global_settings::bump_revision;
use mai_primitives::OrganizationId;
use mai_storage::DbConnection;
use secrecy::SecretString;

use super::ClientOrganizationTable;
use crate::{
    error::{Error, Result},
    model::{ClientOrganizationForm, ClientOrganizationModel, ProviderKeyState},
    query,
};

impl ClientOrganizationTable {
    /// Refuses a form that [`Self::create`] would refuse without looking at other organizations.
    pub fn check_form(&self, form: &ClientOrganizationForm) -> Result<()> {
        self.check(form.clone()).map(drop)
    }

    /// Stores a key that was made at OpenRouter, with its hash there, in place of the key that the
    /// organization has in `known`, made there or entered by hand, or where it has none.
    pub async fn set_managed_key(
        &self,
        known: &ClientOrganizationModel,
        key: &SecretString,
        hash: &str,
    ) -> Result<ClientOrganizationModel> {
        let details = Details::none()
            .with("openrouter_key_hash", hash)
            .with_some("replaces", known.openrouter_key_hash.clone());
        let (provider_key, hash) = (self.seal(&known.id, key)?, Some(hash.to_owned()));
        let (known_hash, known_key) = (known.openrouter_key_hash.clone(), known.provider_key.clone());
        let is_as_known = move |row: &ClientOrganizationModel| {
            row.openrouter_key_hash == known_hash && row.provider_key.fingerprint == known_key.fingerprint
        };
        self.replace_key(&known.id, is_as_known, "provider_key.create", details, move |old| {
            let (provider_key, openrouter_key_hash) = (provider_key.clone(), hash.clone());
            ClientOrganizationModel { provider_key, openrouter_key_hash, ..old }
        })
        .await
    }

    /// Forgets the managed key with this hash; the organization then has no provider key.
    pub async fn clear_managed_key(
        &self,
        id: &OrganizationId,
        hash: &str,
    ) -> Result<ClientOrganizationModel> {
        let details = Details::none().with("openrouter_key_hash", hash);
        self.replace_key(id, has_hash(hash), "provider_key.delete", details, |old| {
            let provider_key = ProviderKeyState::default();
            ClientOrganizationModel { provider_key, openrouter_key_hash: None, ..old }
        })
        .await
    }

    /// Writes down that the managed key with this hash was changed at OpenRouter.
    pub async fn note_managed_key(&self, id: &OrganizationId, hash: &str, details: Details) -> Result<()> {
        let (id, hash, now, actor) = (id.clone(), hash.to_owned(), self.now(), self.actor.clone());
        self.storage
            .write(move |conn| {
                with_key(conn, &id, has_hash(&hash))?;
                let entry = NewEntry::done(Some(&id), "provider_key.update", &hash).with(details.clone());
                append(conn, &actor, now, &entry)?;
                Ok(())
            })
            .await
    }

    async fn replace_key(
        &self,
        id: &OrganizationId,
        is_expected: impl Fn(&ClientOrganizationModel) -> bool + Send + 'static,
        action: &'static str,
        details: Details,
        change: impl Fn(ClientOrganizationModel) -> ClientOrganizationModel + Send + 'static,
    ) -> Result<ClientOrganizationModel> {
        let (id, now, actor) = (id.clone(), self.now(), self.actor.clone());
        self.storage
            .write(move |conn| {
                bump_revision(conn)?;
                let old = with_key(conn, &id, &is_expected)?;
                let new = ClientOrganizationModel { updated_at: now, ..change(old.clone()) };
                query::replace_organization(conn, &old, &new)?;
                let entry = NewEntry::done(Some(&id), action, id.as_str()).with(details.clone());
                append(conn, &actor, now, &entry)?;
                Ok(new)
            })
            .await
    }
}

/// Whether an organization has the managed key with this hash.
fn has_hash(hash: &str) -> impl Fn(&ClientOrganizationModel) -> bool + Send + use<> {
    let hash = hash.to_owned();
    move |row| row.openrouter_key_hash.as_deref() == Some(hash.as_str())
}

/// The organization, if its key is the one that the caller knows of.
fn with_key(
    conn: &mut DbConnection,
    id: &OrganizationId,
    is_expected: impl Fn(&ClientOrganizationModel) -> bool,
) -> Result<ClientOrganizationModel> {
    let found = query::organization(conn, id)?;
    let found = found.ok_or_else(|| Error::not_found("organization", id.as_str()))?;
    if is_expected(&found) { Ok(found) } else { Err(Error::ProviderKeyChanged) }
}
