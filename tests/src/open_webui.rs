//! A stand-in for Open WebUI, as far as its sessions go: it makes tokens and tells whose they are.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use serde_json::{Value, json};

/// What its tokens are signed with.
pub const SECRET: &str = "open-webui-secret-of-tests";

/// A running stand-in.
pub struct OpenWebui {
    /// Its address, for `WEBUI_BASE_URL`.
    pub base_url: String,
    state: Arc<Mutex<State>>,
    server: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    /// Who is signed in, by token.
    signed_in: BTreeMap<String, Value>,
    /// The status of every answer instead of a true one.
    broken: Option<u16>,
    asked: usize,
    stopping: bool,
}

impl OpenWebui {
    /// Starts one on a port of its own.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let base_url = format!("http://{}", listener.local_addr().expect("its address"));
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        let server = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if shared.lock().expect("nobody has panicked").stopping {
                    return;
                }
                // A client that leaves is no concern of the server.
                let _ = connection.and_then(|connection| answer(connection, &shared));
            }
        });
        Self { base_url, state, server: Some(server) }
    }

    /// Signs somebody in; the session token, which is valid for an hour.
    pub fn sign_in(&self, id: &str, role: &str) -> String {
        let token = token(SECRET, &json!({ "id": id, "typ": "session", "exp": in_seconds(3_600) }));
        self.remember(&token, id, role);
        token
    }

    /// Knows a token, as after a sign-in, or knows another role of its owner.
    pub fn remember(&self, token: &str, id: &str, role: &str) {
        let user = json!({
            "id": id, "name": id, "email": format!("{id}@example.com"), "role": role, "token": token,
            "token_type": "Bearer", "profile_image_url": "/user.png",
        });
        self.state().signed_in.insert(token.to_owned(), user);
    }

    /// Forgets a token, as after a sign-out.
    pub fn sign_out(&self, token: &str) {
        self.state().signed_in.remove(token);
    }

    /// Answers everything with this status, or truly again.
    pub fn answer_with(&self, status: Option<u16>) {
        self.state().broken = status;
    }

    /// How often it was asked about a token.
    pub fn asked(&self) -> usize {
        self.state().asked
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nobody has panicked")
    }
}

impl Drop for OpenWebui {
    fn drop(&mut self) {
        self.state().stopping = true;
        let address = self.base_url.trim_start_matches("http://").to_owned();
        if TcpStream::connect(address).is_ok()
            && let Some(server) = self.server.take()
        {
            server.join().expect("it has not panicked");
        }
    }
}

fn answer(connection: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    let (mut line, mut presented) = (String::new(), String::new());
    reader.read_line(&mut line)?;
    let is_known_route = line.starts_with("GET /api/v1/auths/ ");
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("authorization: bearer ") {
            line[line.len() - value.len()..].trim().clone_into(&mut presented);
        }
    }
    let (status, body) = {
        let mut state = state.lock().expect("nobody has panicked");
        state.asked += 1;
        match (state.broken, state.signed_in.get(&presented)) {
            (Some(status), _) => (status, json!({ "detail": "broken on purpose" })),
            (None, _) if !is_known_route => (404, json!({ "detail": "Not Found" })),
            (None, Some(user)) => (200, user.clone()),
            (None, None) => (401, json!({ "detail": "Your session has expired or the token is invalid." })),
        }
    };
    let body = body.to_string();
    let mut connection = connection;
    write!(
        connection,
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// A token with these claims, signed as Open WebUI signs.
pub fn token(secret: &str, claims: &Value) -> String {
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", encoded(&json!({ "alg": "HS256", "typ": "JWT" })), encoded(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// A time from now on, in Unix seconds.
pub fn in_seconds(seconds: i64) -> i64 {
    use mai_primitives::Clock;
    mai_primitives::SystemClock.now().timestamp() + seconds
}
