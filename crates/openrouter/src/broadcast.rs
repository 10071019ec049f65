//! OpenRouter's Broadcast: the account of a finished generation, pushed as an OpenTelemetry trace.
//!
//! The form is OTLP/JSON (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>); which spans and attributes
//! OpenRouter sends was taken from its documents and from deliveries of September 2026. A trace may hold several spans
//! of one generation: the root tells what all of it cost, its children tell of each attempt and are not counted.

use std::borrow::Cow;

use mai_primitives::UnixTime;
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::members::{visit_elements, visit_members};
use crate::route::Route;
use crate::tee::is_name;
use crate::usage::{Count, Reported, UsageGap, UsageReport, amount, whole_number};

/// Most spans of one delivery that are read. OpenRouter sends one delivery per request, with a few spans.
const MAX_SPANS: usize = 10_000;

/// Longest name that is taken over, in bytes.
const MAX_NAME: usize = 512;

/// How the ids of child spans differ from that of their generation.
const ATTEMPT: &str = ":attempt-";

/// What a root span says of its generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BroadcastSpan {
    /// OpenRouter's id of the generation.
    pub generation_id: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// The model that was asked for, without suffixes such as `:nitro`.
    pub requested_model: Option<String>,
    /// Display name of the host that served the model.
    pub serving_provider: Option<String>,
    /// The `user` of the request.
    pub user: Option<String>,
    /// When the generation began.
    pub started_at: Option<UnixTime>,
    /// Native token counts and cost; absent where no cost is reported, as of calls that failed or were left.
    ///
    /// A call on the customer's own provider key is known as such only if the destination asks for the cost block.
    pub usage: UsageReport,
    /// The span ended with an error.
    pub failed: bool,
    /// Whether the answer was streamed, where reported.
    pub streamed: Option<bool>,
    /// Whether the client left before the end, where reported.
    pub cancelled: Option<bool>,
}

/// Why a delivery cannot be read. The texts are fit for its sender and quote nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BroadcastError {
    /// It is not OTLP/JSON; named is the innermost member that could not be read.
    #[error("the body is no OTLP/JSON trace: its `{0}` cannot be read")]
    Malformed(&'static str),
    /// It holds more than 10,000 spans.
    #[error("the trace has more than {MAX_SPANS} spans")]
    TooManySpans,
}

/// Reads one delivery: the root spans in their order. The probe with which OpenRouter tests a destination has none.
///
/// # Errors
/// The body is not OTLP/JSON, or holds more than 10,000 spans.
pub fn parse_broadcast(body: &[u8]) -> Result<Vec<BroadcastSpan>, BroadcastError> {
    let mut spans = 0_usize;
    let mut roots = Vec::new();
    each_element(body, &["resourceSpans", "scopeSpans", "spans"], &mut |span| {
        spans = spans.saturating_add(1);
        if spans > MAX_SPANS {
            return Err(BroadcastError::TooManySpans);
        }
        roots.extend(read_span(span)?);
        Ok(())
    })?;
    Ok(roots)
}

/// Calls `on_element` with the text of every element at the end of a `path` of arrays, each a member of the elements of
/// the one before. A member that is missing or null is an empty array.
fn each_element<'a>(
    object: &'a [u8],
    path: &[&'static str],
    on_element: &mut impl FnMut(&'a str) -> Result<(), BroadcastError>,
) -> Result<(), BroadcastError> {
    let [name, deeper @ ..] = path else { return Ok(()) };
    let mut array = None;
    visit_members(object, |member| {
        if member.name_of(&[name]).is_some() {
            array = Some(member.value);
        }
    })
    .map_err(|_| BroadcastError::Malformed(name))?;
    let Some(array) = array.filter(|array| *array != "null") else { return Ok(()) };
    let mut outcome = Ok(());
    visit_elements(array.as_bytes(), |element| {
        if outcome.is_ok() {
            outcome = match deeper {
                [] => on_element(element),
                _ => each_element(element.as_bytes(), deeper, on_element),
            };
        }
    })
    .map_err(|_| BroadcastError::Malformed(name))?;
    outcome
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Span<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    parent_span_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    start_time_unix_nano: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<Status<'a>>,
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Status<'a> {
    #[serde(borrow)]
    code: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Attribute<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    value: Option<AnyValue<'a>>,
}

/// The kinds of values that are read. Any number may be written as a string or as a number.
#[derive(Default, Deserialize)]
struct AnyValue<'a> {
    #[serde(borrow, rename = "stringValue")]
    string: Option<&'a RawValue>,
    #[serde(borrow, rename = "intValue")]
    int: Option<&'a RawValue>,
    #[serde(borrow, rename = "doubleValue")]
    double: Option<&'a RawValue>,
    #[serde(borrow, rename = "boolValue")]
    bool: Option<&'a RawValue>,
}

