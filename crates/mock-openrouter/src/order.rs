//! What a request orders, read from its JSON body or its form.

use crate::route::Route;
use http::{HeaderMap, header};
use memchr::memmem;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// Who asked for what.
pub(crate) struct Order {
    pub(crate) route: Route,
    pub(crate) api_key: String,
    pub(crate) model: String,
    pub(crate) user: Option<String>,
    pub(crate) streamed: bool,
    /// Embeddings as base64 of little-endian floats, as the official clients ask for.
    pub(crate) base64: bool,
    /// How many texts an embedding was ordered of.
    pub(crate) inputs: usize,
    /// The texts to be ranked.
    pub(crate) documents: Vec<String>,
}

impl Order {
    /// Reads a request. The error is a sentence for the client.
    pub(crate) fn new(route: Route, api_key: &str, headers: &HeaderMap, body: &[u8]) -> Result<Self, String> {
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let boundary = content_type.filter(|_| route == Route::Transcriptions).and_then(boundary);
        let fields = match boundary {
            Some(boundary) => form(body, boundary)?,
            None => serde_json::from_slice(body).map_err(|problem| problem.to_string())?,
        };
        if route == Route::Transcriptions && !fields.audio {
            return Err("no audio: `file` of a form or `input_audio` of JSON is required".to_owned());
        }
        let documents: Vec<Document> = match fields.documents.filter(|_| route == Route::Rerank) {
            Some(raw) => serde_json::from_str(raw.get()).map_err(|problem| problem.to_string())?,
            None => Vec::new(),
        };
        Ok(Self {
            route,
            api_key: api_key.to_owned(),
            model: fields.model,
            user: fields.user,
            streamed: fields.stream && route.streams(),
            base64: fields.base64,
            inputs: fields.input.as_deref().map_or(1, inputs),
            documents: documents.into_iter().map(Document::into_text).collect(),
        })
    }
}

/// The fields of a request that matter here.
#[derive(Default)]
struct Fields {
    model: String,
    stream: bool,
    user: Option<String>,
    base64: bool,
    input: Option<Box<RawValue>>,
    documents: Option<Box<RawValue>>,
    audio: bool,
}

impl<'de> Deserialize<'de> for Fields {
    /// Of a field that stands there twice the last one counts, as in JavaScript.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Fields;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object with a model")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Fields::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "model" => fields.model = map.next_value()?,
                        "stream" => fields.stream = map.next_value::<Option<bool>>()?.unwrap_or(false),
                        "user" => fields.user = map.next_value()?,
                        "input" => fields.input = Some(map.next_value()?),
                        "documents" => fields.documents = Some(map.next_value()?),
                        "encoding_format" => {
                            fields.base64 = map.next_value::<Option<String>>()?.as_deref() == Some("base64");
                        }
                        "input_audio" => {
                            let audio: Option<InputAudio> = map.next_value()?;
                            fields.audio = audio.is_some_and(|audio| !audio.data.is_empty());
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// Sound in a JSON request; its format is not looked at.
#[derive(Deserialize)]
struct InputAudio {
    data: String,
}

/// A text to be ranked.
#[derive(Deserialize)]
#[serde(untagged)]
enum Document {
    Text(String),
    Object { text: Option<String> },
}

impl Document {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Object { text } => text.unwrap_or_default(),
        }
    }
}

/// How many texts the `input` of an embedding holds: a list is several, except a list of tokens.
fn inputs(raw: &RawValue) -> usize {
    match serde_json::from_str(raw.get()) {
        Ok(serde_json::Value::Array(items)) if !items.iter().any(serde_json::Value::is_number) => items.len(),
        _ => 1,
    }
}

/// The boundary of `multipart/form-data` (RFC 7578), or nothing for another content type.
fn boundary(content_type: &str) -> Option<&str> {
    let mut parts = content_type.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    parts
        .filter_map(|part| part.split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("boundary"))
        .map(|(_, value)| value.trim_matches('"'))
}

