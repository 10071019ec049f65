//! Forms with a file, which pass through without being held.

use std::{pin::pin, time::Duration};

use actix_web::{HttpRequest, http::header, web};
use futures_util::future::{Either, select};
use mai_capture::{Form, ProxyError, ProxyResponse, UploadSender, upstream::UpstreamError};
use mai_openrouter::MultipartScan;
use mai_primitives::ModelName;

use super::{GatewayError, body};

fn content_type(request: &HttpRequest) -> &str {
    let value = request.headers().get(header::CONTENT_TYPE);
    value.and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Whether the body says that it is a form. The other form of a transcription is JSON.
pub(super) fn is_form(request: &HttpRequest) -> bool {
    let kind = content_type(request).split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("multipart/form-data")
}

/// What reads the form while it passes.
pub(super) fn scan(request: &HttpRequest) -> Result<MultipartScan, GatewayError> {
    MultipartScan::new(content_type(request)).ok_or(GatewayError::Form)
}

/// Passes the client's bytes on, at the pace of upstream, while the call waits for its `answer`. Where
/// they end early upstream sees its request break off, and the client learns what was wrong with it.
///
/// Upstream may answer before it has got the whole form. A refusal is passed on at once, whatever the
/// client still has to send. An answer that costs money is given once the rest has come or has failed.
pub(super) async fn pass(
    payload: &mut web::Payload,
    sender: UploadSender,
    scan: MultipartScan,
    limit: usize,
    answer: impl Future<Output = Result<ProxyResponse, ProxyError>>,
) -> Result<ProxyResponse, GatewayError> {
    let (answer, passing) =
        (pin!(answer), pin!(pass_pieces(payload, sender, scan, limit, body::PIECE_PATIENCE)));
    match select(answer, passing).await {
        Either::Left((Ok(answer), passing)) if answer.status.is_success() => {
            // Breaking off would cut the answer as well. What is wrong with the rest does not matter now.
            passing.await.unwrap_or_default();
            Ok(answer)
        }
        Either::Left((answer, _)) => Ok(answer?),
        Either::Right((passed, answer)) => {
            passed?;
            Ok(answer.await?)
        }
    }
}

/// Passes the form on, as long as upstream takes each piece within `patience`.
async fn pass_pieces(
    payload: &mut web::Payload,
    sender: UploadSender,
    mut scan: MultipartScan,
    limit: usize,
    patience: Duration,
) -> Result<(), GatewayError> {
    let mut length = 0_usize;
    while let Some(piece) = body::piece(payload).await? {
        length = length.saturating_add(piece.len());
        if length > limit {
            return Err(GatewayError::BodyTooLarge(limit));
        }
        scan.feed(&piece);
        let sent = tokio::time::timeout(patience, sender.send(piece)).await;
        if !sent.map_err(|_| ProxyError::Upstream(UpstreamError::Timeout))? {
            // Upstream has answered, or the call is over; the answer says which.
            return Ok(());
        }
    }
    let fields = scan.fields();
    let model = fields.model.as_deref().and_then(|name| ModelName::new(name).ok());
    sender.finish(Form { model, streamed: fields.stream }).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use actix_web::{FromRequest, dev, error::PayloadError, test::TestRequest};
    use bytes::Bytes;
    use futures_util::{FutureExt, Stream, StreamExt, stream};
    use http::{HeaderMap, StatusCode};
    use mai_capture::{Upload, proxy::ProxyBody};

    use super::*;

    /// What the client sends: a piece, and then this.
    fn payload(end: impl Stream<Item = Result<Bytes, PayloadError>> + 'static) -> web::Payload {
        let pieces = stream::iter([Ok(Bytes::from_static(b"--x"))]).chain(end);
        let mut payload = dev::Payload::Stream { payload: pieces.boxed_local() };
        let request = TestRequest::default().to_http_request();
        web::Payload::from_request(&request, &mut payload).into_inner().unwrap()
    }

    fn silent() -> web::Payload {
        payload(stream::pending())
    }

    fn broken() -> web::Payload {
        payload(stream::iter([Err(PayloadError::Incomplete(None))]))
    }

    fn answer(status: StatusCode) -> ProxyResponse {
        ProxyResponse { status, headers: HeaderMap::new(), body: ProxyBody::Whole(Bytes::new()) }
    }

    fn scan() -> MultipartScan {
        MultipartScan::new("multipart/form-data; boundary=x").unwrap()
    }

    /// What the client of an upstream that reads nothing is told at once; none if it has to wait.
    fn told(
        mut payload: web::Payload,
        answer: impl Future<Output = Result<ProxyResponse, ProxyError>>,
    ) -> Option<Result<StatusCode, GatewayError>> {
        let (sender, _upload) = Upload::new(None);
        let passing = pass(&mut payload, sender, scan(), 1_000, answer);
        passing.now_or_never().map(|told| told.map(|answer| answer.status))
    }

    #[actix_web::test]
    async fn a_refusal_does_not_wait_for_a_client_that_is_silent() {
        for status in [StatusCode::UNAUTHORIZED, StatusCode::PAYLOAD_TOO_LARGE, StatusCode::BAD_GATEWAY] {
            let told = told(silent(), ready(Ok(answer(status))));
            assert!(matches!(told, Some(Ok(told)) if told == status), "{told:?}");
        }
        let failed = || ready(Err(ProxyError::Upstream(UpstreamError::Timeout)));
        assert!(matches!(told(silent(), failed()), Some(Err(GatewayError::Proxy(_)))));
    }

    #[actix_web::test]
    async fn an_answer_counts_more_than_what_is_wrong_with_the_rest_of_the_form() {
        for status in [StatusCode::OK, StatusCode::PAYLOAD_TOO_LARGE] {
            let told = told(broken(), ready(Ok(answer(status))));
            assert!(matches!(told, Some(Ok(told)) if told == status), "{told:?}");
        }
        assert!(told(silent(), ready(Ok(answer(StatusCode::OK)))).is_none(), "the rest is still passed on");
    }

    #[actix_web::test]
    async fn a_form_that_breaks_off_does_not_wait_for_an_answer() {
        assert!(matches!(told(broken(), pending()), Some(Err(GatewayError::BodyCut))));
    }

    #[actix_web::test]
    async fn an_upstream_that_takes_nothing_does_not_keep_the_client_for_ever() {
        let (sender, _upload) = Upload::new(None);
        let mut endless = payload(stream::repeat_with(|| Ok(Bytes::from_static(b"--x"))));
        let passed = pass_pieces(&mut endless, sender, scan(), usize::MAX, Duration::from_millis(1)).await;
        assert!(
            matches!(passed, Err(GatewayError::Proxy(ProxyError::Upstream(UpstreamError::Timeout)))),
            "{passed:?}"
        );
    }
}
