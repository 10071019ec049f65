//! Somebody's browser, as far as signing in goes: it keeps the cookie and sends it with everything.

use reqwest::{Method, RequestBuilder, StatusCode, header};
use serde_json::{Value, json};

/// A browser with at most one session.
#[derive(Clone)]
pub struct Browser {
    http: reqwest::Client,
    base: String,
    /// The cookie, as `mai_session=…`.
    pub cookie: Option<String>,
    /// What changes must carry.
    pub csrf_token: String,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The header `Set-Cookie`.
    pub set_cookie: Option<String>,
    /// The header `Retry-After`.
    pub retry_after: Option<u32>,
    /// The body.
    pub body: Value,
}

impl Answer {
    /// Status and `code`.
    pub fn refusal(&self) -> (u16, &str) {
        (self.status.as_u16(), self.body["code"].as_str().unwrap_or_default())
    }
}

impl Browser {
    /// A browser that has seen nothing yet.
    pub fn new(base: &str) -> Self {
        crate::install_tls();
        Self { http: reqwest::Client::new(), base: base.to_owned(), cookie: None, csrf_token: String::new() }
    }

    /// A request with the cookie and without a proof.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.cookie {
            Some(cookie) => request.header(header::COOKIE, format!("other=1; {cookie}")),
            None => request,
        }
    }

    /// A GET request.
    pub async fn get(&self, path: &str) -> Answer {
        read(self.request(Method::GET, path)).await
    }

    /// A change with the proof.
    pub async fn send(&self, method: Method, path: &str, body: &Value) -> Answer {
        read(self.request(method, path).header("x-csrf-token", &self.csrf_token).body(body.to_string())).await
    }

    /// A POST request with the proof.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, body).await
    }

    /// As [`Self::post`], and keeps the cookie and the proof of the answer.
    pub async fn enter(&mut self, path: &str, body: &Value) -> Answer {
        let answer = self.post(path, body).await;
        if let Some(cookie) = &answer.set_cookie {
            self.cookie = cookie.split(';').next().map(str::to_owned);
            answer.body["csrf_token"].as_str().unwrap_or_default().clone_into(&mut self.csrf_token);
        }
        answer
    }

    /// Signs in with a password.
    pub async fn sign_in(&mut self, email: &str, password: &str) -> Answer {
        self.enter("/api/v1/auth/sign-in", &json!({ "email": email, "password": password })).await
    }

    /// Opens a one-time link.
    pub async fn open_link(&mut self, token: &str) -> Answer {
        self.enter("/api/v1/auth/link", &json!({ "token": token })).await
    }

    /// Chooses a password right after a link was opened.
    pub async fn choose_password(&mut self, password: &str) -> Answer {
        self.enter("/api/v1/auth/password", &json!({ "new": password })).await
    }
}

/// Sends a request and reads its answer.
pub async fn read(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    let text = |name: header::HeaderName| {
        response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let (set_cookie, retry_after) = (text(header::SET_COOKIE), text(header::RETRY_AFTER));
    let status = response.status();
    let body = response.bytes().await.expect("a body");
    Answer {
        status,
        set_cookie,
        retry_after: retry_after.and_then(|seconds| seconds.parse().ok()),
        body: serde_json::from_slice(&body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&body))),
    }
}
