//! The queue of look-ups: whose turn it is, when the next one comes, and when it is over.

use std::collections::BTreeMap;

use diesel::prelude::*;
use mai_primitives::{GenerationId, OrganizationId, UnixTime};
use mai_storage::{BATCH_ROWS, DbConnection, Result, load_for_update, load_unlocked_for_update, on_backend};

use super::{PendingGenerationModel, PendingState, cut};
use crate::schema::pending_generations as pending;

/// Claims at most `limit` generations whose time has come, the longest waiting first, and returns
/// their rows as they are after the claim. Each is handed to exactly one caller; when that one dies
/// it comes back after `lease_seconds`.
///
/// Rows that somebody else has locked are left for later, so that a claim waits for nobody. One
/// organization at a time, as the table is distributed by it.
pub fn claim_due(
    conn: &mut DbConnection,
    now: UnixTime,
    lease_seconds: i64,
    limit: i64,
) -> Result<Vec<PendingGenerationModel>> {
    let due: Vec<(OrganizationId, GenerationId)> = pending::table
        .filter(pending::state.eq(PendingState::Pending))
        .filter(pending::next_attempt_at.le(now))
        .order(pending::next_attempt_at)
        .limit(limit)
        .select((pending::client_org_id, pending::id))
        .load(conn)?;
    let mut by_organization: BTreeMap<OrganizationId, Vec<GenerationId>> = BTreeMap::new();
    for (org, id) in due {
        by_organization.entry(org).or_default().push(id);
    }
    let mut claimed = Vec::new();
    for (org, ids) in &by_organization {
        for chunk in ids.chunks(BATCH_ROWS) {
            let free = pending::table
                .filter(pending::client_org_id.eq(org))
                .filter(pending::id.eq_any(chunk))
                .filter(pending::state.eq(PendingState::Pending))
                .filter(pending::next_attempt_at.le(now))
                .select(pending::id);
            let free: Vec<GenerationId> = load_unlocked_for_update!(conn, free)?;
            let rows: Vec<PendingGenerationModel> = on_backend!(conn, c => diesel::update(pending::table)
                .filter(pending::client_org_id.eq(org))
                .filter(pending::id.eq_any(&free))
                .set((
                    pending::next_attempt_at.eq(now.plus_seconds(lease_seconds)),
                    pending::attempts.eq(pending::attempts + 1),
                    pending::updated_at.eq(now),
                ))
                .returning(PendingGenerationModel::as_returning())
                .get_results(c))?;
            claimed.extend(rows);
        }
    }
    Ok(claimed)
}

/// Sets when a generation is looked up next, and what the last look-up failed with. False when it
/// no longer waits, which is no error: another source settled it in the meantime.
pub fn postpone(
    conn: &mut DbConnection,
    org: &OrganizationId,
    id: &GenerationId,
    next_attempt_at: UnixTime,
    last_error: &str,
    now: UnixTime,
) -> Result<bool> {
    let changed = diesel::update(pending::table.find((org, id)))
        .set((
            pending::next_attempt_at.eq(next_attempt_at),
            pending::last_error.eq(cut(last_error)),
            pending::updated_at.eq(now),
        ))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Lets all waiting generations of an organization rest until `until`, because OpenRouter limits the
/// requests of its key. Those that rest longer stay as they are, and none loses a look-up by it.
pub fn rest(conn: &mut DbConnection, org: &OrganizationId, until: UnixTime, now: UnixTime) -> Result<usize> {
    let waiting = pending::table
        .filter(pending::client_org_id.eq(org))
        .filter(pending::state.eq(PendingState::Pending))
        .filter(pending::next_attempt_at.lt(until))
        .order(pending::id)
        .select(pending::id);
    let waiting: Vec<GenerationId> = load_for_update!(conn, waiting)?;
    set_due(conn, org, &waiting, until, now)
}

/// Sets when generations are looked up next. Whoever changes several rows locks them in the order of
/// their ids before.
pub(crate) fn set_due(
    conn: &mut DbConnection,
    org: &OrganizationId,
    locked: &[GenerationId],
    at: UnixTime,
    now: UnixTime,
) -> Result<usize> {
    let mut changed = 0;
    for chunk in locked.chunks(BATCH_ROWS) {
        let rows = pending::table.filter(pending::client_org_id.eq(org)).filter(pending::id.eq_any(chunk));
        changed += diesel::update(rows)
            .set((pending::next_attempt_at.eq(at), pending::updated_at.eq(now)))
            .execute(conn)?;
    }
    Ok(changed)
}
/// Ends the look-ups of a generation; it stays visible as unresolved. False when it no longer
/// waits, which is no error.
pub fn mark_unresolved(
    conn: &mut DbConnection,
    org: &OrganizationId,
    id: &GenerationId,
    last_error: &str,
    now: UnixTime,
) -> Result<bool> {
    let changed = diesel::update(pending::table.find((org, id)))
        .set((
            pending::state.eq(PendingState::Unresolved),
            pending::last_error.eq(cut(last_error)),
            pending::updated_at.eq(now),
        ))
        .execute(conn)?;
    Ok(changed == 1)
}
