//! Statements: an organization's own, the reseller's closing of a month, and who sells and buys.

use actix_web::{HttpResponse, get, http::header, web};
use mai_billing::{
    BillingMonth,
    statements::{Standing, Statement, StatementModel},
};
use mai_primitives::OrganizationId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::{
    Api, ApiError,
    asked::Asked,
    caller::Caller,
    error::ReadRefusals,
    gateway_keys::administered,
    json_money::{JsonPln, JsonUsd, JsonUsdPln},
    paging,
    usage::instant,
};

pub(crate) mod closing;
mod file;
pub(crate) mod parties;

pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(closing::list_closings)
        .service(closing::issue_statements)
        .service(list_statements)
        .service(get_statement)
        .service(parties::get_billing_settings)
        .service(parties::update_billing_settings)
        .service(parties::get_billing_profile)
        .service(parties::update_billing_profile);
}

/// An issued statement, without its lines.
#[derive(Serialize, ToSchema)]
#[schema(as = IssuedStatement)]
struct Summary {
    /// `YYYY-MM`.
    month: String,
    number: String,
    #[schema(format = Date)]
    issue_date: String,
    #[schema(format = DateTime)]
    issued_at: String,
    /// PLN for one USD, of the month's usage.
    usd_pln_rate: JsonUsdPln,
    rate_table_no: String,
    #[schema(format = Date)]
    rate_effective_date: String,
    /// Client price of usage and corrections.
    usage_usd: JsonUsd,
    net_pln: JsonPln,
    vat_pln: JsonPln,
    gross_pln: JsonPln,
    /// Hex SHA-256 of the PDF as it was when the statement was issued.
    pdf_sha256: String,
    /// Hex SHA-256 of the stored document; only for the reseller, because short figures in it could be guessed by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    document_sha256: Option<String>,
}

impl Summary {
    fn new(row: StatementModel, to_reseller: bool) -> Self {
        Self {
            month: BillingMonth::of(row.month).to_string(),
            number: row.number,
            issue_date: row.issue_date.to_string(),
            issued_at: instant(row.issued_at),
            usd_pln_rate: JsonUsdPln(row.usd_pln_rate),
            rate_table_no: row.rate_table_no,
            rate_effective_date: row.rate_effective_date.to_string(),
            usage_usd: JsonUsd(row.usage_usd),
            net_pln: JsonPln(row.net),
            vat_pln: JsonPln(row.vat),
            gross_pln: JsonPln(row.gross),
            pdf_sha256: row.pdf_sha256,
            document_sha256: to_reseller.then_some(row.document_sha256),
        }
    }
}

