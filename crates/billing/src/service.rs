//! [`SubscriptionTable`]: subscriptions as a service.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use mai_audit_log::{Actor, Details, NewEntry, append};
use mai_client_organization::{
    ClientOrganizationModel,
    query::{organization, organizations},
};
use mai_primitives::{Clock, OrganizationId};
use mai_storage::{DbConnection, Storage};

use crate::{
    error::{Error, Result},
    month::BillingMonth,
    query,
    subscription::Subscription,
};

/// What an organization pays for its seats in a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationSubscription {
    /// What people call the organization.
    pub organization_name: String,
    /// The month.
    pub subscription: Subscription,
}

/// Computes and freezes subscriptions. "Today" is the organization's own local day.
#[derive(Clone)]
pub struct SubscriptionTable {
    storage: Storage,
    clock: Arc<dyn Clock>,
    actor: Actor,
}

impl SubscriptionTable {
    /// A service on `storage`.
    pub fn new(storage: Storage, clock: Arc<dyn Clock>) -> Self {
        Self { storage, clock, actor: Actor::system() }
    }

    /// The same service in the name of `actor`, whom the audit log will tell.
    #[must_use]
    pub fn acting_as(&self, actor: Actor) -> Self {
        Self { actor, ..self.clone() }
    }

    /// A month of an organization, by default the present one: as it was frozen, or else as it is now.
    pub async fn month(
        &self,
        id: &OrganizationId,
        month: Option<BillingMonth>,
    ) -> Result<OrganizationSubscription> {
        let (id, now) = (id.clone(), self.clock.now());
        self.storage
            .read(move |conn| {
                let organization = require(conn, &id)?;
                let present = BillingMonth::of(organization.calendar()?.usage_date(now));
                let month = month.unwrap_or(present);
                if month > present {
                    return Err(Error::NotBegun(month));
                }
                let subscription = match query::frozen(conn, &id, month)? {
                    Some(frozen) => frozen,
                    None => query::computed(conn, &organization, month)?,
                };
                Ok(OrganizationSubscription { organization_name: organization.name, subscription })
            })
            .await
    }

    /// The months that are over and not frozen, each organization's in their order: those after the last one
    /// that is frozen, or from the organization's first one on.
    pub async fn unfrozen_months(&self) -> Result<Vec<(OrganizationId, BillingMonth)>> {
        let now = self.clock.now();
        self.storage
            .read(move |conn| {
                let last = query::last_frozen(conn)?;
                let mut months = Vec::new();
                for organization in organizations(conn)? {
                    let present = BillingMonth::of(organization.calendar()?.usage_date(now));
                    let mut month = first_open(&organization, last.get(&organization.id).copied())?;
                    while month < present {
                        months.push((organization.id.clone(), month));
                        month = month.after();
                    }
                }
                Ok(months)
            })
            .await
    }

    /// Freezes a month that is over, by the settings of now, so that nothing changes it later, and before it whatever month is
    /// still open. A month that is frozen already stays as it is, and is returned.
    pub async fn freeze_month(&self, id: &OrganizationId, month: BillingMonth) -> Result<Subscription> {
        let (id, now, actor) = (id.clone(), self.clock.now(), self.actor.clone());
        self.storage
            .write(move |conn| {
                let organization = require(conn, &id)?;
                freeze_now(conn, &organization, month, now, &actor)
            })
            .await
    }
}

/// [`SubscriptionTable::freeze_month`] inside of the caller's transaction.
pub(crate) fn freeze_now(
    conn: &mut DbConnection,
    organization: &ClientOrganizationModel,
    month: BillingMonth,
    now: DateTime<Utc>,
    actor: &Actor,
) -> Result<Subscription> {
    let id = &organization.id;
    if month >= BillingMonth::of(organization.calendar()?.usage_date(now)) {
        return Err(Error::NotOver(month));
    }
    // None may be left open behind a frozen one, because only those after the last one are looked for.
    let last = query::last_frozen_of(conn, id)?;
    let mut open = first_open(organization, last)?;
    while open < month {
        freeze_one(conn, organization, open, now, actor)?;
        open = open.after();
    }
    freeze_one(conn, organization, month, now, actor)?;
    query::frozen(conn, id, month)?.ok_or(Error::Storage(mai_storage::Error::NotFound))
}

/// The first month that is not frozen.
fn first_open(organization: &ClientOrganizationModel, last: Option<BillingMonth>) -> Result<BillingMonth> {
    if let Some(last) = last {
        return Ok(last.after());
    }
    let created = organization.calendar()?.day_at(organization.created_at);
    created.map(BillingMonth::of).ok_or_else(|| Error::Stored(format!("no date of `{}`", organization.id)))
}

fn freeze_one(
    conn: &mut DbConnection,
    organization: &ClientOrganizationModel,
    month: BillingMonth,
    now: DateTime<Utc>,
    actor: &Actor,
) -> Result<()> {
    let subscription = query::computed(conn, organization, month)?;
    if query::freeze(conn, &organization.id, &subscription, now.into())? {
        let details = Details::none()
            .with("total_users", subscription.lines.len())
            .with("total_cost_pln", subscription.total.to_string());
        let month = month.to_string();
        let entry = NewEntry::done(Some(&organization.id), "subscription.freeze", &month).with(details);
        append(conn, actor, now.into(), &entry)?;
    }
    Ok(())
}

pub(crate) fn require(conn: &mut DbConnection, id: &OrganizationId) -> Result<ClientOrganizationModel> {
    organization(conn, id)?.ok_or_else(|| Error::UnknownOrganization(id.clone()))
}
