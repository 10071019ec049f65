//! What limits count for generations whose cost is not known yet.

use diesel::{
    dsl::{exists, not},
    prelude::*,
};
use mai_primitives::{ModelName, OrganizationId, UsageDate, Usd, UserId};
use mai_storage::{DbConnection, Result, sum_i64};

use crate::schema::{pending_generations as pending, processed_generations as ledger};

/// The reservations of a member's waiting generations of one model, in client price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserved {
    /// Who will pay.
    pub client_org_id: OrganizationId,
    /// The member who asked.
    pub user_id: UserId,
    /// The model that was asked for.
    pub requested_model: Option<ModelName>,
    /// Their sum.
    pub amount: Usd,
}

/// The reservations of generations that wait or are unresolved and began on the local days from `from` to
/// `to`, both included. One that is booked meanwhile, as by a webhook, counts by its booking alone.
pub fn reserved(
    conn: &mut DbConnection,
    organizations: &[OrganizationId],
    (from, to): (UsageDate, UsageDate),
) -> Result<Vec<Reserved>> {
    let booked = ledger::table
        .filter(ledger::client_org_id.eq(pending::client_org_id))
        .filter(ledger::id.eq(pending::id));
    let rows = pending::table
        .filter(pending::client_org_id.eq_any(organizations))
        .filter(pending::generation_date.between(from, to))
        .filter(pending::reservation.is_not_null())
        .filter(not(exists(booked)))
        .group_by((pending::client_org_id, pending::user_id, pending::requested_model))
        .select((
            pending::client_org_id,
            pending::user_id,
            pending::requested_model,
            sum_i64(pending::reservation.assume_not_null()),
        ))
        .load::<(OrganizationId, UserId, Option<ModelName>, i64)>(conn)?;
    let reserved = |(client_org_id, user_id, requested_model, nanos)| Reserved {
        client_org_id,
        user_id,
        requested_model,
        amount: Usd::from_nanos(nanos),
    };
    Ok(rows.into_iter().map(reserved).collect())
}
