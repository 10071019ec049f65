//! Every answer carries `x-request-id`, and every log line of its request the same id.

use std::{
    future::{Ready, ready},
    pin::Pin,
};

use actix_web::{
    Error, HttpMessage, HttpRequest,
    body::MessageBody,
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
    http::header::{HeaderName, HeaderValue},
};
use tracing::Instrument;

/// The id of a request, among its extensions.
#[derive(Debug, Clone)]
pub(crate) struct RequestIdOf(pub(crate) String);

/// The id of a request, where it has one already.
pub(crate) fn of(request: &HttpRequest) -> Option<String> {
    request.extensions().get::<RequestIdOf>().map(|id| id.0.clone())
}

/// The middleware that gives each request its id.
#[derive(Debug, Clone, Copy)]
pub struct RequestId;

impl<S, B> Transform<S, ServiceRequest> for RequestId
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Transform = RequestIdService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(RequestIdService { service }))
    }
}

/// The service that [`RequestId`] wraps around another.
pub struct RequestIdService<S> {
    service: S,
}

impl<S, B> Service<ServiceRequest> for RequestIdService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let id = uuid::Uuid::now_v7().simple().to_string();
        let span = tracing::info_span!("request", id, method = %request.method(), path = request.path());
        request.extensions_mut().insert(RequestIdOf(id.clone()));
        let answered = self.service.call(request);
        Box::pin(
            async move {
                let mut response = answered.await?;
                if let Ok(value) = HeaderValue::from_str(&id) {
                    response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
                }
                Ok(response)
            }
            .instrument(span),
        )
    }
}
