//! The twelve models that the original system offers: a table of its figures, which stand in where
//! OpenRouter's own price list cannot be had.

use crate::provider::provider_name;

/// A model of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogueModel {
    /// The slug on OpenRouter.
    pub id: &'static str,
    /// The display name.
    pub name: &'static str,
    /// USD per million tokens of the prompt, before any markup: a decimal.
    pub input_price: &'static str,
    /// USD per million tokens of the answer, before any markup: a decimal.
    pub output_price: &'static str,
    /// The greatest number of tokens in one call.
    pub context_length: u32,
    /// `Budget`, `Standard`, `Premium`, `Fast` or `Reasoning`.
    pub category: &'static str,
}

impl CatalogueModel {
    /// The display name of the model's author.
    pub fn provider(&self) -> &'static str {
        self.id.split_once('/').map_or(self.id, |(author, _)| provider_name(author))
    }
}

/// The models in the order of the original.
pub const CATALOGUE: [CatalogueModel; 12] = [
    model("anthropic/claude-sonnet-4", "Claude Sonnet 4", ["8.00", "24.00"], 1_000_000, "Premium"),
    model("google/gemini-2.5-flash", "Gemini 2.5 Flash", ["1.50", "6.00"], 2_000_000, "Fast"),
    model("google/gemini-2.5-pro", "Gemini 2.5 Pro", ["3.00", "12.00"], 2_000_000, "Premium"),
    model("deepseek/deepseek-chat-v3-0324", "DeepSeek Chat v3", ["0.14", "0.28"], 128_000, "Budget"),
    model("anthropic/claude-3.7-sonnet", "Claude 3.7 Sonnet", ["6.00", "18.00"], 200_000, "Premium"),
    model(
        "google/gemini-2.5-flash-lite-preview-06-17",
        "Gemini 2.5 Flash Lite",
        ["0.50", "2.00"],
        1_000_000,
        "Budget",
    ),
    model("openai/gpt-4.1", "GPT-4.1", ["10.00", "30.00"], 128_000, "Premium"),
    model("x-ai/grok-4", "Grok 4", ["8.00", "24.00"], 131_072, "Premium"),
    model("openai/gpt-4o-mini", "GPT-4o Mini", ["0.15", "0.60"], 128_000, "Budget"),
    model("openai/o4-mini-high", "O4 Mini High", ["3.00", "12.00"], 128_000, "Standard"),
    model("openai/o3", "O3", ["60.00", "240.00"], 200_000, "Reasoning"),
    model("openai/chatgpt-4o-latest", "ChatGPT-4o Latest", ["5.00", "15.00"], 128_000, "Standard"),
];

const fn model(
    id: &'static str,
    name: &'static str,
    [input_price, output_price]: [&'static str; 2],
    context_length: u32,
    category: &'static str,
) -> CatalogueModel {
    CatalogueModel { id, name, input_price, output_price, context_length, category }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use mai_primitives::{ModelName, Usd};

    use super::*;

    #[test]
    fn entries_are_sound() {
        let ids: HashSet<_> = CATALOGUE.iter().map(|model| model.id).collect();
        assert_eq!(ids.len(), CATALOGUE.len());
        for model in CATALOGUE {
            assert!(ModelName::new(model.id).unwrap().author().is_some(), "{}", model.id);
            assert!(Usd::parse(model.input_price).unwrap() < Usd::parse(model.output_price).unwrap());
        }
    }

    #[test]
    fn authors_are_shown_by_the_name_people_know() {
        let providers: Vec<_> = CATALOGUE.iter().map(CatalogueModel::provider).collect();
        assert_eq!(
            providers,
            [
                "Anthropic",
                "Google",
                "Google",
                "DeepSeek",
                "Anthropic",
                "Google",
                "OpenAI",
                "xAI",
                "OpenAI",
                "OpenAI",
                "OpenAI",
                "OpenAI"
            ]
        );
    }
}
