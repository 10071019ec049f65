//! Computing an organization's daily rows of a day again from the ledger.
//!
//! The ledger is believed as it stands; [`verify`](crate::verify) tells whether its rows are right.

use std::collections::BTreeSet;

use diesel::{
    dsl::{count_star, min},
    prelude::*,
};
use mai_generation_processing::{query::complete_from, schema::processed_generations as ledger};
use mai_primitives::{ModelName, OpenRouterUserId, OrganizationId, UnixTime, UsageDate, Usd, UserId};
use mai_storage::{DbConnection, sum_i64};

pub use crate::daily::Derived;
use crate::{
    daily,
    error::{Error, Result},
    model::ClientDailyUsageModel,
    monthly, query,
    sums::Sums,
    totals::Totals,
};

/// A daily row, or what is derived in one, that is not what the ledger says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The organization's local day.
    pub usage_date: UsageDate,
    /// What differs.
    pub kind: DifferenceKind,
}

/// What differs from the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DifferenceKind {
    /// The figures of a row. A missing row counts as zeros; a row of zeros that should not be there
    /// differs as well.
    Totals {
        /// The row.
        row: DailyRow,
        /// What the row says.
        stored: Totals,
        /// What the ledger adds up to.
        ledger: Totals,
    },
    /// What is derived in the organization's row.
    Derived {
        /// What the row says.
        stored: Derived,
        /// What follows from the ledger.
        ledger: Derived,
    },
}

/// A row of one of the three daily tables, on a day of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DailyRow {
    /// `client_daily_usage`.
    Organization,
    /// `client_user_daily_usage`.
    Member(UserId),
    /// `client_model_daily_usage`.
    Model(ModelName),
}

/// Compares the daily rows of a day with the ledger, on one snapshot.
///
/// A day of which ledger rows were cleaned up is refused with [`Error::LedgerCleaned`].
pub fn compare_day(
    conn: &mut DbConnection,
    org: &OrganizationId,
    date: UsageDate,
) -> Result<Vec<Difference>> {
    Ok(compare(conn, org, date)?.0)
}

/// Makes the daily rows of a day equal to the ledger, in the caller's write transaction, and tells
/// what was changed; refuses what [`compare_day`] refuses.
///
/// The day is locked as the recorder locks it. Whoever has booked before it is in the sums; whoever
/// books meanwhile adds to the new rows afterwards.
pub fn rebuild_day(
    conn: &mut DbConnection,
    org: &OrganizationId,
    date: UsageDate,
    now: UnixTime,
) -> Result<Vec<Difference>> {
    daily::lock_day(conn, org, date, now)?;
    let (found, missing) = compare(conn, org, date)?;
    daily::add(conn, org, &missing, now)?;
    if !found.is_empty() {
        // Where the organization's row was lost, its rate went with it, and its month has to know.
        monthly::refresh_all(conn, org, [date])?;
    }
    Ok(found)
}

/// What differs, and what has to be added to make the rows right.
fn compare(
    conn: &mut DbConnection,
    org: &OrganizationId,
    date: UsageDate,
) -> Result<(Vec<Difference>, Sums)> {
    let ledger = ledger_sums(conn, org, date)?;
    // After the sums, so that a cleanup that was committed in between is noticed.
    if let Some(complete_from) = complete_from(conn)?.filter(|first| date < *first) {
        return Err(Error::LedgerCleaned { date, complete_from });
    }
    let stored = Stored::load(conn, org, date)?;
    let mut found = Vec::new();
    // What is missing in a row; none in one that is right. `is_extra` is a row that should not be there.
    let mut missing = |row, stored: Totals, ledger: Totals, is_extra: bool| -> Result<Option<Totals>> {
        if stored == ledger && !is_extra {
            return Ok(None);
        }
        let kind = DifferenceKind::Totals { row, stored, ledger };
        found.push(Difference { usage_date: date, kind });
        ledger.checked_add(stored.checked_neg()?).map(Some)
    };
    let mut sums = Sums::default();
    let wanted = ledger.days.get(&date).copied().unwrap_or_default();
    let by = missing(DailyRow::Organization, stored.totals(), wanted, false)?;
    sums.days.insert(date, by.unwrap_or_default());
    let users: BTreeSet<_> = ledger.users.keys().chain(stored.rows.users.keys()).collect();
    for key in users {
        let (before, after) = (stored.rows.users.get(key), ledger.users.get(key));
        let totals = |row: Option<&(OpenRouterUserId, Totals)>| row.map(|row| row.1).unwrap_or_default();
        let row = DailyRow::Member(key.1.clone());
        if let Some(by) = missing(row, totals(before), totals(after), after.is_none())?
            && let Some((openrouter_user_id, _)) = before.or(after)
        {
            sums.users.insert(key.clone(), (openrouter_user_id.clone(), by));
        }
    }
    let models: BTreeSet<_> = ledger.models.keys().chain(stored.rows.models.keys()).collect();
    for key in models {
        let (before, after) = (stored.rows.models.get(key), ledger.models.get(key));
        let totals = |row: Option<&Totals>| row.copied().unwrap_or_default();
        let row = DailyRow::Model(key.1.clone());
        if let Some(by) = missing(row, totals(before), totals(after), after.is_none())? {
            sums.models.insert(key.clone(), by);
        }
    }
    let derived = derive(&ledger);
    if stored.derived() != derived {
        let kind = DifferenceKind::Derived { stored: stored.derived(), ledger: derived };
        found.push(Difference { usage_date: date, kind });
    }
    Ok((found, sums))
}

