//! Loads an OpenAI-compatible endpoint with chat calls and prints one line of JSON with what it measured:
//! `cargo run --release -p mai-mock-openrouter --example load -- --url http://127.0.0.1:9100/api/v1 --key sk-or-v1-x`.
//!
//! | option | meaning |
//! |---|---|
//! | `--url URL` | what stands before `/chat/completions`; plain HTTP |
//! | `--key KEY` | the bearer key |
//! | `--connections N` | how many connections, each with one call at a time (1) |
//! | `--seconds N` | for how long calls are begun (5) |
//! | `--rate N` | so many calls per second by a fixed timetable; without it each connection calls as fast as it can |
//! | `--stream` | streamed answers |
//! | `--model NAME` | the model (`openai/gpt-4o-mini`) |
//!
//! Every body is read to its end; a call counts as an error unless it has status 200 and, if streamed, ends with
//! `[DONE]`. With `--rate` latency counts from the moment of the timetable, so that a stall is not hidden by the calls it
//! keeps from being made.

use bytes::Bytes;
use hdrhistogram::Histogram;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

type Failure = Box<dyn Error + Send + Sync>;

/// How a complete stream ends.
const DONE: &[u8] = b"data: [DONE]\n\n";

#[derive(Clone)]
struct Options {
    uri: Uri,
    /// Host and port, as in the header `Host`.
    authority: String,
    key: String,
    connections: usize,
    seconds: u64,
    rate: Option<u64>,
    stream: bool,
    model: String,
}

fn main() -> Result<(), Failure> {
    let options = Options::parse(std::env::args().skip(1))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(run(&options))?;
    writeln!(std::io::stdout(), "{report}")?;
    Ok(())
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let (mut url, mut key, mut rate) = (String::new(), String::new(), None);
        let (mut connections, mut seconds, mut stream) = (1, 5, false);
        let mut model = "openai/gpt-4o-mini".to_owned();
        while let Some(name) = arguments.next() {
            if name == "--stream" {
                stream = true;
                continue;
            }
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--url" => url = value,
                "--key" => key = value,
                "--connections" => connections = value.parse()?,
                "--seconds" => seconds = value.parse()?,
                "--rate" => rate = Some(value.parse()?).filter(|rate| *rate > 0),
                "--model" => model = value,
                _ => return Err(format!("unknown option {name}").into()),
            }
        }
        let uri: Uri = format!("{}/chat/completions", url.trim_end_matches('/')).parse()?;
        let authority = uri.authority().ok_or("--url must be an absolute URL")?.to_string();
        Ok(Self { uri, authority, key, connections, seconds, rate, stream, model })
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, http::Error> {
        let body = format!(
            r#"{{"model":"{}","stream":{},"messages":[{{"role":"user","content":"How many tokens are in a word?"}}]}}"#,
            self.model, self.stream
        );
        Request::post(self.uri.path())
            .header(header::HOST, &self.authority)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body.into()))
    }
}

/// What came of some calls. Times are in microseconds.
struct Measured {
    errors: u64,
    whole: Histogram<u64>,
    first_byte: Histogram<u64>,
}

impl Measured {
    fn new() -> Result<Self, Failure> {
        // Up to an hour, with three significant digits.
        let times = Histogram::new_with_max(3_600_000_000, 3)?;
        Ok(Self { errors: 0, whole: times.clone(), first_byte: times })
    }

