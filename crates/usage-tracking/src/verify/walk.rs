//! Checking everything, piece by piece, so that books of any size take the memory of one piece.

use std::collections::BTreeSet;

use diesel::{
    dsl::{count_star, min},
    prelude::*,
};
use mai_client_organization::schema::client_organizations;
use mai_generation_processing::{
    PendingState,
    query::complete_from,
    schema::{pending_generations as pending, processed_generations as ledger},
};
use mai_primitives::{GenerationId, OrganizationId, UsageDate};
use mai_storage::{DbConnection, Storage};

use super::{Mismatch, MismatchKind, compare_days, ledger_rows};
use crate::{
    error::{Error, Result},
    model::MonthlyKind,
    monthly::compare_month,
    schema::{
        client_daily_usage as days, client_model_daily_usage as models, client_monthly_usage as months,
        client_user_daily_usage as users,
    },
};

/// How many days are compared in one snapshot.
const PIECE_DAYS: u64 = 31;

/// A range of local days, both ends included; an end that is none is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Days {
    /// The first day.
    pub from: Option<UsageDate>,
    /// The last day.
    pub to: Option<UsageDate>,
}

impl Days {
    pub(crate) fn contain(self, date: UsageDate) -> bool {
        self.from.is_none_or(|from| from <= date) && self.to.is_none_or(|to| date <= to)
    }
}

/// How much was checked, and how much of it is not as it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checked {
    /// Days with a row in any table.
    pub days: usize,
    /// Rows of the ledger.
    pub ledger_rows: usize,
    /// Disagreements.
    pub mismatches: usize,
    /// Generations, of any day, whose cost is still asked for.
    pub pending: i64,
    /// Generations, of any day, whose cost a person has to find out.
    pub unresolved: i64,
}

impl Checked {
    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            days: self.days + other.days,
            ledger_rows: self.ledger_rows + other.ledger_rows,
            mismatches: self.mismatches + other.mismatches,
            pending: self.pending + other.pending,
            unresolved: self.unresolved + other.unresolved,
        }
    }
}

/// The organizations that exist or have rows in the ledger or the daily tables, by id.
pub fn organizations(conn: &mut DbConnection) -> mai_storage::Result<Vec<OrganizationId>> {
    let mut found: BTreeSet<OrganizationId> =
        client_organizations::table.select(client_organizations::id).load(conn)?.into_iter().collect();
    // From one id to the next by the key's index: a DISTINCT would read all rows. Each table is walked
    // on its own, because only the database knows its order of texts.
    macro_rules! add_those_of {
        ($($table:ident),+) => {$(
            let mut last: Option<OrganizationId> = None;
            loop {
                let mut next = $table::table.select(min($table::client_org_id)).into_boxed();
                if let Some(last) = &last {
                    next = next.filter($table::client_org_id.gt(last));
                }
                last = next.first(conn)?;
                let Some(org) = last.clone() else { break };
                found.insert(org);
            }
        )+};
    }
    add_those_of!(days, users, models, months, ledger);
    Ok(found.into_iter().collect())
}

/// Checks all laws on an organization's days: those of [`check_days`](super::check_days), those of the months
/// that the range touches, and those of the ledger's rows. Blocks the calling thread.
///
/// After each piece of the work `step` gets what was checked so far and what was found in the piece;
/// its error ends the check. Usage may be booked meanwhile: each piece is one snapshot, in which
/// every transaction is there as a whole or not at all.
pub fn check_organization<E: From<Error>>(
    storage: &Storage,
    org: &OrganizationId,
    range: Days,
    mut step: impl FnMut(&Checked, Vec<Mismatch>) -> Result<(), E>,
) -> Result<Checked, E> {
    let mut checked = Checked::default();
    let mut add = |days: usize, ledger_rows: usize, found: Vec<Mismatch>| {
        checked.days += days;
        checked.ledger_rows += ledger_rows;
        checked.mismatches += found.len();
        step(&checked, found)
    };
    let mut from = range.from;
    while let Some((end, days, found)) =
        storage.read_blocking(|conn| check_piece(conn, org, Days { from, ..range }))?
    {
        add(days, 0, found)?;
        from = Some(end.plus_days(1));
    }
    for month in storage.read_blocking(|conn| months_of(conn, org, range)).map_err(Error::from)? {
        add(0, 0, storage.read_blocking(|conn| check_month(conn, org, month))?)?;
    }
    let mut last: Option<GenerationId> = None;
    loop {
        let rows = storage
            .read_blocking(|conn| ledger_rows::page(conn, org, range, last.as_ref()))
            .map_err(Error::from)?;
        add(0, rows.len(), rows.iter().flat_map(ledger_rows::check).collect())?;
        if rows.len() < ledger_rows::PAGE_ROWS {
            break;
        }
        last = rows.last().map(|row| row.id.clone());
    }
    let (found, waiting) = storage.read_blocking(|conn| {
        Ok::<_, Error>((ledger_rows::booked_and_pending(conn, org, range)?, count_waiting(conn, org)?))
    })?;
    add(0, 0, found)?;
    (checked.pending, checked.unresolved) = waiting;
    Ok(checked)
}

