//! [`PriceList`]: all prices as they were at one time.

use std::{collections::HashMap, sync::Arc};

use mai_primitives::{UnixTime, Usd};

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

    /// See [`ModelPrice::estimate`]; none for a model that is not in the list.
    pub fn estimate(&self, model: &str, input_tokens: u64, output_tokens: u64) -> Option<Usd> {
        self.find(model)?.estimate(input_tokens, output_tokens)
    }
}
