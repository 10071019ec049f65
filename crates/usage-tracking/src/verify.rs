//! The laws that the books must obey: what was booked in one place was booked in all of them, and
//! what follows from a ledger row's figures is what stands in it.

mod ledger_rows;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use diesel::{dsl::count_star, prelude::*};
use mai_generation_processing::schema::processed_generations as ledger;
use mai_primitives::{GenerationId, ModelName, OrganizationId, UsageDate, Usd};
use mai_storage::{DbConnection, sum_i64};

use crate::{
    daily::{self, Derived},
    error::Result,
    model::ClientDailyUsageModel,
    monthly::MonthDifference,
    query,
    schema::{client_model_daily_usage as models, client_user_daily_usage as users},
    totals::Totals,
};

#[cfg(test)]
pub(crate) use ledger_rows::PAGE_ROWS;
pub use walk::{Checked, Days, check_organization, organizations};

/// A day on which two places disagree, or a ledger row that disagrees with itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The organization.
    pub client_org_id: OrganizationId,
    /// Its local day.
    pub usage_date: UsageDate,
    /// What disagrees.
    pub kind: MismatchKind,
}

/// What disagrees with the organization's row of a day (a missing row counts as zeros), with the daily rows of
/// a month, or within the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MismatchKind {
    /// The sums of another table.
    Sums {
        /// The other table.
        table: SummedTable,
        /// What the organization's row says.
        client: Totals,
        /// What the other table adds up to.
        other: Totals,
    },
    /// The number of distinct members.
    UniqueUsers {
        /// What the organization's row says.
        stored: i64,
        /// The number of members' rows.
        counted: i64,
    },
    /// The model with the most tokens.
    PrimaryModel {
        /// What the organization's row says.
        stored: Option<ModelName>,
        /// The first among the models' rows.
        found: Option<ModelName>,
    },
    /// A row of `client_monthly_usage`, with the first day of its month as the day.
    Month(Box<MonthDifference>),
    /// A generation in the ledger.
    Generation {
        /// The generation.
        id: GenerationId,
        /// The law that its row breaks.
        law: LedgerLaw,
    },
}

/// A law that each ledger row must obey, as it is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerLaw {
    /// The tokens are those of prompt and answer together.
    TotalTokens {
        /// What the row says.
        stored: i64,
        /// The sum; none where it leaves the range.
        computed: Option<i64>,
    },
    /// The client's price is the row's rate applied to the row's cost.
    MarkupCost {
        /// What the row says.
        stored: Usd,
        /// The price by the rate; none where it leaves the range.
        computed: Option<Usd>,
    },
    /// The cost is what upstream's own text of it says.
    CostText {
        /// What the row says.
        stored: Usd,
        /// Upstream's text.
        text: String,
    },
    /// A generation that is booked waits for nothing.
    NotPending,
}

/// A table whose rows of a day must add up to the organization's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SummedTable {
    /// `client_user_daily_usage`.
    Users,
    /// `client_model_daily_usage`.
    Models,
    /// `processed_generations`.
    Ledger,
}

/// Checks an organization's days from `from` to `to`, both included, and returns every
/// disagreement, by day.
///
/// The ledger is compared for days from `ledger_from` on, or for all of them where that is none;
/// `mai_generation_processing::query::complete_from` tells from which day on nothing was cleaned up.
/// Days without a row in any table are right.
pub fn check_days(
    conn: &mut DbConnection,
    org: &OrganizationId,
    from: UsageDate,
    to: UsageDate,
    ledger_from: Option<UsageDate>,
) -> Result<Vec<Mismatch>> {
    Ok(compare_days(conn, org, from, to, ledger_from)?.1)
}

