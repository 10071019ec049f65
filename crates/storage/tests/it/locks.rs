//! What locks by a name promise.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use mai_storage::{Error, Storage, lock_alone, lock_shared, testing::TestDb};

const SHARERS: usize = 4;

#[test]
fn many_share_and_one_is_alone() {
    let database = TestDb::postgres();
    let storage = &database.storage;
    let (inside, meeting) = (AtomicUsize::new(0), Barrier::new(SHARERS));
    std::thread::scope(|scope| {
        for _ in 0..SHARERS {
            scope.spawn(|| {
                let shared = storage.write_blocking(|conn| {
                    lock_shared(conn, "a")?;
                    lock_shared(conn, "a")?;
                    inside.fetch_add(1, Ordering::SeqCst);
                    // All of them are in at the same time, or nobody comes any further.
                    meeting.wait();
                    std::thread::sleep(Duration::from_millis(20));
                    inside.fetch_sub(1, Ordering::SeqCst);
                    Ok::<_, Error>(())
                });
                shared.unwrap();
            });
            scope.spawn(|| {
                let alone = storage.write_blocking(|conn| {
                    lock_alone(conn, "a")?;
                    Ok::<_, Error>(inside.load(Ordering::SeqCst))
                });
                let others = alone.unwrap();
                assert!(others == 0 || others == SHARERS, "{others}");
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
                    while !stop.load(Ordering::SeqCst) {
                        hold(storage, Duration::from_millis(15), &taken);
                    }
                });
            }
            while taken.load(Ordering::SeqCst) < SHARERS {
                std::thread::yield_now();
            }
            let began = Instant::now();
            let alone = storage.write_blocking(|conn| lock_alone(conn, "busy"));
            stop.store(true, Ordering::SeqCst);
            alone.unwrap();
            assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
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
