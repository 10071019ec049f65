//! `mai-usage verify`.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use mai_billing::statements;
use mai_organization::audit_log::{self, Broken, Verified};
use mai_organization::usage_tracking::{
    Totals,
    monthly::MonthDifference,
    verify::{
        Checked, Days, LedgerLaw, Mismatch, MismatchKind, SummedTable, check_organization, organizations,
    },
};
use mai_primitives::{ModelName, OrganizationId, UsageDate, Usd};
use mai_storage::Storage;
use serde_json::{Map, Value, json};

use super::{
    Output, audit,
    rebuild::{month_json, month_text},
};

/// What to check.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// One organization; without it all of them are checked.
    #[arg(long)]
    org: Option<OrganizationId>,
    /// The first day, YYYY-MM-DD; without it from the first one on.
    #[arg(long, value_parser = UsageDate::parse, value_name = "DATE")]
    from: Option<UsageDate>,
    /// The last day, YYYY-MM-DD; without it up to the last one.
    #[arg(long, value_parser = UsageDate::parse, value_name = "DATE")]
    to: Option<UsageDate>,
    #[command(flatten)]
    output: Output,
}

/// Prints each disagreement as it is found, and a summary at the end.
pub(super) fn run(arguments: &Arguments, storage: &Storage) -> Result<ExitCode> {
    let range = Days { from: arguments.from, to: arguments.to };
    if let (Some(from), Some(to)) = (range.from, range.to) {
        ensure!(from <= to, "--from {from} is after --to {to}");
    }
    let chosen = chosen(storage, arguments.org.as_ref())?;
    let bar = progress(chosen.len())?;
    let mut report = Report { json: arguments.output.json, bar: &bar, printed: 0 };
    let mut sum = Checked::default();
    report.begin()?;
    for org in &chosen {
        let checked = check_organization(storage, org, range, |checked, found| {
            bar.set_message(format!("{} ledger rows", sum.ledger_rows + checked.ledger_rows));
            found.iter().try_for_each(|mismatch| report.add(mismatch))
        })?;
        sum = sum.plus(checked);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let chain = storage.read_blocking(audit_log::verify)?;
    let statements = storage.read_blocking(statements::verify::verify)?;
    report.end(chosen.len(), &sum, &chain, &statements)?;
    let holds = sum.mismatches == 0 && chain.is_ok() && statements.broken.is_empty();
    Ok(ExitCode::from(u8::from(!holds)))
}

/// The organizations to work on: a known one, or all.
pub(super) fn chosen(storage: &Storage, org: Option<&OrganizationId>) -> Result<Vec<OrganizationId>> {
    let known = storage.read_blocking(organizations)?;
    match org {
        None => Ok(known),
        Some(org) => {
            ensure!(known.contains(org), "there is no organization `{org}`");
            Ok(vec![org.clone()])
        }
    }
}

/// A bar on standard error, which is invisible where that is no terminal.
fn progress(organizations: usize) -> Result<ProgressBar> {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} organizations, {msg}, {elapsed}")?;
    Ok(ProgressBar::new(u64::try_from(organizations)?).with_style(style))
}

/// What is printed. The JSON is written piece by piece as well: there may be millions of disagreements.
struct Report<'a> {
    json: bool,
    bar: &'a ProgressBar,
    printed: usize,
}

impl Report<'_> {
    fn begin(&self) -> Result<()> {
        if self.json {
            self.bar.suspend(|| say!("{{\"mismatches\":["))?;
        }
        Ok(())
    }

    fn add(&mut self, mismatch: &Mismatch) -> Result<()> {
        let separator = if self.printed == 0 { "" } else { "," };
        self.printed += 1;
        self.bar.suspend(|| {
            if self.json {
                say!("{separator}{}", as_json(mismatch))
            } else {
                say!("{} {}: {}", mismatch.client_org_id, mismatch.usage_date, as_text(&mismatch.kind))
            }
        })?;
        Ok(())
    }

    fn end(
        &self,
        organizations: usize,
        checked: &Checked,
        chain: &Result<Verified, Broken>,
        statements: &statements::verify::Checked,
    ) -> Result<()> {
        let Checked { days, ledger_rows, mismatches, pending, unresolved } = checked;
        if self.json {
            say!(
                "],\"holds\":{},\"organizations\":{organizations},\"days\":{days},\"ledger_rows\":{ledger_rows},\
                 \"pending\":{pending},\"unresolved\":{unresolved},\"audit_log\":{},\"statements\":{}}}",
                *mismatches == 0 && chain.is_ok() && statements.broken.is_empty(),
                match chain {
                    Ok(seen) => json!({ "unbroken": true, "entries": seen.entries, "head": seen.head }),
                    Err(broken) => json!({ "unbroken": false, "broken": broken.to_string() }),
                },
                statements_json(statements)
            )?;
            return Ok(());
        }
        let verdict = match mismatches {
            0 => "The books agree".to_owned(),
            1 => "1 disagreement".to_owned(),
            more => format!("{more} disagreements"),
        };
        say!(
            "{verdict}: {organizations} organizations, {days} days, {ledger_rows} ledger rows checked; \
             {pending} generations are pending, {unresolved} unresolved."
        )?;
        match chain {
            Ok(seen) => say!("{}", audit::as_text(seen))?,
            Err(broken) => say!("The audit log is broken: {broken}.")?,
        }
        say!("{} issued statements checked.", statements.statements)?;
        for broken in &statements.broken {
            say!("Statement {}: {}.", broken.number, broken.why)?;
        }
        Ok(())
    }
}

