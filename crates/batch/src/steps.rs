//! The steps of a run, each in a file of its own.

pub(crate) mod backup;
pub(crate) mod exchange_rates;
pub(crate) mod model_prices;
pub(crate) mod month_totals;
pub(crate) mod reconcile;
pub(crate) mod retention;
pub(crate) mod subscription;
pub mod validation;

use std::collections::HashMap;

use diesel::prelude::*;
use mai_client_organization::schema::client_organizations;
use mai_primitives::OrganizationId;
use mai_storage::{DbConnection, Error as StorageError};

use crate::error::Result;

/// Of how many organizations one query reads.
pub(crate) const ORGANIZATIONS_AT_ONCE: usize = 200;

/// The names of all organizations.
pub(crate) fn names(conn: &mut DbConnection) -> Result<HashMap<OrganizationId, String>> {
    let rows: Vec<(OrganizationId, String)> = client_organizations::table
        .select((client_organizations::id, client_organizations::name))
        .load(conn)
        .map_err(StorageError::from)?;
    Ok(rows.into_iter().collect())
}
