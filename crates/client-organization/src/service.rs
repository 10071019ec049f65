//! [`ClientOrganizationTable`]: organizations as a service.

use std::sync::Arc;

use mai_audit_log::{Actor, Details, NewEntry, append};
use mai_exchange_rates::{DayRatePolicy, StatementRatePolicy};
use mai_global_settings::{Change, MasterKey, bump_revision};
use mai_primitives::{Clock, OrganizationCalendar, OrganizationId, UnixTime};
use mai_storage::{DbConnection, Storage};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    digest,
    error::{Error, Result},
    model::{ClientOrganizationForm, ClientOrganizationModel, ClientOrganizationPatch, ProviderKeyState},
    query, validate, webhook_secret,
};

mod managed_key;

/// Reads and changes organizations.
///
/// What is looked up by id or by key is found only while it is active; [`Self::get_any_by_id`] and
/// [`Self::get_all`] see the inactive ones as well.
#[derive(Clone)]
pub struct ClientOrganizationTable {
    storage: Storage,
    master_key: MasterKey,
    clock: Arc<dyn Clock>,
    actor: Actor,
}

impl ClientOrganizationTable {
    /// A service on `storage` that seals OpenRouter keys with `master_key`.
    pub fn new(storage: Storage, master_key: MasterKey, clock: Arc<dyn Clock>) -> Self {
        Self { storage, master_key, clock, actor: Actor::system() }
    }

    /// The same service in the name of `actor`, whom the audit log will tell.
    #[must_use]
    pub fn acting_as(&self, actor: Actor) -> Self {
        Self { actor, ..self.clone() }
    }

    /// The active organization with this id, or none.
    pub async fn get_by_id(&self, id: &OrganizationId) -> Result<Option<ClientOrganizationModel>> {
        Ok(self.get_any_by_id(id).await?.filter(|organization| organization.is_active))
    }

    /// The same as [`Self::get_by_id`]; the other name of the original.
    pub async fn get_client_by_id(&self, id: &OrganizationId) -> Result<Option<ClientOrganizationModel>> {
        self.get_by_id(id).await
    }

    /// The organization with this id, active or not, or none.
    pub async fn get_any_by_id(&self, id: &OrganizationId) -> Result<Option<ClientOrganizationModel>> {
        let id = id.clone();
        self.storage.read(move |conn| query::organization(conn, &id)).await
    }

    /// The active organization with this OpenRouter key, or none.
    pub async fn get_by_api_key(&self, api_key: &SecretString) -> Result<Option<ClientOrganizationModel>> {
        let fingerprint = digest::sha256_hex(api_key.expose_secret());
        let found =
            self.storage.read(move |conn| query::organization_by_fingerprint(conn, &fingerprint)).await?;
        Ok(found.filter(|organization| organization.is_active))
    }

    /// The same as [`Self::get_by_api_key`]; the other name of the original.
    pub async fn get_client_by_api_key(
        &self,
        api_key: &SecretString,
    ) -> Result<Option<ClientOrganizationModel>> {
        self.get_by_api_key(api_key).await
    }

    /// The active organizations, by name and then by id.
    pub async fn get_all_active(&self) -> Result<Vec<ClientOrganizationModel>> {
        self.storage.read(query::active_organizations).await
    }

    /// The same as [`Self::get_all_active`]; the other name of the original.
    pub async fn get_all_active_clients(&self) -> Result<Vec<ClientOrganizationModel>> {
        self.get_all_active().await
    }

    /// All organizations, active or not, by name and then by id.
    pub async fn get_all(&self) -> Result<Vec<ClientOrganizationModel>> {
        self.storage.read(query::organizations).await
    }

    /// Makes an organization. An id or a key that another one has is [`Error::Taken`].
    pub async fn create(&self, form: ClientOrganizationForm) -> Result<ClientOrganizationModel> {
        let (organization, actor) = (self.check(form)?, self.actor.clone());
        self.storage
            .write(move |conn| {
                bump_revision(conn)?;
                query::insert_organization(conn, &organization)?;
                log_creation(conn, &actor, &organization)?;
                Ok(organization.clone())
            })
            .await
    }

    /// The same as [`Self::create`]; the other name of the original.
    pub async fn create_client(&self, form: ClientOrganizationForm) -> Result<ClientOrganizationModel> {
        self.create(form).await
    }

