//! What locks by a name promise.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use mai_storage::{Error, Storage, lock_alone, lock_shared, testing::TestDb};

const SHARERS: usize = 4;
/// Those who want the same lock alone.
const LONERS: usize = 3;
/// How often each of the sharers takes the lock at most, some seconds of work.
const TURNS: usize = 300;

#[test]
fn many_share_and_one_is_alone() {
    let database = TestDb::postgres();
    let storage = &database.storage;
    let inside = AtomicUsize::new(0);
    // Only when all sharers are in at the same time does anybody ask to be alone. Who asked earlier
    // would be served before the sharers behind it, and those who are in would wait for these for ever.
    let all_share = Barrier::new(SHARERS + LONERS);
    std::thread::scope(|scope| {
        for _ in 0..SHARERS {
            scope.spawn(|| {
                let shared = storage.write_blocking(|conn| {
                    lock_shared(conn, "a")?;
                    inside.fetch_add(1, Ordering::SeqCst);
                    all_share.wait();
                    std::thread::sleep(Duration::from_millis(20));
                    // Others wait to be alone by now; who is in may ask again nevertheless.
                    lock_shared(conn, "a")?;
                    inside.fetch_sub(1, Ordering::SeqCst);
                    Ok::<_, Error>(())
                });
                shared.unwrap();
            });
        }
        for _ in 0..LONERS {
            scope.spawn(|| {
                all_share.wait();
                let alone = storage.write_blocking(|conn| {
                    lock_alone(conn, "a")?;
                    let others = inside.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(5));
                    inside.fetch_sub(1, Ordering::SeqCst);
                    Ok::<_, Error>(others)
                });
                assert_eq!(alone.unwrap(), 0);
            });
        }
    });
}

#[test]
fn sharers_who_never_stop_do_not_keep_one_from_being_alone() {
    TestDb::each(|storage| {
        let (stop, taken) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..SHARERS {
                scope.spawn(|| {
                    for _ in 0..TURNS {
                        if !stop.load(Ordering::SeqCst) {
                            hold(storage, Duration::from_millis(15), &taken);
                        }
                    }
                });
            }
            while taken.load(Ordering::SeqCst) < SHARERS {
                std::thread::yield_now();
            }
            let alone = storage.write_blocking(|conn| lock_alone(conn, "busy"));
            stop.store(true, Ordering::SeqCst);
            alone.unwrap();
            let taken = taken.load(Ordering::SeqCst);
            assert!(taken < SHARERS * TURNS, "alone only when all others had ended");
        });
    });
}

fn hold(storage: &Storage, time: Duration, taken: &AtomicUsize) {
    let held = storage.write_blocking(|conn| {
        lock_shared(conn, "busy")?;
        taken.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(time);
        Ok::<_, Error>(())
    });
    held.unwrap();
}

#[test]
fn other_names_are_other_locks() {
    let database = TestDb::postgres();
    let storage = &database.storage;
    let outer = storage.write_blocking(|conn| {
        lock_alone(conn, "one")?;
        storage.write_blocking(|other| lock_alone(other, "two"))
    });
    outer.unwrap();
}
