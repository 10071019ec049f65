use super::*;
use crate::usage::UsageReport;
use std::error::Error as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const KEY: &str = "sk-or-v1-very-secret";
const RECORD: &str =
    r#"{"data":{"id":"gen-1 &/ä","usage":0.0015,"native_tokens_prompt":1,"native_tokens_completion":2}}"#;

fn client(base_url: &str) -> OpenRouterClient {
    // The first test of the process installs the provider, for the others it is there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    OpenRouterClient::new(base_url).unwrap()
}

/// Serves one connection with `answer` and returns what was asked.
async fn serve(listener: TcpListener, answer: &[u8]) -> String {
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(socket.read_u8().await.unwrap());
    }
    // The client may hang up before it has read everything.
    let _ = socket.write_all(answer).await;
    String::from_utf8(request).unwrap()
}

/// The result of a look-up that gets this answer, and the request.
async fn look_up(status: &str, headers: &str, body: &str) -> (Result<GenerationLookup, LookupError>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(&format!("http://{}/api/v1/", listener.local_addr().unwrap()));
    let answer = format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let key = SecretString::from(KEY);
    tokio::join!(client.generation(&key, "gen-1 &/ä"), serve(listener, answer.as_bytes()))
}

#[tokio::test]
async fn asks_with_the_key_and_reads_the_record() {
    let (result, request) = look_up("200 OK", "", RECORD).await;
    let GenerationLookup::Found(details) = result.unwrap() else { panic!("not found") };
    assert!(matches!(details.usage, UsageReport::Exact(_)));
    let request = request.to_lowercase();
    assert!(request.starts_with("get /api/v1/generation?id=gen-1+%26%2f%c3%a4 http/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("authorization: bearer {KEY}\r\n")), "{request}");
}

#[tokio::test]
async fn every_status_has_its_meaning() {
    let error = r#"{"error":{"code":404,"message":"Resource not found"}}"#;
    assert_eq!(look_up("404 Not Found", "", error).await.0.unwrap(), GenerationLookup::NotReady);
    for status in ["401 Unauthorized", "403 Forbidden"] {
        assert!(matches!(look_up(status, "", error).await.0, Err(LookupError::Unauthorized)));
    }
    for (headers, seconds) in [("retry-after: 7\r\n", Some(7)), ("", None), ("retry-after: soon\r\n", None)] {
        let Err(LookupError::RateLimited { retry_after }) =
            look_up("429 Too Many Requests", headers, error).await.0
        else {
            panic!("not limited")
        };
        assert_eq!(retry_after, seconds.map(Duration::from_secs));
    }
    for (line, expected) in [("500 Internal Server Error", 500), ("524 Timeout", 524), ("302 Found", 302)] {
        let (result, _) = look_up(line, "location: http://127.0.0.1:1/\r\n", RECORD).await;
        assert!(matches!(result, Err(LookupError::Upstream { status }) if status == expected), "{result:?}");
    }
}

#[tokio::test]
async fn an_unreadable_answer_is_malformed() {
    let other = RECORD.replace("gen-1", "gen-2");
    let long = format!("{{\"data\":\"{}\"}}", "x".repeat(MAX_BODY));
    for (body, text) in
        [("<html>", "not a generation record"), (&other, "another generation"), (&long, "256 KiB")]
    {
        let (result, _) = look_up("200 OK", "", body).await;
        assert!(matches!(result, Err(LookupError::Malformed(reason)) if reason.contains(text)), "{result:?}");
    }
}

#[tokio::test]
async fn a_broken_connection_is_transport_and_tells_no_secret() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(&format!("http://{}", listener.local_addr().unwrap()));
    let key = SecretString::from(KEY);
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{";
    let (result, _) = tokio::join!(client.generation(&key, "gen-1"), serve(listener, cut));
    // Now nobody listens any more.
    for error in [result.unwrap_err(), client.generation(&key, "gen-1").await.unwrap_err()] {
        assert!(matches!(error, LookupError::Transport(_)) && error.source().is_some());
        let told = format!("{error} {error:?} {client:?} {key:?}");
        assert!(!told.contains("very-secret") && !told.contains("gen-1"), "{told}");
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_sent_is_unauthorized() {
    let key = SecretString::from("two\nlines");
    let result = client("http://127.0.0.1:1").generation(&key, "gen-1").await;
    assert!(matches!(result, Err(LookupError::Unauthorized)));
}

#[test]
fn a_base_url_must_be_http() {
    for base_url in ["", "openrouter.ai", "ftp://openrouter.ai", "https://openrouter.ai?x=1"] {
        assert!(matches!(OpenRouterClient::new(base_url), Err(ClientError::BaseUrl(_))), "{base_url}");
    }
}

#[tokio::test]
async fn the_mock_stands_in_for_the_client() {
    let mut mock = MockGenerationSource::new();
    mock.expect_generation()
        .withf(|_, id| id == "gen-1")
        .returning(|_, _| Box::pin(async { Ok(GenerationLookup::NotReady) }));
    let source: Box<dyn GenerationSource> = Box::new(mock);
    let result = source.generation(&SecretString::from(KEY), "gen-1").await;
    assert_eq!(result.unwrap(), GenerationLookup::NotReady);
}

#[tokio::test]
async fn the_usage_of_a_key_is_asked_with_the_key_itself() {
    let body = r#"{"data":{"usage":25.5,"usage_daily":0.5,"byok_usage":1,"byok_usage_daily":0.25}}"#;
    for (status, body, expected) in [
        ("200 OK", body, Some("26.5")),
        ("200 OK", "{}", None),
        ("404 Not Found", body, None),
        ("401 Unauthorized", body, None),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = client(&format!("http://{}/api/v1/", listener.local_addr().unwrap()));
        let answer =
            format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        let key = SecretString::from(KEY);
        let (result, request) = tokio::join!(client.key_usage(&key), serve(listener, answer.as_bytes()));
        let request = request.to_lowercase();
        assert!(request.starts_with("get /api/v1/key http/1.1\r\n"), "{request}");
        assert!(request.contains(&format!("authorization: bearer {KEY}\r\n")), "{request}");
        assert_eq!(result.ok().map(|usage| usage.total.to_string()).as_deref(), expected, "{status}");
    }
}

#[tokio::test]
async fn the_list_of_models_is_asked_for_without_a_key() {
    let body = r#"{"data":[{"id":"a/b","name":"B","pricing":{"prompt":"0","completion":"0"}}]}"#;
    for (status, body, expected) in [
        ("200 OK", body, Ok(1)),
        ("200 OK", "{}", Err("OpenRouter's answer cannot be read: it is not a list of models")),
        ("404 Not Found", body, Err("OpenRouter answered with status 404")),
        ("429 Too Many Requests", body, Err("OpenRouter limits the request rate")),
        ("500 Internal Server Error", body, Err("OpenRouter answered with status 500")),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = client(&format!("http://{}/api/v1/", listener.local_addr().unwrap()));
        let answer =
            format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        let (result, request) = tokio::join!(client.models(), serve(listener, answer.as_bytes()));
        let request = request.to_lowercase();
        assert!(request.starts_with("get /api/v1/models?output_modalities=all http/1.1\r\n"), "{request}");
        assert!(!request.contains("authorization"), "{request}");
        let result = result.map(|models| models.len()).map_err(|error| error.to_string());
        assert_eq!(result, expected.map_err(str::to_owned), "{status}");
    }
}
