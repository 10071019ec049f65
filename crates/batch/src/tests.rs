//! Tests on both databases, and the values that they share.

mod anomalies;
mod lease;
mod outside;
mod results;
mod runs;
mod validation;
mod year;

use std::sync::Arc;

use diesel::prelude::*;
use mai_audit_log::{Actor, AuditEntryModel, AuditLogTable, AuditQuery, schema::audit_log};
use mai_client_organization::{ClientOrganizationForm, ClientOrganizationTable};
use mai_generation_processing::{
    NewGeneration, ProcessedGenerationModel, UsageSource, schema::processed_generations,
};
use mai_global_settings::MasterKey;
use mai_primitives::{
    GenerationId, ManualClock, MarkupRate, ModelName, OpenRouterUserId, OrganizationCalendar, OrganizationId,
    UnixTime, UsageDate, Usd, UserId,
};
use mai_storage::{DbConnection, Storage};
use mai_usage_tracking::{
    ClientDailyUsageModel, ClientModelDailyUsageModel, ClientUserDailyUsageModel, record_generations,
    schema::{client_daily_usage, client_model_daily_usage, client_user_daily_usage},
};
use tokio_util::sync::CancellationToken;

use crate::{
    AnomalyModel, Batch, BatchSettings, Claim, RunModel, Schedule, StartedBy, StepModel, StepStatus, Wanted,
    schema::{day_validations, usage_anomalies},
    steps::validation::DayValidationModel,
};

fn org(name: &str) -> OrganizationId {
    OrganizationId::new(name).unwrap()
}

fn day(text: &str) -> UsageDate {
    UsageDate::parse(text).unwrap()
}

