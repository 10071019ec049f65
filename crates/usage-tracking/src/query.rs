//! Reading the daily tables. Statistics never read the ledger.
//!
//! Texts are sorted here and not in SQL, because there their order depends on the database's
//! locale.

use std::collections::{BTreeMap, HashMap};

use diesel::{
    dsl::{count_star, max, min},
    prelude::*,
};
use mai_primitives::{ModelName, OpenRouterUserId, OrganizationId, UnixTime, UsageDate, Usd, UserId};
use mai_storage::{BATCH_ROWS, DbConnection, Result, sum_i64};

use crate::{
    model::{ClientDailyUsageModel, ClientModelDailyUsageModel, ClientUserDailyUsageModel},
    schema::{
        client_daily_usage as days, client_model_daily_usage as models, client_user_daily_usage as users,
    },
    stats::{ModelUsage, UserUsage},
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

/// Sums per member with usage in the days from `from` to `to`, both included; the greatest cost to
/// the client first, then by member.
pub fn by_user(
    conn: &mut DbConnection,
    org: &OrganizationId,
    from: UsageDate,
    to: UsageDate,
) -> Result<Vec<UserUsage>> {
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
    let item =
        |(user_id, openrouter_user_id, tokens, requests, raw_cost, markup_cost, days_active, last): Row| {
            UserUsage {
                user_id,
                openrouter_user_id,
                totals: Totals { tokens, requests, raw_cost, markup_cost },
                days_active,
                last_activity: last,
            }
        };
    let mut items: Vec<UserUsage> = rows.into_iter().map(item).collect();
    items.sort_by(|a, b| {
        b.totals.markup_cost.cmp(&a.totals.markup_cost).then_with(|| a.user_id.cmp(&b.user_id))
    });
    Ok(items)
}

/// Sums per model with usage in the days from `from` to `to`, both included; the greatest cost to
/// the client first, then by name.
pub fn by_model(
    conn: &mut DbConnection,
    org: &OrganizationId,
    from: UsageDate,
    to: UsageDate,
) -> Result<Vec<ModelUsage>> {
    type Row = (ModelName, Option<String>, i64, i64, Usd, Usd, i64);
    let rows: Vec<Row> = models::table
        .filter(models::client_org_id.eq(org))
        .filter(models::usage_date.between(from, to))
        .group_by(models::model_name)
        .select((
            models::model_name,
            max(models::provider),
            sum_i64(models::total_tokens),
            sum_i64(models::total_requests),
            sum_i64(models::raw_cost),
            sum_i64(models::markup_cost),
            count_star(),
        ))
        .load(conn)?;
    let item = |(model_name, provider, tokens, requests, raw_cost, markup_cost, days_used): Row| ModelUsage {
        model_name,
        provider,
        totals: Totals { tokens, requests, raw_cost, markup_cost },
        days_used,
    };
    let mut items: Vec<ModelUsage> = rows.into_iter().map(item).collect();
    items.sort_by(|a, b| {
        b.totals.markup_cost.cmp(&a.totals.markup_cost).then_with(|| a.model_name.cmp(&b.model_name))
    });
    Ok(items)
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
