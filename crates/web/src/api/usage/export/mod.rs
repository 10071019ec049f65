//! Exports: the same figures as the statistics, and the generations behind them, as files.
//!
//! CSV and JSON lines leave as they are read, a page at a time, so that memory stays bounded and a client
//! that leaves stops the work. An XLSX file is a packed archive that can only be sent when it is whole; it is
//! written page by page into a temporary file that has no name and is gone with the answer.

use actix_web::{
    HttpResponse, get,
    http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    web,
};
use mai_organization::usage_tracking::Days;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use self::{
    table::{Source, Table},
    text::TextFormat,
};
use super::{
    days,
    fleet::{Bill, Summary, by_name},
    instant,
    legacy::{HistoryDay, Month, Stats},
    today::Today,
};
use crate::api::{Api, ApiError, asked::Asked, caller::Caller, error::ReadRefusals};

pub(in crate::api) mod columns;
mod download;
mod table;
pub(in crate::api) mod text;
mod xlsx;

/// What a table has a row for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = ExportKind)]
pub(super) enum Kind {
    /// Each day with usage.
    #[default]
    Daily,
    /// Each member, also those without usage.
    ByUser,
    /// Each model, also those of the catalogue without usage.
    ByModel,
    /// Each member and day.
    ByUserDaily,
    /// Each model and day.
    ByModelDaily,
    /// Each generation that the ledger still has.
    Generations,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::ByUser => "by-user",
            Self::ByModel => "by-model",
            Self::ByUserDaily => "by-user-daily",
            Self::ByModelDaily => "by-model-daily",
            Self::Generations => "generations",
        }
    }
}

/// The form of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ExportFormat)]
enum Format {
    #[default]
    Csv,
    Xlsx,
    Jsonl,
}

/// What is exported, and how.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Which organization; only a reseller needs to name one.
    client_org_id: Option<String>,
    /// The first day, `YYYY-MM-DD`; by default the first of the last day's month.
    start_date: Option<String>,
    /// The last day, `YYYY-MM-DD`; by default today.
    end_date: Option<String>,
    /// What the table has a row for.
    #[serde(default)]
    #[param(inline)]
    kind: Kind,
    #[serde(default)]
    #[param(inline)]
    format: Format,
    /// Whether a CSV file begins with the mark by which Excel knows UTF-8.
    #[serde(default)]
    bom: bool,
}

/// A table of usage as a file. Money is exact to the nano-dollar; in XLSX a cell holds 15 digits, so up to a
/// million dollars. In CSV a text that a spreadsheet would take for a formula begins with an apostrophe.
#[utoipa::path(
    tag = "usage",
    extensions(("x-access" = json!("admin"))),
    params(Query),
    responses(
        (status = 200, description = "The file", content(
            (String = "text/csv"),
            (String = "application/x-ndjson"),
            (Vec<u8> = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        )),
        ReadRefusals,
    ),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/my-organization/export")]
pub(in crate::api) async fn export_usage(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let query: Query = asked.query()?;
    let organization = caller.administered(query.client_org_id.as_deref())?;
    let days = days(query.start_date.as_deref(), query.end_date.as_deref())?;
    let export = api.services.client_usage_db.export(&organization, days).await?;
    let name = format!("{organization}_{}_{}_{}", query.kind.name(), export.range.from(), export.range.to());
    let source = Source::of(query.kind, &api, export).await?;
    file(Table::new(api, source, caller.is_reseller()), query.format, query.bom, &name).await
}

/// The table as a file with a name.
async fn file(table: Table, format: Format, bom: bool, name: &str) -> Result<HttpResponse, ApiError> {
    let (media_type, extension) = match format {
        Format::Csv => ("text/csv; charset=utf-8", "csv"),
        Format::Jsonl => ("application/x-ndjson", "jsonl"),
        Format::Xlsx => ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
    };
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header((CONTENT_TYPE, media_type))
        .insert_header((
            CONTENT_DISPOSITION,
            format!("attachment; filename=\"mai-usage_{}.{extension}\"", plain_name(name)),
        ))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"));
    match format {
        Format::Csv => download::stream(answer, table, TextFormat::Csv { bom }).await,
        Format::Jsonl => download::stream(answer, table, TextFormat::JsonLines).await,
        Format::Xlsx => download::whole(answer, xlsx::file(table).await?),
    }
}

/// A name that needs no quoting in a header and no care in a file system.
fn plain_name(name: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    name.chars().map(|letter| if is_plain(letter) { letter } else { '-' }).collect()
}

/// What is exported, and how.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ClientQuery {
    /// Which organization; without it, all for the reseller, and the own one for an administrator.
    client_id: Option<String>,
    /// The first day, `YYYY-MM-DD`; by default the first of the last day's month.
    start_date: Option<String>,
    /// The last day, `YYYY-MM-DD`; by default today.
    end_date: Option<String>,
    #[serde(default)]
    #[param(inline)]
    format: ClientFormat,
    /// What the table of one organization has a row for, where `format` is not `json`.
    #[param(inline)]
    kind: Option<Kind>,
    /// Whether a CSV file begins with the mark by which Excel knows UTF-8.
    #[serde(default)]
    bom: bool,
}

