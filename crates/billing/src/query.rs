//! Frozen months; each query runs inside of the caller's transaction.

use std::collections::HashMap;

use diesel::{dsl::max, prelude::*};
use mai_client_organization::{
    ClientOrganizationModel,
    member_changes::{members_before, was_active_before},
};
use mai_global_settings::query::subscription as settings;
use mai_primitives::{OrganizationId, UnixTime, UsageDate};
use mai_storage::{BATCH_ROWS, DbConnection, on_backend};

use crate::{
    error::{Error, Result},
    model::{SubscriptionLineModel, SubscriptionMonthModel},
    month::BillingMonth,
    schema::{subscription_lines, subscription_months},
    seats::seats,
    subscription::{Subscription, charge},
};

/// A month as it was frozen; none where it was not.
pub fn frozen(
    conn: &mut DbConnection,
    organization: &OrganizationId,
    month: BillingMonth,
) -> Result<Option<Subscription>> {
    let row = subscription_months::table
        .find((organization, month.first()))
        .select(SubscriptionMonthModel::as_select())
        .first(conn)
        .optional()?;
    let Some(row) = row else { return Ok(None) };
    let lines = subscription_lines::table
        .filter(subscription_lines::client_org_id.eq(organization))
        .filter(subscription_lines::month.eq(month.first()))
        .order(subscription_lines::user_id)
        .select(SubscriptionLineModel::as_select())
        .load(conn)?;
    Subscription::from_rows(row, lines).map(Some)
}

/// The last frozen month of an organization.
pub(crate) fn last_frozen_of(
    conn: &mut DbConnection,
    organization: &OrganizationId,
) -> Result<Option<BillingMonth>> {
    let last: Option<UsageDate> = subscription_months::table
        .filter(subscription_months::client_org_id.eq(organization))
        .select(max(subscription_months::month))
        .first(conn)?;
    Ok(last.map(BillingMonth::of))
}

/// The last frozen month of each organization that has one.
pub fn last_frozen(conn: &mut DbConnection) -> Result<HashMap<OrganizationId, BillingMonth>> {
    let rows: Vec<(OrganizationId, Option<UsageDate>)> = subscription_months::table
        .group_by(subscription_months::client_org_id)
        .select((subscription_months::client_org_id, max(subscription_months::month)))
        .load(conn)?;
    Ok(rows.into_iter().filter_map(|(id, first)| Some((id, BillingMonth::of(first?)))).collect())
}

/// A month by the present settings, and by the organization and its members as they are or, once it is over, were at its
/// end. An organization that was not active then, or did not exist yet, needs no seats.
pub fn computed(
    conn: &mut DbConnection,
    organization: &ClientOrganizationModel,
    month: BillingMonth,
) -> Result<Subscription> {
    let (tiers, roles) = settings(conn)?;
    let calendar = organization.calendar()?;
    let end = calendar.start_of(month.last().plus_days(1));
    let members = if was_active_before(conn, organization, end)? {
        members_before(conn, &organization.id, end)?
    } else {
        Vec::new()
    };
    let seats = seats(members, &roles, calendar, month);
    charge(month, tiers, seats).ok_or(Error::OutOfRange(month))
}

/// Stores a month. False where it is stored already, and then nothing was changed.
pub(crate) fn freeze(
    conn: &mut DbConnection,
    organization: &OrganizationId,
    subscription: &Subscription,
    now: UnixTime,
) -> Result<bool> {
    let (month, lines) = subscription.rows(organization, now);
    let inserted = on_backend!(conn, inner => diesel::insert_into(subscription_months::table)
        .values(&month)
        .on_conflict_do_nothing()
        .execute(inner))?;
    if inserted == 0 {
        return Ok(false);
    }
    for lines in lines.chunks(BATCH_ROWS) {
        on_backend!(conn, inner => diesel::insert_into(subscription_lines::table)
            .values(lines)
            .execute(inner))?;
    }
    Ok(true)
}
