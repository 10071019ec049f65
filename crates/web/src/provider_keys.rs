//! Provider keys of organizations that are made, limited and disabled through OpenRouter's management API.
//!
//! OpenRouter and our database cannot change in one transaction. OpenRouter goes first, because only it
//! can make a key; where our database then refuses, what was done there is undone. If that fails as well,
//! the log and the answer name the key by its hash, so that a person can finish it.
//!
//! A key that somebody else has replaced or taken back meanwhile is out of use: it ends disabled, whatever
//! was asked for. Whoever changes something does it by [`ProviderKeys::to_the_end`], so that nothing stays
//! half done because a client has left.

use mai_openrouter::{
    KeyField, LimitReset, LookupError, ManagedKey, ManagedKeyPatch, NewManagedKey, OpenRouterClient,
};
use mai_organization::{
    ClientOrganizationForm, ClientOrganizationModel, OrganizationServices, audit_log::Details,
    client_organization::Error as OrganizationError, global_settings::Error as SettingsError,
};
use mai_primitives::{OrganizationId, Usd};
use secrecy::SecretString;
use thiserror::Error;
use tokio::{runtime::Handle, task::JoinError};
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

/// Why nothing was changed, or not everything.
#[derive(Debug, Error)]
pub enum ProviderKeyError {
    /// Neither the settings nor the environment have a provisioning key.
    #[error(
        "there is no provisioning key; set `openrouter_provisioning_key` in the settings, or \
         OPENROUTER_PROVISIONING_KEY"
    )]
    NotConfigured,
    /// The settings could not be read.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// OpenRouter did not do what it was asked for.
    #[error(transparent)]
    Upstream(#[from] LookupError),
    /// The organization has a key already, made here or entered by hand.
    #[error("the organization has a provider key; use `replace` to put another in its place")]
    AlreadyThere,
    /// The organization has no managed key.
    #[error("the organization has no managed provider key")]
    NoKey,
    /// The organization could not be read or changed. What was done at OpenRouter is undone, or the key is
    /// disabled there, where it is the organization's no longer.
    #[error(transparent)]
    Organization(#[from] OrganizationError),
    /// The work has panicked, or the process ended before it.
    #[error("the change of a provider key was broken off: {0}")]
    BrokenOff(#[from] JoinError),
    /// The database refused, and what was done at OpenRouter could not be undone.
    #[error(
        "the database refused, and the key {hash} at OpenRouter could not be put back: {undo}; it is \
         {state} there"
    )]
    NotUndone {
        /// Which key.
        hash: String,
        /// As what it was left.
        state: &'static str,
        /// Why the database refused.
        #[source]
        cause: OrganizationError,
        /// Why it could not be undone.
        undo: LookupError,
    },
}

type Result<T, E = ProviderKeyError> = std::result::Result<T, E>;

/// What a new key may spend.
#[derive(Debug, Clone, Default)]
pub struct NewKey {
    /// What people call it at OpenRouter; without one it is called after the organization.
    pub name: Option<String>,
    /// In USD; none means no limit.
    pub limit: Option<Usd>,
    /// When the limit begins again; none means never.
    pub limit_reset: Option<LimitReset>,
}

/// A key that was made and stored.
#[derive(Debug)]
pub struct StoredKey {
    /// The organization with it.
    pub organization: ClientOrganizationModel,
    /// What OpenRouter tells of it.
    pub info: ManagedKey,
    /// What did not succeed beside it, for people.
    pub warning: Option<String>,
}

/// Makes and changes keys. Clones share the connections.
#[derive(Debug, Clone)]
pub struct ProviderKeys {
    client: OpenRouterClient,
    provisioning_key: Option<SecretString>,
    work: TaskTracker,
    runtime: Handle,
}

impl ProviderKeys {
    /// Keys at the OpenRouter of `client`. `provisioning_key` is used where the settings have none. Must
    /// be called on the runtime on which the changes are to be made, which ends after the server.
    pub fn new(client: OpenRouterClient, provisioning_key: Option<SecretString>) -> Self {
        Self { client, provisioning_key, work: TaskTracker::new(), runtime: Handle::current() }
    }

    /// Runs a sequence of changes in a task of its own, which goes on when nobody waits for it any more: a
    /// handler ends with its client's connection, at any of its steps.
    pub async fn to_the_end<T, F>(&self, work: impl FnOnce(Self) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        Ok(self.work.spawn_on(work(self.clone()), &self.runtime).await?)
    }

    /// Waits until all changes that were begun are over. No more must begin.
    pub async fn finished(&self) {
        self.work.close();
        self.work.wait().await;
    }

    /// Whether keys can be made at all: whether there is a provisioning key.
    pub async fn is_configured(&self, services: &OrganizationServices) -> Result<bool> {
        match self.provisioning_key(services).await {
            Ok(_) => Ok(true),
            Err(ProviderKeyError::NotConfigured) => Ok(false),
            Err(other) => Err(other),
        }
    }

