//! Sums per day of chosen members or models, and of all others together.

use std::collections::BTreeMap;

use diesel::prelude::*;
use mai_exchange_rates::sum_pln;
use mai_primitives::{ModelName, OrganizationId, Pln, UsageDate, Usd, UsdPlnRate, UserId};
use mai_storage::{BATCH_ROWS, DbConnection, Result, sum_i64};

use crate::{
    schema::{
        client_daily_usage as days, client_model_daily_usage as models, client_user_daily_usage as users,
    },
    totals::Totals,
};

/// What was used per day, by the one who is named or, without a name, by all others together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerDay<K> {
    /// The figures of the named ones, by day.
    pub named: Vec<(UsageDate, K, Totals)>,
    /// The figures of all others, and the sum of their rounded amounts in PLN. Days on which they used
    /// nothing are absent.
    pub others: BTreeMap<UsageDate, (Totals, Option<Pln>)>,
}

/// A day, the four sums, and the sum in PLN.
type OthersRow = (UsageDate, i64, i64, Usd, Usd, Option<Pln>);

/// The members' usage per day from `from` to `to`, both included.
pub fn users_per_day(
    conn: &mut DbConnection,
    org: &OrganizationId,
    (from, to): (UsageDate, UsageDate),
    named: &[UserId],
    current: Option<UsdPlnRate>,
) -> Result<PerDay<UserId>> {
    let of_named: Vec<(UsageDate, UserId, i64, i64, Usd, Usd)> = users::table
        .filter(users::client_org_id.eq(org))
        .filter(users::usage_date.between(from, to))
        .filter(users::user_id.eq_any(named.to_vec()))
        .select((
            users::usage_date,
            users::user_id,
            users::total_tokens,
            users::total_requests,
            users::raw_cost,
            users::markup_cost,
        ))
        .order(users::usage_date)
        .load(conn)?;
    let same_day = days::client_org_id.eq(users::client_org_id).and(days::usage_date.eq(users::usage_date));
    let others: Vec<OthersRow> = users::table
        .left_join(days::table.on(same_day))
        .filter(users::client_org_id.eq(org))
        .filter(users::usage_date.between(from, to))
        .filter(users::user_id.ne_all(named.to_vec()))
        .group_by(users::usage_date)
        .select((
            users::usage_date,
            sum_i64(users::total_tokens),
            sum_i64(users::total_requests),
            sum_i64(users::raw_cost),
            sum_i64(users::markup_cost),
            sum_pln(users::markup_cost, days::usd_pln_rate.nullable(), current),
        ))
        .load(conn)?;
    Ok(per_day(of_named, others))
}

/// The models' usage per day from `from` to `to`, both included.
pub fn models_per_day(
    conn: &mut DbConnection,
    org: &OrganizationId,
    (from, to): (UsageDate, UsageDate),
    named: &[ModelName],
    current: Option<UsdPlnRate>,
) -> Result<PerDay<ModelName>> {
    let of_named: Vec<(UsageDate, ModelName, i64, i64, Usd, Usd)> = models::table
        .filter(models::client_org_id.eq(org))
        .filter(models::usage_date.between(from, to))
        .filter(models::model_name.eq_any(named.to_vec()))
        .select((
            models::usage_date,
            models::model_name,
            models::total_tokens,
            models::total_requests,
            models::raw_cost,
            models::markup_cost,
        ))
        .order(models::usage_date)
        .load(conn)?;
    let same_day = days::client_org_id.eq(models::client_org_id).and(days::usage_date.eq(models::usage_date));
    let others: Vec<OthersRow> = models::table
        .left_join(days::table.on(same_day))
        .filter(models::client_org_id.eq(org))
        .filter(models::usage_date.between(from, to))
        .filter(models::model_name.ne_all(named.to_vec()))
        .group_by(models::usage_date)
        .select((
            models::usage_date,
            sum_i64(models::total_tokens),
            sum_i64(models::total_requests),
            sum_i64(models::raw_cost),
            sum_i64(models::markup_cost),
            sum_pln(models::markup_cost, days::usd_pln_rate.nullable(), current),
        ))
        .load(conn)?;
    Ok(per_day(of_named, others))
}

fn per_day<K>(named: Vec<(UsageDate, K, i64, i64, Usd, Usd)>, others: Vec<OthersRow>) -> PerDay<K> {
    let totals = |tokens, requests, raw_cost, markup_cost| Totals { tokens, requests, raw_cost, markup_cost };
    let named = named.into_iter();
    let others = others.into_iter();
    PerDay {
        named: named.map(|(date, key, a, b, c, d)| (date, key, totals(a, b, c, d))).collect(),
        others: others.map(|(date, a, b, c, d, pln)| (date, (totals(a, b, c, d), pln))).collect(),
    }
}

/// What an organization is charged on a day.
pub type OrganizationDay = (UsageDate, OrganizationId, Usd);

/// What organizations are charged per day from `from` to `to`, both included: of each named one, and of all
/// `others` together. Days without usage are absent.
pub fn organizations_per_day(
    conn: &mut DbConnection,
    (from, to): (UsageDate, UsageDate),
    named: &[OrganizationId],
    others: &[OrganizationId],
) -> Result<(Vec<OrganizationDay>, BTreeMap<UsageDate, i64>)> {
    let of_named = days::table
        .filter(days::client_org_id.eq_any(named.to_vec()))
        .filter(days::usage_date.between(from, to))
        .select((days::usage_date, days::client_org_id, days::markup_cost))
        .order(days::usage_date)
        .load(conn)?;
    let mut of_others = BTreeMap::new();
    for chunk in others.chunks(BATCH_ROWS) {
        let rows: Vec<(UsageDate, i64)> = days::table
            .filter(days::client_org_id.eq_any(chunk.to_vec()))
            .filter(days::usage_date.between(from, to))
            .group_by(days::usage_date)
            .select((days::usage_date, sum_i64(days::markup_cost)))
            .load(conn)?;
        for (date, nanos) in rows {
            let sum: &mut i64 = of_others.entry(date).or_default();
            *sum = sum.saturating_add(nanos);
        }
    }
    Ok((of_named, of_others))
}

/// On which days each model was used, in the days from `from` to `to`, both included, in no order.
pub fn days_of_models(
    conn: &mut DbConnection,
    org: &OrganizationId,
    from: UsageDate,
    to: UsageDate,
) -> Result<Vec<(UsageDate, ModelName)>> {
    let rows =
        models::table.filter(models::client_org_id.eq(org)).filter(models::usage_date.between(from, to));
    Ok(rows.select((models::usage_date, models::model_name)).load(conn)?)
}
