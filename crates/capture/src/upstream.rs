//! The HTTP client of the hot path, and which headers cross it.

use std::time::Duration;

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri,
    header::{self, Entry},
};
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use thiserror::Error;

use crate::request_body::RequestBody;

/// Why there is no client, or no answer.
#[derive(Debug, Error)]
pub enum UpstreamError {
    /// The base URL cannot be used.
    #[error("`{0}` is not an http or https URL without query")]
    BaseUrl(String),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// No connection could be made, so nothing was sent.
    #[error("upstream cannot be reached")]
    NoConnection(#[source] hyper_util::client::legacy::Error),
    /// The connection broke before an answer came.
    #[error("upstream gave no answer")]
    NoAnswer(#[source] hyper_util::client::legacy::Error),
    /// No answer within the time.
    #[error("upstream gave no answer in time")]
    Timeout,
}

/// A client for one upstream. There is one per worker, so that a connection is driven by the thread
/// that uses it.
#[derive(Clone)]
pub struct Upstream {
    base: String,
    connector: HttpsConnector<HttpConnector>,
    client: Client<HttpsConnector<HttpConnector>, RequestBody>,
}

/// What is sent upstream.
pub struct UpstreamRequest {
    /// The method.
    pub method: Method,
    /// The path below the base URL, beginning with `/`.
    pub path: String,
    /// The client's headers; what must not cross is removed by [`Upstream::send`].
    pub headers: HeaderMap,
    /// `Bearer …` with the organization's provider key. Must be marked sensitive.
    pub authorization: HeaderValue,
    /// The organization's name, sent as the application's title.
    pub title: Option<HeaderValue>,
    /// The organization's site, sent as `HTTP-Referer`.
    pub referer: Option<HeaderValue>,
    /// The body.
    pub body: RequestBody,
}

impl Upstream {
    /// A client of the API at `base`, for example `https://openrouter.ai/api/v1`.
    pub fn new(base: &str) -> Result<Self, UpstreamError> {
        let base = base.trim_end_matches('/');
        let wrong = || UpstreamError::BaseUrl(base.to_owned());
        let uri: Uri = base.parse().map_err(|_| wrong())?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.query().is_some() {
            return Err(wrong());
        }
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(Duration::from_secs(5)));
        // Without it a small piece of a stream waits for the acknowledgement of the one before.
        connector.set_nodelay(true);
        // A peer that is gone without a word is noticed.
        connector.set_keepalive(Some(Duration::from_secs(60)));
        let tls =
            rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
                .with_safe_default_protocol_versions()
                .map_err(UpstreamError::Tls)?
                .with_webpki_roots()
                .with_no_client_auth();
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            // One connection serves one call at a time, so a slow reader holds up nobody else's stream.
            .enable_http1()
            .wrap_connector(connector);
        Ok(Self { base: base.to_owned(), client: client(connector.clone()), connector })
    }

    /// The same upstream with connections of its own.
    #[must_use]
    pub fn unshared(&self) -> Self {
        Self {
            base: self.base.clone(),
            client: client(self.connector.clone()),
            connector: self.connector.clone(),
        }
    }

    /// Sends a request and returns when the head of the answer is there.
    pub async fn send(
        &self,
        request: UpstreamRequest,
        patience: Duration,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let uri = format!("{}{}", self.base, request.path);
        let mut head = Request::new(request.body);
        *head.method_mut() = request.method;
        *head.uri_mut() = uri.parse().map_err(|_| UpstreamError::BaseUrl(uri))?;
        *head.headers_mut() = request.headers;
        prepare(head.headers_mut(), request.authorization, request.title, request.referer);
        match tokio::time::timeout(patience, self.client.request(head)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(cause)) if cause.is_connect() => Err(UpstreamError::NoConnection(cause)),
            Ok(Err(cause)) => Err(UpstreamError::NoAnswer(cause)),
            Err(_) => Err(UpstreamError::Timeout),
        }
    }
}

fn client(connector: HttpsConnector<HttpConnector>) -> Client<HttpsConnector<HttpConnector>, RequestBody> {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(60))
        // Bounds what one connection buffers for a slow reader.
        .http1_max_buf_size(64 * 1024)
        .build(connector)
}

