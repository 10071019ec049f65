//! Calls whose cost nobody knows when they end: they are visible as pending, and end exact.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use futures_util::StreamExt;
use mai_mock_openrouter::{Mock, MockSettings};
use mai_tests::{
    client::Client,
    gateway::Installation,
    ledger::{assert_equal_to_mock, pending, rows, wait_until},
    on_each_database, run,
};

#[test]
fn a_left_a_cut_and_a_costless_stream_are_pending_and_then_exact() {
    on_each_database(|database| {
        // Look-ups answer 404 for a while and then fail a few times, as the real one does.
        let settings = MockSettings {
            generation_delay: std::time::Duration::from_secs(3),
            generation_failures: 1,
            ..MockSettings::default()
        };
        let mock = Mock::start(settings).unwrap();
        let installation = Installation::new(database, &mock);
        let organization = installation.organization("Pending");
        let gateway = installation.serve();
        run(async {
            let client = Client::new(&gateway.base, &organization.key);
            leave_in_the_middle(&client).await;
            let cut = client.chat("mock/cut", true, 2).await.unwrap();
            assert!(!cut.complete, "the client must see the cut");
            let costless = client.chat("mock/cost-null", true, 3).await.unwrap();
            assert!(costless.complete);
            let silent = client.chat("mock/no-usage", false, 4).await.unwrap();
            assert!(silent.complete);
        });
        wait_until("four calls are pending", || pending(&database.storage, &organization.id).len() == 4);
        assert!(rows(&database.storage, &organization.id).is_empty());
        let mut reasons: Vec<&str> =
            pending(&database.storage, &organization.id).iter().map(|row| row.reason.as_str()).collect();
        reasons.sort_unstable();
        assert_eq!(reasons, ["client_gone", "cost_unknown", "no_usage", "upstream_cut"]);
        assert_equal_to_mock(&database.storage, &organization.id, &mock);
        assert!(mock.ledger().iter().any(|charge| charge.cancelled && charge.total > 0.into()));
    });
}

/// Reads one piece of a slow stream and leaves.
async fn leave_in_the_middle(client: &Client) {
    let response = client.open("mock/slow-50", true, 1).await.unwrap();
    let mut pieces = response.bytes_stream();
    for _ in 0..3 {
        pieces.next().await.unwrap().unwrap();
    }
}

#[test]
fn a_plain_call_whose_client_leaves_is_booked_whole_and_at_once() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let organization = installation.organization("Plain");
        let gateway = installation.serve();
        run(async {
            let client = Client::new(&gateway.base, &organization.key);
            let body = Client::chat_body("mock/delay-headers", false);
            let call = client.post("/v1/chat/completions", &body).header("x-mock-delay-ms", 500).send();
            // The client leaves while upstream is silent, after it has the request.
            tokio::select! {
                _ = call => panic!("the answer came too early"),
                () = async {
                    while !mock.requests().iter().any(|request| request.method == "POST") {
                        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                    }
                } => {}
            }
        });
        wait_until("the call is charged", || mock.charge_count() == 1);
        assert_equal_to_mock(&database.storage, &organization.id, &mock);
        let row = rows(&database.storage, &organization.id).into_values().next().unwrap();
        assert_eq!(row.source.as_str(), "gateway", "it was read to its end, not looked up");
    });
}

#[test]
fn a_client_that_closes_while_upstream_is_silent_is_noticed_at_once() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let organization = installation.organization("Silence");
        let gateway = installation.serve();
        close_after_the_head(&gateway.base, &organization.key);
        // Upstream would stay silent for ever: only our closing ends its side.
        wait_until("upstream was closed and has charged", || mock.charge_count() == 1);
        assert_equal_to_mock(&database.storage, &organization.id, &mock);
        let charge = &mock.ledger()[0];
        assert!(charge.cancelled);
        assert!(gateway.stop().success());
    });
}

/// Reads all there is of an answer, its head, and closes the connection in an orderly way.
fn close_after_the_head(base: &str, key: &str) {
    let mut stream = TcpStream::connect(base.strip_prefix("http://").unwrap()).unwrap();
    let body = Client::chat_body("mock/headers-then-nothing", true).to_string();
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&head));
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
}

#[test]
fn usage_in_the_middle_of_a_left_stream_is_not_taken_for_its_cost() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let organization = installation.organization("Middle");
        let gateway = installation.serve();
        run(async {
            let client = Client::new(&gateway.base, &organization.key);
            let response = client.open("mock/usage-middle,slow-50", true, 1).await.unwrap();
            let (mut pieces, mut seen) = (response.bytes_stream(), Vec::new());
            while !String::from_utf8_lossy(&seen).contains("\"usage\":{") {
                seen.extend_from_slice(&pieces.next().await.unwrap().unwrap());
            }
        });
        wait_until("upstream has charged", || mock.charge_count() == 1);
        assert!(mock.ledger()[0].cancelled);
        assert_equal_to_mock(&database.storage, &organization.id, &mock);
    });
}
