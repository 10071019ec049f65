//! `GET model-pricing`: what each model costs.

use std::sync::Arc;

use actix_web::{HttpResponse, get, web};
use mai_model_prices::{CATALOGUE, ModelPrice, PriceList, Source};
use mai_openrouter::{PriceKind, PriceOverride, UnitPrices};
use mai_primitives::{MarkupRate, ModelName, UnitPrice, UnixTime, Usd};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Api, ApiError,
    asked::Asked,
    caller::{Caller, unknown_organization},
    error::ReadRefusals,
    json_money::{JsonDecimal, JsonRate, JsonUsd},
    usage::instant,
};

/// Parts per million in a markup rate of one.
const PPM: i64 = 1_000_000;

/// Which models, for whom.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Whose prices; a reseller who names none sees raw prices.
    client_org_id: Option<String>,
    /// The twelve models of the catalogue, or all that OpenRouter sells.
    #[serde(default)]
    #[param(inline)]
    models: Which,
}

/// Which models.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Which {
    #[default]
    Catalogue,
    All,
}

/// The prices, in the original's fields and more.
#[derive(Serialize, ToSchema)]
#[schema(as = ModelPricing)]
struct Answer {
    /// Whether the prices are OpenRouter's own.
    success: bool,
    /// By the names of their authors and their own.
    models: Vec<Model>,
    /// When OpenRouter gave the list; null for the built-in one.
    #[schema(format = DateTime)]
    last_updated: Option<String>,
    /// How many seconds ago that was.
    age_seconds: Option<i64>,
    /// `openrouter_api`, `cache_fallback` when the list is older than 26 hours, `hardcoded_fallback` when there was never one,
    /// or `error` when none of the models is in the list.
    source: &'static str,
    /// What is wrong, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    /// `client` with the organization's markup, or `raw`.
    prices: &'static str,
    /// The organization's markup; for the reseller only.
    #[serde(skip_serializing_if = "Option::is_none")]
    markup_rate: Option<JsonRate>,
    /// Models of the catalogue that OpenRouter's list does not have.
    missing_models: Vec<&'static str>,
}

/// A model. Prices are in US dollars; null is not known.
#[derive(Serialize, ToSchema)]
#[schema(as = PricedModel)]
struct Model {
    #[schema(value_type = String)]
    id: ModelName,
    name: String,
    /// The display name of its author.
    provider: String,
    /// What stands before the `/` of its id.
    provider_slug: Option<String>,
    #[serde(flatten)]
    million: PerMillion,
    /// For a call as such.
    price_per_request: Option<JsonDecimal>,
    /// For a picture in the prompt.
    price_per_image: Option<JsonDecimal>,
    /// For a search of the web.
    price_per_web_search: Option<JsonDecimal>,
    /// Prices under a condition; what they do not name costs as usual.
    overrides: Vec<Override>,
    /// The greatest number of tokens in one call.
    context_length: Option<i64>,
    /// The greatest number of tokens in an answer.
    max_completion_tokens: Option<i64>,
    /// `Budget`, `Standard`, `Fast`, `Premium` or `Reasoning`, by the raw price; null without one.
    category: Option<&'static str>,
    /// Whether the price is known after the call only, as that of a router.
    is_variable: bool,
    /// Before the markup; for the reseller only.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_price_per_million_input: Option<JsonUsd>,
    /// Before the markup; for the reseller only.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_price_per_million_output: Option<JsonUsd>,
}

/// Prices of a million tokens.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the first two are the original's names")]
struct PerMillion {
    /// Tokens of the prompt.
    price_per_million_input: Option<JsonUsd>,
    /// Tokens of the answer.
    price_per_million_output: Option<JsonUsd>,
    /// Tokens of the prompt that a cache knew.
    price_per_million_cache_read: Option<JsonUsd>,
    /// Tokens of the prompt that are kept in a cache.
    price_per_million_cache_write: Option<JsonUsd>,
}

/// Prices that hold under a condition.
#[derive(Serialize, ToSchema)]
#[schema(as = PriceOverride)]
struct Override {
    /// For prompts with more tokens than this.
    min_prompt_tokens: Option<u64>,
    /// From this time of the UTC day on, `HHMM`.
    utc_start: Option<String>,
    /// Up to this time of the UTC day, `HHMM`, or of the next one.
    utc_end: Option<String>,
    #[serde(flatten)]
    million: PerMillion,
}

/// Whether a model is one of the catalogue.
pub(crate) fn is_in_catalogue(model: &ModelPrice) -> bool {
    CATALOGUE.iter().any(|one| one.id == model.id.as_str())
}

/// The prices of an organization, as the dashboard shows them.
#[derive(Clone, Copy)]
pub(crate) struct ClientPrices(Markup);

