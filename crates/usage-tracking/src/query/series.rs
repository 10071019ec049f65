//! Sums per day of chosen members, models or organizations.

use std::collections::BTreeMap;

use diesel::prelude::*;
use mai_primitives::{ModelName, OrganizationId, UsageDate, Usd, UserId};
use mai_storage::{BATCH_ROWS, DbConnection, Result, sum_i64};

use super::parts::totals;
use crate::{
    schema::{
        client_daily_usage as days, client_model_daily_usage as models, client_user_daily_usage as users,
    },
    totals::Totals,
};

/// What each of the named members used per day from `from` to `to`, both included.
///
/// Each is asked for alone: of several at once SQLite would read the days of all members.
pub fn users_per_day(
    conn: &mut DbConnection,
    org: &OrganizationId,
    (from, to): (UsageDate, UsageDate),
    named: &[UserId],
) -> Result<Vec<(UsageDate, UserId, Totals)>> {
    let mut found = Vec::new();
    for user in named {
        let rows = users::table
            .filter(users::client_org_id.eq(org))
            .filter(users::user_id.eq(user))
            .filter(users::usage_date.between(from, to))
            .select((
                users::usage_date,
                (users::total_tokens, users::total_requests, users::raw_cost, users::markup_cost),
            ));
        let rows: Vec<(UsageDate, _)> = rows.load(conn)?;
        found.extend(rows.into_iter().map(|(date, sums)| (date, user.clone(), totals(sums))));
    }
    Ok(found)
}

/// What was used of each of the named models per day from `from` to `to`, both included, by day.
pub fn models_per_day(
    conn: &mut DbConnection,
    org: &OrganizationId,
    (from, to): (UsageDate, UsageDate),
    named: &[ModelName],
) -> Result<Vec<(UsageDate, ModelName, Totals)>> {
    let rows = models::table
        .filter(models::client_org_id.eq(org))
        .filter(models::usage_date.between(from, to))
        .filter(models::model_name.eq_any(named.to_vec()))
        .select((
            models::usage_date,
            models::model_name,
            (models::total_tokens, models::total_requests, models::raw_cost, models::markup_cost),
        ))
        .order(models::usage_date);
    let rows: Vec<(UsageDate, ModelName, _)> = rows.load(conn)?;
    Ok(rows.into_iter().map(|(date, model, sums)| (date, model, totals(sums))).collect())
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
