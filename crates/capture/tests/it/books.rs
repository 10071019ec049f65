//! Records for an applier, and what the database says afterwards.

use std::sync::Arc;

use mai_capture::{
    Applier, Call,
    record::{ExactUsage, Opened, Outcome, Record, Settled},
};
use mai_generation_processing::{
    PendingGenerationModel, PendingReason, ProcessedGenerationModel, ProcessedGenerationTable, count_failed,
    pending::list_pending, query as ledger,
};
use mai_journal::{Admission, Journal, JournalSettings, Position};
use mai_primitives::{GenerationId, ManualClock, ModelName, OrganizationId, UsageDate};
use mai_storage::Storage;
use mai_usage_tracking::{ClientDailyUsageModel, query as usage, verify::check_days};
use tokio_util::sync::CancellationToken;

use crate::road::call;

/// The time of the tests' clocks: some minutes after the calls.
pub(crate) fn clock() -> ManualClock {
    ManualClock::at("2026-11-22T10:00:00Z".parse().unwrap())
}

pub(crate) fn generation_id(name: &str) -> GenerationId {
    GenerationId::new(name).unwrap()
}

/// An exact usage of 10 + 5 tokens at a cost.
pub(crate) fn exact(cost_nanos: i64) -> Outcome {
    Outcome::Exact(ExactUsage {
        model: Some(ModelName::new("openai/o3").unwrap()),
        serving_provider: None,
        input_tokens: 10,
        output_tokens: 5,
        cached_tokens: None,
        cache_write_tokens: None,
        reasoning_tokens: None,
        cost_nanos,
        cost_text: cost_nanos.to_string(),
        is_byok: false,
        tokens_estimated: false,
    })
}

pub(crate) const NO_USAGE: Outcome = Outcome::Unknown { reason: PendingReason::NoUsage };

pub(crate) fn failed() -> Outcome {
    Outcome::Failed { status: 503, reason: "upstream_status".to_owned() }
}

pub(crate) fn opened(call: &Call, id: &str) -> Record {
    Record::Opened(Opened { call: call.clone(), generation_id: generation_id(id) })
}

pub(crate) fn settled(call: &Call, id: &str, outcome: Outcome) -> Record {
    let generation_id = (!matches!(outcome, Outcome::Failed { .. })).then(|| generation_id(id));
    Record::Settled(Settled::by_gateway(call.clone(), generation_id, outcome))
}

/// The settled record of a new call of an organization.
pub(crate) fn new_settled(organization: &str, id: &str, outcome: Outcome) -> Record {
    settled(&call(organization, true), id, outcome)
}

/// A journal in a folder, as it is after a start.
pub(crate) fn open(folder: &tempfile::TempDir) -> Journal {
    Journal::open(JournalSettings::new(folder.path().join("journal"))).unwrap()
}

/// Makes records durable, in one commit.
pub(crate) async fn append(journal: &Journal, records: &[Record]) -> Position {
    let bytes = records.iter().map(|record| record.to_bytes().unwrap()).collect();
    journal.append_all(Admission::Continuing, bytes).await.unwrap()
}

pub(crate) fn applier(journal: &Journal, storage: &Storage) -> Applier {
    Applier::new(journal.clone(), storage.clone(), Arc::new(clock()))
}

/// Applies what the journal holds, and stops.
pub(crate) async fn apply(applier: Applier) {
    let stop = CancellationToken::new();
    stop.cancel();
    applier.run(stop).await;
}

/// Applies what the journal holds, as a process does that starts and stops.
pub(crate) async fn apply_all(journal: &Journal, storage: &Storage) {
    let applier = applier(journal, storage);
    let state = applier.state();
    apply(applier).await;
    assert_eq!(state.applied_to(), journal.durable_end());
    assert_eq!(state.trouble(), None);
}

/// Everything that an organization's calls have left in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Books {
    pub(crate) ledger: Vec<ProcessedGenerationModel>,
    pub(crate) pending: Vec<PendingGenerationModel>,
    pub(crate) failed: i64,
    pub(crate) days: Vec<ClientDailyUsageModel>,
}

impl Books {
    /// Reads them, and fails where the daily tables and the ledger disagree.
    pub(crate) fn of(storage: &Storage, organization: &str) -> Self {
        let org = OrganizationId::new(organization).unwrap();
        let (from, to) = (day("2026-01-01"), day("2026-12-31"));
        let (books, mismatches) = storage
            .read_blocking(|conn| {
                let books = Self {
                    ledger: ledger::for_date(conn, &org, day("2026-11-22"))?,
                    pending: list_pending(conn, Some(&org), None, 100_000)?,
                    failed: count_failed(conn, &org, from, to)?,
                    days: usage::daily_rows(conn, &org, from, to)?,
                };
                Ok::<_, mai_usage_tracking::Error>((books, check_days(conn, &org, from, to, Some(from))?))
            })
            .unwrap();
        assert_eq!(mismatches, []);
        books
    }

    /// The ids of the ledger, sorted.
    pub(crate) fn booked(&self) -> Vec<&str> {
        let mut ids: Vec<_> = self.ledger.iter().map(|row| row.id.as_str()).collect();
        ids.sort_unstable();
        ids
    }

    /// The pending ids with their reasons, sorted.
    pub(crate) fn waiting(&self) -> Vec<(&str, PendingReason)> {
        let mut waiting: Vec<_> = self.pending.iter().map(|row| (row.id.as_str(), row.reason)).collect();
        waiting.sort_unstable();
        waiting
    }

    /// What upstream charged in all.
    pub(crate) fn raw_nanos(&self) -> i64 {
        self.days.iter().map(|day| day.raw_cost.nanos()).sum()
    }
}

pub(crate) fn day(text: &str) -> UsageDate {
    UsageDate::parse(text).unwrap()
}

/// An applier that runs until it is stopped.
pub(crate) struct Running {
    pub(crate) state: mai_capture::ApplierState,
    stop: CancellationToken,
    tracker: tokio_util::task::TaskTracker,
}

impl Running {
    pub(crate) fn start(applier: Applier) -> Self {
        let (state, stop) = (applier.state(), CancellationToken::new());
        let tracker = tokio_util::task::TaskTracker::new();
        tracker.spawn(applier.run(stop.clone()));
        Self { state, stop, tracker }
    }

    pub(crate) async fn applied(&self, journal: &Journal) {
        crate::eventually("everything is applied", || self.state.applied_to() == journal.durable_end()).await;
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// A cleanup after which the ledger says nothing about any day of the tests.
pub(crate) async fn clean_up_everything(storage: &Storage) {
    let clock = ManualClock::at("2027-03-01T00:00:00Z".parse().unwrap());
    let ledger = ProcessedGenerationTable::new(storage.clone(), Arc::new(clock));
    ledger.cleanup_old_generations(60).await.unwrap();
}
