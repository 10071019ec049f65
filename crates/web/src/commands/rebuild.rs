//! `mai-usage rebuild`.

use std::process::ExitCode;

use anyhow::{Result, anyhow};
use mai_organization::{
    generation_processing::query::complete_from,
    usage_tracking::{
        ClientMonthlyUsageModel, MonthlyKind, Totals,
        monthly::{MonthDifference, compare_month, rebuild_month},
        rebuild::{DailyRow, Derived, Difference, DifferenceKind, compare_day, rebuild_day},
    },
};
use mai_primitives::{Clock as _, ModelName, OrganizationId, SystemClock, UnixTime, UsageDate};
use mai_storage::Storage;
use serde_json::{Value, json};

use super::{
    Output,
    verify::{chosen, figures, totals_json},
};

/// What to compute again.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The organization.
    #[arg(long)]
    org: OrganizationId,
    /// The month, YYYY-MM.
    #[arg(long, value_parser = month)]
    month: UsageDate,
    /// Make the daily rows equal to the ledger, and the month's equal to them; without it they are only compared.
    #[arg(long)]
    apply: bool,
    #[command(flatten)]
    output: Output,
}

/// The first day of a month.
fn month(text: &str) -> Result<UsageDate> {
    UsageDate::parse(&format!("{text}-01"))
        .map_err(|_| anyhow!("`{text}` is not a month of the form YYYY-MM"))
}

/// Prints what differs, or what was changed.
pub(super) fn run(arguments: &Arguments, storage: &Storage) -> Result<ExitCode> {
    let Arguments { org, month, apply, output } = arguments;
    chosen(storage, Some(org))?;
    let last = month.plus_days(u64::from(month.days_in_month()) - 1);
    let complete_from = storage.read_blocking(complete_from)?;
    let first = complete_from.map_or(*month, |complete| complete.max(*month));
    let mut found = Vec::new();
    let mut date = first;
    while date <= last {
        found.extend(day(storage, org, date, *apply)?);
        date = date.plus_days(1);
    }
    let refused = (first > *month).then(|| (*month, first.minus_days(1).min(last)));
    let of_month = month_rows(storage, org, *month, *apply)?;
    let count = found.len() + of_month.len();
    if output.json {
        say!("{}", as_json(arguments, &found, &of_month, refused))?;
    } else {
        for difference in &found {
            say!("{} {}", difference.usage_date, as_text(&difference.kind))?;
        }
        let name = month.to_string();
        for difference in &of_month {
            say!("{} {}", name.get(..7).unwrap_or_default(), month_text(difference))?;
        }
        if let Some((from, to)) = refused {
            say!("{from} to {to}: left as they are; ledger rows of these days were cleaned up.")?;
        }
        say!("{}", summary(count, *apply, refused.is_some()))?;
    }
    Ok(ExitCode::from(u8::from(count > 0 && !apply)))
}

/// Compares a day, and makes it right where that is wanted and needed.
fn day(storage: &Storage, org: &OrganizationId, date: UsageDate, apply: bool) -> Result<Vec<Difference>> {
    let found = storage.read_blocking(|conn| compare_day(conn, org, date))?;
    if found.is_empty() || !apply {
        return Ok(found);
    }
    let now = UnixTime::from(SystemClock.now());
    Ok(storage.write_blocking(|conn| rebuild_day(conn, org, date, now))?)
}

/// Compares the sums of a month with its daily rows, and makes them right where that is wanted and needed.
fn month_rows(
    storage: &Storage,
    org: &OrganizationId,
    month: UsageDate,
    apply: bool,
) -> Result<Vec<MonthDifference>> {
    let found = storage.read_blocking(|conn| compare_month(conn, org, month))?;
    if found.is_empty() || !apply {
        return Ok(found);
    }
    Ok(storage.write_blocking(|conn| rebuild_month(conn, org, month))?)
}

