//! The demonstration's client side: it knows nothing but HTTP.

use std::{fmt::Write as _, io::Write as _, time::Duration};

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json, value::RawValue};

/// The model that is asked.
pub(super) const MODEL: &str = "openai/gpt-4o-mini";

/// Streams a chat, prints it as it arrives, and returns the generation id.
pub(super) async fn stream(base: &str, key: &SecretString) -> Result<String> {
    let body = json!({
        "model": MODEL,
        "stream": true,
        "messages": [{ "role": "user", "content": "Say something about Warsaw." }],
    });
    let response = reqwest::Client::new()
        .post(format!("{base}/v1/chat/completions"))
        .bearer_auth(key.expose_secret())
        // The built-in OpenRouter waits this long between two pieces, so that one sees the stream.
        .header("x-mock-delay-ms", "25")
        .json(&body)
        .send()
        .await
        .context("the gateway does not answer")?;
    ensure!(response.status().is_success(), "the gateway answered {}", response.status());
    let mut bytes = response.bytes_stream();
    let mut lines = Vec::new();
    let mut generation = None;
    while let Some(piece) = bytes.next().await {
        lines.extend_from_slice(&piece.context("the stream broke off")?);
        while let Some(end) = lines.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = lines.drain(..=end).collect();
            let Some(data) = line.strip_prefix(b"data: ") else { continue };
            let Ok(event) = serde_json::from_slice::<Value>(data) else { continue };
            if let Some(id) = event.pointer("/id").and_then(Value::as_str) {
                generation.get_or_insert_with(|| id.to_owned());
            }
            if let Some(text) = event.pointer("/choices/0/delta/content").and_then(Value::as_str) {
                write!(std::io::stdout(), "{text}")?;
                std::io::stdout().flush()?;
            }
        }
    }
    generation.context("the stream named no generation")
}

/// What the API answers to an administrator.
async fn ask(base: &str, token: &SecretString, route: &str) -> Result<String> {
    let response = reqwest::Client::new()
        .get(format!("{base}/api/v1/usage-tracking/{route}"))
        .bearer_auth(token.expose_secret())
        .send()
        .await
        .context("the API does not answer")?;
    ensure!(response.status().is_success(), "the API answered {}", response.status());
    Ok(response.text().await?)
}

/// What the organization pays for its seats in this month, for people to read.
pub(super) async fn subscription(base: &str, token: &SecretString) -> Result<String> {
    let text = ask(base, token, "my-organization/subscription-billing").await?;
    let Subscription { subscription_data } = serde_json::from_str(&text).context("it cannot be read")?;
    let month = subscription_data.current_month;
    Ok(format!(
        "  {}: {} users for {} PLN each, {} PLN together; who came within the month pays for the days left\n",
        month.iso_month,
        month.total_users,
        month.current_tier_price_pln.get(),
        month.total_cost_pln.get()
    ))
}

