//! One generation, whatever route it was ordered on: its tokens, its price and its text.

use crate::behaviour::Behaviour;
use crate::models::{self, Model};
use crate::money::{exponent_text, plain_text};
use crate::order::Order;
use crate::plan::Plan;
use crate::random::below;
use crate::respond::quote;
use crate::route::Route;
use crate::text;
use rust_decimal::{Decimal, RoundingStrategy};

/// The names of one generation.
pub(crate) struct Names {
    /// Its own id, in the ledger and at `/generation`.
    pub(crate) own: String,
    /// The generation id that the answer tells. It differs from `own` only where an id is reused.
    pub(crate) told: String,
    /// The `id` in the body, which on some routes is no generation id.
    pub(crate) body: String,
}

/// One generation before it is known how it ends.
pub(crate) struct Generation {
    pub(crate) names: Names,
    pub(crate) started_ms: i64,
    pub(crate) model: String,
    pub(crate) price: Model,
    pub(crate) order: Order,
    pub(crate) plan: Plan,
    pub(crate) prompt_tokens: i64,
    pub(crate) cached_tokens: i64,
    pub(crate) cache_write_tokens: i64,
    reasoning_tokens: i64,
    pub(crate) seed: u64,
}

/// What a generation costs, with the texts that are printed.
pub(crate) struct Bill {
    pub(crate) cost: Decimal,
    pub(crate) cost_text: String,
    pub(crate) upstream_text: Option<String>,
    pub(crate) total: Decimal,
}

/// The money of an inline usage as JSON.
pub(crate) struct InlineCost {
    pub(crate) cost: String,
    /// `upstream_inference_cost`. Without an own key it is the list price before the account's discount: informative,
    /// never to be added.
    pub(crate) upstream: String,
}

impl Generation {
    /// Draws the tokens of a generation from its seed.
    pub(crate) fn new(
        names: Names,
        started_ms: i64,
        seed: u64,
        order: Order,
        price: Model,
        plan: Plan,
    ) -> Self {
        let dated = plan.has(Behaviour::DatedModel);
        let prompt_tokens = 10 + i64::from(below(seed, 1, 500));
        // Only the routes that stream have a cache and reasoning.
        let part = |index, of: i64| if order.route.streams() && below(seed, index, 3) == 0 { of } else { 0 };
        let reasoning = order.route.streams() && !plan.one_token_each();
        Self {
            names,
            started_ms,
            model: if dated { models::dated(&order.model) } else { order.model.clone() },
            price,
            prompt_tokens,
            cached_tokens: part(2, prompt_tokens / 2),
            cache_write_tokens: part(5, prompt_tokens / 4),
            reasoning_tokens: if reasoning { i64::from(below(seed, 3, 40)) } else { 0 },
            order,
            seed,
            plan,
        }
    }

    /// What was ordered.
    pub(crate) const fn route(&self) -> Route {
        self.order.route
    }

    /// Whether it ends with an error and nothing else. Where half an answer cannot be told, that is the fate of
    /// `error-mid` as well.
    pub(crate) fn fails_first(&self) -> bool {
        let whole =
            !self.order.streamed && matches!(self.route(), Route::Messages) || !self.route().streams();
        self.plan.fails_first() || whole && self.plan.has(Behaviour::ErrorMid)
    }

    /// Content events that the answer gets to.
    pub(crate) fn reachable_events(&self) -> u64 {
        let all = self.plan.content_events();
        if self.fails_first() {
            0
        } else if self.plan.has(Behaviour::ErrorMid) {
            all.div_ceil(2)
        } else {
            all
        }
    }

    /// Whether it ends with an error.
    pub(crate) fn fails(&self) -> bool {
        self.reachable_events() < self.plan.content_events()
    }

    /// Completion tokens after so many content events. Reasoning comes before the first of them.
    pub(crate) fn completion_tokens(&self, events: u64) -> i64 {
        if events == 0 || !self.route().has_completion() {
            return 0;
        }
        self.reasoning_tokens + (0..events).map(|index| self.event_tokens(index)).sum::<i64>()
    }

