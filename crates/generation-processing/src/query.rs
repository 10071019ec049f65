//! Reading and writing the ledger. The functions run inside of the caller's transaction.

use std::collections::{BTreeMap, HashSet};

use diesel::{dsl::exists, prelude::*};
use mai_primitives::{GenerationId, OrganizationId, UsageDate, Usd, UserId};
use mai_storage::{BATCH_ROWS, DbConnection, Result, load_for_update, on_backend, sum_i64};

use crate::{
    model::{ProcessedGenerationModel, ProcessedGenerationStats, UsageSource},
    schema::{processed_generation_cleanup_log as log, processed_generations as ledger},
};

/// Inserts the rows whose ids the ledger does not have. Tells by id what it had: nothing, or this row,
/// which nobody else can change until the transaction ends. Of rows with the same id the first is taken.
///
/// This alone decides what is new: who inserts the row books the usage, in the same transaction.
/// When two processes bring the same id, the second waits for the first to commit, and then sees what
/// the first has written. Both steps take the ids in order, so that two batches never wait for each
/// other.
pub fn insert_or_lock<'a>(
    conn: &mut DbConnection,
    org: &OrganizationId,
    rows: impl IntoIterator<Item = &'a ProcessedGenerationModel>,
) -> Result<BTreeMap<GenerationId, Option<ProcessedGenerationModel>>> {
    let mut open: BTreeMap<&GenerationId, &ProcessedGenerationModel> = BTreeMap::new();
    for row in rows {
        open.entry(&row.id).or_insert(row);
    }
    let mut found = BTreeMap::new();
    // Once, unless a cleanup removes a row between the two steps.
    while !open.is_empty() {
        let rows: Vec<&ProcessedGenerationModel> = open.values().copied().collect();
        for id in insert_new(conn, &rows)? {
            open.remove(&id);
            found.insert(id, None);
        }
        let known: Vec<&GenerationId> = open.keys().copied().collect();
        for chunk in known.chunks(BATCH_ROWS) {
            let booked = ledger::table
                .filter(ledger::client_org_id.eq(org))
                .filter(ledger::id.eq_any(chunk.to_vec()))
                .order(ledger::id);
            let booked: Vec<ProcessedGenerationModel> = load_for_update!(conn, booked)?;
            for row in booked {
                open.remove(&row.id);
                found.insert(row.id.clone(), Some(row));
            }
        }
    }
    Ok(found)
}

fn insert_new(conn: &mut DbConnection, rows: &[&ProcessedGenerationModel]) -> Result<Vec<GenerationId>> {
    let mut inserted = Vec::with_capacity(rows.len());
    for chunk in rows.chunks(BATCH_ROWS) {
        let ids: Vec<GenerationId> = on_backend!(conn, c => diesel::insert_into(ledger::table)
            .values(chunk.to_vec())
            .on_conflict((ledger::client_org_id, ledger::id))
            .do_nothing()
            .returning(ledger::id)
            .get_results(c))?;
        inserted.extend(ids);
    }
    Ok(inserted)
}

/// Those of the ids that the ledger has from a source that [ends their look-up](UsageSource::ends_look_up).
pub fn booked_ids(
    conn: &mut DbConnection,
    org: &OrganizationId,
    ids: &[&GenerationId],
) -> Result<HashSet<GenerationId>> {
    let mut found = HashSet::with_capacity(ids.len());
    for chunk in ids.chunks(BATCH_ROWS) {
        let rows = ledger::table
            .filter(ledger::client_org_id.eq(org))
            .filter(ledger::id.eq_any(chunk.to_vec()))
            .filter(ledger::source.eq_any(UsageSource::ALL.iter().filter(|source| source.ends_look_up())))
            .select(ledger::id);
        found.extend(rows.load::<GenerationId>(conn)?);
    }
    Ok(found)
}

/// Rewrites a row, which the caller has locked by [`insert_or_lock`], together with its daily usage.
pub fn rewrite(conn: &mut DbConnection, row: &ProcessedGenerationModel) -> Result<()> {
    diesel::update(ledger::table.find((&row.client_org_id, &row.id))).set(row).execute(conn)?;
    Ok(())
}

/// What the ledger has of two users together on certain days, in parts that add up: generations, tokens,
/// cost and client's price.
pub fn sums_of_users(
    conn: &mut DbConnection,
    org: &OrganizationId,
    users: [&UserId; 2],
    dates: &[UsageDate],
) -> Result<Vec<(i64, i64, Usd, Usd)>> {
    let mut sums = Vec::new();
    for chunk in dates.chunks(BATCH_ROWS) {
        let rows = ledger::table
            .filter(ledger::client_org_id.eq(org))
            .filter(ledger::generation_date.eq_any(chunk))
            .filter(ledger::user_id.eq_any(users))
            .select((
                diesel::dsl::count_star(),
                sum_i64(ledger::total_tokens),
                sum_i64(ledger::total_cost),
                sum_i64(ledger::markup_cost),
            ));
        sums.push(rows.first(conn)?);
    }
    Ok(sums)
}

/// Counts what a user used on certain days for another one from now on, and returns how many rows that
/// are. The rows keep what OpenRouter knew the user as. Nobody may book for the organization meanwhile.
pub fn move_rows(
    conn: &mut DbConnection,
    org: &OrganizationId,
    (from, to): (&UserId, &UserId),
    dates: &[UsageDate],
) -> Result<usize> {
    let mut moved = 0;
    for chunk in dates.chunks(BATCH_ROWS) {
        let rows = ledger::table
            .filter(ledger::client_org_id.eq(org))
            .filter(ledger::generation_date.eq_any(chunk))
            .filter(ledger::user_id.eq(from));
        moved += diesel::update(rows).set(ledger::user_id.eq(to)).execute(conn)?;
    }
    Ok(moved)
}

