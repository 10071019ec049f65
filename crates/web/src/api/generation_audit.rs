//! `generation-audit`: reports that contradict the ledger, and generations that people dismissed.

use actix_web::{HttpResponse, get, web};
use mai_organization::generation_processing::{
    GenerationAuditModel, UsageSource,
    audit::{AuditPageKey, AuditPageQuery},
};
use mai_primitives::{GenerationId, UnixTime};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Api, ApiError,
    asked::Asked,
    caller::{Caller, unknown_organization},
    error::ReadRefusals,
    json_money::JsonUsd,
    paging,
};

/// One side of a contradiction. What it does not tell is null; costs are raw, in USD.
#[derive(Serialize, ToSchema)]
struct ReportSide {
    /// Who told it.
    source: Option<&'static str>,
    cost: Option<JsonUsd>,
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    /// Whether the token counts are an estimate.
    tokens_estimated: Option<bool>,
    model: Option<String>,
    user_id: Option<String>,
    usage_date: Option<String>,
}

/// A row of the ledger's audit.
#[derive(Serialize, ToSchema)]
struct Contradiction {
    generation_id: String,
    /// `corrected`, `refused` or `dismissed`.
    action: &'static str,
    /// A person's reason for a dismissal.
    reason: Option<String>,
    /// What the ledger had before.
    booked: ReportSide,
    /// What the report says, or what was known of a dismissed generation.
    reported: ReportSide,
    /// Unix seconds.
    created_at: i64,
}

impl From<GenerationAuditModel> for Contradiction {
    fn from(row: GenerationAuditModel) -> Self {
        Self {
            generation_id: row.generation_id.to_string(),
            action: row.action.as_str(),
            reason: row.reason,
            booked: ReportSide {
                source: row.booked_source.map(UsageSource::as_str),
                cost: row.booked_cost.map(JsonUsd),
                input_tokens: row.booked_input_tokens,
                output_tokens: row.booked_output_tokens,
                tokens_estimated: row.booked_tokens_estimated,
                model: row.booked_model_name.map(|model| model.to_string()),
                user_id: row.booked_user_id.map(|id| id.to_string()),
                usage_date: row.booked_date.map(|date| date.to_string()),
            },
            reported: ReportSide {
                source: row.reported_source.map(UsageSource::as_str),
                cost: row.reported_cost.map(JsonUsd),
                input_tokens: row.reported_input_tokens,
                output_tokens: row.reported_output_tokens,
                tokens_estimated: row.reported_tokens_estimated,
                model: row.reported_model_name.map(|model| model.to_string()),
                user_id: row.reported_user_id.map(|id| id.to_string()),
                usage_date: row.reported_date.map(|date| date.to_string()),
            },
            created_at: row.created_at.seconds(),
        }
    }
}

/// Which rows.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// 1 to 500, by default 50.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of the ledger's audit, the newest first.
#[derive(Serialize, ToSchema)]
struct Contradictions {
    success: bool,
    items: Vec<Contradiction>,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

/// Reports of one organization's generations that contradict the ledger, and generations that people
/// dismissed; the newest first.
#[utoipa::path(
    tag = "operations",
    extensions(("x-access" = json!("reseller"))),
    params(("client_id" = String, Path, description = "The organization"), Query),
    responses((status = 200, description = "A page of the audit", body = Contradictions), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/clients/{client_id}/generation-audit")]
pub(super) async fn generation_audit(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let organization = caller.resold(asked.path("client_id")?)?;
    let known = api.services.client_organization_db.get_any_by_id(&organization).await?;
    known.ok_or_else(unknown_organization)?;
    let query: Query = asked.query()?;
    let limit = paging::limit(query.limit)?;
    let after: Option<(i64, String, String)> = query.cursor.as_deref().map(paging::decode).transpose()?;
    let after = after.map(|(created_at, generation_id, id)| {
        let generation_id = GenerationId::new(generation_id)
            .map_err(|_| ApiError::field("cursor", "must be the `next_cursor` of the page before"))?;
        Ok::<_, ApiError>(AuditPageKey { created_at: UnixTime::from_seconds(created_at), generation_id, id })
    });
    let wanted = AuditPageQuery { organization, after: after.transpose()?, limit: paging::rows_for(limit) };
    let rows = api.services.processed_generation_db.audit_page(wanted).await?;
    let (rows, next_cursor) = paging::cut(rows, limit, |row| {
        (row.created_at.seconds(), row.generation_id.to_string(), row.id.clone())
    })?;
    let items = rows.into_iter().map(Contradiction::from).collect();
    Ok(HttpResponse::Ok().json(Contradictions { success: true, items, next_cursor }))
}
