//! Many calls of every shape at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use mai_mock_openrouter::{Behaviour, Outcome};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use tokio::task::JoinSet;

use crate::client::Client;

/// The shapes of a mixed load: those that upstream gives an id of their own, so that ledgers can be compared.
pub fn shapes() -> Vec<Behaviour> {
    let no_id = [Behaviour::NoId, Behaviour::ReusedId, Behaviour::HeadersThenNothing];
    Behaviour::ALL.iter().copied().filter(|shape| !no_id.contains(shape)).collect()
}

/// Generation ids of answers that reached a client to their last byte.
#[derive(Debug, Default, Clone)]
pub struct Received(Arc<std::sync::Mutex<Vec<String>>>);

impl Received {
    /// Adds one.
    pub fn push(&self, id: String) {
        self.0.lock().expect("not poisoned").push(id);
    }

    /// All of them.
    pub fn ids(&self) -> Vec<String> {
        self.0.lock().expect("not poisoned").clone()
    }
}

/// Makes `calls` calls by `clients` concurrent clients, streams and plain ones of every shape. Some
/// streams are left in the middle. The seed makes the choice repeatable.
pub async fn mixed(base: &str, key: &str, calls: u64, clients: u64, seed: u64) -> Received {
    let next = Arc::new(AtomicU64::new(0));
    let received = Received::default();
    let mut workers = JoinSet::new();
    for _ in 0..clients {
        let (client, next, received) = (Client::new(base, key), Arc::clone(&next), received.clone());
        workers.spawn(async move {
            loop {
                let call = next.fetch_add(1, Ordering::Relaxed);
                if call >= calls {
                    return;
                }
                one(&client, seed.wrapping_mul(1_000_003).wrapping_add(call), &received).await;
            }
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker.expect("a client does not panic");
    }
    received
}

/// One call of a random shape; false where there was no answer at all.
async fn one(client: &Client, seed: u64, received: &Received) -> bool {
    let mut random = StdRng::seed_from_u64(seed);
    let shapes = shapes();
    let shape = shapes[random.random_range(0..shapes.len())];
    let stream = random.random_bool(0.6);
    let leaves = stream && random.random_bool(0.05);
    let Ok(mut response) = client.open(&shape.model(), stream, seed).await else { return false };
    if leaves {
        // One piece, if there is one, and gone.
        let _ = response.chunk().await;
        return true;
    }
    let answer = crate::client::read(response).await;
    if answer.complete && answer.status.is_success() && shape.outcome() != Outcome::NoGeneration {
        received.push(id_of(&answer));
    }
    true
}

/// The header's id, else the first one in the body.
fn id_of(answer: &crate::client::Answer) -> String {
    if let Some(id) = &answer.generation {
        return id.clone();
    }
    let text = String::from_utf8_lossy(&answer.body);
    let from = text.find("gen-").unwrap_or_else(|| panic!("no id in {text}"));
    text[from..].chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect()
}

/// The size of a test from the environment, which `cargo xtask` sets for long runs.
pub fn size(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
}

/// Clients that call until they are told to stop, whatever becomes of their calls.
pub struct Endless {
    runtime: tokio::runtime::Runtime,
    workers: JoinSet<()>,
    state: Arc<EndlessState>,
}

#[derive(Default)]
struct EndlessState {
    answered: AtomicU64,
    stopping: AtomicBool,
    received: Received,
}

impl Endless {
    /// Starts them on threads of their own. The seed makes their choices repeatable.
    pub fn start(client: &Client, clients: u64, seed: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let (mut workers, state) = (JoinSet::new(), Arc::new(EndlessState::default()));
        for number in 0..clients {
            let (client, state) = (client.clone(), Arc::clone(&state));
            workers.spawn_on(
                async move {
                    let mut call = seed.wrapping_mul(1_000_003).wrapping_add(number << 32);
                    while !state.stopping.load(Ordering::Relaxed) {
                        call += 1;
                        if one(&client, call, &state.received).await {
                            state.answered.fetch_add(1, Ordering::Relaxed);
                        } else {
                            // The gateway is not there: a client would wait a moment, too.
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                    }
                },
                runtime.handle(),
            );
        }
        Self { runtime, workers, state }
    }

    /// How many calls had an answer.
    pub fn answered(&self) -> u64 {
        self.state.answered.load(Ordering::Relaxed)
    }

    /// Lets every client finish its call, and returns the ids of answers that came to their end.
    pub fn stop(mut self) -> Vec<String> {
        self.state.stopping.store(true, Ordering::Relaxed);
        self.runtime.block_on(async {
            while let Some(worker) = self.workers.join_next().await {
                worker.expect("a client does not panic");
            }
        });
        self.state.received.ids()
    }
}
