//! SIGKILL at random moments under load: our ledger and upstream's are the same afterwards.
//!
//! `cargo xtask crash` sets `MAI_TEST_KILLS` and `MAI_TEST_SEED` for a long run.

use std::{collections::BTreeMap, thread, time::Duration};

use mai_mock_openrouter::{BroadcastTarget, Charge, Mock, MockSettings, nano_usd};
use mai_organization::generation_processing::{PendingGenerationModel, PendingState};
use mai_storage::testing::TestDb;
use mai_tests::{
    client::Client,
    gateway::{Gateway, Installation, free_port},
    ledger::{all_pending, assert_consistent, rows, wait_until},
    load::{Endless, size},
    run,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

/// Clients that call without a pause.
const CLIENTS: u64 = 16;
const BROADCAST_TOKEN: &str = "broadcast-token-of-tests";

#[test]
fn kills_on_sqlite_lose_and_double_nothing() {
    kill_and_compare(&TestDb::sqlite());
}

#[test]
fn kills_on_postgres_lose_and_double_nothing() {
    kill_and_compare(&TestDb::postgres());
}

fn kill_and_compare(database: &TestDb) {
    let (kills, seed) = (size("MAI_TEST_KILLS", 3), size("MAI_TEST_SEED", 1));
    println!("{kills} kills with seed {seed}");
    // A call that is killed before upstream has told its id is known by OpenRouter's Broadcast alone. It
    // is not heard until our own records have done what they can.
    let unheard = broadcast_to("http://127.0.0.1:9");
    let settings = MockSettings { keep_requests: 0, broadcast: Some(unheard), ..MockSettings::default() };
    let mock = Mock::start(settings).unwrap();
    let installation = Installation::new(database, &mock)
        .with("MAI_LISTEN", &format!("127.0.0.1:{}", free_port()))
        .with("MAI_BROADCAST_TOKEN", BROADCAST_TOKEN);
    let organization = installation.organization("Crash");

    let mut random = StdRng::seed_from_u64(seed);
    let mut gateway = installation.serve();
    let load = Endless::start(&Client::new(&gateway.base, &organization.key), CLIENTS, seed);
    for _ in 0..kills {
        let calls = load.answered() + random.random_range(20..400);
        wait_until("the load goes on", || load.answered() >= calls);
        thread::sleep(Duration::from_micros(random.random_range(0..20_000)));
        gateway.kill();
        gateway = installation.serve();
    }
    let received = load.stop();
    wait_until_settled(&gateway, database, &organization.id);
    let own = rows(&database.storage, &organization.id);
    let charges: BTreeMap<String, Charge> =
        mock.ledger().into_iter().map(|charge| (charge.id.clone(), charge)).collect();
    let unknown: Vec<_> = charges.keys().filter(|id| !own.contains_key(*id)).collect();
    let unanswered = all_pending(&database.storage, &organization.id);
    println!(
        "{} answers received, {} generations charged; {} booked by our own records, {} calls noted as never answered",
        received.len(),
        charges.len(),
        own.len(),
        unanswered.len(),
    );
    for id in &received {
        assert!(own.contains_key(id), "{id} reached a client and is not booked");
    }
    assert!(unanswered.iter().all(is_unanswered), "{unanswered:?}");
    assert!(unknown.len() <= unanswered.len(), "{unknown:?} left no trace");

    mock.broadcast_to(Some(broadcast_to(&gateway.base)));
    wait_until("upstream has told everything", || mock.pending_broadcasts() == 0);
    wait_until_settled(&gateway, database, &organization.id);
    let booked = rows(&database.storage, &organization.id);
    let lost = charges.keys().filter(|id| !booked.contains_key(*id)).count();
    let invented = booked.keys().filter(|id| !charges.contains_key(*id)).count();
    let (ours, theirs) =
        (booked.values().map(|row| row.total_cost.nanos()).sum::<i64>(), mock.total_nano_usd());
    println!(
        "{} more told by Broadcast; {lost} lost, {invented} invented; sums {ours} and {theirs} nano-USD",
        booked.len() - own.len()
    );
    assert_eq!((lost, invented, ours), (0, 0, theirs));
    for (id, charge) in &charges {
        assert_eq!(booked[id].total_cost.nanos(), nano_usd(&charge.total), "{id}");
    }
    assert_consistent(&database.storage, &organization.id);
    assert!(gateway.stop().success());
}

fn broadcast_to(base: &str) -> BroadcastTarget {
    BroadcastTarget {
        headers: vec![("authorization".to_owned(), format!("Bearer {BROADCAST_TOKEN}"))],
        until_accepted: true,
        ..BroadcastTarget::new(format!("{base}/api/v1/usage-tracking/webhook/openrouter-broadcast"))
    }
}

/// Upstream never told an id, so there is nothing to look up.
fn is_unanswered(row: &PendingGenerationModel) -> bool {
    row.state == PendingState::Unresolved && row.id.as_str().starts_with("mai-")
}

fn wait_until_settled(gateway: &Gateway, database: &TestDb, organization: &str) {
    wait_until("the journal is applied", || run(gateway.ready()).1["journal_lag_bytes"] == 0);
    wait_until("every look-up is done", || {
        all_pending(&database.storage, organization).iter().all(|row| row.state == PendingState::Unresolved)
    });
}
