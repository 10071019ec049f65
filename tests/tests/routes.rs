//! Every metered route through the real binary, in the forms in which its clients call it.

use std::{
    io::Write,
    net::{Shutdown, TcpStream},
};

use mai_mock_openrouter::{Mock, MockSettings, Route};
use mai_organization::generation_processing::count_failed;
use mai_primitives::{OrganizationId, UsageDate};
use mai_storage::testing::TestDb;
use mai_tests::{
    client::{Answer, Client, read},
    gateway::{Gateway, Installation, Organization},
    ledger::{assert_equal_to_mock, rows, wait_until},
    on_each_database, run,
    upstream::calls,
};
use serde_json::json;

const BOUNDARY: &str = "----form of a test";

/// A form with a sound of so many bytes, and the model behind it.
fn form(bytes: usize) -> Vec<u8> {
    let mut form = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\
         Content-Type: audio/mpeg\r\n\r\n"
    )
    .into_bytes();
    form.extend((0..bytes).map(|at| u8::try_from(at % 251).unwrap()));
    let model = "Content-Disposition: form-data; name=\"model\"\r\n\r\nmock/ok";
    form.extend_from_slice(format!("\r\n--{BOUNDARY}\r\n{model}\r\n--{BOUNDARY}--\r\n").as_bytes());
    form
}

/// Posts with an own way of showing the key.
async fn post(gateway: &Gateway, path: &str, kind: &str, key: (&str, &str), body: Vec<u8>) -> Answer {
    let request = reqwest::Client::new()
        .post(format!("{}{path}", gateway.base))
        .header("content-type", kind)
        .header(key.0, key.1)
        .header("anthropic-version", "2023-06-01")
        .body(body);
    read(request.send().await.unwrap()).await
}

fn multipart() -> String {
    format!("multipart/form-data; boundary=\"{BOUNDARY}\"")
}

struct House {
    mock: Mock,
    organization: Organization,
    gateway: Gateway,
    _installation: Installation,
}

fn house(database: &TestDb) -> House {
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(database, &mock).with("MAI_BODY_LIMIT_MIB", "4");
    let organization = installation.organization("Routes");
    let gateway = installation.serve();
    House { mock, organization, gateway, _installation: installation }
}

#[test]
fn every_route_is_metered_under_both_roots() {
    on_each_database(|database| {
        let House { mock, organization, gateway, _installation } = house(database);
        let mut calls = 0;
        run(async {
            let body = |stream: bool| {
                json!({
                    "model": "mock/ok", "stream": stream, "user": "anna", "messages": [], "input": "a",
                    "documents": ["a"], "input_audio": { "data": "AAAA" },
                })
            };
            let client = Client::new(&gateway.base, &organization.key);
            for root in ["/v1", "/api/v1"] {
                let paths = Route::ALL.map(|route| (route.path(), route.streams()));
                for (path, streams) in paths.into_iter().chain([("/images/generations", false)]) {
                    for stream in [false, true].into_iter().filter(|stream| streams || !stream) {
                        let request = client.post(&format!("{root}{path}"), &body(stream));
                        let answer = read(request.send().await.unwrap()).await;
                        assert_eq!(answer.status.as_u16(), 200, "{root}{path}");
                        assert!(answer.complete && answer.generation.is_some(), "{root}{path}");
                        calls += 1;
                    }
                }
            }
            let bearer = format!("Bearer {}", organization.key);
            let key = ("authorization", bearer.as_str());
            let path = "/v1/audio/transcriptions";
            let answer = post(&gateway, path, &multipart(), key, form(3 << 20)).await;
            assert_eq!(answer.status.as_u16(), 200, "{}", String::from_utf8_lossy(&answer.body));
            calls += 1;
        });
        assert_equal_to_mock(&database.storage, &organization.id, &mock);
        let booked = rows(&database.storage, &organization.id);
        assert_eq!(booked.len(), calls);
        let charges = mock.ledger();
        let upload = &booked[&charges.last().unwrap().id];
        assert_eq!(upload.requested_model.as_ref().unwrap().as_str(), "mock/ok");
        for charge in charges.iter().filter(|charge| charge.id != upload.id.as_str()) {
            assert!(charge.user.as_ref().unwrap().starts_with("routes_user_"), "{charge:?}");
            assert_eq!(booked[&charge.id].user_id.as_str(), "anna");
        }
    });
}

