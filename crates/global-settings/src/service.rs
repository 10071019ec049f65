//! [`GlobalSettingsTable`]: the settings as a service.

use std::sync::Arc;

use mai_audit_log::{Actor, Details, NewEntry, append};
use mai_primitives::{Clock, MarkupRate, UnixTime};
use mai_storage::{DbConnection, Storage};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    change::Change,
    error::{Error, Result},
    model::{GlobalSettingsForm, GlobalSettingsModel},
    query,
    secret::MasterKey,
    subscription::{BillableRoles, SubscriptionTiers},
};

/// The id of the only row.
const ID: &str = "global";
/// The only currency.
const CURRENCY: &str = "USD";
/// The column for which the key is sealed.
const KEY_CONTEXT: &str = "global_settings/openrouter_provisioning_key/global";

/// Reads and changes the settings.
#[derive(Clone)]
pub struct GlobalSettingsTable {
    storage: Storage,
    master_key: MasterKey,
    clock: Arc<dyn Clock>,
    actor: Actor,
}

impl GlobalSettingsTable {
    /// A service on `storage` that seals the provisioning key with `master_key`.
    pub fn new(storage: Storage, master_key: MasterKey, clock: Arc<dyn Clock>) -> Self {
        Self { storage, master_key, clock, actor: Actor::system() }
    }

    /// The same service in the name of `actor`, whom the audit log will tell.
    #[must_use]
    pub fn acting_as(&self, actor: Actor) -> Self {
        Self { actor, ..self.clone() }
    }

    /// The settings, or none when none were ever stored.
    pub async fn get_settings(&self) -> Result<Option<GlobalSettingsModel>> {
        Ok(self.storage.read(query::settings).await?)
    }

    /// Stores the settings for the first time; what the form leaves out takes its default. When there
    /// are settings already the error is [`mai_storage::Error::Unique`].
    pub async fn create_settings(&self, form: GlobalSettingsForm) -> Result<GlobalSettingsModel> {
        let (patch, actor) = (self.check(form)?, self.actor.clone());
        self.storage
            .write(move |conn| {
                query::bump_revision(conn)?;
                let settings = patch.create(conn)?;
                patch.log(conn, &actor)?;
                Ok(settings)
            })
            .await
    }

    /// Changes what the form names and keeps the rest; stores the settings when there are none.
    pub async fn update_settings(&self, form: GlobalSettingsForm) -> Result<GlobalSettingsModel> {
        let (patch, actor) = (self.check(form)?, self.actor.clone());
        self.storage
            .write(move |conn| {
                query::bump_revision(conn)?;
                let settings = match query::settings(conn)? {
                    Some(old) => patch.update(conn, old)?,
                    None => patch.create(conn)?,
                };
                patch.log(conn, &actor)?;
                Ok(settings)
            })
            .await
    }

    /// The same as [`Self::update_settings`]; the other name of the original.
    pub async fn create_or_update_settings(&self, form: GlobalSettingsForm) -> Result<GlobalSettingsModel> {
        self.update_settings(form).await
    }

    /// The provisioning key in clear, or none when none is stored.
    pub fn provisioning_key(&self, settings: &GlobalSettingsModel) -> Result<Option<SecretString>> {
        let sealed = settings.openrouter_provisioning_key.as_deref();
        Ok(sealed.map(|sealed| self.master_key.open(KEY_CONTEXT, sealed)).transpose()?)
    }

    /// Checks the form and seals its key, so that the transaction, which may run more than once, only
    /// writes.
    fn check(&self, form: GlobalSettingsForm) -> Result<Patch> {
        if let Some(currency) = form.billing_currency.filter(|currency| currency != CURRENCY) {
            return Err(Error::Currency(currency.chars().take(20).collect()));
        }
        let key = match form.openrouter_provisioning_key {
            Change::Keep => Change::Keep,
            Change::Clear => Change::Clear,
            Change::Set(key) => {
                let text = key.expose_secret();
                if text.is_empty() || text.len() > 512 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return Err(Error::ProvisioningKey);
                }
                Change::Set(self.master_key.seal(KEY_CONTEXT, &key)?)
            }
        };
        Ok(Patch {
            key,
            rate: form.default_markup_rate,
            tiers: form.subscription_tiers,
            roles: form.billable_roles,
            now: self.clock.now().into(),
        })
    }
}

/// A checked form.
struct Patch {
    key: Change<String>,
    rate: Option<MarkupRate>,
    tiers: Change<SubscriptionTiers>,
    roles: Change<BillableRoles>,
    now: UnixTime,
}

/// A change for the audit log: the new value, or that it was cleared.
fn told<T: std::fmt::Display>(change: &Change<T>) -> Option<String> {
    match change {
        Change::Set(value) => Some(value.to_string()),
        other => other.word().map(str::to_owned),
    }
}

impl Patch {
    fn log(&self, conn: &mut DbConnection, actor: &Actor) -> Result<()> {
        let details = Details::none()
            .with_some("default_markup_rate", self.rate.map(|rate| rate.to_string()))
            .with_some("openrouter_provisioning_key", self.key.word())
            .with_some("subscription_tiers", told(&self.tiers))
            .with_some("billable_roles", told(&self.roles));
        append(conn, actor, self.now, &NewEntry::done(None, "settings.update", ID).with(details))?;
        Ok(())
    }

    fn create(&self, conn: &mut DbConnection) -> Result<GlobalSettingsModel> {
        let settings = GlobalSettingsModel {
            id: ID.into(),
            openrouter_provisioning_key: self.key.clone().apply(None),
            default_markup_rate: self.rate.unwrap_or(MarkupRate::DEFAULT),
            billing_currency: CURRENCY.into(),
            created_at: self.now,
            updated_at: self.now,
            subscription_tiers: self.tiers.clone().apply(None),
            billable_roles: self.roles.clone().apply(None),
        };
        query::insert_settings(conn, &settings)?;
        query::record_default_rate(conn, self.now, settings.default_markup_rate)?;
        Ok(settings)
    }

    fn update(&self, conn: &mut DbConnection, old: GlobalSettingsModel) -> Result<GlobalSettingsModel> {
        let settings = GlobalSettingsModel {
            openrouter_provisioning_key: self.key.clone().apply(old.openrouter_provisioning_key),
            default_markup_rate: self.rate.unwrap_or(old.default_markup_rate),
            updated_at: self.now,
            subscription_tiers: self.tiers.clone().apply(old.subscription_tiers),
            billable_roles: self.roles.clone().apply(old.billable_roles),
            ..old
        };
        query::replace_settings(conn, &settings)?;
        if settings.default_markup_rate != old.default_markup_rate {
            query::record_default_rate(conn, self.now, settings.default_markup_rate)?;
        }
        Ok(settings)
    }
}