    /// Completion tokens that content event `index` delivers, without reasoning.
    fn event_tokens(&self, index: u64) -> i64 {
        if self.plan.one_token_each() { 1 } else { 1 + i64::from(below(self.seed, index + 100, 3)) }
    }

    /// Completion tokens that the client has only from content event `index` on.
    pub(crate) fn tokens_of_event(&self, index: u64) -> i64 {
        self.event_tokens(index) + if index == 0 { self.reasoning_tokens } else { 0 }
    }

    /// The part of so many completion tokens that was reasoning.
    pub(crate) const fn reasoning_tokens(&self, completion_tokens: i64) -> i64 {
        if completion_tokens == 0 { 0 } else { self.reasoning_tokens }
    }

    /// Whether the spend is at an own provider key.
    pub(crate) fn byok(&self) -> bool {
        self.plan.has(Behaviour::Byok) || self.plan.has(Behaviour::ByokFee)
    }

    /// The price of so many completion tokens. Where there should be some and are none, nothing is charged
    /// (zero-completion insurance).
    pub(crate) fn bill(&self, completion_tokens: i64) -> Bill {
        let list = self.list_price(completion_tokens);
        let text = |amount: Decimal| {
            if self.plan.has(Behaviour::CostExponent) {
                exponent_text(amount)
            } else if self.plan.has(Behaviour::CostTiny) && amount == TINY {
                TINY_TEXT.to_owned()
            } else {
                plain_text(amount)
            }
        };
        if !self.byok() {
            return Bill { cost: list, cost_text: text(list), upstream_text: None, total: list };
        }
        let has_fee = self.plan.has(Behaviour::ByokFee);
        let fee = if has_fee { list * Decimal::new(5, 2) } else { Decimal::ZERO };
        Bill { cost: fee, cost_text: text(fee), upstream_text: Some(text(list)), total: fee + list }
    }

    fn list_price(&self, completion_tokens: i64) -> Decimal {
        let nothing = if self.route().has_completion() { completion_tokens == 0 } else { self.fails_first() };
        let list = self.price.price(self.prompt_tokens, self.cached_tokens, completion_tokens);
        if nothing || self.plan.has(Behaviour::CostZero) {
            Decimal::ZERO
        } else if self.plan.has(Behaviour::CostTiny) {
            TINY
        } else if self.plan.has(Behaviour::Cost17Digits) {
            (list * Decimal::new(10_131_625_066_733_002, 16))
                .round_sf_with_strategy(17, RoundingStrategy::MidpointNearestEven)
                .unwrap_or(list)
        } else if self.plan.has(Behaviour::CostHalfNano) {
            list.round_dp(9) + Decimal::new(5, 10)
        } else {
            list
        }
    }

    /// What the answer itself tells of the price of so many completion tokens, which is not always the truth.
    pub(crate) fn inline_cost(&self, completion_tokens: i64) -> InlineCost {
        let bill = self.bill(completion_tokens);
        let upstream = bill.upstream_text.unwrap_or_else(|| plain_text(bill.cost * Decimal::new(101, 2)));
        let cost = if self.plan.has(Behaviour::CostNull) {
            "null".to_owned()
        } else if self.plan.has(Behaviour::CostNegative) {
            "-0.001".to_owned()
        } else if self.plan.has(Behaviour::CostHuge) {
            "1e300".to_owned()
        } else if self.plan.has(Behaviour::CostString) {
            quote(&bill.cost_text)
        } else {
            bill.cost_text
        };
        InlineCost { cost, upstream }
    }

    /// The text of content event `index`, as it stands inside a JSON string.
    pub(crate) fn text(&self, index: u64) -> &'static str {
        if index == 0 && self.plan.has(Behaviour::UsageInContent) {
            text::FAKE_USAGE
        } else if self.plan.is_usual() {
            text::prose(index)
        } else {
            text::hard(self.seed, index)
        }
    }

    /// The text of the first so many content events.
    pub(crate) fn texts(&self, events: u64) -> String {
        (0..events).map(|index| self.text(index)).collect()
    }
}

/// The cost of `cost-tiny`, and how JavaScript prints it.
const TINY: Decimal = Decimal::from_parts(1, 0, 0, false, 7);
const TINY_TEXT: &str = "1e-7";
