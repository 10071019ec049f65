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

/// Reads a request body up to `limit` bytes. One that announces more is refused unread.
pub(super) async fn read(
    mut payload: web::Payload,
    announced: Option<usize>,
    limit: usize,
) -> Result<Bytes, GatewayError> {
    if announced.is_some_and(|length| length > limit) {
        return Err(GatewayError::BodyTooLarge(limit));
    }
    // A liar's announcement must not reserve memory that is never filled.
    let mut body = BytesMut::with_capacity(announced.unwrap_or(0).min(64 * 1024));
    loop {
        let piece = tokio::time::timeout(PIECE_PATIENCE, payload.next()).await;
        let Some(piece) = piece.map_err(|_| GatewayError::BodySlow)? else { break };
        let piece = piece.map_err(|_| GatewayError::BodyCut)?;
        if body.len().saturating_add(piece.len()) > limit {
            return Err(GatewayError::BodyTooLarge(limit));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
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

/// The length that a request announces.
pub(super) fn announced_length(request: &actix_web::HttpRequest) -> Option<usize> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
