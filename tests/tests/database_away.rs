//! The database is taken away under load and brought back, and is away at the start: every call is
//! answered, and afterwards the ledgers are equal.
//!
//! `MAI_TEST_AWAY_SECONDS` says for how long; `cargo xtask acceptance` takes 60.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use mai_mock_openrouter::{Mock, MockSettings};
use mai_storage::{PoolSettings, Storage};
use mai_tests::{
    client::Client,
    gateway::{Gateway, Installation, Organization},
    ledger::{assert_equal_to_mock, rows, wait_until},
    postgres::Cluster,
    run,
};
use reqwest::StatusCode;
use tokio::task::JoinSet;

/// How many clients call at once, and the pause of each between two calls: a load that leaves room.
const CLIENTS: u64 = 8;
const PAUSE: Duration = Duration::from_millis(20);

/// By how much the gateway may grow while the database is away, in KiB.
const GROWTH: i64 = 50 * 1024;

fn away() -> Duration {
    let seconds = std::env::var("MAI_TEST_AWAY_SECONDS").map_or(4, |text| text.parse().expect("a number"));
    Duration::from_secs(seconds)
}

fn mock() -> Mock {
    Mock::start(MockSettings { keep_requests: 0, keep_bodies: false, ..MockSettings::default() }).unwrap()
}

fn storage(cluster: &Cluster) -> Storage {
    Storage::open(&cluster.url().parse().unwrap(), PoolSettings::default())
}

/// Clients that call without end. Every call must be answered whole and well.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    clients: JoinSet<()>,
}

impl Load {
    fn start(base: &str, key: &str) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut clients = JoinSet::new();
        for one in 0..CLIENTS {
            let (client, stop, answered) = (Client::new(base, key), Arc::clone(&stop), Arc::clone(&answered));
            clients.spawn(async move {
                let mut call = 0;
                while !stop.load(Ordering::Relaxed) {
                    call += 1;
                    let answer = client.chat("mock/ok", call % 2 == 0, one * 1_000_000 + call).await;
                    let answer = answer.expect("an answer");
                    assert!(answer.status.is_success() && answer.complete, "{answer:?}");
                    answered.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(PAUSE).await;
                }
            });
        }
        Self { stop, answered, clients }
    }

    /// Waits until some more calls were answered.
    async fn more(&mut self, calls: u64) {
        let enough = self.answered.load(Ordering::Relaxed) + calls;
        while self.answered.load(Ordering::Relaxed) < enough {
            tokio::time::sleep(Duration::from_millis(10)).await;
            if let Some(ended) = self.clients.try_join_next() {
                ended.expect("a client goes on");
            }
        }
    }

    async fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.clients.join_next().await {
            ended.expect("every call was answered");
        }
        self.answered.load(Ordering::Relaxed)
    }
}

/// Many callers of the API at once learn that the database is away; none waits for it to come back.
async fn assert_api_is_unavailable(gateway: &Gateway, organization: &Organization) {
    let mut callers = JoinSet::new();
    for _ in 0..50 {
        let client = Client::new(&gateway.base, &organization.token);
        callers
            .spawn(async move { client.get("/api/v1/usage-tracking/my-organization/usage-summary").await });
    }
    while let Some(answer) = callers.join_next().await {
        let answer = answer.unwrap();
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.json()["code"], "database_unavailable");
    }
}

/// The figures of `/metrics` as text.
async fn metrics(gateway: &Gateway) -> String {
    let answer = Client::new(&gateway.base, "reseller-token-of-tests-0123456789").get("/metrics").await;
    assert_eq!(answer.status, StatusCode::OK);
    String::from_utf8(answer.body).unwrap()
}

/// Ready all the same, with warnings that say what is wrong.
async fn assert_warns(gateway: &Gateway) {
    let (ok, ready) = gateway.ready().await;
    assert!(ok && ready["ready"] == true, "{ready}");
    assert!(ready["warnings"].as_array().unwrap().contains(&"database".into()), "{ready}");
    let why = ready["checks"]["database"].as_str().unwrap();
    assert!(why.contains("cannot be reached"), "{ready}");
}

fn wait_until_fine(gateway: &Gateway) {
    wait_until("nothing is wrong any more", || {
        let (ok, ready) = run(gateway.ready());
        ok && ready["warnings"] == serde_json::json!([]) && ready["journal_lag_bytes"] == 0
    });
}

#[test]
fn a_database_that_goes_away_under_load_and_comes_back_costs_nothing() {
    let (mut cluster, mock) = (Cluster::start_new(), mock());
    let installation = Installation::on(&cluster.url(), &mock);
    let organization = installation.organization("Away");
    let gateway = installation.serve();
    let calls = run(async {
        let mut load = Load::start(&gateway.base, &organization.key);
        load.more(300).await;
        let before = gateway.resident_kib();
        cluster.kill();
        let gone = std::time::Instant::now();
        load.more(50).await;
        assert_api_is_unavailable(&gateway, &organization).await;
        assert_warns(&gateway).await;
        let (_, ready) = gateway.ready().await;
        let why = ready["checks"]["applier"].as_str().unwrap();
        assert!(why.starts_with("records wait in the journal: the database cannot be reached"), "{ready}");
        assert!(metrics(&gateway).await.contains("\nmai_applier_failing 1\n"));
        while gone.elapsed() < away() {
            load.more(20).await;
        }
        let after = gateway.resident_kib();
        println!("away for {:?}; resident memory {before} KiB before, {after} KiB after", gone.elapsed());
        assert!(after - before < GROWTH, "{before} KiB before, {after} KiB after");
        tokio::task::block_in_place(|| cluster.start());
        load.more(100).await;
        load.end().await
    });
    let storage = storage(&cluster);
    assert_equal_to_mock(&storage, &organization.id, &mock);
    assert_eq!(rows(&storage, &organization.id).len(), usize::try_from(calls).unwrap());
    println!("{calls} calls, each in the ledger with its exact cost");
    wait_until_fine(&gateway);
    assert!(gateway.stop().success());
}

