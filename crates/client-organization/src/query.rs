//! The queries on organizations and their rates; each runs inside of the caller's transaction.

use diesel::prelude::*;
use mai_global_settings::{
    bump_revision,
    query::{default_markup_rate, default_markup_rate_at},
};
use mai_primitives::{MarkupRate, OrganizationId, UnixTime};
use mai_storage::{DbConnection, on_backend};

pub use crate::register::register_seen;
use crate::{
    error::{Error, Result},
    member_changes::remember_organization,
    model::ClientOrganizationModel,
    schema::{client_organizations, organization_markup_rates},
};

/// An organization, active or not; none when there is no such id.
pub fn organization(conn: &mut DbConnection, id: &OrganizationId) -> Result<Option<ClientOrganizationModel>> {
    Ok(client_organizations::table
        .find(id)
        .select(ClientOrganizationModel::as_select())
        .first(conn)
        .optional()?)
}

/// The organization whose OpenRouter key has this fingerprint, active or not.
pub fn organization_by_fingerprint(
    conn: &mut DbConnection,
    fingerprint: &str,
) -> Result<Option<ClientOrganizationModel>> {
    Ok(client_organizations::table
        .filter(client_organizations::openrouter_api_key_fingerprint.eq(fingerprint))
        .select(ClientOrganizationModel::as_select())
        .first(conn)
        .optional()?)
}

/// All organizations, active or not, by name and then by id.
pub fn organizations(conn: &mut DbConnection) -> Result<Vec<ClientOrganizationModel>> {
    Ok(client_organizations::table
        .order((client_organizations::name, client_organizations::id))
        .select(ClientOrganizationModel::as_select())
        .load(conn)?)
}

/// The active organizations, by name and then by id.
pub fn active_organizations(conn: &mut DbConnection) -> Result<Vec<ClientOrganizationModel>> {
    Ok(client_organizations::table
        .filter(client_organizations::is_active.eq(true))
        .order((client_organizations::name, client_organizations::id))
        .select(ClientOrganizationModel::as_select())
        .load(conn)?)
}

/// Refuses an unknown organization before anything is written for it.
pub(crate) fn require_organization(conn: &mut DbConnection, id: &OrganizationId) -> Result<()> {
    let found = client_organizations::table
        .find(id)
        .select(client_organizations::id)
        .first::<OrganizationId>(conn)
        .optional()?;
    found.map(|_| ()).ok_or_else(|| Error::not_found("organization", id.as_str()))
}

/// Stores a new organization with its rate from `created_at` on. The directory revision must have
/// been increased before.
pub(crate) fn insert_organization(
    conn: &mut DbConnection,
    organization: &ClientOrganizationModel,
) -> Result<()> {
    if self::organization(conn, &organization.id)?.is_some() {
        return Err(Error::Taken("organization id"));
    }
    require_free_key(conn, organization)?;
    diesel::insert_into(client_organizations::table).values(organization).execute(conn)?;
    record_rate(conn, &organization.id, organization.created_at, organization.markup_rate)
}

/// Overwrites an organization, with a new rate from `updated_at` on where the rate differs, or from the
/// last change on where a clock says that it is later. The
/// directory revision must have been increased before `old` was read.
pub(crate) fn replace_organization(
    conn: &mut DbConnection,
    old: &ClientOrganizationModel,
    new: &ClientOrganizationModel,
) -> Result<()> {
    require_free_key(conn, new)?;
    remember_organization(conn, old, new.is_active, new.updated_at)?;
    diesel::update(client_organizations::table.find(&new.id)).set(new).execute(conn)?;
    if new.markup_rate != old.markup_rate {
        let last = last_change_of_rate(conn, &new.id)?;
        let from = last.map_or(new.updated_at, |last| last.max(new.updated_at));
        record_rate(conn, &new.id, from, new.markup_rate)?;
    }
    Ok(())
}

/// Two organizations with one key could not be told apart by it.
fn require_free_key(conn: &mut DbConnection, organization: &ClientOrganizationModel) -> Result<()> {
    let Some(fingerprint) = &organization.provider_key.fingerprint else { return Ok(()) };
    match organization_by_fingerprint(conn, fingerprint)? {
        Some(other) if other.id != organization.id => Err(Error::Taken("OpenRouter key")),
        _ => Ok(()),
    }
}

/// Sets whether an organization is active; false when there is no such organization.
pub(crate) fn set_active(
    conn: &mut DbConnection,
    id: &OrganizationId,
    is_active: bool,
    now: UnixTime,
) -> Result<bool> {
    let Some(old) = organization(conn, id)? else { return Ok(false) };
    if old.is_active != is_active {
        bump_revision(conn)?;
        remember_organization(conn, &old, is_active, now)?;
        diesel::update(client_organizations::table.find(id))
            .set((client_organizations::is_active.eq(is_active), client_organizations::updated_at.eq(now)))
            .execute(conn)?;
    }
    Ok(true)
}

/// Since when the present rate holds. Clocks of several processes differ, and one may be set back.
fn last_change_of_rate(conn: &mut DbConnection, organization: &OrganizationId) -> Result<Option<UnixTime>> {
    Ok(organization_markup_rates::table
        .filter(organization_markup_rates::client_org_id.eq(organization))
        .order(organization_markup_rates::valid_from.desc())
        .select(organization_markup_rates::valid_from)
        .first(conn)
        .optional()?)
}

/// Records the organization's own rate from `from` on; none means the default of the time in
/// question. Of several changes in one second the last counts.
fn record_rate(
    conn: &mut DbConnection,
    organization: &OrganizationId,
    from: UnixTime,
    rate: Option<MarkupRate>,
) -> Result<()> {
    use organization_markup_rates::{client_org_id, markup_rate, table, valid_from};
    on_backend!(conn, inner => diesel::insert_into(table)
        .values((client_org_id.eq(organization), valid_from.eq(from), markup_rate.eq(rate)))
        .on_conflict((client_org_id, valid_from))
        .do_update()
        .set(markup_rate.eq(rate))
        .execute(inner))?;
    Ok(())
}

/// The markup rate of an organization at an instant.
///
/// The last of its dated rates counts, and where that says "the default", the default rate of that
/// instant. Before the organization was made its present rate counts; an unknown organization has
/// the present default.
pub fn markup_rate_at(
    conn: &mut DbConnection,
    organization: &OrganizationId,
    at: UnixTime,
) -> Result<MarkupRate> {
    let dated = organization_markup_rates::table
        .filter(organization_markup_rates::client_org_id.eq(organization))
        .filter(organization_markup_rates::valid_from.le(at))
        .order(organization_markup_rates::valid_from.desc())
        .select(organization_markup_rates::markup_rate)
        .first::<Option<MarkupRate>>(conn)
        .optional()?;
    match dated {
        Some(Some(rate)) => Ok(rate),
        Some(None) => Ok(default_markup_rate_at(conn, at)?),
        None => {
            let own = self::organization(conn, organization)?.and_then(|row| row.markup_rate);
            own.map_or_else(|| Ok(default_markup_rate(conn)?), Ok)
        }
    }
}