/// A page of statements, the newest month first.
#[derive(Serialize, ToSchema)]
#[schema(as = IssuedStatements)]
struct IssuedList {
    success: bool,
    items: Vec<Summary>,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

/// Which of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// 1 to 500, by default 50.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// An organization's issued statements, the newest month first.
#[utoipa::path(
    tag = "statements",
    extensions(("x-access" = json!("admin"))),
    params(("client_id" = String, Path, description = "The organization"), ListQuery),
    responses((status = 200, description = "A page of statements", body = IssuedList), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/clients/{client_id}/statements")]
async fn list_statements(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let organization = administered(&caller, &asked, &api).await?;
    let query: ListQuery = asked.query()?;
    let limit = paging::limit(query.limit)?;
    let before: Option<String> = query.cursor.as_deref().map(paging::decode).transpose()?;
    let wrong = |_| ApiError::field("cursor", "must be the `next_cursor` of the page before");
    let before = before.map(|month| month.parse::<BillingMonth>()).transpose().map_err(wrong)?;
    let rows = api.statements.list(&organization, before, paging::rows_for(limit)).await?;
    let (rows, next_cursor) = paging::cut(rows, limit, |row| BillingMonth::of(row.month).to_string())?;
    let items = rows.into_iter().map(|row| Summary::new(row, caller.is_reseller())).collect();
    Ok(HttpResponse::Ok().json(IssuedList { success: true, items, next_cursor }))
}

/// The form of a statement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = StatementFormat)]
enum Format {
    /// The canonical JSON, byte for byte.
    #[default]
    Json,
    /// One table.
    Csv,
    /// Tagged, A4.
    Pdf,
}

/// In which form.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct FormatQuery {
    #[serde(default)]
    #[param(inline)]
    format: Format,
}

const JSON: &str = "application/json";

/// What is shown of a month.
enum Shown {
    /// The document of an issued statement, which the reseller gets as it is stored.
    Stored(String),
    /// A draft.
    Draft(Box<Statement>),
}

impl Shown {
    /// What it says to the caller: an organization gets its own copy.
    fn statement(self, caller: &Caller) -> Result<Statement, ApiError> {
        let statement = match self {
            Self::Stored(document) => Statement::from_json(&document)?,
            Self::Draft(statement) => *statement,
        };
        Ok(if caller.is_reseller() { statement } else { statement.client_copy() })
    }
}

/// The statement of a month as the caller may see it: issued, or for the reseller also its draft.
pub(crate) async fn statement(
    caller: &Caller,
    api: &Api,
    organization: &OrganizationId,
    month: BillingMonth,
) -> Result<Statement, ApiError> {
    shown(caller, api, organization, month).await?.statement(caller)
}

/// The issued statement, or for the reseller its draft.
async fn shown(
    caller: &Caller,
    api: &Api,
    organization: &OrganizationId,
    month: BillingMonth,
) -> Result<Shown, ApiError> {
    let none = || ApiError::not_found("there is no statement of this month");
    if let Some(row) = api.statements.find(organization, month).await? {
        return Ok(Shown::Stored(row.document));
    }
    if !caller.is_reseller() {
        return Err(none());
    }
    match api.statements.closing(organization, month).await?.standing {
        Standing::Issued(row) => Ok(Shown::Stored(row.document)),
        Standing::Ready(statement) | Standing::Held(statement, _) => Ok(Shown::Draft(statement)),
        Standing::NothingToBill => Err(none()),
    }
}

/// The statement of a month: for an organization's administrator as it was issued, without the reseller's own figures; for the
/// reseller also a draft. CSV and PDF are always the organization's copy.
#[utoipa::path(
    tag = "statements",
    extensions(("x-access" = json!("admin"))),
    params(
        ("client_id" = String, Path, description = "The organization"),
        ("month" = String, Path, description = "`YYYY-MM`"),
        FormatQuery,
    ),
    responses(
        (status = 200, description = "The statement", content(
            (file::StatementDocument = "application/json"),
            (String = "text/csv"),
            (Vec<u8> = "application/pdf"),
        )),
        ReadRefusals,
    ),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/clients/{client_id}/statements/{month}")]
async fn get_statement(caller: Caller, asked: Asked, api: web::Data<Api>) -> Result<HttpResponse, ApiError> {
    let organization = administered(&caller, &asked, &api).await?;
    let query: FormatQuery = asked.query()?;
    let month: BillingMonth = asked.path("month")?.parse()?;
    let shown = shown(&caller, &api, &organization, month).await?;
    let (media_type, extension, bytes) = match (query.format, shown) {
        (Format::Json, Shown::Stored(document)) if caller.is_reseller() => {
            (JSON, "json", document.into_bytes())
        }
        (format, shown) => {
            let statement = shown.statement(&caller)?;
            match format {
                Format::Json => (JSON, "json", statement.to_json()?.into_bytes()),
                Format::Csv => ("text/csv; charset=utf-8", "csv", file::csv(&statement).into_bytes()),
                // Some tens of milliseconds of work, which no other request should wait for.
                Format::Pdf => ("application/pdf", "pdf", file::pdf_bytes(statement).await?),
            }
        }
    };
    // An id may have any visible character, and a file name needs none of them.
    let name = format!("attachment; filename=\"statement-{month}.{extension}\"");
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::CONTENT_TYPE, media_type));
    answer.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    if query.format != Format::Json {
        answer.insert_header((header::CONTENT_DISPOSITION, name));
    }
    Ok(answer.body(bytes))
}
