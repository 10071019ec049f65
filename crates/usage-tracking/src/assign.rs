//! Giving usage that was booked for one user to a member: usage of nobody in particular, usage under an id
//! that nobody knew at that time, or usage of somebody who is registered twice.
//!
//! Everything moves in one transaction: the ledger, the members' daily and monthly rows, calls whose cost is not known
//! yet, and failed calls. Nothing is added and nothing is lost: the organization's own rows and those of
//! its models stay as they are, and whatever OpenRouter knew the user as stays in the ledger.

use std::collections::{BTreeMap, BTreeSet};

use diesel::{dsl::count_star, prelude::*};
use mai_audit_log::Details;
use mai_client_organization::{
    external_ids::{add_external_id, alone, is_of_nobody},
    members,
};
use mai_generation_processing::{failed::move_failed, pending::move_pending, query as ledger};
use mai_primitives::{OrganizationId, UnixTime, UsageDate, UserId};
use mai_storage::{BATCH_ROWS, DbConnection, load_for_update, on_backend};

use crate::{
    error::{Error, Result},
    model::ClientUserDailyUsageModel as UserDay,
    monthly,
    query::{self, UserSums},
    schema::{client_daily_usage as days, client_user_daily_usage as users},
    totals::Totals,
    verify::Days,
};

/// Whose usage is to be whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The user for whom it was booked.
    pub from: UserId,
    /// The registered member whose it is.
    pub to: UserId,
    /// Usage of which days. Only usage of nobody in particular can be told apart by days.
    pub days: Days,
    /// `from` may be an active member, who is the same person; that member becomes inactive.
    pub merge: bool,
}

/// What an assignment has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Assigned {
    /// Days with usage.
    pub days: usize,
    /// What was used on them.
    pub totals: Totals,
    /// Rows of the ledger; less than requests where it was cleaned up.
    pub ledger_rows: usize,
    /// Generations whose cost is not known yet.
    pub pending: usize,
    /// Failed calls.
    pub failed: usize,
    /// Whether `from` is a further id of the member from now on, so that later usage is the member's too.
    pub is_external_id: bool,
}

impl Assigned {
    /// What the audit log tells of it.
    pub(crate) fn details(&self, assignment: &Assignment) -> Details {
        Details::none()
            .with("to_user_id", assignment.to.as_str())
            .with_some("from", assignment.days.from.map(|day| day.to_string()))
            .with_some("to", assignment.days.to.map(|day| day.to_string()))
            .with("merge", assignment.merge)
            .with("days", self.days)
            .with("requests", self.totals.requests)
            .with("tokens", self.totals.tokens)
            .with_confidential("raw_cost", self.totals.raw_cost.to_string())
            .with("markup_cost", self.totals.markup_cost.to_string())
            .with("ledger_rows", self.ledger_rows)
            .with("pending", self.pending)
            .with("failed", self.failed)
            .with("is_external_id", self.is_external_id)
    }
}

/// Gives usage to a member, in the caller's write transaction, of which it must be the first work.
///
/// Usage under an id of its own moves as a whole, and the id becomes a further id of the member, so that
/// whatever is booked for it later is the member's. Usage of nobody in particular
/// ([`is_of_nobody`]) moves for the days that are named, and what is booked later stays nobody's.
///
/// Refused: a user who is no registered member as the target ([`Error::Organization`]), an active member as
/// the origin unless they are to be merged ([`Error::IsMember`]), and an id that is another member's
/// already. [`Error::Unbalanced`] would mean that something was added or lost.
pub fn assign(
    conn: &mut DbConnection,
    org: &OrganizationId,
    assignment: &Assignment,
    now: UnixTime,
) -> Result<Assigned> {
    let Assignment { from, to, days: range, merge } = assignment;
    alone(conn, org)?;
    let is_external_id = !is_of_nobody(org, from)?;
    check(conn, org, assignment, is_external_id)?;
    let theirs = rows_of(conn, org, from, *range)?;
    let dates: Vec<UsageDate> = theirs.iter().map(|row| row.usage_date).collect();
    lock_days(conn, org, &dates)?;

    let before = Balance::of(conn, org, [from, to], &dates)?;
    let moved = Totals::sum(theirs.iter().map(Totals::from))?;
    merge_days(conn, org, (from, to), theirs)?;
    let assigned = Assigned {
        days: dates.len(),
        totals: moved,
        ledger_rows: ledger::move_rows(conn, org, (from, to), &dates)?,
        pending: move_pending(conn, org, (from, to), |date| range.contain(date))?,
        failed: move_failed(conn, org, (from, to), |date| range.contain(date))?,
        is_external_id,
    };
    let rated = monthly::rated(conn, org, dates.iter().copied())?;
    monthly::refresh_users(conn, org, &rated, &[from, to])?;
    let after = Balance::of(conn, org, [from, to], &dates)?;
    if before != after {
        return Err(Error::Unbalanced);
    }

    if is_external_id {
        if *merge {
            members::deactivate_member(conn, org, from, now)?;
        }
        add_external_id(conn, org, from, to, now)?;
    }
    Ok(assigned)
}

