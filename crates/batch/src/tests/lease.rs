use mai_primitives::UnixTime;
use mai_storage::{Storage, testing::TestDb};

use super::wait;
use crate::{
    Error,
    lease::{self, Lease},
};

const NOW: UnixTime = UnixTime::from_seconds(1_784_116_800);

fn take(storage: &Storage, holder: &str, seconds_later: i64) -> Option<Lease> {
    let now = NOW.plus_seconds(seconds_later);
    let token = storage.write_blocking(|conn| lease::take(conn, holder, now, 60)).unwrap();
    token.map(|token| Lease::new(storage.clone(), token))
}

fn may_write(lease: &Lease) -> bool {
    match wait(lease.write(|_| Ok(()))) {
        Ok(()) => true,
        Err(Error::LeaseLost) => false,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn one_at_a_time_has_it_and_who_lost_it_writes_no_more() {
    TestDb::each(|storage| {
        let first = take(storage, "one", 0).unwrap();
        assert!(take(storage, "two", 59).is_none());
        // The same process may not begin a second run either.
        assert!(take(storage, "one", 59).is_none());
        assert!(may_write(&first));
        let second = take(storage, "two", 60).unwrap();
        assert!(second.token() > first.token());
        assert!(!may_write(&first) && may_write(&second));
        assert!(matches!(wait(first.renew(NOW.plus_seconds(999), |_| Ok(()))), Err(Error::LeaseLost)));
        // Giving back what one has lost changes nothing.
        wait(first.release()).unwrap();
        assert!(take(storage, "three", 61).is_none());
        wait(second.release()).unwrap();
        assert!(take(storage, "three", 61).is_some());
        assert!(!may_write(&first) && !may_write(&second));
    });
}

#[test]
fn it_lasts_as_long_as_it_is_renewed() {
    TestDb::each(|storage| {
        let first = take(storage, "one", 0).unwrap();
        wait(first.renew(NOW.plus_seconds(110), |_| Ok(()))).unwrap();
        assert!(take(storage, "two", 109).is_none());
        let stored = storage.read_blocking(lease::read).unwrap();
        assert_eq!(stored.holder_at(NOW.plus_seconds(109)), Some("one"));
        assert_eq!(stored.holder_at(NOW.plus_seconds(110)), None);
        assert!(take(storage, "two", 110).is_some());
    });
}

/// A write that has begun under a lease ends before anybody takes over, and does not keep the lease from
/// being renewed.
#[test]
fn nobody_takes_over_in_the_middle_of_a_write() {
    let db = TestDb::postgres();
    let storage = &db.storage;
    let lease = take(storage, "one", 0).unwrap();
    let (inside, is_inside) = std::sync::mpsc::channel();
    let (go_on, may_go_on) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let writer = lease.clone();
        let may_go_on = std::sync::Mutex::new(may_go_on);
        scope.spawn(move || {
            wait(writer.write(move |_| {
                inside.send(()).unwrap();
                may_go_on.lock().unwrap().recv().unwrap();
                Ok(())
            }))
            .unwrap();
        });
        is_inside.recv().unwrap();
        assert!(take(storage, "two", 1_000).is_none(), "its time is over, but it writes");
        wait(lease.renew(NOW.plus_seconds(60), |_| Ok(()))).unwrap();
        go_on.send(()).unwrap();
    });
    assert!(take(storage, "two", 1_000).is_some());
}
