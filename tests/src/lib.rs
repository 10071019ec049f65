//! A harness that drives the real binary over TCP, as its users do.
//!
//! The outside world is the mock OpenRouter; the database, the journal, the sockets and the signals
//! are real. `cargo xtask test` builds the binary before it runs these tests.

pub mod browser;
pub mod chrome;
pub mod client;
pub mod exported;
pub mod fake_registry;
pub mod gateway;
pub mod identity;
pub mod ledger;
pub mod load;
pub mod mail_server;
pub mod management;
pub mod open_webui;
pub mod postgres;
pub mod reports;
pub mod showcase;
pub mod statistics;
pub mod upstream;
pub mod visitor;
pub mod webhook_receiver;

use mai_storage::{DatabaseUrl, testing::TestDb};

/// Runs a test on SQLite and on PostgreSQL, each with a database of its own.
pub fn on_each_database(test: impl Fn(&TestDb)) {
    println!("on SQLite");
    test(&TestDb::sqlite());
    println!("on PostgreSQL");
    test(&TestDb::postgres());
}

/// The URL as the binary reads it, with its password.
pub fn database_url(database: &TestDb) -> String {
    match database.storage.url() {
        DatabaseUrl::Sqlite(path) => format!("sqlite:{}", path.display()),
        DatabaseUrl::Postgres(url) => url.clone(),
    }
}

/// What our HTTP clients take their TLS from, also where a test of the same process has done it before.
pub fn install_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Runs asynchronous test code to its end, on two threads.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    install_tls();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(test)
}
