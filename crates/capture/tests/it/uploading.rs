//! A body that comes from the client while it is sent.

use std::{
    io::{Read, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::join};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use mai_capture::{
    Delivery, ExchangeId, Form, ProxyError, ProxyResponse, ProxySettings, RequestBody, Upload,
    UpstreamRequest,
    proxy::ProxyBody,
    record::{Outcome, Record},
    upstream::UpstreamError,
};
use mai_generation_processing::PendingReason;
use mai_openrouter::Route;
use mai_primitives::ModelName;
use sha2::{Digest, Sha256};

use crate::{
    eventually,
    raw::{head, serve},
    road::{Road, call},
    run,
};

const MIB: usize = 1 << 20;

fn form() -> Form {
    Form { model: ModelName::new("openai/whisper-1").ok(), streamed: false }
}

fn request(upload: Upload) -> UpstreamRequest {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("multipart/form-data; boundary=x"));
    UpstreamRequest {
        method: Method::POST,
        path: Route::Transcriptions.path().to_owned(),
        headers,
        authorization: HeaderValue::from_static("Bearer sk-or-v1-test"),
        title: None,
        referer: None,
        body: RequestBody::Upload(upload),
    }
}

type Answer<'a> = std::pin::Pin<Box<dyn Future<Output = Result<ProxyResponse, ProxyError>> + 'a>>;

/// Makes a call whose model is only known by its upload.
fn begin(road: &Road, upload: Upload) -> (ExchangeId, Answer<'_>) {
    let mut call = call("org_road", false);
    call.requested_model = None;
    let exchange = call.exchange.clone();
    (
        exchange,
        Box::pin(road.proxy.send(Route::Transcriptions, (call, None), request(upload), Delivery::default())),
    )
}

async fn settled(road: &Road, exchange: &ExchangeId) -> mai_capture::record::Settled {
    eventually("a settled record", || matches!(road.records(exchange).last(), Some(Record::Settled(_))))
        .await;
    road.settled(exchange)
}