/// Reads the fields of a complete form. One that ends early is refused, so that a broken upload never passes.
fn form(body: &[u8], boundary: &str) -> Result<Fields, String> {
    let broken = || "the form is not complete".to_owned();
    let (first, between) = (format!("--{boundary}"), format!("\r\n--{boundary}"));
    let mut rest = body.strip_prefix(first.as_bytes()).ok_or_else(broken)?;
    let mut fields = Fields::default();
    while !rest.starts_with(b"--") {
        let part = rest.strip_prefix(b"\r\n").ok_or_else(broken)?;
        let (part, after) = cut(part, between.as_bytes()).ok_or_else(broken)?;
        let (head, value) = cut(part, b"\r\n\r\n").ok_or_else(broken)?;
        rest = after;
        let text = || std::str::from_utf8(value).map(str::to_owned).map_err(|_| broken());
        match std::str::from_utf8(head).ok().and_then(part_name) {
            Some("model") => fields.model = text()?,
            Some("user") => fields.user = Some(text()?),
            Some("file") => fields.audio = !value.is_empty(),
            _ => {}
        }
    }
    Ok(fields)
}

/// The name of a part, from its `Content-Disposition`.
fn part_name(head: &str) -> Option<&str> {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    let parameter = line.split(';').map(str::trim).find_map(|part| part.strip_prefix("name="))?;
    Some(parameter.trim_matches('"'))
}

/// What stands before and after the first occurrence of `mark`.
fn cut<'a>(bytes: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let position = memmem::find(bytes, mark)?;
    Some((bytes.get(..position)?, bytes.get(position + mark.len()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(route: Route, body: &str) -> Result<Order, String> {
        Order::new(route, "sk-or-x", &HeaderMap::new(), body.as_bytes())
    }

    fn upload(content_type: &str, body: &str) -> Result<Order, String> {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, content_type.parse().unwrap())]);
        Order::new(Route::Transcriptions, "sk-or-x", &headers, body.as_bytes())
    }

    #[test]
    fn a_form_gives_its_fields_and_must_be_complete() {
        let form = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\
            Content-Type: audio/mpeg\r\n\r\n\0--b\n--b name=\"model\"\r\n\
            --b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nmock/ok\r\n\
            --b\r\nContent-Disposition: form-data; name=user\r\n\r\nanna\r\n--b--\r\n";
        for kind in ["multipart/form-data; boundary=b", "Multipart/Form-Data; charset=x; Boundary=\"b\""] {
            let order = upload(kind, form).unwrap();
            assert_eq!((order.model.as_str(), order.user.as_deref()), ("mock/ok", Some("anna")));
        }
        let whole = form.len() - "\r\n".len();
        for length in 0..whole {
            assert!(upload("multipart/form-data; boundary=b", &form[..length]).is_err(), "{length}");
        }
        assert!(upload("multipart/form-data; boundary=other", form).is_err());
    }

    #[test]
    fn a_transcription_needs_sound() {
        let sound = r#"{"model":"mock/ok","input_audio":{"data":"AAAA","format":"wav"},"user":"anna"}"#;
        assert_eq!(json(Route::Transcriptions, sound).unwrap().user.as_deref(), Some("anna"));
        assert!(json(Route::Transcriptions, r#"{"model":"mock/ok"}"#).is_err());
        assert!(json(Route::Transcriptions, r#"{"model":"mock/ok","input_audio":{"data":""}}"#).is_err());
        let silent = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nmock/ok\r\n--b--";
        assert!(upload("multipart/form-data; boundary=b", silent).is_err());
    }

    #[test]
    fn only_routes_with_streams_stream() {
        for route in Route::ALL {
            let order = json(route, r#"{"model":"m","stream":true,"input_audio":{"data":"AA=="}}"#).unwrap();
            assert_eq!(order.streamed, route.streams(), "{route:?}");
        }
    }

    #[test]
    fn inputs_and_documents_are_counted() {
        for (input, count) in [(r#""a""#, 1), (r#"["a","b","c"]"#, 3), ("[1,2]", 1), ("[[1,2],[3]]", 2)] {
            let body = format!(r#"{{"model":"m","input":{input},"encoding_format":"base64"}}"#);
            let order = json(Route::Embeddings, &body).unwrap();
            assert_eq!((order.inputs, order.base64), (count, true), "{input}");
        }
        let body = r#"{"model":"m","documents":["a",{"text":"b"},{"image":"c"}]}"#;
        assert_eq!(json(Route::Rerank, body).unwrap().documents, ["a", "b", ""]);
    }
}
