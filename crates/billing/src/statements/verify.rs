//! Checks what was issued: every document against its hash, its row, its own lines and what was stored of what it bills, and
//! every series for gaps.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use mai_primitives::{OrganizationId, UsageDate};
use mai_storage::DbConnection;

use super::{
    compute::totals,
    document::{Rate, Statement, UsageLine, sha256},
    issuing::billed,
    register::{BilledUsage, StatementModel, billed_by, number_text},
    schema::{statement_numbers, statement_series, statements},
};
use crate::{error::Result, month::BillingMonth};

/// How many statements are read at once.
const PAGE: i64 = 200;

/// What does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The number, or the series.
    pub number: String,
    /// What is wrong with it.
    pub why: String,
}

/// What was checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// How many statements.
    pub statements: u64,
    /// What does not hold.
    pub broken: Vec<Broken>,
}

type Numbered = (String, i64, OrganizationId, UsageDate, String);

/// Checks all statements on one snapshot.
pub fn verify(conn: &mut DbConnection) -> Result<Checked> {
    let mut checked = Checked::default();
    let numbers: Vec<Numbered> =
        statement_numbers::table.order((statement_numbers::series, statement_numbers::number)).load(conn)?;
    let last: Vec<(String, i64)> = statement_series::table.load(conn)?;
    gaps(&numbers, &last, &mut checked);
    let mut by_key: BTreeMap<(OrganizationId, UsageDate), (String, String)> = BTreeMap::new();
    for (series, number, id, month, hash) in numbers {
        let text = number_text(&series, number);
        if let Some((other, _)) = by_key.insert((id, month), (text.clone(), hash)) {
            checked.broken.push(Broken { number: text, why: format!("it is another number of {other}") });
        }
    }
    let mut behind: Option<(OrganizationId, UsageDate)> = None;
    loop {
        let mut page = statements::table.into_boxed();
        if let Some((id, month)) = &behind {
            let later = statements::client_org_id.eq(id.clone()).and(statements::month.gt(*month));
            page = page.filter(statements::client_org_id.gt(id.clone()).or(later));
        }
        let rows: Vec<StatementModel> = page
            .order((statements::client_org_id, statements::month))
            .limit(PAGE)
            .select(StatementModel::as_select())
            .load(conn)?;
        let Some(last) = rows.last() else { break };
        behind = Some((last.client_org_id.clone(), last.month));
        for row in rows {
            checked.statements += 1;
            let registered = by_key.remove(&(row.client_org_id.clone(), row.month));
            let (number, stored) = (row.number.clone(), billed_by(conn, &row)?);
            checked.broken.extend(wrong(&row, registered, stored).map(|why| Broken { number, why }));
        }
    }
    let without = by_key
        .into_values()
        .map(|(number, _)| Broken { number, why: "there is no statement with this number".to_owned() });
    checked.broken.extend(without);
    Ok(checked)
}

fn gaps(numbers: &[Numbered], last: &[(String, i64)], checked: &mut Checked) {
    for (series, last) in last {
        let there = numbers.iter().filter(|(of, ..)| of == series).map(|(_, number, ..)| *number);
        let there: BTreeSet<i64> = there.collect();
        let beyond = there.iter().filter(|number| *number > last);
        checked.broken.extend(beyond.map(|number| Broken {
            number: number_text(series, *number),
            why: "the counter of its series is behind it".to_owned(),
        }));
        let missing = (1..=*last).filter(|number| !there.contains(number));
        checked.broken.extend(missing.map(|number| Broken {
            number: number_text(series, number),
            why: "the number is missing".to_owned(),
        }));
    }
}

/// What is wrong with a row, by what is registered of it and what was stored of what it bills.
fn wrong(
    row: &StatementModel,
    registered: Option<(String, String)>,
    stored: Vec<BilledUsage>,
) -> Option<String> {
    let Some((number, hash)) = registered else { return Some("it is not registered".to_owned()) };
    if number != row.number || hash != row.document_sha256 {
        return Some("the register has another number or hash".to_owned());
    }
    if sha256(row.document.as_bytes()) != row.document_sha256 {
        return Some("its document was changed: its hash is another one".to_owned());
    }
    let statement = match Statement::from_json(&row.document) {
        Ok(statement) => statement,
        Err(why) => return Some(why.to_string()),
    };
    if !agrees(row, &statement) {
        return Some("its row says something else than its document".to_owned());
    }
    if !adds_up(&statement) {
        return Some("its sums are not those of its lines".to_owned());
    }
    let billed = match billed(&statement) {
        Ok(billed) => billed,
        Err(why) => return Some(why.to_string()),
    };
    let is_same = sorted(billed) == sorted(stored);
    (!is_same).then(|| "what was stored of the usage that it bills is not what its document bills".to_owned())
}

/// Whether a row says what its document says.
fn agrees(row: &StatementModel, statement: &Statement) -> bool {
    let totals = &statement.totals;
    let figures = (totals.net_pln, totals.vat_pln, totals.gross_pln);
    let is_rate_of = |rate: &Rate| {
        (rate.usd_pln, rate.table_no.as_str(), rate.effective_date)
            == (row.usd_pln_rate, row.rate_table_no.as_str(), row.rate_effective_date)
    };
    statement.number.as_deref() == Some(row.number.as_str())
        && statement.month == BillingMonth::of(row.month).to_string()
        && statement.buyer.client_org_id == row.client_org_id.as_str()
        && statement.issue_date == Some(row.issue_date)
        && totals.usage_usd.checked_add(totals.corrections_usd) == Some(row.usage_usd)
        && figures == (Some(row.net), Some(row.vat), Some(row.gross))
        && statement.rate.as_ref().is_some_and(is_rate_of)
}

/// Whether the lines of usage are converted by the statement's rate, and the sums are those of the lines. A correction cannot be
/// converted alone: it is what its month comes to without what was charged before.
fn adds_up(statement: &Statement) -> bool {
    let Statement { usage, subscription, corrections, vat, rate, .. } = statement;
    let is_converted = |line: &UsageLine| {
        let by_rate = rate.as_ref().and_then(|rate| rate.usd_pln.convert(line.cost_usd));
        by_rate.is_some() && by_rate == line.cost_pln
    };
    usage.iter().all(is_converted)
        && totals(usage, subscription, corrections, vat.vat()).as_ref() == Some(&statement.totals)
}

/// In the order of months and models.
fn sorted(mut billed: Vec<BilledUsage>) -> Vec<BilledUsage> {
    billed.sort_by(|a, b| (a.usage_month, &a.model).cmp(&(b.usage_month, &b.model)));
    billed
}
