//! A receiver of webhooks: real TCP, answers as it is told to, and remembers what came.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

/// A request that came.
#[derive(Debug, Clone)]
pub struct Received {
    /// The headers, by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

/// What the receiver does with the next request.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Status(u16),
    /// Not at all, until it is told to.
    Hold,
}

#[derive(Default)]
struct State {
    planned: Vec<Answer>,
    received: Vec<Received>,
    is_released: bool,
}

/// A receiver that lives as long as the process.
#[derive(Clone)]
pub struct WebhookReceiver {
    port: u16,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl WebhookReceiver {
    /// A receiver on a free port, which answers 204 unless told otherwise.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let receiver = Self { port, state: Arc::default() };
        let serving = receiver.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let receiver = serving.clone();
                std::thread::spawn(move || receiver.serve(&stream));
            }
        });
        receiver
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// Answers the next requests with these statuses.
    pub fn plan(&self, statuses: &[u16]) {
        let mut state = self.state.0.lock().expect("no one has panicked");
        state.planned.extend(statuses.iter().map(|status| Answer::Status(*status)));
    }

    /// Does not answer the next request until [`Self::release`].
    pub fn hold_next(&self) {
        let mut state = self.state.0.lock().expect("no one has panicked");
        state.planned.push(Answer::Hold);
        state.is_released = false;
    }

    /// Answers what is held.
    pub fn release(&self) {
        self.state.0.lock().expect("no one has panicked").is_released = true;
        self.state.1.notify_all();
    }

    /// What came so far.
    pub fn received(&self) -> Vec<Received> {
        self.state.0.lock().expect("no one has panicked").received.clone()
    }

    /// Waits until so many requests have come.
    pub fn wait_for(&self, count: usize) {
        let state = self.state.0.lock().expect("no one has panicked");
        drop(self.state.1.wait_while(state, |state| state.received.len() < count));
    }

    fn serve(&self, stream: &TcpStream) {
        // A client that leaves is none of the receiver's business.
        let Some(request) = read(stream) else { return };
        let (lock, changed) = &*self.state;
        let mut state = lock.lock().expect("no one has panicked");
        state.received.push(request);
        let answer = if state.planned.is_empty() { Answer::Status(204) } else { state.planned.remove(0) };
        changed.notify_all();
        let status = match answer {
            Answer::Status(status) => status,
            Answer::Hold => {
                drop(changed.wait_while(state, |state| !state.is_released));
                204
            }
        };
        let location = if status / 100 == 3 { "location: http://127.0.0.1:1/elsewhere\r\n" } else { "" };
        let head = format!("HTTP/1.1 {status} x\r\n{location}content-length: 0\r\nconnection: close\r\n\r\n");
        let mut stream = stream;
        let _ = stream.write_all(head.as_bytes());
    }
}

fn read(stream: &TcpStream) -> Option<Received> {
    let mut reader = BufReader::new(stream);
    let mut headers = BTreeMap::new();
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    assert!(line.starts_with("POST /hook HTTP/1.1"), "{line}");
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Received { headers, body: String::from_utf8(body).expect("JSON is UTF-8") })
}

/// Which of the signatures of a request are those of a secret, by an implementation of its own of
/// HMAC (RFC 2104).
pub fn matches(request: &Received, secret: &str) -> Vec<bool> {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").expect("a secret")).expect("base64");
    let header = |name: &str| request.headers[name].as_str();
    let signed = format!("{}.{}.{}", header("webhook-id"), header("webhook-timestamp"), request.body);
    let mut block = [0_u8; 64];
    assert!(key.len() <= block.len());
    block[..key.len()].copy_from_slice(&key);
    let pad = |byte: u8| block.map(|one| one ^ byte);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(&signed).finalize();
    let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
    let expected = format!("v1,{}", STANDARD.encode(outer));
    header("webhook-signature").split(' ').map(|one| one == expected).collect()
}
