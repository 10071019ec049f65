//! Reads what the gateway must know of a request with a JSON body, and sets its `user` without copying or reformatting it.
//!
//! One reader serves every [`Route`](crate::Route): OpenRouter takes `model`, `stream` and `user` at the top level of each
//! of them (its OpenAPI description and SDK 1.3.84 name `user` for all; the older `/completions` takes what chat does).

use std::ops::Range;

use bytes::Bytes;
use memchr::{memchr, memmem};
use thiserror::Error;

use crate::members::visit_members;

/// The members that are read, or written, by the gateway. A repetition of one of them could mean one thing to us and
/// another to upstream, so it is refused.
const FIELDS: [&str; 3] = ["model", "stream", "user"];

/// The members that bound an answer, by the names of chat and completions, and of responses; and how many answers are
/// wanted. They are read to estimate a cost and never refused: what is no number says nothing.
const BOUNDS: [&str; 3] = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
const ANSWERS: [&str; 1] = ["n"];

/// The models to try one after the other. Without `model` the first of them is the one that is asked for; as the bounds
/// it is never refused.
const FALLBACKS: [&str; 1] = ["models"];

/// A token of text has about four bytes, and seldom fewer than this.
const BYTES_PER_TOKEN: u64 = 3;
/// A token of a picture, a sound or a document has some hundred bytes of base64, and seldom fewer than this.
const DATA_BYTES_PER_TOKEN: u64 = 50;

/// Why a body is not a usable request. The texts are fit for the client and quote nothing of the body.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RequestError {
    /// The body is not valid JSON; the text says what is wrong, with line and column.
    #[error("The request body is not valid JSON: {0}.")]
    NotJson(String),
    /// The body is another JSON value than an object.
    #[error("The request body must be a JSON object.")]
    NotAnObject,
    /// A member that must be unique occurs twice.
    #[error("The request body has more than one `{0}`.")]
    Repeated(&'static str),
    /// A member has the wrong type.
    #[error("`{field}` must be {expected}.")]
    WrongType {
        /// The member's name.
        field: &'static str,
        /// What it must be, with an article.
        expected: &'static str,
    },
}

/// What the gateway reads of a request body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationRequest {
    /// The requested model; if missing or null the first of `models`, and none without those.
    pub model: Option<String>,
    /// Whether a streamed answer is wanted; missing and null mean no.
    pub stream: bool,
    /// The client's own `user`; none if missing or null.
    pub user: Option<String>,
    /// The greatest bound that the request sets for the tokens of an answer.
    pub max_tokens: Option<u64>,
    /// How many answers are wanted, at least one.
    pub answers: u64,
    edit: Edit,
}

/// How the body gets its `user`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Edit {
    /// Replace the value that stands here.
    Replace(Range<usize>),
    /// Insert a member after the opening brace, which ends here; with a comma if others follow.
    Insert { at: usize, comma: bool },
}

impl GenerationRequest {
    /// Validates the whole `body` and reads its top-level members.
    ///
    /// # Errors
    /// The body is not one JSON object, has one of `model`, `stream` and `user` twice, or with a wrong type.
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        let opening = body.iter().position(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t'));
        if opening.and_then(|at| body.get(at)).is_some_and(|byte| *byte != b'{') {
            return Err(not_an_object(body));
        }
        let mut found = Found::default();
        let mut is_empty = true;
        visit_members(body, |member| {
            is_empty = false;
            if let Some(name) = member.name_of(&FIELDS) {
                found.take(name, member.value, member.value_span());
            } else if member.name_of(&BOUNDS).is_some() {
                found.max_tokens = found.max_tokens.max(member.value.parse().ok());
            } else if member.name_of(&ANSWERS).is_some() {
                found.answers = found.answers.max(member.value.parse().ok());
            } else if member.name_of(&FALLBACKS).is_some() {
                found.fallbacks = found.fallbacks.or(Some(member.value));
            }
        })
        .map_err(|error| RequestError::NotJson(error.to_string()))?;
        let user_span = found.user.as_ref().map(|(_, span)| span.clone());
        let insert = Edit::Insert { at: opening.unwrap_or(0).saturating_add(1), comma: !is_empty };
        if let Some(name) = found.repeated {
            return Err(RequestError::Repeated(name));
        }
        Ok(Self {
            model: read("model", "a string", &found.model)?.or_else(|| first(found.fallbacks)),
            stream: read("stream", "true or false", &found.stream)?.unwrap_or(false),
            user: read("user", "a string", &found.user)?,
            max_tokens: found.max_tokens,
            answers: found.answers.unwrap_or(1).max(1),
            edit: user_span.map_or(insert, Edit::Replace),
        })
    }
}

