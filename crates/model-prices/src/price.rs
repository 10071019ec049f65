//! [`ModelPrice`]: what one model costs, and at most how much a call of it.

use mai_openrouter::{ListedModel, ModelPricing, PriceKind, UnitPrices};
use mai_primitives::{ModelName, UnitPrice, Usd};

use crate::{catalogue::CatalogueModel, category::category, provider::provider_name};

/// A model and its raw prices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelPrice {
    /// The slug by which it is asked for.
    pub id: ModelName,
    /// The dated slug under which answers may name it.
    pub canonical_slug: Option<ModelName>,
    /// The display name.
    pub name: String,
    /// The greatest number of tokens in one call.
    pub context_length: Option<i64>,
    /// The greatest number of tokens in an answer.
    pub max_completion_tokens: Option<i64>,
    /// The prices; none for a router, of which nobody knows the price before the call.
    pub pricing: Option<ModelPricing>,
    /// The category; none where there is no price.
    pub category: Option<&'static str>,
    /// The dearest that a call can be, for each set of prices that may hold for it.
    bounds: Vec<Bound>,
}

/// The greatest prices among those that hold together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bound {
    /// Only where the prompt has more tokens than this.
    above: Option<u64>,
    input: UnitPrice,
    output: UnitPrice,
    /// Of an ordinary token of text.
    prompt: UnitPrice,
    /// Of an ordinary token of text, or of reasoning where that is dearer.
    completion: UnitPrice,
    request: UnitPrice,
}

impl Bound {
    fn of(above: Option<u64>, prices: &UnitPrices) -> Self {
        let greatest = |is_meant: fn(PriceKind) -> bool| {
            let meant = prices.iter().filter(|(kind, _)| is_meant(**kind));
            meant.map(|(_, price)| *price).max().unwrap_or(UnitPrice::ZERO)
        };
        let of = |kind| prices.get(&kind).copied().unwrap_or(UnitPrice::ZERO);
        Self {
            above,
            input: greatest(PriceKind::is_input_token),
            output: greatest(PriceKind::is_output_token),
            prompt: of(PriceKind::Prompt),
            completion: of(PriceKind::Completion).max(of(PriceKind::InternalReasoning)),
            request: of(PriceKind::Request),
        }
    }

    fn all(pricing: &ModelPricing) -> Vec<Self> {
        let mut bounds = vec![Self::of(None, &pricing.prices)];
        for conditional in &pricing.overrides {
            // What an override does not name costs as usual.
            let mut prices = pricing.prices.clone();
            prices.extend(&conditional.prices);
            bounds.push(Self::of(conditional.min_prompt_tokens, &prices));
        }
        bounds
    }
}

impl ModelPrice {
    /// The model of OpenRouter's list.
    pub fn new(listed: ListedModel) -> Self {
        let ListedModel { id, canonical_slug, name, context_length, max_completion_tokens, pricing, .. } =
            listed;
        Self {
            bounds: pricing.as_ref().map(Bound::all).unwrap_or_default(),
            category: pricing.as_ref().and_then(|pricing| category(&pricing.prices)),
            id,
            canonical_slug,
            name,
            context_length,
            max_completion_tokens,
            pricing,
        }
    }

    /// The model of the built-in list. None where an entry of that list is unsound, which a test finds.
    pub(crate) fn built_in(model: &CatalogueModel) -> Option<Self> {
        let price = |text| Usd::parse(text).ok().map(UnitPrice::of_million);
        let prices = UnitPrices::from([
            (PriceKind::Prompt, price(model.input_price)?),
            (PriceKind::Completion, price(model.output_price)?),
        ]);
        let listed = ListedModel {
            id: ModelName::new(model.id).ok()?,
            canonical_slug: None,
            name: model.name.to_owned(),
            context_length: Some(i64::from(model.context_length)),
            max_completion_tokens: None,
            pricing_text: String::new(),
            pricing: Some(ModelPricing { prices, overrides: Vec::new() }),
        };
        // The original's word for it, which does not always follow from the price.
        Some(Self { category: Some(model.category), ..Self::new(listed) })
    }

    /// The display name of the model's author, or the whole id where it names none.
    pub fn provider(&self) -> &str {
        self.id.author().map_or(self.id.as_str(), provider_name)
    }

    /// The price of one kind at its usual, or none where the list names none.
    pub fn unit(&self, kind: PriceKind) -> Option<UnitPrice> {
        self.pricing.as_ref()?.prices.get(&kind).copied()
    }

    /// At most what a call costs that sends and gets back at most so many tokens, rounded up to the nano-dollar.
    ///
    /// Each token is counted at the dearest price that the list has for any token of its side (cached for an hour,
    /// sound, reasoning), under the dearest condition that can hold; a price for the call as such comes on top. What is
    /// counted otherwise is not in it: pictures at a price for each, searches of the web, and a host that asks for more
    /// than the list. None where the model has no price or the amount leaves the range.
    pub fn estimate(&self, input_tokens: u64, output_tokens: u64) -> Option<Usd> {
        self.dearest(input_tokens, |bound| [(bound.input, input_tokens), (bound.output, output_tokens)])
    }

