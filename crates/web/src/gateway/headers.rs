//! Headers between the two versions of the `http` crate: the server's and the client's.

use actix_web::http::header as server;
use http::header as client;

/// The client's request headers, for the request upstream.
pub(super) fn to_upstream(headers: &server::HeaderMap) -> client::HeaderMap {
    let mut copied = client::HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let name = client::HeaderName::from_bytes(name.as_str().as_bytes());
        if let (Ok(name), Ok(value)) = (name, client::HeaderValue::from_bytes(value.as_bytes())) {
            copied.append(name, value);
        }
    }
    copied
}

/// Upstream's headers on the answer to the client. The length is left to whoever writes the body.
pub(super) fn to_client(headers: &client::HeaderMap, answer: &mut actix_web::HttpResponseBuilder) {
    for (name, value) in headers {
        if name == client::CONTENT_LENGTH {
            continue;
        }
        answer.append_header((name.as_str(), value.as_bytes()));
    }
}
