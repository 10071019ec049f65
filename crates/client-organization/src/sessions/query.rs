//! The queries on sessions; each runs inside of the caller's transaction.

use diesel::prelude::*;
use mai_audit_log::{Actor, Details, NewEntry, append};
use mai_primitives::{UnixTime, UserId};
use mai_storage::DbConnection;

use super::{SessionModel, SessionOwner};
use crate::{
    error::Result,
    role::Activity,
    schema::{client_organizations, members, sessions},
};

/// Stores a session.
pub(crate) fn insert_session(conn: &mut DbConnection, session: &SessionModel) -> Result<()> {
    diesel::insert_into(sessions::table).values(session).execute(conn)?;
    Ok(())
}

/// Ends every session of an owner that has not ended yet; how many.
pub fn revoke_sessions(conn: &mut DbConnection, owner: &SessionOwner, now: UnixTime) -> Result<usize> {
    let open = diesel::update(sessions::table)
        .filter(sessions::revoked_at.is_null())
        .set(sessions::revoked_at.eq(Some(now)));
    let ended = match owner {
        SessionOwner::Account(account) => open.filter(sessions::account_id.eq(account)).execute(conn),
        SessionOwner::User(organization, user) => open
            .filter(sessions::client_org_id.eq(organization).and(sessions::user_id.eq(user)))
            .execute(conn),
        SessionOwner::Nobody(id) => open.filter(sessions::id.eq(id)).execute(conn),
    };
    Ok(ended?)
}

/// The entry of a new session, in the name of its owner.
pub(crate) fn log_sign_in(
    conn: &mut DbConnection,
    actor: &Actor,
    session: &SessionModel,
    now: UnixTime,
) -> Result<()> {
    let owner = session.actor().at(actor.remote().map(str::to_owned), actor.request_id().map(str::to_owned));
    let details = Details::none()
        .with("kind", session.kind.as_str())
        .with("role", session.role.as_str())
        .with_some("user_id", session.user_id.as_ref().map(UserId::as_str));
    let entry = NewEntry::done(session.client_org_id.as_ref(), "session.create", &session.id);
    append(conn, &owner, now, &entry.with(details))?;
    Ok(())
}

/// A session, and whether its organization and its member are active, where it has them.
pub(super) fn session_with_activity(
    conn: &mut DbConnection,
    token_hash: &str,
) -> Result<Option<(SessionModel, Activity)>> {
    let member = members::client_org_id
        .nullable()
        .eq(sessions::client_org_id)
        .and(members::user_id.nullable().eq(sessions::user_id));
    Ok(sessions::table
        .left_join(
            client_organizations::table.on(client_organizations::id.nullable().eq(sessions::client_org_id)),
        )
        .left_join(members::table.on(member))
        .filter(sessions::token_hash.eq(token_hash))
        .select((
            SessionModel::as_select(),
            (client_organizations::is_active.nullable(), members::is_active.nullable()),
        ))
        .first(conn)
        .optional()?)
}
