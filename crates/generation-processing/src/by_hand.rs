//! What a person can do with generations whose cost is not known, beside settling them, which books
//! usage and is therefore done by the usage-tracking crate.

use diesel::prelude::*;
use mai_primitives::{GenerationId, OrganizationId, UnixTime};
use mai_storage::{DbConnection, Error as StorageError, load_for_update};

use crate::{
    audit::{GenerationAuditModel, insert_audit},
    error::{Error, Result},
    pending::{PendingGenerationModel, PendingState, delete_pending, set_due},
    schema::pending_generations as pending,
};

/// The row of a generation that waits or is unresolved, which nobody else can change until the
/// transaction ends. It is an error if there is none.
pub fn lock_pending(
    conn: &mut DbConnection,
    org: &OrganizationId,
    id: &GenerationId,
) -> Result<PendingGenerationModel> {
    let row = pending::table.filter(pending::client_org_id.eq(org)).filter(pending::id.eq(id));
    let rows: Vec<PendingGenerationModel> = load_for_update!(conn, row).map_err(StorageError::from)?;
    rows.into_iter().next().ok_or_else(|| Error::NotPending(id.clone()))
}

/// Ends the waiting of a generation that was not charged; the audit keeps what was known of it, and the
/// reason, which must not be blank.
pub fn dismiss(
    conn: &mut DbConnection,
    org: &OrganizationId,
    id: &GenerationId,
    reason: &str,
    now: UnixTime,
) -> Result<()> {
    if reason.trim().is_empty() {
        return Err(Error::NoReason);
    }
    let row = lock_pending(conn, org, id)?;
    insert_audit(conn, &[GenerationAuditModel::of_dismissal(row, reason.trim(), now)])?;
    delete_pending(conn, org, std::slice::from_ref(id))?;
    Ok(())
}

/// Makes a generation due for a look-up, also one that was unresolved. After the 72 hours of
/// [`LOOKUP_SECONDS`](crate::pending::LOOKUP_SECONDS) it is looked up just once more. One without an
/// id that OpenRouter knows, or whose usage is known already, is refused.
pub fn look_up_again(
    conn: &mut DbConnection,
    org: &OrganizationId,
    id: &GenerationId,
    now: UnixTime,
) -> Result<()> {
    let reason = lock_pending(conn, org, id)?.reason;
    if !reason.can_be_looked_up() {
        return Err(Error::NothingToLookUp { id: id.clone(), reason });
    }
    diesel::update(pending::table.find((org, id)))
        .set((
            pending::state.eq(PendingState::Pending),
            pending::next_attempt_at.eq(now),
            pending::updated_at.eq(now),
        ))
        .execute(conn)
        .map_err(StorageError::from)?;
    Ok(())
}

/// Makes all waiting generations of an organization that began at `since` or later due for a look-up,
/// and returns how many they are. Unresolved ones stay as they are. One that is being looked up at
/// this moment may be asked for twice, which changes nothing.
pub fn make_due(
    conn: &mut DbConnection,
    org: &OrganizationId,
    since: UnixTime,
    now: UnixTime,
) -> Result<usize> {
    let waiting = pending::table
        .filter(pending::client_org_id.eq(org))
        .filter(pending::state.eq(PendingState::Pending))
        .filter(pending::started_at.ge(since))
        .order(pending::id)
        .select(pending::id);
    let waiting: Vec<GenerationId> = load_for_update!(conn, waiting).map_err(StorageError::from)?;
    Ok(set_due(conn, org, &waiting, now, now)?)
}