    /// Changes what the patch names, of an active or inactive organization. An unknown id is
    /// [`Error::NotFound`], a key that another organization has is [`Error::Taken`]. A key that was made
    /// at OpenRouter is not replaced here ([`Error::ManagedKey`]).
    pub async fn update(
        &self,
        id: &OrganizationId,
        patch: ClientOrganizationPatch,
    ) -> Result<ClientOrganizationModel> {
        let (patch, actor) = (self.check_patch(id, patch)?, self.actor.clone());
        let (id, clock) = (id.clone(), Arc::clone(&self.clock));
        self.storage
            .write(move |conn| {
                bump_revision(conn)?;
                let old = query::organization(conn, &id)?;
                let old = old.ok_or_else(|| Error::not_found("organization", id.as_str()))?;
                if patch.touches_a_managed_key(&old) {
                    return Err(Error::ManagedKey);
                }
                // Now that changes follow one another: a rate holds from when it could be set.
                let now = clock.now().into();
                let new = patch.apply(&old, now);
                query::replace_organization(conn, &old, &new)?;
                let entry = NewEntry::done(Some(&id), "organization.update", id.as_str());
                append(conn, &actor, now, &entry.with(patch.details()))?;
                Ok(new)
            })
            .await
    }

    /// The same as [`Self::update`]; the other name of the original.
    pub async fn update_client(
        &self,
        id: &OrganizationId,
        patch: ClientOrganizationPatch,
    ) -> Result<ClientOrganizationModel> {
        self.update(id, patch).await
    }

    /// Makes an organization inactive: its keys no longer work, its figures stay. False when there is
    /// no such organization; true also when it was inactive already.
    pub async fn deactivate(&self, id: &OrganizationId) -> Result<bool> {
        self.set_active(id, false).await
    }

    /// The same as [`Self::deactivate`]; the other name of the original.
    pub async fn deactivate_client(&self, id: &OrganizationId) -> Result<bool> {
        self.deactivate(id).await
    }

    /// Makes an organization active again. False when there is no such organization.
    pub async fn activate(&self, id: &OrganizationId) -> Result<bool> {
        self.set_active(id, true).await
    }

    /// The organization's OpenRouter key in clear, or none when it has none.
    pub fn provider_key(&self, organization: &ClientOrganizationModel) -> Result<Option<SecretString>> {
        open_provider_key(&self.master_key, &organization.id, organization.provider_key.sealed.as_deref())
    }

    /// The organization of single-organization mode: made when the form's id is unknown, else given
    /// the form's name and key, where they differ. Everything else is left as people have set it, and so
    /// is a key that was made at OpenRouter: the form's key would leave it working there, unused and
    /// unknown.
    pub async fn ensure_single(&self, form: ClientOrganizationForm) -> Result<ClientOrganizationModel> {
        if form.id.is_none() {
            return Err(Error::invalid("id", "is needed in single-organization mode"));
        }
        let (wanted, actor) = (self.check(form)?, self.actor.clone());
        self.storage
            .write(move |conn| {
                let is_as_wanted = |old: &ClientOrganizationModel| {
                    old.name == wanted.name
                        && (old.openrouter_key_hash.is_some()
                            || old.provider_key.fingerprint == wanted.provider_key.fingerprint)
                };
                if let Some(old) = query::organization(conn, &wanted.id)?.filter(is_as_wanted) {
                    return Ok(old);
                }
                bump_revision(conn)?;
                let Some(old) = query::organization(conn, &wanted.id)? else {
                    query::insert_organization(conn, &wanted)?;
                    log_creation(conn, &actor, &wanted)?;
                    return Ok(wanted.clone());
                };
                let is_managed = old.openrouter_key_hash.is_some();
                let provider_key = if is_managed { &old.provider_key } else { &wanted.provider_key };
                let new = ClientOrganizationModel {
                    name: wanted.name.clone(),
                    provider_key: provider_key.clone(),
                    updated_at: wanted.updated_at,
                    ..old.clone()
                };
                query::replace_organization(conn, &old, &new)?;
                let details = Details::none().with("name", new.name.as_str());
                let entry = NewEntry::done(Some(&new.id), "organization.update", new.id.as_str());
                append(conn, &actor, new.updated_at, &entry.with(details))?;
                Ok(new)
            })
            .await
    }

