//! Daily usage: recording it and reading statistics.

pub use mai_usage_tracking::*;

/// The type of the singleton service; [`crate::OrganizationServices`] holds it.
pub type ClientUsageDB = ClientUsageTable;