/// Headers of one hop, of the client's identity, and of features that would change who pays.
fn stays_here(name: &HeaderName) -> bool {
    const NAMES: [&str; 26] = [
        "accept-encoding",
        "authorization",
        "cf-connecting-ip",
        "connection",
        "content-length",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "http-referer",
        "keep-alive",
        "origin",
        "proxy-authorization",
        "proxy-connection",
        "referer",
        "te",
        "trailer",
        "transfer-encoding",
        "true-client-ip",
        "upgrade",
        "via",
        "x-api-key",
        "x-openrouter-title",
        "x-real-ip",
        "x-request-id",
        "x-title",
    ];
    const PREFIXES: [&str; 4] = ["x-forwarded-", "x-mai-", "x-openrouter-cache", "x-openwebui-"];
    let name = name.as_str();
    NAMES.binary_search(&name).is_ok() || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn prepare(
    headers: &mut HeaderMap,
    authorization: HeaderValue,
    title: Option<HeaderValue>,
    referer: Option<HeaderValue>,
) {
    let hop: Vec<HeaderName> = named_by_connection(headers);
    let removed: Vec<HeaderName> =
        headers.keys().filter(|name| stays_here(name) || hop.contains(name)).cloned().collect();
    for name in removed {
        if let Entry::Occupied(entry) = headers.entry(name) {
            entry.remove_entry_mult();
        }
    }
    headers.insert(header::AUTHORIZATION, authorization);
    // The tee reads the answer as it passes, so it must come as plain text.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some(title) = title {
        headers.insert(HeaderName::from_static("x-openrouter-title"), title);
    }
    if let Some(referer) = referer {
        headers.insert(HeaderName::from_static("http-referer"), referer);
    }
}

/// The headers that `Connection` declares to be of this hop only (RFC 9110, section 7.6.1).
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(header::CONNECTION).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok()).collect()
}

/// Which headers of an answer the client gets: all but those of one hop and those that describe the
/// upstream's own site.
pub fn passes_to_client(name: &HeaderName) -> bool {
    const NAMES: [&str; 14] = [
        "alt-svc",
        "connection",
        "date",
        "keep-alive",
        "nel",
        "proxy-authenticate",
        "report-to",
        "server",
        "set-cookie",
        "strict-transport-security",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    let name = name.as_str();
    NAMES.binary_search(&name).is_err() && !name.starts_with("access-control-") && !name.starts_with("cf-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_and_hop_headers_stay_here() {
        let mut headers = HeaderMap::new();
        for name in [
            "authorization",
            "cookie",
            "host",
            "te",
            "via",
            "x-api-key",
            "x-forwarded-for",
            "x-title",
            "x-openrouter-cache",
            "x-openrouter-cache-ttl",
            "x-openwebui-user-email",
            "x-openwebui-user-jwt",
            "x-openwebui-chat-id",
            "x-mai-task",
            "http-referer",
            "accept-encoding",
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("secret"));
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("secret"));
        }
        headers.insert("connection", HeaderValue::from_static("keep-alive, X-Hop"));
        headers.insert("x-hop", HeaderValue::from_static("secret"));
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("x-session-id", HeaderValue::from_static("s-1"));
        prepare(&mut headers, HeaderValue::from_static("Bearer upstream"), None, None);
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept-encoding", "authorization", "content-type", "x-session-id"]);
        assert!(!headers.values().any(|value| value == "secret"));
        let ours = |text| Some(HeaderValue::from_static(text));
        prepare(
            &mut headers,
            HeaderValue::from_static("Bearer upstream"),
            ours("Abc"),
            ours("https://abc.example"),
        );
        assert_eq!(headers["x-openrouter-title"], "Abc");
        assert_eq!(headers["http-referer"], "https://abc.example");
    }

    #[test]
    fn base_urls_are_checked() {
        for wrong in ["", "openrouter.ai/api/v1", "ftp://x/", "https://x/?a=1"] {
            assert!(matches!(Upstream::new(wrong), Err(UpstreamError::BaseUrl(_))), "{wrong}");
        }
        assert_eq!(
            Upstream::new("https://openrouter.ai/api/v1/").unwrap().base,
            "https://openrouter.ai/api/v1"
        );
    }
}
