//! The price list and `GET /models`.

use crate::respond::{MockResponse, json, quote};
use http::StatusCode;
use rust_decimal::Decimal;

/// A model the mock sells. Prices are in pico-dollars (1e-12 USD) per token: 1 USD per million tokens is 1,000,000.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Model {
    id: &'static str,
    name: &'static str,
    /// Display name of the company that serves it.
    pub(crate) provider: &'static str,
    prompt: i64,
    completion: i64,
    context: u32,
    /// What it puts out, in the words of `output_modalities`.
    output: &'static str,
}

/// What all `mock/…` models cost: prices with digits far below a nano-dollar, so that rounding matters.
const MOCK: Model = model("mock/ok", "Mock", "Mock", 123_457, 987_653, 128_000);

const MODELS: &[Model] = &[
    model("anthropic/claude-sonnet-4", "Claude Sonnet 4", "Anthropic", 8_000_000, 24_000_000, 1_000_000),
    model("google/gemini-2.5-flash", "Gemini 2.5 Flash", "Google", 1_500_000, 6_000_000, 2_000_000),
    model("google/gemini-2.5-pro", "Gemini 2.5 Pro", "Google", 3_000_000, 12_000_000, 2_000_000),
    model("deepseek/deepseek-chat-v3-0324", "DeepSeek Chat v3", "DeepSeek", 140_000, 280_000, 128_000),
    model("anthropic/claude-3.7-sonnet", "Claude 3.7 Sonnet", "Anthropic", 6_000_000, 18_000_000, 200_000),
    model(
        "google/gemini-2.5-flash-lite-preview-06-17",
        "Gemini 2.5 Flash Lite",
        "Google",
        500_000,
        2_000_000,
        1_000_000,
    ),
    model("openai/gpt-4.1", "GPT-4.1", "OpenAI", 10_000_000, 30_000_000, 128_000),
    model("x-ai/grok-4", "Grok 4", "xAI", 8_000_000, 24_000_000, 131_072),
    model("openai/gpt-4o-mini", "GPT-4o Mini", "OpenAI", 150_000, 600_000, 128_000),
    model("openai/o4-mini-high", "O4 Mini High", "OpenAI", 3_000_000, 12_000_000, 128_000),
    model("openai/o3", "O3", "OpenAI", 60_000_000, 240_000_000, 200_000),
    model("openai/chatgpt-4o-latest", "ChatGPT-4o Latest", "OpenAI", 5_000_000, 15_000_000, 128_000),
    // Sold as well, but outside the twelve models of the dashboard's catalogue.
    model(
        "mistralai/mistral-small-3.2-24b-instruct",
        "Mistral Small 3.2",
        "Mistral",
        75_000,
        200_000,
        131_072,
    ),
    model("meta-llama/llama-3.3-70b-instruct:free", "Llama 3.3 70B (free)", "Together", 0, 0, 65_536),
    MOCK,
    Model {
        output: "embeddings",
        ..model("openai/text-embedding-3-small", "Text Embedding 3 Small", "OpenAI", 20_000, 0, 8_192)
    },
    Model { output: "rerank", ..model("cohere/rerank-v3.5", "Rerank 3.5", "Cohere", 50_000, 0, 4_096) },
    Model {
        output: "image",
        ..model("openai/gpt-5-image-mini", "GPT-5 Image Mini", "OpenAI", 2_500_000, 8_000_000, 400_000)
    },
    Model {
        output: "speech",
        ..model("openai/gpt-4o-mini-tts", "GPT-4o Mini TTS", "OpenAI", 600_000, 12_000_000, 2_000)
    },
    Model {
        output: "transcription",
        ..model(
            "openai/gpt-4o-mini-transcribe",
            "GPT-4o Mini Transcribe",
            "OpenAI",
            1_250_000,
            5_000_000,
            128_000,
        )
    },
];

