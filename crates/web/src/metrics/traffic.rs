//! [`Traffic`]: how many calls of the gateway there were and are, by route and by what came of them.
//!
//! A call costs a few relaxed additions; nothing is locked.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use actix_web::{
    Error,
    body::{BodySize, BoxBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse},
    http::{StatusCode, header},
    web::Bytes,
};
use mai_openrouter::Route;

/// The route of the gateway that costs nothing.
const MODELS: &str = "/models";

/// Counters of the gateway. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Traffic(Arc<Counters>);

#[derive(Debug)]
struct Counters {
    routes: Vec<RouteCounters>,
    open_calls: AtomicI64,
    open_streams: AtomicI64,
}

impl Default for Counters {
    fn default() -> Self {
        let paths = Route::ALL.map(Route::path).into_iter().chain([MODELS]);
        Self {
            routes: paths.map(RouteCounters::new).collect(),
            open_calls: AtomicI64::default(),
            open_streams: AtomicI64::default(),
        }
    }
}

/// The calls of one route that have an answer, or never will have one.
#[derive(Debug)]
struct RouteCounters {
    path: &'static str,
    success: AtomicU64,
    redirection: AtomicU64,
    client_error: AtomicU64,
    server_error: AtomicU64,
    left: AtomicU64,
}

impl RouteCounters {
    fn new(path: &'static str) -> Self {
        Self {
            path,
            success: AtomicU64::default(),
            redirection: AtomicU64::default(),
            client_error: AtomicU64::default(),
            server_error: AtomicU64::default(),
            left: AtomicU64::default(),
        }
    }

    fn of(&self, status: StatusCode) -> &AtomicU64 {
        match status.as_u16() {
            0..300 => &self.success,
            300..400 => &self.redirection,
            400..500 => &self.client_error,
            500.. => &self.server_error,
        }
    }

