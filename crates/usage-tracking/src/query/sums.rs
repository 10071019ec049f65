//! Sums over ranges of days.

use std::collections::{HashMap, HashSet};

use diesel::{
    dsl::{count, count_star, exists, max, min},
    prelude::*,
};
use mai_exchange_rates::sum_pln;
use mai_primitives::{
    ModelName, OpenRouterUserId, OrganizationId, Pln, UnixTime, UsageDate, Usd, UsdPlnRate, UserId,
};
use mai_storage::{BATCH_ROWS, DbConnection, Result, sum_i64};

use crate::{
    schema::{
        client_daily_usage as days, client_model_daily_usage as models, client_user_daily_usage as users,
        members,
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
    /// The sum in PLN; none where it cannot be told.
    pub cost_pln: Option<Pln>,
    /// Days with usage.
    pub days_active: i64,
    /// Those of them that have no rate of their own yet.
    pub days_estimated: i64,
    /// The first of them.
    pub first_day: Option<UsageDate>,
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
    /// The sum in PLN; none where it cannot be told.
    pub cost_pln: Option<Pln>,
    /// Days with usage.
    pub days_used: i64,
    /// Those of them that have no rate of their own yet.
    pub days_estimated: i64,
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

/// Sums per member with usage in the days from `from` to `to`, both included, in no order. In PLN they are
/// those of the rounded days; days without a rate of their own are converted by `current`.
pub fn by_user(
    conn: &mut DbConnection,
    org: &OrganizationId,
    from: UsageDate,
    to: UsageDate,
    current: Option<UsdPlnRate>,
) -> Result<Vec<UserSums>> {
    type Row = (
        UserId,
        Option<OpenRouterUserId>,
        (i64, i64, Usd, Usd),
        Option<Pln>,
        (i64, i64),
        Option<UsageDate>,
        Option<UnixTime>,
    );
    let same_day = days::client_org_id.eq(users::client_org_id).and(days::usage_date.eq(users::usage_date));
    let rows: Vec<Row> = users::table
        .left_join(days::table.on(same_day))
        .filter(users::client_org_id.eq(org))
        .filter(users::usage_date.between(from, to))
        .group_by(users::user_id)
        .select((
            users::user_id,
            min(users::openrouter_user_id),
            (
                sum_i64(users::total_tokens),
                sum_i64(users::total_requests),
                sum_i64(users::raw_cost),
                sum_i64(users::markup_cost),
            ),
            sum_pln(users::markup_cost, days::usd_pln_rate.nullable(), current),
            (count_star(), count(days::usd_pln_rate.nullable())),
            min(users::usage_date),
            max(users::updated_at),
        ))
        .load(conn)?;
    let item = |(user_id, external, sums, cost_pln, (days, with_rate), first, last): Row| UserSums {
        user_id,
        openrouter_user_id: external,
        totals: totals(sums),
        cost_pln,
        days_active: days,
        days_estimated: days - with_rate,
        first_day: first,
        last_activity: last,
    };
    Ok(rows.into_iter().map(item).collect())
}

/// The registered members, and those of `strangers`, whom nobody registered, who used something before
/// the day `before`.
///
/// Of each registered member the index by member and day tells it at once, however long the history is.
pub fn known_before(
    conn: &mut DbConnection,
    org: &OrganizationId,
    before: UsageDate,
    strangers: &[UserId],
) -> Result<HashSet<UserId>> {
    let earlier = || users::table.filter(users::client_org_id.eq(org)).filter(users::usage_date.lt(before));
    let registered = members::table
        .filter(members::client_org_id.eq(org))
        .filter(exists(earlier().filter(users::user_id.eq(members::user_id))))
        .select(members::user_id);
    let mut known: HashSet<UserId> = registered.load(conn)?.into_iter().collect();
    for chunk in strangers.chunks(BATCH_ROWS) {
        let rows = earlier().filter(users::user_id.eq_any(chunk.to_vec()));
        let rows: Vec<UserId> = rows.select(users::user_id).distinct().load(conn)?;
        known.extend(rows);
    }
    Ok(known)
}

/// Sums per model with usage in the days from `from` to `to`, both included, in no order. In PLN they are
/// those of the rounded days; days without a rate of their own are converted by `current`.
pub fn by_model(
    conn: &mut DbConnection,
    org: &OrganizationId,
    from: UsageDate,
    to: UsageDate,
    current: Option<UsdPlnRate>,
) -> Result<Vec<ModelSums>> {
    type Row = (ModelName, (i64, i64, Usd, Usd), Option<Pln>, i64, i64);
    let same_day = days::client_org_id.eq(models::client_org_id).and(days::usage_date.eq(models::usage_date));
    let rows: Vec<Row> = models::table
        .left_join(days::table.on(same_day))
        .filter(models::client_org_id.eq(org))
        .filter(models::usage_date.between(from, to))
        .group_by(models::model_name)
        .select((
            models::model_name,
            (
                sum_i64(models::total_tokens),
                sum_i64(models::total_requests),
                sum_i64(models::raw_cost),
                sum_i64(models::markup_cost),
            ),
            sum_pln(models::markup_cost, days::usd_pln_rate.nullable(), current),
            count_star(),
            count(days::usd_pln_rate.nullable()),
        ))
        .load(conn)?;
    let item = |(model_name, sums, cost_pln, days_used, with_rate): Row| ModelSums {
        model_name,
        totals: totals(sums),
        cost_pln,
        days_used,
        days_estimated: days_used - with_rate,
    };
    Ok(rows.into_iter().map(item).collect())
}

/// What an organization used in a range of days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OrganizationSums {
    /// The sums.
    pub totals: Totals,
    /// The sum in PLN; none where it cannot be told.
    pub cost_pln: Option<Pln>,
    /// Days with usage.
    pub days_active: i64,
    /// Those of them that have no rate of their own yet.
    pub days_estimated: i64,
}

/// Sums and days with usage of these organizations, in the days from `from` to `to`, both included;
/// those without usage are absent.
///
/// The days of each are one range of the primary key; without the names every day of all time is read.
pub fn by_organization(
    conn: &mut DbConnection,
    organizations: &[OrganizationId],
    from: UsageDate,
    to: UsageDate,
    current: Option<UsdPlnRate>,
) -> Result<HashMap<OrganizationId, OrganizationSums>> {
    type Row = (OrganizationId, (i64, i64, Usd, Usd), Option<Pln>, i64, i64);
    let item = |(org, sums, cost_pln, days_active, with_rate): Row| {
        let days_estimated = days_active - with_rate;
        (org, OrganizationSums { totals: totals(sums), cost_pln, days_active, days_estimated })
    };
    let mut sums = HashMap::with_capacity(organizations.len());
    for chunk in organizations.chunks(BATCH_ROWS) {
        let rows: Vec<Row> = days::table
            .filter(days::client_org_id.eq_any(chunk.to_vec()))
            .filter(days::usage_date.between(from, to))
            .group_by(days::client_org_id)
            .select((
                days::client_org_id,
                (
                    sum_i64(days::total_tokens),
                    sum_i64(days::total_requests),
                    sum_i64(days::raw_cost),
                    sum_i64(days::markup_cost),
                ),
                sum_pln(days::markup_cost, days::usd_pln_rate, current),
                count_star(),
                count(days::usd_pln_rate),
            ))
            .load(conn)?;
        sums.extend(rows.into_iter().map(item));
    }
    Ok(sums)
}

fn totals((tokens, requests, raw_cost, markup_cost): (i64, i64, Usd, Usd)) -> Totals {
    Totals { tokens, requests, raw_cost, markup_cost }
}
