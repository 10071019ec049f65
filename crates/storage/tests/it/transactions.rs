//! What [`Storage::read`] and [`Storage::write`] promise.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use diesel::{connection::SimpleConnection, prelude::*};
use mai_storage::{DbConnection, Error, PoolSettings, Storage, testing::TestDb};

use crate::{Domain, add, create_counters, schema::counters, stored, value};

const THREADS: usize = 8;

#[test]
fn a_write_is_kept_whole_or_not_at_all() {
    TestDb::each(|storage| {
        create_counters(storage);
        assert_eq!(storage.write_blocking(|conn| add(conn, 1, 5)).unwrap(), 5);
        assert_eq!(stored(storage, 1), 5);
        let refused: Result<(), Domain> = storage.write_blocking(|conn| {
            add(conn, 1, 7)?;
            add(conn, 3, 7)?;
            Err(Domain::Refused)
        });
        assert!(matches!(refused, Err(Domain::Refused)));
        assert_eq!(stored(storage, 1), 5);
        assert!(matches!(storage.read_blocking(|conn| value(conn, 3)), Err(Error::NotFound)));
    });
}

#[test]
fn the_database_s_refusal_of_a_statement_takes_back_the_ones_before() {
    TestDb::each(|storage| {
        create_counters(storage);
        let refused = storage.write_blocking(|conn| {
            add(conn, 2, 1)?;
            diesel::insert_into(counters::table)
                .values((counters::id.eq(1), counters::value.eq(1)))
                .execute(conn)?;
            Ok::<_, Error>(())
        });
        assert!(matches!(refused, Err(Error::Unique(_))), "{refused:?}");
        assert_eq!(stored(storage, 2), 0);
    });
}

#[test]
fn a_read_is_one_snapshot() {
    TestDb::each(|storage| {
        create_counters(storage);
        let (before, after) = storage
            .read_blocking(|conn| {
                let before = (value(conn, 1)?, value(conn, 2)?);
                storage.write_blocking(|other| {
                    add(other, 1, 10)?;
                    add(other, 2, 20)
                })?;
                Ok::<_, Error>((before, (value(conn, 1)?, value(conn, 2)?)))
            })
            .unwrap();
        assert_eq!(before, (0, 0));
        assert_eq!(after, before, "a commit in between was seen");
        assert_eq!((stored(storage, 1), stored(storage, 2)), (10, 20));
    });
}

#[test]
fn a_read_never_changes_anything() {
    TestDb::each(|storage| {
        create_counters(storage);
        let refused = storage.read_blocking(|conn| add(conn, 1, 1));
        assert!(matches!(refused, Err(Error::Impaired(_))), "{refused:?}");
        // A caller that swallows the refusal changes nothing either, and the connection stays usable.
        let swallowed = storage.read_blocking(|conn| {
            let refused = conn.batch_execute("UPDATE counters SET value = 99").is_err();
            Ok::<_, Error>(refused)
        });
        assert!(swallowed.unwrap());
        assert_eq!(stored(storage, 1), 0);
    });
}

#[test]
fn eight_threads_lose_no_increment() {
    const EACH: usize = 50;
    TestDb::each(|storage| {
        create_counters(storage);
        let start = Barrier::new(THREADS);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..EACH {
                        // Row 7 does not exist yet, so that its first insert is contended as well.
                        storage.write_blocking(|conn| add(conn, 7, 1)).unwrap();
                    }
                });
            }
        });
        assert_eq!(stored(storage, 7), i64::try_from(THREADS * EACH).unwrap());
    });
}

/// Reading first and writing what follows from it is where a deferred transaction of SQLite fails.
/// Two pools stand for two processes, whose writers do not share a queue.
#[test]
fn two_sqlite_processes_that_read_and_then_write_wait_for_each_other() {
    const EACH: i64 = 25;
    let database = TestDb::sqlite();
    create_counters(&database.storage);
    let other = Storage::open(database.storage.url(), PoolSettings::default());
    let (start, attempts) = (Barrier::new(2), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for storage in [&database.storage, &other] {
            let (start, attempts) = (&start, &attempts);
            scope.spawn(move || {
                start.wait();
                for _ in 0..EACH {
                    let increased = storage.write_blocking(|conn| {
                        attempts.fetch_add(1, Ordering::SeqCst);
                        let next = value(conn, 1)? + 1;
                        // Gives the other one the time to come in between.
                        std::thread::sleep(Duration::from_millis(1));
                        diesel::update(counters::table.find(1))
                            .set(counters::value.eq(next))
                            .execute(conn)?;
                        Ok::<_, Error>(())
                    });
                    increased.unwrap();
                }
            });
        }
    });
    assert_eq!(stored(&other, 1), 2 * EACH);
    // Waiting for one's turn is no collision.
    assert_eq!(attempts.into_inner(), usize::try_from(2 * EACH).unwrap());
}

