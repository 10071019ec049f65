//! Organizations, their members, user mappings, gateway keys and API tokens.

pub use mai_client_organization::*;

/// The type of the singleton service; [`crate::OrganizationServices`] holds it.
pub type ClientOrganizationDB = ClientOrganizationTable;

/// The type of the singleton service; [`crate::OrganizationServices`] holds it.
pub type UserClientMappingDB = UserClientMappingTable;