fn clock(at: &str) -> ManualClock {
    ManualClock::at(at.parse().unwrap())
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn settings() -> BatchSettings {
    BatchSettings {
        schedule: Schedule {
            calendar: OrganizationCalendar::default(),
            time: Schedule::time("13:00").unwrap(),
        },
        retention_days: 60,
        backups: None,
        lease_seconds: 60,
        at_once: 3,
        sources: None,
    }
}

fn batch(storage: &Storage, clock: &ManualClock, process: &str) -> Batch {
    Batch::new(storage.clone(), Arc::new(clock.clone()), settings(), process).0
}

/// Does what is due.
fn catch_up(batch: &Batch) -> Vec<RunModel> {
    wait(batch.catch_up(&CancellationToken::new())).unwrap()
}

fn wanted(date: &str, is_forced: bool) -> Wanted {
    Wanted { processing_date: Some(day(date)), is_forced, started_by: StartedBy::Api }
}

/// Does a run of a date, and returns it with its steps.
fn do_run(batch: &Batch, date: &str, is_forced: bool) -> (RunModel, Vec<StepModel>) {
    let run = match wait(batch.claim(wanted(date, is_forced), &Actor::system())).unwrap() {
        Claim::Done(run) => run,
        Claim::Mine(claimed) => {
            wait(batch.work_off(claimed, &CancellationToken::new())).unwrap().pop().unwrap()
        }
    };
    wait(batch.run(&run.id)).unwrap()
}

/// The result of a step, which must have succeeded.
fn details(steps: &[StepModel], name: &str) -> serde_json::Value {
    let step = steps.iter().find(|step| step.name == name).unwrap();
    assert_eq!((step.status, &step.error), (StepStatus::Succeeded, &None), "{name}");
    serde_json::from_str(&step.details).unwrap()
}

fn create_organization(storage: &Storage, name: &str, clock: &ManualClock) {
    let table = ClientOrganizationTable::new(
        storage.clone(),
        MasterKey::generate().unwrap(),
        Arc::new(clock.clone()),
    );
    let form = ClientOrganizationForm {
        id: Some(org(name)),
        name: format!("Company {name}"),
        ..ClientOrganizationForm::default()
    };
    wait(table.create(form)).unwrap();
}

/// A generation of 15 tokens by a member with a model, for which the client pays 1.5 times the cost.
fn used(org_name: &str, id: &str, date: &str, user: &str, model: &str, nanos: i64) -> NewGeneration {
    NewGeneration {
        client_org_id: org(org_name),
        id: GenerationId::new(id).unwrap(),
        generation_date: day(date),
        total_cost: Usd::from_nanos(nanos),
        cost_text: Usd::from_nanos(nanos).to_string(),
        markup_rate: MarkupRate::parse("1.5").unwrap(),
        user_id: UserId::new(user).unwrap(),
        openrouter_user_id: OpenRouterUserId::new(format!("{org_name}_user_{user}")).unwrap(),
        model_name: ModelName::new(model).unwrap(),
        requested_model: None,
        serving_provider: None,
        input_tokens: 10,
        output_tokens: 5,
        cached_tokens: None,
        cache_write_tokens: None,
        reasoning_tokens: None,
        is_byok: false,
        tokens_estimated: false,
        streamed: false,
        source: UsageSource::Gateway,
        gateway_key_id: None,
        task: None,
        started_at: OrganizationCalendar::default().start_of(day(date)).plus_seconds(43_200),
    }
}

fn record(storage: &Storage, generations: &[NewGeneration], now: UnixTime) {
    for generation in generations {
        let one = std::slice::from_ref(generation);
        let write = |conn: &mut DbConnection| record_generations(conn, &generation.client_org_id, one, now);
        let recorded = storage.write_blocking(write).unwrap();
        assert!(matches!(recorded[..], [mai_usage_tracking::Recorded::New]), "{recorded:?}");
    }
}

/// Changes rows behind the recorder's back.
fn spoil(storage: &Storage, change: impl Fn(&mut DbConnection) -> QueryResult<usize>) {
    let changed = storage.write_blocking(|conn| Ok::<_, mai_storage::Error>(change(conn)?)).unwrap();
    assert_eq!(changed, 1);
}

/// Everything that a run may change but its own records and the cleanup's log.
#[derive(Debug, PartialEq)]
struct Dump {
    days: Vec<ClientDailyUsageModel>,
    users: Vec<ClientUserDailyUsageModel>,
    models: Vec<ClientModelDailyUsageModel>,
    ledger: Vec<ProcessedGenerationModel>,
    validations: Vec<DayValidationModel>,
    anomalies: Vec<AnomalyModel>,
    /// Entries of the audit log but those about runs that were asked for.
    entries: Vec<AuditEntryModel>,
}

fn dump(storage: &Storage) -> Dump {
    let read = |conn: &mut DbConnection| {
        let mut dump = Dump {
            days: client_daily_usage::table.load(conn)?,
            users: client_user_daily_usage::table.load(conn)?,
            models: client_model_daily_usage::table.load(conn)?,
            ledger: processed_generations::table.load(conn)?,
            validations: day_validations::table.load(conn)?,
            anomalies: usage_anomalies::table.load(conn)?,
            entries: Vec::new(),
        };
        dump.days.sort_by_key(ClientDailyUsageModel::id);
        dump.users.sort_by_key(ClientUserDailyUsageModel::id);
        dump.models.sort_by_key(|row| (row.client_org_id.clone(), row.usage_date, row.model_name.clone()));
        dump.ledger.sort_by_key(|row| (row.client_org_id.clone(), row.id.clone()));
        dump.validations.sort_by_key(|row| (row.client_org_id.clone(), row.usage_date));
        dump.anomalies.sort_by_key(|row| (row.client_org_id.clone(), row.key()));
        Ok::<_, mai_storage::Error>(dump)
    };
    let mut dump = storage.read_blocking(read).unwrap();
    dump.entries = entries(storage).into_iter().filter(|entry| entry.action != "batch.trigger").collect();
    dump
}

fn entries(storage: &Storage) -> Vec<AuditEntryModel> {
    let log = AuditLogTable::new(storage.clone(), Arc::new(clock("2026-01-01T00:00:00Z")));
    wait(log.list(AuditQuery { limit: 100_000, ..AuditQuery::default() })).unwrap()
}

fn count_corrections(storage: &Storage) -> usize {
    let count = |conn: &mut DbConnection| {
        let entries = audit_log::table.filter(audit_log::action.eq("usage.correct")).count();
        Ok::<_, mai_storage::Error>(entries.get_result::<i64>(conn)?)
    };
    usize::try_from(storage.read_blocking(count).unwrap()).unwrap()
}

fn corrections(storage: &Storage) -> Vec<AuditEntryModel> {
    entries(storage).into_iter().filter(|entry| entry.action == "usage.correct").collect()
}