const ANSWER: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n\
    X-Generation-Id: gen-stt-1\r\n\r\n\
    {\"text\":\"pong\",\"usage\":{\"seconds\":3,\"input_tokens\":7,\"output_tokens\":2,\"total_tokens\":9,\"cost\":2e-6}}";

/// Upstream reads nothing until the client is stuck. Were anything gathered, the client would never be.
#[test]
fn a_large_upload_waits_for_upstream_and_arrives_whole() {
    const PIECES: usize = 50;
    let taken = Arc::new(AtomicU64::new(0));
    let (go, gone) = mpsc::channel::<()>();
    let (counter, gone) = (Arc::clone(&taken), Arc::new(Mutex::new(gone)));
    let received = Arc::new(Mutex::new(None));
    let result = Arc::clone(&received);
    let base = serve(move |mut connection| {
        let head = head(&mut connection);
        gone.lock().unwrap().recv().unwrap();
        let mut hash = Sha256::new();
        let mut buffer = vec![0; MIB];
        let mut left = PIECES * MIB;
        while left > 0 {
            let read = connection.read(&mut buffer).unwrap();
            assert!(read > 0, "the upload broke off");
            hash.update(&buffer[..read]);
            counter.fetch_add(u64::try_from(read).unwrap(), Ordering::SeqCst);
            left -= read;
        }
        *result.lock().unwrap() = Some((head, hash.finalize().to_vec()));
        connection.get_mut().write_all(ANSWER.as_bytes()).unwrap();
    });
    run(async {
        let road = Road::new().to(&base, ProxySettings::default());
        let (sender, upload) = Upload::new(u64::try_from(PIECES * MIB).ok());
        let (exchange, answer) = begin(&road, upload);
        let sending = async {
            let mut hash = Sha256::new();
            let (mut sent, mut stuck_at) = (0_u64, None);
            for number in 0..PIECES {
                let piece = Bytes::from(vec![u8::try_from(number).unwrap(); MIB]);
                hash.update(&piece);
                let mut sending = Box::pin(sender.send(piece));
                let soon = tokio::time::timeout(Duration::from_millis(500), &mut sending).await;
                let passed = if let Ok(passed) = soon {
                    passed
                } else {
                    stuck_at.get_or_insert(sent);
                    go.send(()).unwrap_or_default();
                    sending.await
                };
                assert!(passed);
                sent += u64::try_from(MIB).unwrap();
                // What is neither here nor there lies in the system's socket buffers and in two pieces.
                let between = sent - taken.load(Ordering::SeqCst);
                assert!(between < 24 << 20, "{between} bytes are held somewhere");
            }
            assert!(stuck_at.is_some(), "the client was never stuck");
            sender.finish(form()).await;
            hash.finalize().to_vec()
        };
        let (hash, answer) = join(sending, answer).await;
        let ProxyBody::Metered(mut body) = answer.unwrap().body else { panic!("an error") };
        while body.next().await.is_some_and(|chunk| chunk.is_ok()) {}
        let (head, received) = received.lock().unwrap().take().unwrap();
        assert_eq!(received, hash);
        assert!(head.contains(&format!("content-length: {}", PIECES * MIB)), "{head:?}");
        let settled = road.settled(&exchange);
        assert_eq!(settled.call.requested_model, form().model);
        let Outcome::Exact(usage) = settled.outcome else { panic!("{:?}", settled.outcome) };
        assert_eq!((usage.cost_nanos, usage.input_tokens, usage.output_tokens), (2_000, 7, 2));
    });
}

/// The lines of a request's head, and its body as far as it came.
type Received = (Vec<String>, Vec<u8>);

/// Everything that upstream got of each request until its connection ended.
fn until_the_end() -> (String, mpsc::Receiver<Received>) {
    let (sender, requests) = mpsc::channel();
    let base = serve(move |mut connection| {
        let head = head(&mut connection);
        let mut body = Vec::new();
        // A reset connection is an end as well.
        connection.read_to_end(&mut body).unwrap_or_default();
        sender.send((head, body)).unwrap_or_default();
    });
    (base, requests)
}

#[test]
fn an_upload_that_breaks_off_never_looks_complete_and_is_recorded_as_failed() {
    let (base, requests) = until_the_end();
    run(async {
        let road = Road::new().to(&base, ProxySettings::default());
        for length in [None, Some(1_000)] {
            for leaves in [false, true] {
                let (sender, upload) = Upload::new(length);
                let (exchange, mut answer) = begin(&road, upload);
                let asked = (&mut answer).now_or_never();
                assert!(asked.is_none());
                assert!(sender.send(Bytes::from_static(b"--x\r\nContent-Disp")).await);
                // The second one is taken when the first one is on its way.
                assert!(sender.send(Bytes::from_static(b"osition: form-data")).await);
                drop(sender);
                if leaves {
                    // The web framework drops the handler of a client that has left.
                    drop(answer);
                } else {
                    let error = answer.await.err().unwrap();
                    let upstream = matches!(&error, ProxyError::Upstream(UpstreamError::NoAnswer(_)));
                    assert!(upstream, "{error}");
                }
                let settled = settled(&road, &exchange).await;
                let failed = Outcome::Failed { status: 0, reason: "incomplete_upload".to_owned() };
                assert_eq!((settled.outcome, settled.generation_id), (failed, None));
                let received = requests.recv_timeout(crate::PATIENCE);
                let (head, body) = received.unwrap();
                if let Some(length) = length {
                    assert!(head.contains(&format!("content-length: {length}")), "{head:?}");
                    assert!(u64::try_from(body.len()).unwrap() < length);
                } else {
                    assert!(head.contains(&"transfer-encoding: chunked".to_owned()), "{head:?}");
                    assert!(!body.ends_with(b"0\r\n\r\n"), "the end of all chunks was sent");
                }
            }
        }
    });
}

#[test]
fn a_complete_upload_without_an_answer_may_have_been_billed() {
    let base = serve(|mut connection| {
        head(&mut connection);
        let mut body = [0; 4];
        connection.read_exact(&mut body).unwrap();
    });
    run(async {
        let road = Road::new().to(&base, ProxySettings::default());
        let (sender, upload) = Upload::new(Some(4));
        let (exchange, answer) = begin(&road, upload);
        let sending = async {
            sender.send(Bytes::from_static(b"abcd")).await;
            sender.finish(form()).await;
        };
        let ((), answer) = join(sending, answer).await;
        assert!(matches!(answer, Err(ProxyError::Upstream(UpstreamError::NoAnswer(_)))));
        let settled = settled(&road, &exchange).await;
        assert_eq!(settled.outcome, Outcome::Unknown { reason: PendingReason::NoAnswer });
        assert_eq!(settled.call.requested_model, form().model);
    });
}

#[test]
fn an_upload_that_upstream_refuses_at_once_is_answered() {
    let base = serve(|mut connection| {
        head(&mut connection);
        let refusal = "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
        connection.get_mut().write_all(refusal.as_bytes()).unwrap();
        // Closing now, with what was not read, could take the answer back from the wire.
        loop {
            std::thread::park();
        }
    });
    run(async {
        let road = Road::new().to(&base, ProxySettings::default());
        let (sender, upload) = Upload::new(Some(1 << 40));
        let (exchange, answer) = begin(&road, upload);
        let sending = async {
            while sender.send(Bytes::from(vec![0; MIB])).await {}
            std::future::pending::<()>().await;
        };
        let answer = tokio::select! {
            answer = answer => answer.unwrap(),
            () = sending => unreachable!("it has no end"),
        };
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
        let settled = settled(&road, &exchange).await;
        assert_eq!(settled.outcome, Outcome::Failed { status: 413, reason: "upstream_status".to_owned() });
    });
}
