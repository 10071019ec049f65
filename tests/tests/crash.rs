//! SIGKILL under load: what reached a client is booked once, whatever the moment.

use std::time::Duration;

use mai_mock_openrouter::{Mock, MockSettings};
use mai_tests::{
    gateway::Installation,
    ledger::{assert_consistent, pending, rows, wait_until},
    load, on_each_database, run,
};

#[test]
fn no_call_that_a_client_received_is_missing_or_doubled_after_a_kill() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings { keep_requests: 0, ..MockSettings::default() }).unwrap();
        let installation = Installation::new(database, &mock);
        let organization = installation.organization("Crash");
        let gateway = installation.serve();
        let base = gateway.base.clone();
        let received = run(async {
            let killing = async {
                // In the midst of it, and not before it has begun.
                while mock.charge_count() < 200 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                gateway.kill();
            };
            let (received, ()) = tokio::join!(load::mixed(&base, &organization.key, 3_000, 16, 2), killing);
            received.ids()
        });
        assert!(received.len() > 50, "only {} answers came before the kill", received.len());

        let gateway = installation.serve();
        // Whatever had been opened is found by its id; nothing stays behind.
        wait_until("every received call is booked and nothing is pending", || {
            let booked = rows(&database.storage, &organization.id);
            received.iter().all(|id| booked.contains_key(id))
                && pending(&database.storage, &organization.id).is_empty()
        });
        let charges: std::collections::BTreeMap<_, _> =
            mock.ledger().into_iter().map(|charge| (charge.id.clone(), charge)).collect();
        for (id, row) in rows(&database.storage, &organization.id) {
            let charge = charges.get(&id).unwrap_or_else(|| panic!("{id} was never charged"));
            assert_eq!(row.total_cost.nanos(), mai_mock_openrouter::nano_usd(&charge.total), "{id}");
        }
        assert_consistent(&database.storage, &organization.id);
        assert!(gateway.stop().success());
    });
}