impl ClientPrices {
    /// The prices by a markup.
    pub(crate) fn of(rate: MarkupRate) -> Self {
        Self(Markup(Some(rate)))
    }

    /// What a million tokens of the prompt and of the answer cost; none where it is not known.
    pub(crate) fn per_million(self, model: &ModelPrice) -> Result<(Option<Usd>, Option<Usd>), ApiError> {
        let Some(pricing) = &model.pricing else { return Ok((None, None)) };
        let million =
            |kind| Ok::<_, ApiError>(self.0.price(&pricing.prices, kind)?.map(UnitPrice::per_million));
        Ok((million(PriceKind::Prompt)?, million(PriceKind::Completion)?))
    }
}

/// What is asked of a client for a raw price.
#[derive(Clone, Copy)]
struct Markup(Option<MarkupRate>);

impl Markup {
    /// Rounded half to even to the femto-dollar of a unit, which is the nano-dollar of a million.
    fn price(self, prices: &UnitPrices, kind: PriceKind) -> Result<Option<UnitPrice>, ApiError> {
        let Some(raw) = prices.get(&kind).copied() else { return Ok(None) };
        let client = self.0.map_or(Some(raw), |rate| raw.scaled(rate.ppm(), PPM));
        client.map(Some).ok_or_else(|| ApiError::unbookable("a client price leaves the range of amounts"))
    }

    fn unit(self, prices: &UnitPrices, kind: PriceKind) -> Result<Option<JsonDecimal>, ApiError> {
        Ok(self.price(prices, kind)?.map(|price| JsonDecimal(price.to_string())))
    }

    fn million(self, prices: &UnitPrices) -> Result<PerMillion, ApiError> {
        let million =
            |kind| Ok::<_, ApiError>(self.price(prices, kind)?.map(|price| JsonUsd(price.per_million())));
        Ok(PerMillion {
            price_per_million_input: million(PriceKind::Prompt)?,
            price_per_million_output: million(PriceKind::Completion)?,
            price_per_million_cache_read: million(PriceKind::InputCacheRead)?,
            price_per_million_cache_write: million(PriceKind::InputCacheWrite)?,
        })
    }

    fn conditional(self, conditional: &PriceOverride) -> Result<Override, ApiError> {
        Ok(Override {
            min_prompt_tokens: conditional.min_prompt_tokens,
            utc_start: conditional.utc_start.clone(),
            utc_end: conditional.utc_end.clone(),
            million: self.million(&conditional.prices)?,
        })
    }

    fn model(self, model: &ModelPrice, sees_raw_price: bool) -> Result<Model, ApiError> {
        let (none, raw) = (UnitPrices::new(), Self(None));
        let prices = model.pricing.as_ref().map_or(&none, |pricing| &pricing.prices);
        let raw = if sees_raw_price { Some(raw.million(prices)?) } else { None };
        let (raw_input, raw_output) =
            raw.map_or((None, None), |raw| (raw.price_per_million_input, raw.price_per_million_output));
        let overrides = model.pricing.iter().flat_map(|pricing| &pricing.overrides);
        Ok(Model {
            id: model.id.clone(),
            name: model.name.clone(),
            provider: model.provider().to_owned(),
            provider_slug: model.id.author().map(str::to_owned),
            million: self.million(prices)?,
            price_per_request: self.unit(prices, PriceKind::Request)?,
            price_per_image: self.unit(prices, PriceKind::Image)?,
            price_per_web_search: self.unit(prices, PriceKind::WebSearch)?,
            overrides: overrides.map(|one| self.conditional(one)).collect::<Result<_, _>>()?,
            context_length: model.context_length,
            max_completion_tokens: model.max_completion_tokens,
            category: model.category,
            is_variable: model.pricing.is_none(),
            raw_price_per_million_input: raw_input,
            raw_price_per_million_output: raw_output,
        })
    }
}

impl Answer {
    fn new(
        list: &PriceList,
        which: Which,
        markup: Markup,
        sees_raw_price: bool,
        now: UnixTime,
    ) -> Result<Self, ApiError> {
        let is_offered = |model: &Arc<ModelPrice>| which == Which::All || is_in_catalogue(model);
        let models = list.models().iter().filter(|model| is_offered(model));
        let models =
            models.map(|model| markup.model(model, sees_raw_price)).collect::<Result<Vec<_>, _>>()?;
        let (success, source, error) = match list.source(now) {
            _ if models.is_empty() => {
                (false, "error", Some("OpenRouter's price list has none of the models"))
            }
            source @ Source::HardcodedFallback => {
                let error =
                    "OpenRouter's price list could not be read yet; these prices are built in and may be old";
                (false, source.as_str(), Some(error))
            }
            source => (true, source.as_str(), None),
        };
        let missing = CATALOGUE.iter().map(|model| model.id).filter(|id| list.find(id).is_none());
        Ok(Self {
            success,
            models,
            last_updated: list.fetched_at().map(instant),
            age_seconds: list.age_seconds(now),
            source,
            error,
            prices: if markup.0.is_some() { "client" } else { "raw" },
            markup_rate: markup.0.filter(|_| sees_raw_price).map(JsonRate),
            missing_models: missing.collect(),
        })
    }
}

