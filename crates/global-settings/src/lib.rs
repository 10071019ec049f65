//! Settings that hold for all organizations: the provisioning key of OpenRouter's management API,
//! the default markup rate with its history, the billing currency, and what seats cost.
//!
//! As the lowest of the domain crates it also holds what the others share: the sealing of secrets
//! at rest ([`MasterKey`]), the field of a partial update ([`Change`]), and the directory revision,
//! the number by which a running gateway sees that it must load organizations, keys, mappings and
//! settings again ([`bump_revision`]).

pub mod change;
pub mod error;
pub mod model;
pub mod query;
pub mod schema;
pub mod secret;
pub mod service;
pub mod subscription;

#[cfg(test)]
mod tests;

pub use change::Change;
pub use error::{Error, Result};
pub use model::{GlobalSettingsForm, GlobalSettingsModel};
pub use query::{bump_revision, revision};
/// The table itself, for queries in Diesel's language; the original's class of the same name.
pub use schema::global_settings::table as GlobalSettings;
pub use secret::{MasterKey, SecretError};
pub use service::GlobalSettingsTable;
pub use subscription::{BillableRoles, SeatRole, SubscriptionError, SubscriptionTier, SubscriptionTiers};
