//! The fields of a report, read one by one so that a refusal names its field.
//!
//! Numbers are read from their own text: a cost never passes through a float.

use chrono::{DateTime, Datelike, NaiveDateTime, Utc};
use mai_capture::bounds::{COST_AT_MOST, TOKENS_AT_MOST};
use mai_primitives::{IdError, UnixTime, Usd};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use thiserror::Error;

/// The longest text that is taken for a number, in bytes. A double in exponent form needs 24; the
/// text of a cost is stored.
const MAX_NUMBER: usize = 100;

/// Reports of an earlier time are mistakes of units: OpenRouter began in this year.
pub(super) const EARLIEST_YEAR: i32 = 2023;

/// Why a report cannot be used. The texts quote nothing but numbers of the caller.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReportError {
    /// It is not JSON, or not an object, or a field occurs twice.
    #[error("the body is not a JSON object with each field at most once: {0}")]
    Body(String),
    /// A field that is needed is absent or null.
    #[error("the field `{0}` is missing")]
    Missing(&'static str),
    /// A field has a value that cannot be used.
    #[error("the field `{field}` {why}")]
    Field {
        /// The field.
        field: &'static str,
        /// The stable code of the refusal.
        code: &'static str,
        /// What is wrong.
        why: String,
    },
}

impl ReportError {
    /// The stable code, which programs may rely on.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Body(_) => "invalid_body",
            Self::Missing(_) => "missing_field",
            Self::Field { code, .. } => code,
        }
    }
}

/// A field of a report, as its name and its raw value; absent and null are the same.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) name: &'static str,
    pub(super) code: &'static str,
    pub(super) raw: Option<&'a RawValue>,
}

impl<'a> Field<'a> {
    pub(super) const fn new(name: &'static str, code: &'static str, raw: Option<&'a RawValue>) -> Self {
        Self { name, code, raw }
    }

    pub(super) fn refuse(&self, why: impl Into<String>) -> ReportError {
        ReportError::Field { field: self.name, code: self.code, why: why.into() }
    }

    /// A text without the white space around it; an empty one counts as absent.
    pub(super) fn text(&self) -> Result<Option<String>, ReportError> {
        let Some(raw) = self.raw else { return Ok(None) };
        let text: String = serde_json::from_str(raw.get()).map_err(|_| self.refuse("is not a text"))?;
        let text = text.trim();
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    /// A text that is needed.
    pub(super) fn needed_text(&self) -> Result<String, ReportError> {
        self.text()?.ok_or(ReportError::Missing(self.name))
    }

    /// An id, checked by its constructor.
    pub(super) fn id<T>(&self, new: impl Fn(String) -> Result<T, IdError>) -> Result<Option<T>, ReportError> {
        let text = self.text()?;
        text.map(new).transpose().map_err(|why| self.refuse(format!("cannot be used: {why}")))
    }

    /// A count of tokens: a whole number from zero.
    pub(super) fn count(&self) -> Result<Option<i64>, ReportError> {
        let Some(raw) = self.raw else { return Ok(None) };
        let count: Option<i64> = raw.get().parse().ok().filter(|count| *count >= 0);
        count.map(Some).ok_or_else(|| self.refuse("is not a whole number from zero"))
    }

    /// A cost in USD, as a number or as a text that holds one, with its own text.
    pub(super) fn cost(&self) -> Result<(Usd, String), ReportError> {
        let text = self.number_text()?.ok_or(ReportError::Missing(self.name))?;
        let cost = Usd::parse(&text).map_err(|why| self.refuse(format!("cannot be used: {why}")))?;
        // The sign is read from the text, because a small negative number rounds to zero.
        if text.starts_with('-') {
            return Err(self.refuse("is negative"));
        }
        if cost > COST_AT_MOST {
            return Err(self.refuse("is more than one generation can cost: 1,000,000 USD"));
        }
        Ok((cost, text))
    }

    /// An instant: RFC 3339, a date and a time without a zone, which is UTC, or Unix seconds. Parts of
    /// a second are dropped.
    pub(super) fn instant(&self) -> Result<Option<UnixTime>, ReportError> {
        let Some(text) = self.number_text()? else { return Ok(None) };
        let at = unix_seconds(&text).or_else(|| calendar_time(&text));
        let at = at.ok_or_else(|| {
            self.refuse("is neither RFC 3339 nor `YYYY-MM-DD HH:MM:SS` in UTC nor Unix seconds")
        })?;
        if at.year() < EARLIEST_YEAR {
            return Err(self.refuse("is before the year 2023"));
        }
        Ok(Some(UnixTime::from(at)))
    }

    /// The text of a number, or what stands in a text.
    fn number_text(&self) -> Result<Option<String>, ReportError> {
        let Some(raw) = self.raw else { return Ok(None) };
        let text = raw.get();
        let text = match text.as_bytes().first() {
            Some(b'"') => self.text()?,
            Some(b'-' | b'0'..=b'9') => Some(text.to_owned()),
            _ => return Err(self.refuse("is neither a number nor a text")),
        };
        if text.as_ref().is_some_and(|text| text.len() > MAX_NUMBER) {
            return Err(self.refuse("is too long"));
        }
        Ok(text)
    }
}

/// The object of a body.
pub(super) fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, ReportError> {
    // Serde would take an array as the object's members in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(ReportError::Body("it does not begin with `{`".to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| ReportError::Body(error.to_string()))
}

/// Prompt and answer tokens of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportedTokens {
    /// Tokens of the prompt.
    pub input: i64,
    /// Tokens of the answer.
    pub output: i64,
    /// Whether the two were made from their sum.
    pub estimated: bool,
}

