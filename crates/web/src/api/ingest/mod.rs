//! Usage that others report: the usage webhook, OpenRouter's Broadcast, and people.
//!
//! Every report goes through [`mai_capture::Ingest`], the door to the same books as the gateway's own
//! records, and is durable before it is answered.

mod event;
mod fields;
mod record;
mod signature;

pub use event::UsageEvent;
pub use fields::{ReportError, ReportedTokens};
pub use record::{ManualRecord, When};
