//! The journal's disk is full, under load: new calls are refused, open ones finish, and it recovers by itself.

use std::{
    collections::BTreeMap,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use mai_mock_openrouter::{Mock, MockSettings};
use mai_storage::testing::TestDb;
use mai_tests::{
    client::{Client, read},
    gateway::Installation,
    ledger::{assert_equal_to_mock, rows, wait_until},
    run,
};
use tokio::task::JoinSet;

/// Streams that are open when the disk is full.
const OPEN: u64 = 20;

#[test]
fn a_full_disk_refuses_new_calls_finishes_open_ones_and_recovers_by_itself() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings { keep_requests: 0, ..MockSettings::default() }).unwrap();
    let installation = Installation::new(&database, &mock);
    let organization = installation.organization("Disk");
    let gateway = installation.serve_on_a_small_disk();
    let client = Client::new(&gateway.base, &organization.key);

    // Nothing leaves the journal while somebody else writes to the database.
    let writer = Writer::occupy(&database);
    let received = run(async {
        let mut streams = JoinSet::new();
        for number in 0..OPEN {
            let response = client.open("mock/slow-20,long-stream-1000", true, number).await.unwrap();
            assert!(response.status().is_success());
            streams.spawn(read(response));
        }
        let mut received = fill_up(&client).await;
        let (_, ready) = gateway.ready().await;
        assert!(ready["checks"]["journal"].as_str().unwrap().contains("disk"), "{ready}");
        for answer in streams.join_all().await {
            assert!(answer.complete, "an open stream was cut: {}", String::from_utf8_lossy(&answer.body));
            received.push(answer.generation.unwrap());
        }
        received
    });
    writer.leave();
    wait_until("new calls are taken again", || {
        run(client.chat("mock/ok", false, 1)).is_some_and(|answer| answer.status.is_success())
    });
    assert_equal_to_mock(&database.storage, &organization.id, &mock);
    let booked = rows(&database.storage, &organization.id);
    let sources = booked.values().fold(BTreeMap::new(), |mut counts, row| {
        *counts.entry(row.source.as_str()).or_insert(0) += 1;
        counts
    });
    println!("{} answers received until the disk was full, booked by {sources:?}", received.len());
    for id in &received {
        assert!(booked.contains_key(id), "{id} reached a client and is not booked");
    }
    assert!(gateway.stop().success());
}

/// Calls until the gateway refuses one for want of space; the ids of those that were answered.
async fn fill_up(client: &Client) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut ids = Vec::new();
    loop {
        let mut calls = JoinSet::new();
        for seed in 0..32 {
            let client = client.clone();
            calls.spawn(async move { client.chat("mock/ok", false, seed).await.unwrap() });
        }
        let answers = calls.join_all().await;
        let refused = answers.iter().find(|answer| !answer.status.is_success());
        if let Some(refused) = refused {
            assert_eq!(
                (refused.status.as_u16(), refused.error_code().as_str()),
                (503, "recording_unavailable")
            );
            assert!(String::from_utf8_lossy(&refused.body).contains("disk"), "the text says why");
        }
        let done = refused.is_some();
        ids.extend(
            answers.into_iter().filter(|answer| answer.complete).filter_map(|answer| answer.generation),
        );
        if done {
            return ids;
        }
        assert!(Instant::now() < deadline, "the disk is not full after {} calls", ids.len());
    }
}

/// Holds the only write transaction that SQLite allows.
struct Writer {
    leave: mpsc::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl Writer {
    fn occupy(database: &TestDb) -> Self {
        let (leave, left) = mpsc::channel::<()>();
        let (began, has_begun) = mpsc::channel::<()>();
        let storage = database.storage.clone();
        let thread = thread::spawn(move || {
            let held = storage.write_blocking(|_| {
                began.send(()).unwrap();
                // Ends also when the test has failed and is gone.
                let _ = left.recv();
                Ok::<_, mai_storage::Error>(())
            });
            held.unwrap();
        });
        has_begun.recv().unwrap();
        Self { leave, thread }
    }

    fn leave(self) {
        self.leave.send(()).unwrap();
        self.thread.join().unwrap();
    }
}
