//! Bodies in and out.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    HttpResponse,
    body::{BodySize, BoxBody, MessageBody, SizedStream},
    http::{StatusCode, header},
    web,
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use mai_capture::{ProxyResponse, proxy::ProxyBody};

use super::{GatewayError, headers};

/// How long a client may be silent within its request body, and upstream may take none of it.
pub(super) const PIECE_PATIENCE: Duration = Duration::from_secs(30);

/// Reads a request body up to `limit` bytes.
pub(super) async fn read(
    payload: &mut web::Payload,
    announced: Option<u64>,
    limit: usize,
) -> Result<Bytes, GatewayError> {
    // A liar's announcement must not reserve memory that is never filled.
    let announced = usize::try_from(announced.unwrap_or(0)).unwrap_or(usize::MAX);
    let mut body = BytesMut::with_capacity(announced.min(64 * 1024));
    while let Some(piece) = piece(payload).await? {
        if body.len().saturating_add(piece.len()) > limit {
            return Err(GatewayError::BodyTooLarge(limit));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

/// The next piece of a request body; none at its end.
pub(super) async fn piece(payload: &mut web::Payload) -> Result<Option<Bytes>, GatewayError> {
    let piece = tokio::time::timeout(PIECE_PATIENCE, payload.next()).await;
    piece.map_err(|_| GatewayError::BodySlow)?.transpose().map_err(|_| GatewayError::BodyCut)
}

/// Upstream's answer, towards the client.
pub(super) fn answer(answer: ProxyResponse) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status.as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
    let length = answer
        .headers
        .get(http::header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    let mut response = HttpResponse::build(status);
    headers::to_client(&answer.headers, &mut response);
    match (answer.body, length) {
        (ProxyBody::Whole(body), _) => response.body(body),
        (ProxyBody::Metered(body), Some(length)) => response.body(SizedStream::new(length, body)),
        (ProxyBody::Metered(body), None) => response.streaming(body),
    }
}

/// An answer to a request whose body may not have been read to its end.
///
/// It keeps the rest of the body until it is sent, because then the server closes the connection. Of a
/// chunked body that is let go before, the server would read on for as long as the client likes to send.
pub(super) fn unread(answer: HttpResponse, payload: web::Payload) -> HttpResponse {
    answer.map_body(|_, body| BoxBody::new(Unread { body, _payload: payload }))
}

struct Unread {
    body: BoxBody,
    _payload: web::Payload,
}

impl MessageBody for Unread {
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

/// The length that a request announces. One that announces more than `limit` is refused unread.
pub(super) fn announced_length(
    request: &actix_web::HttpRequest,
    limit: usize,
) -> Result<Option<u64>, GatewayError> {
    let value = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length: Option<u64> = value.and_then(|value| value.parse().ok());
    let too_large = |length: &u64| usize::try_from(*length).map_or(true, |length| length > limit);
    if length.as_ref().is_some_and(too_large) {
        return Err(GatewayError::BodyTooLarge(limit));
    }
    Ok(length)
}
