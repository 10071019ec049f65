//! Sums over ranges of days.

use std::collections::{HashMap, HashSet};

use diesel::{
    dsl::{count, count_star, exists, min},
    prelude::*,
};
use mai_exchange_rates::sum_pln;
use mai_primitives::{
    ModelName, OpenRouterUserId, OrganizationId, Pln, UnixTime, UsageDate, Usd, UsdPlnRate, UserId,
};
use mai_storage::{BATCH_ROWS, DbConnection, Result, sum_i64};

use super::parts::{Part, Parts, gather, month_days, totals};
use crate::{
    day_set::{self, DaySet},
    model::MonthlyKind,
    schema::{
        client_daily_usage as days, client_model_daily_usage as models, client_monthly_usage as months,
        client_user_daily_usage as users, members,
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
    /// When usage was last added.
    pub last_activity: UnixTime,
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
    let parts = Parts::of(conn, org, from, to)?;
    let in_months = months::table
        .filter(months::client_org_id.eq(org))
        .filter(months::kind.eq(MonthlyKind::User))
        .filter(months::usage_month.eq_any(parts.months.clone()));
    if parts.days.is_empty() && parts.months.len() == 1 {
        return Ok(in_months.select(count_star()).first(conn)?);
    }
    let mut found: HashSet<String> =
        in_months.select(months::name).distinct().load(conn)?.into_iter().collect();
    for chunk in parts.days.chunks(BATCH_ROWS) {
        let on_days = users::table
            .filter(users::client_org_id.eq(org))
            .filter(users::usage_date.eq_any(chunk))
            .select(users::user_id)
            .distinct();
        found.extend(on_days.load::<String>(conn)?);
    }
    Ok(i64::try_from(found.len()).unwrap_or(i64::MAX))
}

/// The first day of each member with usage in the days from `from` to `to`, both included.
pub fn first_days(
    conn: &mut DbConnection,
    org: &OrganizationId,
    from: UsageDate,
    to: UsageDate,
) -> crate::Result<HashMap<UserId, UsageDate>> {
    let parts = Parts::of(conn, org, from, to)?;
    let mut firsts: HashMap<String, UsageDate> = HashMap::new();
    let mut add = |name, day: UsageDate| {
        firsts.entry(name).and_modify(|first| *first = day.min(*first)).or_insert(day);
    };
    for (name, month, bits) in month_days(conn, org, MonthlyKind::User, &parts.months)? {
        add(name, day_set::first(month, bits));
    }
    for chunk in parts.days.chunks(BATCH_ROWS) {
        let on_days = users::table
            .filter(users::client_org_id.eq(org))
            .filter(users::usage_date.eq_any(chunk))
            .group_by(users::user_id)
            .select((users::user_id, min(users::usage_date).assume_not_null()));
        let on_days: Vec<(String, UsageDate)> = on_days.load(conn).map_err(mai_storage::Error::from)?;
        for (name, day) in on_days {
            add(name, day);
        }
    }
    firsts.into_iter().map(|(name, first)| Ok((UserId::new(name)?, first))).collect()
}

/// Sums per member with usage in the days from `from` to `to`, both included, in no order. In PLN they are
/// those of the rounded days; days without a rate of their own are converted by `current`.
pub fn by_user(
    conn: &mut DbConnection,
    org: &OrganizationId,
    from: UsageDate,
    to: UsageDate,
    current: Option<UsdPlnRate>,
) -> crate::Result<Vec<UserSums>> {
    let found = gather(conn, org, MonthlyKind::User, (from, to), current)?;
    let item = |(name, part): (String, Part)| {
        Ok(UserSums {
            user_id: UserId::new(name)?,
            openrouter_user_id: part.openrouter_user_id,
            totals: part.totals,
            cost_pln: part.cost_pln,
            days_active: part.days,
            days_estimated: part.days_estimated,
            last_activity: part.updated_at,
        })
    };
    found.into_iter().map(item).collect()
}

/// The registered members, and those of `strangers`, whom nobody registered, who used something before
/// the day `before`.
///
/// Of each registered member the index by member and day tells it at once, however long the history is. Only
/// the index has to be read for the one column; SQLite walks the days instead where all columns are selected.
pub fn known_before(
    conn: &mut DbConnection,
    org: &OrganizationId,
    before: UsageDate,
    strangers: &[UserId],
) -> Result<HashSet<UserId>> {
    let earlier = || users::table.filter(users::client_org_id.eq(org)).filter(users::usage_date.lt(before));
    let registered = members::table
        .filter(members::client_org_id.eq(org))
        .filter(exists(earlier().filter(users::user_id.eq(members::user_id)).select(users::user_id)))
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
) -> crate::Result<Vec<ModelSums>> {
    let found = gather(conn, org, MonthlyKind::Model, (from, to), current)?;
    let item = |(name, part): (String, Part)| {
        Ok(ModelSums {
            model_name: ModelName::new(name)?,
            totals: part.totals,
            cost_pln: part.cost_pln,
            days_used: part.days,
            days_estimated: part.days_estimated,
        })
    };
    found.into_iter().map(item).collect()
}

/// On which days each model was used, in the days from `from` to `to`, both included.
pub(crate) fn days_of_models(
    conn: &mut DbConnection,
    org: &OrganizationId,
    from: UsageDate,
    to: UsageDate,
) -> crate::Result<HashMap<ModelName, DaySet>> {
    let parts = Parts::of(conn, org, from, to)?;
    let mut found: HashMap<ModelName, DaySet> = HashMap::new();
    for (name, month, bits) in month_days(conn, org, MonthlyKind::Model, &parts.months)? {
        found.entry(ModelName::new(name)?).or_default().insert_month(month, bits);
    }
    for chunk in parts.days.chunks(BATCH_ROWS) {
        let on_days = models::table
            .filter(models::client_org_id.eq(org))
            .filter(models::usage_date.eq_any(chunk))
            .select((models::model_name, models::usage_date));
        let on_days: Vec<(ModelName, UsageDate)> = on_days.load(conn).map_err(mai_storage::Error::from)?;
        for (name, date) in on_days {
            found.entry(name).or_default().insert(date);
        }
    }
    Ok(found)
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
