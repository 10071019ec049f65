//! Wire formats of OpenRouter, and a client of its own API.
//!
//! - [`StreamTee`] and [`BodyTee`] read ids, model and exact usage from answers while the bytes pass by.
//! - [`ChatRequest`] and [`rewrite_user`] read a chat request and set its `user` without copying the body.
//! - [`strip_user_id`] and [`openai_error`] are the two sides of error bodies.
//! - [`OpenRouterClient`] asks OpenRouter what a generation cost, and what was charged to a key.
//!
//! Nothing here knows organizations, storage or the web framework.

mod client;
mod error;
mod generation;
mod json_scan;
mod key;
mod members;
mod request;
mod route;
mod sse;
mod tee;
mod usage;

#[cfg(any(test, feature = "testing"))]
pub use client::MockGenerationSource;
pub use client::{ClientError, GenerationSource, LookupError, LookupFuture, OpenRouterClient};
pub use error::{openai_error, strip_user_id};
pub use generation::{GenerationDetails, GenerationLookup};
#[cfg(any(test, feature = "testing"))]
pub use key::MockKeyUsageSource;
pub use key::{KeyUsage, KeyUsageFuture, KeyUsageSource};
pub use request::{ChatRequest, RequestError, rewrite_user};
pub use route::Route;
pub use tee::{BodyTee, Observation, StreamTee, TeeProgress};
pub use usage::{Usage, UsageGap, UsageReport};
