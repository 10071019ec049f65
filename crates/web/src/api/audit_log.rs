//! The audit log: entries, the check of its chain, and an export.

use actix_web::{HttpResponse, get, http::header::ContentType, web};
use bytes::Bytes;
use futures_util::stream;
use mai_organization::audit_log::{AuditEntryModel, AuditLogTable, AuditQuery, Broken, export};
use mai_primitives::UnixTime;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::{Api, ApiError, asked::Asked, caller::Caller, error::ReadRefusals, paging};

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Only those about this organization; an administrator sees those of the own organization only.
    client_org_id: Option<String>,
    /// Only those of this action, or of all that begin with it, such as `gateway_key`.
    action: Option<String>,
    /// Only those by this actor, by its id.
    actor: Option<String>,
    /// Only those from this instant on, in Unix seconds.
    from: Option<i64>,
    /// Only those before this instant, in Unix seconds.
    to: Option<i64>,
    /// 1 to 500, by default 50.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// An entry.
#[derive(Serialize, ToSchema)]
struct Entry {
    /// Its place in the chain.
    seq: i64,
    /// Unix seconds.
    created_at: i64,
    /// What kind of caller did it.
    actor_kind: &'static str,
    /// Which of that kind.
    actor_id: String,
    /// The address that the request came from.
    remote: Option<String>,
    /// The id of the request.
    request_id: Option<String>,
    /// Whose data it is about.
    client_org_id: Option<String>,
    /// What was done.
    action: String,
    /// To what.
    target: String,
    /// `ok`, or the code of the refusal.
    result: String,
    /// More about it; below `confidential` what only the reseller sees.
    #[schema(value_type = Object)]
    details: Box<RawValue>,
    /// Hex SHA-256 of the entry and of the one before it; null but for the reseller, because short
    /// confidential details could be guessed by it.
    hash: Option<String>,
}

/// A page of entries, the newest first.
#[derive(Serialize, ToSchema)]
struct Entries {
    success: bool,
    items: Vec<Entry>,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

/// The details of an entry as the caller may read them.
pub(crate) fn details_for(row: &AuditEntryModel, to_reseller: bool) -> Result<String, ApiError> {
    let details = if to_reseller { Ok(row.details.clone()) } else { row.public_details() };
    details.map_err(|error| ApiError::internal(&error, None))
}

impl Entry {
    fn shown(row: AuditEntryModel, to_reseller: bool) -> Result<Self, ApiError> {
        let details = RawValue::from_string(details_for(&row, to_reseller)?);
        Ok(Self {
            seq: row.seq,
            created_at: row.created_at.seconds(),
            actor_kind: row.actor_kind.as_str(),
            actor_id: row.actor_id,
            remote: row.remote,
            request_id: row.request_id,
            client_org_id: row.client_org_id.map(|id| id.to_string()),
            action: row.action,
            target: row.target,
            result: row.result,
            details: details.map_err(|error| ApiError::internal(&error, None))?,
            hash: to_reseller.then_some(row.hash),
        })
    }
}

/// Entries of the audit log, the newest first.
#[utoipa::path(
    tag = "operations",
    extensions(("x-access" = json!("admin"))),
    params(Query),
    responses((status = 200, description = "A page of entries", body = Entries), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/audit-log")]
pub(super) async fn audit_log(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let query: Query = asked.query()?;
    let organization = match (caller.is_reseller(), &query.client_org_id) {
        (true, None) => None,
        _ => Some(caller.administered(query.client_org_id.as_deref())?),
    };
    let limit = paging::limit(query.limit)?;
    let wanted = AuditQuery {
        organization,
        action: query.action,
        actor: query.actor,
        before: query.cursor.as_deref().map(paging::decode).transpose()?,
        from: query.from.map(UnixTime::from_seconds),
        to: query.to.map(UnixTime::from_seconds),
        limit: paging::rows_for(limit),
    };
    let rows = api.services.audit_log_db.list(wanted).await?;
    let (rows, next_cursor) = paging::cut(rows, limit, |row| row.seq)?;
    let to_reseller = caller.is_reseller();
    let items = rows.into_iter().map(|row| Entry::shown(row, to_reseller)).collect::<Result<_, _>>()?;
    Ok(HttpResponse::Ok().json(Entries { success: true, items, next_cursor }))
}

/// What a walk of the chain has found.
#[derive(Serialize, ToSchema)]
struct Verification {
    success: bool,
    /// Whether no entry was changed, taken out or put in.
    unbroken: bool,
    /// How many entries there are, where the chain is unbroken.
    entries: Option<i64>,
    /// The hash of the last entry; kept elsewhere, it shows later that the log still begins alike.
    head: Option<String>,
    /// Where the chain is broken.
    broken: Option<String>,
}

/// Walks the chain of the audit log.
#[utoipa::path(
    tag = "operations",
    extensions(("x-access" = json!("reseller"))),
    responses((status = 200, description = "What was found", body = Verification), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/audit-log/verify")]
pub(super) async fn verify_audit_log(caller: Caller, api: web::Data<Api>) -> Result<HttpResponse, ApiError> {
    caller.reseller()?;
    let answer = match api.services.audit_log_db.verify().await? {
        Ok(verified) => Verification {
            success: true,
            unbroken: true,
            entries: Some(verified.entries),
            head: Some(verified.head),
            broken: None,
        },
        Err(broken) => broken_chain(&broken),
    };
    Ok(HttpResponse::Ok().json(answer))
}

/// How many entries of an export are read at once.
const EXPORTED_AT_ONCE: i64 = 1_000;

/// The whole audit log, an entry per line in the order of the chain, so that the chain can be walked
/// elsewhere; there `details` is a text.
#[utoipa::path(
    tag = "operations",
    extensions(("x-access" = json!("reseller"))),
    responses(
        (status = 200, description = "An entry per line", body = String, content_type = "application/x-ndjson"),
        ReadRefusals,
    ),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/audit-log/export")]
pub(super) async fn export_audit_log(caller: Caller, api: web::Data<Api>) -> Result<HttpResponse, ApiError> {
    caller.reseller()?;
    let table = api.services.audit_log_db.clone();
    // The first piece is read here, so that a database that is away is told by the status.
    let first = exported(&table, 0).await?;
    let pieces = stream::try_unfold((table, first), |(table, piece)| async move {
        let Some((lines, last)) = piece else { return Ok(None) };
        let next = exported(&table, last).await?;
        Ok::<_, ApiError>(Some((lines, (table, next))))
    });
    let kind = ContentType("application/x-ndjson".parse().map_err(|_| ApiError::misconfigured())?);
    Ok(HttpResponse::Ok()
        .insert_header(kind)
        .insert_header(("content-disposition", "attachment; filename=\"audit-log.jsonl\""))
        .streaming(pieces))
}

/// The lines behind a place in the chain, and the place of the last; none at the end.
async fn exported(table: &AuditLogTable, after: i64) -> Result<Option<(Bytes, i64)>, ApiError> {
    let rows = table.entries_after(after, EXPORTED_AT_ONCE).await?;
    let Some(last) = rows.last().map(|row| row.seq) else { return Ok(None) };
    let lines = rows.into_iter().map(export::line).collect::<Result<String, _>>();
    let lines = lines.map_err(|error| ApiError::internal(&error, None))?;
    Ok(Some((Bytes::from(lines), last)))
}

fn broken_chain(broken: &Broken) -> Verification {
    tracing::error!(error = %broken, "the audit log is broken");
    Verification {
        success: true,
        unbroken: false,
        entries: None,
        head: None,
        broken: Some(broken.to_string()),
    }
}