/// As [`check_days`], with the number of days that any table has something of.
fn compare_days(
    conn: &mut DbConnection,
    org: &OrganizationId,
    from: UsageDate,
    to: UsageDate,
    ledger_from: Option<UsageDate>,
) -> Result<(usize, Vec<Mismatch>)> {
    let rows = query::daily_rows(conn, org, from, to)?;
    let rows: BTreeMap<UsageDate, ClientDailyUsageModel> =
        rows.into_iter().map(|row| (row.usage_date, row)).collect();
    let derived = daily::derived(conn, org, from, to)?;
    let sums = [
        (SummedTable::Users, user_sums(conn, org, from, to)?),
        (SummedTable::Models, model_sums(conn, org, from, to)?),
        (SummedTable::Ledger, ledger_sums(conn, org, from, to)?),
    ];
    let dates: BTreeSet<UsageDate> =
        rows.keys().chain(sums.iter().flat_map(|(_, sums)| sums.keys())).copied().collect();
    let (days, mut mismatches) = (dates.len(), Vec::new());
    for date in dates {
        let row = rows.get(&date);
        let client = row.map(Totals::from).unwrap_or_default();
        let mut report =
            |kind| mismatches.push(Mismatch { client_org_id: org.clone(), usage_date: date, kind });
        for (table, sums) in &sums {
            let other = sums.get(&date).copied().unwrap_or_default();
            let compared = *table != SummedTable::Ledger || ledger_from.is_none_or(|first| date >= first);
            if compared && other != client {
                report(MismatchKind::Sums { table: *table, client, other });
            }
        }
        let nothing = Derived::default();
        let derived = derived.get(&date).unwrap_or(&nothing);
        let stored = row.map_or(0, |row| row.unique_users);
        if stored != derived.unique_users {
            report(MismatchKind::UniqueUsers { stored, counted: derived.unique_users });
        }
        let stored = row.and_then(|row| row.primary_model.clone());
        if stored != derived.primary_model {
            report(MismatchKind::PrimaryModel { stored, found: derived.primary_model.clone() });
        }
    }
    Ok((days, mismatches))
}

type Row = (UsageDate, i64, i64, Usd, Usd);

fn by_date(rows: Vec<Row>) -> BTreeMap<UsageDate, Totals> {
    rows.into_iter()
        .map(|(date, tokens, requests, raw_cost, markup_cost)| {
            (date, Totals { tokens, requests, raw_cost, markup_cost })
        })
        .collect()
}

fn user_sums(
    conn: &mut DbConnection,
    org: &OrganizationId,
    from: UsageDate,
    to: UsageDate,
) -> mai_storage::Result<BTreeMap<UsageDate, Totals>> {
    let rows = users::table
        .filter(users::client_org_id.eq(org))
        .filter(users::usage_date.between(from, to))
        .group_by(users::usage_date)
        .select((
            users::usage_date,
            sum_i64(users::total_tokens),
            sum_i64(users::total_requests),
            sum_i64(users::raw_cost),
            sum_i64(users::markup_cost),
        ));
    Ok(by_date(rows.load(conn)?))
}

fn model_sums(
    conn: &mut DbConnection,
    org: &OrganizationId,
    from: UsageDate,
    to: UsageDate,
) -> mai_storage::Result<BTreeMap<UsageDate, Totals>> {
    let rows = models::table
        .filter(models::client_org_id.eq(org))
        .filter(models::usage_date.between(from, to))
        .group_by(models::usage_date)
        .select((
            models::usage_date,
            sum_i64(models::total_tokens),
            sum_i64(models::total_requests),
            sum_i64(models::raw_cost),
            sum_i64(models::markup_cost),
        ));
    Ok(by_date(rows.load(conn)?))
}

fn ledger_sums(
    conn: &mut DbConnection,
    org: &OrganizationId,
    from: UsageDate,
    to: UsageDate,
) -> mai_storage::Result<BTreeMap<UsageDate, Totals>> {
    let rows = ledger::table
        .filter(ledger::client_org_id.eq(org))
        .filter(ledger::generation_date.between(from, to))
        .group_by(ledger::generation_date)
        .select((
            ledger::generation_date,
            sum_i64(ledger::total_tokens),
            count_star(),
            sum_i64(ledger::total_cost),
            sum_i64(ledger::markup_cost),
        ));
    Ok(by_date(rows.load(conn)?))
}
