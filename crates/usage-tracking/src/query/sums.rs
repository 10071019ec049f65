//! Sums over ranges of days.

use std::collections::HashMap;

use diesel::{
    dsl::{count_star, exists, max, min, not},
    prelude::*,
};
use mai_primitives::{ModelName, OpenRouterUserId, OrganizationId, UnixTime, UsageDate, Usd, UserId};
use mai_storage::{DbConnection, Result, sum_i64};

use crate::{
    schema::{
        client_daily_usage as days, client_model_daily_usage as models, client_user_daily_usage as users,
    },
    totals::Totals,
};

/// What a member used in a range of days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSums {
    /// The member.
    pub user_id: UserId,
    /// What OpenRouter knew the member as; of several ids the least.
    pub openrouter_user_id: Option<OpenRouterUserId>,
    /// The sums.
    pub totals: Totals,
    /// Days with usage.
    pub days_active: i64,
    /// When usage was last added.
    pub last_activity: Option<UnixTime>,
}

/// How much a model was used in a range of days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSums {
    /// The model.
    pub model_name: ModelName,
    /// The sums.
    pub totals: Totals,
    /// Days with usage.
    pub days_used: i64,
}

/// The number of distinct members with usage in the days from `from` to `to`, both included.
pub fn unique_users(
    conn: &mut DbConnection,
    org: &OrganizationId,
    from: UsageDate,
    to: UsageDate,
) -> Result<i64> {
    let used = users::table
        .filter(users::client_org_id.eq(org))
        .filter(users::usage_date.between(from, to))
        .select(diesel::dsl::count(users::user_id).aggregate_distinct());
    Ok(used.first(conn)?)
}

/// Sums per member with usage in the days from `from` to `to`, both included, in no order.
pub fn by_user(
    conn: &mut DbConnection,
    org: &OrganizationId,
    from: UsageDate,
    to: UsageDate,
) -> Result<Vec<UserSums>> {
    type Row = (UserId, Option<OpenRouterUserId>, i64, i64, Usd, Usd, i64, Option<UnixTime>);
    let rows: Vec<Row> = users::table
        .filter(users::client_org_id.eq(org))
        .filter(users::usage_date.between(from, to))
        .group_by(users::user_id)
        .select((
            users::user_id,
            min(users::openrouter_user_id),
            sum_i64(users::total_tokens),
            sum_i64(users::total_requests),
            sum_i64(users::raw_cost),
            sum_i64(users::markup_cost),
            count_star(),
            max(users::updated_at),
        ))
        .load(conn)?;
    let item = |(user_id, openrouter_user_id, tokens, requests, raw_cost, markup_cost, days, last): Row| {
        let totals = Totals { tokens, requests, raw_cost, markup_cost };
        UserSums { user_id, openrouter_user_id, totals, days_active: days, last_activity: last }
    };
    Ok(rows.into_iter().map(item).collect())
}

/// The day on which each member was first seen, of members who were first seen in the days from `from`
/// to `to`, both included; by day, then by member.
///
/// For each row of the range the index by member and day tells whether there is an earlier one.
pub fn first_days(
    conn: &mut DbConnection,
    org: &OrganizationId,
    from: UsageDate,
    to: UsageDate,
) -> Result<Vec<(UsageDate, UserId)>> {
    let earlier = diesel::alias!(users as earlier);
    let before = earlier
        .filter(earlier.field(users::client_org_id).eq(org))
        .filter(earlier.field(users::user_id).eq(users::user_id))
        .filter(earlier.field(users::usage_date).lt(users::usage_date));
    let mut found: Vec<(UsageDate, UserId)> = users::table
        .filter(users::client_org_id.eq(org))
        .filter(users::usage_date.between(from, to))
        .filter(not(exists(before)))
        .select((users::usage_date, users::user_id))
        .load(conn)?;
    found.sort();
    Ok(found)
}

/// Sums per model with usage in the days from `from` to `to`, both included, in no order.
pub fn by_model(
    conn: &mut DbConnection,
    org: &OrganizationId,
    from: UsageDate,
    to: UsageDate,
) -> Result<Vec<ModelSums>> {
    type Row = (ModelName, i64, i64, Usd, Usd, i64);
    let rows: Vec<Row> = models::table
        .filter(models::client_org_id.eq(org))
        .filter(models::usage_date.between(from, to))
        .group_by(models::model_name)
        .select((
            models::model_name,
            sum_i64(models::total_tokens),
            sum_i64(models::total_requests),
            sum_i64(models::raw_cost),
            sum_i64(models::markup_cost),
            count_star(),
        ))
        .load(conn)?;
    let item = |(model_name, tokens, requests, raw_cost, markup_cost, days_used): Row| ModelSums {
        model_name,
        totals: Totals { tokens, requests, raw_cost, markup_cost },
        days_used,
    };
    Ok(rows.into_iter().map(item).collect())
}

/// Sums and days with usage per organization, in the days from `from` to `to`, both included;
/// organizations without usage are absent.
pub fn by_organization(
    conn: &mut DbConnection,
    from: UsageDate,
    to: UsageDate,
) -> Result<HashMap<OrganizationId, (Totals, i64)>> {
    type Row = (OrganizationId, i64, i64, Usd, Usd, i64);
    let rows: Vec<Row> = days::table
        .filter(days::usage_date.between(from, to))
        .group_by(days::client_org_id)
        .select((
            days::client_org_id,
            sum_i64(days::total_tokens),
            sum_i64(days::total_requests),
            sum_i64(days::raw_cost),
            sum_i64(days::markup_cost),
            count_star(),
        ))
        .load(conn)?;
    let item = |(org, tokens, requests, raw_cost, markup_cost, days): Row| {
        (org, (Totals { tokens, requests, raw_cost, markup_cost }, days))
    };
    Ok(rows.into_iter().map(item).collect())
}
