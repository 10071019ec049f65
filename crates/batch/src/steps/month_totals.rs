//! Adds up the month of the processing date, up to it.
//!
//! The result is the step's details. Those of all organizations are kept of the month's latest run only;
//! of earlier ones the sums stay.

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;
use mai_primitives::{ModelName, OrganizationId, UsageDate, Usd};
use mai_storage::{DbConnection, Error as StorageError};
use mai_usage_tracking::{
    ClientDailyUsageModel, Totals, schema::client_daily_usage as days, verify::organizations,
};
use serde::Serialize;
use serde_json::Value;

use super::{ORGANIZATIONS_AT_ONCE, names};
use crate::{
    error::{Error, Result},
    runs,
    step::{Context, Outcome, Step},
};

/// The part of the details that only the latest run of a month keeps.
const SUMMARIES: &str = "monthly_summaries";

/// What the step has found; the names are the original's, and costs are decimal texts in USD.
#[derive(Debug, Serialize)]
struct MonthlyTotalsResult {
    processing_date: UsageDate,
    /// `2026-11-01 to 2026-11-25`.
    month_range: String,
    clients_processed: usize,
    /// Organizations with usage, by id.
    monthly_summaries: Vec<MonthlySummary>,
    overall_totals: OverallTotals,
}

#[derive(Debug, Serialize)]
struct MonthlySummary {
    client_id: OrganizationId,
    client_name: Option<String>,
    days_with_usage: u64,
    /// Days of the month that have passed.
    days_in_month: u32,
    /// Days with usage in percent of them, with one decimal.
    usage_percentage: String,
    total_tokens: i64,
    total_requests: i64,
    total_raw_cost: String,
    total_markup_cost: String,
    /// Of the days with usage, to the nearest.
    average_daily_tokens: i64,
    max_daily_tokens: i64,
    /// The primary model of the days with the most tokens.
    most_used_model: Option<ModelName>,
    last_usage_date: UsageDate,
}

#[derive(Debug, Serialize)]
struct OverallTotals {
    total_tokens: i64,
    total_requests: i64,
    total_raw_cost: String,
    total_markup_cost: String,
    active_clients: usize,
}

pub(crate) async fn run(context: &Context<'_>) -> Result<Outcome> {
    let date = context.run.processing_date;
    let first = date.first_of_month();
    let (organizations, mut names) =
        context.storage.read(|conn| Ok::<_, Error>((organizations(conn)?, names(conn)?))).await?;
    context.progress.count_to(organizations.len());
    let (mut summaries, mut sum) = (Vec::new(), Totals::default());
    for chunk in organizations.chunks(ORGANIZATIONS_AT_ONCE) {
        let (orgs, count) = (chunk.to_vec(), chunk.len());
        let rows = context.storage.read(move |conn| rows(conn, &orgs, first, date)).await?;
        for (org, rows) in rows {
            let totals = Totals::sum(rows.iter().map(Totals::from))?;
            sum = sum.checked_add(totals)?;
            summaries.extend(summary(org, &mut names, &rows, totals, date));
        }
        context.progress.add(count);
    }
    let result = MonthlyTotalsResult {
        processing_date: date,
        month_range: format!("{first} to {date}"),
        clients_processed: summaries.len(),
        overall_totals: OverallTotals {
            total_tokens: sum.tokens,
            total_requests: sum.requests,
            total_raw_cost: sum.raw_cost.to_string(),
            total_markup_cost: sum.markup_cost.to_string(),
            active_clients: summaries.len(),
        },
        monthly_summaries: summaries,
    };
    let run = context.run.clone();
    context
        .lease
        .write(move |conn| {
            for (run_id, position, details) in runs::details_since(conn, Step::MonthTotals, first, &run)? {
                if let Some(shorter) = without_summaries(&details)? {
                    runs::set_details(conn, &run_id, position, &shorter)?;
                }
            }
            Ok(())
        })
        .await?;
    Outcome::done(result)
}

/// Details without the part that only the latest run keeps; none where they have none.
fn without_summaries(details: &str) -> Result<Option<String>> {
    let mut details: Value = serde_json::from_str(details)?;
    let removed = details.as_object_mut().and_then(|details| details.remove(SUMMARIES));
    Ok(removed.map(|_| details.to_string()))
}

