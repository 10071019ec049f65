//! Adding sums to the three daily tables, and to the months of days that have their rate.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use diesel::{prelude::*, upsert::excluded};
use mai_model_prices::provider_name;
use mai_primitives::{ModelName, OrganizationId, UnixTime, UsageDate, Usd};
use mai_storage::{BATCH_ROWS, DbConnection, Result, on_backend};

use crate::{
    model::{ClientDailyUsageModel, ClientModelDailyUsageModel, ClientUserDailyUsageModel},
    monthly,
    schema::{
        client_daily_usage as days, client_model_daily_usage as models, client_user_daily_usage as users,
    },
    sums::Sums,
    totals::Totals,
};

/// Adds the sums to the rows of an organization, removes rows from which the last generation was
/// taken, then derives the number of users and the primary model of each touched day, and computes the
/// months again of which days with a rate were touched.
///
/// The organization's row of a day comes first: on PostgreSQL, where transactions see what others
/// have committed by then, its row lock lets one writer at a time work on that day. What is derived
/// afterwards is read by statements that begin after the lock was won, and is therefore complete.
pub(crate) fn add(
    conn: &mut DbConnection,
    org: &OrganizationId,
    sums: &Sums,
    now: UnixTime,
) -> crate::Result<()> {
    if sums.days.is_empty() {
        return Ok(());
    }
    add_days(conn, org, sums, now)?;
    add_users(conn, org, sums, now)?;
    add_models(conn, org, sums, now)?;
    // Before a day that is emptied goes away, which has been in its month.
    let rated = monthly::rated(conn, org, sums.days.keys().copied())?;
    remove_emptied(conn, org, sums)?;
    derive(conn, org, &sums.days.keys().copied().collect())?;
    monthly::refresh_changed(conn, org, &rated, sums)
}

/// Takes the lock on a day of an organization that [`add`] takes first. Where there is no row yet it
/// makes one of zeros.
pub(crate) fn lock_day(
    conn: &mut DbConnection,
    org: &OrganizationId,
    date: UsageDate,
    now: UnixTime,
) -> Result<()> {
    let nothing = Sums { days: BTreeMap::from([(date, Totals::default())]), ..Sums::default() };
    add_days(conn, org, &nothing, now)
}

fn add_days(conn: &mut DbConnection, org: &OrganizationId, sums: &Sums, now: UnixTime) -> Result<()> {
    let row = |(date, totals): (&UsageDate, &Totals)| ClientDailyUsageModel {
        client_org_id: org.clone(),
        usage_date: *date,
        total_tokens: totals.tokens,
        total_requests: totals.requests,
        raw_cost: totals.raw_cost,
        markup_cost: totals.markup_cost,
        primary_model: None,
        unique_users: 0,
        created_at: now,
        updated_at: now,
        // Given by `fix_daily_rates` alone; a row that is there keeps its own.
        usd_pln_rate: None,
        rate_table_no: None,
        rate_effective_date: None,
    };
    let rows: Vec<ClientDailyUsageModel> = sums.days.iter().map(row).collect();
    for chunk in rows.chunks(BATCH_ROWS) {
        on_backend!(conn, c => diesel::insert_into(days::table)
            .values(chunk.iter().collect::<Vec<_>>())
            .on_conflict((days::client_org_id, days::usage_date))
            .do_update()
            .set((
                days::total_tokens.eq(days::total_tokens + excluded(days::total_tokens)),
                days::total_requests.eq(days::total_requests + excluded(days::total_requests)),
                days::raw_cost.eq(days::raw_cost + excluded(days::raw_cost)),
                days::markup_cost.eq(days::markup_cost + excluded(days::markup_cost)),
                days::updated_at.eq(excluded(days::updated_at)),
            ))
            .execute(c))?;
    }
    Ok(())
}

fn add_users(conn: &mut DbConnection, org: &OrganizationId, sums: &Sums, now: UnixTime) -> Result<()> {
    let rows: Vec<ClientUserDailyUsageModel> = sums
        .users
        .iter()
        .map(|((date, user_id), (openrouter_user_id, totals))| ClientUserDailyUsageModel {
            client_org_id: org.clone(),
            usage_date: *date,
            user_id: user_id.clone(),
            openrouter_user_id: openrouter_user_id.clone(),
            total_tokens: totals.tokens,
            total_requests: totals.requests,
            raw_cost: totals.raw_cost,
            markup_cost: totals.markup_cost,
            created_at: now,
            updated_at: now,
        })
        .collect();
    for chunk in rows.chunks(BATCH_ROWS) {
        on_backend!(conn, c => diesel::insert_into(users::table)
            .values(chunk.iter().collect::<Vec<_>>())
            .on_conflict((users::client_org_id, users::usage_date, users::user_id))
            .do_update()
            .set((
                users::total_tokens.eq(users::total_tokens + excluded(users::total_tokens)),
                users::total_requests.eq(users::total_requests + excluded(users::total_requests)),
                users::raw_cost.eq(users::raw_cost + excluded(users::raw_cost)),
                users::markup_cost.eq(users::markup_cost + excluded(users::markup_cost)),
                users::updated_at.eq(excluded(users::updated_at)),
            ))
            .execute(c))?;
    }
    Ok(())
}

