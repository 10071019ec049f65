//! The answer of `GET /models`: what OpenRouter sells, and for how much.

use std::collections::HashSet;

use mai_primitives::ModelName;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::client::LookupError;
use crate::pricing::ModelPricing;

/// The longest display name that is kept, in characters.
const MAX_NAME: usize = 200;

/// A model of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedModel {
    /// The slug by which the model is asked for.
    pub id: ModelName,
    /// The dated slug under which answers may name it.
    pub canonical_slug: Option<ModelName>,
    /// The display name.
    pub name: String,
    /// The greatest number of tokens in one call.
    pub context_length: Option<i64>,
    /// The greatest number of tokens in an answer, where the usual host has such a bound.
    pub max_completion_tokens: Option<i64>,
    /// The `pricing` object as OpenRouter wrote it, so that no digit is lost.
    pub pricing_text: String,
    /// What that object says; none for a model of which nobody knows the price before the call.
    pub pricing: Option<ModelPricing>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Vec<Item<'a>>,
    links: Option<Links>,
    total_count: Option<usize>,
}

#[derive(Deserialize)]
struct Links {
    next: Option<String>,
}

#[derive(Deserialize)]
struct Item<'a> {
    id: String,
    canonical_slug: Option<String>,
    name: Option<String>,
    context_length: Option<i64>,
    top_provider: Option<TopProvider>,
    #[serde(borrow)]
    pricing: &'a RawValue,
}

#[derive(Deserialize)]
struct TopProvider {
    max_completion_tokens: Option<i64>,
}

/// Reads the whole list: every model of it, or nothing. Half a list would make models look as if they were no longer sold.
pub(crate) fn parse(body: &[u8]) -> Result<Vec<ListedModel>, LookupError> {
    let malformed = LookupError::Malformed;
    let answer: Answer<'_> =
        serde_json::from_slice(body).map_err(|_| malformed("it is not a list of models"))?;
    let is_whole = answer.links.is_none_or(|links| links.next.is_none())
        && answer.total_count.is_none_or(|count| count == answer.data.len());
    if !is_whole {
        return Err(malformed("it is a part of the list of models"));
    }
    if answer.data.is_empty() {
        return Err(malformed("the list of models is empty"));
    }
    let models: Vec<ListedModel> = answer.data.into_iter().map(model).collect::<Result<_, _>>()?;
    let mut known = HashSet::new();
    if !models.iter().all(|model| known.insert(&model.id)) {
        return Err(malformed("a model is listed twice"));
    }
    Ok(models)
}

fn model(item: Item<'_>) -> Result<ListedModel, LookupError> {
    let unusable = || LookupError::Malformed("the id of a model cannot be used");
    let id = ModelName::new(&item.id).map_err(|_| unusable())?;
    let canonical_slug = item.canonical_slug.map(ModelName::new).transpose().map_err(|_| unusable())?;
    let name = item.name.unwrap_or_default();
    let name: String = name.chars().filter(|character| !character.is_control()).take(MAX_NAME).collect();
    Ok(ListedModel {
        name: if name.trim().is_empty() { item.id } else { name },
        id,
        canonical_slug,
        context_length: item.context_length,
        max_completion_tokens: item.top_provider.and_then(|provider| provider.max_completion_tokens),
        pricing: ModelPricing::parse(item.pricing.get()).map_err(|error| LookupError::Malformed(error.0))?,
        pricing_text: item.pricing.get().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICED: &str = r#"{"id":"openai/gpt-4o-mini","canonical_slug":"openai/gpt-4o-mini-2024-07-18","name":"OpenAI: GPT-4o\u0000-mini",
        "context_length":128000,"top_provider":{"context_length":128000,"max_completion_tokens":16384},
        "pricing":{"prompt":"0.00000015","completion":"0.0000006"},"unknown":[1]}"#;
    const ROUTER: &str = r#"{"id":"openrouter/auto","name":"","context_length":null,"top_provider":{"max_completion_tokens":null},
        "pricing":{"prompt":"-1","completion":"-1"}}"#;

    fn list(items: &[&str], rest: &str) -> Result<Vec<ListedModel>, LookupError> {
        parse(format!(r#"{{"data":[{}]{rest}}}"#, items.join(",")).as_bytes())
    }

    #[test]
    fn a_list_is_read_with_its_prices_as_they_were_written() {
        let models = list(&[PRICED, ROUTER], r#","links":{"next":null},"total_count":2"#).unwrap();
        let [mini, router] = models.as_slice() else { panic!("two models") };
        assert_eq!((mini.id.as_str(), mini.name.as_str()), ("openai/gpt-4o-mini", "OpenAI: GPT-4o-mini"));
        assert_eq!(mini.canonical_slug.as_ref().unwrap().as_str(), "openai/gpt-4o-mini-2024-07-18");
        assert_eq!((mini.context_length, mini.max_completion_tokens), (Some(128_000), Some(16_384)));
        assert_eq!(mini.pricing_text, r#"{"prompt":"0.00000015","completion":"0.0000006"}"#);
        assert!(mini.pricing.is_some());
        assert_eq!((router.name.as_str(), &router.pricing), ("openrouter/auto", &None));
        assert_eq!((router.context_length, router.max_completion_tokens), (None, None));
    }

    #[test]
    fn half_a_list_is_none() {
        let free = PRICED.replace("0.00000015", "free");
        for (items, rest) in [
            (&[][..], ""),
            (&[PRICED, PRICED], ""),
            (&[PRICED, &free], ""),
            (&[PRICED, r#"{"id":"a/b"}"#], ""),
            (&[PRICED, r#"{"id":" ","pricing":{"prompt":"0","completion":"0"}}"#], ""),
            (&[PRICED], r#","total_count":2"#),
            (&[PRICED], r#","links":{"next":"https://openrouter.ai/api/v1/models?offset=1"}"#),
        ] {
            assert!(matches!(list(items, rest), Err(LookupError::Malformed(_))), "{items:?} {rest}");
        }
        for body in ["", "<html>", "[]", r#"{"data":null}"#, "{}"] {
            assert!(parse(body.as_bytes()).is_err(), "{body}");
        }
    }
}
