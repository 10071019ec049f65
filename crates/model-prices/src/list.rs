//! [`PriceList`]: all prices as they were at one time.

use std::{collections::HashMap, sync::Arc};

use mai_primitives::{ModelName, UnixTime, Usd};

use crate::{catalogue::CATALOGUE, price::ModelPrice};

/// How old a copy may be until it is called a substitute: a day, and two hours for the reading of the next one.
const FRESH_SECONDS: i64 = 26 * 60 * 60;

/// Where the prices of a list come from, in the original's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// OpenRouter gave them within the last 26 hours.
    OpenrouterApi,
    /// OpenRouter gave them longer ago.
    CacheFallback,
    /// OpenRouter never gave any: the built-in list.
    HardcodedFallback,
}

impl Source {
    /// The original's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenrouterApi => "openrouter_api",
            Self::CacheFallback => "cache_fallback",
            Self::HardcodedFallback => "hardcoded_fallback",
        }
    }
}

/// A whole list of prices.
#[derive(Debug)]
pub struct PriceList {
    fetched_at: Option<UnixTime>,
    models: Vec<Arc<ModelPrice>>,
    /// By id, and by dated slug where that is nobody's id.
    by_name: HashMap<String, Arc<ModelPrice>>,
}

impl PriceList {
    /// The list that OpenRouter gave at an instant.
    pub fn new(fetched_at: UnixTime, models: Vec<ModelPrice>) -> Self {
        Self::of(Some(fetched_at), models)
    }

    /// The built-in list of twelve models.
    pub fn built_in() -> Self {
        Self::of(None, CATALOGUE.iter().filter_map(ModelPrice::built_in).collect())
    }

    fn of(fetched_at: Option<UnixTime>, models: Vec<ModelPrice>) -> Self {
        let mut models: Vec<_> = models.into_iter().map(Arc::new).collect();
        models.sort_by(|a, b| {
            let key =
                |model: &ModelPrice| (model.provider().to_owned(), model.name.clone(), model.id.clone());
            key(a).cmp(&key(b))
        });
        let mut by_name = HashMap::new();
        for model in &models {
            // A variant such as `:free` shares the slug of the model, which is never its own.
            let is_variant = model.id.as_str().contains(':');
            let Some(slug) = model.canonical_slug.as_ref().filter(|_| !is_variant) else { continue };
            let known: &mut Arc<ModelPrice> =
                by_name.entry(slug.as_str().to_owned()).or_insert_with(|| Arc::clone(model));
            // Of several models with one slug the dearest, so that no estimate is too low.
            if known.estimate(1_000, 1_000) < model.estimate(1_000, 1_000) {
                *known = Arc::clone(model);
            }
        }
        by_name.extend(models.iter().map(|model| (model.id.as_str().to_owned(), Arc::clone(model))));
        Self { fetched_at, models, by_name }
    }

    /// When OpenRouter gave it; none for the built-in list.
    pub const fn fetched_at(&self) -> Option<UnixTime> {
        self.fetched_at
    }

    /// How many seconds ago that was.
    pub fn age_seconds(&self, now: UnixTime) -> Option<i64> {
        self.fetched_at.map(|at| now.seconds().saturating_sub(at.seconds()).max(0))
    }

    /// Where the prices come from.
    pub fn source(&self, now: UnixTime) -> Source {
        match self.age_seconds(now) {
            None => Source::HardcodedFallback,
            Some(age) if age <= FRESH_SECONDS => Source::OpenrouterApi,
            Some(_) => Source::CacheFallback,
        }
    }

    /// The models, by the names of their authors and by their own.
    pub fn models(&self) -> &[Arc<ModelPrice>] {
        &self.models
    }

    /// The model of an id or a dated slug, also one without a price.
    pub fn find(&self, model: &str) -> Option<&Arc<ModelPrice>> {
        self.by_name.get(model)
    }

    /// The model that a name is about, as limits count it: without a variant such as `:free`, and for a dated slug the
    /// id of the model whose slug it is. What the list does not know is a model of its own.
    pub fn family(&self, model: &ModelName) -> ModelName {
        let name = model.as_str();
        let base = without_variant(name);
        // A slug may be that of a variant alone.
        let known = self.find(base).map_or(base, |known| without_variant(known.id.as_str()));
        if known == name {
            return model.clone();
        }
        // A part of a name may be empty, as of `:free`.
        ModelName::new(known).unwrap_or_else(|_| model.clone())
    }

    /// The model of a name if it has a price. A variant that the list does not name costs as its model.
    pub fn priced(&self, model: &str) -> Option<&Arc<ModelPrice>> {
        let base = || self.find(without_variant(model));
        self.find(model).or_else(base).filter(|model| model.pricing.is_some())
    }

    /// See [`ModelPrice::estimate`]; none for a model that is not in the list.
    pub fn estimate(&self, model: &str, input_tokens: u64, output_tokens: u64) -> Option<Usd> {
        self.find(model)?.estimate(input_tokens, output_tokens)
    }
}

/// A model's name without what stands behind the colon.
fn without_variant(model: &str) -> &str {
    model.split_once(':').map_or(model, |(base, _)| base)
}

#[cfg(test)]
mod tests {
    use mai_openrouter::ListedModel;

    use super::*;

    fn listed(id: &str, slug: Option<&str>) -> ModelPrice {
        ModelPrice::new(ListedModel {
            id: ModelName::new(id).unwrap(),
            canonical_slug: slug.and_then(|slug| ModelName::new(slug).ok()),
            name: id.to_owned(),
            context_length: None,
            max_completion_tokens: None,
            pricing_text: String::new(),
            pricing: None,
        })
    }

    #[test]
    fn all_names_of_a_model_are_of_one_family() {
        let models = [
            listed("x/a", Some("x/a-20260318")),
            listed("x/a:free", Some("x/a-20260318")),
            listed("x/b:free", Some("x/b-1")),
        ];
        let list = PriceList::new(UnixTime::from_seconds(1), models.into());
        let family = |name: &str| list.family(&ModelName::new(name).unwrap()).to_string();
        for name in ["x/a", "x/a:free", "x/a:nitro", "x/a-20260318", "x/a-20260318:floor"] {
            assert_eq!(family(name), "x/a", "{name}");
        }
        for (name, expected) in [
            ("x/a-20250101", "x/a-20250101"),
            ("x/b", "x/b"),
            ("x/b:free", "x/b"),
            ("nobody/knows:online", "nobody/knows"),
            ("unknown", "unknown"),
            (":free", ":free"),
        ] {
            assert_eq!(family(name), expected);
        }
    }
}
