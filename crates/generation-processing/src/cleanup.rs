//! Deleting ledger rows that are older than the retention. Daily usage stays; only the means to
//! recognize a repetition of so old a generation goes.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use mai_primitives::{OrganizationId, UnixTime, UsageDate, Usd};
use mai_storage::{DbConnection, Error as StorageError, on_backend, sum_i64};

use crate::{
    error::{Error, Result},
    schema::{processed_generation_cleanup_log as log, processed_generations as ledger},
};

/// The retention of the original's library call, in days.
pub const DEFAULT_DAYS_TO_RETAIN: i32 = 90;

/// The shortest retention, in days. A generation is looked up for three days after it began, and the
/// ledger counts as complete only from two days after the cutoff on: what is still waited for must
/// not become too old to be booked.
pub const MIN_DAYS_TO_RETAIN: i32 = 7;

/// What a row is taken to occupy, as the original estimated it.
const BYTES_PER_ROW: i64 = 100;

const SECONDS_PER_DAY: i64 = 86_400;

/// The longest error text that the log keeps, in characters.
const MAX_ERROR_CHARS: usize = 500;

/// A row of `processed_generation_cleanup_log`, without the id that the database gives.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = log, treat_none_as_default_value = false)]
pub struct ProcessedGenerationCleanupLogModel {
    /// The UTC day of the cleanup.
    pub cleanup_date: UsageDate,
    /// The UTC day of the cutoff: rows that were written before it began are gone.
    pub cutoff_date: UsageDate,
    /// How many days were to be kept.
    pub days_retained: i32,
    /// Ledger rows before.
    pub records_before: i64,
    /// Ledger rows deleted.
    pub records_deleted: i64,
    /// Ledger rows afterwards.
    pub records_remaining: i64,
    /// Tokens of the deleted rows.
    pub old_tokens_removed: i64,
    /// OpenRouter's cost of the deleted rows.
    pub old_cost_removed: Usd,
    /// An estimate of 100 bytes a row.
    pub storage_saved_bytes: i64,
    /// How long it took, in milliseconds.
    pub cleanup_duration_ms: i64,
    /// Whether it was done; a cleanup that failed deleted nothing.
    pub success: bool,
    /// Why it failed, at most 500 characters.
    pub error_message: Option<String>,
    /// When the row was written.
    pub created_at: UnixTime,
}

/// What was deleted of one organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrganizationCleanup {
    /// Ledger rows.
    pub records: i64,
    /// Their tokens.
    pub tokens: i64,
    /// OpenRouter's cost of them.
    pub cost: Usd,
}

/// The result of a cleanup that was done; one that failed is an [`Error`] and a row in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CleanupStatsResult {
    /// The UTC day of the cutoff.
    pub cutoff_date: UsageDate,
    /// How many days were kept.
    pub days_to_keep: i32,
    /// Ledger rows before.
    pub records_before: i64,
    /// Ledger rows deleted.
    pub records_deleted: i64,
    /// Ledger rows afterwards.
    pub records_remaining: i64,
    /// Tokens of the deleted rows.
    pub old_tokens_removed: i64,
    /// OpenRouter's cost of the deleted rows.
    pub old_cost_removed: Usd,
    /// An estimate of the saved storage in units of 1,024 bytes: a decimal with two places.
    pub storage_saved_kb: String,
    /// A decimal with three places.
    pub cleanup_duration_seconds: String,
    /// What was deleted, by organization; those that lost nothing are absent.
    pub organization_breakdown: BTreeMap<OrganizationId, OrganizationCleanup>,
    /// When the cleanup began.
    pub cleanup_timestamp: UnixTime,
}

/// When a cleanup began, and what it is to keep.
#[derive(Debug, Clone, Copy)]
pub struct Cleanup {
    began: DateTime<Utc>,
    days_to_keep: i32,
}

/// The figures of a cleanup; all zero for one that failed.
#[derive(Debug, Default)]
pub(crate) struct Deleted {
    before: i64,
    records: i64,
    tokens: i64,
    cost: Usd,
    by_organization: BTreeMap<OrganizationId, OrganizationCleanup>,
}

impl Cleanup {
    /// A cleanup that begins now; it must keep at least [`MIN_DAYS_TO_RETAIN`] days.
    pub fn new(began: DateTime<Utc>, days_to_keep: i32) -> Result<Self> {
        if days_to_keep < MIN_DAYS_TO_RETAIN {
            return Err(Error::Retention(days_to_keep));
        }
        Ok(Self { began, days_to_keep })
    }

    /// Deletes the old rows of all organizations and logs it, in the caller's write transaction. `now`
    /// is asked when the work is done.
    pub fn run(
        &self,
        conn: &mut DbConnection,
        now: impl FnOnce() -> DateTime<Utc>,
    ) -> Result<CleanupStatsResult> {
        let deleted = self.delete_old(conn)?;
        let row = self.log_row(Ok(&deleted), now());
        insert_log(conn, &row)?;
        Ok(self.result(deleted, &row))
    }

    /// Logs that the cleanup failed and deleted nothing.
    pub fn log_failure(
        &self,
        conn: &mut DbConnection,
        failure: &str,
        now: DateTime<Utc>,
    ) -> mai_storage::Result<()> {
        insert_log(conn, &self.log_row(Err(failure), now))
    }

    /// Rows that were written before this instant go.
    fn cutoff(&self) -> UnixTime {
        UnixTime::from(self.began).plus_seconds(-i64::from(self.days_to_keep) * SECONDS_PER_DAY)
    }

    /// A UTC day, because the ledger belongs to organizations of many zones.
    fn today(&self) -> UsageDate {
        UsageDate::new(self.began.date_naive())
    }

