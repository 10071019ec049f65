//! Giving each day that is over the rate by which it is shown from then on.

use std::collections::BTreeMap;

use diesel::{dsl::min, prelude::*};
use mai_client_organization::query::organization;
use mai_exchange_rates::{Published, PublishedRate, query::published};
use mai_primitives::{OrganizationId, UsageDate};
use mai_storage::{BATCH_ROWS, DbConnection};

use crate::{error::Result, monthly, schema::client_daily_usage as days, service::ClientUsageTable};

/// How many organizations are looked at in one transaction.
const PAGE: i64 = 200;

/// The days of an organization that can be given their rates, ascending.
type Due = (OrganizationId, Vec<(UsageDate, PublishedRate)>);

/// What [`ClientUsageTable::fix_daily_rates`] has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FixedRates {
    /// Organizations of which days were given rates.
    pub organizations: usize,
    /// Days that were given their rates.
    pub days: usize,
}

impl ClientUsageTable {
    /// The first day of any organization that has no rate yet; the tables of NBP are needed from there on.
    pub async fn first_day_without_rate(&self) -> Result<Option<UsageDate>> {
        let read = |conn: &mut DbConnection| {
            let waiting = days::table.filter(days::usd_pln_rate.is_null());
            Ok(waiting.select(min(days::usage_date)).first(conn).map_err(mai_storage::Error::from)?)
        };
        self.storage.read(read).await
    }

    /// Gives each day that is over in its organization's time zone, and whose table is certain by the
    /// organization's policy, its rate. A rate that is there is never changed: neither by another policy,
    /// nor by tables that came later, nor by late usage.
    ///
    /// It may run at any time and in several processes at once; what one has done the other leaves.
    pub async fn fix_daily_rates(&self) -> Result<FixedRates> {
        let mut fixed = FixedRates::default();
        let mut after = None;
        loop {
            let now = self.clock.now();
            let page = self.storage.read(move |conn| due(conn, after.as_ref(), now)).await?;
            for (organization, due) in page.due {
                let written = self.storage.write(move |conn| fix(conn, &organization, &due)).await?;
                fixed.days += written;
                fixed.organizations += usize::from(written > 0);
            }
            after = page.last;
            if after.is_none() {
                return Ok(fixed);
            }
        }
    }
}

struct DuePage {
    due: Vec<Due>,
    /// Behind which organization the next page begins; none at the end.
    last: Option<OrganizationId>,
}

/// What is due of the next organizations that have days without rates.
fn due(
    conn: &mut DbConnection,
    after: Option<&OrganizationId>,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<DuePage> {
    let mut waiting = days::table
        .filter(days::usd_pln_rate.is_null())
        .select(days::client_org_id)
        .distinct()
        .order(days::client_org_id)
        .limit(PAGE)
        .into_boxed();
    if let Some(after) = after {
        waiting = waiting.filter(days::client_org_id.gt(after));
    }
    let ids: Vec<OrganizationId> = waiting.load(conn).map_err(mai_storage::Error::from)?;
    let last = ids.last().filter(|_| i64::try_from(ids.len()) == Ok(PAGE)).cloned();
    let mut waiting: BTreeMap<OrganizationId, Vec<UsageDate>> = BTreeMap::new();
    for chunk in ids.chunks(BATCH_ROWS) {
        let rows: Vec<(OrganizationId, UsageDate)> = days::table
            .filter(days::client_org_id.eq_any(chunk))
            .filter(days::usd_pln_rate.is_null())
            .select((days::client_org_id, days::usage_date))
            .order((days::client_org_id, days::usage_date))
            .load(conn)
            .map_err(mai_storage::Error::from)?;
        for (organization, date) in rows {
            waiting.entry(organization).or_default().push(date);
        }
    }
    let all = waiting.values().flatten();
    let (Some(first), Some(end)) = (all.clone().min(), all.max()) else {
        return Ok(DuePage { due: Vec::new(), last });
    };
    let published = published(conn, *first, *end)?;
    let mut due = Vec::new();
    for (id, dates) in waiting {
        let found = due_of(conn, &id, dates, &published, now)?;
        if !found.is_empty() {
            due.push((id, found));
        }
    }
    Ok(DuePage { due, last })
}

/// The tables of those of an organization's days that are over and certain. Nobody can ask about an
/// organization that is not registered, so that its days wait.
fn due_of(
    conn: &mut DbConnection,
    id: &OrganizationId,
    dates: Vec<UsageDate>,
    published: &Published,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<Vec<(UsageDate, PublishedRate)>> {
    let Some(organization) = organization(conn, id)? else { return Ok(Vec::new()) };
    let today = organization.calendar()?.usage_date(now);
    let policy = organization.day_rate_policy;
    let over = dates.into_iter().filter(|date| *date < today);
    Ok(over.filter_map(|date| Some((date, policy.rate_of(published, date)?.clone()))).collect())
}

/// Writes the rates of days that still have none, adds these days to their months, and tells how many they
/// were.
pub(crate) fn fix(
    conn: &mut DbConnection,
    organization: &OrganizationId,
    due: &[(UsageDate, PublishedRate)],
) -> Result<usize> {
    let mut fixed = Vec::new();
    for (date, table) in due {
        let row = days::table.find((organization, date)).filter(days::usd_pln_rate.is_null());
        let written = diesel::update(row)
            .set((
                days::usd_pln_rate.eq(Some(table.rate)),
                days::rate_table_no.eq(Some(&table.table_no)),
                days::rate_effective_date.eq(Some(table.effective_date)),
            ))
            .execute(conn)
            .map_err(mai_storage::Error::from)?;
        if written > 0 {
            fixed.push(*date);
        }
    }
    let count = fixed.len();
    monthly::refresh_all(conn, organization, fixed)?;
    Ok(count)
}
