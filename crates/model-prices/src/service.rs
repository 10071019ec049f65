//! [`ModelPriceTable`]: reads OpenRouter's price list, and keeps its last whole copy.

use std::sync::Arc;

use mai_openrouter::OpenRouterClient;
use mai_primitives::{Clock, UnixTime};
use mai_storage::Storage;

use crate::{error::Result, list::PriceList, price::ModelPrice, query, snapshot::ModelPrices};

/// What a refresh brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refreshed {
    /// How many models OpenRouter lists.
    pub models: usize,
    /// When it was asked.
    pub fetched_at: UnixTime,
}

/// Reads and stores prices. Clones share what is in memory.
#[derive(Clone)]
pub struct ModelPriceTable {
    storage: Storage,
    client: OpenRouterClient,
    clock: Arc<dyn Clock>,
    prices: ModelPrices,
}

impl ModelPriceTable {
    /// A service on `storage`. In memory is the built-in list, until [`Self::load`] or [`Self::refresh`].
    pub fn new(storage: Storage, client: OpenRouterClient, clock: Arc<dyn Clock>) -> Self {
        Self { storage, client, clock, prices: ModelPrices::default() }
    }

    /// The prices in memory.
    pub const fn prices(&self) -> &ModelPrices {
        &self.prices
    }

    /// Takes the stored list into memory where it is another one than there, such as one that another process has read.
    pub async fn load(&self) -> Result<()> {
        let known = self.prices.current().fetched_at();
        if let Some(list) = self.storage.read(move |conn| query::load_other(conn, known)).await? {
            self.prices.replace(list);
        }
        Ok(())
    }

    /// Reads OpenRouter's list, stores it in place of the one before, in one transaction, and takes it into memory.
    ///
    /// Only a list that can be read to its end replaces anything: after an error the last good copy is what it was.
    /// Doing it again changes nothing but the time.
    pub async fn refresh(&self) -> Result<Refreshed> {
        let fetched_at = self.clock.now().into();
        let models = Arc::new(self.client.models().await?);
        let stored = Arc::clone(&models);
        let is_new = self.storage.write(move |conn| query::replace(conn, &stored, fetched_at)).await?;
        let refreshed = Refreshed { models: models.len(), fetched_at };
        if is_new {
            let models = Arc::unwrap_or_clone(models).into_iter().map(ModelPrice::new).collect();
            self.prices.replace(PriceList::new(fetched_at, models));
        } else {
            self.load().await?;
        }
        Ok(refreshed)
    }
}
