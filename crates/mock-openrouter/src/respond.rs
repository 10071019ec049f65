//! Whole JSON answers, OpenRouter's error shape and the two kinds of body the mock sends.

use crate::body::ScriptBody;
use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Every answer of the mock.
pub(crate) type MockResponse = Response<MockBody>;

/// Makes the server drop the connection where it stands.
#[derive(Debug)]
pub(crate) struct Abort;

impl fmt::Display for Abort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the mock was asked to break this connection")
    }
}

impl std::error::Error for Abort {}

/// A body that is sent at once, or one that is written event by event.
pub(crate) enum MockBody {
    /// Known from the start.
    Full(Full<Bytes>),
    /// Written as a script says.
    Script(Box<ScriptBody>),
}

impl Body for MockBody {
    type Data = Bytes;
    type Error = Abort;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Abort>>> {
        match self.get_mut() {
            Self::Full(body) => Pin::new(body).poll_frame(context).map_err(|never| match never {}),
            Self::Script(body) => body.poll_next(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(body) => body.is_end_stream(),
            Self::Script(body) => body.is_finished(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(body) => body.size_hint(),
            Self::Script(_) => SizeHint::default(),
        }
    }
}

/// Text as a JSON string.
pub(crate) fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Text as a JSON string, or `null`.
pub(crate) fn quote_option(text: Option<&str>) -> String {
    text.map_or_else(|| "null".to_owned(), quote)
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A whole answer of that content type.
pub(crate) fn whole(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> MockResponse {
    let mut response = Response::new(MockBody::Full(Full::new(body.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

/// A whole JSON answer.
pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> MockResponse {
    whole(status, "application/json", body)
}

/// `{"error":{"code","message"}}` as OpenRouter answers look-ups of unknown things.
pub(crate) fn not_found() -> MockResponse {
    json(StatusCode::NOT_FOUND, r#"{"error":{"code":404,"message":"Resource not found"}}"#)
}

/// OpenRouter's error shape with the account's id at the top level, which a reseller must not pass on.
pub(crate) fn error(status: StatusCode, message: &str, metadata: Option<&str>) -> MockResponse {
    let metadata = metadata.map(|object| format!(r#","metadata":{object}"#)).unwrap_or_default();
    json(
        status,
        format!(
            r#"{{"error":{{"code":{},"message":{}{metadata}}},"user_id":"user_2mockAccountOfTheReseller"}}"#,
            status.as_u16(),
            quote(message)
        ),
    )
}
