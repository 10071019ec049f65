//! Tests on both databases, and the values that they share.

mod by_hand;
mod cleanup;
mod ledger;
mod pending;

use std::sync::Arc;

use mai_primitives::{
    GenerationId, ManualClock, MarkupRate, ModelName, OpenRouterUserId, OrganizationId, UnixTime, UsageDate,
    Usd, UserId,
};
use mai_storage::Storage;

use crate::{
    ProcessedGenerationTable,
    model::{NewGeneration, UsageSource},
    query,
};

/// 2026-07-15T12:00:00Z.
const NOON: UnixTime = UnixTime::from_seconds(1_784_116_800);

fn org(name: &str) -> OrganizationId {
    OrganizationId::new(name).unwrap()
}

fn id(name: &str) -> GenerationId {
    GenerationId::new(name).unwrap()
}

fn day(text: &str) -> UsageDate {
    UsageDate::parse(text).unwrap()
}

/// A generation of 10 + 5 tokens and 1,000 nano-dollars.
fn generation(organization: &str, name: &str) -> NewGeneration {
    NewGeneration {
        client_org_id: org(organization),
        id: id(name),
        generation_date: day("2026-07-15"),
        total_cost: Usd::from_nanos(1_000),
        cost_text: "0.000001".into(),
        markup_rate: MarkupRate::DEFAULT,
        user_id: UserId::new("anna").unwrap(),
        openrouter_user_id: OpenRouterUserId::new("org_user_0123456789abcdef").unwrap(),
        model_name: ModelName::new("openai/o3").unwrap(),
        requested_model: None,
        serving_provider: Some("OpenAI".into()),
        input_tokens: 10,
        output_tokens: 5,
        cached_tokens: Some(0),
        cache_write_tokens: None,
        reasoning_tokens: Some(2),
        is_byok: false,
        tokens_estimated: false,
        streamed: true,
        source: UsageSource::Gateway,
        gateway_key_id: None,
        task: None,
        started_at: NOON,
    }
}

/// Writes ledger rows of organizations `a` and `b` alone, as only a test may; how many were new.
fn write_rows(storage: &Storage, generations: &[NewGeneration], processed_at: UnixTime) -> usize {
    let mut new = 0;
    for organization in ["a", "b"].map(org) {
        let its = generations.iter().filter(|one| one.client_org_id == organization);
        let rows: Vec<_> = its.map(|one| one.row(processed_at).unwrap()).collect();
        let found = storage.write_blocking(|conn| query::insert_or_lock(conn, &organization, &rows)).unwrap();
        new += found.values().filter(|booked| booked.is_none()).count();
    }
    new
}

fn table(storage: &Storage, clock: &ManualClock) -> ProcessedGenerationTable {
    ProcessedGenerationTable::new(storage.clone(), Arc::new(clock.clone()))
}

fn clock_at(time: UnixTime) -> ManualClock {
    ManualClock::at(chrono::DateTime::from_timestamp(time.seconds(), 0).unwrap())
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
}
