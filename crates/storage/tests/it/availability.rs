//! What happens while the database is away, and when it has come back.

use std::{
    net::TcpListener,
    sync::{Barrier, mpsc},
    time::Duration,
};

use diesel::{
    Connection as _, PgConnection, RunQueryDsl as _,
    sql_types::{BigInt, Integer},
};
use mai_storage::{DatabaseUrl, DbConnection, Error, PoolSettings, Result, Storage, testing::TestDb};

use crate::{Domain, add, create_counters, stored, value};

const QUICKLY: PoolSettings = PoolSettings { connections: 2, wait: Duration::from_millis(300) };

/// Long enough for a slow machine; only a hang takes longer.
const NEVER: Duration = Duration::from_secs(60);

diesel::define_sql_function! {
    /// The process that serves this connection.
    fn pg_backend_pid() -> Integer;
}

diesel::define_sql_function! {
    /// Ends a server process and waits until it is gone, for so many milliseconds at most.
    fn pg_terminate_backend(pid: Integer, timeout: BigInt) -> Bool;
}

/// Reads and writes, and fails where that takes for ever.
fn try_both(storage: &Storage) -> [Result<i64>; 2] {
    let (sender, receiver) = mpsc::channel();
    let storage = storage.clone();
    std::thread::spawn(move || {
        let read = storage.read_blocking(|conn| value(conn, 1));
        let written = storage.write_blocking(|conn| add(conn, 1, 1));
        sender.send([read, written])
    });
    receiver.recv_timeout(NEVER).expect("an answer, and no hang")
}

fn assert_unavailable(storage: &Storage) {
    for outcome in try_both(storage) {
        let Err(Error::Unavailable(text)) = outcome else { panic!("{outcome:?}") };
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[test]
fn a_server_that_refuses_is_unavailable() {
    // Bound and closed again, so that nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url: DatabaseUrl = format!("postgres://mai:s3cret@127.0.0.1:{port}/usage").parse().unwrap();
    assert_unavailable(&Storage::open(&url, QUICKLY));
}

#[test]
fn a_server_that_never_answers_is_unavailable() {
    // The system accepts connections for it, and nobody ever says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let url: DatabaseUrl = format!("postgres://mai:s3cret@127.0.0.1:{port}/usage").parse().unwrap();
    assert_unavailable(&Storage::open(&url, QUICKLY));
}

#[test]
fn a_folder_that_is_missing_is_unavailable_until_it_is_there() {
    let home = tempfile::tempdir().unwrap();
    let (here, away) = (home.path().join("here"), home.path().join("away"));
    std::fs::create_dir(&here).unwrap();
    let url = DatabaseUrl::Sqlite(here.join("test.db"));
    mai_storage::migrate::run(&url).unwrap();
    create_counters(&Storage::open(&url, QUICKLY));

    std::fs::rename(&here, &away).unwrap();
    let storage = Storage::open(&url, QUICKLY);
    assert_unavailable(&storage);
    std::fs::rename(&away, &here).unwrap();
    assert_eq!(try_both(&storage).map(Result::unwrap), [0, 1]);
}

/// Waits for all connections to be busy at once, so that the pool really opens that many.
fn all_backends(storage: &Storage, connections: u32) -> Vec<i32> {
    let all_busy = Barrier::new(usize::try_from(connections).unwrap());
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..connections)
            .map(|_| {
                scope.spawn(|| {
                    storage.read_blocking(|conn| {
                        all_busy.wait();
                        own_backend(conn)
                    })
                })
            })
            .collect();
        readers.into_iter().map(|reader| reader.join().unwrap().unwrap()).collect()
    })
}

fn own_backend(conn: &mut DbConnection) -> Result<i32> {
    let DbConnection::Postgres(inner) = conn else { panic!("not PostgreSQL") };
    Ok(diesel::select(pg_backend_pid()).get_result(inner)?)
}

fn terminate(url: &DatabaseUrl, backends: &[i32]) {
    let DatabaseUrl::Postgres(url) = url else { panic!("not PostgreSQL") };
    let mut admin = PgConnection::establish(url).unwrap();
    for backend in backends {
        let ended: bool =
            diesel::select(pg_terminate_backend(*backend, 30_000)).get_result(&mut admin).unwrap();
        assert!(ended);
    }
}

#[test]
fn connections_that_the_server_ended_are_replaced_unseen() {
    let database = TestDb::postgres();
    let settings = PoolSettings { connections: 5, ..PoolSettings::default() };
    let storage = Storage::open(database.storage.url(), settings);
    create_counters(&storage);
    for round in 1..=2 {
        let backends = all_backends(&storage, settings.connections);
        terminate(storage.url(), &backends);
        assert_eq!(stored(&storage, 1), round - 1);
        let backends = all_backends(&storage, settings.connections);
        terminate(storage.url(), &backends);
        assert_eq!(storage.write_blocking(|conn| add(conn, 1, 1)).unwrap(), round);
    }
}

#[test]
fn a_connection_that_ends_during_the_work_says_so_and_is_not_used_again() {
    let database = TestDb::postgres();
    let storage = Storage::open(database.storage.url(), PoolSettings { connections: 1, ..QUICKLY });
    create_counters(&storage);
    let mut attempts = 0;
    let cut: Result<i64, Domain> = storage.write_blocking(|conn| {
        attempts += 1;
        add(conn, 1, 1)?;
        let backend = own_backend(conn)?;
        terminate(storage.url(), &[backend]);
        Ok(add(conn, 1, 1)?)
    });
    assert!(matches!(cut, Err(Domain::Storage(Error::Unavailable(_)))), "{cut:?}");
    // Whether a commit was lost or kept is not known then, so the work is not repeated.
    assert_eq!(attempts, 1);
    assert_eq!(storage.write_blocking(|conn| add(conn, 1, 1)).unwrap(), 1);
}
