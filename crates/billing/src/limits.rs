//! Limits of a month, each with what was spent against it, as the database knows it.
//!
//! Spent is what the daily tables have booked for the month in client price; pending are the reservations of
//! generations of the month whose cost is not known yet. Both together count against the limit. What is in flight in
//! a gateway at this moment is not in the database.
//!
//! A limit of a model counts whatever [`PriceList::family`] calls as it calls the name under which the limit was set, so
//! that the limit also holds when a later list has another id for that name.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;
use mai_client_organization::{LimitSubject, schema::client_organizations, usage_limits::limits_of};
use mai_generation_processing::pending::reserved;
use mai_model_prices::PriceList;
use mai_primitives::{ModelName, OrganizationId, UsageDate, Usd, UserId};
use mai_storage::{DbConnection, sum_i64};
use mai_usage_tracking::schema::{
    client_daily_usage as days, client_model_daily_usage as models, client_user_daily_usage as users,
};

use crate::{
    error::{Error, Result},
    month::BillingMonth,
};

#[cfg(test)]
mod tests;

/// How many organizations one statement asks about.
const AT_ONCE: usize = 100;

/// From how many percent on a limit is worth a warning. It is one of the thresholds of alerts, `mai_alerts::THRESHOLDS`,
/// so that whoever is told by an alert finds the same in the lists; a test of the crate that uses both holds them together.
pub const WARNING_PERCENT: i64 = 80;

/// A limit and what counts against it in a month. Amounts are in client price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitState {
    /// The organization.
    pub client_org_id: OrganizationId,
    /// The month.
    pub month: BillingMonth,
    /// What the limit is about.
    pub subject: LimitSubject,
    /// The limit as it is now.
    pub limit: Usd,
    /// What is booked for the month.
    pub spent: Usd,
    /// What is reserved for generations of the month whose cost is not known yet.
    pub pending: Usd,
}

/// Where a limit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LimitStanding {
    /// There is room.
    Ok,
    /// [`WARNING_PERCENT`] are used.
    Warning,
    /// All of it is used: the gateway lets nothing through.
    Reached,
}

impl LimitStanding {
    /// The word for it in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Reached => "reached",
        }
    }
}

impl LimitState {
    /// What counts against the limit. The tables bound both parts far below the range.
    pub const fn used(&self) -> Usd {
        Usd::from_nanos(self.spent.nanos().saturating_add(self.pending.nanos()))
    }

    /// The used part of the limit in whole percent, rounded down, so that 100 means all of it. A limit of 0 is always
    /// used.
    pub fn percent(&self) -> i64 {
        let (used, limit) = (i128::from(self.used().nanos()), i128::from(self.limit.nanos()));
        if limit <= 0 {
            return 100;
        }
        i64::try_from(used.saturating_mul(100) / limit).unwrap_or(i64::MAX)
    }

    /// Where it stands.
    pub fn standing(&self) -> LimitStanding {
        match self.percent() {
            100.. => LimitStanding::Reached,
            WARNING_PERCENT.. => LimitStanding::Warning,
            _ => LimitStanding::Ok,
        }
    }
}

/// What a price list makes of the name of a model that is to have a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitedModel {
    /// It has the model under this name.
    Known,
    /// It has no such model. One may come, and calls of it are counted, but the name may as well be misspelt.
    Unknown,
    /// The model is counted under another name, which is the one to set a limit of.
    CountedAs(ModelName),
}

impl LimitedModel {
    /// Looks a name up. One with a variant such as `:free` is refused by whoever stores it.
    pub fn of(name: &ModelName, prices: &PriceList) -> Self {
        let family = prices.family(name);
        match prices.find(name.as_str()) {
            _ if family != *name && !name.as_str().contains(':') => Self::CountedAs(family),
            Some(_) => Self::Known,
            None => Self::Unknown,
        }
    }
}

/// Every limit of these organizations with its state in a month: of each organization first its own, then its members'
/// and its models' by name. Organizations without limits have none.
pub fn states(
    conn: &mut DbConnection,
    organizations: &[OrganizationId],
    month: BillingMonth,
    prices: &PriceList,
) -> Result<Vec<LimitState>> {
    let mut states = Vec::new();
    for organizations in organizations.chunks(AT_ONCE) {
        let mut found = limits(conn, organizations)?;
        let used = Used::read(conn, &found, month, prices)?;
        found.sort_unstable();
        states.extend(found.into_iter().map(|(client_org_id, subject, limit)| {
            let counted = match &subject {
                LimitSubject::Model(model) => LimitSubject::Model(prices.family(model)),
                LimitSubject::Organization | LimitSubject::Member(_) => subject.clone(),
            };
            let key = (client_org_id, counted);
            let [spent, pending] = [&used.spent, &used.pending]
                .map(|sums| Usd::from_nanos(sums.get(&key).copied().unwrap_or_default()));
            let (client_org_id, _) = key;
            LimitState { client_org_id, month, subject, limit, spent, pending }
        }));
    }
    Ok(states)
}

type Limit = (OrganizationId, LimitSubject, Usd);

