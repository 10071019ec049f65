//! What answers for a range of days: whole months where that is possible, and the days that are left.

use std::collections::{BTreeMap, HashMap};

use diesel::{
    dsl::{count, count_star, max, min},
    prelude::*,
};
use mai_exchange_rates::sum_pln;
use mai_primitives::{OpenRouterUserId, OrganizationId, Pln, UnixTime, UsageDate, Usd, UsdPlnRate};
use mai_storage::{BATCH_ROWS, DbConnection, sum_i64};

use crate::{
    day_set,
    error::Result,
    model::MonthlyKind,
    pln,
    schema::{
        client_daily_usage as days, client_model_daily_usage as models, client_monthly_usage as months,
        client_user_daily_usage as users,
    },
    totals::Totals,
};

/// The days of an organization in a range, each in one of two places.
pub(super) struct Parts {
    /// The months of which all days with a rate are in the range, by their first days: `client_monthly_usage`
    /// has the sums of these days.
    pub(super) months: Vec<UsageDate>,
    /// All other days with usage, which are read from the daily tables.
    pub(super) days: Vec<UsageDate>,
}

impl Parts {
    /// Those of the days from `from` to `to`, both included.
    pub(super) fn of(
        conn: &mut DbConnection,
        org: &OrganizationId,
        from: UsageDate,
        to: UsageDate,
    ) -> mai_storage::Result<Self> {
        let first = from.first_of_month();
        let last = to.first_of_month().plus_days(u64::from(to.days_in_month()) - 1);
        let rows = days::table
            .filter(days::client_org_id.eq(org))
            .filter(days::usage_date.between(first, last))
            .select((days::usage_date, days::usd_pln_rate.is_not_null()))
            .order(days::usage_date);
        let rows: Vec<(UsageDate, bool)> = rows.load(conn)?;
        let is_asked = |date: UsageDate| from <= date && date <= to;
        let mut whole: BTreeMap<UsageDate, bool> = BTreeMap::new();
        for (date, _) in rows.iter().filter(|(_, is_rated)| *is_rated) {
            *whole.entry(date.first_of_month()).or_insert(true) &= is_asked(*date);
        }
        let is_in_month = |date: UsageDate| whole.get(&date.first_of_month()) == Some(&true);
        let left =
            rows.iter().filter(|(date, is_rated)| is_asked(*date) && !(*is_rated && is_in_month(*date)));
        Ok(Self {
            days: left.map(|(date, _)| *date).collect(),
            months: whole.iter().filter(|(_, is_whole)| **is_whole).map(|(month, _)| *month).collect(),
        })
    }
}

/// What somebody used, or was used of something, in a range of days.
pub(super) struct Part {
    pub(super) openrouter_user_id: Option<OpenRouterUserId>,
    pub(super) totals: Totals,
    pub(super) cost_pln: Option<Pln>,
    /// Days with usage.
    pub(super) days: i64,
    /// Those of them that have no rate of their own yet.
    pub(super) days_estimated: i64,
    pub(super) updated_at: UnixTime,
}

impl Part {
    /// Both, which have no day in common.
    fn plus(self, other: Self) -> Result<Self> {
        let external = match (self.openrouter_user_id, other.openrouter_user_id) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Ok(Self {
            openrouter_user_id: external,
            totals: self.totals.checked_add(other.totals)?,
            cost_pln: pln::add(self.cost_pln, other.cost_pln)?,
            days: self.days + other.days,
            days_estimated: self.days_estimated + other.days_estimated,
            updated_at: self.updated_at.max(other.updated_at),
        })
    }
}

/// A name, the four sums, the sum in PLN, days with usage and with a rate, and when usage was last added.
type DaysRow = (String, (i64, i64, Usd, Usd), Option<Pln>, (i64, i64), UnixTime);

/// A name, its id at OpenRouter, the four sums, the sum in PLN, the days as bits, and when usage was
/// last added.
type MonthRow = (String, Option<OpenRouterUserId>, (i64, i64, Usd, Usd), Pln, i64, UnixTime);

