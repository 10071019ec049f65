//! What is too old: alerts that nobody looks for any more, and deliveries that have waited too long.

use diesel::prelude::*;
use mai_primitives::UnixTime;
use mai_storage::DbConnection;

use crate::{
    delivery::DeliveryState,
    error::Result,
    schema::{alert_deliveries, alerts},
};

/// For how long alerts are kept, with what became of them: a year and a month, in seconds.
pub const KEPT: i64 = 400 * 86_400;

/// How long a delivery may be due without an attempt, in seconds: seven days. So long a destination may be inactive, or
/// mail be held; what comes later tells nobody news.
pub const WAITS_AT_MOST: i64 = 7 * 86_400;

/// What was done about old alerts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Alerts that were deleted.
    pub alerts: usize,
    /// Deliveries that were given up.
    pub given_up: usize,
}

/// Deletes alerts that are older than [`KEPT`] with their deliveries, and gives up what waits since
/// [`WAITS_AT_MOST`]. A delivery counts by when it was due, so that a replay of an old one waits as long as a new one.
pub fn clean(conn: &mut DbConnection, now: UnixTime) -> Result<Cleaned> {
    let kept_from = now.plus_seconds(-KEPT);
    // Deliveries are made in the instant of their alert.
    diesel::delete(alert_deliveries::table.filter(alert_deliveries::created_at.lt(kept_from)))
        .execute(conn)?;
    let alerts = diesel::delete(alerts::table.filter(alerts::created_at.lt(kept_from))).execute(conn)?;
    let waiting = alert_deliveries::table
        .filter(alert_deliveries::state.eq(DeliveryState::Waiting))
        .filter(alert_deliveries::next_attempt_at.lt(now.plus_seconds(-WAITS_AT_MOST)))
        .filter(alert_deliveries::claimed_until.is_null().or(alert_deliveries::claimed_until.le(now)));
    let change = (
        alert_deliveries::state.eq(DeliveryState::Failed),
        alert_deliveries::last_error.eq("waited too long"),
        alert_deliveries::claim.eq(None::<String>),
        alert_deliveries::claimed_until.eq(None::<UnixTime>),
    );
    let given_up = diesel::update(waiting).set(change).execute(conn)?;
    Ok(Cleaned { alerts, given_up })
}
