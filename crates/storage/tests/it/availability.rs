//! What happens while the database is away, and when it has come back.

use std::{
    net::TcpListener,
    sync::{
        Arc, Barrier,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
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
fn many_callers_of_a_server_that_never_answers_do_not_pile_up_on_threads() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let url: DatabaseUrl = format!("postgres://mai@127.0.0.1:{port}/usage").parse().unwrap();
    let storage = Storage::open(&url, QUICKLY);
    let threads = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&threads);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .on_thread_start(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        })
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let callers = (0..200).map(|_| {
            let storage = storage.clone();
            async move { storage.read(|conn| value(conn, 1)).await }
        });
        let mut waiting: tokio::task::JoinSet<_> = callers.collect();
        while let Some(outcome) = waiting.join_next().await {
            assert!(matches!(outcome.unwrap(), Err(Error::Unavailable(_))));
        }
    });
    // A few more than connections, because a thread that gives its turn back takes a moment to end.
    assert!((1..=20).contains(&threads.load(Ordering::Relaxed)), "{threads:?} threads");
}

#[test]
fn a_shut_storage_reaches_nothing_before_it_is_admitted() {
    TestDb::each(|opened| {
        create_counters(opened);
        let storage = Storage::shut(opened.url(), QUICKLY, "nobody has looked yet".into());
        assert_unavailable(&storage);
        storage.stay_shut("it is too old".into());
        let refused = storage.read_blocking(|conn| value(conn, 1)).unwrap_err();
        assert_eq!(refused.to_string(), "the database cannot be reached: it is too old");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let waiting = storage.admitted();
            tokio::pin!(waiting);
            assert!(futures_now(waiting.as_mut()).await.is_none());
            storage.clone().admit();
            waiting.await;
            assert_eq!(storage.read(|conn| value(conn, 1)).await.unwrap(), 0);
        });
        storage.stay_shut("too late".into());
        assert_eq!(try_both(&storage).map(Result::unwrap), [0, 1]);
    });
}

/// What a future gives at once, or none.
async fn futures_now<T>(mut future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        std::task::Poll::Ready(value) => std::task::Poll::Ready(Some(value)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}

#[test]
fn a_server_that_lets_nobody_in_is_told_from_one_that_is_away() {
    let server = std::env::var(mai_storage::testing::POSTGRES_VARIABLE).unwrap();
    let elsewhere = server.replacen("/postgres", "/no_such_database", 1);
    assert_ne!(elsewhere, server);
    let url: DatabaseUrl = elsewhere.parse().unwrap();
    for outcome in [mai_storage::migrate::run(&url), mai_storage::migrate::pending(&url)] {
        assert!(
            matches!(&outcome, Err(Error::Refused(text)) if text.contains("no_such_database")),
            "{outcome:?}"
        );
    }
    // Both of a server that is not there, and of one that never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    for port in [port, 1] {
        let url = format!("postgres://mai@127.0.0.1:{port}/usage?connect_timeout=2").parse().unwrap();
        let outcome = mai_storage::migrate::run(&url);
        assert!(matches!(&outcome, Err(Error::Unavailable(_))), "{outcome:?}");
    }
    // Parameters that libpq does not know.
    let outcome = mai_storage::migrate::run(&"postgres://mai@127.0.0.1:1/usage?nonsense=1".parse().unwrap());
    assert!(matches!(&outcome, Err(Error::Refused(_))), "{outcome:?}");
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

diesel::define_sql_function! {
    /// A setting of this connection.
    fn current_setting(name: diesel::sql_types::Text) -> diesel::sql_types::Text;
}

#[test]
fn a_commit_is_durable_whatever_the_server_is_set_to() {
    let server = std::env::var(mai_storage::testing::POSTGRES_VARIABLE).unwrap();
    for (set, expected) in [("off", "on"), ("remote_apply", "remote_apply")] {
        let separator = if server.contains('?') { '&' } else { '?' };
        let url = format!("{server}{separator}options=-csynchronous_commit%3D{set}").parse().unwrap();
        let storage = Storage::open(&url, QUICKLY);
        let setting = storage.read_blocking(|conn| {
            let DbConnection::Postgres(inner) = conn else { panic!("not PostgreSQL") };
            Ok::<String, Error>(diesel::select(current_setting("synchronous_commit")).get_result(inner)?)
        });
        assert_eq!(setting.unwrap(), expected);
    }
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
