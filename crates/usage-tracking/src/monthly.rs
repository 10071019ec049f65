//! Sums per month of members and models, so that long ranges are read by the month.
//!
//! A row has what was used on those days of a month that have their rate. Such a day is over and its value in
//! PLN is certain, so that of all that is booked only late usage has to touch a row; what is booked today
//! does not. A row is always computed from the daily rows, in the transaction that changes these, and never
//! added to.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use mai_primitives::{
    ModelName, OpenRouterUserId, OrganizationId, Pln, UnixTime, UsageDate, Usd, UsdPlnRate, UserId,
};
use mai_storage::{BATCH_ROWS, DbConnection, lock_alone, on_backend};

use crate::{
    day_set,
    error::{Error, Result},
    model::{ClientMonthlyUsageModel, MonthlyKind},
    schema::{
        client_daily_usage as days, client_model_daily_usage as models, client_monthly_usage as months,
        client_user_daily_usage as users,
    },
    sums::Sums,
    totals::Totals,
};

/// A row of a month that is not what the daily rows add up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonthDifference {
    /// Whether it is a member's or a model's.
    pub kind: MonthlyKind,
    /// The member's id or the model's name.
    pub name: String,
    /// The row; none where there is none.
    pub stored: Option<ClientMonthlyUsageModel>,
    /// What the daily rows add up to; none where there should be no row.
    pub daily: Option<ClientMonthlyUsageModel>,
}

/// Whose rows of a month are meant.
#[derive(Debug, Clone, Copy)]
enum Whose<'a> {
    All,
    These { users: &'a [&'a UserId], models: &'a [&'a ModelName] },
}

type Rows = BTreeMap<(MonthlyKind, String), ClientMonthlyUsageModel>;

/// Those of an organization's days that have their rate.
pub(crate) fn rated(
    conn: &mut DbConnection,
    org: &OrganizationId,
    dates: impl IntoIterator<Item = UsageDate>,
) -> Result<BTreeSet<UsageDate>> {
    let dates: Vec<UsageDate> = dates.into_iter().collect();
    let mut rated = BTreeSet::new();
    for chunk in dates.chunks(BATCH_ROWS) {
        let rows = days::table
            .filter(days::client_org_id.eq(org))
            .filter(days::usage_date.eq_any(chunk))
            .filter(days::usd_pln_rate.is_not_null())
            .select(days::usage_date);
        let rows: Vec<UsageDate> = rows.load(conn).map_err(mai_storage::Error::from)?;
        rated.extend(rows);
    }
    Ok(rated)
}

/// Computes the months of days that were given their rates.
pub(crate) fn refresh_all(
    conn: &mut DbConnection,
    org: &OrganizationId,
    dates: impl IntoIterator<Item = UsageDate>,
) -> Result<()> {
    let months: BTreeSet<UsageDate> = dates.into_iter().map(UsageDate::first_of_month).collect();
    months.into_iter().try_for_each(|month| refresh(conn, org, month, Whose::All))
}

/// Computes again what changed sums have touched on days with a rate.
pub(crate) fn refresh_changed(
    conn: &mut DbConnection,
    org: &OrganizationId,
    rated: &BTreeSet<UsageDate>,
    sums: &Sums,
) -> Result<()> {
    let months: BTreeSet<UsageDate> = rated.iter().map(|date| date.first_of_month()).collect();
    for month in months {
        let touched = |date: &UsageDate| rated.contains(date) && date.first_of_month() == month;
        let users: BTreeSet<&UserId> =
            sums.users.keys().filter(|(date, _)| touched(date)).map(|(_, user)| user).collect();
        let models: BTreeSet<&ModelName> =
            sums.models.keys().filter(|(date, _)| touched(date)).map(|(_, model)| model).collect();
        let (users, models) = (Vec::from_iter(users), Vec::from_iter(models));
        refresh(conn, org, month, Whose::These { users: &users, models: &models })?;
    }
    Ok(())
}

