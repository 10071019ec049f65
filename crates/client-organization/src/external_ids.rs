//! Further ids of members: what foreign sources call them, and the ids under which they were registered a
//! second time.
//!
//! Whoever has such an id is the member, wherever usage is booked: [`redirect`] is part of every booking.
//! An id is never both a registered, active member and a further id of another one.

use std::collections::{BTreeSet, HashMap};

use diesel::prelude::*;
use mai_global_settings::bump_revision;
use mai_primitives::{OrganizationId, UnixTime, UserId};
use mai_storage::{BATCH_ROWS, DbConnection, lock_alone, lock_shared};

use crate::{
    error::{Error, Result},
    openrouter_user::openrouter_user_id,
    query::require_organization,
    schema::{external_users, members, user_client_mapping},
};

/// Begins work that books usage of an organization or changes who its members are: it waits for
/// [`alone`] to end, and keeps it from beginning until the transaction ends. Members and their further
/// ids are to be read after it. It comes before every lock on rows, as [`alone`] does: whoever waits for
/// its turn must not hold what those need who have theirs.
pub fn together(conn: &mut DbConnection, organization: &OrganizationId) -> Result<()> {
    Ok(lock_shared(conn, &turn(organization))?)
}

/// Begins work that moves booked usage of an organization from one user to another: until the
/// transaction ends nobody books, so what is read is all there is. It must be the first lock.
pub fn alone(conn: &mut DbConnection, organization: &OrganizationId) -> Result<()> {
    Ok(lock_alone(conn, &turn(organization))?)
}

/// Begins a change of members or mappings: the organization's turn first, then the directory's revision.
pub(crate) fn begin_change(conn: &mut DbConnection, organization: &OrganizationId) -> Result<()> {
    together(conn, organization)?;
    bump_revision(conn)?;
    require_organization(conn, organization)
}

fn turn(organization: &OrganizationId) -> String {
    format!("members of {organization}")
}

/// The members behind those of the ids that are further ids; all others are absent.
pub fn members_called<'a>(
    conn: &mut DbConnection,
    organization: &OrganizationId,
    ids: impl IntoIterator<Item = &'a str>,
) -> Result<HashMap<String, UserId>> {
    let ids: Vec<&str> = ids.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    let mut found = HashMap::new();
    for chunk in ids.chunks(BATCH_ROWS) {
        let rows = external_users::table
            .filter(external_users::client_org_id.eq(organization))
            .filter(external_users::external_user_id.eq_any(chunk.iter().copied()))
            .select((external_users::external_user_id, external_users::user_id))
            .load::<(String, UserId)>(conn)?;
        found.extend(rows);
    }
    Ok(found)
}

/// Replaces users that are further ids by their members.
pub fn redirect<'a>(
    conn: &mut DbConnection,
    organization: &OrganizationId,
    users: impl IntoIterator<Item = &'a mut UserId>,
) -> Result<()> {
    let users: Vec<&mut UserId> = users.into_iter().collect();
    if users.is_empty() {
        return Ok(());
    }
    let members = members_called(conn, organization, users.iter().map(|user| user.as_str()))?;
    if members.is_empty() {
        return Ok(());
    }
    for user in users {
        if let Some(member) = members.get(user.as_str()) {
            *user = member.clone();
        }
    }
    Ok(())
}

/// The further ids of a member, in order.
pub fn external_ids(
    conn: &mut DbConnection,
    organization: &OrganizationId,
    user: &UserId,
) -> Result<Vec<UserId>> {
    let mut ids = external_users::table
        .filter(external_users::client_org_id.eq(organization))
        .filter(external_users::user_id.eq(user))
        .select(external_users::external_user_id)
        .load::<UserId>(conn)?;
    ids.sort();
    Ok(ids)
}

/// Refuses an id that stands for a member already, under which nobody can be registered.
pub(crate) fn require_no_external_id(
    conn: &mut DbConnection,
    organization: &OrganizationId,
    user: &UserId,
) -> Result<()> {
    match members_called(conn, organization, [user.as_str()])?.remove(user.as_str()) {
        Some(member) => Err(Error::ExternalId { id: user.clone(), member }),
        None => Ok(()),
    }
}