    /// Whether a path below `/v1` belongs to this route, under its own or a longer name.
    fn serves(&self, path: &str) -> bool {
        path.strip_prefix(self.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// A figure of [`Traffic::calls`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Calls {
    /// The route, without a slash at its beginning.
    pub(super) route: &'static str,
    /// The class of the status, or `left` where the client left before there was one.
    pub(super) outcome: &'static str,
    pub(super) count: u64,
}

impl Traffic {
    /// How many calls there were, by route and outcome.
    pub(super) fn calls(&self) -> impl Iterator<Item = Calls> {
        self.0.routes.iter().flat_map(|route| {
            let outcomes = [
                ("2xx", &route.success),
                ("3xx", &route.redirection),
                ("4xx", &route.client_error),
                ("5xx", &route.server_error),
                ("left", &route.left),
            ];
            outcomes.map(|(outcome, count)| Calls {
                route: route.path.trim_start_matches('/'),
                outcome,
                count: count.load(Relaxed),
            })
        })
    }

    /// Calls whose answers have not passed through yet.
    pub(super) fn open_calls(&self) -> i64 {
        self.0.open_calls.load(Relaxed)
    }

    /// Those of them that are streams of events.
    pub(super) fn open_streams(&self) -> i64 {
        self.0.open_streams.load(Relaxed)
    }

    /// A call of the gateway; none where the path is something else.
    fn begin(&self, path: &str) -> Option<OpenCall> {
        let below = path.strip_prefix("/api/v1").or_else(|| path.strip_prefix("/v1"))?;
        let route = self.0.routes.iter().position(|route| route.serves(below))?;
        self.0.open_calls.fetch_add(1, Relaxed);
        Some(OpenCall { traffic: self.clone(), route, is_answered: false, is_stream: false })
    }
}

/// A call until its answer has passed through, or its client has left.
struct OpenCall {
    traffic: Traffic,
    route: usize,
    is_answered: bool,
    is_stream: bool,
}

impl OpenCall {
    fn count(&self, of: impl FnOnce(&RouteCounters) -> &AtomicU64) {
        if let Some(route) = self.traffic.0.routes.get(self.route) {
            of(route).fetch_add(1, Relaxed);
        }
    }

    fn answered(&mut self, status: StatusCode, is_stream: bool) {
        self.is_answered = true;
        self.count(|route| route.of(status));
        if is_stream {
            self.is_stream = true;
            self.traffic.0.open_streams.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if !self.is_answered {
            self.count(|route| &route.left);
        }
        if self.is_stream {
            self.traffic.0.open_streams.fetch_sub(1, Relaxed);
        }
        self.traffic.0.open_calls.fetch_sub(1, Relaxed);
    }
}

/// The middleware that counts.
pub fn count<S>(
    traffic: &Traffic,
    request: ServiceRequest,
    service: &S,
) -> impl Future<Output = Result<ServiceResponse<CountedBody>, Error>> + use<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error>,
{
    let mut call = traffic.begin(request.path());
    let answered = service.call(request);
    async move {
        let answer = answered.await;
        if let Some(call) = &mut call {
            match &answer {
                Ok(answer) => call.answered(answer.status(), is_stream(answer)),
                Err(error) => call.answered(error.as_response_error().status_code(), false),
            }
        }
        Ok(answer?.map_body(|_, body| CountedBody { body, _call: call }))
    }
}

fn is_stream(answer: &ServiceResponse<BoxBody>) -> bool {
    let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
}

/// A body whose call is open as long as it is there.
pub struct CountedBody {
    body: BoxBody,
    _call: Option<OpenCall>,
}

impl MessageBody for CountedBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{App, HttpResponse, test, web};

    use super::*;

    fn of(traffic: &Traffic, route: &str) -> Vec<(&'static str, u64)> {
        let calls = traffic.calls().filter(|calls| calls.route == route && calls.count > 0);
        calls.map(|calls| (calls.outcome, calls.count)).collect()
    }

    async fn stream() -> HttpResponse {
        HttpResponse::Ok().content_type("text/event-stream").body("data: [DONE]\n\n")
    }

    #[actix_web::test]
    async fn calls_are_open_until_their_answer_has_passed_and_counted_by_route_and_status() {
        let traffic = Traffic::default();
        let counted = traffic.clone();
        let app = App::new()
            .wrap_fn(move |request, service| count(&counted, request, service))
            .route("/v1/chat/completions", web::post().to(stream))
            .route("/api/v1/images/generations", web::post().to(HttpResponse::BadGateway))
            .route("/v1/models", web::get().to(HttpResponse::Unauthorized))
            .route("/healthz", web::get().to(HttpResponse::Ok));
        let app = test::init_service(app).await;
        let call = async |request: test::TestRequest| test::call_service(&app, request.to_request()).await;

        let answer = call(test::TestRequest::post().uri("/v1/chat/completions")).await;
        assert_eq!((traffic.open_calls(), traffic.open_streams()), (1, 1));
        assert_eq!(test::read_body(answer).await, "data: [DONE]\n\n");
        assert_eq!((traffic.open_calls(), traffic.open_streams()), (0, 0));
        for request in [
            test::TestRequest::post().uri("/api/v1/images/generations"),
            test::TestRequest::get().uri("/v1/models?x=1"),
            test::TestRequest::get().uri("/healthz"),
            test::TestRequest::get().uri("/v1/chat/completionsx"),
        ] {
            drop(call(request).await);
        }
        assert_eq!(of(&traffic, "chat/completions"), [("2xx", 1)]);
        assert_eq!(of(&traffic, "images"), [("5xx", 1)]);
        assert_eq!(of(&traffic, "models"), [("4xx", 1)]);
        assert_eq!(traffic.calls().map(|calls| calls.count).sum::<u64>(), 3);
        assert_eq!(traffic.open_calls(), 0);
    }

    #[actix_web::test]
    async fn a_client_that_leaves_before_the_answer_is_counted_as_that() {
        let traffic = Traffic::default();
        let counted = traffic.clone();
        let app = App::new()
            .wrap_fn(move |request, service| count(&counted, request, service))
            .route("/v1/messages", web::post().to(std::future::pending::<HttpResponse>));
        let app = test::init_service(app).await;
        let request = test::TestRequest::post().uri("/v1/messages").to_request();
        let mut waiting = Box::pin(app.call(request));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        assert_eq!(traffic.open_calls(), 1);
        drop(waiting);
        assert_eq!(of(&traffic, "messages"), [("left", 1)]);
        assert_eq!(traffic.open_calls(), 0);
    }
}
