//! What a statement is made of, read inside of the caller's transaction.

use std::collections::{BTreeMap, BTreeSet};

use diesel::{
    dsl::{count_star, min},
    prelude::*,
};
use mai_generation_processing::schema::{pending_generations as pending, processed_generations as ledger};
use mai_primitives::{ModelName, OrganizationId, Pln, UsageDate, Usd, UsdPlnRate};
use mai_storage::{DbConnection, sum_i64};
use mai_usage_tracking::{
    Totals,
    schema::{client_daily_usage as days, client_model_daily_usage as daily},
};

use super::schema::{statement_usage, statements};
use crate::{
    error::{Error, Result},
    month::BillingMonth,
};

/// Tokens of prompts and answers.
pub(crate) type Tokens = (i64, i64);

/// Usage of each model in a month by the daily tables.
pub(crate) fn used(
    conn: &mut DbConnection,
    id: &OrganizationId,
    month: BillingMonth,
) -> Result<BTreeMap<ModelName, Totals>> {
    let rows: Vec<(ModelName, StoredSums)> = daily::table
        .filter(daily::client_org_id.eq(id))
        .filter(daily::usage_date.between(month.first(), month.last()))
        .group_by(daily::model_name)
        .select((
            daily::model_name,
            (
                sum_i64(daily::total_tokens),
                sum_i64(daily::total_requests),
                sum_i64(daily::raw_cost),
                sum_i64(daily::markup_cost),
            ),
        ))
        .load(conn)?;
    Ok(rows.into_iter().map(|(model, sums)| (model, totals(sums))).collect())
}

/// Tokens, requests, raw cost and client price.
type StoredSums = (i64, i64, Usd, Usd);

fn totals((tokens, requests, raw_cost, markup_cost): StoredSums) -> Totals {
    Totals { tokens, requests, raw_cost, markup_cost }
}

/// The tokens of prompts and of answers by model, of those models of which the ledger has all generations of the month:
/// the daily tables have only their sum, and the ledger may have been cleaned up.
pub(crate) fn token_kinds(
    conn: &mut DbConnection,
    id: &OrganizationId,
    month: BillingMonth,
    used: &BTreeMap<ModelName, Totals>,
) -> Result<BTreeMap<ModelName, Tokens>> {
    let rows: Vec<(ModelName, i64, i64, i64, i64)> = ledger::table
        .filter(ledger::client_org_id.eq(id))
        .filter(ledger::generation_date.between(month.first(), month.last()))
        .group_by(ledger::model_name)
        .select((
            ledger::model_name,
            count_star(),
            sum_i64(ledger::input_tokens),
            sum_i64(ledger::output_tokens),
            sum_i64(ledger::total_tokens),
        ))
        .load(conn)?;
    let is_whole = |model: &ModelName, requests: i64, tokens: i64| {
        used.get(model).is_some_and(|sums| sums.requests == requests && sums.tokens == tokens)
    };
    let whole = rows.into_iter().filter(|(model, requests, _, _, total)| is_whole(model, *requests, *total));
    Ok(whole.map(|(model, _, input, output, _)| (model, (input, output))).collect())
}

/// How many generations of a month still wait for their cost.
pub(crate) fn pending_in(conn: &mut DbConnection, id: &OrganizationId, month: BillingMonth) -> Result<i64> {
    let count = pending::table
        .filter(pending::client_org_id.eq(id))
        .filter(pending::generation_date.between(month.first(), month.last()))
        .select(count_star());
    Ok(count.first(conn)?)
}

/// The months before `month` in which an organization has usage and no statement, so that nobody has billed it. Months
/// before the first one of which any organization has a statement were settled by other means, and are left out.
pub(crate) fn unbilled(
    conn: &mut DbConnection,
    id: &OrganizationId,
    month: BillingMonth,
) -> Result<Vec<BillingMonth>> {
    let begun: Option<UsageDate> = statements::table.select(min(statements::month)).first(conn)?;
    let mut used = days::table
        .filter(days::client_org_id.eq(id))
        .filter(days::usage_date.lt(month.first()))
        .filter(days::markup_cost.ne(0).or(days::total_requests.gt(0)))
        .into_boxed();
    if let Some(begun) = begun {
        used = used.filter(days::usage_date.ge(begun));
    }
    let used: Vec<UsageDate> = used.select(days::usage_date).load(conn)?;
    let issued: Vec<UsageDate> = statements::table
        .filter(statements::client_org_id.eq(id))
        .filter(statements::month.lt(month.first()))
        .select(statements::month)
        .load(conn)?;
    let months: BTreeSet<BillingMonth> = used.into_iter().map(BillingMonth::of).collect();
    Ok(months.into_iter().filter(|month| !issued.contains(&month.first())).collect())
}

