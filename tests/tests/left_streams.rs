//! Streams of every route whose clients leave at random points: each ends with upstream's exact cost.
//!
//! `MAI_TEST_LEFT` sets how many on each database; `cargo xtask acceptance` runs 1,000.

use mai_mock_openrouter::{Mock, MockSettings};
use mai_organization::generation_processing::PendingState;
use mai_tests::{
    client::Client,
    gateway::Installation,
    ledger::{all_pending, assert_equal_to_mock, rows},
    load::size,
    on_each_database, run,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use reqwest::Response;
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// The routes whose answers come piece by piece.
const ROUTES: [&str; 5] =
    ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/v1/audio/speech"];

/// What upstream does meanwhile. Some providers go on without a listener and bill the whole answer.
const SHAPES: [&str; 4] =
    ["mock/slow-1", "mock/slow-2,no-abort", "mock/comments,slow-1", "mock/split-random"];

/// Clients at once.
const CLIENTS: u64 = 32;

#[test]
fn every_left_stream_ends_with_the_exact_cost() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings { keep_requests: 0, ..MockSettings::default() }).unwrap();
        let installation = Installation::new(database, &mock);
        let organization = installation.organization("Left");
        let gateway = installation.serve();
        let streams = size("MAI_TEST_LEFT", 100);
        run(async {
            let client = Client::new(&gateway.base, &organization.key);
            let mut workers = JoinSet::new();
            for worker in 0..CLIENTS {
                let client = client.clone();
                workers.spawn(async move {
                    for number in (worker..streams).step_by(32) {
                        leave(&client, number).await;
                    }
                });
            }
            while let Some(done) = workers.join_next().await {
                done.unwrap();
            }
        });
        mai_tests::ledger::wait_until("upstream has charged every stream", || mock.charge_count() == streams);
        assert_equal_to_mock(&database.storage, &organization.id, &mock);

        let booked = rows(&database.storage, &organization.id);
        let cancelled = mock.ledger().iter().filter(|charge| charge.cancelled).count();
        let looked_up = booked.values().filter(|row| row.source.as_str() == "generation_lookup").count();
        println!(
            "{streams} streams left, {} booked, {cancelled} cancelled upstream, {looked_up} looked up",
            booked.len()
        );
        assert!(cancelled > 0 && looked_up >= cancelled, "too few were left in the middle");
        // OpenRouter bills nothing where not one token was delivered, and we do not either.
        let free = mock.ledger().iter().filter(|charge| charge.total.is_zero()).count();
        assert_eq!(booked.values().filter(|row| row.total_cost.nanos() == 0).count(), free);
        assert!(booked.len() > 4 * free, "{free} of them are free");
        assert!(booked.values().all(|row| !row.tokens_estimated), "a count is estimated");
        let unresolved = all_pending(&database.storage, &organization.id);
        assert!(unresolved.iter().all(|row| row.state != PendingState::Unresolved), "{unresolved:?}");
        assert!(gateway.stop().success());
    });
}

/// Begins a stream and leaves it somewhere: before its first byte, in its midst, or near its end.
async fn leave(client: &Client, number: u64) {
    let mut random = StdRng::seed_from_u64(number);
    let route = ROUTES[random.random_range(0..ROUTES.len())];
    let shape = SHAPES[random.random_range(0..SHAPES.len())];
    let request = client.post(route, &body(route, shape)).header("x-mock-seed", number);
    let mut response = request.send().await.unwrap();
    assert!(response.status().is_success(), "{route}: {}", response.status());
    let bytes = [0, 1, random.random_range(0..400), random.random_range(0..4_000)];
    read_at_most(&mut response, bytes[random.random_range(0..bytes.len())]).await;
}

async fn read_at_most(response: &mut Response, bytes: usize) {
    let mut seen = 0;
    while seen < bytes {
        let Some(chunk) = response.chunk().await.unwrap() else { return };
        seen += chunk.len();
    }
}

fn body(route: &str, model: &str) -> Value {
    match route {
        "/v1/completions" => json!({ "model": model, "stream": true, "prompt": "Once" }),
        "/v1/responses" => json!({ "model": model, "stream": true, "input": "Hello" }),
        "/v1/messages" => json!({
            "model": model, "stream": true, "max_tokens": 64,
            "messages": [{ "role": "user", "content": "Hello" }]
        }),
        "/v1/audio/speech" => json!({ "model": model, "voice": "alloy", "input": "Hello" }),
        _ => Client::chat_body(model, true),
    }
}
