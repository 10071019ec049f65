//! The facade of the domain crates: settings, organizations, the ledger and usage under one roof.
//!
//! Every public name of the original's package can be reached in three ways, which all name the
//! same thing: from the root (`mai_organization::ClientOrganization`), from its module
//! (`mai_organization::client_organization::ClientOrganization`), and from the path of the
//! original's first version (`mai_organization::organization_usage::ClientOrganization`). The
//! modules hold everything else of the domain crates as well.
//!
//! [`OrganizationServices`] makes the services of a database. There is no `static` among them: who
//! needs a service is handed it.

pub mod client_organization;
pub mod database;
pub mod generation_processing;
pub mod global_settings;
pub mod services;
pub mod usage_tracking;

mod names;

/// The path of the original's first version, in which everything was one module.
pub mod organization_usage {
    pub use crate::names::*;
}

pub use names::*;
