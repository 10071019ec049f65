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
//!
//! ```no_run
//! use mai_organization::{MasterKey, OrganizationServices};
//! use mai_primitives::SystemClock;
//! use mai_storage::{PoolSettings, Storage, migrate};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let url = "sqlite:usage.db".parse()?;
//! migrate::run(&url)?;
//! let storage = Storage::open(&url, PoolSettings::default());
//! let services = OrganizationServices::new(storage, MasterKey::generate()?, std::sync::Arc::new(SystemClock));
//! let stats = services.client_usage_db.get_usage_stats_by_client(&"org_1".parse()?).await?;
//! println!("{} USD", stats.current_month.total_cost);
//! # Ok(())
//! # }
//! ```

pub mod audit_log;
pub mod client_organization;
pub mod database;
pub mod exchange_rates;
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