    async fn set_active(&self, id: &OrganizationId, is_active: bool) -> Result<bool> {
        let (id, now, actor) = (id.clone(), self.now(), self.actor.clone());
        self.storage
            .write(move |conn| {
                let there = query::set_active(conn, &id, is_active, now)?;
                if there {
                    let action = if is_active { "organization.activate" } else { "organization.deactivate" };
                    append(conn, &actor, now, &NewEntry::done(Some(&id), action, id.as_str()))?;
                }
                Ok(there)
            })
            .await
    }

    fn now(&self) -> UnixTime {
        self.clock.now().into()
    }

    /// The row that a form stands for.
    fn check(&self, form: ClientOrganizationForm) -> Result<ClientOrganizationModel> {
        let id = match form.id {
            Some(id) => id,
            None => OrganizationId::new(digest::new_id("org_")?)?,
        };
        validate::organization_id(&id)?;
        form.monthly_limit.map(validate::limit).transpose()?;
        let zone = form.timezone.as_deref().unwrap_or(OrganizationCalendar::default().zone());
        let email = form.billing_email.map(|email| validate::email("billing_email", &email)).transpose()?;
        let key = form.openrouter_api_key.map(|key| self.seal(&id, &key)).transpose()?;
        let now = self.now();
        Ok(ClientOrganizationModel {
            name: validate::name(&form.name)?,
            provider_key: key.unwrap_or_default(),
            openrouter_key_hash: form.openrouter_key_hash,
            webhook_secret: None,
            markup_rate: form.markup_rate,
            monthly_limit: form.monthly_limit,
            billing_email: email,
            timezone: validate::zone(zone)?,
            drain_on_disconnect: form.drain_on_disconnect,
            site_url: form.site_url.as_deref().map(validate::site_url).transpose()?,
            day_rate_policy: form.day_rate_policy,
            statement_rate_policy: form.statement_rate_policy,
            is_active: true,
            created_at: now,
            updated_at: now,
            id,
        })
    }

    /// Checks a patch and seals its key, so that the transaction, which may run more than once, only
    /// writes.
    fn check_patch(&self, id: &OrganizationId, patch: ClientOrganizationPatch) -> Result<CheckedPatch> {
        if let Change::Set(limit) = patch.monthly_limit {
            validate::limit(limit)?;
        }
        let provider_key = match &patch.openrouter_api_key {
            Change::Keep => None,
            Change::Clear => Some(ProviderKeyState::default()),
            Change::Set(key) => Some(self.seal(id, key)?),
        };
        let webhook_secret = match &patch.webhook_secret {
            Change::Keep => Change::Keep,
            Change::Clear => Change::Clear,
            Change::Set(secret) => Change::Set(webhook_secret::seal(&self.master_key, id, secret)?),
        };
        let billing_email = match patch.billing_email {
            Change::Set(email) => Change::Set(validate::email("billing_email", &email)?),
            other => other,
        };
        let site_url = match patch.site_url {
            Change::Set(url) => Change::Set(validate::site_url(&url)?),
            other => other,
        };
        let name = patch.name.as_deref().map(validate::name).transpose()?;
        let timezone = patch.timezone.as_deref().map(validate::zone).transpose()?;
        let patch = ClientOrganizationPatch { name, billing_email, timezone, site_url, ..patch };
        Ok(CheckedPatch { patch, provider_key, webhook_secret })
    }

    fn seal(&self, id: &OrganizationId, key: &SecretString) -> Result<ProviderKeyState> {
        validate::provider_key(key)?;
        let text = key.expose_secret();
        let last4 = text.get(text.len().saturating_sub(4)..).unwrap_or_default();
        Ok(ProviderKeyState {
            sealed: Some(self.master_key.seal(&key_context(id), key)?),
            fingerprint: Some(digest::sha256_hex(text)),
            last4: Some(last4.to_owned()),
        })
    }
}

/// A patch whose values are good and whose key is sealed.
struct CheckedPatch {
    patch: ClientOrganizationPatch,
    /// None keeps the key.
    provider_key: Option<ProviderKeyState>,
    /// Sealed.
    webhook_secret: Change<String>,
}

