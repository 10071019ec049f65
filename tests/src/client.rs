//! A plain HTTP client of the gateway.

use futures_util::StreamExt;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A client with one key.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    key: String,
}

/// An answer that was read as far as it came.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The header `X-Generation-Id`.
    pub generation: Option<String>,
    /// The body as far as it came.
    pub body: Vec<u8>,
    /// Whether it came to its end.
    pub complete: bool,
}

impl Answer {
    /// Hex SHA-256 of the body.
    pub fn sha256(&self) -> String {
        format!("{:x}", bytes::Bytes::copy_from_slice(&Sha256::digest(&self.body)))
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// `error.code` of the body.
    pub fn error_code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Client {
    /// A client of the gateway at `base`.
    pub fn new(base: &str, key: &str) -> Self {
        crate::install_tls();
        Self { http: reqwest::Client::new(), base: base.to_owned(), key: key.to_owned() }
    }

    /// The body of a chat call.
    pub fn chat_body(model: &str, stream: bool) -> Value {
        json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": "Żółw?" }] })
    }

    /// Sends a chat call with a seed for the mock's randomness, and returns its head.
    pub async fn open(&self, model: &str, stream: bool, seed: u64) -> reqwest::Result<Response> {
        self.post("/v1/chat/completions", &Self::chat_body(model, stream))
            .header("x-mock-seed", seed)
            .send()
            .await
    }

    /// A request with the key, to be completed.
    pub fn post(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        self.http
            .post(format!("{}{path}", self.base))
            .bearer_auth(&self.key)
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    /// A GET request with the key.
    pub async fn get(&self, path: &str) -> Answer {
        let response = self.http.get(format!("{}{path}", self.base)).bearer_auth(&self.key).send().await;
        read(response.expect("an answer")).await
    }

    /// A chat call, read as far as it comes; none where there was no answer at all.
    pub async fn chat(&self, model: &str, stream: bool, seed: u64) -> Option<Answer> {
        match self.open(model, stream, seed).await {
            Ok(response) => Some(read(response).await),
            Err(_) => None,
        }
    }
}

/// Reads an answer to its end or to where it breaks off.
pub async fn read(response: Response) -> Answer {
    let status = response.status();
    let generation =
        response.headers().get("x-generation-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let mut answer = Answer { status, generation, body: Vec::new(), complete: false };
    let mut bytes = response.bytes_stream();
    loop {
        match bytes.next().await {
            Some(Ok(piece)) => answer.body.extend_from_slice(&piece),
            Some(Err(_)) => return answer,
            None => {
                answer.complete = true;
                return answer;
            }
        }
    }
}