/// Users with usage in the days from `from` to `to`, both included, who are no registered members; the
/// greatest cost to the client first.
pub fn unassigned(
    conn: &mut DbConnection,
    org: &OrganizationId,
    from: UsageDate,
    to: UsageDate,
) -> Result<Vec<UserSums>> {
    let members: BTreeSet<UserId> =
        members::members_of(conn, org)?.into_iter().map(|member| member.user_id).collect();
    let mut used = query::by_user(conn, org, from, to, None)?;
    used.retain(|usage| !members.contains(&usage.user_id));
    used.sort_by(|a, b| {
        b.totals.markup_cost.cmp(&a.totals.markup_cost).then_with(|| a.user_id.cmp(&b.user_id))
    });
    Ok(used)
}

fn check(
    conn: &mut DbConnection,
    org: &OrganizationId,
    assignment: &Assignment,
    is_external_id: bool,
) -> Result<()> {
    let Assignment { from, to, days: range, merge } = assignment;
    if from == to {
        return Err(Error::NotAssignable {
            field: "to_user_id",
            reason: "must be another one than from_user_id",
        });
    }
    if is_external_id && *range != Days::default() {
        let reason = "only usage of nobody in particular can be assigned by days";
        return Err(Error::NotAssignable { field: "start_date", reason });
    }
    if range.from.zip(range.to).is_some_and(|(first, last)| first > last) {
        return Err(Error::NotAssignable { field: "start_date", reason: "must not be after end_date" });
    }
    if members::member(conn, org, to)?.is_none() {
        let cause = mai_client_organization::Error::NotFound { what: "member", id: to.to_string() };
        return Err(cause.into());
    }
    let is_member = members::member(conn, org, from)?.is_some_and(|member| member.is_active);
    if is_member && !merge {
        return Err(Error::IsMember(from.clone()));
    }
    Ok(())
}

/// A user's rows, by day.
fn rows_of(
    conn: &mut DbConnection,
    org: &OrganizationId,
    user: &UserId,
    range: Days,
) -> Result<Vec<UserDay>> {
    let rows = users::table
        .filter(users::client_org_id.eq(org))
        .filter(users::user_id.eq(user))
        .order(users::usage_date);
    let rows: Vec<UserDay> = rows.load(conn).map_err(mai_storage::Error::from)?;
    Ok(rows.into_iter().filter(|row| range.contain(row.usage_date)).collect())
}

/// Nobody books meanwhile, but a day may be rebuilt, which locks it in the same way.
fn lock_days(conn: &mut DbConnection, org: &OrganizationId, dates: &[UsageDate]) -> mai_storage::Result<()> {
    for chunk in dates.chunks(BATCH_ROWS) {
        let rows = days::table
            .filter(days::client_org_id.eq(org))
            .filter(days::usage_date.eq_any(chunk))
            .order(days::usage_date)
            .select(days::usage_date);
        let _locked: Vec<UsageDate> = load_for_update!(conn, rows)?;
    }
    Ok(())
}

