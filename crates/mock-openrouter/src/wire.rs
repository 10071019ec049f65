//! One generation: its tokens, its price and the JSON of its events.

use crate::behaviour::Behaviour;
use crate::models::{self, Model};
use crate::money::{exponent_text, plain_text};
use crate::plan::Plan;
use crate::random::{below, mix};
use crate::respond::{quote, quote_option};
use rust_decimal::{Decimal, RoundingStrategy};

/// Pieces of text as they stand inside a JSON string: Polish letters, emoji, both kinds of escapes.
const WORDS: &[&str] = &[
    "Zażółć ",
    "gęślą ",
    "jaźń ",
    "🦀 ",
    "the meter ",
    "\\u0142\\u00f3d\\u017a ",
    "\\\"cytat\\\" ",
    "wiersz\\n\\n",
    "👩‍💻 ",
    "1,5 zł ",
    "tab\\tulator ",
    "{json} ",
    "back\\\\slash ",
    "漢字 ",
    "data: ",
    "koniec. ",
];

/// What is written where no behaviour was asked for: a text for people, in pieces.
const PROSE: &[&str] = &[
    "Warszawa ",
    "leży ",
    "nad ",
    "Wisłą. ",
    "The ",
    "old ",
    "town ",
    "was ",
    "rebuilt, ",
    "brick ",
    "by ",
    "brick, ",
    "from ",
    "paintings. ",
    "Żółte ",
    "tramwaje ",
    "dzwonią ",
    "od ",
    "rana ",
    "🚋. ",
];

/// What the model writes to fool a parser that looks for usage in text.
const FAKE_USAGE: &str = r#"data: {\"usage\":{\"cost\":999}}\n\ndata: {\"id\":\"gen-fake\",\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1,\"cost\":999}}\n\n"#;

/// One generation before it is known how it ends.
pub(crate) struct Generation {
    pub(crate) id: String,
    pub(crate) started_ms: i64,
    pub(crate) model: String,
    pub(crate) requested_model: String,
    pub(crate) price: Model,
    pub(crate) user: Option<String>,
    pub(crate) api_key: String,
    pub(crate) streamed: bool,
    pub(crate) plan: Plan,
    pub(crate) prompt_tokens: i64,
    pub(crate) cached_tokens: i64,
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

/// Who asked for what.
pub(crate) struct Order {
    pub(crate) api_key: String,
    pub(crate) model: String,
    pub(crate) user: Option<String>,
    pub(crate) streamed: bool,
}

impl Generation {
    /// Draws the tokens of a generation from its seed.
    pub(crate) fn new(
        id: String,
        started_ms: i64,
        seed: u64,
        order: Order,
        price: Model,
        plan: Plan,
    ) -> Self {
        let dated = plan.has(Behaviour::DatedModel);
        let prompt_tokens = 10 + i64::from(below(seed, 1, 500));
        Self {
            id,
            started_ms,
            model: if dated { models::dated(&order.model) } else { order.model.clone() },
            requested_model: order.model,
            price,
            user: order.user,
            api_key: order.api_key,
            streamed: order.streamed,
            prompt_tokens,
            cached_tokens: if below(seed, 2, 3) == 0 { prompt_tokens / 2 } else { 0 },
            reasoning_tokens: if plan.one_token_each() { 0 } else { i64::from(below(seed, 3, 40)) },
            seed,
            plan,
        }
    }

    /// Content events that the answer gets to.
    pub(crate) fn reachable_events(&self) -> u64 {
        let all = self.plan.content_events();
        if self.plan.fails_first() {
            0
        } else if self.plan.has(Behaviour::ErrorMid) {
            all.div_ceil(2)
        } else {
            all
        }
    }

