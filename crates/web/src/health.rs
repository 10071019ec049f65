//! `/healthz` for the process and `/readyz` for whether it takes and records calls.
//!
//! A check that fails makes the service unready only where a new call would be refused or could not be
//! recorded. Everything else is a warning: while the database is away the gateway goes on serving, and
//! whoever took it out of rotation for that would make an outage of it.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use mai_batch::Freshness;
use mai_capture::ApplierState;
use mai_journal::{Journal, JournalStats};
use mai_storage::Storage;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::{gateway::Stopping, monitor::Figures, open_webui::sync::SyncState};

/// The journal is called nearly full from this share of its bound on, in percent.
const JOURNAL_ALARM_PERCENT: u64 = 80;
/// How long the database may take to say that it is there. Who asks for readiness is impatient.
const DATABASE_PATIENCE: Duration = Duration::from_millis(500);
/// From this age of a record on the applier is called stuck, also where it does not say that it fails.
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// What `/readyz` looks at.
#[derive(Clone)]
pub struct Health {
    /// The database.
    pub storage: Storage,
    /// The journal.
    pub journal: Journal,
    /// How far records have reached the database.
    pub applier: ApplierState,
    /// What the monitor saw last.
    pub figures: watch::Receiver<Figures>,
    /// How members were taken over from Open WebUI, where they are.
    pub members: Option<SyncState>,
    /// Whether a stop has begun.
    pub stopping: Stopping,
}

/// What came of a check.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// Nothing is wrong.
    Ok,
    /// Somebody should look, and calls are taken and recorded all the same.
    Warning(String),
    /// New calls are refused, or would not be recorded.
    Unready(String),
}

/// The process answers.
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

/// What a look at everything has found.
pub(crate) struct Examination {
    pub(crate) database: Check,
    pub(crate) journal: Check,
    pub(crate) applier: Check,
    pub(crate) unresolved: Check,
    pub(crate) accepting: Check,
    pub(crate) batch: Check,
    /// None where no members are taken over.
    pub(crate) members: Option<Check>,
    pub(crate) stats: JournalStats,
    /// Bytes of the journal that have not reached the database.
    pub(crate) lag_bytes: u64,
    /// Age of the oldest record that has not reached the database.
    pub(crate) waiting: Duration,
    /// How many generations wait for a person; none while that is not known.
    pub(crate) unresolved_count: Option<i64>,
}

/// Looks at everything.
pub(crate) async fn examine(health: &Health) -> Examination {
    let stats = health.journal.stats();
    let figures = health.figures.borrow().clone();
    Examination {
        database: database(&health.storage).await,
        journal: journal(&stats),
        applier: applier(&health.applier, figures.waiting),
        unresolved: unresolved(figures.unresolved()),
        accepting: accepting(&health.stopping),
        batch: batch(&figures),
        members: health.members.as_ref().map(members),
        lag_bytes: stats.durable_end.get().saturating_sub(health.applier.applied_to().get()),
        stats,
        waiting: figures.waiting,
        unresolved_count: figures.unresolved(),
    }
}

impl Examination {
    fn checks(&self) -> Vec<(&'static str, &Check)> {
        let mut checks = vec![
            ("database", &self.database),
            ("journal", &self.journal),
            ("applier", &self.applier),
            ("unresolved", &self.unresolved),
            ("accepting", &self.accepting),
            ("batch", &self.batch),
        ];
        checks.extend(self.members.as_ref().map(|members| ("members", members)));
        checks
    }

    /// Whether new calls are taken and recorded.
    pub(crate) fn is_ready(&self) -> bool {
        !self.checks().iter().any(|(_, check)| matches!(check, Check::Unready(_)))
    }
}

/// 200 while new calls are taken and recorded, else 503; either way each check by name, with `ok` or
/// what is wrong, and the names of those that only warn.
pub async fn readyz(health: web::Data<Health>) -> HttpResponse {
    let found = examine(&health).await;
    let (checks, ready) = (found.checks(), found.is_ready());
    let warns = |check: &Check| matches!(check, Check::Warning(_));
    let warnings: Vec<&str> =
        checks.iter().filter(|(_, check)| warns(check)).map(|(name, _)| *name).collect();
    let shown: Map<String, Value> =
        checks.iter().map(|(name, check)| ((*name).to_owned(), json!(check.text()))).collect();
    let mut answer = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    answer.json(json!({
        "ready": ready,
        "checks": shown,
        "warnings": warnings,
        "journal_bytes": found.stats.retained_bytes,
        "journal_used_percent": used_percent(&found.stats),
        "journal_lag_bytes": found.lag_bytes,
        "oldest_unapplied_seconds": found.waiting.as_secs(),
        "unresolved_generations": found.unresolved_count,
    }))
}