    fn cutoff_date(&self) -> UsageDate {
        self.today().minus_days(u64::from(self.days_to_keep.unsigned_abs()))
    }

    /// Deletes the old rows of all organizations.
    fn delete_old(&self, conn: &mut DbConnection) -> Result<Deleted> {
        let old = ledger::processed_at.lt(self.cutoff());
        let before: i64 = ledger::table.count().get_result(conn).map_err(StorageError::from)?;
        let rows: Vec<(OrganizationId, i64, i64, Usd)> = ledger::table
            .filter(old)
            .group_by(ledger::client_org_id)
            .select((
                ledger::client_org_id,
                diesel::dsl::count_star(),
                sum_i64(ledger::total_tokens),
                sum_i64(ledger::total_cost),
            ))
            .load(conn)
            .map_err(StorageError::from)?;
        let mut deleted = Deleted { before, ..Deleted::default() };
        for (org, records, tokens, cost) in rows {
            deleted.add(org, OrganizationCleanup { records, tokens, cost })?;
        }
        let gone = diesel::delete(ledger::table.filter(old)).execute(conn).map_err(StorageError::from)?;
        // What was counted is what was deleted, unless somebody else deleted in between.
        if i64::try_from(gone) == Ok(deleted.records) { Ok(deleted) } else { Err(Error::ConcurrentCleanup) }
    }

    /// The log's row; `outcome` is an error's text where the cleanup failed.
    pub(crate) fn log_row(
        &self,
        outcome: std::result::Result<&Deleted, &str>,
        ended: DateTime<Utc>,
    ) -> ProcessedGenerationCleanupLogModel {
        let none = Deleted::default();
        let deleted = outcome.unwrap_or(&none);
        ProcessedGenerationCleanupLogModel {
            cleanup_date: self.today(),
            cutoff_date: self.cutoff_date(),
            days_retained: self.days_to_keep,
            records_before: deleted.before,
            records_deleted: deleted.records,
            records_remaining: deleted.before.saturating_sub(deleted.records),
            old_tokens_removed: deleted.tokens,
            old_cost_removed: deleted.cost,
            storage_saved_bytes: deleted.records.saturating_mul(BYTES_PER_ROW),
            cleanup_duration_ms: ended.signed_duration_since(self.began).num_milliseconds().max(0),
            success: outcome.is_ok(),
            error_message: outcome.err().map(|text| text.chars().take(MAX_ERROR_CHARS).collect()),
            created_at: UnixTime::from(ended),
        }
    }

    /// The result of a cleanup that was logged as `row`.
    fn result(&self, deleted: Deleted, row: &ProcessedGenerationCleanupLogModel) -> CleanupStatsResult {
        CleanupStatsResult {
            cutoff_date: row.cutoff_date,
            days_to_keep: row.days_retained,
            records_before: row.records_before,
            records_deleted: row.records_deleted,
            records_remaining: row.records_remaining,
            old_tokens_removed: row.old_tokens_removed,
            old_cost_removed: row.old_cost_removed,
            storage_saved_kb: kilobytes(row.storage_saved_bytes),
            cleanup_duration_seconds: seconds(row.cleanup_duration_ms),
            organization_breakdown: deleted.by_organization,
            cleanup_timestamp: UnixTime::from(self.began),
        }
    }
}

impl Deleted {
    fn add(&mut self, org: OrganizationId, part: OrganizationCleanup) -> Result<()> {
        let out_of_range = || StorageError::OutOfRange("the sums of a cleanup");
        self.records = self.records.checked_add(part.records).ok_or_else(out_of_range)?;
        self.tokens = self.tokens.checked_add(part.tokens).ok_or_else(out_of_range)?;
        self.cost = self.cost.checked_add(part.cost).ok_or_else(out_of_range)?;
        self.by_organization.insert(org, part);
        Ok(())
    }
}

/// Appends a row to the log.
fn insert_log(conn: &mut DbConnection, row: &ProcessedGenerationCleanupLogModel) -> mai_storage::Result<()> {
    on_backend!(conn, c => diesel::insert_into(log::table).values(row).execute(c))?;
    Ok(())
}

/// The latest rows of the log, the newest first.
pub fn list_log(
    conn: &mut DbConnection,
    limit: i64,
) -> mai_storage::Result<Vec<ProcessedGenerationCleanupLogModel>> {
    let rows = on_backend!(conn, c => log::table
        .order(log::id.desc())
        .limit(limit)
        .select(ProcessedGenerationCleanupLogModel::as_select())
        .load(c))?;
    Ok(rows)
}

/// Units of 1,024 bytes, rounded half up to two decimals.
fn kilobytes(bytes: i64) -> String {
    let hundredths = (i128::from(bytes) * 100 + 512) / 1_024;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Seconds with three decimals.
fn seconds(millis: i64) -> String {
    format!("{}.{:03}", millis / 1_000, millis % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_shown_without_floats() {
        assert_eq!(kilobytes(0), "0.00");
        assert_eq!(kilobytes(100), "0.10");
        assert_eq!(kilobytes(1_024 * 1_024), "1024.00");
        assert_eq!(kilobytes(i64::MAX), "9007199254740992.00");
        assert_eq!((seconds(0).as_str(), seconds(61_007).as_str()), ("0.000", "61.007"));
    }

    #[test]
    fn the_cutoff_is_whole_days_back() {
        let began = DateTime::from_timestamp(1_763_769_600 + 3_661, 0).unwrap();
        let cleanup = Cleanup { began, days_to_keep: 90 };
        assert_eq!(cleanup.cutoff().seconds(), 1_763_769_600 + 3_661 - 90 * 86_400);
        assert_eq!(cleanup.today().to_string(), "2025-11-22");
        assert_eq!(cleanup.cutoff_date().to_string(), "2025-08-24");
    }
}
