//! The first time that a process meets its database: the schema, the first settings, and the directory.
//!
//! Usually that is before it serves. While the database is away a gateway begins with the directory of
//! its last snapshot, calls go to the journal, and this is tried until it succeeds. Until then the
//! storage is shut, so that nobody writes to a schema that is not up to date.

use std::{io::Write, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use mai_capture::{SharedDirectory, causes};
use mai_organization::{
    ClientOrganizationForm, Directory, GlobalSettingsForm, MasterKey, OrganizationServices,
    client_organization::{CreatedSignInLink, NewApiToken, Role, Snapshot, TokenScope, snapshot},
};
use mai_primitives::Clock;
use mai_storage::{PoolSettings, Storage, TransactionError, migrate};
use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::jobs::Saver;
use crate::{api::accounts::link, settings::Settings};

/// The pause between attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// What is needed to meet the database.
pub(super) struct FirstContact {
    pub(super) settings: Settings,
    pub(super) master_key: MasterKey,
    pub(super) clock: Arc<dyn Clock>,
    /// Whether the schema may be brought up to date; else it has to be.
    pub(super) may_migrate: bool,
}

/// Why there was no contact.
enum ContactError {
    /// Nobody is there, so that waiting helps; with why.
    Away(String),
    /// A person has to do something.
    Refused(anyhow::Error),
}

impl<E> From<E> for ContactError
where
    E: TransactionError + std::error::Error + Send + Sync + 'static,
{
    fn from(error: E) -> Self {
        match error.storage() {
            Some(mai_storage::Error::Unavailable(why)) => Self::Away(why.clone()),
            _ => Self::Refused(error.into()),
        }
    }
}

/// How a start begins.
pub(super) struct Beginning {
    /// Shut where the database is still to be met.
    pub(super) storage: Storage,
    pub(super) directory: SharedDirectory,
    /// What is to be done when the database is there, unless it was done.
    pub(super) awaited: Option<FirstContact>,
    pub(super) saver: Saver,
    pub(super) master_key: MasterKey,
}

/// Meets the database, or takes the last snapshot where nobody is there.
pub(super) async fn begin(contact: FirstContact) -> Result<Beginning> {
    let url = &contact.settings.database;
    let pool = PoolSettings { connections: contact.settings.database_connections, ..PoolSettings::default() };
    let (master_key, clock) = (contact.master_key.clone(), Arc::clone(&contact.clock));
    let saver = Saver { path: contact.snapshot_path(), master_key: master_key.clone(), clock };
    let away = match contact.make().await {
        Ok(directory) => {
            let (storage, directory) = (Storage::open(url, pool), SharedDirectory::new(directory));
            return Ok(Beginning { storage, directory, awaited: None, saver, master_key });
        }
        Err(ContactError::Away(why)) => why,
        Err(ContactError::Refused(cause)) => return Err(cause),
    };
    let snapshot = match contact.snapshot().await {
        Ok(snapshot) => snapshot,
        Err(cause) => bail!(
            "the database cannot be reached: {away}. A start without it is not possible either: {cause:#}"
        ),
    };
    warn!(
        error = away,
        written_at = snapshot.written_at.seconds(),
        "the database is away; serving with the organizations and keys of the last snapshot, and records stay in \
         the journal until it is there"
    );
    let storage = Storage::shut(url, pool, away);
    let directory = SharedDirectory::new(snapshot.directory);
    Ok(Beginning { storage, directory, awaited: Some(contact), saver, master_key })
}

impl FirstContact {
    /// Brings the schema up to date, writes what the settings say, and loads the directory.
    async fn make(&self) -> Result<Directory, ContactError> {
        self.check_schema().await?;
        // Connections of their own: nobody else's work gets in before all of this is done.
        let few = PoolSettings { connections: 1, ..PoolSettings::default() };
        let storage = Storage::open(&self.settings.database, few);
        let services =
            OrganizationServices::new(storage.clone(), self.master_key.clone(), Arc::clone(&self.clock));
        self.first_settings(&services).await?;
        let master_key = self.master_key.clone();
        let directory = storage.read(move |conn| Directory::load(conn, &master_key)).await?;
        // Last, because it cannot be shown again.
        self.first_admin_token(&services).await?;
        self.first_admin_link(&services).await?;
        Ok(directory)
    }

    async fn check_schema(&self) -> Result<(), ContactError> {
        let url = self.settings.database.clone();
        if self.may_migrate {
            for name in blocking(move || migrate::run(&url)).await? {
                info!(migration = name, "the schema was brought up to date");
            }
        } else if !blocking(move || migrate::pending(&url)).await?.is_empty() {
            return Err(ContactError::Refused(anyhow!(
                "the schema is not up to date; run `mai-usage migrate` first"
            )));
        }
        Ok(())
    }

    /// What a new database needs, and what the configuration says about one organization.
    async fn first_settings(&self, services: &OrganizationServices) -> Result<(), ContactError> {
        if services.global_settings_db.get_settings().await?.is_none() {
            let form = GlobalSettingsForm {
                default_markup_rate: Some(self.settings.default_markup),
                ..GlobalSettingsForm::default()
            };
            services.global_settings_db.update_settings(form).await?;
        }
        if let Some(single) = &self.settings.single_organization {
            let form = ClientOrganizationForm {
                id: Some(single.id.clone()),
                name: single.name.clone(),
                openrouter_api_key: Some(single.provider_key.clone()),
                timezone: Some(self.settings.time_zone.zone().to_owned()),
                ..ClientOrganizationForm::default()
            };
            services.client_organization_db.ensure_single(form).await?;
        }
        Ok(())
    }

    /// Makes a reseller token where neither the settings nor the database have one, and prints it.
    async fn first_admin_token(&self, services: &OrganizationServices) -> Result<(), ContactError> {
        if self.settings.admin_token.is_some() || !services.api_token_db.list(None).await?.is_empty() {
            return Ok(());
        }
        let new = NewApiToken {
            name: "made at the first start".to_owned(),
            role: Role::Reseller,
            client_org_id: None,
            user_id: None,
            scope: TokenScope::Full,
            expires_at: None,
        };
        show(&services.api_token_db.create(new).await?.token);
        Ok(())
    }

    /// Prints a link for whoever is to make the first account, while the reseller has none. Whoever has
    /// the token of the settings needs no link.
    async fn first_admin_link(&self, services: &OrganizationServices) -> Result<(), ContactError> {
        if self.settings.admin_token.is_some() || services.account_db.has_active_reseller().await? {
            return Ok(());
        }
        show_link(&self.settings.base_url(), &services.sign_in_link_db.create_first().await?);
        Ok(())
    }

    /// Where the directory is kept for a start without a database.
    fn snapshot_path(&self) -> PathBuf {
        self.settings.data_dir.join("directory-snapshot")
    }

    /// What a start without a database begins with, or why it cannot begin.
    async fn snapshot(&self) -> Result<Snapshot> {
        let (path, master_key) = (self.snapshot_path(), self.master_key.clone());
        let shown = path.display().to_string();
        let loaded = tokio::task::spawn_blocking(move || snapshot::load(&path, &master_key)).await?;
        loaded?.with_context(|| format!("there is no snapshot of organizations and keys at {shown}"))
    }

    /// Tries until it succeeds, then lets work in. What is in the way is logged once, and again when it
    /// is something else.
    pub(super) async fn retry(
        self,
        directory: &SharedDirectory,
        storage: &Storage,
        stop: &CancellationToken,
    ) {
        let mut known = String::new();
        while let Some(outcome) = stop.run_until_cancelled(self.make_after_a_pause()).await {
            match outcome {
                Ok(loaded) => {
                    directory.replace(loaded);
                    storage.admit();
                    info!("the database is there; records go to it from now on");
                    return;
                }
                Err(ContactError::Away(why)) => storage.stay_shut(why),
                Err(ContactError::Refused(cause)) => {
                    let why = causes(cause.as_ref());
                    if why != known {
                        error!(error = why, "the database cannot be used yet");
                        known.clone_from(&why);
                    }
                    storage.stay_shut(why);
                }
            }
        }
        warn!("stopping without having met the database; the next start applies what the journal holds");
    }

    async fn make_after_a_pause(&self) -> Result<Directory, ContactError> {
        tokio::time::sleep(PAUSE).await;
        self.make().await
    }
}

/// Prints a token, the only time that it is there.
fn show(token: &SecretString) {
    let shown =
        writeln!(std::io::stdout(), "Reseller API token, shown only this once: {}", token.expose_secret());
    if let Err(cause) = shown {
        error!(error = %cause, "a new reseller token could not be shown; make one with `mai-usage tokens create`");
    }
}

/// Prints a link, the only time that it is there, and how to use it without a browser.
fn show_link(base: &str, created: &CreatedSignInLink) {
    let token = created.token.expose_secret();
    let shown = writeln!(
        std::io::stdout(),
        "The reseller has no account yet. This link signs in once, within a day:\n  {}\n\
         Without a browser: curl -sS -c cookies.txt {base}/api/v1/auth/link -d '{{\"token\":\"{token}\"}}'",
        link(base, token),
    );
    if let Err(cause) = shown {
        error!(error = %cause, "a link for the first account could not be shown; use `mai-usage users create`");
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> mai_storage::Result<T> + Send + 'static,
) -> mai_storage::Result<T> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(|cause| mai_storage::Error::Migration(cause.to_string()))?
}
