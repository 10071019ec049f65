//! Settings that hold for all organizations.

pub use mai_global_settings::*;

/// The type of the singleton service; [`crate::OrganizationServices`] holds it.
pub type GlobalSettingsDB = GlobalSettingsTable;