impl ReportedTokens {
    /// The counts of a report that names the sum, both parts, or the sum and one part. Of a sum alone
    /// the original system takes 70 %, rounded down, for the prompt, and so does this.
    pub(super) fn of(total: Field<'_>, input: Field<'_>, output: Field<'_>) -> Result<Self, ReportError> {
        let tokens = Self::unbounded(total, input, output)?;
        if tokens.input.saturating_add(tokens.output) > TOKENS_AT_MOST {
            return Err(total.refuse("is more than one generation can have: 1,000,000,000,000 tokens"));
        }
        Ok(tokens)
    }

    fn unbounded(total: Field<'_>, input: Field<'_>, output: Field<'_>) -> Result<Self, ReportError> {
        let exact = |input, output| Self { input, output, estimated: false };
        match (total.count()?, input.count()?, output.count()?) {
            (None, None, None) => Err(ReportError::Missing(total.name)),
            (None, Some(_), None) => Err(ReportError::Missing(output.name)),
            (None, None, Some(_)) => Err(ReportError::Missing(input.name)),
            (Some(total), None, None) => {
                let input = total / 10 * 7 + total % 10 * 7 / 10;
                Ok(Self { input, output: total - input, estimated: true })
            }
            (Some(sum), Some(part), None) if part <= sum => Ok(exact(part, sum - part)),
            (Some(sum), None, Some(part)) if part <= sum => Ok(exact(sum - part, part)),
            (sum, Some(input), Some(output)) => match input.checked_add(output) {
                Some(both) if sum.is_none_or(|sum| sum == both) => Ok(exact(input, output)),
                _ => Err(total.refuse("is not the sum of its parts, or the sum is too large")),
            },
            (Some(_), _, _) => Err(total.refuse("is less than one of its parts")),
        }
    }
}

/// Seconds since 1970, with or without a fraction.
fn unix_seconds(text: &str) -> Option<DateTime<Utc>> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = Some(whole).filter(|whole| digits(whole) && digits(fraction))?;
    DateTime::from_timestamp(seconds.parse().ok()?, 0)
}

fn calendar_time(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.to_utc());
    }
    let local = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"];
    let at = local.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())?;
    Some(at.and_utc())
}