impl Check {
    fn text(&self) -> &str {
        match self {
            Self::Ok => "ok",
            Self::Warning(text) | Self::Unready(text) => text,
        }
    }
}

/// A snapshot begins with a round trip to the database.
async fn database(storage: &Storage) -> Check {
    let ping = storage.read(|_| Ok::<_, mai_storage::Error>(()));
    match tokio::time::timeout(DATABASE_PATIENCE, ping).await {
        Ok(Ok(())) => Check::Ok,
        Ok(Err(cause)) => Check::Warning(cause.to_string()),
        Err(_) => Check::Warning("no answer in time".to_owned()),
    }
}

fn used_percent(stats: &JournalStats) -> u64 {
    stats.retained_bytes.saturating_mul(100) / stats.max_bytes.max(1)
}

fn journal(stats: &JournalStats) -> Check {
    let percent = used_percent(stats);
    if stats.poisoned {
        Check::Unready("a write could not be made durable; restart the service".to_owned())
    } else if stats.no_space {
        Check::Unready("its disk is full; new calls are refused until there is room".to_owned())
    } else if stats.retained_bytes >= stats.max_bytes {
        Check::Unready("it is full; new calls are refused until records reach the database".to_owned())
    } else if percent >= JOURNAL_ALARM_PERCENT {
        Check::Warning(format!("{percent} % of its bound is used; when it is full, new calls are refused"))
    } else if stats.detached_failures > 0 {
        Check::Warning(format!("{} records could not be kept; see the log", stats.detached_failures))
    } else {
        Check::Ok
    }
}

fn applier(state: &ApplierState, waiting: Duration) -> Check {
    match state.trouble() {
        Some(why) => Check::Warning(format!("records wait in the journal: {why}")),
        None if waiting >= STUCK_AFTER => {
            Check::Warning(format!("records have waited in the journal for {} s", waiting.as_secs()))
        }
        None => Check::Ok,
    }
}

fn unresolved(count: Option<i64>) -> Check {
    match count {
        Some(count) if count > 0 => Check::Warning(format!("{count} generations wait for a person")),
        Some(_) | None => Check::Ok,
    }
}

/// The daily run; nothing is known to be wrong before it was looked at.
fn batch(figures: &Figures) -> Check {
    let trouble = figures.batch.as_ref().and_then(Freshness::trouble);
    trouble.map_or(Check::Ok, Check::Warning)
}

fn members(state: &SyncState) -> Check {
    match state.trouble() {
        Some(why) => Check::Warning(format!("members cannot be taken over from Open WebUI: {why}")),
        None => Check::Ok,
    }
}

fn accepting(stopping: &Stopping) -> Check {
    if stopping.has_begun() { Check::Unready("the service is stopping".to_owned()) } else { Check::Ok }
}

#[cfg(test)]
mod tests {
    use mai_journal::Position;

    use super::*;

    fn stats(retained_bytes: u64) -> JournalStats {
        JournalStats {
            retained_bytes,
            max_bytes: 1_000,
            durable_end: Position::new(0),
            forgotten_to: Position::new(0),
            commits: 0,
            records: 0,
            detached_failures: 0,
            lazy_dropped: 0,
            no_space: false,
            poisoned: false,
        }
    }

    #[test]
    fn a_journal_warns_before_it_refuses() {
        assert_eq!(journal(&stats(799)), Check::Ok);
        assert!(matches!(journal(&stats(800)), Check::Warning(text) if text.starts_with("80 %")));
        assert!(matches!(journal(&stats(999)), Check::Warning(_)));
        assert!(matches!(journal(&stats(1_000)), Check::Unready(_)));
        let lost = JournalStats { detached_failures: 2, ..stats(0) };
        assert!(matches!(journal(&lost), Check::Warning(text) if text.starts_with("2 records")));
        let no_space = JournalStats { no_space: true, ..lost };
        assert!(matches!(journal(&no_space), Check::Unready(text) if text.contains("disk is full")));
        let poisoned = JournalStats { poisoned: true, ..lost };
        assert!(matches!(journal(&poisoned), Check::Unready(_)));
    }

    #[test]
    fn an_applier_that_does_not_move_is_noticed_though_it_does_not_complain() {
        let state = ApplierState::default();
        assert_eq!(applier(&state, Duration::from_secs(59)), Check::Ok);
        assert!(matches!(applier(&state, Duration::from_secs(60)), Check::Warning(_)));
    }

    #[test]
    fn generations_that_wait_for_a_person_only_warn() {
        assert_eq!(unresolved(None), Check::Ok);
        assert_eq!(unresolved(Some(0)), Check::Ok);
        assert!(matches!(unresolved(Some(3)), Check::Warning(text) if text.starts_with('3')));
    }
}
