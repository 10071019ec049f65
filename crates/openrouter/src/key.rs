//! The answer of `GET /key`: what OpenRouter has charged to a key since it was made, and today.

use std::pin::Pin;

use mai_primitives::Usd;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::client::LookupError;
use crate::usage::{amount, total_cost};

/// A question that is under way. It borrows nothing, so that it can be spawned.
pub type KeyUsageFuture = Pin<Box<dyn Future<Output = Result<KeyUsage, LookupError>> + Send>>;

/// Where the usage of a provider key can be asked for.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
pub trait KeyUsageSource: Send + Sync {
    /// Asks what was charged to the inference key `api_key`. A 404 is [`LookupError::Upstream`].
    fn key_usage(&self, api_key: &SecretString) -> KeyUsageFuture;
}

/// What was charged to a key: OpenRouter's credits and, for calls with an own key at a provider (BYOK), that provider's
/// charge together, as our ledger counts a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUsage {
    /// Since the key was made.
    pub total: Usd,
    /// Since the present UTC day began, by OpenRouter's clock.
    pub daily: Usd,
}

impl KeyUsage {
    /// What was charged up to the beginning of the present UTC day. It is the same at any moment of a day, so two of them
    /// differ by exactly what was charged in between. None if the difference leaves the range.
    pub fn opening(self) -> Option<Usd> {
        self.total.checked_sub(self.daily)
    }

    /// Reads the body of a 200 answer. None if it is not of the documented shape or one of the four figures is missing:
    /// what is not told is not zero.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let Answer { data } = serde_json::from_slice(body).ok()?;
        let sum = |credits, byok| total_cost(amount(credits), true, amount(byok)).ok().map(|(sum, _)| sum);
        Some(Self {
            total: sum(data.usage, data.byok_usage)?,
            daily: sum(data.usage_daily, data.byok_usage_daily)?,
        })
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Figures<'a>,
}

/// The members that are read.
#[derive(Deserialize)]
struct Figures<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    usage_daily: Option<&'a RawValue>,
    #[serde(borrow)]
    byok_usage: Option<&'a RawValue>,
    #[serde(borrow)]
    byok_usage_daily: Option<&'a RawValue>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(figures: &str) -> Option<KeyUsage> {
        KeyUsage::parse(format!(r#"{{"data":{{"label":"sk-or-v1-abc...123",{figures}}}}}"#).as_bytes())
    }

    fn usage(total: &str, daily: &str) -> KeyUsage {
        KeyUsage { total: Usd::parse(total).unwrap(), daily: Usd::parse(daily).unwrap() }
    }

    #[test]
    fn credits_and_byok_are_added_exactly_and_rounded_once() {
        let read =
            parse(r#""usage":25.5,"usage_daily":1e-7,"byok_usage":0.25,"byok_usage_daily":0"#).unwrap();
        assert_eq!(read, usage("25.75", "0.0000001"));
        assert_eq!(read.opening(), Some(Usd::parse("25.7499999").unwrap()));
        let halves = r#""usage":0.0000000004,"usage_daily":0,"byok_usage":0.0000000004,"byok_usage_daily":0"#;
        assert_eq!(parse(halves), Some(usage("0.000000001", "0")));
    }

    #[test]
    fn what_is_not_told_is_not_zero() {
        let complete = r#""usage":1,"usage_daily":1,"byok_usage":1,"byok_usage_daily":1"#;
        assert!(parse(complete).is_some());
        for name in ["usage", "usage_daily", "byok_usage", "byok_usage_daily"] {
            let member = format!("\"{name}\":1");
            for instead in ["\"x\":1".to_owned(), format!("\"{name}\":null"), format!("\"{name}\":-1")] {
                assert_eq!(parse(&complete.replace(&member, &instead)), None, "{name}: {instead}");
            }
        }
        for body in ["", "{}", "[]", r#"{"data":null}"#, "<html>"] {
            assert_eq!(KeyUsage::parse(body.as_bytes()), None, "{body}");
        }
    }
}
