//! What the statistics need to know of an organization.

use mai_client_organization::query;
use mai_primitives::{OrganizationCalendar, OrganizationId};
use mai_storage::DbConnection;

use crate::error::{Error, Result};

/// An organization, active or not.
pub(crate) struct Organization {
    pub(crate) name: String,
    pub(crate) calendar: OrganizationCalendar,
}

/// The organization, or [`Error::UnknownOrganization`].
pub(crate) fn load(conn: &mut DbConnection, id: &OrganizationId) -> Result<Organization> {
    let row = query::organization(conn, id)?.ok_or_else(|| Error::UnknownOrganization(id.clone()))?;
    Ok(Organization { calendar: row.calendar()?, name: row.name })
}