fn summary(differences: usize, applied: bool, is_partial: bool) -> String {
    match (differences, applied) {
        (0, _) if is_partial => "Nothing else differs.".to_owned(),
        (0, _) => "The daily and monthly rows are what the ledger adds up to.".to_owned(),
        (1, false) => "1 difference; nothing was changed. Add --apply to make it right.".to_owned(),
        (more, false) => format!("{more} differences; nothing was changed. Add --apply to make them right."),
        (1, true) => "1 difference was made right.".to_owned(),
        (more, true) => format!("{more} differences were made right."),
    }
}

fn as_text(kind: &DifferenceKind) -> String {
    match kind {
        DifferenceKind::Totals { row, stored, ledger } => {
            let row = match row {
                DailyRow::Organization => "the organization".to_owned(),
                DailyRow::Member(user) => format!("member {user}"),
                DailyRow::Model(model) => format!("model {model}"),
            };
            format!("{row}: {}; by the ledger {}", figures(stored), figures(ledger))
        }
        DifferenceKind::Derived { stored, ledger } => {
            let text = |derived: &Derived| {
                let model = derived.primary_model.as_ref().map_or("none", ModelName::as_str);
                format!("{} members, first model {model}", derived.unique_users)
            };
            format!("the organization: {}; by the ledger {}", text(stored), text(ledger))
        }
    }
}

/// A difference of a row of a month, for people.
pub(super) fn month_text(difference: &MonthDifference) -> String {
    let MonthDifference { kind, name, stored, daily } = difference;
    let whose = match kind {
        MonthlyKind::User => "member",
        MonthlyKind::Model => "model",
    };
    let text = |row: &Option<ClientMonthlyUsageModel>| match row {
        None => "nothing".to_owned(),
        Some(row) => {
            let days = row.days.count_ones();
            let (sums, last) = (figures(&Totals::from(row)), row.updated_at.seconds());
            format!("{sums}, {} PLN on {days} days, last added to at {last}", row.cost_pln)
        }
    };
    format!("month of {whose} {name}: {}; by the daily rows {}", text(stored), text(daily))
}

/// A row of a month, for programs.
pub(super) fn month_json(row: &ClientMonthlyUsageModel) -> Value {
    json!({
        "totals": totals_json(&Totals::from(row)), "cost_pln": row.cost_pln.to_string(), "days": row.days,
        "openrouter_user_id": row.openrouter_user_id, "updated_at": row.updated_at.seconds(),
    })
}

fn as_json(
    arguments: &Arguments,
    found: &[Difference],
    of_month: &[MonthDifference],
    refused: Option<(UsageDate, UsageDate)>,
) -> Value {
    let month_row = |one: &MonthDifference| {
        json!({
            "kind": one.kind.as_str(), "name": one.name, "stored": one.stored.as_ref().map(month_json),
            "daily": one.daily.as_ref().map(month_json),
        })
    };
    json!({
        "client_org_id": arguments.org,
        "month": arguments.month.to_string().get(..7),
        "applied": arguments.apply,
        "refused": refused.map(|(from, to)| json!({ "from": from, "to": to })),
        "differences": found.iter().map(difference_json).collect::<Vec<_>>(),
        "month_differences": of_month.iter().map(month_row).collect::<Vec<_>>(),
    })
}

fn difference_json(difference: &Difference) -> Value {
    let date = difference.usage_date;
    match &difference.kind {
        DifferenceKind::Totals { row, stored, ledger } => {
            let (table, key) = match row {
                DailyRow::Organization => ("client_daily_usage", None),
                DailyRow::Member(user) => ("client_user_daily_usage", Some(user.as_str())),
                DailyRow::Model(model) => ("client_model_daily_usage", Some(model.as_str())),
            };
            json!({
                "usage_date": date, "table": table, "key": key,
                "stored": totals_json(stored), "ledger": totals_json(ledger),
            })
        }
        DifferenceKind::Derived { stored, ledger } => {
            let derived = |one: &Derived| json!({ "unique_users": one.unique_users, "primary_model": one.primary_model });
            json!({
                "usage_date": date, "table": "client_daily_usage", "key": null,
                "stored": derived(stored), "ledger": derived(ledger),
            })
        }
    }
}