#[test]
fn a_gateway_starts_without_its_database_from_the_last_snapshot() {
    let (mut cluster, mock) = (Cluster::start_new(), mock());
    let installation = Installation::on(&cluster.url(), &mock);
    let organization = installation.organization("Away");
    // The first start writes the snapshot.
    let gateway = installation.serve();
    assert!(run(Client::new(&gateway.base, &organization.key).chat("mock/ok", true, 1)).is_some());
    assert!(gateway.stop().success());

    cluster.stop();
    // Twice, so that the second one finds the journal of the first, which saw no database either.
    for round in 0..2 {
        let gateway = installation.serve();
        run(async {
            let mut load = Load::start(&gateway.base, &organization.key);
            load.more(100).await;
            assert_api_is_unavailable(&gateway, &organization).await;
            assert_warns(&gateway).await;
            load.end().await;
        });
        if round == 0 {
            gateway.kill();
            continue;
        }
        let before = gateway.resident_kib();
        let calls = run(async {
            let mut load = Load::start(&gateway.base, &organization.key);
            let gone = std::time::Instant::now();
            while gone.elapsed() < away() {
                load.more(20).await;
            }
            let after = gateway.resident_kib();
            println!("away for {:?}; resident memory {before} KiB before, {after} KiB after", gone.elapsed());
            assert!(after - before < GROWTH, "{before} KiB before, {after} KiB after");
            tokio::task::block_in_place(|| cluster.start());
            load.more(100).await;
            load.end().await
        });
        let storage = storage(&cluster);
        assert_equal_to_mock(&storage, &organization.id, &mock);
        println!("{calls} calls, {} in the ledger in all", rows(&storage, &organization.id).len());
        wait_until_fine(&gateway);
        // The directory is that of the database again.
        let key = installation.key(&organization.id, &[]);
        let client = Client::new(&gateway.base, &key);
        wait_until("a key that was made meanwhile works", || {
            run(client.chat("mock/ok", false, 7)).is_some_and(|answer| answer.status.is_success())
        });
        assert!(gateway.stop().success());
    }
}

#[test]
fn a_start_that_cannot_be_right_is_refused_with_the_reason() {
    let (mut cluster, mock) = (Cluster::start_new(), mock());
    let installation = Installation::on(&cluster.url(), &mock);
    installation.organization("Away");
    let snapshot = installation.data.path().join("directory-snapshot");

    // The database is there and lets nobody in: the snapshot is no way around that.
    assert!(installation.serve().stop().success());
    assert!(snapshot.exists());
    let elsewhere = cluster.url().replacen("/postgres?", "/no_such_database?", 1);
    let installation = installation.with("MAI_DATABASE_URL", &elsewhere);
    let said = installation.refuses_to_serve();
    assert!(said.contains("no_such_database") && said.contains("refuses"), "{said}");

    cluster.stop();
    let installation = installation.with("MAI_DATABASE_URL", &cluster.url());
    assert!(installation.serve().stop().success());
    let other_key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let installation = installation.with("MAI_MASTER_KEY", other_key);
    let said = installation.refuses_to_serve();
    assert!(said.contains("belongs to the master key") && said.contains("cannot be reached"), "{said}");
    let installation = installation.with("MAI_MASTER_KEY", "");
    let mut text = std::fs::read(&snapshot).unwrap();
    let middle = text.len() / 2;
    text[middle] ^= 1;
    std::fs::write(&snapshot, text).unwrap();
    let said = installation.refuses_to_serve();
    assert!(said.contains("is damaged") && said.contains("cannot be reached"), "{said}");
    std::fs::remove_file(&snapshot).unwrap();
    let said = installation.refuses_to_serve();
    assert!(said.contains("there is no snapshot") && said.contains("cannot be reached"), "{said}");
}

#[test]
fn nothing_is_written_to_a_schema_that_is_not_up_to_date() {
    let (mut cluster, mock) = (Cluster::start_new(), mock());
    let installation = Installation::on(&cluster.url(), &mock);
    let organization = installation.organization("Away");
    assert!(installation.serve().stop().success());
    cluster.stop();
    // Another database, which has no tables yet.
    let installation =
        installation.with("MAI_DATABASE_URL", &cluster.url().replacen("/postgres?", "/template1?", 1));
    let gateway = installation.serve_with(&["--no-migrate"]);
    let client = Client::new(&gateway.base, &organization.key);
    assert!(run(client.chat("mock/ok", true, 1)).is_some_and(|answer| answer.status.is_success()));
    cluster.start();
    wait_until("the missing schema is noticed", || {
        let (ok, ready) = run(gateway.ready());
        assert!(ok, "{ready}");
        ready["checks"]["database"]
            .as_str()
            .is_some_and(|text| text.contains("run `mai-usage migrate` first"))
    });
    run(assert_api_is_unavailable(&gateway, &organization));
    assert!(run(client.chat("mock/ok", true, 2)).is_some_and(|answer| answer.status.is_success()));
    assert!(installation.run(&["migrate"]).status.success());
    wait_until("the database is in use", || {
        let (_, ready) = run(gateway.ready());
        ready["checks"]["database"] == "ok" && ready["journal_lag_bytes"] == 0
    });
    assert!(gateway.stop().success());
}
