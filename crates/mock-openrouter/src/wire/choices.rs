//! `/chat/completions` and `/completions`: a list of choices, with OpenRouter's usage.

use super::{Event, PROVIDER_ERROR, Part, created, id_members};
use crate::behaviour::Behaviour;
use crate::generation::Generation;
use crate::respond::quote;
use crate::route::Route;

/// Writes a stream.
pub(crate) struct Writer {
    /// What all events begin with.
    head: String,
    is_chat: bool,
}

impl Writer {
    pub(super) fn new(generation: &Generation) -> Self {
        let is_chat = generation.route() == Route::ChatCompletions;
        let kind = if is_chat { "chat.completion.chunk" } else { "text_completion" };
        Self { head: head(generation, kind), is_chat }
    }

    pub(super) fn write(&self, part: Part<'_>, generation: &Generation) -> Vec<Event> {
        let plan = &generation.plan;
        let rest = match part {
            Part::Opening => return Vec::new(),
            Part::Done => return vec![Event { name: None, data: "[DONE]".to_owned() }],
            Part::Content(text) => format!("{}]", self.choice(text, "null")),
            Part::Finish(_) => format!("{}]", self.choice("", r#""stop""#)),
            Part::Error(_) => format!(r#"{}],"error":{PROVIDER_ERROR}"#, self.choice("", r#""error""#)),
            Part::Usage(tokens, _) => {
                let choice = if plan.has(Behaviour::UsageEmptyChoices) {
                    String::new()
                } else if plan.has(Behaviour::UsageFinishNull) {
                    self.choice("", "null")
                } else {
                    self.choice("", r#""stop""#)
                };
                format!(r#"{choice}],"usage":{}"#, usage(generation, tokens))
            }
        };
        vec![Event { name: None, data: format!("{}{rest}}}", self.head) }]
    }

    /// The only member of `choices`; `reason` is JSON.
    fn choice(&self, text: &str, reason: &str) -> String {
        if self.is_chat {
            format!(
                r#"{{"index":0,"delta":{{"content":"{text}","role":"assistant"}},"finish_reason":{reason},"native_finish_reason":{reason}}}"#
            )
        } else {
            format!(
                r#"{{"index":0,"text":"{text}","logprobs":null,"finish_reason":{reason},"native_finish_reason":{reason}}}"#
            )
        }
    }
}

/// A plain answer, cut where its text ends.
pub(super) fn plain(generation: &Generation) -> (String, String) {
    let events = generation.reachable_events();
    let is_chat = generation.route() == Route::ChatCompletions;
    let (reason, error) = if generation.fails() {
        (r#""error""#, format!(r#","error":{PROVIDER_ERROR}"#))
    } else {
        (r#""stop""#, String::new())
    };
    let choice =
        format!(r#"{{"index":0,"logprobs":null,"finish_reason":{reason},"native_finish_reason":{reason},"#);
    let (kind, open, close) = if is_chat {
        (
            "chat.completion",
            r#""message":{"role":"assistant","content":""#,
            r#"","refusal":null,"reasoning":null}"#,
        )
    } else {
        ("text_completion", r#""text":""#, r#"""#)
    };
    let before = head(generation, kind) + &choice + open + &generation.texts(events);
    let usage = if generation.fails() || generation.plan.has(Behaviour::NoUsage) {
        String::new()
    } else {
        format!(r#","usage":{}"#, usage(generation, generation.completion_tokens(events)))
    };
    (before, format!("{close}{error}}}]{usage}}}"))
}

/// Everything before the members of `choices`; `kind` is the `object`.
fn head(generation: &Generation, kind: &str) -> String {
    format!(
        r#"{{{id}"object":"{kind}","created":{created},"model":{model},"provider":{provider},"choices":["#,
        id = id_members(generation),
        created = created(generation),
        model = quote(&generation.model),
        provider = quote(generation.price.provider),
    )
}

/// The inline `usage` object.
pub(super) fn usage(generation: &Generation, completion_tokens: i64) -> String {
    let money = generation.inline_cost(completion_tokens);
    format!(
        concat!(
            r#"{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{total},"cost":{cost},"is_byok":{byok},"#,
            r#""prompt_tokens_details":{{"cached_tokens":{cached},"cache_write_tokens":{written},"audio_tokens":0,"video_tokens":0}},"#,
            r#""cost_details":{{"upstream_inference_cost":{upstream},"upstream_inference_prompt_cost":0,"upstream_inference_completions_cost":0}},"#,
            r#""completion_tokens_details":{{"reasoning_tokens":{reasoning},"image_tokens":0,"audio_tokens":0}}}}"#,
        ),
        prompt = generation.prompt_tokens,
        completion = completion_tokens,
        total = generation.prompt_tokens + completion_tokens,
        cost = money.cost,
        byok = generation.byok(),
        cached = generation.cached_tokens,
        written = generation.cache_write_tokens,
        upstream = money.upstream,
        reasoning = generation.reasoning_tokens(completion_tokens),
    )
}
