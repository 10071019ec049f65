//! Usage that others report: the usage webhook, OpenRouter's Broadcast, and people.
//!
//! Every report goes through [`mai_capture::Ingest`], the door to the same books as the gateway's own
//! records, and is durable before it is answered.

use actix_web::web;

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
pub(super) fn routes(config: &mut web::ServiceConfig) {
    // Whoever sets up a Broadcast chooses between the two methods.
    let broadcast = web::resource("/webhook/openrouter-broadcast")
        .route(web::post().to(broadcast::broadcast))
        .route(web::put().to(broadcast::broadcast));
    config
        .route("/webhook/openrouter-usage", web::post().to(webhook::usage_event))
        .service(broadcast)
        .route("/usage/manual-record", web::post().to(manual::manual_record))
        .route("/sync/openrouter-usage", web::post().to(sync::look_up_pending));
}