/// An issued month and the rate that billed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BilledMonth {
    pub(crate) month: BillingMonth,
    pub(crate) usd_pln: UsdPlnRate,
    pub(crate) table_no: String,
    pub(crate) effective_date: UsageDate,
}

/// What changed of a model in a month since it was billed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) model: ModelName,
    pub(crate) difference: Totals,
    /// What it charges; see [`charge`].
    pub(crate) cost_pln: Pln,
}

/// The months before `month` that were issued, each with what changed in it by model: what the daily tables say now
/// without what all statements have billed of it. Months in which nothing changed are left out.
pub(crate) fn changes(
    conn: &mut DbConnection,
    id: &OrganizationId,
    month: BillingMonth,
) -> Result<Vec<(BilledMonth, Vec<Change>)>> {
    let issued: Vec<(UsageDate, UsdPlnRate, String, UsageDate)> = statements::table
        .filter(statements::client_org_id.eq(id))
        .filter(statements::month.lt(month.first()))
        .order(statements::month)
        .select((
            statements::month,
            statements::usd_pln_rate,
            statements::rate_table_no,
            statements::rate_effective_date,
        ))
        .load(conn)?;
    let mut changed = Vec::new();
    for (first, usd_pln, table_no, effective_date) in issued {
        let month = BillingMonth::of(first);
        let (now, billed) = (used(conn, id, month)?, billed(conn, id, month)?);
        let models: BTreeSet<&ModelName> = now.keys().chain(billed.keys()).collect();
        let mut differences = Vec::new();
        for model in models {
            let (total, (before, charged)) =
                (now.get(model).copied().unwrap_or_default(), billed.get(model).copied().unwrap_or_default());
            let difference = minus(total, before)?;
            if difference != Totals::default() {
                let cost_pln = charge(total.markup_cost, usd_pln, charged).ok_or(Error::OutOfRange(month))?;
                differences.push(Change { model: model.clone(), difference, cost_pln });
            }
        }
        if !differences.is_empty() {
            changed.push((BilledMonth { month, usd_pln, table_no, effective_date }, differences));
        }
    }
    Ok(changed)
}

/// What a correction charges: what the month's total comes to by its rate, without what was charged before. Each
/// difference rounded on its own would lose or invent grosze, so that a refund in parts would not give back what was charged.
fn charge(total: Usd, rate: UsdPlnRate, charged: Pln) -> Option<Pln> {
    rate.convert(total)?.grosz().checked_sub(charged.grosz()).map(Pln::from_grosz)
}

fn minus(now: Totals, billed: Totals) -> Result<Totals> {
    let negative = |number: i64| number.checked_neg().ok_or(mai_usage_tracking::Error::OutOfRange("sums"));
    let less = Totals {
        tokens: negative(billed.tokens)?,
        requests: negative(billed.requests)?,
        raw_cost: Usd::from_nanos(negative(billed.raw_cost.nanos())?),
        markup_cost: Usd::from_nanos(negative(billed.markup_cost.nanos())?),
    };
    Ok(now.checked_add(less)?)
}

/// What all statements have billed of a month, by model, and charged for it.
fn billed(
    conn: &mut DbConnection,
    id: &OrganizationId,
    month: BillingMonth,
) -> Result<BTreeMap<ModelName, (Totals, Pln)>> {
    use statement_usage as t;
    let rows: Vec<(ModelName, StoredSums, Pln)> = t::table
        .filter(t::client_org_id.eq(id))
        .filter(t::usage_month.eq(month.first()))
        .group_by(t::model_name)
        .select((
            t::model_name,
            (sum_i64(t::tokens), sum_i64(t::requests), sum_i64(t::raw_cost), sum_i64(t::markup_cost)),
            sum_i64(t::cost_pln),
        ))
        .load(conn)?;
    Ok(rows.into_iter().map(|(model, sums, charged)| (model, (totals(sums), charged))).collect())
}
