//! What an organization pays: for its seats, and by the statement of a month for seats and usage together
//! ([`statements`]); and what it has spent against its limits ([`limits`]).
//!
//! A member with a billable role needs a seat. One tier, chosen by how many seats there are, gives the price of them
//! all; who was added within the month pays for the days that are left, and the sum is that of the rounded lines
//! ([`charge`]). While a month lasts it is computed anew each time; once it is over it is frozen
//! ([`SubscriptionTable::freeze_month`]), and nothing changes it any more.

pub mod error;
pub mod limits;
pub mod model;
pub mod month;
pub mod query;
pub mod schema;
pub mod seats;
pub mod service;
pub mod statements;
pub mod subscription;

#[cfg(test)]
mod tests;

pub use error::{Error, Result};
pub use limits::{LimitStanding, LimitState, states};
pub use month::BillingMonth;
pub use seats::{Seat, seats};
pub use service::{OrganizationSubscription, SubscriptionTable};
pub use subscription::{SeatLine, Subscription, charge};
