//! What members and their organization were before: roles, and who was active, at any past instant.
//!
//! A seat of a month that is over is owed by who needed it then, however late the month is frozen and
//! whatever was changed in between.

use std::collections::HashMap;

use diesel::prelude::*;
use mai_primitives::{OrganizationId, UnixTime, UserId};
use mai_storage::{DbConnection, on_backend};

use crate::{
    error::Result,
    members::{MemberModel, MemberRole},
    model::ClientOrganizationModel,
    schema::{member_changes, members, organization_changes},
};

/// What a member was until a change.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = member_changes, treat_none_as_default_value = false)]
pub struct MemberChangeModel {
    /// The organization.
    pub client_org_id: OrganizationId,
    /// The member.
    pub user_id: UserId,
    /// When it changed.
    pub changed_at: UnixTime,
    /// The role until then.
    pub was_role: MemberRole,
    /// Whether the member was active until then.
    pub was_active: bool,
}

/// The members of an organization as they were just before an instant; those who were made later are as
/// they are now.
pub fn members_before(
    conn: &mut DbConnection,
    organization: &OrganizationId,
    instant: UnixTime,
) -> Result<Vec<MemberModel>> {
    let changes: Vec<MemberChangeModel> = member_changes::table
        .filter(member_changes::client_org_id.eq(organization))
        .filter(member_changes::changed_at.ge(instant))
        .order(member_changes::changed_at.desc())
        .select(MemberChangeModel::as_select())
        .load(conn)?;
    // The earliest change comes last and stays.
    let first: HashMap<UserId, MemberChangeModel> =
        changes.into_iter().map(|change| (change.user_id.clone(), change)).collect();
    let mut members = crate::members::members_of(conn, organization)?;
    for member in &mut members {
        if let Some(change) = first.get(&member.user_id) {
            (member.role, member.is_active) = (change.was_role, change.was_active);
        }
    }
    Ok(members)
}

/// Whether an organization was there and active just before an instant; for an instant to come, whether it is now.
pub fn was_active_before(
    conn: &mut DbConnection,
    organization: &ClientOrganizationModel,
    instant: UnixTime,
) -> Result<bool> {
    let first = organization_changes::table
        .filter(organization_changes::client_org_id.eq(&organization.id))
        .filter(organization_changes::changed_at.ge(instant))
        .order(organization_changes::changed_at)
        .select(organization_changes::was_active);
    let was_active = first.first(conn).optional()?.unwrap_or(organization.is_active);
    Ok(was_active && organization.created_at < instant)
}

/// Keeps whether an organization was active, where that is about to change.
pub(crate) fn remember_organization(
    conn: &mut DbConnection,
    old: &ClientOrganizationModel,
    is_active: bool,
    now: UnixTime,
) -> Result<()> {
    if old.is_active != is_active {
        on_backend!(conn, inner => diesel::insert_into(organization_changes::table)
            .values((
                organization_changes::client_org_id.eq(&old.id),
                organization_changes::changed_at.eq(now),
                organization_changes::was_active.eq(old.is_active),
            ))
            .on_conflict_do_nothing()
            .execute(inner))?;
    }
    Ok(())
}

/// Keeps what members were, where `new` rows of one organization that are about to be stored make them
/// something else. Of several changes within a second the state before the first one counts.
pub(crate) fn remember(conn: &mut DbConnection, new: &[MemberModel]) -> Result<()> {
    let Some(organization) = new.first().map(|row| &row.client_org_id) else { return Ok(()) };
    let known: HashMap<UserId, (MemberRole, bool)> = members::table
        .filter(members::client_org_id.eq(organization))
        .filter(members::user_id.eq_any(new.iter().map(|row| &row.user_id)))
        .select((members::user_id, (members::role, members::is_active)))
        .load::<(UserId, (MemberRole, bool))>(conn)?
        .into_iter()
        .collect();
    let changed: Vec<MemberChangeModel> = new
        .iter()
        .filter_map(|row| {
            let &(was_role, was_active) = known.get(&row.user_id)?;
            ((was_role, was_active) != (row.role, row.is_active)).then(|| MemberChangeModel {
                client_org_id: row.client_org_id.clone(),
                user_id: row.user_id.clone(),
                changed_at: row.updated_at,
                was_role,
                was_active,
            })
        })
        .collect();
    if !changed.is_empty() {
        on_backend!(conn, inner => diesel::insert_into(member_changes::table)
            .values(&changed)
            .on_conflict_do_nothing()
            .execute(inner))?;
    }
    Ok(())
}
