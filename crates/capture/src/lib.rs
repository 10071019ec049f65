//! The metered proxy: the way of one request from the gateway to the ledger.
//!
//! ```text
//! Proxy::send ──► Upstream (hyper) ──► MeteredBody ──► client
//!                     │ headers            │ tee sees ids and usage
//!                     ▼                    ▼
//!                  "opened"            "settled"        both durable in the journal
//!                     └───────► Applier ◄──┘            ledger, daily tables, pending rows
//!                                  │ cost not known
//!                                  ▼
//!                              Reconciler ──► GET /generation ──► ledger
//! ```
//!
//! What a client received was made durable before its last byte left; what nobody could know yet is
//! asked for until it is known. Nothing on the way of a request waits for the database.

pub mod applier;
pub mod body;
pub mod call;
pub mod directory;
pub mod ingest;
pub mod proxy;
pub mod reconciler;
pub mod record;
pub mod recorder;
pub mod upstream;

mod attribution;

pub use applier::{Applier, ApplierState, causes};
pub use body::{BodyError, MeteredBody};
pub use call::{Call, ExchangeId};
pub use directory::SharedDirectory;
pub use ingest::{Ingest, IngestError, Reported};
pub use proxy::{Proxy, ProxyError, ProxyResponse, ProxySettings};
pub use reconciler::Reconciler;
pub use recorder::Recorder;
pub use upstream::{Upstream, UpstreamRequest};
