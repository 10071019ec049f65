//! Pages and their files as they travel: compressed where the browser takes that.
//!
//! Only what the dashboard sends is compressed. An answer that is streamed is not, and neither are those of the
//! gateway and of the API, which never come here.

use std::io::Write;

use actix_web::{
    HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    http::header::{self, AcceptEncoding, ContentEncoding, Encoding, Header, HeaderValue},
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

/// A page takes a millisecond this way; the best compression takes thrice as long for a twentieth less.
const OF_PAGES: Compression = Compression::new(5);

/// What is smaller fits in one packet anyhow.
const WORTH_IT: usize = 1_024;

/// The answer, compressed where it is a page and its reader takes that.
pub(crate) fn compressed(request: &HttpRequest, answer: HttpResponse) -> HttpResponse {
    let is_page = answer.headers().get(header::CONTENT_TYPE).is_some_and(is_html);
    if !is_page || !is_wanted(request) || answer.headers().contains_key(header::CONTENT_ENCODING) {
        return answer;
    }
    let mut is_compressed = false;
    let mut answer = answer.map_body(|_, body| match body.try_into_bytes() {
        Ok(text) => BoxBody::new(shorter(text, &mut is_compressed)),
        Err(streamed) => streamed,
    });
    if is_compressed {
        let encoding = HeaderValue::from_static(ContentEncoding::Gzip.as_str());
        answer.headers_mut().insert(header::CONTENT_ENCODING, encoding);
    }
    answer
}

fn shorter(text: Bytes, is_compressed: &mut bool) -> Bytes {
    let compressed = gzip(&text, OF_PAGES);
    *is_compressed = compressed.is_some();
    compressed.map_or(text, Bytes::from)
}

fn is_html(kind: &HeaderValue) -> bool {
    kind.as_bytes().starts_with(b"text/html")
}

/// Whether whoever asks takes gzip.
pub(crate) fn is_wanted(request: &HttpRequest) -> bool {
    let Ok(accepted) = AcceptEncoding::parse(request) else { return false };
    let known = [Encoding::gzip(), Encoding::identity()];
    request.headers().contains_key(header::ACCEPT_ENCODING)
        && accepted.negotiate(known.iter()) == Some(Encoding::gzip())
}

/// The bytes compressed; nothing where that is not worth it.
pub(crate) fn gzip(bytes: &[u8], how_well: Compression) -> Option<Vec<u8>> {
    if bytes.len() < WORTH_IT {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), how_well);
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use actix_web::{body::to_bytes, http::StatusCode, test::TestRequest};

    use super::*;

    fn asked(accepts: &str) -> HttpRequest {
        TestRequest::default().insert_header((header::ACCEPT_ENCODING, accepts)).to_http_request()
    }

    #[test]
    fn a_browser_says_what_it_takes() {
        for accepts in ["gzip", "gzip, deflate, br, zstd", "br;q=1, gzip;q=0.8"] {
            assert!(is_wanted(&asked(accepts)), "{accepts}");
        }
        for accepts in ["", "identity", "br", "gzip;q=0", "identity;q=1, gzip;q=0.5"] {
            assert!(!is_wanted(&asked(accepts)), "{accepts}");
        }
        assert!(!is_wanted(&TestRequest::default().to_http_request()));
    }

    #[actix_web::test]
    async fn only_pages_are_compressed_and_keep_their_status() {
        let text = "a row of a table ".repeat(500);
        let answer = |kind: &str| HttpResponse::NotFound().content_type(kind).body(text.clone());
        let page = compressed(&asked("gzip"), answer("text/html; charset=utf-8"));
        assert_eq!(page.status(), StatusCode::NOT_FOUND);
        assert_eq!(page.headers().get(header::CONTENT_ENCODING).unwrap(), "gzip");
        let bytes = to_bytes(page.into_body()).await.unwrap();
        assert!(bytes.len() < 200, "{} bytes", bytes.len());
        let mut read = String::new();
        flate2::read::GzDecoder::new(&*bytes).read_to_string(&mut read).unwrap();
        assert_eq!(read, text);
        for (kind, accepts) in [("text/csv", "gzip"), ("text/html", "identity")] {
            let plain = compressed(&asked(accepts), answer(kind));
            assert!(!plain.headers().contains_key(header::CONTENT_ENCODING), "{kind}, {accepts}");
            assert_eq!(to_bytes(plain.into_body()).await.unwrap(), text);
        }
    }
}
