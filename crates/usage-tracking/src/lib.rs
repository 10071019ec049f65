//! Daily usage per organization, member and model: recording it and reading statistics.
//!
//! All usage enters through [`record_generations`], which writes the ledger and the three daily
//! tables in one transaction. [`verify`] checks that their sums are equal, [`rebuild`] repairs daily
//! rows from the ledger, and [`drift`] compares the ledger with what OpenRouter charged. The
//! statistics read the daily tables, and the [`monthly`] sums of days whose rate is fixed.

pub mod assign;
pub mod day_rates;
pub mod drift;
pub mod error;
pub mod exports;
pub mod listing;
pub mod manual;
pub mod model;
pub mod monthly;
pub mod pln;
pub mod query;
pub mod range;
pub mod reading;
pub mod rebuild;
pub mod record;
pub mod schema;
pub mod service;
pub mod stats;
pub mod totals;
pub mod verify;

mod daily;
mod day_set;
mod organization;
mod repetition;
mod sums;
#[cfg(test)]
mod tests;

pub use assign::{Assigned, Assignment};
pub use day_rates::FixedRates;
pub use error::{Error, Result};
pub use listing::{Listing, Order, Page, Position, SortKey};
/// The models that are offered, and the names of their authors; they stand beside what they cost.
pub use mai_model_prices::{CATALOGUE, CatalogueModel, provider_name};
pub use manual::UsageRecordDto;
pub use model::{
    ClientDailyUsageModel, ClientLiveCountersModel, ClientModelDailyUsageModel, ClientMonthlyUsageModel,
    ClientUserDailyUsageModel, MonthlyKind,
};
pub use pln::{Conversion, DayRates};
pub use range::DayRange;
pub use reading::{Days, Listed, MAX_TREND_MONTHS};
pub use record::{Recorded, record_generations};
pub use service::ClientUsageTable;
pub use stats::{
    ClientBillingResponse, ClientUsageStatsResponse, CurrentMonth, DailyBreakdown, LegacyMonth,
    LegacyUsageStats, ModelUsage, MonthlySummary, RolloverResult, TopModel, UserUsage,
};
pub use totals::Totals;

/// Usage of organizations by day as a Diesel table, for queries of one's own.
pub use schema::client_daily_usage::table as ClientDailyUsage;
/// The live counters have no table of their own: today's row of `client_daily_usage` is the counter.
pub use schema::client_daily_usage::table as ClientLiveCounters;
/// Usage of models by day as a Diesel table, for queries of one's own.
pub use schema::client_model_daily_usage::table as ClientModelDailyUsage;
/// Usage of members and models by month as a Diesel table, for queries of one's own.
pub use schema::client_monthly_usage::table as ClientMonthlyUsage;
/// Usage of members by day as a Diesel table, for queries of one's own.
pub use schema::client_user_daily_usage::table as ClientUserDailyUsage;
