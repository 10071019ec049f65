//! Calls that upstream refused or failed and did not charge. They are counted apart, because they
//! are no generations and never part of `requests`.

use diesel::prelude::*;
use mai_primitives::{ModelName, OrganizationId, UnixTime, UsageDate, UserId};
use mai_storage::{BATCH_ROWS, DbConnection, Result, on_backend};

use crate::schema::failed_calls;

/// A row of `failed_calls`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Insertable)]
#[diesel(table_name = failed_calls, treat_none_as_default_value = false)]
pub struct NewFailedCall {
    /// Whose call it was.
    pub client_org_id: OrganizationId,
    /// The call's own id, unique within the organization.
    pub id: String,
    /// The organization's local day on which the call began.
    pub usage_date: UsageDate,
    /// The member who asked.
    pub user_id: UserId,
    /// The model that was asked for.
    pub requested_model: Option<ModelName>,
    /// The HTTP status of the upstream, or 0 where there was no answer.
    pub status: i32,
    /// Why it failed, in a short stable word.
    pub reason: String,
    /// When the call began.
    pub started_at: UnixTime,
    /// When the row was written.
    pub created_at: UnixTime,
}

/// Inserts the calls that are not there yet and returns how many that were.
pub fn insert_failed_calls(conn: &mut DbConnection, calls: &[NewFailedCall]) -> Result<usize> {
    let mut sorted: Vec<&NewFailedCall> = calls.iter().collect();
    sorted.sort_by(|a, b| (&a.client_org_id, &a.id).cmp(&(&b.client_org_id, &b.id)));
    let mut inserted = 0;
    for chunk in sorted.chunks(BATCH_ROWS) {
        inserted += on_backend!(conn, c => diesel::insert_into(failed_calls::table)
            .values(chunk.to_vec())
            .on_conflict((failed_calls::client_org_id, failed_calls::id))
            .do_nothing()
            .execute(c))?;
    }
    Ok(inserted)
}

/// The number of failed calls of the days from `from` to `to`, both included.
pub fn count_failed(
    conn: &mut DbConnection,
    org: &OrganizationId,
    from: UsageDate,
    to: UsageDate,
) -> Result<i64> {
    let calls = failed_calls::table
        .filter(failed_calls::client_org_id.eq(org))
        .filter(failed_calls::usage_date.between(from, to));
    Ok(calls.count().get_result(conn)?)
}

/// Counts failed calls for another member from now on, those of certain days, and returns how many.
pub fn move_failed(
    conn: &mut DbConnection,
    org: &OrganizationId,
    (from, to): (&UserId, &UserId),
    is_day: impl Fn(UsageDate) -> bool,
) -> Result<usize> {
    let theirs: Vec<(String, UsageDate)> = failed_calls::table
        .filter(failed_calls::client_org_id.eq(org))
        .filter(failed_calls::user_id.eq(from))
        .select((failed_calls::id, failed_calls::usage_date))
        .load(conn)?;
    let ids: Vec<String> = theirs.into_iter().filter(|(_, date)| is_day(*date)).map(|(id, _)| id).collect();
    let mut moved = 0;
    for chunk in ids.chunks(BATCH_ROWS) {
        let calls = failed_calls::table
            .filter(failed_calls::client_org_id.eq(org))
            .filter(failed_calls::id.eq_any(chunk));
        moved += diesel::update(calls).set(failed_calls::user_id.eq(to)).execute(conn)?;
    }
    Ok(moved)
}
