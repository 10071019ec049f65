//! [`ModelPrices`]: the prices in memory, for whoever cannot wait.

use std::sync::Arc;

use arc_swap::ArcSwap;
use mai_primitives::Usd;

use crate::{list::PriceList, price::ModelPrice};

/// The prices of this moment. Clones share them; looking one up takes no lock and asks no database.
#[derive(Debug, Clone)]
pub struct ModelPrices(Arc<ArcSwap<PriceList>>);

impl Default for ModelPrices {
    /// Begins with the built-in list.
    fn default() -> Self {
        Self(Arc::new(ArcSwap::from_pointee(PriceList::built_in())))
    }
}

impl ModelPrices {
    /// The list of this moment.
    pub fn current(&self) -> Arc<PriceList> {
        self.0.load_full()
    }

    /// Takes over a list unless the present one is younger.
    pub fn replace(&self, list: PriceList) {
        let list = Arc::new(list);
        self.0.rcu(|present| {
            if present.fetched_at() > list.fetched_at() { Arc::clone(present) } else { Arc::clone(&list) }
        });
    }

    /// What a model costs, by its id or its dated slug. None where nobody knows: the list has no such model, or it is a
    /// router, whose price is known after the call. Variants that the list does not name, such as `:nitro`, are others.
    pub fn price_of(&self, model: &str) -> Option<Arc<ModelPrice>> {
        let list = self.0.load();
        list.find(model).filter(|model| model.pricing.is_some()).cloned()
    }

    /// At most what a call costs, rounded up to the nano-dollar; see [`ModelPrice::estimate`]. None where
    /// [`Self::price_of`] is none, or the amount leaves the range.
    pub fn estimate(&self, model: &str, input_tokens: u64, output_tokens: u64) -> Option<Usd> {
        self.0.load().estimate(model, input_tokens, output_tokens)
    }
}
