//! `mai-usage close-month`.

use std::{collections::BTreeMap, process::ExitCode, sync::Arc};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use mai_billing::{
    BillingMonth, Error as BillingError,
    statements::{Closing, Standing, StatementTable},
};
use mai_organization::audit_log::{Actor, ActorKind};
use mai_primitives::{Clock, OrganizationId, SystemClock, display};
use mai_storage::Storage;
use serde_json::{Value, json};

use super::{Output, verify::chosen};
use crate::settings::Settings;

/// What to close.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The month, YYYY-MM.
    #[arg(long)]
    month: BillingMonth,
    /// One organization; without it all.
    #[arg(long)]
    org: Option<OrganizationId>,
    /// Issue what nothing holds back. Without it nothing is changed.
    #[arg(long)]
    issue: bool,
    #[command(flatten)]
    output: Output,
}

/// Shows how it stands with each statement, and issues them where that was asked for. One that cannot be computed or
/// issued stops no other.
pub(super) async fn run(arguments: &Arguments, settings: &Settings, storage: Storage) -> Result<ExitCode> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids = chosen(&storage, arguments.org.as_ref())?;
    let table = StatementTable::new(storage, clock, settings.time_zone)
        .acting_as(Actor::new(ActorKind::CommandLine, ""));
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} organizations, {elapsed}")?;
    // On standard error, and invisible where that is no terminal.
    let bar = ProgressBar::new(u64::try_from(ids.len())?).with_style(style);
    let (mut counts, mut items) = (BTreeMap::<&'static str, u64>::new(), Vec::new());
    for id in &ids {
        let shown = match close(&table, id, arguments).await {
            Ok((closing, is_new)) => Shown::new(&closing, is_new),
            Err(error) => Shown::failed(id, arguments.month, error),
        };
        *counts.entry(shown.state).or_default() += 1;
        if arguments.output.json {
            items.push(shown.json);
        } else {
            bar.suspend(|| say!("{}", shown.text))?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let is_left = counts.contains_key("failed") || (arguments.issue && counts.contains_key("held"));
    if arguments.output.json {
        let month = arguments.month.to_string();
        say!("{}", json!({ "month": month, "counts": counts, "statements": items }))?;
    } else {
        let counts: Vec<String> = counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
        say!("{}: {}.", arguments.month, counts.join(", "))?;
        if !arguments.issue {
            say!("Nothing was changed; --issue issues what is ready.")?;
        }
    }
    Ok(ExitCode::from(u8::from(is_left)))
}

/// How it stands with an organization, and whether this has issued its statement.
async fn close(
    table: &StatementTable,
    id: &OrganizationId,
    arguments: &Arguments,
) -> Result<(Closing, bool), BillingError> {
    if arguments.issue {
        let issuing = table.issue(id, arguments.month).await?;
        return Ok((issuing.closing, issuing.is_new));
    }
    Ok((table.closing(id, arguments.month).await?, false))
}

/// What is printed of an organization.
struct Shown {
    state: &'static str,
    text: String,
    json: Value,
}

impl Shown {
    fn new(closing: &Closing, is_new: bool) -> Self {
        Self { state: state(closing), text: as_text(closing, is_new), json: as_json(closing, is_new) }
    }

    fn failed(id: &OrganizationId, month: BillingMonth, error: BillingError) -> Self {
        // With its causes.
        let why = format!("{:#}", anyhow::Error::from(error));
        tracing::error!(client_org_id = %id, %month, error = %why, "a statement cannot be made");
        Self {
            state: "failed",
            text: format!("{:<24} failed: {why}", id.as_str()),
            json: json!({ "client_org_id": id, "state": "failed", "error": why }),
        }
    }
}

const fn state(closing: &Closing) -> &'static str {
    match closing.standing {
        Standing::Issued(_) => "issued",
        Standing::NothingToBill => "nothing_to_bill",
        Standing::Ready(_) => "ready",
        Standing::Held(..) => "held",
    }
}

fn as_text(closing: &Closing, is_new: bool) -> String {
    let amount = |pln: Option<mai_primitives::Pln>| pln.map_or_else(|| "no PLN yet".to_owned(), display::pln);
    let what = match &closing.standing {
        Standing::Issued(row) => {
            let before = if is_new { "" } else { " (before)" };
            format!("{} issued on {}{before}, {} gross", row.number, row.issue_date, display::pln(row.gross))
        }
        Standing::NothingToBill => "nothing to bill".to_owned(),
        Standing::Ready(statement) => format!("ready, {} gross", amount(statement.totals.gross_pln)),
        Standing::Held(statement, holds) => {
            let why: Vec<String> = holds.iter().map(ToString::to_string).collect();
            format!("held, {} gross: {}", amount(statement.totals.gross_pln), why.join("; "))
        }
    };
    let (pending, unbilled) = (pending(closing), unbilled(closing));
    format!("{:<24} {what}{pending}{unbilled}", closing.client_org_id.as_str())
}

/// What becomes of generations that wait for their cost.
fn pending(closing: &Closing) -> String {
    let what = match closing.standing {
        Standing::Issued(_) => "will be corrections of a later statement",
        Standing::NothingToBill => "will be billed when this month is closed again",
        Standing::Ready(_) | Standing::Held(..) => "will be corrections if that comes after issuing",
    };
    match closing.pending_generations {
        0 => String::new(),
        count => format!("; {count} generations wait for their cost and {what}"),
    }
}

/// The earlier months that nobody has billed.
fn unbilled(closing: &Closing) -> String {
    if closing.unbilled_months.is_empty() {
        return String::new();
    }
    format!("; usage without a statement in {}", months(closing).join(", "))
}

fn months(closing: &Closing) -> Vec<String> {
    closing.unbilled_months.iter().map(ToString::to_string).collect()
}

/// Amounts are decimal texts.
fn as_json(closing: &Closing, is_new: bool) -> Value {
    let (mut number, mut issue_date, mut held_by) = (None, None, Vec::new());
    let (net, vat, gross) = match &closing.standing {
        Standing::NothingToBill => (None, None, None),
        Standing::Issued(row) => {
            number = Some(row.number.clone());
            issue_date = Some(row.issue_date.to_string());
            (Some(row.net), Some(row.vat), Some(row.gross))
        }
        Standing::Ready(statement) | Standing::Held(statement, _) => {
            if let Standing::Held(_, holds) = &closing.standing {
                held_by = holds.iter().map(|hold| hold.as_str()).collect();
            }
            (statement.totals.net_pln, statement.totals.vat_pln, statement.totals.gross_pln)
        }
    };
    json!({
        "client_org_id": closing.client_org_id,
        "organization_name": closing.organization_name,
        "state": state(closing),
        "error": null,
        "held_by": held_by,
        "pending_generations": closing.pending_generations,
        "unbilled_months": months(closing),
        "number": number,
        "issue_date": issue_date,
        "net_pln": net.map(|amount| amount.to_string()),
        "vat_pln": vat.map(|amount| amount.to_string()),
        "gross_pln": gross.map(|amount| amount.to_string()),
        "is_new": is_new,
    })
}