/// What models cost: the client's price, with the organization's markup; for the reseller the raw price as well.
#[utoipa::path(
    tag = "usage",
    extensions(("x-access" = json!("member"))),
    params(Query),
    responses((status = 200, description = "The prices", body = Answer), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/model-pricing")]
pub(super) async fn model_pricing(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let query: Query = asked.query()?;
    let is_reseller = caller.is_reseller();
    let markup = if is_reseller && query.client_org_id.is_none() {
        None
    } else {
        let organization = caller.organization(query.client_org_id.as_deref())?;
        // In memory, so that prices are shown without the database as well.
        let directory = api.directory.current();
        let entry = directory.organization(&organization).ok_or_else(unknown_organization)?;
        Some(entry.markup_rate)
    };
    let list = api.model_prices.prices().current();
    let now = api.clock.now().into();
    Ok(HttpResponse::Ok().json(Answer::new(&list, query.models, Markup(markup), is_reseller, now)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: UnixTime = UnixTime::from_seconds(1_795_694_400);

    fn answer(list: &PriceList, markup: Option<&str>, sees_raw_price: bool) -> Value {
        let markup = Markup(markup.map(|text| MarkupRate::parse(text).unwrap()));
        let answer = Answer::new(list, Which::Catalogue, markup, sees_raw_price, NOW).unwrap();
        serde_json::to_value(answer).unwrap()
    }

    #[test]
    fn the_built_in_list_is_no_success_and_says_so() {
        let shown = answer(&PriceList::built_in(), Some("1.3"), false);
        assert_eq!((&shown["success"], &shown["source"]), (&json!(false), &json!("hardcoded_fallback")));
        assert_eq!((&shown["last_updated"], &shown["age_seconds"]), (&Value::Null, &Value::Null));
        assert!(shown["error"].as_str().unwrap().contains("built in"));
        let models = shown["models"].as_array().unwrap();
        assert_eq!((models.len(), shown["missing_models"].as_array().unwrap().len()), (12, 0));
        let mini = models.iter().find(|model| model["id"] == "openai/gpt-4o-mini").unwrap();
        assert_eq!(
            (&mini["price_per_million_input"], &mini["price_per_million_output"]),
            (&json!(0.195), &json!(0.78))
        );
        assert_eq!((&mini["provider"], &mini["category"]), (&json!("OpenAI"), &json!("Budget")));
    }

    #[test]
    fn raw_prices_and_the_markup_are_the_resellers() {
        let list = PriceList::built_in();
        let clients = answer(&list, Some("1.3"), false).to_string();
        assert!(!clients.contains("raw_price") && !clients.contains("markup"), "{clients}");
        let both = answer(&list, Some("1.3"), true);
        assert_eq!((&both["prices"], &both["markup_rate"]), (&json!("client"), &json!(1.3)));
        let first = &both["models"][0];
        assert_eq!(first["raw_price_per_million_input"], json!(6));
        assert_eq!(first["price_per_million_input"], json!(7.8));
        let raw = answer(&list, None, true);
        assert_eq!(
            (&raw["prices"], &raw["models"][0]["price_per_million_input"]),
            (&json!("raw"), &json!(6))
        );
    }

    #[test]
    fn a_list_without_the_catalogue_is_an_error() {
        let shown = answer(&PriceList::new(NOW, Vec::new()), None, true);
        assert_eq!((&shown["success"], &shown["source"]), (&json!(false), &json!("error")));
        assert_eq!(shown["models"], json!([]));
        assert_eq!(shown["missing_models"].as_array().unwrap().len(), 12);
    }

    #[test]
    fn an_old_list_says_how_old_it_is() {
        let at = |hours: i64| NOW.plus_seconds(-3_600 * hours);
        for (hours, source) in [(0, "openrouter_api"), (26, "openrouter_api"), (27, "cache_fallback")] {
            let list = PriceList::new(at(hours), Vec::new());
            let all = Answer::new(&list, Which::All, Markup(None), true, NOW).unwrap();
            assert_eq!(all.age_seconds, Some(3_600 * hours));
            assert_eq!(list.source(NOW).as_str(), source);
        }
    }
}
