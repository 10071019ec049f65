//! `mai-usage close-month`.

use std::{collections::BTreeMap, process::ExitCode, sync::Arc};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use mai_billing::{
    BillingMonth,
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

/// Shows how it stands with each statement, and issues them where that was asked for.
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
        let (closing, is_new) = if arguments.issue {
            let issuing = table.issue(id, arguments.month).await?;
            (issuing.closing, issuing.is_new)
        } else {
            (table.closing(id, arguments.month).await?, false)
        };
        *counts.entry(state(&closing)).or_default() += 1;
        if arguments.output.json {
            items.push(as_json(&closing, is_new));
        } else {
            let line = as_text(&closing, is_new);
            bar.suspend(|| say!("{line}"))?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let is_held = counts.contains_key("held");
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
    Ok(ExitCode::from(u8::from(arguments.issue && is_held)))
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
    let warning = match closing.pending_generations {
        0 => String::new(),
        count => format!("; {count} generations wait for their cost and will be corrections"),
    };
    format!("{:<24} {what}{warning}", closing.client_org_id.as_str())
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
        "held_by": held_by,
        "pending_generations": closing.pending_generations,
        "number": number,
        "issue_date": issue_date,
        "net_pln": net.map(|amount| amount.to_string()),
        "vat_pln": vat.map(|amount| amount.to_string()),
        "gross_pln": gross.map(|amount| amount.to_string()),
        "is_new": is_new,
    })
}
