//! Wire formats of OpenRouter, and a client of its own API.
//!
//! - [`StreamTee`] and [`BodyTee`] read ids, model and exact usage from the answers of every [`Route`] while the bytes
//!   pass by.
//! - [`GenerationRequest`] and [`rewrite_user`] read a request and set its `user` without copying the body.
//! - [`MultipartScan`] reads the same of a form, which passes through unbuffered.
//! - [`parse_broadcast`] reads the traces that OpenRouter pushes.
//! - [`strip_user_id`] and [`openai_error`] are the two sides of error bodies.
//! - [`OpenRouterClient`] asks OpenRouter what a generation cost, what was charged to a key and what models cost, and
//!   manages keys.
//!
//! Nothing here knows organizations, storage or the web framework.

mod broadcast;
mod client;
mod error;
mod generation;
mod json_scan;
mod key;
mod management;
mod members;
mod models;
mod multipart;
mod pricing;
mod request;
mod route;
mod sse;
mod tee;
mod usage;

pub use broadcast::{BroadcastError, BroadcastSpan, parse_broadcast};
#[cfg(any(test, feature = "testing"))]
pub use client::MockGenerationSource;
pub use client::{ClientError, GenerationSource, LookupError, LookupFuture, OpenRouterClient};
pub use error::{anthropic_error, openai_error, strip_user_id};
pub use generation::{GenerationDetails, GenerationLookup};
#[cfg(any(test, feature = "testing"))]
pub use key::MockKeyUsageSource;
pub use key::{KeyUsage, KeyUsageFuture, KeyUsageSource};
pub use management::{CreatedManagedKey, KeyField, LimitReset, ManagedKey, ManagedKeyPatch, NewManagedKey};
pub use models::ListedModel;
pub use multipart::{MultipartFields, MultipartScan};
pub use pricing::{ModelPricing, PriceKind, PriceOverride, PricingError, UnitPrices};
pub use request::{GenerationRequest, RequestError, input_tokens_at_most, rewrite_user};
pub use route::Route;
pub use tee::{BodyTee, Observation, StreamError, StreamTee, TeeProgress};
pub use usage::{Usage, UsageGap, UsageReport};
