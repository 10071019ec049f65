//! Usage that others report: the usage webhook, OpenRouter's Broadcast, and people.
//!
//! Every report goes through [`mai_capture::Ingest`], the door to the same books as the gateway's own
//! records, and is durable before it is answered.

use utoipa_actix_web::service_config::ServiceConfig;

mod broadcast;
mod event;
mod fields;
mod manual;
mod record;
mod report;
mod signature;
mod sync;
mod webhook;

pub use event::UsageEvent;
pub use fields::{ReportError, ReportedTokens};
pub use record::{ManualRecord, When};

/// The routes of this module, below `/api/v1/usage-tracking`.
pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    // Whoever sets up a Broadcast chooses between two methods.
    config
        .service(webhook::usage_event)
        .service(broadcast::broadcast)
        .service(broadcast::broadcast_put)
        .service(manual::manual_record)
        .service(sync::look_up_pending);
}
