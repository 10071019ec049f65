//! A mail server: SMTP over real TCP with a user and a password, which remembers what came.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use base64::{Engine, engine::general_purpose::STANDARD};

/// The user that the server lets in.
pub const USER: &str = "alerts";
/// The password of that user, some of which has to be encoded in a URL.
pub const PASSWORD: &str = "p@ss:w/rd-of-mail";

/// The same as it stands in a URL.
pub const PASSWORD_IN_URL: &str = "p%40ss%3Aw%2Frd-of-mail";

/// A mail that came.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Who sent it and who gets it, as SMTP said it.
    pub envelope: (String, Vec<String>),
    /// The mail, byte for byte.
    pub raw: String,
}

#[derive(Default)]
struct State {
    mails: Vec<Mail>,
    refusals: usize,
    refused_sign_ins: usize,
}

/// A server that lives as long as the process.
#[derive(Clone)]
pub struct MailServer {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl MailServer {
    /// A server on a free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let server = Self { port, state: Arc::default() };
        let serving = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let server = serving.clone();
                // A client that leaves is none of the server's business.
                std::thread::spawn(move || server.talk(&stream));
            }
        });
        server
    }

    /// The server for `MAI_SMTP_URL`.
    pub fn url(&self) -> String {
        self.url_with(PASSWORD_IN_URL)
    }

    /// The same with another password.
    pub fn url_with(&self, password: &str) -> String {
        format!("smtp://{USER}:{password}@127.0.0.1:{}", self.port)
    }

    /// Refuses the next mails for a while.
    pub fn refuse(&self, count: usize) {
        self.state.lock().expect("no one has panicked").refusals = count;
    }

    /// What came so far.
    pub fn mails(&self) -> Vec<Mail> {
        self.state.lock().expect("no one has panicked").mails.clone()
    }

    /// How often somebody came with another password.
    pub fn refused_sign_ins(&self) -> usize {
        self.state.lock().expect("no one has panicked").refused_sign_ins
    }

    fn talk(&self, stream: &TcpStream) -> Option<()> {
        let mut lines = BufReader::new(stream).lines();
        let say = |text: &str| {
            let mut stream = stream;
            stream.write_all(format!("{text}\r\n").as_bytes()).ok()
        };
        let (mut signed_in, mut from, mut to) = (false, String::new(), Vec::new());
        say("220 mail.example")?;
        loop {
            let line = lines.next()?.ok()?;
            let word = line.split([' ', ':']).next().unwrap_or_default().to_uppercase();
            match word.as_str() {
                "EHLO" => say("250-mail.example\r\n250-8BITMIME\r\n250 AUTH PLAIN")?,
                "AUTH" => {
                    let said = STANDARD.decode(line.trim_start_matches("AUTH PLAIN ")).unwrap_or_default();
                    signed_in = said == format!("\0{USER}\0{PASSWORD}").as_bytes();
                    if !signed_in {
                        self.state.lock().expect("no one has panicked").refused_sign_ins += 1;
                    }
                    say(if signed_in { "235 welcome" } else { "535 wrong user or password" })?;
                }
                "MAIL" if !signed_in => say("530 sign in first")?,
                "MAIL" => {
                    from = address(&line);
                    say("250 ok")?;
                }
                "RCPT" => {
                    let mut state = self.state.lock().expect("no one has panicked");
                    let is_refused = state.refusals > 0;
                    state.refusals = state.refusals.saturating_sub(1);
                    drop(state);
                    to.push(address(&line));
                    say(if is_refused { "451 later" } else { "250 ok" })?;
                }
                "DATA" => {
                    say("354 go on")?;
                    let mut raw = String::new();
                    loop {
                        let line = lines.next()?.ok()?;
                        if line == "." {
                            break;
                        }
                        raw.push_str(line.strip_prefix('.').unwrap_or(&line));
                        raw.push_str("\r\n");
                    }
                    let mail = Mail { envelope: (from.clone(), std::mem::take(&mut to)), raw };
                    self.state.lock().expect("no one has panicked").mails.push(mail);
                    say("250 taken")?;
                }
                "QUIT" => {
                    say("221 bye")?;
                    return None;
                }
                _ => say("250 ok")?,
            }
        }
    }
}

/// What stands between `<` and `>`.
fn address(line: &str) -> String {
    line.split(['<', '>']).nth(1).unwrap_or_default().to_owned()
}

impl Mail {
    /// A header as people read it: unfolded, its encoded words decoded (RFC 2047).
    pub fn header(&self, name: &str) -> String {
        headers(&self.raw).0.get(&name.to_lowercase()).map(|value| decode_words(value)).unwrap_or_default()
    }

    /// The part of this media type, decoded.
    pub fn part(&self, media_type: &str) -> String {
        let (head, _) = headers(&self.raw);
        let boundary = head["content-type"].split("boundary=\"").nth(1).expect("several parts");
        let boundary = format!("--{}", boundary.split('"').next().expect("its end"));
        let part = self.raw.split(&boundary).find_map(|part| {
            let (head, body) = headers(part.trim_start_matches("\r\n"));
            head.get("content-type")?.starts_with(media_type).then(|| decode_body(&head, body))
        });
        part.expect("such a part")
    }
}

fn headers(text: &str) -> (BTreeMap<String, String>, &str) {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let split = unfolded.split("\r\n").filter_map(|line| line.split_once(':'));
    let named = split.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
    (named, body)
}

fn decode_body(head: &BTreeMap<String, String>, body: &str) -> String {
    assert!(head["content-type"].to_lowercase().contains("charset=utf-8"), "{head:?}");
    let bytes = match head.get("content-transfer-encoding").map(String::as_str) {
        Some("base64") => STANDARD.decode(body.replace("\r\n", "")).expect("base64"),
        Some("quoted-printable") => unquote(&body.replace("=\r\n", "")),
        _ => body.as_bytes().to_vec(),
    };
    let text = String::from_utf8(bytes).expect("UTF-8").replace("\r\n", "\n");
    format!("{}\n", text.trim_end())
}

fn decode_words(value: &str) -> String {
    // White space between encoded words is nothing.
    let value = value.replace("?= =?", "?==?");
    let (mut rest, mut bytes) = (value.as_str(), Vec::new());
    while let Some((before, after)) = rest.split_once("=?") {
        bytes.extend(before.as_bytes());
        let mut parts = after.splitn(3, '?');
        assert_eq!(parts.next().map(str::to_lowercase).as_deref(), Some("utf-8"));
        let (encoding, tail) = (parts.next().expect("an encoding"), parts.next().expect("a text"));
        let (text, left) = tail.split_once("?=").expect("the end of an encoded word");
        bytes.extend(match encoding.to_lowercase().as_str() {
            "b" => STANDARD.decode(text).expect("base64"),
            _ => unquote(&text.replace('_', " ")),
        });
        rest = left;
    }
    bytes.extend(rest.as_bytes());
    String::from_utf8(bytes).expect("UTF-8")
}

/// Quoted-printable without its soft line breaks.
fn unquote(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'=' {
            let digits = std::str::from_utf8(&after[..2]).expect("two digits");
            bytes.push(u8::from_str_radix(digits, 16).expect("hex"));
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    bytes
}