fn add_models(conn: &mut DbConnection, org: &OrganizationId, sums: &Sums, now: UnixTime) -> Result<()> {
    let rows: Vec<ClientModelDailyUsageModel> = sums
        .models
        .iter()
        .map(|((date, model_name), totals)| ClientModelDailyUsageModel {
            client_org_id: org.clone(),
            usage_date: *date,
            model_name: model_name.clone(),
            provider: model_name.author().map(|slug| provider_name(slug).to_owned()),
            total_tokens: totals.tokens,
            total_requests: totals.requests,
            raw_cost: totals.raw_cost,
            markup_cost: totals.markup_cost,
            created_at: now,
            updated_at: now,
        })
        .collect();
    for chunk in rows.chunks(BATCH_ROWS) {
        on_backend!(conn, c => diesel::insert_into(models::table)
            .values(chunk.iter().collect::<Vec<_>>())
            .on_conflict((models::client_org_id, models::usage_date, models::model_name))
            .do_update()
            .set((
                models::total_tokens.eq(models::total_tokens + excluded(models::total_tokens)),
                models::total_requests.eq(models::total_requests + excluded(models::total_requests)),
                models::raw_cost.eq(models::raw_cost + excluded(models::raw_cost)),
                models::markup_cost.eq(models::markup_cost + excluded(models::markup_cost)),
                models::updated_at.eq(excluded(models::updated_at)),
            ))
            .execute(c))?;
    }
    Ok(())
}

/// A row without generations would still count as a user, or as a model with no tokens. Only a row from
/// which one was taken can be such a row.
fn remove_emptied(conn: &mut DbConnection, org: &OrganizationId, sums: &Sums) -> Result<()> {
    let shrank = |totals: &Totals| totals.requests <= 0;
    for ((date, model), _) in sums.models.iter().filter(|(_, totals)| shrank(totals)) {
        let row = models::table.find((org, date, model)).filter(models::total_requests.le(0));
        diesel::delete(row).execute(conn)?;
    }
    for ((date, user), _) in sums.users.iter().filter(|(_, (_, totals))| shrank(totals)) {
        let row = users::table.find((org, date, user)).filter(users::total_requests.le(0));
        diesel::delete(row).execute(conn)?;
    }
    for (date, _) in sums.days.iter().filter(|(_, totals)| shrank(totals)) {
        let row = days::table.find((org, date)).filter(days::total_requests.le(0));
        diesel::delete(row).execute(conn)?;
    }
    Ok(())
}

/// What of a day is derived from its user rows and model rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Derived {
    /// Distinct members.
    pub unique_users: i64,
    /// The model with the most tokens; ties go by the client's cost, then by name.
    pub primary_model: Option<ModelName>,
}

/// A model's claim to be the first of several, by tokens, the client's cost, and its name: most
/// tokens first, then the greatest cost, then the name that comes first. Sort ascending by it.
pub(crate) fn rank((tokens, cost, name): (i64, Usd, ModelName)) -> (Reverse<(i64, Usd)>, ModelName) {
    (Reverse((tokens, cost)), name)
}

/// The derived figures of days; days without rows are absent.
///
/// The best model is chosen here and not in SQL, because there the order of names depends on the
/// database's locale.
pub(crate) fn derived(
    conn: &mut DbConnection,
    org: &OrganizationId,
    from: UsageDate,
    to: UsageDate,
) -> Result<BTreeMap<UsageDate, Derived>> {
    let mut found: BTreeMap<UsageDate, Derived> = BTreeMap::new();
    let counts: Vec<(UsageDate, i64)> = users::table
        .filter(users::client_org_id.eq(org))
        .filter(users::usage_date.between(from, to))
        .group_by(users::usage_date)
        .select((users::usage_date, diesel::dsl::count_star()))
        .load(conn)?;
    for (date, count) in counts {
        found.entry(date).or_default().unique_users = count;
    }
    let mut used: Vec<(UsageDate, ModelName, i64, Usd)> = models::table
        .filter(models::client_org_id.eq(org))
        .filter(models::usage_date.between(from, to))
        .select((models::usage_date, models::model_name, models::total_tokens, models::markup_cost))
        .load(conn)?;
    used.sort_by_cached_key(|(_, name, tokens, cost)| rank((*tokens, *cost, name.clone())));
    for (date, model, ..) in used {
        found.entry(date).or_default().primary_model.get_or_insert(model);
    }
    Ok(found)
}

fn derive(conn: &mut DbConnection, org: &OrganizationId, dates: &BTreeSet<UsageDate>) -> Result<()> {
    for date in dates {
        let derived = derived(conn, org, *date, *date)?.remove(date).unwrap_or_default();
        diesel::update(days::table.find((org, date)))
            .set((days::unique_users.eq(derived.unique_users), days::primary_model.eq(derived.primary_model)))
            .execute(conn)?;
    }
    Ok(())
}