fn limits(conn: &mut DbConnection, organizations: &[OrganizationId]) -> Result<Vec<Limit>> {
    let mut found: Vec<Limit> = client_organizations::table
        .filter(client_organizations::id.eq_any(organizations))
        .filter(client_organizations::monthly_limit.is_not_null())
        .select((client_organizations::id, client_organizations::monthly_limit.assume_not_null()))
        .load::<(OrganizationId, Usd)>(conn)?
        .into_iter()
        .map(|(organization, limit)| (organization, LimitSubject::Organization, limit))
        .collect();
    for row in limits_of(conn, organizations)? {
        let subject = row.about()?;
        found.push((row.client_org_id, subject, row.monthly_limit));
    }
    Ok(found)
}

type Sums = HashMap<(OrganizationId, LimitSubject), i64>;

/// What counts against limits, in nano-dollars. There may be sums of what has no limit.
#[derive(Default)]
struct Used {
    spent: Sums,
    pending: Sums,
}

impl Used {
    fn read(
        conn: &mut DbConnection,
        limits: &[Limit],
        month: BillingMonth,
        prices: &PriceList,
    ) -> Result<Self> {
        let with = |is_meant: fn(&LimitSubject) -> bool| -> Vec<OrganizationId> {
            let meant = limits.iter().filter(|(_, subject, _)| is_meant(subject));
            let organizations: HashSet<_> = meant.map(|(organization, ..)| organization.clone()).collect();
            organizations.into_iter().collect()
        };
        let (all, range) = (with(|_| true), (month.first(), month.last()));
        let mut used = Self::default();
        used.read_organizations(conn, &with(|subject| *subject == LimitSubject::Organization), range)?;
        let limited = limits.iter().filter_map(|(_, subject, _)| match subject {
            LimitSubject::Member(user) => Some(user.clone()),
            _ => None,
        });
        let (limited, organizations) =
            (limited.collect(), with(|subject| matches!(subject, LimitSubject::Member(_))));
        used.read_members(conn, &organizations, limited, range)?;
        let organizations = with(|subject| matches!(subject, LimitSubject::Model(_)));
        used.read_models(conn, &organizations, range, prices)?;
        for row in reserved(conn, &all, range)? {
            let mut count = |subject| add(&mut used.pending, &row.client_org_id, subject, row.amount.nanos());
            count(LimitSubject::Organization)?;
            count(LimitSubject::Member(row.user_id))?;
            if let Some(model) = &row.requested_model {
                count(LimitSubject::Model(prices.family(model)))?;
            }
        }
        Ok(used)
    }

    fn read_organizations(
        &mut self,
        conn: &mut DbConnection,
        organizations: &[OrganizationId],
        (from, to): (UsageDate, UsageDate),
    ) -> Result<()> {
        if organizations.is_empty() {
            return Ok(());
        }
        let rows = days::table
            .filter(days::client_org_id.eq_any(organizations))
            .filter(days::usage_date.between(from, to))
            .group_by(days::client_org_id)
            .select((days::client_org_id, sum_i64(days::markup_cost)))
            .load::<(OrganizationId, i64)>(conn)?;
        for (organization, nanos) in rows {
            add(&mut self.spent, &organization, LimitSubject::Organization, nanos)?;
        }
        Ok(())
    }

    /// The sums of those members who have limits; the index begins with organization and member.
    fn read_members(
        &mut self,
        conn: &mut DbConnection,
        organizations: &[OrganizationId],
        limited: HashSet<UserId>,
        (from, to): (UsageDate, UsageDate),
    ) -> Result<()> {
        if organizations.is_empty() {
            return Ok(());
        }
        let rows = users::table
            .filter(users::client_org_id.eq_any(organizations))
            .filter(users::user_id.eq_any(limited))
            .filter(users::usage_date.between(from, to))
            .group_by((users::client_org_id, users::user_id))
            .select((users::client_org_id, users::user_id, sum_i64(users::markup_cost)))
            .load::<(OrganizationId, UserId, i64)>(conn)?;
        for (organization, user, nanos) in rows {
            add(&mut self.spent, &organization, LimitSubject::Member(user), nanos)?;
        }
        Ok(())
    }

    /// The sums of all models of organizations that limit one: which names are of one model the database cannot tell.
    fn read_models(
        &mut self,
        conn: &mut DbConnection,
        organizations: &[OrganizationId],
        (from, to): (UsageDate, UsageDate),
        prices: &PriceList,
    ) -> Result<()> {
        if organizations.is_empty() {
            return Ok(());
        }
        let rows = models::table
            .filter(models::client_org_id.eq_any(organizations))
            .filter(models::usage_date.between(from, to))
            .group_by((models::client_org_id, models::model_name))
            .select((models::client_org_id, models::model_name, sum_i64(models::markup_cost)))
            .load::<(OrganizationId, ModelName, i64)>(conn)?;
        for (organization, model, nanos) in rows {
            add(&mut self.spent, &organization, LimitSubject::Model(prices.family(&model)), nanos)?;
        }
        Ok(())
    }
}

fn add(sums: &mut Sums, organization: &OrganizationId, subject: LimitSubject, nanos: i64) -> Result<()> {
    let sum = sums.entry((organization.clone(), subject)).or_default();
    *sum = sum.checked_add(nanos).ok_or_else(|| Error::LimitOutOfRange(organization.clone()))?;
    Ok(())
}
