//! `mai-usage drift`.

use anyhow::Result;
use mai_organization::usage_tracking::drift::{DriftDay, days};
use mai_primitives::{Clock as _, OrganizationCalendar, OrganizationId, SystemClock, Usd};
use mai_storage::Storage;
use serde_json::{Value, json};

use super::{Output, verify::chosen};

/// What to compare.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// One organization; without it all of them are shown.
    #[arg(long)]
    org: Option<OrganizationId>,
    /// How many UTC days, the present one included.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3_660))]
    days: u64,
    #[command(flatten)]
    output: Output,
}

/// Prints a line for each organization and day on which a key was read.
pub(super) fn run(arguments: &Arguments, storage: &Storage) -> Result<()> {
    let org = arguments.org.as_ref();
    if org.is_some() {
        chosen(storage, org)?;
    }
    let today = OrganizationCalendar::UTC.usage_date(SystemClock.now());
    let from = today.minus_days(arguments.days - 1);
    let days = storage.read_blocking(|conn| days(conn, org, from, today))?;
    if arguments.output.json {
        say!("{}", Value::from(days.iter().map(as_json).collect::<Vec<_>>()))?;
        return Ok(());
    }
    if days.is_empty() {
        say!(
            "No provider key was read in these days; `mai-usage serve` reads them every quarter of an hour."
        )?;
        return Ok(());
    }
    say!(
        "{:<11} {:<28} {:<12} {:>14} {:>14} {:>14} {:>10}",
        "UTC day",
        "organization",
        "key",
        "captured",
        "billed",
        "difference",
        "ratio"
    )?;
    for day in &days {
        let keys: Vec<String> = day.keys.iter().map(|(last4, _)| format!("…{last4}")).collect();
        let ratio = day.ratio().map_or_else(|| "-".to_owned(), |ratio| format!("{} %", percent(ratio)));
        say!(
            "{:<11} {:<28} {:<12} {:>14} {:>14} {:>14} {:>10}{}",
            day.usage_date.to_string(),
            day.client_org_id.as_str(),
            keys.join(" "),
            amount(day.captured),
            amount(day.billed),
            amount(day.difference()),
            ratio,
            if day.running { " so far" } else { "" }
        )?;
    }
    Ok(())
}

fn amount(amount: Option<Usd>) -> String {
    amount.map_or_else(|| "unknown".to_owned(), |amount| amount.to_string())
}

/// Hundredths of a percent as percent with two decimals.
fn percent(hundredths: i64) -> String {
    format!(
        "{}{}.{:02}",
        if hundredths < 0 { "-" } else { "" },
        (hundredths / 100).abs(),
        (hundredths % 100).abs()
    )
}

fn as_json(day: &DriftDay) -> Value {
    let text = |amount: Option<Usd>| amount.map(|amount| amount.to_string());
    let keys =
        day.keys.iter().map(|(last4, known)| json!({ "last4": last4, "billed_so_far": known.to_string() }));
    json!({
        "date": day.usage_date,
        "client_org_id": day.client_org_id,
        "keys": keys.collect::<Vec<_>>(),
        "captured": text(day.captured),
        "billed": text(day.billed),
        "difference": text(day.difference()),
        "ratio_percent": day.ratio().map(percent),
        "running": day.running,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_have_two_decimals() {
        for (hundredths, shown) in
            [(0, "0.00"), (7, "0.07"), (9_999, "99.99"), (10_000, "100.00"), (-5, "-0.05")]
        {
            assert_eq!(percent(hundredths), shown);
        }
    }
}
