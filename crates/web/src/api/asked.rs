//! [`Asked`]: the query, the path and the body of a request, read when the handler asks for them.
//!
//! Reading them only then keeps one order of refusals everywhere: first who calls, then what the caller
//! may do, then what is wrong with the request. So nobody learns by a 400 about what is a 401 or 404.

use std::{
    future::{Ready, ready},
    time::Duration,
};

use actix_web::{FromRequest, HttpRequest, dev, http::header, web};
use bytes::Bytes;
use mai_primitives::UsageDate;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use super::ApiError;

/// The longest body of an ordinary request.
pub(crate) const BODY_AT_MOST: usize = 64 * 1024;
/// How long a body may take.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// A request that is read by its handler.
pub(crate) struct Asked {
    /// The request.
    pub(crate) request: HttpRequest,
    payload: web::Payload,
    path: Vec<(String, String)>,
}

impl FromRequest for Asked {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        let read = web::Payload::from_request(request, payload).into_inner();
        let read = read.map_err(|_| ApiError::misconfigured());
        let parts = request.match_info().iter();
        let path = parts.filter_map(|(name, part)| Some((name.to_owned(), part_of_path(part)?))).collect();
        ready(read.map(|payload| Self { request: request.clone(), payload, path }))
    }
}

/// Whether a JSON text has a string with NUL. A backslash before `u0000` in a text is taken for it too.
pub(crate) fn has_nul(json: &[u8]) -> bool {
    json.windows(6).any(|part| part == br"\u0000")
}

/// A part of a path as it is meant. The router has decoded all but `%25`, `%2B` and `%2F`. None for what
/// is no text without control characters, which no name of ours is.
fn part_of_path(part: &str) -> Option<String> {
    let text = percent_decode_str(part).decode_utf8().ok()?;
    (!text.chars().any(char::is_control)).then(|| text.into_owned())
}

impl Asked {
    /// The query. Parameters that the type does not know are refused where it says so.
    pub(crate) fn query<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let text = self.request.query_string();
        if text.contains("%00") {
            return Err(ApiError::invalid("NUL cannot be stored or looked for"));
        }
        let query = web::Query::<T>::from_query(text);
        query.map(web::Query::into_inner).map_err(|error| ApiError::invalid(error.to_string()))
    }

    /// A part of the path, which the route must name. What cannot be a name of ours names nothing.
    pub(crate) fn path(&self, name: &str) -> Result<&str, ApiError> {
        let part = self.path.iter().find(|(known, _)| known == name);
        part.map(|(_, part)| part.as_str()).ok_or_else(|| ApiError::not_found("there is no such thing"))
    }

    /// A part of the path as an id; what cannot be an id names nothing.
    pub(crate) fn id<T: std::str::FromStr>(&self, name: &str) -> Result<T, ApiError> {
        self.path(name)?.parse().map_err(|_| ApiError::not_found("there is no such thing"))
    }

    /// The body as JSON.
    pub(crate) async fn json<T: DeserializeOwned>(self) -> Result<T, ApiError> {
        let body = self.body(BODY_AT_MOST).await?;
        // PostgreSQL refuses it, and no name or text of ours has it.
        if has_nul(&body) {
            return Err(ApiError::body("NUL (\\u0000) cannot be stored or looked for"));
        }
        serde_json::from_slice(&body).map_err(|error| ApiError::body(error.to_string()))
    }

    /// The body of at most `limit` bytes, as it is.
    pub(crate) async fn body(self, limit: usize) -> Result<Bytes, ApiError> {
        let named =
            |name| self.request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        if named(header::CONTENT_ENCODING).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity"))
        {
            return Err(ApiError::encoded_body());
        }
        let announced = named(header::CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
        if announced.is_some_and(|length| length > limit) {
            return Err(ApiError::body_too_large(limit));
        }
        let body = tokio::time::timeout(BODY_WITHIN, self.payload.to_bytes_limited(limit)).await;
        let body = body.map_err(|_| ApiError::slow_body())?.map_err(|_| ApiError::body_too_large(limit))?;
        body.map_err(|error| ApiError::body(format!("the body broke off: {error}")))
    }
}

/// A day of a query, `YYYY-MM-DD`.
pub(crate) fn day(field: &'static str, text: Option<&str>) -> Result<Option<UsageDate>, ApiError> {
    let parsed = text.map(UsageDate::parse).transpose();
    parsed.map_err(|_| ApiError::field(field, "must be a day as YYYY-MM-DD"))
}

#[cfg(test)]
mod tests {
    use super::part_of_path;

    #[test]
    fn a_part_of_a_path_is_decoded_once() {
        let cases = [
            ("anna", Some("anna")),
            ("a%2Fb", Some("a/b")),
            ("a%2Bb@x.pl", Some("a+b@x.pl")),
            ("a+b", Some("a+b")),
            ("%2541", Some("%41")),
            ("100%", Some("100%")),
            ("Żółw", Some("Żółw")),
            ("a\0b", None),
            ("%FF", None),
        ];
        for (part, meant) in cases {
            assert_eq!(part_of_path(part).as_deref(), meant, "{part:?}");
        }
    }
}