    async fn provisioning_key(&self, services: &OrganizationServices) -> Result<SecretString> {
        let settings = &services.global_settings_db;
        let stored = match settings.get_settings().await? {
            Some(row) => settings.provisioning_key(&row)?,
            None => None,
        };
        stored.or_else(|| self.provisioning_key.clone()).ok_or(ProviderKeyError::NotConfigured)
    }

    /// Makes an organization with a key of its own: first the key, then the row.
    pub async fn create_organization(
        &self,
        services: &OrganizationServices,
        form: ClientOrganizationForm,
        new: NewKey,
    ) -> Result<StoredKey> {
        let table = &services.client_organization_db;
        table.check_form(&form)?;
        let provisioning_key = self.provisioning_key(services).await?;
        let created = self.client.create_key(&provisioning_key, &wanted(new, &form.name)).await?;
        let info = created.info;
        let form = ClientOrganizationForm {
            openrouter_api_key: Some(created.key),
            openrouter_key_hash: Some(info.hash.clone()),
            ..form
        };
        match table.create(form).await {
            Ok(organization) => Ok(StoredKey { organization, info, warning: None }),
            Err(cause) => Err(self.delete_again(&provisioning_key, &info.hash, cause).await),
        }
    }

    /// Makes a key for an organization. With `replace` it takes the place of the present one; a managed key
    /// is disabled as soon as the new one is stored.
    pub async fn create(
        &self,
        services: &OrganizationServices,
        id: &OrganizationId,
        new: NewKey,
        replace: bool,
    ) -> Result<StoredKey> {
        let table = &services.client_organization_db;
        let organization = known(services, id).await?;
        let has_key =
            organization.openrouter_key_hash.is_some() || organization.provider_key.sealed.is_some();
        if has_key && !replace {
            return Err(ProviderKeyError::AlreadyThere);
        }
        let provisioning_key = self.provisioning_key(services).await?;
        let created = self.client.create_key(&provisioning_key, &wanted(new, &organization.name)).await?;
        let info = created.info;
        let stored = match table.set_managed_key(&organization, &created.key, &info.hash).await {
            Ok(stored) => stored,
            Err(cause) => return Err(self.delete_again(&provisioning_key, &info.hash, cause).await),
        };
        let warning = match organization.openrouter_key_hash {
            Some(old) => self.disable_old(&provisioning_key, &old).await,
            None => None,
        };
        Ok(StoredKey { organization: stored, info, warning })
    }

    /// The managed key of an organization as OpenRouter tells it now; none where there is none.
    pub async fn find(
        &self,
        services: &OrganizationServices,
        id: &OrganizationId,
    ) -> Result<Option<(ClientOrganizationModel, ManagedKey)>> {
        let organization = known(services, id).await?;
        let Some(hash) = organization.openrouter_key_hash.as_deref() else { return Ok(None) };
        let provisioning_key = self.provisioning_key(services).await?;
        let info = self.client.managed_key(&provisioning_key, hash).await?;
        Ok(Some((organization, info)))
    }

    /// Changes the key of an organization at OpenRouter.
    pub async fn update(
        &self,
        services: &OrganizationServices,
        id: &OrganizationId,
        patch: ManagedKeyPatch,
    ) -> Result<(ClientOrganizationModel, ManagedKey)> {
        let (organization, before) = self.find(services, id).await?.ok_or(ProviderKeyError::NoKey)?;
        let provisioning_key = self.provisioning_key(services).await?;
        let after = self.client.update_key(&provisioning_key, &before.hash, patch).await?;
        let noted = services.client_organization_db.note_managed_key(id, &before.hash, details(&patch)).await;
        if let Err(cause) = noted {
            let undo = undoing(&patch, &before);
            return Err(self.put_back(&provisioning_key, &before.hash, undo, "changed", cause).await);
        }
        Ok((organization, after))
    }

    /// Disables the key of an organization at OpenRouter and forgets it. There it is kept, with what it
    /// has spent. A key that OpenRouter no longer has is only forgotten.
    pub async fn remove(
        &self,
        services: &OrganizationServices,
        id: &OrganizationId,
    ) -> Result<ClientOrganizationModel> {
        let organization = known(services, id).await?;
        let hash = organization.openrouter_key_hash.ok_or(ProviderKeyError::NoKey)?;
        let provisioning_key = self.provisioning_key(services).await?;
        let was_enabled = match self.client.managed_key(&provisioning_key, &hash).await {
            Ok(key) => !key.disabled,
            Err(LookupError::Upstream { status: 404 }) => false,
            Err(other) => return Err(other.into()),
        };
        if was_enabled {
            self.client.update_key(&provisioning_key, &hash, switched(true)).await?;
        }
        match services.client_organization_db.clear_managed_key(id, &hash).await {
            Ok(organization) => Ok(organization),
            Err(cause) if was_enabled => {
                Err(self.put_back(&provisioning_key, &hash, switched(false), "disabled", cause).await)
            }
            Err(cause) => Err(cause.into()),
        }
    }

