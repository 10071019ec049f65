//! mai-usage: the gateway, its API and its command line.
//!
//! This is the only crate that knows HTTP serving and the JSON of our own API. [`Application`] is
//! what `mai-usage serve` runs and what tests run in their own process.

pub mod alerts;
pub mod api;
pub mod application;
pub mod commands;
mod dashboard;
pub mod exchange_rates;
pub mod gateway;
pub mod health;
pub mod hs256;
pub mod limits;
pub mod metrics;
mod model_prices;
pub mod monitor;
pub mod open_webui;
pub mod provider_keys;
pub mod settings;
pub mod telemetry;

pub use application::Application;
pub use settings::Settings;