/// The daily rows of a day as they are.
struct Stored {
    day: Option<ClientDailyUsageModel>,
    /// Of the members and models; `days` stays empty.
    rows: Sums,
}

impl Stored {
    fn load(conn: &mut DbConnection, org: &OrganizationId, date: UsageDate) -> Result<Self> {
        let mut rows = Sums::default();
        for row in query::user_daily_rows(conn, org, date, date)? {
            let totals = Totals::from(&row);
            rows.users.insert((date, row.user_id), (row.openrouter_user_id, totals));
        }
        for row in query::model_daily_rows(conn, org, date, date)? {
            let totals = Totals::from(&row);
            rows.models.insert((date, row.model_name), totals);
        }
        Ok(Self { day: query::day(conn, org, date)?, rows })
    }

    fn totals(&self) -> Totals {
        self.day.as_ref().map(Totals::from).unwrap_or_default()
    }

    fn derived(&self) -> Derived {
        let derived = |row: &ClientDailyUsageModel| Derived {
            unique_users: row.unique_users,
            primary_model: row.primary_model.clone(),
        };
        self.day.as_ref().map(derived).unwrap_or_default()
    }
}

/// The sums that the recorder has added up for a day. The database adds up what a member used of a
/// model, so that a day of any number of generations takes little memory.
fn ledger_sums(conn: &mut DbConnection, org: &OrganizationId, date: UsageDate) -> Result<Sums> {
    type Row = (UserId, OpenRouterUserId, ModelName, i64, i64, Usd, Usd, Option<UnixTime>);
    let mut rows: Vec<Row> = ledger::table
        .filter(ledger::client_org_id.eq(org))
        .filter(ledger::generation_date.eq(date))
        .group_by((ledger::user_id, ledger::openrouter_user_id, ledger::model_name))
        .select((
            ledger::user_id,
            ledger::openrouter_user_id,
            ledger::model_name,
            sum_i64(ledger::total_tokens),
            count_star(),
            sum_i64(ledger::total_cost),
            sum_i64(ledger::markup_cost),
            min(ledger::started_at),
        ))
        .load(conn)
        .map_err(mai_storage::Error::from)?;
    // A member's row keeps the id of the day's first generation.
    rows.sort_by(|a, b| (a.7, &a.1).cmp(&(b.7, &b.1)));
    let mut sums = Sums::default();
    for (user_id, openrouter_user_id, model, tokens, requests, raw_cost, markup_cost, _) in rows {
        let part = Totals { tokens, requests, raw_cost, markup_cost };
        sums.add(date, (&user_id, &openrouter_user_id), &model, part)?;
    }
    Ok(sums)
}

fn derive(sums: &Sums) -> Derived {
    let rank = |((_, name), totals): (&(UsageDate, ModelName), &Totals)| {
        daily::rank((totals.tokens, totals.markup_cost, name.clone()))
    };
    Derived {
        unique_users: i64::try_from(sums.users.len()).unwrap_or(i64::MAX),
        primary_model: sums.models.iter().map(rank).min().map(|(_, name)| name),
    }
}
