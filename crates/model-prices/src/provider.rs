//! The one table of display names for the authors of models.

/// The name under which people know the author of a model, by the author's slug on OpenRouter (what
/// stands before the `/`). A slug that is not in the table is its own name.
pub fn provider_name(slug: &str) -> &str {
    match slug {
        "ai21" => "AI21",
        "amazon" => "Amazon",
        "anthropic" => "Anthropic",
        "baidu" => "Baidu",
        "bytedance" | "bytedance-seed" => "ByteDance",
        "cohere" => "Cohere",
        "deepseek" => "DeepSeek",
        "google" => "Google",
        "ibm-granite" => "IBM",
        "inception" => "Inception",
        "liquid" => "Liquid AI",
        "meta-llama" => "Meta",
        "microsoft" => "Microsoft",
        "minimax" => "MiniMax",
        "mistralai" => "Mistral",
        "moonshotai" => "Moonshot AI",
        "nousresearch" => "Nous Research",
        "nvidia" => "NVIDIA",
        "openai" => "OpenAI",
        "openrouter" => "OpenRouter",
        "perplexity" => "Perplexity",
        "qwen" => "Qwen",
        "tencent" => "Tencent",
        "x-ai" => "xAI",
        "xiaomi" => "Xiaomi",
        "z-ai" => "Z.AI",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_slugs_have_names_and_others_keep_theirs() {
        assert_eq!(provider_name("x-ai"), "xAI");
        assert_eq!(provider_name("meta-llama"), "Meta");
        assert_eq!(provider_name("some-lab"), "some-lab");
    }
}