    /// At most what a call costs that sends and gets back at most so many tokens of text and no more than ordinary:
    /// each is counted at the price of the prompt and of the completion, or of reasoning where that is dearer. The
    /// dearer prices of sound and of a cache for an hour are not in it; else it is as [`Self::estimate`].
    pub fn estimate_text(&self, input_tokens: u64, output_tokens: u64) -> Option<Usd> {
        self.dearest(input_tokens, |bound| [(bound.prompt, input_tokens), (bound.completion, output_tokens)])
    }

    /// The dearest total under the conditions that can hold, with the price for the call as such.
    fn dearest(&self, input_tokens: u64, parts: impl Fn(&Bound) -> [(UnitPrice, u64); 2]) -> Option<Usd> {
        let mut most = None;
        for bound in &self.bounds {
            if bound.above.is_none_or(|above| input_tokens > above) {
                let parts = parts(bound).into_iter().chain([(bound.request, 1)]);
                most = most.max(Some(UnitPrice::total_rounded_up(parts)?));
            }
        }
        most
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn priced(pricing: &str) -> ModelPrice {
        ModelPrice::new(ListedModel {
            id: ModelName::new("x-ai/grok").unwrap(),
            canonical_slug: None,
            name: "Grok".to_owned(),
            context_length: None,
            max_completion_tokens: None,
            pricing_text: pricing.to_owned(),
            pricing: ModelPricing::parse(pricing).unwrap(),
        })
    }

    fn estimate(pricing: &str, input: u64, output: u64) -> Option<String> {
        priced(pricing).estimate(input, output).map(|usd| usd.to_string())
    }

    #[test]
    fn an_estimate_takes_the_dearest_price_of_each_side() {
        let plain = r#"{"prompt":"0.00000015","completion":"0.0000006"}"#;
        assert_eq!(estimate(plain, 1_000, 500).as_deref(), Some("0.00045"));
        assert_eq!(estimate(plain, 0, 0).as_deref(), Some("0"));
        let cached = r#"{"prompt":"0.000001","input_cache_read":"0.0000001","input_cache_write_1h":"0.000002",
            "completion":"0.000001","internal_reasoning":"0.000004","request":"0.005","image":"9","web_search":"9"}"#;
        assert_eq!(estimate(cached, 100, 10).as_deref(), Some("0.00524"));
        // A hundredth of a nano-dollar is a nano-dollar.
        assert_eq!(estimate(r#"{"prompt":"1e-11","completion":"0"}"#, 1, 0).as_deref(), Some("0.000000001"));
    }

    #[test]
    fn an_estimate_takes_the_dearest_condition_that_can_hold() {
        let tiers = r#"{"prompt":"0.000001","completion":"0.000002","input_cache_write":"0.0000015","overrides":[
            {"min_prompt_tokens":200000,"prompt":"0.000004"},{"utc_start":"0000","utc_end":"0600","prompt":"0.0000001"},
            {"utc_start":"0600","utc_end":"1200","completion":"0.000003"}]}"#;
        assert_eq!(estimate(tiers, 200_000, 0).as_deref(), Some("0.3"), "not more than 200,000");
        assert_eq!(estimate(tiers, 200_001, 0).as_deref(), Some("0.800004"));
        assert_eq!(estimate(tiers, 0, 1_000).as_deref(), Some("0.003"));
    }

    #[test]
    fn an_estimate_of_text_takes_the_ordinary_prices() {
        let dear = r#"{"prompt":"0.000001","input_cache_write_1h":"0.000002","audio":"0.1","completion":"0.000003",
            "internal_reasoning":"0.000004","audio_output":"0.1","request":"0.005",
            "overrides":[{"min_prompt_tokens":100,"prompt":"0.00001"}]}"#;
        let text = |input, output| priced(dear).estimate_text(input, output).map(|usd| usd.to_string());
        assert_eq!(text(100, 10).as_deref(), Some("0.00514"));
        assert_eq!(text(101, 0).as_deref(), Some("0.00601"));
        assert_eq!(priced(r#"{"prompt":"-1","completion":"-1"}"#).estimate_text(1, 1), None);
    }

    #[test]
    fn what_is_not_known_is_not_free() {
        assert_eq!(estimate(r#"{"prompt":"-1","completion":"-1"}"#, 1, 1), None);
        assert_eq!(estimate(r#"{"prompt":"9000","completion":"0"}"#, u64::MAX, 1), None);
        assert_eq!(
            estimate(r#"{"prompt":"0","completion":"0"}"#, 1_000, 1_000).as_deref(),
            Some("0"),
            "free"
        );
        let router = priced(r#"{"prompt":"-1","completion":"-1"}"#);
        assert_eq!((router.unit(PriceKind::Prompt), router.category), (None, None));
    }

    proptest! {
        #[test]
        fn an_estimate_never_falls_with_more_tokens(input in 0_u64..1_000_000, output in 0_u64..1_000_000, more in 0_u64..1_000_000) {
            let model = priced(r#"{"prompt":"0.0000003","completion":"0.0000025","input_cache_read":"0.00000003",
                "overrides":[{"min_prompt_tokens":200000,"prompt":"0.0000006","completion":"0.0000001"}]}"#);
            let least = model.estimate(input, output).unwrap();
            prop_assert!(model.estimate(input + more, output).unwrap() >= least);
            prop_assert!(model.estimate(input, output + more).unwrap() >= least);
        }
    }
}
