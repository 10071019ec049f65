//! The exact value types that every other crate of mAI Usage speaks in.
//!
//! Money is a whole number of the smallest unit we book, rates are whole numbers as well, and no
//! float is ever involved. There is no I/O here and nothing asynchronous. The feature `diesel`
//! teaches the types to travel in and out of a database column.

pub mod calendar;
pub mod clock;
pub mod display;
pub mod ids;
pub mod markup;
pub mod pln;
pub mod ratio;
pub mod text;
pub mod unit_price;
pub mod usd;

mod decimal;
mod exact_sum;
#[cfg(feature = "diesel")]
mod sql;

pub use calendar::{CalendarError, OrganizationCalendar, UnixTime, UsageDate};
pub use clock::{Clock, ManualClock, SystemClock};
pub use decimal::MoneyError;
pub use exact_sum::exact_sum;
pub use ids::{GenerationId, IdError, ModelName, OpenRouterUserId, OrganizationId, UserId};
pub use markup::MarkupRate;
pub use pln::{Pln, UsdPlnRate};
pub use unit_price::UnitPrice;
pub use usd::Usd;
