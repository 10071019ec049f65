//! `/healthz` for the process and `/readyz` for what it needs.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use mai_capture::ApplierState;
use mai_journal::Journal;
use mai_storage::Storage;
use serde_json::json;

use crate::gateway::Stopping;

/// The journal is called nearly full from this share of its bound on, in percent.
const JOURNAL_ALARM_PERCENT: u64 = 80;
/// How long the database may take to say that it is there.
const DATABASE_PATIENCE: Duration = Duration::from_secs(2);

/// What `/readyz` looks at.
#[derive(Clone)]
pub struct Health {
    /// The database.
    pub storage: Storage,
    /// The journal.
    pub journal: Journal,
    /// How far records have reached the database.
    pub applier: ApplierState,
    /// Whether a stop has begun.
    pub stopping: Stopping,
}

/// The process answers.
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

/// 200 while new calls are taken and recorded without trouble, else 503; either way each check by name.
pub async fn readyz(health: web::Data<Health>) -> HttpResponse {
    let stats = health.journal.stats();
    let used_percent = stats.retained_bytes.saturating_mul(100) / stats.max_bytes.max(1);
    let database = match tokio::time::timeout(DATABASE_PATIENCE, ping(&health.storage)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(cause)) => Err(cause.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    };
    let journal = match (stats.poisoned, used_percent) {
        (true, _) => Err("a write could not be made durable; restart the service".to_owned()),
        (false, percent) if percent >= JOURNAL_ALARM_PERCENT => {
            Err(format!("{percent} % of its bound is used"))
        }
        _ => Ok(()),
    };
    let applier = match health.applier.trouble() {
        Some(why) => Err(format!("records wait in the journal: {why}")),
        None => Ok(()),
    };
    let accepting =
        if health.stopping.has_begun() { Err("the service is stopping".to_owned()) } else { Ok(()) };
    let checks =
        [("database", database), ("journal", journal), ("applier", applier), ("accepting", accepting)];
    let ready = checks.iter().all(|(_, check)| check.is_ok());
    let shown: serde_json::Map<String, serde_json::Value> = checks
        .into_iter()
        .map(|(name, check)| (name.to_owned(), json!(check.err().unwrap_or_else(|| "ok".to_owned()))))
        .collect();
    let mut answer = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    answer.json(json!({
        "ready": ready,
        "checks": shown,
        "journal_bytes": stats.retained_bytes,
        "journal_lag_bytes": stats.durable_end.get().saturating_sub(health.applier.applied_to().get()),
    }))
}

/// A snapshot begins with a round trip to the database.
async fn ping(storage: &Storage) -> mai_storage::Result<()> {
    storage.read(|_| Ok::<_, mai_storage::Error>(())).await
}
