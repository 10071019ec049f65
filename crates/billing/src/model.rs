//! The rows of a month that is over.

use diesel::prelude::*;
use mai_global_settings::SubscriptionTiers;
use mai_primitives::{OrganizationId, Pln, UnixTime, UsageDate, UserId};

use crate::{
    error::{Error, Result},
    month::BillingMonth,
    schema::{subscription_lines, subscription_months},
    seats::Seat,
    subscription::{SeatLine, Subscription},
};

/// A month as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = subscription_months, treat_none_as_default_value = false)]
pub struct SubscriptionMonthModel {
    /// The organization.
    pub client_org_id: OrganizationId,
    /// The first day of the month.
    pub month: UsageDate,
    /// The tiers by which it was billed.
    pub tiers: SubscriptionTiers,
    /// How many seats.
    pub total_users: i64,
    /// For a whole month.
    pub price_per_user: Pln,
    /// The sum of the lines.
    pub total_cost: Pln,
    /// When it was frozen.
    pub frozen_at: UnixTime,
}

/// A seat of such a month as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = subscription_lines, treat_none_as_default_value = false)]
pub struct SubscriptionLineModel {
    /// The organization.
    pub client_org_id: OrganizationId,
    /// The first day of the month.
    pub month: UsageDate,
    /// The member.
    pub user_id: UserId,
    /// The member's name at the time.
    pub user_name: Option<String>,
    /// The member's address at the time.
    pub user_email: Option<String>,
    /// The organization's day on which the member was added.
    pub added_on: Option<UsageDate>,
    /// For how many days.
    pub days_charged: i64,
    /// For those days.
    pub cost: Pln,
}

impl Subscription {
    /// The rows of a month that is frozen at an instant.
    pub(crate) fn rows(
        &self,
        organization: &OrganizationId,
        now: UnixTime,
    ) -> (SubscriptionMonthModel, Vec<SubscriptionLineModel>) {
        let month = SubscriptionMonthModel {
            client_org_id: organization.clone(),
            month: self.month.first(),
            tiers: self.tiers.clone(),
            total_users: i64::try_from(self.lines.len()).unwrap_or(i64::MAX),
            price_per_user: self.price_per_user,
            total_cost: self.total,
            frozen_at: now,
        };
        let line = |SeatLine { seat, days_charged, cost }: &SeatLine| SubscriptionLineModel {
            client_org_id: organization.clone(),
            month: self.month.first(),
            user_id: seat.user_id.clone(),
            user_name: seat.name.clone(),
            user_email: seat.email.clone(),
            added_on: seat.added_on,
            days_charged: i64::from(*days_charged),
            cost: *cost,
        };
        (month, self.lines.iter().map(line).collect())
    }

    /// The month of such rows; an error where the lines are not those of the month.
    pub(crate) fn from_rows(
        month: SubscriptionMonthModel,
        lines: Vec<SubscriptionLineModel>,
    ) -> Result<Self> {
        let broken = || Error::OutOfRange(BillingMonth::of(month.month));
        let line = |row: SubscriptionLineModel| {
            let seat = Seat {
                user_id: row.user_id,
                name: row.user_name,
                email: row.user_email,
                added_on: row.added_on,
            };
            let days_charged = u32::try_from(row.days_charged).map_err(|_| broken())?;
            Ok(SeatLine { seat, days_charged, cost: row.cost })
        };
        let users = u32::try_from(month.total_users).map_err(|_| broken())?;
        Ok(Self {
            month: BillingMonth::of(month.month),
            current: month.tiers.place_of(users),
            price_per_user: month.price_per_user,
            lines: lines.into_iter().map(line).collect::<Result<_>>()?,
            total: month.total_cost,
            frozen_at: Some(month.frozen_at),
            tiers: month.tiers,
        })
    }
}
