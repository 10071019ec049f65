//! The register of issued statements. It only grows: nothing in this program updates or deletes a row of it.

use diesel::prelude::*;
use mai_primitives::{ModelName, OrganizationId, Pln, UnixTime, UsageDate, Usd, UsdPlnRate};
use mai_storage::{BATCH_ROWS, DbConnection, load_for_update, on_backend};
use mai_usage_tracking::Totals;

use super::{
    parties::Numbering,
    schema::{statement_numbers, statement_series, statement_usage, statements},
};
use crate::{
    error::{Error, Result},
    month::BillingMonth,
};

/// An issued statement as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = statements, treat_none_as_default_value = false)]
pub struct StatementModel {
    /// The organization.
    pub client_org_id: OrganizationId,
    /// The first day of the month.
    pub month: UsageDate,
    /// `2026/11/0001`.
    pub number: String,
    /// The seller's local day of issue.
    pub issue_date: UsageDate,
    /// The instant of issue.
    pub issued_at: UnixTime,
    /// The rate of its usage.
    pub usd_pln_rate: UsdPlnRate,
    /// The number of NBP's table that has it.
    pub rate_table_no: String,
    /// The day of that table.
    pub rate_effective_date: UsageDate,
    /// Client price of usage and corrections.
    pub usage_usd: Usd,
    /// The sum of all lines.
    pub net: Pln,
    /// The tax on it.
    pub vat: Pln,
    /// Both together.
    pub gross: Pln,
    /// The canonical JSON of the reseller's copy.
    pub document: String,
    /// Hex SHA-256 of it.
    pub document_sha256: String,
    /// Hex SHA-256 of the PDF at the time of issue.
    pub pdf_sha256: String,
}

/// What a statement bills of a month and model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BilledUsage {
    pub(crate) usage_month: BillingMonth,
    pub(crate) model: ModelName,
    pub(crate) sums: Totals,
    /// What it charges.
    pub(crate) cost_pln: Pln,
}

/// The series of a day of issue.
pub(crate) fn series(numbering: Numbering, issued_on: UsageDate) -> String {
    let month = BillingMonth::of(issued_on);
    match numbering {
        Numbering::Monthly => format!("{}/{:02}", month.year(), month.number()),
        Numbering::Yearly => month.year().to_string(),
    }
}

/// The text of a number.
pub(crate) fn number_text(series: &str, number: i64) -> String {
    format!("{series}/{number:04}")
}

/// Takes the next number of a series. The counter's row stays locked until the transaction ends, so that the number
/// is used with it or not at all.
pub(crate) fn next_number(conn: &mut DbConnection, series: &str) -> Result<i64> {
    use statement_series as t;
    on_backend!(conn, inner => diesel::insert_into(t::table)
        .values((t::series.eq(series), t::last_number.eq(0_i64)))
        .on_conflict_do_nothing()
        .execute(inner))?;
    let last: Vec<i64> = load_for_update!(conn, t::table.find(series).select(t::last_number))?;
    let last = last.into_iter().next().ok_or(Error::Storage(mai_storage::Error::NotFound))?;
    let next = last.checked_add(1).ok_or_else(|| Error::Stored(format!("the last number of {series}")))?;
    diesel::update(t::table.find(series)).set(t::last_number.eq(next)).execute(conn)?;
    Ok(next)
}

/// Stores an issued statement with its number and what it bills.
pub(crate) fn insert(
    conn: &mut DbConnection,
    row: &StatementModel,
    (series, number): (&str, i64),
    billed: &[BilledUsage],
) -> Result<()> {
    diesel::insert_into(statements::table).values(row).execute(conn)?;
    diesel::insert_into(statement_numbers::table)
        .values((
            statement_numbers::series.eq(series),
            statement_numbers::number.eq(number),
            statement_numbers::client_org_id.eq(&row.client_org_id),
            statement_numbers::month.eq(row.month),
            statement_numbers::document_sha256.eq(&row.document_sha256),
        ))
        .execute(conn)?;
    let values = |line: &BilledUsage| {
        (
            statement_usage::client_org_id.eq(row.client_org_id.clone()),
            statement_usage::month.eq(row.month),
            statement_usage::usage_month.eq(line.usage_month.first()),
            statement_usage::model_name.eq(line.model.clone()),
            statement_usage::requests.eq(line.sums.requests),
            statement_usage::tokens.eq(line.sums.tokens),
            statement_usage::raw_cost.eq(line.sums.raw_cost),
            statement_usage::markup_cost.eq(line.sums.markup_cost),
            statement_usage::cost_pln.eq(line.cost_pln),
        )
    };
    for lines in billed.chunks(BATCH_ROWS) {
        let lines: Vec<_> = lines.iter().map(values).collect();
        on_backend!(conn, inner => diesel::insert_into(statement_usage::table).values(lines).execute(inner))?;
    }
    Ok(())
}

/// What a statement bills by what was stored beside its document, by month and model.
pub(crate) fn billed_by(conn: &mut DbConnection, row: &StatementModel) -> Result<Vec<BilledUsage>> {
    use statement_usage as t;
    type Columns = (UsageDate, ModelName, i64, i64, Usd, Usd, Pln);
    let rows: Vec<Columns> = t::table
        .filter(t::client_org_id.eq(&row.client_org_id))
        .filter(t::month.eq(row.month))
        .select((
            t::usage_month,
            t::model_name,
            t::tokens,
            t::requests,
            t::raw_cost,
            t::markup_cost,
            t::cost_pln,
        ))
        .load(conn)?;
    let billed = |(first, model, tokens, requests, raw_cost, markup_cost, cost_pln): Columns| BilledUsage {
        usage_month: BillingMonth::of(first),
        model,
        sums: Totals { tokens, requests, raw_cost, markup_cost },
        cost_pln,
    };
    Ok(rows.into_iter().map(billed).collect())
}

/// The statement of a month, where it was issued.
pub(crate) fn find(
    conn: &mut DbConnection,
    id: &OrganizationId,
    month: BillingMonth,
) -> Result<Option<StatementModel>> {
    let row = statements::table.find((id, month.first())).select(StatementModel::as_select());
    Ok(row.first(conn).optional()?)
}

/// An organization's statements, the newest month first, those before `before`.
pub(crate) fn of_organization(
    conn: &mut DbConnection,
    id: &OrganizationId,
    before: Option<BillingMonth>,
    limit: i64,
) -> Result<Vec<StatementModel>> {
    let mut rows = statements::table.filter(statements::client_org_id.eq(id)).into_boxed();
    if let Some(before) = before {
        rows = rows.filter(statements::month.lt(before.first()));
    }
    let rows = rows.order(statements::month.desc()).limit(limit).select(StatementModel::as_select());
    Ok(rows.load(conn)?)
}
