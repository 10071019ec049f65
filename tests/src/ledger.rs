//! What the database says, compared with what the mock says it charged.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use mai_mock_openrouter::{Charge, Mock, nano_usd};
use mai_organization::{
    ProcessedGenerationModel,
    generation_processing::{PendingGenerationModel, PendingReason, pending, query as ledger},
    usage_tracking::{query as usage, verify},
};
use mai_primitives::{OrganizationId, UsageDate};
use mai_storage::Storage;

/// How long records may take to reach the database.
const PATIENCE: Duration = Duration::from_secs(120);

/// Every ledger row of an organization, by generation id.
pub fn rows(storage: &Storage, organization: &str) -> BTreeMap<String, ProcessedGenerationModel> {
    let id = OrganizationId::new(organization).expect("an organization id");
    let (from, to) = all_time();
    let rows = storage.read_blocking(|conn| {
        let days = usage::daily_rows(conn, &id, from, to)?;
        let rows = days.iter().map(|day| ledger::for_date(conn, &id, day.usage_date));
        Ok::<_, mai_storage::Error>(
            rows.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect::<Vec<_>>(),
        )
    });
    rows.expect("the ledger can be read").into_iter().map(|row| (row.id.to_string(), row)).collect()
}

fn all_time() -> (UsageDate, UsageDate) {
    (UsageDate::parse("2000-01-01").expect("a date"), UsageDate::parse("2100-01-01").expect("a date"))
}

/// Every generation of an organization whose cost is not known yet, or never will be. Requests that
/// upstream cut before it answered have no id to compare and are left out.
pub fn pending(storage: &Storage, organization: &str) -> Vec<PendingGenerationModel> {
    let rows = all_pending(storage, organization);
    rows.into_iter().filter(|row| row.reason != PendingReason::NoAnswer).collect()
}

/// The same with those requests.
pub fn all_pending(storage: &Storage, organization: &str) -> Vec<PendingGenerationModel> {
    let id = OrganizationId::new(organization).expect("an organization id");
    let rows = storage.read_blocking(|conn| pending::list_pending(conn, Some(&id), None, 100_000));
    rows.expect("pending rows can be read")
}

/// Waits until something is true, and fails with its name if it does not become so.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until as many generations are booked as the mock charged and none is pending, then compares
/// ids and costs one by one, and the daily tables with the ledger.
pub fn assert_equal_to_mock(storage: &Storage, organization: &str, mock: &Mock) {
    let charges: BTreeMap<String, Charge> =
        mock.ledger().into_iter().map(|charge| (charge.id.clone(), charge)).collect();
    wait_until("every charge is in the ledger", || {
        rows(storage, organization).len() >= charges.len() && pending(storage, organization).is_empty()
    });
    let booked = rows(storage, organization);
    let ids = |missing: Vec<&String>| missing.into_iter().take(5).cloned().collect::<Vec<_>>();
    let lost = ids(charges.keys().filter(|id| !booked.contains_key(*id)).collect());
    let invented = ids(booked.keys().filter(|id| !charges.contains_key(*id)).collect());
    assert!(lost.is_empty() && invented.is_empty(), "lost {lost:?}, invented {invented:?}");
    for (id, charge) in &charges {
        let row = &booked[id];
        assert_eq!(
            row.total_cost.nanos(),
            nano_usd(&charge.total),
            "cost of {id} ({})",
            charge.requested_model
        );
        assert_eq!(
            (row.input_tokens, row.output_tokens),
            (charge.prompt_tokens, charge.completion_tokens),
            "tokens of {id} ({})",
            charge.requested_model
        );
    }
    assert_consistent(storage, organization);
}

/// The three daily tables and the ledger agree exactly.
pub fn assert_consistent(storage: &Storage, organization: &str) {
    let id = OrganizationId::new(organization).expect("an organization id");
    let (from, to) = all_time();
    let mismatches = storage
        .read_blocking(|conn| verify::check_days(conn, &id, from, to, Some(from)))
        .expect("the tables can be read");
    assert!(mismatches.is_empty(), "{mismatches:?}");
}