/// Computes again what members used in the months of days that have a rate.
pub(crate) fn refresh_users(
    conn: &mut DbConnection,
    org: &OrganizationId,
    rated: &BTreeSet<UsageDate>,
    users: &[&UserId],
) -> Result<()> {
    let months: BTreeSet<UsageDate> = rated.iter().map(|date| date.first_of_month()).collect();
    months.into_iter().try_for_each(|month| refresh(conn, org, month, Whose::These { users, models: &[] }))
}

/// The rows of a month that are not what the daily rows add up to, on one snapshot.
pub fn compare_month(
    conn: &mut DbConnection,
    org: &OrganizationId,
    month: UsageDate,
) -> Result<Vec<MonthDifference>> {
    let mut daily = computed(conn, org, month, Whose::All)?;
    let rows = months::table
        .filter(months::client_org_id.eq(org))
        .filter(months::kind.eq_any(MonthlyKind::ALL))
        .filter(months::usage_month.eq(month));
    let rows: Vec<ClientMonthlyUsageModel> = rows.load(conn).map_err(mai_storage::Error::from)?;
    let mut differences = Vec::new();
    for row in rows {
        let (kind, name) = (row.kind, row.name.clone());
        let daily = daily.remove(&(kind, name.clone()));
        if daily.as_ref() != Some(&row) {
            differences.push(MonthDifference { kind, name, stored: Some(row), daily });
        }
    }
    let missing = daily.into_iter().map(|((kind, name), row)| MonthDifference {
        kind,
        name,
        stored: None,
        daily: Some(row),
    });
    differences.extend(missing);
    differences.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    Ok(differences)
}

/// Makes the rows of a month equal to the daily rows, in the caller's write transaction, and tells which
/// were not.
pub fn rebuild_month(
    conn: &mut DbConnection,
    org: &OrganizationId,
    month: UsageDate,
) -> Result<Vec<MonthDifference>> {
    lock(conn, org)?;
    let found = compare_month(conn, org, month)?;
    refresh(conn, org, month, Whose::All)?;
    Ok(found)
}

/// Lets one transaction at a time compute months of an organization. Whoever had the lock before has
/// committed, so that what is read afterwards has all of it. It comes after the locks of the days.
fn lock(conn: &mut DbConnection, org: &OrganizationId) -> mai_storage::Result<()> {
    lock_alone(conn, &format!("months of {org}"))
}

fn refresh(conn: &mut DbConnection, org: &OrganizationId, month: UsageDate, whose: Whose<'_>) -> Result<()> {
    lock(conn, org)?;
    let rows: Vec<ClientMonthlyUsageModel> = computed(conn, org, month, whose)?.into_values().collect();
    remove(conn, org, month, whose)?;
    for chunk in rows.chunks(BATCH_ROWS) {
        let chunk: Vec<&ClientMonthlyUsageModel> = chunk.iter().collect();
        on_backend!(conn, c => diesel::insert_into(months::table).values(chunk).execute(c))
            .map_err(mai_storage::Error::from)?;
    }
    Ok(())
}

fn remove(
    conn: &mut DbConnection,
    org: &OrganizationId,
    month: UsageDate,
    whose: Whose<'_>,
) -> mai_storage::Result<()> {
    let of = |kind: MonthlyKind| {
        months::table
            .filter(months::client_org_id.eq(org))
            .filter(months::kind.eq(kind))
            .filter(months::usage_month.eq(month))
    };
    match whose {
        Whose::All => {
            for kind in MonthlyKind::ALL {
                diesel::delete(of(*kind)).execute(conn)?;
            }
        }
        Whose::These { users, models } => {
            for chunk in users.chunks(BATCH_ROWS) {
                let names = chunk.iter().map(|user| user.as_str());
                diesel::delete(of(MonthlyKind::User).filter(months::name.eq_any(names))).execute(conn)?;
            }
            for chunk in models.chunks(BATCH_ROWS) {
                let names = chunk.iter().map(|model| model.as_str());
                diesel::delete(of(MonthlyKind::Model).filter(months::name.eq_any(names))).execute(conn)?;
            }
        }
    }
    Ok(())
}

