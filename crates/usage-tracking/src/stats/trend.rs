//! Months side by side, each compared with the one before.

use mai_exchange_rates::CurrentRate;
use mai_primitives::{OrganizationId, Pln, UsageDate, ratio};
use mai_storage::DbConnection;

use super::row_totals;
use crate::{
    error::Result,
    pln::{self, Conversion},
    query,
    range::DayRange,
    totals::Totals,
};

/// The last months, and how far the present one has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trend {
    /// The months, the oldest first; those without usage have zeros.
    pub months: Vec<MonthUsage>,
    /// As many days of the month before the last one as the last one has counted, or all days of a
    /// shorter month.
    pub same_days_before: SameDays,
    /// How the costs of all of them became PLN.
    pub conversion: Conversion,
}

/// A month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonthUsage {
    /// The days that are counted: all, or up to the trend's end in its last month.
    pub range: DayRange,
    /// Whether all days of the month are counted.
    pub is_complete: bool,
    /// What was used.
    pub figures: MonthFigures,
    /// The differences from the month before.
    pub change: Changes,
}

/// What was used in a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MonthFigures {
    /// The sums.
    pub totals: Totals,
    /// What the client is charged, as the sum of the rounded days in PLN; none where no rate is known.
    pub cost_pln: Option<Pln>,
    /// Distinct members.
    pub active_users: i64,
    /// Days with usage.
    pub days_with_usage: i64,
    /// Those of them that have no rate of their own yet.
    pub days_estimated: i64,
}

/// Differences in parts per million of what was before; none where there was nothing before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_field_names, reason = "the unit belongs to the name of each")]
pub struct Changes {
    /// Of the tokens.
    pub tokens_ppm: Option<i64>,
    /// Of the generations.
    pub requests_ppm: Option<i64>,
    /// Of what the client is charged.
    pub cost_ppm: Option<i64>,
    /// Of what OpenRouter charged.
    pub raw_cost_ppm: Option<i64>,
    /// Of the distinct members.
    pub active_users_ppm: Option<i64>,
}

/// The beginning of the month before the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SameDays {
    /// The days.
    pub range: DayRange,
    /// What was used on them.
    pub figures: MonthFigures,
    /// How the last month differs.
    pub change: Changes,
}

/// The `count` months of which the last one is counted up to `end`, and how far the present one has come.
pub(crate) fn read(
    conn: &mut DbConnection,
    org: &OrganizationId,
    end: UsageDate,
    count: u32,
    current: Option<CurrentRate>,
) -> Result<Trend> {
    let months = read_months(conn, org, end, count, current.as_ref())?;
    let last = months.last().map(|month| month.figures).unwrap_or_default();
    let same_days_before = same_days(conn, org, end, &last, current.as_ref())?;
    // The days of the comparison are days of the month before, which is not among the months if only one is.
    let days_estimated = if months.len() == 1 { same_days_before.figures.days_estimated } else { 0 };
    let days_estimated =
        months.iter().map(|month| month.figures.days_estimated).fold(days_estimated, i64::saturating_add);
    Ok(Trend { months, same_days_before, conversion: Conversion { current, days_estimated } })
}

/// The `count` months of which the last one is counted up to `end`, the oldest first.
pub(crate) fn read_months(
    conn: &mut DbConnection,
    org: &OrganizationId,
    end: UsageDate,
    count: u32,
    current: Option<&CurrentRate>,
) -> Result<Vec<MonthUsage>> {
    let mut ranges = vec![DayRange::new(end.first_of_month(), end)?];
    // One more, with which the first one is compared.
    for _ in 0..count.max(1) {
        let first = ranges.last().map_or(end, |range| range.from());
        let last = first.minus_days(1);
        ranges.push(DayRange::new(last.first_of_month(), last)?);
    }
    ranges.reverse();
    let mut months: Vec<MonthUsage> = Vec::new();
    for range in ranges {
        let figures = figures(conn, org, range, current)?;
        let before = months.last().map(|month| month.figures).unwrap_or_default();
        months.push(MonthUsage {
            range,
            is_complete: i64::from(range.to().days_in_month()) == range.days(),
            figures,
            change: changes(&figures, &before),
        });
    }
    months.remove(0);
    Ok(months)
}

fn same_days(
    conn: &mut DbConnection,
    org: &OrganizationId,
    end: UsageDate,
    now: &MonthFigures,
    current: Option<&CurrentRate>,
) -> Result<SameDays> {
    let last = end.first_of_month().minus_days(1);
    let first = last.first_of_month();
    let range = DayRange::new(first, first.plus_days(u64::from(end.day_of_month()) - 1).min(last))?;
    let before = figures(conn, org, range, current)?;
    Ok(SameDays { range, figures: before, change: changes(now, &before) })
}

fn figures(
    conn: &mut DbConnection,
    org: &OrganizationId,
    range: DayRange,
    current: Option<&CurrentRate>,
) -> Result<MonthFigures> {
    let rows = query::daily_rows(conn, org, range.from(), range.to())?;
    let conversion = Conversion::of(&rows, current.cloned());
    Ok(MonthFigures {
        totals: row_totals(&rows)?,
        cost_pln: pln::sum_days(&rows, current)?,
        active_users: query::unique_users(conn, org, range.from(), range.to())?,
        days_with_usage: i64::try_from(rows.len()).unwrap_or(i64::MAX),
        days_estimated: conversion.days_estimated,
    })
}

fn changes(now: &MonthFigures, before: &MonthFigures) -> Changes {
    let (new, old) = (&now.totals, &before.totals);
    Changes {
        tokens_ppm: ratio::change_per_million(new.tokens, old.tokens),
        requests_ppm: ratio::change_per_million(new.requests, old.requests),
        cost_ppm: ratio::change_per_million(new.markup_cost.nanos(), old.markup_cost.nanos()),
        raw_cost_ppm: ratio::change_per_million(new.raw_cost.nanos(), old.raw_cost.nanos()),
        active_users_ppm: ratio::change_per_million(now.active_users, before.active_users),
    }
}
