//! The row and its form.

use std::fmt;

use diesel::prelude::*;
use mai_primitives::{MarkupRate, UnixTime};
use secrecy::SecretString;

use crate::{
    Change,
    schema::global_settings,
    subscription::{BillableRoles, SubscriptionTiers},
};

/// The settings as they are stored.
#[derive(Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = global_settings, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct GlobalSettingsModel {
    /// Always `global`.
    pub id: String,
    /// The key of OpenRouter's management API, sealed; [`crate::GlobalSettingsTable::provisioning_key`]
    /// opens it.
    pub openrouter_provisioning_key: Option<String>,
    /// The rate of organizations that have none of their own.
    pub default_markup_rate: MarkupRate,
    /// Always `USD`.
    pub billing_currency: String,
    /// When the row was made.
    pub created_at: UnixTime,
    /// When the row was last changed.
    pub updated_at: UnixTime,
    /// What a seat costs; none means [`SubscriptionTiers::default`].
    pub subscription_tiers: Option<SubscriptionTiers>,
    /// Who needs a seat; none means [`BillableRoles::default`].
    pub billable_roles: Option<BillableRoles>,
}

/// Shows whether there is a key, and nothing of it.
impl fmt::Debug for GlobalSettingsModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GlobalSettingsModel")
            .field("has_provisioning_key", &self.openrouter_provisioning_key.is_some())
            .field("default_markup_rate", &self.default_markup_rate)
            .field("billing_currency", &self.billing_currency)
            .field("created_at", &self.created_at)
            .field("updated_at", &self.updated_at)
            .field("subscription_tiers", &self.subscription_tiers)
            .field("billable_roles", &self.billable_roles)
            .finish_non_exhaustive()
    }
}

/// A partial update of the settings: what is absent stays as it is, or takes its default when the
/// row is made.
#[derive(Debug, Clone, Default)]
pub struct GlobalSettingsForm {
    /// The key of OpenRouter's management API, in clear.
    pub openrouter_provisioning_key: Change<SecretString>,
    /// The rate of organizations that have none of their own.
    pub default_markup_rate: Option<MarkupRate>,
    /// Only `USD` is accepted.
    pub billing_currency: Option<String>,
    /// What a seat costs; cleared means the built-in tiers.
    pub subscription_tiers: Change<SubscriptionTiers>,
    /// Who needs a seat; cleared means the built-in roles.
    pub billable_roles: Change<BillableRoles>,
}
