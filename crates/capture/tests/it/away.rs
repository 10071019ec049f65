//! The database is away, and comes back.

use std::{net::TcpListener, sync::mpsc, time::Duration};

use mai_capture::record::Record;
use mai_storage::{DatabaseUrl, Error, PoolSettings, Storage, migrate, testing::TestDb};

use crate::{
    books::{Books, NO_USAGE, Running, append, applier, apply_all, exact, new_settled, open},
    eventually, run,
};

const QUICKLY: PoolSettings = PoolSettings { connections: 2, wait: Duration::from_millis(200) };

fn records() -> [Record; 3] {
    [
        new_settled("org_a", "gen-1", exact(1)),
        new_settled("org_a", "gen-2", NO_USAGE),
        new_settled("org_a", "gen-3", exact(3)),
    ]
}

fn assert_applied(storage: &Storage) {
    let books = Books::of(storage, "org_a");
    assert_eq!((books.booked(), books.raw_nanos()), (vec!["gen-1", "gen-3"], 4));
    assert_eq!(books.pending.len(), 1);
}

#[test]
fn what_comes_while_the_database_is_away_is_applied_when_it_is_back() {
    let home = tempfile::tempdir().unwrap();
    let (here, away) = (home.path().join("here"), home.path().join("away"));
    std::fs::create_dir(&here).unwrap();
    let url = DatabaseUrl::Sqlite(here.join("test.db"));
    migrate::run(&url).unwrap();
    std::fs::rename(&here, &away).unwrap();
    run(async {
        let storage = Storage::open(&url, QUICKLY);
        let folder = tempfile::tempdir().unwrap();
        let journal = open(&folder);
        let running = Running::start(applier(&journal, &storage));
        append(&journal, &records()).await;
        eventually("the applier says that it fails", || running.state.trouble().is_some()).await;
        assert_eq!(journal.first().get(), 0, "nothing is forgotten");
        assert_eq!(running.state.applied_to().get(), 0);
        std::fs::rename(&away, &here).unwrap();
        running.applied(&journal).await;
        eventually("the applier says that it works", || running.state.trouble().is_none()).await;
        running.stop().await;
        assert_applied(&storage);
        assert_eq!(journal.first(), journal.durable_end());
    });
}

#[test]
fn what_a_process_without_database_left_is_applied_by_the_next_one() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let dead: DatabaseUrl = format!("postgres://nobody@127.0.0.1:{port}/nowhere").parse().unwrap();
    let database = TestDb::postgres();
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(&folder);
        let running = Running::start(applier(&journal, &Storage::open(&dead, QUICKLY)));
        append(&journal, &records()).await;
        eventually("the applier says that it fails", || running.state.trouble().is_some()).await;
        running.stop().await;
        drop(journal);
        let journal = open(&folder);
        assert_eq!(journal.first().get(), 0, "nothing is forgotten");
        apply_all(&journal, &database.storage).await;
        assert_applied(&database.storage);
    });
}

#[test]
fn a_database_that_another_process_holds_locked_is_waited_for() {
    let database = TestDb::sqlite();
    let (locked, is_locked) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let other = Storage::open(database.storage.url(), QUICKLY);
    let holder = std::thread::spawn(move || {
        other.write_blocking(|_| {
            locked.send(()).unwrap();
            released.recv().unwrap();
            Ok::<_, Error>(())
        })
    });
    is_locked.recv().unwrap();
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(&folder);
        let running = Running::start(applier(&journal, &database.storage));
        append(&journal, &records()).await;
        // Longer than a batch gathers, so that the applier meets the lock.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(running.state.applied_to().get(), 0);
        assert_eq!(Books::of(&database.storage, "org_a").ledger, []);
        release.send(()).unwrap();
        running.applied(&journal).await;
        running.stop().await;
    });
    holder.join().unwrap().unwrap();
    assert_applied(&database.storage);
}