    /// Disables or enables the managed key of an organization, if it has one, after the organization was
    /// made inactive or active again. A failure changes nothing about that; it comes as a text for people.
    pub async fn follow_activity(
        &self,
        services: &OrganizationServices,
        organization: &ClientOrganizationModel,
    ) -> Option<String> {
        let hash = organization.openrouter_key_hash.as_deref()?;
        let patch = switched(!organization.is_active);
        let outcome = async {
            let provisioning_key = self.provisioning_key(services).await?;
            self.client.update_key(&provisioning_key, hash, patch).await?;
            let table = &services.client_organization_db;
            match table.note_managed_key(&organization.id, hash, details(&patch)).await {
                Err(cause @ OrganizationError::ProviderKeyChanged) => {
                    Err(self.put_back(&provisioning_key, hash, patch, "changed", cause).await)
                }
                other => Ok(other?),
            }
        };
        let failure = outcome.await.err()?;
        warn!(organization.id = %organization.id, key.hash = hash, error = %failure,
            "a provider key did not follow its organization");
        let state = if organization.is_active { "enabled" } else { "disabled" };
        Some(format!("the provider key {hash} could not be {state} at OpenRouter: {failure}"))
    }

    async fn disable_old(&self, provisioning_key: &SecretString, hash: &str) -> Option<String> {
        let failure = self.client.update_key(provisioning_key, hash, switched(true)).await.err()?;
        warn!(key.hash = hash, error = %failure, "a replaced provider key could not be disabled");
        Some(format!("the replaced provider key {hash} could not be disabled at OpenRouter: {failure}"))
    }

    async fn delete_again(
        &self,
        provisioning_key: &SecretString,
        hash: &str,
        cause: OrganizationError,
    ) -> ProviderKeyError {
        let undone = self.client.delete_key(provisioning_key, hash).await;
        outcome_of_undoing(undone, hash, "enabled and unused", cause)
    }

    /// Undoes a change that the database has refused. A key that is not the organization's any more is
    /// disabled instead, whatever it was before: somebody else has put it out of use meanwhile.
    async fn put_back(
        &self,
        provisioning_key: &SecretString,
        hash: &str,
        undo: ManagedKeyPatch,
        state: &'static str,
        cause: OrganizationError,
    ) -> ProviderKeyError {
        let is_replaced = matches!(cause, OrganizationError::ProviderKeyChanged);
        let undo = if is_replaced { switched(true) } else { undo };
        let undone = self.client.update_key(provisioning_key, hash, undo).await.map(drop);
        outcome_of_undoing(undone, hash, state, cause)
    }
}

fn outcome_of_undoing(
    undone: Result<(), LookupError>,
    hash: &str,
    state: &'static str,
    cause: OrganizationError,
) -> ProviderKeyError {
    match undone {
        Ok(()) => ProviderKeyError::Organization(cause),
        Err(undo) => {
            error!(key.hash = hash, error = %cause, undo.error = %undo, state, "a provider key was left behind");
            ProviderKeyError::NotUndone { hash: hash.to_owned(), state, cause, undo }
        }
    }
}

/// The organization, active or not.
async fn known(services: &OrganizationServices, id: &OrganizationId) -> Result<ClientOrganizationModel> {
    let found = services.client_organization_db.get_any_by_id(id).await?;
    found.ok_or_else(|| {
        let id = id.to_string();
        ProviderKeyError::Organization(OrganizationError::NotFound { what: "organization", id })
    })
}

fn wanted(new: NewKey, organization: &str) -> NewManagedKey {
    let name = new.name.unwrap_or_else(|| format!("Client: {organization}"));
    NewManagedKey { name, limit: new.limit, limit_reset: new.limit_reset }
}

fn switched(disabled: bool) -> ManagedKeyPatch {
    ManagedKeyPatch { disabled: Some(disabled), ..ManagedKeyPatch::default() }
}

/// What puts back to `before` what `patch` changes.
fn undoing(patch: &ManagedKeyPatch, before: &ManagedKey) -> ManagedKeyPatch {
    let reset = match before.limit_reset.as_deref() {
        Some("daily") => Some(LimitReset::Daily),
        Some("weekly") => Some(LimitReset::Weekly),
        Some("monthly") => Some(LimitReset::Monthly),
        _ => None,
    };
    ManagedKeyPatch {
        disabled: patch.disabled.map(|_| before.disabled),
        limit: if patch.limit.is_keep() { KeyField::Keep } else { KeyField::of(before.limit) },
        limit_reset: if patch.limit_reset.is_keep() { KeyField::Keep } else { KeyField::of(reset) },
    }
}

/// What the audit log tells of a change.
fn details(patch: &ManagedKeyPatch) -> Details {
    let limit = match patch.limit {
        KeyField::Keep => None,
        KeyField::Null => Some("none".to_owned()),
        KeyField::Set(limit) => Some(limit.to_string()),
    };
    let reset = match patch.limit_reset {
        KeyField::Keep => None,
        KeyField::Null => Some("never"),
        KeyField::Set(LimitReset::Daily) => Some("daily"),
        KeyField::Set(LimitReset::Weekly) => Some("weekly"),
        KeyField::Set(LimitReset::Monthly) => Some("monthly"),
    };
    Details::none()
        .with_some("disabled", patch.disabled)
        .with_some("limit_reset", reset)
        // The key's limit is in what OpenRouter charges.
        .with_some_confidential("limit", limit)
}