/// What somebody used on a day, or was used of something, and the day's rate.
type RatedDay = (UsageDate, String, Option<OpenRouterUserId>, (i64, i64, Usd, Usd), UnixTime, UsdPlnRate);

/// The rows of a month as they follow from the daily rows.
fn computed(
    conn: &mut DbConnection,
    org: &OrganizationId,
    month: UsageDate,
    whose: Whose<'_>,
) -> Result<Rows> {
    let last = month.plus_days(u64::from(month.days_in_month()) - 1);
    macro_rules! rated_days {
        ($table:ident, $name:ident, $external:expr) => {{
            let same_day =
                days::client_org_id.eq($table::client_org_id).and(days::usage_date.eq($table::usage_date));
            $table::table
                .inner_join(days::table.on(same_day))
                .filter($table::client_org_id.eq(org))
                .filter($table::usage_date.between(month, last))
                .filter(days::usd_pln_rate.is_not_null())
                .select((
                    $table::usage_date,
                    $table::$name,
                    $external,
                    ($table::total_tokens, $table::total_requests, $table::raw_cost, $table::markup_cost),
                    $table::updated_at,
                    days::usd_pln_rate.assume_not_null(),
                ))
        }};
    }
    let of_users = || rated_days!(users, user_id, users::openrouter_user_id.nullable());
    let nothing = || None::<String>.into_sql::<diesel::sql_types::Nullable<diesel::sql_types::Text>>();
    let of_models = || rated_days!(models, model_name, nothing());
    let mut rows = Rows::new();
    let mut add = |kind, found: QueryResult<Vec<RatedDay>>| {
        let found = found.map_err(mai_storage::Error::from)?;
        found.into_iter().try_for_each(|day| add_day(&mut rows, (org, kind, month), day))
    };
    match whose {
        Whose::All => {
            add(MonthlyKind::User, of_users().load(conn))?;
            add(MonthlyKind::Model, of_models().load(conn))?;
        }
        Whose::These { users: named, models: used } => {
            for chunk in named.chunks(BATCH_ROWS) {
                let found = of_users().filter(users::user_id.eq_any(chunk.iter().copied()));
                add(MonthlyKind::User, found.load(conn))?;
            }
            for chunk in used.chunks(BATCH_ROWS) {
                let found = of_models().filter(models::model_name.eq_any(chunk.iter().copied()));
                add(MonthlyKind::Model, found.load(conn))?;
            }
        }
    }
    Ok(rows)
}

fn add_day(
    rows: &mut Rows,
    (org, kind, month): (&OrganizationId, MonthlyKind, UsageDate),
    (date, name, external, (tokens, requests, raw_cost, markup_cost), updated_at, rate): RatedDay,
) -> Result<()> {
    let in_pln = rate.convert(markup_cost).ok_or(Error::OutOfRange("amounts in PLN"))?;
    let row = rows.entry((kind, name.clone())).or_insert_with(|| ClientMonthlyUsageModel {
        client_org_id: org.clone(),
        kind,
        usage_month: month,
        name,
        openrouter_user_id: external.clone(),
        total_tokens: 0,
        total_requests: 0,
        raw_cost: Usd::ZERO,
        markup_cost: Usd::ZERO,
        cost_pln: Pln::ZERO,
        days: 0,
        updated_at,
    });
    let day = Totals { tokens, requests, raw_cost, markup_cost };
    let sum = Totals::from(&*row).checked_add(day)?;
    row.total_tokens = sum.tokens;
    row.total_requests = sum.requests;
    row.raw_cost = sum.raw_cost;
    row.markup_cost = sum.markup_cost;
    row.cost_pln = row.cost_pln.checked_add(in_pln).ok_or(Error::OutOfRange("amounts in PLN"))?;
    row.openrouter_user_id = row.openrouter_user_id.take().min(external);
    row.days |= day_set::bit(date);
    row.updated_at = row.updated_at.max(updated_at);
    Ok(())
}