/// Listed for the sake of who reads prices, and sold by nobody: a router without a price, and prices with a discount, with
/// another price for long prompts and with one for the night.
const LISTED_ONLY: [(&str, &str, &str); 2] = [
    ("openrouter/auto", "Auto Router", r#"{"prompt":"-1","completion":"-1"}"#),
    (
        "x-ai/grok-4-tiered",
        "Grok 4 with tiers",
        concat!(
            r#"{"prompt":"0.000003","completion":"0.000015","request":"0.001","input_cache_read":"0.00000075","#,
            r#""input_cache_write":"0.00000375","web_search":"0.01","discount":0.2,"overrides":["#,
            r#"{"min_prompt_tokens":128000,"prompt":"0.000006","completion":"0.00003"},"#,
            r#"{"utc_start":"1630","utc_end":"0030","prompt":"0.0000015"}]}"#,
        ),
    ),
];

const fn model(
    id: &'static str,
    name: &'static str,
    provider: &'static str,
    prompt: i64,
    completion: i64,
    context: u32,
) -> Model {
    Model { id, name, provider, prompt, completion, context, output: "text" }
}

impl Model {
    /// The list price of an answer. Cached prompt tokens cost half; `cached` is part of `prompt`.
    pub(crate) fn price(&self, prompt: i64, cached: i64, completion: i64) -> Decimal {
        let per_token = |pico: i64, tokens: i64| Decimal::new(pico, 12) * Decimal::from(tokens);
        per_token(self.prompt, prompt - cached)
            + Decimal::new(self.prompt, 12) * Decimal::new(5, 1) * Decimal::from(cached)
            + per_token(self.completion, completion)
    }
}

/// The model of that id; every `mock/…` name is one.
pub(crate) fn find(id: &str) -> Option<Model> {
    if id.starts_with("mock/") {
        return Some(MOCK);
    }
    MODELS.iter().copied().find(|model| model.id == id)
}

/// The dated slug under which some answers name a model.
pub(crate) fn dated(id: &str) -> String {
    format!("{id}-20260318")
}

/// `GET /models`: the whole list of one kind of output, without a kind that of text, or `all`. Paging parameters are not
/// looked at.
pub(crate) fn list(output: Option<&str>) -> MockResponse {
    let output = output.unwrap_or("text");
    let listed = MODELS.iter().filter(|model| output == "all" || output == model.output);
    let mut items: Vec<String> = listed.map(item).collect();
    if ["text", "all"].contains(&output) {
        items.extend(LISTED_ONLY.iter().map(listed_only));
    }
    let total = items.len();
    json(
        StatusCode::OK,
        format!(r#"{{"data":[{}],"links":{{"next":null}},"total_count":{total}}}"#, items.join(",")),
    )
}

fn item(model: &Model) -> String {
    let id = quote(model.id);
    let slug = quote(&dated(model.id));
    let name = quote(&format!("{}: {}", model.provider, model.name));
    let (prompt, completion) = (price_text(model.prompt), price_text(model.completion));
    let cached = (Decimal::new(model.prompt, 12) * Decimal::new(5, 1)).normalize();
    let context = model.context;
    format!(
        concat!(
            r#"{{"id":{id},"canonical_slug":{slug},"hugging_face_id":null,"name":{name},"created":1773792000,"#,
            r#""description":"A model of the mock.","context_length":{context},"#,
            r#""architecture":{{"modality":"text->{output}","input_modalities":["text"],"output_modalities":["{output}"],"tokenizer":"Other","instruct_type":null}},"#,
            r#""pricing":{{"prompt":"{prompt}","completion":"{completion}","request":"0","image":"0","web_search":"0","internal_reasoning":"0","input_cache_read":"{cached}"}},"#,
            r#""top_provider":{{"context_length":{context},"max_completion_tokens":16384,"is_moderated":false}},"per_request_limits":null,"#,
            r#""supported_parameters":["max_tokens","temperature"],"default_parameters":null,"expiration_date":null}}"#,
        ),
        id = id,
        slug = slug,
        name = name,
        context = context,
        output = model.output,
        prompt = prompt,
        completion = completion,
        cached = cached,
    )
}

fn listed_only((id, name, pricing): &(&str, &str, &str)) -> String {
    let (id, slug, name) = (quote(id), quote(&dated(id)), quote(name));
    format!(
        concat!(
            r#"{{"id":{id},"canonical_slug":{slug},"name":{name},"created":1773792000,"context_length":256000,"#,
            r#""architecture":{{"modality":"text->text","input_modalities":["text"],"output_modalities":["text"]}},"#,
            r#""pricing":{pricing},"top_provider":{{"context_length":null,"max_completion_tokens":null,"is_moderated":false}}}}"#,
        ),
        id = id,
        slug = slug,
        name = name,
        pricing = pricing,
    )
}

fn price_text(pico: i64) -> String {
    crate::money::plain_text(Decimal::new(pico, 12))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_tokens_cost_the_listed_price() {
        let price = find("openai/gpt-4o-mini").unwrap().price(1_000_000, 0, 1_000_000);
        assert_eq!(price, Decimal::new(75, 2));
        let half_cached = find("openai/o3").unwrap().price(1_000_000, 500_000, 0);
        assert_eq!(half_cached, Decimal::from(45));
        assert_eq!(price_text(150_000), "0.00000015");
        assert_eq!(price_text(0), "0");
    }

    #[test]
    fn unknown_models_are_not_sold() {
        assert!(find("openai/gpt-9").is_none());
        assert!(find("mock/anything").is_some());
    }
}
