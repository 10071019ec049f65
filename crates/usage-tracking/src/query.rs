//! Reading the daily tables and the monthly one. Statistics never read the ledger.
//!
//! Every query reads ranges of an organization's days in the primary key, or in the index by member or
//! model, whatever the size of the fleet. Texts are sorted here and not in SQL, because there their order
//! depends on the database's locale.

use std::collections::BTreeMap;

mod pages;
mod parts;
mod series;
mod sums;

use diesel::prelude::*;
use mai_primitives::{OrganizationId, UnixTime, UsageDate, Usd, UserId};
use mai_storage::{BATCH_ROWS, DbConnection, Result, sum_i64};

pub(crate) use self::sums::days_of_models;
pub use self::{
    pages::{DayKey, model_rows_after, user_rows_after},
    series::{OrganizationDay, models_per_day, organizations_per_day, users_per_day},
    sums::{
        ModelSums, OrganizationSums, UserSums, by_model, by_organization, by_user, first_days, known_before,
        unique_users,
    },
};
use crate::{
    model::{ClientDailyUsageModel, ClientModelDailyUsageModel, ClientUserDailyUsageModel},
    schema::{
        client_daily_usage as days, client_model_daily_usage as models, client_user_daily_usage as users,
    },
    totals::Totals,
};

/// The row of one day, or none.
pub fn day(
    conn: &mut DbConnection,
    org: &OrganizationId,
    date: UsageDate,
) -> Result<Option<ClientDailyUsageModel>> {
    Ok(days::table.find((org, date)).first(conn).optional()?)
}

/// The rows of the days from `from` to `to`, both included, ascending; days without usage have none.
pub fn daily_rows(
    conn: &mut DbConnection,
    org: &OrganizationId,
    from: UsageDate,
    to: UsageDate,
) -> Result<Vec<ClientDailyUsageModel>> {
    let rows = days::table
        .filter(days::client_org_id.eq(org))
        .filter(days::usage_date.between(from, to))
        .order(days::usage_date);
    Ok(rows.load(conn)?)
}

/// When usage of an organization was last added, on whatever day; none where it has none.
pub fn last_activity(conn: &mut DbConnection, org: &OrganizationId) -> Result<Option<UnixTime>> {
    let rows = days::table.filter(days::client_org_id.eq(org));
    Ok(rows.select(diesel::dsl::max(days::updated_at)).first(conn)?)
}

/// The latest `limit` rows of the days up to `to`, the newest first.
pub fn latest_rows(
    conn: &mut DbConnection,
    org: &OrganizationId,
    to: UsageDate,
    limit: i64,
) -> Result<Vec<ClientDailyUsageModel>> {
    let rows = days::table
        .filter(days::client_org_id.eq(org))
        .filter(days::usage_date.le(to))
        .order(days::usage_date.desc())
        .limit(limit);
    Ok(rows.load(conn)?)
}

/// The members' rows of the days from `from` to `to`, both included, by day, then by member.
pub fn user_daily_rows(
    conn: &mut DbConnection,
    org: &OrganizationId,
    from: UsageDate,
    to: UsageDate,
) -> Result<Vec<ClientUserDailyUsageModel>> {
    let rows = users::table.filter(users::client_org_id.eq(org)).filter(users::usage_date.between(from, to));
    let mut rows: Vec<ClientUserDailyUsageModel> = rows.load(conn)?;
    rows.sort_by(|a, b| (a.usage_date, &a.user_id).cmp(&(b.usage_date, &b.user_id)));
    Ok(rows)
}

/// The models' rows of the days from `from` to `to`, both included, by day, then by model.
pub fn model_daily_rows(
    conn: &mut DbConnection,
    org: &OrganizationId,
    from: UsageDate,
    to: UsageDate,
) -> Result<Vec<ClientModelDailyUsageModel>> {
    let rows =
        models::table.filter(models::client_org_id.eq(org)).filter(models::usage_date.between(from, to));
    let mut rows: Vec<ClientModelDailyUsageModel> = rows.load(conn)?;
    rows.sort_by(|a, b| (a.usage_date, &a.model_name).cmp(&(b.usage_date, &b.model_name)));
    Ok(rows)
}

/// One member's rows of the days from `from` to `to`, both included, ascending.
pub fn rows_of_user(
    conn: &mut DbConnection,
    org: &OrganizationId,
    user: &UserId,
    from: UsageDate,
    to: UsageDate,
) -> Result<Vec<ClientUserDailyUsageModel>> {
    let rows = users::table
        .filter(users::client_org_id.eq(org))
        .filter(users::user_id.eq(user))
        .filter(users::usage_date.between(from, to))
        .order(users::usage_date);
    Ok(rows.load(conn)?)
}

/// The sums of all members' rows of certain days.
pub(crate) fn user_sums(
    conn: &mut DbConnection,
    org: &OrganizationId,
    dates: &[UsageDate],
) -> Result<BTreeMap<UsageDate, Totals>> {
    let mut sums = BTreeMap::new();
    for chunk in dates.chunks(BATCH_ROWS) {
        let rows = users::table
            .filter(users::client_org_id.eq(org))
            .filter(users::usage_date.eq_any(chunk))
            .group_by(users::usage_date)
            .select((
                users::usage_date,
                sum_i64(users::total_tokens),
                sum_i64(users::total_requests),
                sum_i64(users::raw_cost),
                sum_i64(users::markup_cost),
            ));
        let rows: Vec<(UsageDate, i64, i64, Usd, Usd)> = rows.load(conn)?;
        sums.extend(rows.into_iter().map(|(date, tokens, requests, raw_cost, markup_cost)| {
            (date, Totals { tokens, requests, raw_cost, markup_cost })
        }));
    }
    Ok(sums)
}