/// Compares the next [`PIECE_DAYS`] days with rows: their last day, how many have rows, and the
/// disagreements. None when there are no more.
fn check_piece(
    conn: &mut DbConnection,
    org: &OrganizationId,
    range: Days,
) -> Result<Option<(UsageDate, usize, Vec<Mismatch>)>> {
    let Some(start) = first_day(conn, org, range.from)?.filter(|first| range.contain(*first)) else {
        return Ok(None);
    };
    let end = start.plus_days(PIECE_DAYS - 1);
    let end = range.to.map_or(end, |to| end.min(to));
    // In the same snapshot as the sums, so that a cleanup in between is no disagreement.
    let ledger_from = complete_from(conn)?;
    let (days, found) = compare_days(conn, org, start, end, ledger_from)?;
    Ok(Some((end, days, found)))
}

/// The months, by their first days, that have rows or days with a rate in the range.
fn months_of(
    conn: &mut DbConnection,
    org: &OrganizationId,
    range: Days,
) -> mai_storage::Result<BTreeSet<UsageDate>> {
    let rated = days::table
        .filter(days::client_org_id.eq(org))
        .filter(days::usd_pln_rate.is_not_null())
        .select(days::usage_date);
    let rated: Vec<UsageDate> = rated.load(conn)?;
    let stored = months::table
        .filter(months::client_org_id.eq(org))
        .filter(months::kind.eq_any(MonthlyKind::ALL))
        .select(months::usage_month)
        .distinct();
    let stored: Vec<UsageDate> = stored.load(conn)?;
    let is_asked = |month: &UsageDate| {
        let last = month.plus_days(u64::from(month.days_in_month()) - 1);
        range.from.is_none_or(|from| from <= last) && range.to.is_none_or(|to| *month <= to)
    };
    Ok(rated.iter().map(|date| date.first_of_month()).chain(stored).filter(is_asked).collect())
}

fn check_month(
    conn: &mut DbConnection,
    org: &OrganizationId,
    month: UsageDate,
) -> crate::Result<Vec<Mismatch>> {
    let mismatch = |difference| Mismatch {
        client_org_id: org.clone(),
        usage_date: month,
        kind: MismatchKind::Month(Box::new(difference)),
    };
    Ok(compare_month(conn, org, month)?.into_iter().map(mismatch).collect())
}

/// The first day, from a day on, of which any table has a row.
fn first_day(
    conn: &mut DbConnection,
    org: &OrganizationId,
    from: Option<UsageDate>,
) -> mai_storage::Result<Option<UsageDate>> {
    macro_rules! first_of {
        ($table:ident, $date:ident) => {{
            let mut first =
                $table::table.filter($table::client_org_id.eq(org)).select(min($table::$date)).into_boxed();
            if let Some(from) = from {
                first = first.filter($table::$date.ge(from));
            }
            first.first::<Option<UsageDate>>(conn)?
        }};
    }
    let firsts = [
        first_of!(days, usage_date),
        first_of!(users, usage_date),
        first_of!(models, usage_date),
        first_of!(ledger, generation_date),
    ];
    Ok(firsts.into_iter().flatten().min())
}

/// How many of an organization's generations are pending, and how many unresolved.
fn count_waiting(conn: &mut DbConnection, org: &OrganizationId) -> mai_storage::Result<(i64, i64)> {
    let counts: Vec<(PendingState, i64)> = pending::table
        .filter(pending::client_org_id.eq(org))
        .group_by(pending::state)
        .select((pending::state, count_star()))
        .load(conn)?;
    let count = |state| counts.iter().find(|(known, _)| *known == state).map_or(0, |(_, count)| *count);
    Ok((count(PendingState::Pending), count(PendingState::Unresolved)))
}