impl AnyValue<'_> {
    fn text(&self) -> Option<String> {
        let raw = self.string?.get();
        let text: String = serde_json::from_str(raw).ok()?;
        (is_name(&text) && text.len() <= MAX_NAME).then_some(text)
    }

    fn number(&self) -> Option<&RawValue> {
        self.int.or(self.double).or(self.string)
    }

    fn count(&self) -> Count {
        let text = amount(self.number()).map_err(|_| UsageGap::TokensInvalid)?;
        text.as_deref().map(whole_number).transpose()
    }

    fn truth(&self) -> Option<bool> {
        match self.bool.or(self.string)?.get().trim_matches('"') {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }
}

/// What the attributes of a span say.
#[derive(Default)]
struct Attributes {
    generation_id: Option<String>,
    model: Option<String>,
    requested_model: Option<String>,
    serving_provider: Option<String>,
    user: Option<String>,
    reported: Reported,
    streamed: Option<bool>,
    cancelled: Option<bool>,
}

impl Attributes {
    fn take(&mut self, key: &str, value: &AnyValue<'_>) {
        match key {
            "gen_ai.response.id" => self.generation_id = value.text(),
            "gen_ai.response.model" => self.model = value.text(),
            "gen_ai.request.model" => self.requested_model = value.text(),
            "user.id" => self.user = value.text(),
            "gen_ai.usage.input_tokens" => self.reported.input = value.count(),
            "gen_ai.usage.input_tokens.cached" => self.reported.cached = value.count(),
            "gen_ai.usage.input_tokens.cache_write" => self.reported.cache_write = value.count(),
            "gen_ai.usage.output_tokens" => self.reported.output = value.count(),
            "gen_ai.usage.output_tokens.reasoning" => self.reported.reasoning = value.count(),
            "gen_ai.usage.total_cost" => self.reported.cost = amount(value.number()),
            "trace.metadata.openrouter.provider_name" => self.serving_provider = value.text(),
            "trace.metadata.openrouter_generation.byok_usage_inference" => {
                self.reported.upstream_cost = amount(value.number());
            }
            "trace.metadata.openrouter_generation.is_byok" => {
                self.reported.is_byok = value.truth().unwrap_or(false);
            }
            "trace.metadata.openrouter_generation.streamed" => self.streamed = value.truth(),
            "trace.metadata.openrouter_generation.cancelled" => self.cancelled = value.truth(),
            _ => {}
        }
    }

    fn has_cost(&self) -> bool {
        self.reported.cost != Ok(None)
    }
}

/// The span, if it is the root of its generation.
fn read_span(text: &str) -> Result<Option<BroadcastSpan>, BroadcastError> {
    let span: Span<'_> = serde_json::from_str(text).map_err(|_| BroadcastError::Malformed("spans"))?;
    let attributes = span.attributes.map(read_attributes).transpose()?.unwrap_or_default();
    if !is_root(&span, &attributes) {
        return Ok(None);
    }
    let usage = if attributes.has_cost() {
        attributes.reported.report(Route::ChatCompletions)
    } else {
        UsageReport::Absent
    };
    Ok(Some(BroadcastSpan {
        generation_id: attributes.generation_id,
        model: attributes.model,
        requested_model: attributes.requested_model,
        serving_provider: attributes.serving_provider,
        user: attributes.user,
        started_at: span.start_time_unix_nano.and_then(seconds),
        usage,
        failed: span.status.and_then(|status| status.code).is_some_and(is_error),
        streamed: attributes.streamed,
        cancelled: attributes.cancelled,
    }))
}

fn read_attributes(list: &RawValue) -> Result<Attributes, BroadcastError> {
    let mut attributes = Attributes::default();
    let mut readable = true;
    visit_elements(list.get().as_bytes(), |element| match serde_json::from_str::<Attribute<'_>>(element) {
        Ok(Attribute { key, value }) => attributes.take(&key, &value.unwrap_or_default()),
        Err(_) => readable = false,
    })
    .ok()
    .filter(|()| readable)
    .ok_or(BroadcastError::Malformed("attributes"))?;
    Ok(attributes)
}

/// A root span has the total cost, or is named as such. Its children carry no totals; should one do, it would still be
/// known by its name or by the id of its attempt.
fn is_root(span: &Span<'_>, attributes: &Attributes) -> bool {
    let name = span.name.as_deref().unwrap_or_default();
    let is_attempt = attributes.generation_id.as_ref().is_some_and(|id| id.contains(ATTEMPT));
    if is_attempt || name == "generation" || name.starts_with("provider attempt ") {
        return false;
    }
    let has_parent = span.parent_span_id.as_ref().is_some_and(|id| !id.is_empty());
    attributes.has_cost() || (name == "LLM Generation" && !has_parent)
}

/// Whole seconds of a number of nanoseconds.
fn seconds(nanoseconds: &RawValue) -> Option<UnixTime> {
    let nanoseconds: u64 = nanoseconds.get().trim_matches('"').parse().ok()?;
    i64::try_from(nanoseconds / 1_000_000_000).ok().map(UnixTime::from_seconds)
}

/// The code of a failed span, as OTLP/JSON writes it and as protobuf's own JSON does.
fn is_error(code: &RawValue) -> bool {
    matches!(code.get(), "2" | "\"STATUS_CODE_ERROR\"")
}

#[cfg(test)]
mod tests;