/// Each writer holds one row and asks for the other's. PostgreSQL ends one of them, which must be
/// tried again. SQLite lets only one begin, so there the first attempts cannot meet.
#[test]
fn writers_in_opposite_order_both_succeed() {
    TestDb::each(|storage| {
        create_counters(storage);
        let both_hold_a_row = Barrier::new(2);
        let attempts = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for (first, second) in [(1, 2), (2, 1)] {
                let (attempts, both_hold_a_row) = (&attempts, &both_hold_a_row);
                scope.spawn(move || {
                    let mut first_time = true;
                    let written = storage.write_blocking(|conn| {
                        attempts.fetch_add(1, Ordering::SeqCst);
                        add(conn, first, 1)?;
                        if matches!(conn, DbConnection::Postgres(_)) && std::mem::take(&mut first_time) {
                            both_hold_a_row.wait();
                        }
                        add(conn, second, 1)
                    });
                    written.unwrap();
                });
            }
        });
        assert_eq!((stored(storage, 1), stored(storage, 2)), (2, 2));
        let attempts = attempts.into_inner();
        let expected = if storage.url().to_string().starts_with("sqlite") { 2 } else { 3 };
        assert!(attempts >= expected, "{attempts} attempts");
    });
}

#[test]
fn a_collision_is_tried_again_but_not_for_ever_and_a_refusal_never() {
    TestDb::each(|storage| {
        create_counters(storage);
        let busy = || Domain::Storage(Error::Busy(diesel::result::Error::RollbackTransaction));
        let attempts = AtomicUsize::new(0);
        let gave_up: Result<(), Domain> = storage.write_blocking(|conn| {
            attempts.fetch_add(1, Ordering::SeqCst);
            add(conn, 1, 1)?;
            Err(busy())
        });
        assert!(matches!(gave_up, Err(Domain::Storage(Error::Busy(_)))));
        let tried = attempts.swap(0, Ordering::SeqCst);
        assert!((2..=20).contains(&tried), "{tried}");

        let second_time: Result<i64, Domain> = storage.write_blocking(|conn| {
            let value = add(conn, 1, 1)?;
            if attempts.fetch_add(1, Ordering::SeqCst) == 0 { Err(busy()) } else { Ok(value) }
        });
        // Nothing of the attempts before is left.
        assert_eq!(second_time.unwrap(), 1);
        assert_eq!(attempts.swap(0, Ordering::SeqCst), 2);

        let errors: [fn() -> Domain; 3] = [
            || Domain::Refused,
            || Domain::Storage(Error::NotFound),
            || Domain::Storage(Error::OutOfRange("it")),
        ];
        for error in errors {
            let refused: Result<(), Domain> = storage.write_blocking(|_| {
                attempts.fetch_add(1, Ordering::SeqCst);
                Err(error())
            });
            refused.unwrap_err();
            assert_eq!(attempts.swap(0, Ordering::SeqCst), 1);
        }
    });
}

#[test]
fn the_async_doors_do_the_same() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    TestDb::each(|storage| {
        create_counters(storage);
        runtime.block_on(async {
            assert_eq!(storage.write(|conn| add(conn, 1, 3)).await.unwrap(), 3);
            assert_eq!(storage.read(|conn| value(conn, 1)).await.unwrap(), 3);
            let refused = storage.read(|conn| add(conn, 1, 1)).await;
            assert!(matches!(refused, Err(Error::Impaired(_))), "{refused:?}");
        });
    });
}

/// A panic in the middle of a transaction must not hand its open transaction to the next caller.
#[test]
fn a_panic_leaves_no_transaction_behind() {
    TestDb::each(|storage| {
        create_counters(storage);
        let writing = catch_unwind(AssertUnwindSafe(|| {
            storage.write_blocking(|conn| -> Result<(), Error> {
                add(conn, 1, 1)?;
                panic!("as a defect in a caller would")
            })
        }));
        let reading = catch_unwind(AssertUnwindSafe(|| {
            storage.read_blocking(|conn| -> Result<(), Error> {
                value(conn, 1)?;
                panic!("as a defect in a caller would")
            })
        }));
        assert!(writing.is_err() && reading.is_err());
        for _ in 0..PoolSettings::default().connections {
            assert_eq!(stored(storage, 1), 0);
        }
        assert_eq!(storage.write_blocking(|conn| add(conn, 1, 1)).unwrap(), 1);
    });
}
