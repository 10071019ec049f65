//! What each model costs.
//!
//! OpenRouter's price list is read once a day ([`ModelPriceTable::refresh`]) and its last whole copy stored. What is
//! needed beside a request is in memory ([`ModelPrices`]): without a copy it is the built-in list of twelve models
//! ([`CATALOGUE`]). Prices are [`UnitPrice`](mai_primitives::UnitPrice)s, raw, before any markup; a price that is not
//! known is none, never zero.

pub mod catalogue;
pub mod category;
pub mod error;
pub mod list;
pub mod price;
pub mod provider;
pub mod query;
pub mod schema;
pub mod service;
pub mod snapshot;

#[cfg(test)]
mod tests;

pub use catalogue::{CATALOGUE, CatalogueModel};
pub use category::category;
pub use error::{Error, Result};
pub use list::{PriceList, Source};
pub use price::ModelPrice;
pub use provider::provider_name;
pub use service::{ModelPriceTable, Refreshed};
pub use snapshot::ModelPrices;