fn statements_json(checked: &statements::verify::Checked) -> Value {
    let broken = checked.broken.iter().map(|one| json!({ "number": one.number, "why": one.why }));
    json!({ "checked": checked.statements, "broken": broken.collect::<Vec<_>>() })
}

fn as_text(kind: &MismatchKind) -> String {
    let model = |name: &Option<ModelName>| name.as_ref().map_or("none", ModelName::as_str).to_owned();
    match kind {
        MismatchKind::Sums { table, client, other } => {
            let of = match table {
                SummedTable::Users => "its members",
                SummedTable::Models => "its models",
                SummedTable::Ledger => "the ledger",
            };
            format!("the day says {}, but {of} add up to {}", figures(client), figures(other))
        }
        MismatchKind::UniqueUsers { stored, counted } => {
            format!("the day says {stored} members, but {counted} have rows")
        }
        MismatchKind::PrimaryModel { stored, found } => {
            format!("the day's first model is {}, but it should be {}", model(stored), model(found))
        }
        MismatchKind::Month(difference) => month_text(difference),
        MismatchKind::Generation { id, law } => format!("generation {id}: {}", broken_law(law)),
    }
}

fn broken_law(law: &LedgerLaw) -> String {
    let or_too_much = |text: Option<String>| text.unwrap_or_else(|| "more than can be stored".to_owned());
    match law {
        LedgerLaw::TotalTokens { stored, computed } => {
            let sum = or_too_much(computed.map(|sum| sum.to_string()));
            format!("{stored} tokens in all, but input and output are {sum}")
        }
        LedgerLaw::MarkupCost { stored, computed } => {
            let price = or_too_much(computed.map(|price| price.to_string()));
            format!("the client's price is {stored} USD, but by the row's rate it is {price}")
        }
        LedgerLaw::CostText { stored, text } => {
            format!("the cost is {stored} USD, but OpenRouter's text of it is `{text}`")
        }
        LedgerLaw::NotPending => "it is booked and pending at once".to_owned(),
    }
}

/// The four figures of a row for people; the costs in USD.
pub(super) fn figures(totals: &Totals) -> String {
    let Totals { tokens, requests, raw_cost, markup_cost } = totals;
    format!("{tokens} tokens, {requests} requests, {raw_cost} raw, {markup_cost} client")
}

fn as_json(mismatch: &Mismatch) -> Value {
    let text = |amount: &Usd| amount.to_string();
    let (law, details) = match &mismatch.kind {
        MismatchKind::Sums { table, client, other } => {
            let law = match table {
                SummedTable::Users => "sum_of_users",
                SummedTable::Models => "sum_of_models",
                SummedTable::Ledger => "sum_of_ledger",
            };
            (law, json!({ "stored": totals_json(client), "computed": totals_json(other) }))
        }
        MismatchKind::UniqueUsers { stored, counted } => {
            ("unique_users", json!({ "stored": stored, "computed": counted }))
        }
        MismatchKind::PrimaryModel { stored, found } => {
            ("primary_model", json!({ "stored": stored, "computed": found }))
        }
        MismatchKind::Month(difference) => {
            let MonthDifference { kind, name, stored, daily } = difference.as_ref();
            let row = |row: &Option<_>| row.as_ref().map(month_json);
            (
                "month",
                json!({ "kind": kind.as_str(), "name": name, "stored": row(stored), "computed": row(daily) }),
            )
        }
        MismatchKind::Generation { id, law } => match law {
            LedgerLaw::TotalTokens { stored, computed } => {
                ("total_tokens", json!({ "id": id, "stored": stored, "computed": computed }))
            }
            LedgerLaw::MarkupCost { stored, computed } => {
                let computed = computed.as_ref().map(text);
                ("markup_cost", json!({ "id": id, "stored": text(stored), "computed": computed }))
            }
            LedgerLaw::CostText { stored, text: cost_text } => {
                ("cost_text", json!({ "id": id, "stored": text(stored), "cost_text": cost_text }))
            }
            LedgerLaw::NotPending => ("not_pending", json!({ "id": id })),
        },
    };
    let mut fields = Map::new();
    fields.insert("client_org_id".to_owned(), json!(mismatch.client_org_id));
    fields.insert("usage_date".to_owned(), json!(mismatch.usage_date));
    fields.insert("law".to_owned(), json!(law));
    if let Value::Object(details) = details {
        fields.extend(details);
    }
    Value::Object(fields)
}

/// The four figures of a row for programs; the costs are decimal texts in USD.
pub(super) fn totals_json(totals: &Totals) -> Value {
    json!({
        "total_tokens": totals.tokens,
        "total_requests": totals.requests,
        "raw_cost": totals.raw_cost.to_string(),
        "markup_cost": totals.markup_cost.to_string(),
    })
}
