//! Look-ups that wait for one another, and those that must not.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use mai_generation_processing::{PendingGenerationModel, PendingReason};
use mai_openrouter::{LookupError, MockGenerationSource};
use mai_primitives::{Clock, UnixTime};
use mai_storage::testing::TestDb;
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

use crate::{
    books::{Books, clock},
    eventually,
    looking_up::{KEY, directory, directory_of, found, reconciler, store_pending, wait_for},
    run,
};

/// Three organizations wait; the key of one is limited, with or without a word for how long.
#[test]
fn a_limited_key_rests_as_long_as_it_is_told() {
    TestDb::each(|storage| {
        run(async {
            let keys = [("org_a", "key-a"), ("org_b", "key-b"), ("org_c", "key-c")];
            let directory = directory_of(storage, &keys.map(|(name, key)| (name, Some(key)))).await;
            let clock = clock();
            let many: Vec<String> = (0..40).map(|number| format!("gen-{number:02}")).collect();
            let many: Vec<&str> = many.iter().map(String::as_str).collect();
            wait_for(storage, &clock, &many);
            let began = UnixTime::from(clock.now());
            store_pending(storage, began.plus_seconds(-1), "org_b", &["gen-b"]);
            store_pending(storage, began.plus_seconds(-1), "org_c", &["gen-c"]);
            let asked = Arc::new(Mutex::new(0));
            let mut source = MockGenerationSource::new();
            let counter = Arc::clone(&asked);
            source.expect_generation().returning(move |key, id| {
                let answer = match key.expose_secret() {
                    "key-a" => {
                        *counter.lock().unwrap() += 1;
                        Err(LookupError::RateLimited { retry_after: Some(Duration::from_secs(120)) })
                    }
                    "key-c" => {
                        Err(LookupError::RateLimited { retry_after: Some(Duration::from_secs(86_400)) })
                    }
                    _ => Ok(found(id, 7)),
                };
                Box::pin(async move { answer })
            });
            let reconciler = reconciler(storage, &directory, &clock, source);
            reconciler.round().await.unwrap();
            let rows = Books::of(storage, "org_a").pending;
            let rested = |row: &PendingGenerationModel| row.next_attempt_at.seconds() - began.seconds();
            assert_eq!(rows.iter().map(rested).collect::<Vec<_>>(), [120; 40]);
            let first = *asked.lock().unwrap();
            assert!(first <= 16, "{first} of 40 were asked for at once");
            let attempts: i32 = rows.iter().map(|row| row.attempts).sum();
            assert_eq!(usize::try_from(attempts).unwrap(), first, "who was not asked for has lost nothing");
            assert_eq!(Books::of(storage, "org_b").raw_nanos(), 7);
            // Nobody is made to rest for a day.
            assert_eq!(rested(&Books::of(storage, "org_c").pending[0]), 3_600);

            clock.advance_millis(119_000);
            reconciler.round().await.unwrap();
            assert_eq!(*asked.lock().unwrap(), first);
            clock.advance_millis(1_000);
            reconciler.round().await.unwrap();
            assert!(*asked.lock().unwrap() > first);
        });
    });
}

/// One answer does not come; all others do, also for what becomes due later.
#[test]
fn a_slow_look_up_holds_up_nobody() {
    TestDb::each(|storage| {
        run(async {
            let (clock, directory) = (clock(), directory(storage, "org_a", Some(KEY)).await);
            let many: Vec<String> = (0..40).map(|number| format!("gen-{number:02}")).collect();
            let many: Vec<&str> = many.iter().map(String::as_str).collect();
            wait_for(storage, &clock, &[&["gen-slow"], many.as_slice()].concat());
            let release = Arc::new(tokio::sync::Notify::new());
            let released = Arc::clone(&release);
            let mut source = MockGenerationSource::new();
            source.expect_generation().returning(move |_, id| {
                let (id, released) = (id.to_owned(), Arc::clone(&released));
                Box::pin(async move {
                    if id == "gen-slow" {
                        released.notified().await;
                    }
                    Ok(found(&id, 1))
                })
            });
            let stop = CancellationToken::new();
            let tracker = tokio_util::task::TaskTracker::new();
            tracker.spawn(reconciler(storage, &directory, &clock, source).run(stop.clone()));
            let booked = |count| Books::of(storage, "org_a").ledger.len() == count;
            eventually("all others are booked", || booked(40)).await;
            store_pending(storage, UnixTime::from(clock.now()).plus_seconds(-1), "org_a", &["gen-late"]);
            eventually("what came later is booked", || booked(41)).await;
            assert_eq!(Books::of(storage, "org_a").waiting(), [("gen-slow", PendingReason::ClientGone)]);
            release.notify_one();
            eventually("the slow one is booked", || booked(42)).await;
            stop.cancel();
            tracker.close();
            tracker.wait().await;
        });
    });
}
