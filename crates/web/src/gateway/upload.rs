//! Forms with a file, which pass through without being held.

use actix_web::{HttpRequest, http::header, web};
use futures_util::future::join;
use mai_capture::{Form, ProxyError, ProxyResponse, UploadSender};
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
pub(super) async fn pass(
    payload: &mut web::Payload,
    sender: UploadSender,
    scan: MultipartScan,
    limit: usize,
    answer: impl Future<Output = Result<ProxyResponse, ProxyError>>,
) -> Result<ProxyResponse, GatewayError> {
    let (passed, answer) = join(pass_pieces(payload, sender, scan, limit), answer).await;
    passed?;
    Ok(answer?)
}

async fn pass_pieces(
    payload: &mut web::Payload,
    sender: UploadSender,
    mut scan: MultipartScan,
    limit: usize,
) -> Result<(), GatewayError> {
    let mut length = 0_usize;
    while let Some(piece) = body::piece(payload).await? {
        length = length.saturating_add(piece.len());
        if length > limit {
            return Err(GatewayError::BodyTooLarge(limit));
        }
        scan.feed(&piece);
        if !sender.send(piece).await {
            // Upstream has answered, or the call is over; the answer says which.
            return Ok(());
        }
    }
    let fields = scan.fields();
    let model = fields.model.as_deref().and_then(|name| ModelName::new(name).ok());
    sender.finish(Form { model, streamed: fields.stream }).await;
    Ok(())
}