/// About how many tokens a request body has at most, by its length. What stands in it as base64 behind a `data:` URL has
/// fewer of them by far, and is counted so; base64 without such a URL is taken for text.
pub fn input_tokens_at_most(body: &[u8]) -> u64 {
    const MARK: &[u8] = b";base64,";
    let (mut data, mut rest) = (0_usize, body);
    while let Some(found) = memmem::find(rest, MARK) {
        rest = rest.get(found.saturating_add(MARK.len())..).unwrap_or_default();
        let length = memchr(b'"', rest).unwrap_or(rest.len());
        data = data.saturating_add(length);
        rest = rest.get(length..).unwrap_or_default();
    }
    let text = tokens(body.len().saturating_sub(data), BYTES_PER_TOKEN);
    text.saturating_add(tokens(data, DATA_BYTES_PER_TOKEN))
}

fn tokens(bytes: usize, bytes_per_token: u64) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX).div_ceil(bytes_per_token)
}

/// Another JSON value is a different mistake than no JSON.
fn not_an_object(body: &[u8]) -> RequestError {
    match serde_json::from_slice::<serde::de::IgnoredAny>(body) {
        Ok(_) => RequestError::NotAnObject,
        Err(error) => RequestError::NotJson(error.to_string()),
    }
}

type Place<'a> = Option<(&'a str, Range<usize>)>;

#[derive(Default)]
struct Found<'a> {
    model: Place<'a>,
    stream: Place<'a>,
    user: Place<'a>,
    max_tokens: Option<u64>,
    answers: Option<u64>,
    fallbacks: Option<&'a str>,
    repeated: Option<&'static str>,
}

impl<'a> Found<'a> {
    fn take(&mut self, name: &'static str, value: &'a str, span: Range<usize>) {
        let place = match name {
            "model" => &mut self.model,
            "stream" => &mut self.stream,
            _ => &mut self.user,
        };
        if place.replace((value, span)).is_some() {
            self.repeated = Some(name);
        }
    }
}

/// The value of a member as a `T`; none if missing or null.
fn read<'a, T: serde::Deserialize<'a>>(
    field: &'static str,
    expected: &'static str,
    found: &Place<'a>,
) -> Result<Option<T>, RequestError> {
    let Some((text, _)) = found else { return Ok(None) };
    serde_json::from_str(text).map_err(|_| RequestError::WrongType { field, expected })
}

/// The first of a list of models; none of what is no list of names, which upstream may refuse.
fn first(models: Option<&str>) -> Option<String> {
    let models: Vec<String> = serde_json::from_str(models?).ok()?;
    models.into_iter().next()
}

/// The body with its top-level `user` set, as three pieces to send one after the other.
///
/// `request` must have been parsed from `body`. Every byte but the value of `user` stays as the client sent it; where
/// there was no `user`, one is inserted after the opening brace. The body is not copied.
pub fn rewrite_user(mut body: Bytes, request: &GenerationRequest, user: &str) -> [Bytes; 3] {
    let user = serde_json::Value::from(user);
    let (range, piece) = match &request.edit {
        Edit::Replace(range) => (range.clone(), user.to_string()),
        Edit::Insert { at, comma } => (*at..*at, format!("\"user\":{user}{}", if *comma { "," } else { "" })),
    };
    let after = body.split_off(range.end.min(body.len()));
    body.truncate(range.start);
    [body, piece.into(), after]
}

#[cfg(test)]
mod tests;
