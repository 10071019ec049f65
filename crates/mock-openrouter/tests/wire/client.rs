//! A deliberately small HTTP/1.1 client: one request per connection, everything readable as raw bytes.

use mai_mock_openrouter::{Charge, Mock, MockSettings, Route};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;

pub(crate) const KEY: &str = "sk-or-v1-test";

/// An answer, taken apart.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    /// The HTTP chunks; one for a body with a length.
    pub(crate) chunks: Vec<Vec<u8>>,
    /// Whether the body ended as HTTP says.
    pub(crate) complete: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        self.chunks.concat()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body()).unwrap()
    }

    /// The payloads of a stream with plain `data: ` lines.
    pub(crate) fn events(&self) -> Vec<String> {
        let text = self.text();
        text.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).map(str::to_owned).collect()
    }
}

pub(crate) fn start() -> Mock {
    Mock::start(MockSettings::default()).unwrap()
}

/// Sends a request and reads until the server closes.
pub(crate) fn send(mock: &Mock, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut stream = open(mock, method, path, headers, body);
    let mut raw = Vec::new();
    // A broken connection may end with a reset; what was read until then counts.
    let _ = stream.read_to_end(&mut raw);
    parse(&raw)
}

/// Sends a request and leaves the answer unread.
pub(crate) fn open(mock: &Mock, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(mock.address()).unwrap();
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nhost: mock\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
    stream
}

pub(crate) fn get(mock: &Mock, path: &str) -> Answer {
    send(mock, "GET", path, &[("authorization", &format!("Bearer {KEY}"))], "")
}

pub(crate) fn chat_body(model: &str, stream: bool) -> String {
    format!(
        r#"{{"model":"{model}","stream":{stream},"user":"acme_user_1","messages":[{{"role":"user","content":"ping"}}]}}"#
    )
}

pub(crate) fn chat_with(mock: &Mock, model: &str, stream: bool, headers: &[(&str, &str)]) -> Answer {
    let bearer = format!("Bearer {KEY}");
    let mut all = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
    all.extend_from_slice(headers);
    send(mock, "POST", "/api/v1/chat/completions", &all, &chat_body(model, stream))
}

pub(crate) fn chat(mock: &Mock, model: &str, stream: bool) -> Answer {
    chat_with(mock, model, stream, &[])
}

/// A request that the route accepts.
pub(crate) fn body(route: Route, model: &str, stream: bool) -> String {
    let rest = match route {
        Route::ChatCompletions => return chat_body(model, stream),
        Route::Completions => r#""prompt":"ping""#,
        Route::Embeddings => r#""input":["ping","pong"]"#,
        Route::Responses => r#""input":"ping""#,
        Route::Messages => r#""max_tokens":100,"messages":[{"role":"user","content":"ping"}]"#,
        Route::Rerank => r#""query":"ping","documents":["ping",{"text":"\"pong\""}]"#,
        Route::Images => r#""prompt":"a dot""#,
        Route::Speech => r#""input":"ping","voice":"alloy""#,
        Route::Transcriptions => r#""input_audio":{"data":"AAAA","format":"wav"}"#,
    };
    format!(r#"{{"model":"{model}","stream":{stream},"user":"acme_user_1",{rest}}}"#)
}

/// Orders on any route.
pub(crate) fn order_with(
    mock: &Mock,
    route: Route,
    model: &str,
    stream: bool,
    headers: &[(&str, &str)],
) -> Answer {
    let bearer = format!("Bearer {KEY}");
    let mut all = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
    all.extend_from_slice(headers);
    send(mock, "POST", &path(route), &all, &body(route, model, stream))
}

pub(crate) fn order(mock: &Mock, route: Route, model: &str, stream: bool) -> Answer {
    order_with(mock, route, model, stream, &[])
}

pub(crate) fn path(route: Route) -> String {
    format!("/api/v1{}", route.path())
}

/// Every route with each way to order there.
pub(crate) fn ways() -> impl Iterator<Item = (Route, bool)> {
    Route::ALL.into_iter().flat_map(|route| [(route, false), (route, true)]).filter(|(route, stream)| {
        // Where nothing streams, asking for it changes nothing.
        !*stream || route.streams()
    })
}

pub(crate) fn look_up(mock: &Mock, id: &str) -> Answer {
    get(mock, &format!("/api/v1/generation?id={id}"))
}

/// The only charge.
pub(crate) fn charge(mock: &Mock) -> Charge {
    let ledger = mock.ledger();
    assert_eq!(ledger.len(), 1, "{ledger:?}");
    ledger.into_iter().next().unwrap()
}

/// Raw text of the value behind `"name":` in JSON that has no spaces and no such text elsewhere.
pub(crate) fn raw<'a>(json: &'a str, name: &str) -> &'a str {
    let rest = json.rsplit_once(&format!("\"{name}\":")).unwrap().1;
    &rest[..rest.find([',', '}']).unwrap()]
}

fn parse(raw: &[u8]) -> Answer {
    let Some(end) = raw.windows(4).position(|window| window == b"\r\n\r\n") else { return Answer::default() };
    let head = std::str::from_utf8(&raw[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut answer = Answer { status, headers, ..Answer::default() };
    let mut rest = &raw[end + 4..];
    if let Some(length) = answer.header("content-length") {
        answer.complete = rest.len() == length.parse::<usize>().unwrap();
        answer.chunks.push(rest.to_vec());
        return answer;
    }
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        rest = &rest[end + 2..];
        if size == 0 {
            answer.complete = true;
            break;
        }
        let Some(chunk) = rest.get(..size) else { break };
        answer.chunks.push(chunk.to_vec());
        rest = rest.get(size + 2..).unwrap_or_default();
    }
    answer
}
