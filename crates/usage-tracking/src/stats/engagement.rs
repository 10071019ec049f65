//! How many of the members use it, how often, and who is new.

use std::collections::{BTreeMap, HashMap, HashSet};

use mai_client_organization::{MemberModel, MemberRole, members::members_of};
use mai_primitives::{OrganizationId, UsageDate, UserId};
use mai_storage::DbConnection;

use super::row_totals;
use crate::{error::Result, query, range::DayRange, totals::Totals};

/// How the members of an organization take part over a range of days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engagement {
    /// The range.
    pub range: DayRange,
    /// How many of its days have begun.
    pub days_begun: i64,
    /// Days with usage.
    pub active_days: i64,
    /// Distinct members with usage.
    pub active_users: i64,
    /// Those of them who had never used anything before the range.
    pub new_users: i64,
    /// The others.
    pub returning_users: i64,
    /// Active members of the registry who have been let in.
    pub members: i64,
    /// Those of them without usage in the range.
    pub members_without_usage: i64,
    /// The sums.
    pub totals: Totals,
    /// The sum of each day's distinct members; by the days it makes the average per day.
    pub user_days: i64,
    /// The days with usage, ascending.
    pub days: Vec<EngagementDay>,
}

/// A day with usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngagementDay {
    /// The organization's local day.
    pub date: UsageDate,
    /// Distinct members with usage.
    pub active_users: i64,
    /// Those of them whose first day ever it is.
    pub new_users: i64,
    /// Generations.
    pub requests: i64,
}

/// The engagement over a range of days, of which those up to `today` have begun.
pub(crate) fn read(
    conn: &mut DbConnection,
    org: &OrganizationId,
    range: DayRange,
    today: UsageDate,
) -> Result<Engagement> {
    let rows = query::daily_rows(conn, org, range.from(), range.to())?;
    let used = query::first_days(conn, org, range.from(), range.to())?;
    let mut members = members_of(conn, org)?;
    let firsts = first_days(conn, org, range, &used, &members)?;
    members.retain(|member| member.is_active && member.role != MemberRole::Pending);
    let idle = members.iter().filter(|member| !used.contains_key(&member.user_id)).count();
    let new_users: i64 = firsts.values().sum();
    let active_users = number(used.len());
    Ok(Engagement {
        range,
        days_begun: range.days_begun(today),
        active_days: number(rows.len()),
        active_users,
        new_users,
        returning_users: active_users - new_users,
        members: number(members.len()),
        members_without_usage: number(idle),
        totals: row_totals(&rows)?,
        user_days: rows.iter().map(|row| row.unique_users).sum(),
        days: rows
            .iter()
            .map(|row| EngagementDay {
                date: row.usage_date,
                active_users: row.unique_users,
                new_users: firsts.get(&row.usage_date).copied().unwrap_or(0),
                requests: row.total_requests,
            })
            .collect(),
    })
}

/// How many members were first seen on each day: those with usage in the range, on `used` at first, and with
/// none before.
fn first_days(
    conn: &mut DbConnection,
    org: &OrganizationId,
    range: DayRange,
    used: &HashMap<UserId, UsageDate>,
    members: &[MemberModel],
) -> Result<BTreeMap<UsageDate, i64>> {
    let registered: HashSet<&UserId> = members.iter().map(|member| &member.user_id).collect();
    let strangers = used.keys().filter(|user| !registered.contains(user));
    let strangers: Vec<UserId> = strangers.cloned().collect();
    let known = query::known_before(conn, org, range.from(), &strangers)?;
    let mut firsts = BTreeMap::new();
    for (_, date) in used.iter().filter(|(user, _)| !known.contains(user)) {
        *firsts.entry(*date).or_default() += 1;
    }
    Ok(firsts)
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