/// What models cost the organization, as soon as the list of the built-in OpenRouter was read.
pub(super) async fn prices(base: &str, token: &SecretString) -> Result<String> {
    let mut text = String::new();
    for _ in 0..200 {
        text = ask(base, token, "model-pricing").await?;
        if text.contains(r#""source":"openrouter_api""#) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let list: Prices<'_> = serde_json::from_str(&text).context("the prices cannot be read")?;
    ensure!(list.success, "the price list of the built-in OpenRouter was not read");
    let mut shown = String::new();
    for model in list.models.iter().filter(|model| SHOWN.contains(&model.id)) {
        writeln!(
            shown,
            "  {}: {} USD a million tokens in, {} out ({}, {})",
            model.id,
            model.price_per_million_input.get(),
            model.price_per_million_output.get(),
            model.provider,
            model.category
        )?;
    }
    writeln!(shown, "  … {} models, read from OpenRouter {} s ago", list.models.len(), list.age_seconds)?;
    Ok(shown)
}

/// The models whose prices are shown.
const SHOWN: [&str; 3] = ["anthropic/claude-sonnet-4", MODEL, "openai/o3"];

/// The organization's summary, as the API gives it, for people to read.
pub(super) async fn summary(base: &str, token: &SecretString) -> Result<String> {
    let text = ask(base, token, "my-organization/usage-summary").await?;
    let Summary { stats } = serde_json::from_str(&text).context("the summary cannot be read")?;
    let mut shown = format!(
        "  {}: {} tokens, {} requests, {} USD ({} PLN), {} active users\n",
        stats.current_month.month,
        stats.current_month.total_tokens,
        stats.current_month.total_requests,
        stats.current_month.total_cost.get(),
        stats.current_month.total_cost_pln.get(),
        stats.monthly_summary.total_unique_users
    );
    let rate = stats.current_month.exchange_rate_info.context("the summary has no exchange rate")?;
    writeln!(
        shown,
        "  today by 1 USD = {} PLN (table {} of {}, from the built-in NBP); days that are over keep their own rates",
        rate.usd_pln.get(),
        rate.table_no.unwrap_or_default(),
        rate.effective_date.unwrap_or_default()
    )?;
    for (rank, top) in stats.monthly_summary.top_models.iter().enumerate() {
        writeln!(shown, "  {}. {}: {} tokens", rank + 1, top.model_name, top.total_tokens)?;
    }
    Ok(shown)
}

#[derive(serde::Deserialize)]
struct Summary<'a> {
    #[serde(borrow)]
    stats: Stats<'a>,
}

#[derive(serde::Deserialize)]
struct Stats<'a> {
    #[serde(borrow)]
    current_month: CurrentFigures<'a>,
    monthly_summary: MonthlySummary,
}

#[derive(serde::Deserialize)]
struct CurrentFigures<'a> {
    month: String,
    total_tokens: i64,
    total_requests: i64,
    /// Kept as its text, so that every digit is shown.
    #[serde(borrow)]
    total_cost: &'a serde_json::value::RawValue,
    /// The sum of the days, each by the rate of NBP that it keeps.
    #[serde(borrow)]
    total_cost_pln: &'a serde_json::value::RawValue,
    #[serde(borrow)]
    exchange_rate_info: Option<Rate<'a>>,
}

#[derive(serde::Deserialize)]
struct Rate<'a> {
    #[serde(borrow)]
    usd_pln: &'a serde_json::value::RawValue,
    effective_date: Option<String>,
    table_no: Option<String>,
}

#[derive(serde::Deserialize)]
struct MonthlySummary {
    total_unique_users: i64,
    top_models: Vec<Top>,
}

#[derive(serde::Deserialize)]
struct Top {
    model_name: String,
    total_tokens: i64,
}

#[derive(serde::Deserialize)]
struct Subscription<'a> {
    #[serde(borrow)]
    subscription_data: SubscriptionData<'a>,
}

#[derive(serde::Deserialize)]
struct SubscriptionData<'a> {
    #[serde(borrow)]
    current_month: SubscriptionMonth<'a>,
}

#[derive(serde::Deserialize)]
struct SubscriptionMonth<'a> {
    iso_month: String,
    total_users: usize,
    #[serde(borrow)]
    current_tier_price_pln: &'a RawValue,
    #[serde(borrow)]
    total_cost_pln: &'a RawValue,
}

#[derive(serde::Deserialize)]
struct Prices<'a> {
    success: bool,
    age_seconds: i64,
    #[serde(borrow)]
    models: Vec<PricedModel<'a>>,
}

#[derive(serde::Deserialize)]
struct PricedModel<'a> {
    id: &'a str,
    provider: &'a str,
    category: &'a str,
    #[serde(borrow)]
    price_per_million_input: &'a RawValue,
    #[serde(borrow)]
    price_per_million_output: &'a RawValue,
}
