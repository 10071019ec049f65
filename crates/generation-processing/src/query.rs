//! Reading and writing the ledger. The functions run inside of the caller's transaction.

use std::collections::{HashMap, HashSet};

use diesel::{dsl::exists, prelude::*};
use mai_primitives::{GenerationId, OrganizationId, UsageDate, Usd};
use mai_storage::{BATCH_ROWS, DbConnection, Result, on_backend, sum_i64};

use crate::{
    model::{Booked, ProcessedGenerationModel, ProcessedGenerationStats, UsageSource},
    schema::{processed_generation_cleanup_log as log, processed_generations as ledger},
};

/// Inserts the rows whose ids the ledger does not have and returns the ids that were inserted.
///
/// This alone decides what is new: who inserts the row books the usage, in the same transaction.
/// When two processes bring the same id, the second waits for the first to commit and gets nothing.
/// Rows are written in the order of their ids, so that two batches never wait for each other.
/// Of rows with the same id the first is taken.
pub fn insert_new(
    conn: &mut DbConnection,
    rows: &[ProcessedGenerationModel],
) -> Result<HashSet<GenerationId>> {
    let mut sorted: Vec<&ProcessedGenerationModel> = rows.iter().collect();
    sorted.sort_by(|a, b| (&a.client_org_id, &a.id).cmp(&(&b.client_org_id, &b.id)));
    let mut inserted = HashSet::with_capacity(rows.len());
    for chunk in sorted.chunks(BATCH_ROWS) {
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

/// What was booked under these ids; ids that the ledger does not have are absent.
pub fn existing(
    conn: &mut DbConnection,
    org: &OrganizationId,
    ids: &[GenerationId],
) -> Result<HashMap<GenerationId, Booked>> {
    let mut found = HashMap::with_capacity(ids.len());
    for chunk in ids.chunks(BATCH_ROWS) {
        let rows: Vec<(GenerationId, Usd, i64, i64, UsageSource)> = ledger::table
            .filter(ledger::client_org_id.eq(org))
            .filter(ledger::id.eq_any(chunk))
            .select((
                ledger::id,
                ledger::total_cost,
                ledger::input_tokens,
                ledger::output_tokens,
                ledger::source,
            ))
            .load(conn)?;
        found.extend(rows.into_iter().map(|(id, total_cost, input_tokens, output_tokens, source)| {
            (id, Booked { total_cost, input_tokens, output_tokens, source })
        }));
    }
    Ok(found)
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