/// The rows of some organizations by id, each ascending by day.
fn rows(
    conn: &mut DbConnection,
    orgs: &[OrganizationId],
    first: UsageDate,
    last: UsageDate,
) -> Result<BTreeMap<OrganizationId, Vec<ClientDailyUsageModel>>> {
    let rows = days::table
        .filter(days::client_org_id.eq_any(orgs))
        .filter(days::usage_date.between(first, last))
        .order(days::usage_date)
        .load::<ClientDailyUsageModel>(conn)
        .map_err(StorageError::from)?;
    let mut by_organization: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for row in rows {
        by_organization.entry(row.client_org_id.clone()).or_default().push(row);
    }
    Ok(by_organization)
}

/// The month of an organization; none where it has no rows.
fn summary(
    org: OrganizationId,
    names: &mut HashMap<OrganizationId, String>,
    rows: &[ClientDailyUsageModel],
    totals: Totals,
    date: UsageDate,
) -> Option<MonthlySummary> {
    let last = rows.last()?;
    let days = u64::try_from(rows.len()).ok()?;
    let passed = date.day_of_month();
    Some(MonthlySummary {
        client_name: names.remove(&org),
        client_id: org,
        days_with_usage: days,
        days_in_month: passed,
        usage_percentage: tenths_of_percent(days, u64::from(passed)),
        total_tokens: totals.tokens,
        total_requests: totals.requests,
        total_raw_cost: totals.raw_cost.to_string(),
        total_markup_cost: totals.markup_cost.to_string(),
        average_daily_tokens: rounded(totals.tokens, i64::try_from(days).ok()?),
        max_daily_tokens: rows.iter().map(|row| row.total_tokens).max()?,
        most_used_model: most_used(rows),
        last_usage_date: last.usage_date,
    })
}

/// The primary model with the most tokens of its days; ties go by their cost, then by name.
fn most_used(rows: &[ClientDailyUsageModel]) -> Option<ModelName> {
    let mut used: BTreeMap<&ModelName, (i128, i128)> = BTreeMap::new();
    for row in rows {
        if let Some(model) = &row.primary_model {
            let (tokens, cost) = used.entry(model).or_default();
            *tokens += i128::from(row.total_tokens);
            *cost += i128::from(Usd::nanos(row.markup_cost));
        }
    }
    // Of equal ones the last is taken, so the names go backwards.
    used.into_iter().rev().max_by_key(|(_, used)| *used).map(|(model, _)| model.clone())
}

/// A quotient to the nearest, halves away from zero; zero for no days.
fn rounded(sum: i64, days: i64) -> i64 {
    if days <= 0 {
        return 0;
    }
    let (sum, days) = (i128::from(sum), i128::from(days));
    i64::try_from((2 * sum + days).div_euclid(2 * days)).unwrap_or(i64::MAX)
}

/// A share in percent with one decimal, to the nearest.
fn tenths_of_percent(part: u64, whole: u64) -> String {
    let whole = u128::from(whole.max(1));
    let tenths = (u128::from(part) * 2_000 + whole) / (2 * whole);
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_rounded_to_the_nearest() {
        for (part, whole, shown) in [(0, 31, "0.0"), (1, 3, "33.3"), (2, 3, "66.7"), (30, 30, "100.0")] {
            assert_eq!(tenths_of_percent(part, whole), shown);
        }
        for (sum, days, average) in [(0, 1, 0), (10, 4, 3), (9, 4, 2), (i64::MAX, 1, i64::MAX), (5, 0, 0)] {
            assert_eq!(rounded(sum, days), average, "{sum} / {days}");
        }
    }

    #[test]
    fn earlier_runs_keep_their_sums() {
        let details =
            r#"{"month_range":"a to b","monthly_summaries":[{"client_id":"a"}],"overall_totals":{"x":1}}"#;
        let shorter = without_summaries(details).unwrap().unwrap();
        assert_eq!(shorter, r#"{"month_range":"a to b","overall_totals":{"x":1}}"#);
        assert_eq!(without_summaries(&shorter).unwrap(), None);
        assert_eq!(without_summaries("{}").unwrap(), None);
    }
}
