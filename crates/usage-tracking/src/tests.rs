//! Tests on both databases, and the values that they share.

mod arrival;
mod assign;
mod assign_model;
mod concurrency;
mod drift;
mod exports;
mod fleet;
mod model_check;
mod monthly;
mod old;
mod pln;
mod rates;
mod rebuild;
mod record;
mod repetition;
mod service;
mod statistics;
mod verify;
mod verify_all;

use std::sync::Arc;

use mai_client_organization::{ClientOrganizationForm, ClientOrganizationTable};
use mai_exchange_rates::PublishedRate;
use mai_generation_processing::{NewGeneration, UsageSource};
use mai_global_settings::MasterKey;
use mai_primitives::{
    GenerationId, ManualClock, MarkupRate, ModelName, OpenRouterUserId, OrganizationId, UnixTime, UsageDate,
    Usd, UsdPlnRate, UserId,
};
use mai_storage::{DbConnection, Storage};

use crate::{
    ClientUsageTable, Recorded, Result, Totals,
    day_rates::fix,
    model::{ClientDailyUsageModel, ClientModelDailyUsageModel, ClientUserDailyUsageModel},
    monthly::{MonthDifference, compare_month},
    query, record_generations,
    verify::{Mismatch, check_days},
};

/// 2026-07-15T12:00:00Z, a Wednesday; 14:00 in Warsaw.
const NOON: UnixTime = UnixTime::from_seconds(1_784_116_800);

fn org(name: &str) -> OrganizationId {
    OrganizationId::new(name).unwrap()
}

fn id(name: &str) -> GenerationId {
    GenerationId::new(name).unwrap()
}

fn model(name: &str) -> ModelName {
    ModelName::new(name).unwrap()
}

fn day(text: &str) -> UsageDate {
    UsageDate::parse(text).unwrap()
}

fn clock(at: &str) -> ManualClock {
    ManualClock::at(at.parse().unwrap())
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
}

fn service(storage: &Storage, clock: &ManualClock) -> ClientUsageTable {
    ClientUsageTable::new(storage.clone(), Arc::new(clock.clone()))
}

/// Stores an organization of the zone Europe/Warsaw with the markup 1.5.
fn create_organization(storage: &Storage, name: &str, clock: &ManualClock) -> ClientOrganizationTable {
    let table = ClientOrganizationTable::new(
        storage.clone(),
        MasterKey::generate().unwrap(),
        Arc::new(clock.clone()),
    );
    let form = ClientOrganizationForm {
        id: Some(org(name)),
        name: format!("Company {name}"),
        markup_rate: Some(MarkupRate::parse("1.5").unwrap()),
        ..ClientOrganizationForm::default()
    };
    wait(table.create(form)).unwrap();
    table
}

/// A generation of organization `a` on 2026-07-15 by anna with openai/o3: 10 + 5 tokens for 1,000
/// nano-dollars, 1,500 to the client.
fn generation(name: &str) -> NewGeneration {
    NewGeneration {
        client_org_id: org("a"),
        id: id(name),
        generation_date: day("2026-07-15"),
        total_cost: Usd::from_nanos(1_000),
        cost_text: "0.000001".into(),
        markup_rate: MarkupRate::parse("1.5").unwrap(),
        user_id: UserId::new("anna").unwrap(),
        openrouter_user_id: OpenRouterUserId::new("a_user_0123456789abcdef").unwrap(),
        model_name: model("openai/o3"),
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
        started_at: NOON,
    }
}

/// As [`generation`], by another member with another model.
fn used(name: &str, user: &str, model_name: &str, tokens: i64, nanos: i64) -> NewGeneration {
    let mut new = generation(name);
    new.user_id = UserId::new(user).unwrap();
    new.openrouter_user_id = OpenRouterUserId::new(format!("a_user_{user}")).unwrap();
    new.model_name = model(model_name);
    (new.input_tokens, new.output_tokens) = (tokens, 0);
    new.total_cost = Usd::from_nanos(nanos);
    new
}

fn on(date: &str, mut new: NewGeneration) -> NewGeneration {
    new.generation_date = day(date);
    new
}

fn try_record(storage: &Storage, generations: &[NewGeneration]) -> Result<Vec<Recorded>> {
    storage.write_blocking(|conn| record_generations(conn, &org("a"), generations, NOON))
}

fn record(storage: &Storage, generations: &[NewGeneration]) -> Vec<Recorded> {
    try_record(storage, generations).unwrap()
}

/// Every daily row of an organization.
#[derive(Debug, PartialEq)]
struct Books {
    days: Vec<ClientDailyUsageModel>,
    users: Vec<ClientUserDailyUsageModel>,
    models: Vec<ClientModelDailyUsageModel>,
}

fn books(storage: &Storage) -> Books {
    books_of(storage, &org("a"))
}

fn books_of(storage: &Storage, org: &OrganizationId) -> Books {
    let (from, to) = (day("2000-01-01"), day("2100-01-01"));
    let read = |conn: &mut DbConnection| {
        Ok::<_, mai_storage::Error>(Books {
            days: query::daily_rows(conn, org, from, to)?,
            users: query::user_daily_rows(conn, org, from, to)?,
            models: query::model_daily_rows(conn, org, from, to)?,
        })
    };
    storage.read_blocking(read).unwrap()
}

/// Changes one row behind the recorder's back.
fn spoil(storage: &Storage, change: impl Fn(&mut DbConnection) -> diesel::QueryResult<usize>) {
    let changed = storage.write_blocking(|conn| Ok::<_, mai_storage::Error>(change(conn)?)).unwrap();
    assert_eq!(changed, 1);
}

fn totals(tokens: i64, requests: i64, raw: i64, markup: i64) -> Totals {
    Totals { tokens, requests, raw_cost: Usd::from_nanos(raw), markup_cost: Usd::from_nanos(markup) }
}

/// A table of NBP with this rate in ten-thousandths.
fn rate(date: &str, steps: i64) -> PublishedRate {
    PublishedRate {
        effective_date: day(date),
        table_no: "001/A/NBP/2026".into(),
        rate: UsdPlnRate::from_ten_thousandths(steps).unwrap(),
        fetched_at: NOON,
    }
}

/// Gives a day of an organization its rate as the job does, if it has usage and no rate.
fn give_rate(storage: &Storage, org: &OrganizationId, date: &str, steps: i64) {
    storage.write_blocking(|conn| fix(conn, org, &[(day(date), rate(date, steps))])).unwrap();
}

/// What disagrees on any day or in any month of an organization.
fn mismatches(storage: &Storage, org: &OrganizationId) -> Vec<Mismatch> {
    let check = |conn: &mut DbConnection| {
        let found = check_days(conn, org, day("2000-01-01"), day("2100-01-01"), None)?;
        assert_eq!(wrong_months(conn, org)?, []);
        Ok::<_, crate::Error>(found)
    };
    storage.read_blocking(check).unwrap()
}

/// The rows of the months of 2026 that are not what the daily rows add up to.
fn wrong_months(conn: &mut DbConnection, org: &OrganizationId) -> Result<Vec<MonthDifference>> {
    let mut wrong = Vec::new();
    for month in 1..=12 {
        wrong.extend(compare_month(conn, org, day(&format!("2026-{month:02}-01")))?);
    }
    Ok(wrong)
}