/// Adds rows of one user to those of another and takes them away.
fn merge_days(
    conn: &mut DbConnection,
    org: &OrganizationId,
    (from, to): (&UserId, &UserId),
    theirs: Vec<UserDay>,
) -> Result<()> {
    let dates: Vec<UsageDate> = theirs.iter().map(|row| row.usage_date).collect();
    let mut own = BTreeMap::new();
    for chunk in dates.chunks(BATCH_ROWS) {
        let rows = users::table
            .filter(users::client_org_id.eq(org))
            .filter(users::user_id.eq(to))
            .filter(users::usage_date.eq_any(chunk));
        let rows: Vec<UserDay> = rows.load(conn).map_err(mai_storage::Error::from)?;
        own.extend(rows.into_iter().map(|row| (row.usage_date, row)));
    }
    let shared: Vec<UsageDate> = own.keys().copied().collect();
    let merged = theirs.into_iter().map(|row| merged(own.remove(&row.usage_date), row, to));
    let merged = merged.collect::<Result<Vec<UserDay>>>()?;
    for user in [from, to] {
        for chunk in dates.chunks(BATCH_ROWS) {
            let rows = users::table
                .filter(users::client_org_id.eq(org))
                .filter(users::user_id.eq(user))
                .filter(users::usage_date.eq_any(chunk));
            diesel::delete(rows).execute(conn).map_err(mai_storage::Error::from)?;
        }
    }
    for chunk in merged.chunks(BATCH_ROWS) {
        on_backend!(conn, c => diesel::insert_into(users::table)
            .values(chunk.iter().collect::<Vec<_>>())
            .execute(c))
        .map_err(mai_storage::Error::from)?;
    }
    count_users(conn, org, &shared)
}

/// A day of two users together. It was last added to when one of the two was: an assignment is no usage.
fn merged(own: Option<UserDay>, theirs: UserDay, user: &UserId) -> Result<UserDay> {
    let Some(own) = own else { return Ok(UserDay { user_id: user.clone(), ..theirs }) };
    let Totals { tokens, requests, raw_cost, markup_cost } =
        Totals::from(&own).checked_add(Totals::from(&theirs))?;
    Ok(UserDay {
        total_tokens: tokens,
        total_requests: requests,
        raw_cost,
        markup_cost,
        created_at: own.created_at.min(theirs.created_at),
        updated_at: own.updated_at.max(theirs.updated_at),
        ..own
    })
}

/// On days on which both users had used something there is one user less.
fn count_users(conn: &mut DbConnection, org: &OrganizationId, dates: &[UsageDate]) -> Result<()> {
    for chunk in dates.chunks(BATCH_ROWS) {
        let counts = users::table
            .filter(users::client_org_id.eq(org))
            .filter(users::usage_date.eq_any(chunk))
            .group_by(users::usage_date)
            .select((users::usage_date, count_star()));
        let counts: Vec<(UsageDate, i64)> = counts.load(conn).map_err(mai_storage::Error::from)?;
        for (date, count) in counts {
            diesel::update(days::table.find((org, date)))
                .set(days::unique_users.eq(count))
                .execute(conn)
                .map_err(mai_storage::Error::from)?;
        }
    }
    Ok(())
}

/// What an assignment must not change: what all members used on each day, and what the ledger has of the
/// two users.
#[derive(Debug, PartialEq, Eq)]
struct Balance {
    days: BTreeMap<UsageDate, Totals>,
    ledger: Totals,
}

impl Balance {
    fn of(
        conn: &mut DbConnection,
        org: &OrganizationId,
        users: [&UserId; 2],
        dates: &[UsageDate],
    ) -> Result<Self> {
        let parts = ledger::sums_of_users(conn, org, users, dates)?.into_iter().map(
            |(requests, tokens, raw_cost, markup_cost)| Totals { tokens, requests, raw_cost, markup_cost },
        );
        Ok(Self { ledger: Totals::sum(parts)?, days: query::user_sums(conn, org, dates)? })
    }
}
