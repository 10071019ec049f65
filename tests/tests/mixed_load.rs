//! Thousands of calls of every shape: ours and upstream's ledger are the same, on both databases.
//!
//! `MAI_TEST_CALLS` and `MAI_TEST_CLIENTS` set the size; `cargo xtask acceptance` runs 10,000 by 50.

use mai_mock_openrouter::{Mock, MockSettings};
use mai_tests::{
    gateway::Installation,
    ledger::{assert_consistent, assert_equal_to_mock, rows},
    load, on_each_database, run,
};

#[test]
fn ledgers_are_equal_and_a_second_delivery_changes_nothing() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings { keep_requests: 0, ..MockSettings::default() }).unwrap();
        let installation = Installation::new(database, &mock);
        let organization = installation.organization("Load");
        let gateway = installation.serve();
        let (calls, clients) = (load::size("MAI_TEST_CALLS", 600), load::size("MAI_TEST_CLIENTS", 20));
        let received = run(load::mixed(&gateway.base, &organization.key, calls, clients, 1)).ids();
        assert_equal_to_mock(&database.storage, &organization.id, &mock);
        let booked = rows(&database.storage, &organization.id);
        for id in &received {
            assert!(booked.contains_key(id), "{id} reached a client and is not booked");
        }
        let sum: i64 = booked.values().map(|row| row.total_cost.nanos()).sum();
        println!("{calls} calls, {} generations, {sum} nano-USD in both ledgers", booked.len());
        assert_eq!(sum, mock.total_nano_usd());

        // Forgetting the checkpoint delivers every record of the journal once more.
        assert!(gateway.stop().success());
        let journal = installation.data.path().join("journal");
        std::fs::remove_file(journal.join("checkpoint")).unwrap();
        let gateway = installation.serve();
        mai_tests::ledger::wait_until("the journal is applied again", || {
            run(gateway.ready()).1["journal_lag_bytes"] == 0
        });
        assert!(gateway.stop().success());
        assert_eq!(rows(&database.storage, &organization.id), booked);
        assert_consistent(&database.storage, &organization.id);
    });
}