/// What each member or model has in the days from `from` to `to`, both included; days without a rate of their
/// own are converted by `current`.
pub(super) fn gather(
    conn: &mut DbConnection,
    org: &OrganizationId,
    kind: MonthlyKind,
    (from, to): (UsageDate, UsageDate),
    current: Option<UsdPlnRate>,
) -> Result<HashMap<String, Part>> {
    let parts = Parts::of(conn, org, from, to)?;
    let mut found: HashMap<String, Part> = HashMap::new();
    for (name, external, sums, cost_pln, bits, updated_at) in month_rows(conn, org, kind, &parts.months)? {
        let part = Part {
            openrouter_user_id: external,
            totals: totals(sums),
            cost_pln: Some(cost_pln),
            days: day_set::count(bits),
            days_estimated: 0,
            updated_at,
        };
        add(&mut found, name, part)?;
    }
    for chunk in parts.days.chunks(BATCH_ROWS) {
        for (external, row) in days_rows(conn, org, kind, chunk, current)? {
            let (name, sums, cost_pln, (days, with_rate), updated_at) = row;
            let part = Part {
                openrouter_user_id: external,
                totals: totals(sums),
                cost_pln,
                days,
                days_estimated: days - with_rate,
                updated_at,
            };
            add(&mut found, name, part)?;
        }
    }
    Ok(found)
}

fn add(found: &mut HashMap<String, Part>, name: String, part: Part) -> Result<()> {
    let sum = match found.remove(&name) {
        Some(before) => before.plus(part)?,
        None => part,
    };
    found.insert(name, sum);
    Ok(())
}

fn month_rows(
    conn: &mut DbConnection,
    org: &OrganizationId,
    kind: MonthlyKind,
    whole: &[UsageDate],
) -> mai_storage::Result<Vec<MonthRow>> {
    let mut found = Vec::new();
    for chunk in whole.chunks(BATCH_ROWS) {
        let rows = months::table
            .filter(months::client_org_id.eq(org))
            .filter(months::kind.eq(kind))
            .filter(months::usage_month.eq_any(chunk))
            .select((
                months::name,
                months::openrouter_user_id,
                (months::total_tokens, months::total_requests, months::raw_cost, months::markup_cost),
                months::cost_pln,
                months::days,
                months::updated_at,
            ));
        let rows: Vec<MonthRow> = rows.load(conn)?;
        found.extend(rows);
    }
    Ok(found)
}

/// On which days of these months each member or model was used: its name, the month, and the days as bits.
pub(super) fn month_days(
    conn: &mut DbConnection,
    org: &OrganizationId,
    kind: MonthlyKind,
    whole: &[UsageDate],
) -> mai_storage::Result<Vec<(String, UsageDate, i64)>> {
    let rows = months::table
        .filter(months::client_org_id.eq(org))
        .filter(months::kind.eq(kind))
        .filter(months::usage_month.eq_any(whole))
        .select((months::name, months::usage_month, months::days));
    Ok(rows.load(conn)?)
}

fn days_rows(
    conn: &mut DbConnection,
    org: &OrganizationId,
    kind: MonthlyKind,
    dates: &[UsageDate],
    current: Option<UsdPlnRate>,
) -> mai_storage::Result<Vec<(Option<OpenRouterUserId>, DaysRow)>> {
    macro_rules! sums_of {
        ($table:ident, $name:ident) => {{
            let same_day =
                days::client_org_id.eq($table::client_org_id).and(days::usage_date.eq($table::usage_date));
            let sums = (
                $table::$name,
                (
                    sum_i64($table::total_tokens),
                    sum_i64($table::total_requests),
                    sum_i64($table::raw_cost),
                    sum_i64($table::markup_cost),
                ),
                sum_pln($table::markup_cost, days::usd_pln_rate.nullable(), current),
                (count_star(), count(days::usd_pln_rate.nullable())),
                max($table::updated_at).assume_not_null(),
            );
            let rows = $table::table
                .left_join(days::table.on(same_day))
                .filter($table::client_org_id.eq(org))
                .filter($table::usage_date.eq_any(dates))
                .group_by($table::$name);
            (rows, sums)
        }};
    }
    match kind {
        MonthlyKind::User => {
            let (rows, sums) = sums_of!(users, user_id);
            Ok(rows.select((min(users::openrouter_user_id), sums)).load(conn)?)
        }
        MonthlyKind::Model => {
            let (rows, sums) = sums_of!(models, model_name);
            let rows: Vec<DaysRow> = rows.select(sums).load(conn)?;
            Ok(rows.into_iter().map(|row| (None, row)).collect())
        }
    }
}

pub(super) fn totals((tokens, requests, raw_cost, markup_cost): (i64, i64, Usd, Usd)) -> Totals {
    Totals { tokens, requests, raw_cost, markup_cost }
}
