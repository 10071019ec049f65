//! `mai-usage rebuild`.

use std::process::ExitCode;

use anyhow::{Result, anyhow, ensure};
use mai_organization::{
    generation_processing::query::complete_from,
    usage_tracking::rebuild::{DailyRow, Derived, Difference, DifferenceKind, compare_day, rebuild_day},
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
    /// Make the daily rows equal to the ledger; without it they are only compared.
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
    ensure!(
        first <= last,
        "ledger rows of this month were cleaned up, so that its daily rows cannot be computed again; the ledger \
         is complete from {first} on"
    );
    let mut found = Vec::new();
    let mut date = first;
    while date <= last {
        found.extend(day(storage, org, date, *apply)?);
        date = date.plus_days(1);
    }
    let refused = (first > *month).then(|| (*month, first.minus_days(1)));
    if output.json {
        say!("{}", as_json(arguments, &found, refused))?;
    } else {
        for difference in &found {
            say!("{} {}", difference.usage_date, as_text(&difference.kind))?;
        }
        if let Some((from, to)) = refused {
            say!("{from} to {to}: left as they are; ledger rows of these days were cleaned up.")?;
        }
        say!("{}", summary(found.len(), *apply))?;
    }
    Ok(ExitCode::from(u8::from(!found.is_empty() && !apply)))
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

fn summary(differences: usize, applied: bool) -> String {
    match (differences, applied) {
        (0, _) => "The daily rows are what the ledger adds up to.".to_owned(),
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

fn as_json(arguments: &Arguments, found: &[Difference], refused: Option<(UsageDate, UsageDate)>) -> Value {
    json!({
        "client_org_id": arguments.org,
        "month": arguments.month.to_string().get(..7),
        "applied": arguments.apply,
        "refused": refused.map(|(from, to)| json!({ "from": from, "to": to })),
        "differences": found.iter().map(difference_json).collect::<Vec<_>>(),
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