fn log_creation(conn: &mut DbConnection, actor: &Actor, new: &ClientOrganizationModel) -> Result<()> {
    let details = Details::none()
        .with("name", new.name.as_str())
        .with("timezone", new.timezone.as_str())
        .with_some_confidential("markup_rate", new.markup_rate.map(|rate| rate.to_string()))
        .with_some("monthly_limit", new.monthly_limit.map(|limit| limit.to_string()));
    let entry = NewEntry::done(Some(&new.id), "organization.create", new.id.as_str()).with(details);
    append(conn, actor, new.created_at, &entry)?;
    Ok(())
}

/// What the audit log shows of a nullable field that is no secret; null where it was cleared.
fn shown<T: ToString>(change: &Change<T>) -> Option<serde_json::Value> {
    match change {
        Change::Keep => None,
        Change::Clear => Some(serde_json::Value::Null),
        Change::Set(value) => Some(value.to_string().into()),
    }
}

impl CheckedPatch {
    /// Whether another key would stand beside the hash of the one that was made at OpenRouter.
    fn touches_a_managed_key(&self, old: &ClientOrganizationModel) -> bool {
        self.provider_key.is_some()
            && old.openrouter_key_hash.is_some()
            && matches!(self.patch.openrouter_key_hash, Change::Keep)
    }

    /// What changes, secrets by name only.
    fn details(&self) -> Details {
        let patch = &self.patch;
        Details::none()
            .with_some("name", patch.name.as_deref())
            .with_some("openrouter_api_key", patch.openrouter_api_key.word())
            .with_some_confidential("openrouter_key_hash", shown(&patch.openrouter_key_hash))
            .with_some("webhook_secret", patch.webhook_secret.word())
            .with_some_confidential("markup_rate", shown(&patch.markup_rate))
            .with_some("monthly_limit", shown(&patch.monthly_limit))
            .with_some("billing_email", shown(&patch.billing_email))
            .with_some("timezone", patch.timezone.as_deref())
            .with_some("drain_on_disconnect", patch.drain_on_disconnect)
            .with_some("site_url", shown(&patch.site_url))
            .with_some("day_rate_policy", patch.day_rate_policy.map(DayRatePolicy::as_str))
            .with_some("statement_rate_policy", patch.statement_rate_policy.map(StatementRatePolicy::as_str))
            .with_some("is_active", patch.is_active)
    }

    fn apply(&self, old: &ClientOrganizationModel, now: UnixTime) -> ClientOrganizationModel {
        let patch = self.patch.clone();
        let old = old.clone();
        ClientOrganizationModel {
            name: patch.name.unwrap_or(old.name),
            provider_key: self.provider_key.clone().unwrap_or(old.provider_key),
            openrouter_key_hash: patch.openrouter_key_hash.apply(old.openrouter_key_hash),
            webhook_secret: self.webhook_secret.clone().apply(old.webhook_secret),
            markup_rate: patch.markup_rate.apply(old.markup_rate),
            monthly_limit: patch.monthly_limit.apply(old.monthly_limit),
            billing_email: patch.billing_email.apply(old.billing_email),
            timezone: patch.timezone.unwrap_or(old.timezone),
            drain_on_disconnect: patch.drain_on_disconnect.unwrap_or(old.drain_on_disconnect),
            site_url: patch.site_url.apply(old.site_url),
            day_rate_policy: patch.day_rate_policy.unwrap_or(old.day_rate_policy),
            statement_rate_policy: patch.statement_rate_policy.unwrap_or(old.statement_rate_policy),
            is_active: patch.is_active.unwrap_or(old.is_active),
            updated_at: now,
            ..old
        }
    }
}

/// The place for which an organization's key is sealed.
fn key_context(id: &OrganizationId) -> String {
    format!("client_organizations/openrouter_api_key/{id}")
}

/// The OpenRouter key of an organization in clear, or none when it has none.
pub(crate) fn open_provider_key(
    master_key: &MasterKey,
    id: &OrganizationId,
    sealed: Option<&str>,
) -> Result<Option<SecretString>> {
    Ok(sealed.map(|sealed| master_key.open(&key_context(id), sealed)).transpose()?)
}
