//! Issuing: a draft gets its number and is stored for good.

use chrono::{DateTime, Utc};
use mai_audit_log::{Actor, Details, NewEntry, append};
use mai_client_organization::ClientOrganizationModel;
use mai_primitives::{Clock, OrganizationCalendar, OrganizationId, Pln, UsageDate, Usd};
use mai_storage::DbConnection;
use mai_usage_tracking::Totals;

use super::{
    document::{OwnFigures, State, Statement, sha256},
    parties::{BillingSettings, locked_settings},
    pdf::pdf,
    register::{self, BilledUsage, StatementModel},
    service::{Closing, Issuing, Standing, closing_of},
};
use crate::{
    error::{Error, Result},
    month::BillingMonth,
    query::frozen,
    service::{freeze_now, require},
};

/// Issues a statement inside of a transaction, as whoever waits for the locked settings last sees it.
pub(crate) fn issue(
    conn: &mut DbConnection,
    id: &OrganizationId,
    month: BillingMonth,
    clock: &dyn Clock,
    calendar: OrganizationCalendar,
    actor: &Actor,
) -> Result<Issuing> {
    let settings = locked_settings(conn)?;
    // Only now: whoever waited for the lock over midnight issues on the later day, so that days follow numbers.
    let now = clock.now();
    let today = calendar.usage_date(now);
    let organization = require(conn, id)?;
    let is_over = month < BillingMonth::of(organization.calendar()?.usage_date(now));
    if is_over && frozen(conn, id, month)?.is_none() {
        freeze_now(conn, &organization, month, now, actor)?;
    }
    let closing = closing_of(conn, &organization, month, &settings, now, today)?;
    let Standing::Ready(statement) = closing.standing else {
        return Ok(Issuing { closing, is_new: false });
    };
    let row = store(conn, &organization, month, *statement, &settings, now, today)?;
    let details = Details::none()
        .with("number", row.number.clone())
        .with("gross_pln", row.gross.to_string())
        .with("pending_generations", closing.pending_generations)
        .with_confidential("document_sha256", row.document_sha256.clone());
    let target = month.to_string();
    let entry = NewEntry::done(Some(id), "statement.issue", &target).with(details);
    append(conn, actor, now.into(), &entry)?;
    let closing = Closing { standing: Standing::Issued(Box::new(row)), ..closing };
    Ok(Issuing { closing, is_new: true })
}

/// Gives a statement its number and stores it.
fn store(
    conn: &mut DbConnection,
    organization: &ClientOrganizationModel,
    month: BillingMonth,
    draft: Statement,
    settings: &BillingSettings,
    now: DateTime<Utc>,
    today: UsageDate,
) -> Result<StatementModel> {
    let incomplete = || Error::Stored(format!("a statement of {month} without a rate"));
    let series = register::series(settings.numbering, today);
    let number = register::next_number(conn, &series)?;
    let statement = Statement {
        state: State::Issued,
        number: Some(register::number_text(&series, number)),
        issue_date: Some(today),
        ..draft
    };
    let rate = statement.rate.clone().ok_or_else(incomplete)?;
    let totals = &statement.totals;
    let usage_usd = totals.usage_usd.checked_add(totals.corrections_usd).ok_or(Error::OutOfRange(month))?;
    let document = statement.to_json()?;
    let row = StatementModel {
        client_org_id: organization.id.clone(),
        month: month.first(),
        number: register::number_text(&series, number),
        issue_date: today,
        issued_at: now.into(),
        usd_pln_rate: rate.usd_pln,
        rate_table_no: rate.table_no,
        rate_effective_date: rate.effective_date,
        usage_usd,
        net: totals.net_pln.ok_or_else(incomplete)?,
        vat: totals.vat_pln.ok_or_else(incomplete)?,
        gross: totals.gross_pln.ok_or_else(incomplete)?,
        document_sha256: sha256(document.as_bytes()),
        pdf_sha256: sha256(&pdf(&statement)?),
        document,
    };
    register::insert(conn, &row, (&series, number), &billed(&statement)?)?;
    Ok(row)
}

/// What a statement bills, by month and model.
pub(crate) fn billed(statement: &Statement) -> Result<Vec<BilledUsage>> {
    let mut billed = Vec::new();
    for line in &statement.usage {
        let sums = (line.total_tokens, line.requests, line.cost_usd);
        billed.push(of_line((&statement.month, &line.model), sums, line.own, line.cost_pln)?);
    }
    for line in &statement.corrections {
        let sums = (line.total_tokens, line.requests, line.cost_usd);
        billed.push(of_line((&line.month, &line.model), sums, line.own, Some(line.cost_pln))?);
    }
    Ok(billed)
}

fn of_line(
    (month, model): (&str, &str),
    (tokens, requests, markup_cost): (i64, i64, Usd),
    own: Option<OwnFigures>,
    cost_pln: Option<Pln>,
) -> Result<BilledUsage> {
    let broken = || Error::Stored(format!("the model `{model}` without its raw cost or its price in PLN"));
    let raw_cost = own.ok_or_else(broken)?.raw_cost_usd;
    Ok(BilledUsage {
        usage_month: month.parse()?,
        model: model.parse().map_err(|_| broken())?,
        sums: Totals { tokens, requests, raw_cost, markup_cost },
        cost_pln: cost_pln.ok_or_else(broken)?,
    })
}
