//! Checks what was issued: every document against its hash and its row, and every series for gaps.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use mai_primitives::{OrganizationId, UsageDate};
use mai_storage::DbConnection;

use super::{
    document::{Statement, sha256},
    register::{StatementModel, number_text},
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
            let number = row.number.clone();
            checked.broken.extend(wrong(&row, registered).map(|why| Broken { number, why }));
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

/// What is wrong with a row.
fn wrong(row: &StatementModel, registered: Option<(String, String)>) -> Option<String> {
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
    let totals = &statement.totals;
    let figures = (totals.net_pln, totals.vat_pln, totals.gross_pln);
    let agrees = statement.number.as_deref() == Some(row.number.as_str())
        && statement.month == BillingMonth::of(row.month).to_string()
        && statement.buyer.client_org_id == row.client_org_id.as_str()
        && statement.issue_date == Some(row.issue_date)
        && figures == (Some(row.net), Some(row.vat), Some(row.gross))
        && statement.rate.as_ref().is_some_and(|rate| rate.usd_pln == row.usd_pln_rate);
    (!agrees).then(|| "its row says something else than its document".to_owned())
}