#[test]
fn anthropic_s_clients_get_their_own_header_and_errors() {
    let database = TestDb::sqlite();
    let House { mock, organization, gateway, _installation } = house(&database);
    run(async {
        let good = json!({ "model": "mock/ok", "max_tokens": 9, "messages": [] }).to_string();
        let json = "application/json";
        let key = ("x-api-key", organization.key.as_str());
        let answer = post(&gateway, "/v1/messages", json, key, good.clone().into_bytes()).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["type"]), (200, &json!("message")));
        for (key, body, status, kind, code) in [
            (("x-api-key", "sk-mai-unknown"), good.clone(), 401, "authentication_error", "invalid_api_key"),
            (("x-other", "1"), good.clone(), 401, "authentication_error", "invalid_api_key"),
            (("x-api-key", ""), good, 401, "authentication_error", "invalid_api_key"),
            (key, "[]".to_owned(), 400, "invalid_request_error", "invalid_body"),
            (key, " ".repeat(5 << 20), 413, "request_too_large", "body_too_large"),
        ] {
            let answer = post(&gateway, "/v1/messages", json, key, body.into_bytes()).await;
            let told = answer.json();
            assert_eq!(answer.status.as_u16(), status, "{told}");
            assert_eq!(told["type"], "error");
            assert_eq!((&told["error"]["type"], &told["error"]["code"]), (&kind.into(), &code.into()));
            assert!(told["error"]["message"].is_string(), "{told}");
        }
    });
    let request = calls(&mock).remove(0);
    let header = |name: &str| request.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header("anthropic-version").as_deref(), Some("2023-06-01"));
    assert_eq!(header("x-api-key"), None);
    assert_eq!(calls(&mock).len(), 1);
}

#[test]
fn an_upload_is_bounded_and_never_cut_short_in_secret() {
    let database = TestDb::sqlite();
    let House { mock, organization, gateway, _installation } = house(&database);
    let failed = || {
        let id = OrganizationId::new(&organization.id).unwrap();
        let days = ["2000-01-01", "2100-01-01"].map(|day| UsageDate::parse(day).unwrap());
        database.storage.read_blocking(|conn| count_failed(conn, &id, days[0], days[1])).unwrap()
    };
    run(async {
        let bearer = format!("Bearer {}", organization.key);
        let key = ("authorization", bearer.as_str());
        let path = "/v1/audio/transcriptions";
        let announced = post(&gateway, path, &multipart(), key, form(5 << 20)).await;
        assert_eq!((announced.status.as_u16(), announced.error_code().as_str()), (413, "body_too_large"));
        let without = post(&gateway, path, "multipart/form-data", key, form(10)).await;
        assert_eq!((without.status.as_u16(), without.error_code().as_str()), (400, "invalid_body"));
    });
    assert_eq!((calls(&mock).len(), failed()), (0, 0));

    // Whoever announces no length is stopped where the limit is.
    let mut chunked = begin(&gateway, &organization, "Transfer-Encoding: chunked");
    let piece = [b"100000\r\n".as_slice(), &vec![b'x'; 1 << 20], b"\r\n"].concat();
    while chunked.write_all(&piece).is_ok() {}
    wait_until("the call is recorded as failed", || failed() == 1);

    // And whoever leaves in the middle has asked for nothing.
    for length in ["Transfer-Encoding: chunked", "Content-Length: 3000000"] {
        let before = failed();
        let mut leaving = begin(&gateway, &organization, length);
        leaving.write_all(&piece).unwrap();
        leaving.shutdown(Shutdown::Both).unwrap();
        drop(leaving);
        wait_until("the call is recorded as failed", || failed() == before + 1);
    }
    assert_eq!((mock.charge_count(), calls(&mock).len()), (0, 0), "no request was ever complete");
    assert!(gateway.stop().success());
}

/// Sends the head of an upload.
fn begin(gateway: &Gateway, organization: &Organization, length: &str) -> TcpStream {
    let mut stream = TcpStream::connect(gateway.base.strip_prefix("http://").unwrap()).unwrap();
    write!(
        stream,
        "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {}\r\n\
         Content-Type: {}\r\n{length}\r\n\r\n",
        organization.key,
        multipart()
    )
    .unwrap();
    stream
}
