//! [`CallLimits`]: what a call may cost at most is reserved before it is made. See docs/limits.md.
//!
//! Of an organization without limits nothing of this is computed.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use mai_capture::{Call, LimitGuard, OverLimit, Reservation};
use mai_model_prices::{ModelPrice, ModelPrices};
use mai_openrouter::{GenerationRequest, Route, input_tokens_at_most};
use mai_organization::client_organization::{LimitSubject, OrganizationEntry};
use mai_primitives::{UsageDate, Usd};
use thiserror::Error;

/// How many tokens an answer is expected to have at most where the request does not bound it.
const UNBOUNDED_ANSWER: u64 = 4_096;

/// What a call of a model whose price nobody knows is expected to cost: five cents of client price. The same at least
/// for pictures and sound, whose price the tokens of the request do not tell.
const UNKNOWN_PRICE: Usd = Usd::from_nanos(50_000_000);

/// A call was refused because of a limit. The text is for whoever called: it names the limit, and no more of what
/// others have spent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the monthly limit of {subject} ({limit} USD) is used up or has no room for this call; it begins anew on {renewed_on}"
)]
pub struct LimitReached {
    subject: LimitSubject,
    limit: Usd,
    /// The organization's first day of the next month.
    renewed_on: UsageDate,
}

/// The limits of all organizations, at the gateway. Clones share them.
#[derive(Clone)]
pub struct CallLimits {
    guard: LimitGuard,
    prices: ModelPrices,
    at_most: Usd,
    refusals: Arc<[AtomicU64; 3]>,
}

impl CallLimits {
    /// Limits that `guard` counts, with reservations by `prices` of at most so much each.
    pub fn new(guard: LimitGuard, prices: ModelPrices, at_most: Usd) -> Self {
        Self { guard, prices, at_most, refusals: Arc::default() }
    }

    /// Reserves for a call with a JSON body what it may cost; none where the organization has no limit.
    pub(super) fn reserve(
        &self,
        organization: &OrganizationEntry,
        call: &Call,
        (route, asked, body): (Route, &GenerationRequest, &[u8]),
    ) -> Result<Option<Reservation>, LimitReached> {
        if organization.limits.is_empty() {
            return Ok(None);
        }
        let prices = self.prices.current();
        let amount = match asked.model.as_deref().and_then(|model| prices.priced(model)) {
            None => UNKNOWN_PRICE,
            // What leaves the range of amounts is more than any bound.
            Some(model) => estimate(model, route, asked, body)
                .and_then(|raw| organization.markup_rate.apply(raw))
                .unwrap_or(self.at_most),
        };
        let has_other_prices = matches!(route, Route::Images | Route::Speech | Route::Transcriptions);
        let amount = if has_other_prices { amount.max(UNKNOWN_PRICE) } else { amount };
        self.take(organization, call, amount).map(Some)
    }

    /// Reserves for a form that passes through while it is read, so that nothing is known of it before the call.
    pub(super) fn reserve_for_form(
        &self,
        organization: &OrganizationEntry,
        call: &Call,
    ) -> Result<Option<Reservation>, LimitReached> {
        if organization.limits.is_empty() {
            return Ok(None);
        }
        self.take(organization, call, UNKNOWN_PRICE).map(Some)
    }

    fn take(
        &self,
        organization: &OrganizationEntry,
        call: &Call,
        amount: Usd,
    ) -> Result<Reservation, LimitReached> {
        self.guard.reserve(&organization.limits, call, amount.min(self.at_most)).map_err(|over| {
            let OverLimit { subject, limit } = over;
            if let Some(count) = self.refusals.get(place(&subject)) {
                count.fetch_add(1, Ordering::Relaxed);
            }
            let first = call.usage_date.first_of_month();
            LimitReached { subject, limit, renewed_on: first.plus_days(first.days_in_month().into()) }
        })
    }

    /// How many calls were refused since the start, by the scope of the limit.
    pub fn refusals(&self) -> [(&'static str, u64); 3] {
        let counts = self.refusals.each_ref().map(|count| count.load(Ordering::Relaxed));
        let [organization, member, model] = counts;
        [("organization", organization), ("member", member), ("model", model)]
    }
}

const fn place(subject: &LimitSubject) -> usize {
    match subject {
        LimitSubject::Organization => 0,
        LimitSubject::Member(_) => 1,
        LimitSubject::Model(_) => 2,
    }
}

/// What a call of a model may cost at most at ordinary prices, before any markup; none where that leaves the range.
fn estimate(model: &ModelPrice, route: Route, asked: &GenerationRequest, body: &[u8]) -> Option<Usd> {
    let bound =
        |bound: Option<i64>| bound.and_then(|bound| u64::try_from(bound).ok()).filter(|bound| *bound > 0);
    let input = input_tokens_at_most(body).min(bound(model.context_length).unwrap_or(u64::MAX));
    let output = match route {
        Route::Embeddings | Route::Rerank => 0,
        _ => {
            let wanted = asked.max_tokens.unwrap_or(UNBOUNDED_ANSWER);
            wanted.min(bound(model.max_completion_tokens).unwrap_or(u64::MAX)).saturating_mul(asked.answers)
        }
    };
    model.estimate_text(input, output)
}

#[cfg(test)]
mod tests {
    use mai_model_prices::PriceList;

    use super::*;

    fn estimated(route: Route, body: &str) -> Option<String> {
        let asked = GenerationRequest::parse(body.as_bytes()).unwrap();
        let prices = PriceList::built_in();
        let model = prices.priced(asked.model.as_deref()?)?;
        estimate(model, route, &asked, body.as_bytes()).map(|usd| usd.to_string())
    }

    #[test]
    fn an_estimate_goes_by_the_bound_of_the_answer_and_the_length_of_the_body() {
        // 0.15 and 0.6 USD for a million tokens.
        let chat = |more: &str| {
            estimated(Route::ChatCompletions, &format!(r#"{{"model":"openai/gpt-4o-mini"{more}}}"#))
        };
        assert_eq!(chat(r#","max_tokens":1000"#).as_deref(), Some("0.0006024"));
        assert_eq!(
            chat(r#","max_tokens":10,"max_completion_tokens":1000,"n":2"#).as_deref(),
            Some("0.00120405")
        );
        assert_eq!(chat("").as_deref(), Some("0.0024591"), "4,096 tokens");
        assert_eq!(chat(r#","max_tokens":"many","n":null"#).as_deref(), Some("0.0024606"));
        assert_eq!(chat(r#","max_tokens":18446744073709551615"#), None, "out of range");
        let variant = r#"{"model":"openai/gpt-4o-mini:nitro","max_tokens":0}"#;
        assert_eq!(estimated(Route::ChatCompletions, variant).as_deref(), Some("0.00000255"));
        assert_eq!(
            estimated(Route::Embeddings, r#"{"model":"openai/gpt-4o-mini"}"#).as_deref(),
            Some("0.0000015")
        );
        assert_eq!(estimated(Route::ChatCompletions, r#"{"model":"nobody/knows"}"#), None);
        assert_eq!(estimated(Route::ChatCompletions, "{}"), None);
    }

    #[test]
    fn a_long_body_has_no_more_tokens_than_the_model_takes() {
        let body = format!(
            r#"{{"model":"openai/gpt-4o-mini","max_tokens":0,"input":"{}"}}"#,
            "a".repeat(10_000_000)
        );
        // 128,000 tokens.
        assert_eq!(estimated(Route::ChatCompletions, &body).as_deref(), Some("0.0192"));
    }
}