    fn report(&self, elapsed: Duration) -> String {
        let elapsed_us = micros(elapsed).max(1);
        let requests = self.whole.len();
        format!(
            concat!(
                r#"{{"requests":{},"errors":{},"seconds":{}.{:03},"requests_per_second":{},"p50_us":{},"p99_us":{},"#,
                r#""max_us":{},"first_byte_p50_us":{},"first_byte_p99_us":{}}}"#
            ),
            requests,
            self.errors,
            elapsed.as_secs(),
            elapsed.subsec_millis(),
            requests.saturating_mul(1_000_000) / elapsed_us,
            self.whole.value_at_quantile(0.5),
            self.whole.value_at_quantile(0.99),
            self.whole.max(),
            self.first_byte.value_at_quantile(0.5),
            self.first_byte.value_at_quantile(0.99),
        )
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// When the next call of a connection is due.
enum Timetable {
    /// At once, until then.
    Until(Instant),
    /// When the clock says so.
    Fixed(UnboundedReceiver<Instant>),
}

impl Timetable {
    async fn next(&mut self) -> Option<Instant> {
        match self {
            Self::Until(end) => Some(Instant::now()).filter(|now| now < end),
            Self::Fixed(due) => due.recv().await,
        }
    }
}

async fn run(options: &Options) -> Result<String, Failure> {
    let measured = Arc::new(Mutex::new(Measured::new()?));
    let mut senders = Vec::new();
    for _ in 0..options.connections {
        senders.push(connect(&options.authority).await?);
    }
    let begun = Instant::now();
    let end = begun + Duration::from_secs(options.seconds);
    let (mut clocks, mut workers) = (Vec::new(), JoinSet::new());
    for sender in senders {
        let timetable = if options.rate.is_some() {
            let (clock, due) = unbounded_channel();
            clocks.push(clock);
            Timetable::Fixed(due)
        } else {
            Timetable::Until(end)
        };
        workers.spawn(call_by_timetable(options.clone(), sender, timetable, Arc::clone(&measured)));
    }
    if let Some(rate) = options.rate {
        let calls = rate.saturating_mul(options.seconds);
        std::thread::spawn(move || keep_time(&clocks, begun, rate, calls));
    }
    while let Some(ended) = workers.join_next().await {
        ended??;
    }
    Ok(locked(&measured).report(begun.elapsed()))
}

fn locked(measured: &Mutex<Measured>) -> MutexGuard<'_, Measured> {
    measured.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells the connections in turn that a call is due. A thread of its own, because its sleep is finer than the
/// millisecond of tokio's timer.
fn keep_time(clocks: &[UnboundedSender<Instant>], begun: Instant, rate: u64, calls: u64) {
    for (call, clock) in (0..calls).zip(clocks.iter().cycle()) {
        let due = begun + Duration::from_micros(call.saturating_mul(1_000_000) / rate.max(1));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if clock.send(due).is_err() {
            return;
        }
    }
}

async fn connect(authority: &str) -> Result<SendRequest<Full<Bytes>>, Failure> {
    let stream = TcpStream::connect(authority).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the connection ends with its sender, and this process with its last connection"
    )]
    tokio::spawn(connection);
    Ok(sender)
}

async fn call_by_timetable(
    options: Options,
    mut sender: SendRequest<Full<Bytes>>,
    mut timetable: Timetable,
    measured: Arc<Mutex<Measured>>,
) -> Result<(), Failure> {
    let request = options.request()?;
    while let Some(due) = timetable.next().await {
        if sender.ready().await.is_err() {
            // The server may close a connection between two calls.
            sender = connect(&options.authority).await?;
        }
        let outcome = call(&mut sender, request.clone(), options.stream).await;
        let mut measured = locked(&measured);
        match outcome {
            Ok(first_byte) => {
                measured.whole.saturating_record(micros(due.elapsed()));
                measured.first_byte.saturating_record(micros(first_byte.saturating_duration_since(due)));
            }
            Err(failure) => {
                measured.errors += 1;
                if measured.errors == 1 {
                    writeln!(std::io::stderr(), "a call failed: {failure}")?;
                }
            }
        }
    }
    Ok(())
}

/// One call; returns when the first byte of the body came.
async fn call(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
    stream: bool,
) -> Result<Instant, Failure> {
    let response = sender.send_request(request).await?;
    let status = response.status();
    let mut body = response.into_body();
    let (mut first_byte, mut tail) = (None, Vec::new());
    while let Some(frame) = body.frame().await {
        first_byte.get_or_insert_with(Instant::now);
        if let Ok(data) = frame?.into_data() {
            let from = data.len().saturating_sub(DONE.len());
            tail.extend_from_slice(data.get(from..).unwrap_or_default());
            let surplus = tail.len().saturating_sub(DONE.len());
            tail.drain(..surplus);
        }
    }
    if status != StatusCode::OK {
        return Err(format!("status {status}").into());
    }
    if stream && tail != DONE {
        return Err("a stream did not end with [DONE]".into());
    }
    first_byte.ok_or_else(|| "an empty body".into())
}
