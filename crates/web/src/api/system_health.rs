//! `GET admin/system-health`: the checks of `/readyz`, for the reseller.

use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, ApiError, caller::Caller, error::ReadRefusals};
use crate::health::{Check, Health, examine};

/// What came of one check.
#[derive(Serialize, ToSchema)]
struct HealthPart {
    /// `ok`, `warning` where somebody should look, or `unready` where calls are refused or not recorded.
    status: &'static str,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl From<&Check> for HealthPart {
    fn from(check: &Check) -> Self {
        match check {
            Check::Ok => Self { status: "ok", message: None },
            Check::Warning(text) => Self { status: "warning", message: Some(text.clone()) },
            Check::Unready(text) => Self { status: "unready", message: Some(text.clone()) },
        }
    }
}

/// How the service is.
#[derive(Serialize, ToSchema)]
struct SystemHealth {
    success: bool,
    /// RFC 3339, in UTC.
    timestamp: String,
    /// Whether new calls are taken and recorded.
    ready: bool,
    /// The database.
    database: HealthPart,
    /// The journal that makes records durable.
    journal: HealthPart,
    /// What moves records from the journal to the database.
    applier: HealthPart,
    /// Generations that wait for a person.
    unresolved: HealthPart,
    /// Whether calls are taken.
    accepting: HealthPart,
    /// The daily run.
    batch: HealthPart,
    /// Members from Open WebUI; null where none are taken over.
    members: Option<HealthPart>,
    /// Bytes of the journal that are in use.
    journal_bytes: u64,
    /// Bytes of the journal that have not reached the database.
    journal_lag_bytes: u64,
    /// Age of the oldest record that has not reached the database.
    oldest_unapplied_seconds: u64,
    /// How many generations wait for a person; null while that is not known.
    unresolved_generations: Option<i64>,
}

/// How the service is. The status is 200 also where something is wrong.
#[utoipa::path(
    tag = "operations",
    extensions(("x-access" = json!("reseller"))),
    responses((status = 200, description = "The checks", body = SystemHealth), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/admin/system-health")]
pub(super) async fn system_health(
    caller: Caller,
    api: web::Data<Api>,
    health: web::Data<Health>,
) -> Result<HttpResponse, ApiError> {
    caller.reseller()?;
    let found = examine(&health).await;
    Ok(HttpResponse::Ok().json(SystemHealth {
        success: true,
        timestamp: api.clock.now().to_rfc3339(),
        ready: found.is_ready(),
        database: (&found.database).into(),
        journal: (&found.journal).into(),
        applier: (&found.applier).into(),
        unresolved: (&found.unresolved).into(),
        accepting: (&found.accepting).into(),
        batch: (&found.batch).into(),
        members: found.members.as_ref().map(HealthPart::from),
        journal_bytes: found.stats.retained_bytes,
        journal_lag_bytes: found.lag_bytes,
        oldest_unapplied_seconds: found.waiting.as_secs(),
        unresolved_generations: found.unresolved_count,
    }))
}