/// Takes back rows that [`insert_or_lock`] inserted in this transaction.
pub fn take_back(conn: &mut DbConnection, org: &OrganizationId, ids: &[&GenerationId]) -> Result<()> {
    for chunk in ids.chunks(BATCH_ROWS) {
        diesel::delete(ledger::table)
            .filter(ledger::client_org_id.eq(org))
            .filter(ledger::id.eq_any(chunk.to_vec()))
            .execute(conn)?;
    }
    Ok(())
}

/// Whether the ledger has this generation of this organization.
pub fn is_processed(conn: &mut DbConnection, id: &GenerationId, org: &OrganizationId) -> Result<bool> {
    let row = ledger::table.filter(ledger::client_org_id.eq(org)).filter(ledger::id.eq(id));
    Ok(diesel::select(exists(row)).get_result(conn)?)
}

/// One ledger row, or none.
pub fn find(
    conn: &mut DbConnection,
    org: &OrganizationId,
    id: &GenerationId,
) -> Result<Option<ProcessedGenerationModel>> {
    let row = ledger::table.filter(ledger::client_org_id.eq(org)).filter(ledger::id.eq(id));
    Ok(row.first(conn).optional()?)
}

/// The ledger rows of one local day, by the start of the request, then by id.
pub fn for_date(
    conn: &mut DbConnection,
    org: &OrganizationId,
    date: UsageDate,
) -> Result<Vec<ProcessedGenerationModel>> {
    let rows = ledger::table.filter(ledger::client_org_id.eq(org)).filter(ledger::generation_date.eq(date));
    let mut rows: Vec<ProcessedGenerationModel> = rows.load(conn)?;
    // Not in SQL, because there the order of texts depends on the database's locale.
    rows.sort_by(|a, b| (a.started_at, &a.id).cmp(&(b.started_at, &b.id)));
    Ok(rows)
}

/// Sums over the ledger rows of the days from `start` to `end`, both included.
pub fn stats(
    conn: &mut DbConnection,
    org: &OrganizationId,
    start: UsageDate,
    end: UsageDate,
) -> Result<ProcessedGenerationStats> {
    let (total_processed, total_cost, total_tokens) = ledger::table
        .filter(ledger::client_org_id.eq(org))
        .filter(ledger::generation_date.between(start, end))
        .select((diesel::dsl::count_star(), sum_i64(ledger::total_cost), sum_i64(ledger::total_tokens)))
        .first(conn)?;
    Ok(ProcessedGenerationStats {
        client_org_id: org.clone(),
        total_processed,
        total_cost,
        total_tokens,
        date_range: (start, end),
    })
}

/// The first local day of which the ledger still has every row; none while it was never cleaned.
///
/// A cleanup deletes by the moment of booking, which is never before the generation's own day
/// began. The cutoff is a UTC day and a local day begins up to 14 hours earlier, hence two days.
pub fn complete_from(conn: &mut DbConnection) -> Result<Option<UsageDate>> {
    let cutoff: Option<UsageDate> =
        log::table.filter(log::success.eq(true)).select(diesel::dsl::max(log::cutoff_date)).first(conn)?;
    Ok(cutoff.map(|day| day.plus_days(2)))
}

/// At most `limit` of an organization's ledger rows of the days from `from` to `to`, both included, by
/// day, then in the database's own order of ids, behind the row `after`.
///
/// A page is two reads of the index by day and id: the rest of the day on which the last one ended, and
/// the days behind it.
pub fn rows_after(
    conn: &mut DbConnection,
    org: &OrganizationId,
    (from, to): (UsageDate, UsageDate),
    after: Option<&(UsageDate, GenerationId)>,
    limit: i64,
) -> Result<Vec<ProcessedGenerationModel>> {
    let rows = || ledger::table.filter(ledger::client_org_id.eq(org));
    let mut page: Vec<ProcessedGenerationModel> = Vec::new();
    if let Some((date, id)) = after {
        let rest = rows().filter(ledger::generation_date.eq(date)).filter(ledger::id.gt(id));
        page = rest.order(ledger::id).limit(limit).load(conn)?;
    }
    let behind = after.map(|(date, _)| *date);
    let Some((from, left)) = rest_of_page((from, to), behind, page.len(), limit) else { return Ok(page) };
    let later: Vec<ProcessedGenerationModel> = rows()
        .filter(ledger::generation_date.between(from, to))
        .order((ledger::generation_date, ledger::id))
        .limit(left)
        .load(conn)?;
    page.extend(later);
    Ok(page)
}

/// From which day on the rest of a page of at most `limit` rows is read, and how many of them. The page
/// before ended on the day `behind`, of which `read` more rows were found. None when the page is full or
/// no day of the range is left.
pub fn rest_of_page(
    (from, to): (UsageDate, UsageDate),
    behind: Option<UsageDate>,
    read: usize,
    limit: i64,
) -> Option<(UsageDate, i64)> {
    let left = limit - i64::try_from(read).unwrap_or(limit);
    let next = behind.map_or(from, |date| date.plus_days(1));
    // The last day of the calendar has no next one.
    let is_over = next > to || behind == Some(next);
    (left > 0 && !is_over).then_some((next, left))
}
