//! Limits where a process cannot know everything: two of them on one database, and a database that is away.

use mai_mock_openrouter::{Mock, MockSettings};
use mai_storage::{PoolSettings, Storage, testing::TestDb};
use mai_tests::{
    client::Client,
    gateway::{Gateway, Installation, Organization},
    ledger::{assert_equal_to_mock, rows, wait_until},
    postgres::Cluster,
    run,
};
use tokio::task::JoinSet;

/// The limit, and what is reserved for each call, in nano-dollars.
const LIMIT: i64 = 10_000_000;
const RESERVATION: i64 = 1_000_000;

fn mock() -> Mock {
    Mock::start(MockSettings { keep_requests: 0, keep_bodies: false, ..MockSettings::default() }).unwrap()
}

/// A process of several on one database; they share the master key.
fn process(database_url: &str, mock: &Mock) -> Installation {
    Installation::on(database_url, mock)
        .with("MAI_RESERVATION_AT_MOST_USD", "0.001")
        .with("MAI_MASTER_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
}

fn limited(installation: &Installation) -> Organization {
    let organization = installation.organization("Limited");
    let arguments = ["org", "update", "--org", &organization.id, "--monthly-limit", "0.01"];
    assert!(installation.run(&arguments).status.success());
    organization
}

/// Calls of several clients, each until it is refused; how many passed.
async fn until_refused(gateway: &Gateway, key: &str, clients: u64) -> u64 {
    let mut calling = JoinSet::new();
    for one in 0..clients {
        let client = Client::new(&gateway.base, key);
        calling.spawn(async move {
            let mut passed = 0;
            loop {
                let answer = client.chat("mock/ok", passed % 2 == 0, one * 1_000_000 + passed).await;
                match answer.expect("an answer").status.as_u16() {
                    200 => passed += 1,
                    402 => return passed,
                    other => panic!("{other}"),
                }
            }
        });
    }
    let mut passed = 0;
    while let Some(ended) = calling.join_next().await {
        passed += ended.expect("a client goes on");
    }
    passed
}

fn status(gateway: &Gateway, key: &str) -> u16 {
    let client = Client::new(&gateway.base, key);
    run(client.chat("mock/ok", false, 9)).expect("an answer").status.as_u16()
}

/// What the organization pays for what is booked.
fn spent(storage: &Storage, organization: &Organization) -> i64 {
    rows(storage, &organization.id).values().map(|row| row.markup_cost.nanos()).sum()
}

#[test]
fn two_processes_overspend_at_most_what_one_had_room_for() {
    let (database, mock) = (TestDb::postgres(), mock());
    let url = mai_tests::database_url(&database);
    let (first, second) = (process(&url, &mock), process(&url, &mock));
    let organization = limited(&first);
    let gateways = [first.serve(), second.serve()];
    // Neither knows of the other's calls in flight: each lets pass what it has room for.
    run(async {
        let mut open = Vec::new();
        for gateway in &gateways {
            let client = Client::new(&gateway.base, &organization.key);
            let (mut sent, mut refused) = (JoinSet::new(), 0);
            for seed in 0..200 {
                let client = client.clone();
                sent.spawn(
                    async move { client.open("mock/headers-then-nothing", true, seed).await.unwrap() },
                );
            }
            while let Some(response) = sent.join_next().await {
                let response = response.unwrap();
                match response.status().as_u16() {
                    200 => open.push(response),
                    402 => refused += 1,
                    other => panic!("{other}"),
                }
            }
            assert_eq!(refused, 190);
        }
        assert_eq!(open.len(), 20);
    });
    wait_until("what was left is known", || {
        gateways.iter().all(|gateway| status(gateway, &organization.key) == 200)
    });
    // The last readings of both had at most all of the limit as room.
    let passed = run(async {
        let [first, second] = &gateways;
        let (first, second) = tokio::join!(
            until_refused(first, &organization.key, 4),
            until_refused(second, &organization.key, 4)
        );
        first + second
    });
    assert_equal_to_mock(&database.storage, &organization.id, &mock);
    let spent = spent(&database.storage, &organization);
    println!("{passed} calls passed at both, {spent} of {LIMIT} nano-USD");
    assert!(spent > LIMIT - RESERVATION && spent <= 2 * LIMIT, "{spent}");
    // From the next reading on nothing passes anywhere.
    wait_until("both know of all", || {
        gateways.iter().all(|gateway| status(gateway, &organization.key) == 402)
    });
    for gateway in gateways {
        assert!(gateway.stop().success());
    }
}

#[test]
fn limits_hold_while_the_database_is_away_and_over_a_start_without_it() {
    let (mut cluster, mock) = (Cluster::start_new(), mock());
    let (first, second) = (process(&cluster.url(), &mock), process(&cluster.url(), &mock));
    let organization = limited(&first);
    let (gateway, other) = (first.serve(), second.serve());
    let storage = Storage::open(&cluster.url().parse().unwrap(), PoolSettings::default());
    run(async {
        let client = Client::new(&gateway.base, &organization.key);
        for seed in 0..30 {
            assert_eq!(client.chat("mock/ok", false, seed).await.unwrap().status.as_u16(), 200);
        }
    });
    assert_equal_to_mock(&storage, &organization.id, &mock);
    let before = spent(&storage, &organization);
    for installation in [&first, &second] {
        let kept = installation.data.path().join("limit-readings");
        wait_until("both have read what was spent", || {
            std::fs::read_to_string(&kept).is_ok_and(|text| text.contains(&format!(",{before}]")))
        });
    }
    cluster.kill();
    let passed = run(until_refused(&gateway, &organization.key, 4));
    let charged = client_price(&mock);
    println!(
        "{before} nano-USD before; {passed} calls passed without the database, {charged} of {LIMIT} nano-USD"
    );
    assert!(charged > before && charged <= LIMIT, "{charged}");
    // A process that dies now knows it all again, from the last reading and its journal.
    gateway.kill();
    let gateway = first.serve();
    assert_eq!(status(&gateway, &organization.key), 402);
    assert_eq!(client_price(&mock), charged);
    // The other has the room of its last reading, and no more.
    let passed = run(until_refused(&other, &organization.key, 4));
    let together = client_price(&mock);
    println!("{passed} calls passed at the other, {together} nano-USD in all");
    assert!(together > charged && together <= LIMIT + (LIMIT - before), "{together}");
    cluster.start();
    assert_equal_to_mock(&storage, &organization.id, &mock);
    assert_eq!(spent(&storage, &organization), together);
    for gateway in [gateway, other] {
        wait_until("nothing passes", || status(&gateway, &organization.key) == 402);
        assert!(gateway.stop().success());
    }
}

/// What the organization pays for what upstream charged; each call by itself, as it is booked.
fn client_price(mock: &Mock) -> i64 {
    let prices = mock.ledger().into_iter().map(|charge| {
        let raw = mai_primitives::Usd::from_nanos(mai_mock_openrouter::nano_usd(&charge.total));
        mai_primitives::MarkupRate::DEFAULT.apply(raw).expect("a price").nanos()
    });
    prices.sum()
}
