//! The ledger of processed generations, and what has to do with it: generations whose cost is not
//! known yet, calls that failed, and the cleanup of old ledger rows.
//!
//! A ledger row says that a generation was booked. Rows are therefore only written together with
//! the daily usage, in one transaction, by the function of the usage-tracking crate that records
//! generations; it calls [`query::insert_or_lock`], which decides what is new.

pub mod audit;
pub mod by_hand;
pub mod cleanup;
pub mod error;
pub mod failed;
pub mod model;
pub mod pending;
pub mod query;
pub mod schema;
pub mod service;
#[cfg(test)]
mod tests;

pub use audit::{AuditAction, GenerationAuditModel};
pub use cleanup::{CleanupStatsResult, OrganizationCleanup, ProcessedGenerationCleanupLogModel};
pub use error::{Error, Result, Unbookable};
pub use failed::{NewFailedCall, count_failed, insert_failed_calls};
pub use model::{
    DuplicateCheck, NewGeneration, ProcessedGenerationInfo, ProcessedGenerationModel,
    ProcessedGenerationStats, UsageSource,
};
pub use pending::{NewPendingGeneration, PendingGenerationModel, PendingReason, PendingState};
pub use service::ProcessedGenerationTable;

/// The log of the ledger's cleanups as a Diesel table, for queries of one's own.
pub use schema::processed_generation_cleanup_log::table as ProcessedGenerationCleanupLog;
/// The ledger as a Diesel table, for queries of one's own.
pub use schema::processed_generations::table as ProcessedGeneration;
