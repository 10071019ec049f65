//! [`Backlog`]: how many deliveries wait or have failed.

use diesel::{dsl::min, prelude::*};
use mai_primitives::UnixTime;
use mai_storage::DbConnection;

use crate::{
    delivery::DeliveryState,
    destination::Channel,
    error::Result,
    schema::{alert_deliveries as table, alert_destinations},
};

/// How many deliveries wait or have failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Webhooks that wait, to active destinations.
    pub waiting_webhooks: i64,
    /// Mail that waits, to active destinations.
    pub waiting_mail: i64,
    /// Webhooks that were given up.
    pub failed_webhooks: i64,
    /// Mail that was given up.
    pub failed_mail: i64,
    /// When the oldest webhook that waits was made.
    pub oldest_webhook: Option<UnixTime>,
    /// When the oldest mail that waits was made.
    pub oldest_mail: Option<UnixTime>,
}

/// What waits and what has failed. Nothing waits for an inactive destination, although it may go on later.
pub fn backlog(conn: &mut DbConnection) -> Result<Backlog> {
    let active = alert_destinations::table
        .filter(alert_destinations::is_active.eq(true))
        .select(alert_destinations::id);
    let waiting: Vec<(Channel, i64, Option<UnixTime>)> = table::table
        .filter(table::state.eq(DeliveryState::Waiting))
        .filter(table::destination_id.eq_any(active))
        .group_by(table::channel)
        .select((table::channel, diesel::dsl::count_star(), min(table::created_at)))
        .load(conn)?;
    let failed: Vec<(Channel, i64)> = table::table
        .filter(table::state.eq(DeliveryState::Failed))
        .group_by(table::channel)
        .select((table::channel, diesel::dsl::count_star()))
        .load(conn)?;
    let mut backlog = Backlog::default();
    for (channel, count) in failed {
        match channel {
            Channel::Webhook => backlog.failed_webhooks = count,
            Channel::Email => backlog.failed_mail = count,
        }
    }
    for (channel, count, oldest) in waiting {
        match channel {
            Channel::Webhook => (backlog.waiting_webhooks, backlog.oldest_webhook) = (count, oldest),
            Channel::Email => (backlog.waiting_mail, backlog.oldest_mail) = (count, oldest),
        }
    }
    Ok(backlog)
}
