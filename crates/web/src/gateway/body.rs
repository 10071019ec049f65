//! Bodies in and out.

use std::time::Duration;

use actix_web::{
    HttpResponse,
    body::SizedStream,
    http::{StatusCode, header},
    web,
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use mai_capture::{ProxyResponse, proxy::ProxyBody};

use super::{GatewayError, headers};

/// How long a client may be silent within its request body.
const PIECE_PATIENCE: Duration = Duration::from_secs(30);

/// Reads a request body up to `limit` bytes.
pub(super) async fn read(
    mut payload: web::Payload,
    announced: Option<u64>,
    limit: usize,
) -> Result<Bytes, GatewayError> {
    // A liar's announcement must not reserve memory that is never filled.
    let announced = usize::try_from(announced.unwrap_or(0)).unwrap_or(usize::MAX);
    let mut body = BytesMut::with_capacity(announced.min(64 * 1024));
    while let Some(piece) = piece(&mut payload).await? {
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
