//! A statement as a file.

use mai_billing::statements::{Statement, pdf::pdf};
use mai_primitives::{Pln, Usd};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::AdditionalProperties},
};

use crate::api::{
    ApiError,
    usage::export::{columns::Cell, text::TextFormat},
};

/// The canonical JSON, which is handed out as it is stored; its fields are those of
/// [`mai_billing::statements::Statement`].
pub(super) struct StatementDocument;

impl PartialSchema for StatementDocument {
    fn schema() -> RefOr<Schema> {
        let fields = ["format", "state", "month", "period", "seller", "buyer", "usage", "totals", "vat"];
        let object = fields.into_iter().fold(ObjectBuilder::new(), ObjectBuilder::required);
        object
            .additional_properties(Some(AdditionalProperties::FreeForm(true)))
            .description(Some("A statement; its fields are described in docs/api/statements.md"))
            .into()
    }
}

impl ToSchema for StatementDocument {}

/// The columns of the CSV. One may be added at the end; none is ever renamed or moved.
const COLUMNS: [&str; 20] = [
    "statement_number",
    "issue_date",
    "period_from",
    "period_to",
    "kind",
    "usage_month",
    "model",
    "provider",
    "requests",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "seats",
    "days",
    "days_in_month",
    "unit_price_pln",
    "amount_usd",
    "usd_pln_rate",
    "rate_table_no",
    "amount_pln",
];

/// What a line of the CSV says behind its first four columns.
#[derive(Default)]
struct Line<'a> {
    kind: &'static str,
    usage_month: Option<&'a str>,
    model: Option<&'a str>,
    provider: Option<&'a str>,
    counts: [Option<i64>; 4],
    seats: [Option<i64>; 3],
    unit_price: Option<Pln>,
    usd: Option<Usd>,
    rate: Option<(String, &'a str)>,
    pln: Option<Pln>,
}

/// The lines of the organization's copy: usage, seats and corrections, and the sums `net`, `vat` and `gross`.
pub(super) fn csv(statement: &Statement) -> String {
    let totals = &statement.totals;
    let mut lines = Vec::new();
    let rate = statement.rate.as_ref().map(|rate| (rate.usd_pln.to_string(), rate.table_no.as_str()));
    for usage in &statement.usage {
        lines.push(Line {
            kind: "usage",
            usage_month: Some(&statement.month),
            model: Some(&usage.model),
            provider: usage.provider.as_deref(),
            counts: [Some(usage.requests), usage.input_tokens, usage.output_tokens, Some(usage.total_tokens)],
            usd: Some(usage.cost_usd),
            rate: rate.clone(),
            pln: usage.cost_pln,
            ..Line::default()
        });
    }
    for seats in &statement.subscription {
        lines.push(Line {
            kind: "subscription",
            seats: [Some(seats.seats), Some(seats.days.into()), Some(seats.days_in_month.into())],
            unit_price: Some(seats.price_pln),
            pln: Some(seats.cost_pln),
            ..Line::default()
        });
    }
    for correction in &statement.corrections {
        lines.push(Line {
            kind: "correction",
            usage_month: Some(&correction.month),
            model: Some(&correction.model),
            provider: correction.provider.as_deref(),
            counts: [Some(correction.requests), None, None, Some(correction.total_tokens)],
            usd: Some(correction.cost_usd),
            rate: Some((correction.usd_pln.to_string(), &correction.table_no)),
            pln: Some(correction.cost_pln),
            ..Line::default()
        });
    }
    let dollars = totals.usage_usd.checked_add(totals.corrections_usd);
    for (kind, usd, pln) in
        [("net", dollars, totals.net_pln), ("vat", None, totals.vat_pln), ("gross", None, totals.gross_pln)]
    {
        lines.push(Line { kind, usd, pln, ..Line::default() });
    }
    let format = TextFormat::Csv { bom: false };
    let rows: Vec<Vec<Cell>> = lines.into_iter().map(|line| cells(statement, line)).collect();
    format!("{}{}", format.head(&COLUMNS), format.rows(&COLUMNS, &rows))
}

fn cells(statement: &Statement, line: Line<'_>) -> Vec<Cell> {
    let text = |text: Option<&str>| text.map_or(Cell::Nothing, |text| Cell::Text(text.to_owned()));
    let number = |number: Option<i64>| number.map_or(Cell::Nothing, Cell::Number);
    let pln = |amount: Option<Pln>| amount.map_or(Cell::Nothing, Cell::Pln);
    let mut cells = vec![
        text(statement.number.as_deref()),
        statement.issue_date.map_or(Cell::Nothing, Cell::Day),
        Cell::Day(statement.period.from),
        Cell::Day(statement.period.to),
        text(Some(line.kind)),
        text(line.usage_month),
        text(line.model),
        text(line.provider),
    ];
    cells.extend(line.counts.into_iter().chain(line.seats).map(number));
    cells.push(pln(line.unit_price));
    cells.push(line.usd.map_or(Cell::Nothing, Cell::Usd));
    let (rate, table) = line.rate.map_or((None, None), |(rate, table)| (Some(rate), Some(table)));
    cells.push(rate.map_or(Cell::Nothing, Cell::Decimal));
    cells.push(text(table));
    cells.push(pln(line.pln));
    cells
}

/// The bytes of the PDF, made on a thread that may take its time.
pub(super) async fn pdf_bytes(statement: Statement) -> Result<Vec<u8>, ApiError> {
    let made = tokio::task::spawn_blocking(move || pdf(&statement)).await;
    Ok(made.map_err(|error| ApiError::internal(&error, None))??)
}