/// Makes `external` a further id of the member `user`, and so those that stood for `external` before.
/// True where it is new. The caller has taken its turn by [`alone`], or else the id might be registered as
/// a member in the same moment. The directory's revision is increased, because calls under the id are let
/// through as those of the member are.
///
/// Refused: an id that stands for nobody in particular, of another member, or that a mapping gives to
/// another member; and a user who is no registered member.
pub fn add_external_id(
    conn: &mut DbConnection,
    organization: &OrganizationId,
    external: &UserId,
    user: &UserId,
    now: UnixTime,
) -> Result<bool> {
    if external == user || is_of_nobody(organization, external)? {
        return Err(Error::invalid("external_user_id", "must be an id that only this member has"));
    }
    require_member(conn, organization, user)?;
    match members_called(conn, organization, [external.as_str()])?.remove(external.as_str()) {
        Some(member) if member == *user => return Ok(false),
        Some(member) => return Err(Error::ExternalId { id: external.clone(), member }),
        None => {}
    }
    require_no_mapping_of_another(conn, organization, external, user)?;
    if is_active_member(conn, organization, external)? {
        return Err(Error::Taken("external user id"));
    }
    bump_revision(conn)?;
    let theirs = external_users::table
        .filter(external_users::client_org_id.eq(organization))
        .filter(external_users::user_id.eq(external));
    diesel::update(theirs).set(external_users::user_id.eq(user)).execute(conn)?;
    let row = (
        external_users::client_org_id.eq(organization),
        external_users::external_user_id.eq(external),
        external_users::user_id.eq(user),
        external_users::created_at.eq(now),
    );
    match diesel::insert_into(external_users::table).values(row).execute(conn).map_err(Into::into) {
        Ok(_) => Ok(true),
        // Another process was faster.
        Err(mai_storage::Error::Unique(_)) => Err(Error::Taken("external user id")),
        Err(cause) => Err(cause.into()),
    }
}

/// Takes a further id from a member; false where the member does not have it. Usage that was booked
/// stays with the member.
pub fn remove_external_id(
    conn: &mut DbConnection,
    organization: &OrganizationId,
    external: &UserId,
    user: &UserId,
) -> Result<bool> {
    let row = external_users::table
        .filter(external_users::client_org_id.eq(organization))
        .filter(external_users::external_user_id.eq(external))
        .filter(external_users::user_id.eq(user));
    Ok(diesel::delete(row).execute(conn)? > 0)
}

/// Whether usage under this id may be anybody's: of calls that named nobody, and of records by hand that
/// named nobody.
pub fn is_of_nobody(organization: &OrganizationId, user: &UserId) -> Result<bool> {
    let nobody = openrouter_user_id(organization, &UserId::unattributed())?;
    Ok([UserId::UNATTRIBUTED, UserId::MANUAL, nobody.as_str()].contains(&user.as_str()))
}

fn require_member(conn: &mut DbConnection, organization: &OrganizationId, user: &UserId) -> Result<()> {
    require_no_external_id(conn, organization, user)?;
    let found = members::table
        .find((organization, user))
        .select(members::user_id)
        .first::<UserId>(conn)
        .optional()?;
    found.map(drop).ok_or_else(|| Error::not_found("member", user.as_str()))
}

fn is_active_member(conn: &mut DbConnection, organization: &OrganizationId, user: &UserId) -> Result<bool> {
    let row = members::table.find((organization, user)).select(members::is_active).first::<bool>(conn);
    Ok(row.optional()?.unwrap_or(false))
}

/// A mapping decides before further ids do, so one that says something else would make the id useless.
fn require_no_mapping_of_another(
    conn: &mut DbConnection,
    organization: &OrganizationId,
    external: &UserId,
    user: &UserId,
) -> Result<()> {
    let owner = user_client_mapping::table
        .filter(user_client_mapping::client_org_id.eq(organization))
        .filter(user_client_mapping::openrouter_user_id.eq(external.as_str()))
        .filter(user_client_mapping::is_active.eq(true))
        .select(user_client_mapping::user_id)
        .first::<UserId>(conn)
        .optional()?;
    let Some(mut owner) = owner else { return Ok(()) };
    redirect(conn, organization, [&mut owner])?;
    if owner == *user { Ok(()) } else { Err(Error::Taken("external user id")) }
}