/// The form of an export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ClientFormat {
    /// The original's.
    #[default]
    Json,
    Csv,
    Xlsx,
    Jsonl,
}

/// One organization in the original's form.
#[derive(Serialize, ToSchema)]
#[schema(as = ClientExportOfOne)]
struct OneClient {
    client_name: String,
    #[schema(format = DateTime)]
    export_date: String,
    today_usage: Today,
    month_totals: Month,
    daily_history: Vec<HistoryDay>,
}

/// All organizations in the original's form.
#[derive(Serialize, ToSchema)]
#[schema(as = ClientExportOfAll)]
struct AllClients {
    #[schema(format = DateTime)]
    export_date: String,
    clients: Vec<Bill>,
    total_clients: usize,
    summary: Summary,
}

/// One organization or all.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ClientExportData)]
enum Data {
    One(Box<OneClient>),
    All(AllClients),
}

/// An export in the original's form.
#[derive(Serialize, ToSchema)]
struct ClientExport {
    success: bool,
    data: Data,
    #[schema(format = DateTime)]
    export_date: String,
    format: ClientFormat,
}

/// One organization, or all for the reseller: in the original's form, or as a file.
#[utoipa::path(
    tag = "usage",
    extensions(("x-access" = json!("admin"))),
    params(ClientQuery),
    responses(
        (status = 200, description = "The export", content(
            (ClientExport = "application/json"),
            (String = "text/csv"),
            (String = "application/x-ndjson"),
            (Vec<u8> = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        )),
        ReadRefusals,
    ),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/usage/export")]
pub(in crate::api) async fn export_client(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let query: ClientQuery = asked.query()?;
    let all = caller.is_reseller() && query.client_id.is_none();
    let one = if all { None } else { Some(caller.administered(query.client_id.as_deref())?) };
    let days = days(query.start_date.as_deref(), query.end_date.as_deref())?;
    let format = match query.format {
        ClientFormat::Csv => Format::Csv,
        ClientFormat::Xlsx => Format::Xlsx,
        ClientFormat::Jsonl => Format::Jsonl,
        ClientFormat::Json => return as_json(&api, &caller, one, days).await,
    };
    let sees_raw_cost = caller.is_reseller();
    let Some(organization) = one else {
        let range = super::fleet::resolve(&api, days)?;
        if query.kind.is_some() {
            return Err(ApiError::field("kind", "is of one organization; name it by `client_id`"));
        }
        let name = format!("clients_{}_{}", range.from(), range.to());
        return file(Table::new(api, Source::Clients(range), sees_raw_cost), format, query.bom, &name).await;
    };
    let kind = query.kind.unwrap_or_default();
    let export = api.services.client_usage_db.export(&organization, days).await?;
    let name = format!("{organization}_{}_{}_{}", kind.name(), export.range.from(), export.range.to());
    let source = Source::of(kind, &api, export).await?;
    file(Table::new(api, source, sees_raw_cost), format, query.bom, &name).await
}

async fn as_json(
    api: &Api,
    caller: &Caller,
    one: Option<mai_primitives::OrganizationId>,
    days: Days,
) -> Result<HttpResponse, ApiError> {
    let export_date = instant(api.clock.now().into());
    let usage = &api.services.client_usage_db;
    let data = if let Some(organization) = one {
        let stats = usage.legacy_summary(&organization, days).await?;
        let stats = Stats::new(api, stats, caller.is_reseller())?;
        Data::One(Box::new(OneClient {
            client_name: stats.client_org_name,
            export_date: export_date.clone(),
            today_usage: stats.today,
            month_totals: stats.this_month,
            daily_history: stats.daily_history,
        }))
    } else {
        let range = super::fleet::resolve(api, days)?;
        let found = usage.clients(range, by_name()).await?;
        Data::All(AllClients {
            export_date: export_date.clone(),
            total_clients: found.page.count,
            summary: Summary::new(&found)?,
            clients: found.page.items.into_iter().map(Bill::from).collect(),
        })
    };
    Ok(HttpResponse::Ok().json(ClientExport { success: true, data, export_date, format: ClientFormat::Json }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_plain_whatever_an_organization_is_called() {
        assert_eq!(plain_name("abc_daily_2026-01-01"), "abc_daily_2026-01-01");
        assert_eq!(plain_name("a\"; x=../żółw\\\r\n"), "a---x-..----w---");
    }
}
