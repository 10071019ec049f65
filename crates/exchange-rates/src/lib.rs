//! What one US dollar is worth in PLN: the mid rates of NBP's table A.
//!
//! [`RateUpdater`] fetches the published tables in the background and stores them as they are; nothing that
//! answers a request waits for NBP. The stored tables are also the calendar: a day without one, among the
//! days that are known, is a day on which NBP published none. Which table counts for a day or for a
//! statement is decided by a policy, a pure function of what was [`Published`].

pub mod error;
pub mod model;
pub mod nbp;
pub mod policy;
pub mod published;
pub mod query;
pub mod schema;
pub mod service;
pub mod sum_pln;
pub mod update;

#[cfg(test)]
mod tests;

pub use error::{Error, Result};
pub use model::{CurrentRate, PublishedRate, RateOrigin};
pub use nbp::{NbpClient, NbpError, NbpSettings};
pub use policy::{DayRatePolicy, StatementRatePolicy};
pub use published::{KnownDays, Published};
pub use service::{DayRate, ExchangeRateTable};
pub use sum_pln::sum_pln;
pub use update::{Differing, RateUpdater, Update, warsaw};
