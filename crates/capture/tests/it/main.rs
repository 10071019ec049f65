//! The metered road on real parts: a TCP upstream, a journal on disk, both databases.
#![cfg(test)]

mod applying;
mod assigning;
mod away;
mod books;
mod carrying;
mod drifting;
mod hostile;
mod in_turn;
mod keeping;
mod leaving;
mod limiting;
mod looking_up;
mod noticing;
mod passing;
mod raw;
mod recovering;
mod refusing;
mod reporting;
mod road;
mod routes;
mod uploading;

use std::time::{Duration, Instant};

/// How long something that must happen may take; only what never happens takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something is true, and fails with its name if it does not become so.
async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Runs asynchronous code to its end.
fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}