    /// Completion tokens after so many content events. Reasoning comes before the first of them.
    pub(crate) fn completion_tokens(&self, events: u64) -> i64 {
        if events == 0 {
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

    /// The price of so many completion tokens. Without any, nothing is charged (zero-completion insurance).
    pub(crate) fn bill(&self, completion_tokens: i64) -> Bill {
        let plan = &self.plan;
        let mut list = self.price.price(self.prompt_tokens, self.cached_tokens, completion_tokens);
        if completion_tokens == 0 || plan.has(Behaviour::CostZero) {
            list = Decimal::ZERO;
        } else if plan.has(Behaviour::Cost17Digits) {
            list = (list * Decimal::new(10_131_625_066_733_002, 16))
                .round_sf_with_strategy(17, RoundingStrategy::MidpointNearestEven)
                .unwrap_or(list);
        } else if plan.has(Behaviour::CostHalfNano) {
            list = list.round_dp(9) + Decimal::new(5, 10);
        }
        let text = |amount| {
            if plan.has(Behaviour::CostExponent) { exponent_text(amount) } else { plain_text(amount) }
        };
        if !self.byok() {
            return Bill { cost: list, cost_text: text(list), upstream_text: None, total: list };
        }
        let fee = if plan.has(Behaviour::ByokFee) { list * Decimal::new(5, 2) } else { Decimal::ZERO };
        Bill { cost: fee, cost_text: text(fee), upstream_text: Some(text(list)), total: fee + list }
    }

    /// The inline `usage` object.
    pub(crate) fn usage(&self, completion_tokens: i64) -> String {
        let bill = self.bill(completion_tokens);
        let cost = if self.plan.has(Behaviour::CostNull) {
            "null".to_owned()
        } else if self.plan.has(Behaviour::CostString) {
            quote(&bill.cost_text)
        } else {
            bill.cost_text
        };
        // Without an own key this is the list price before the account's discount: informative, never to be added.
        let upstream = bill.upstream_text.unwrap_or_else(|| plain_text(bill.cost * Decimal::new(101, 2)));
        format!(
            concat!(
                r#"{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{total},"cost":{cost},"is_byok":{byok},"#,
                r#""prompt_tokens_details":{{"cached_tokens":{cached},"cache_write_tokens":0,"audio_tokens":0,"video_tokens":0}},"#,
                r#""cost_details":{{"upstream_inference_cost":{upstream},"upstream_inference_prompt_cost":0,"upstream_inference_completions_cost":0}},"#,
                r#""completion_tokens_details":{{"reasoning_tokens":{reasoning},"image_tokens":0,"audio_tokens":0}}}}"#,
            ),
            prompt = self.prompt_tokens,
            completion = completion_tokens,
            total = self.prompt_tokens + completion_tokens,
            cost = cost,
            byok = self.byok(),
            cached = self.cached_tokens,
            upstream = upstream,
            reasoning = self.reasoning_tokens(completion_tokens),
        )
    }

    /// Everything of an event before the members of `choices`; `kind` is the `object`.
    pub(crate) fn head(&self, kind: &str) -> String {
        let plan = &self.plan;
        let id = if plan.has(Behaviour::NoId) {
            String::new()
        } else if plan.has(Behaviour::IdNumber) {
            format!(r#""id":{},"#, mix(self.seed, 4) >> 12)
        } else if plan.has(Behaviour::IdNull) {
            r#""id":null,"#.to_owned()
        } else if plan.has(Behaviour::Id10k) {
            format!(r#""id":"gen-{}","#, "x".repeat(9_996))
        } else {
            format!(r#""id":{},"#, quote(&self.id))
        };
        format!(
            r#"{{{id}"object":"{kind}","created":{},"model":{},"provider":{},"choices":["#,
            self.started_ms.div_euclid(1000),
            quote(&self.model),
            quote(self.price.provider)
        )
    }

    /// The text of content event `index`, as it stands inside a JSON string.
    pub(crate) fn text(&self, index: u64) -> &'static str {
        if index == 0 && self.plan.has(Behaviour::UsageInContent) {
            return FAKE_USAGE;
        }
        if self.plan.is_usual() {
            let pieces = PROSE.iter().cycle().skip(usize::try_from(index).unwrap_or(0) % PROSE.len());
            return pieces.copied().next().unwrap_or("");
        }
        let bound = u32::try_from(WORDS.len()).unwrap_or(1);
        let word = below(self.seed, index + 1_000_000, bound);
        usize::try_from(word).ok().and_then(|word| WORDS.get(word)).copied().unwrap_or("")
    }
}

/// The `choices` member of a stream event; `reason` is JSON.
pub(crate) fn delta(content: &str, reason: &str) -> String {
    format!(
        r#"{{"index":0,"delta":{{"content":"{content}","role":"assistant"}},"finish_reason":{reason},"native_finish_reason":{reason}}}"#
    )
}

/// The error a provider ends an answer with.
pub(crate) const PROVIDER_ERROR: &str = r#"{"code":502,"message":"Provider returned error","metadata":{"error_type":"provider_unavailable","provider_code":"upstream_error","provider_name":"Mock"}}"#;

/// The `choices` member of a plain answer, split where its content ends; `reason` is JSON.
pub(crate) fn message(reason: &str, error: Option<&str>) -> (String, String) {
    let error = error.map(|error| format!(r#","error":{error}"#)).unwrap_or_default();
    (
        format!(
            r#"{{"index":0,"logprobs":null,"finish_reason":{reason},"native_finish_reason":{reason},"message":{{"role":"assistant","content":""#
        ),
        format!(r#"","refusal":null,"reasoning":null}}{error}}}"#),
    )
}

/// The answer of `GET /generation` for a charge.
pub(crate) fn record(charge: &crate::ledger::Charge) -> String {
    let created = chrono::DateTime::from_timestamp_millis(charge.started_unix_ms)
        .map(|time| time.format("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string());
    format!(
        concat!(
            r#"{{"data":{{"id":{id},"upstream_id":null,"request_id":null,"total_cost":{cost},"usage":{cost},"upstream_inference_cost":{upstream},"#,
            r#""cache_discount":null,"is_byok":{byok},"created_at":{created},"model":{model},"provider_name":{provider},"app_id":null,"#,
            r#""streamed":{streamed},"cancelled":{cancelled},"latency":50,"moderation_latency":null,"generation_time":{time},"#,
            r#""finish_reason":{reason},"native_finish_reason":{reason},"service_tier":null,"#,
            r#""tokens_prompt":{norm_prompt},"tokens_completion":{norm_completion},"#,
            r#""native_tokens_prompt":{prompt},"native_tokens_completion":{completion},"native_tokens_completion_images":0,"#,
            r#""native_tokens_reasoning":{reasoning},"native_tokens_cached":{cached},"num_media_prompt":null,"num_input_audio_prompt":null,"#,
            r#""num_media_completion":null,"num_search_results":null,"num_fetches":null,"web_search_engine":null,"origin":"","http_referer":null,"#,
            r#""user_agent":null,"external_user":{user},"session_id":null,"api_type":"completions","router":null,"preset_id":null,"#,
            r#""provider_responses":null,"data_region":"global","workspace_id":null,"response_cache_source_id":null}}}}"#,
        ),
        id = quote(&charge.id),
        cost = charge.cost_text,
        upstream = charge.upstream_text.as_deref().unwrap_or("null"),
        byok = charge.byok,
        created = quote_option(created.as_deref()),
        model = quote(&charge.model),
        provider = quote(charge.provider),
        streamed = charge.streamed,
        cancelled = charge.cancelled,
        time = charge.finished_unix_ms - charge.started_unix_ms,
        reason = quote_option(charge.finish_reason),
        // The normalised counts always differ from the native ones, so that a meter that mixes them up is seen.
        norm_prompt = charge.prompt_tokens * 3 / 4 + 1,
        norm_completion = charge.completion_tokens * 3 / 4 + 1,
        prompt = charge.prompt_tokens,
        completion = charge.completion_tokens,
        reasoning = charge.reasoning_tokens,
        cached = charge.cached_tokens,
        user = quote_option(charge.user.as_deref()),
    )
}
