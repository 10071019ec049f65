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
//!
//! Before that way [`LimitGuard`] holds what the call may cost against the limits of its organization, and what it has
//! cost until the database's sums have it.
//!
//! Beside that way [`KeyReader`] reads what OpenRouter has charged, so that the ledger can be compared.

pub mod applier;
pub mod body;
pub mod bounds;
pub mod call;
pub mod directory;
mod drain;
pub mod drift;
pub mod ingest;
pub mod limits;
mod metering;
mod notice;
pub mod proxy;
pub mod reconciler;
pub mod record;
pub mod recorder;
pub mod request_body;
pub mod upstream;

mod attribution;

pub use applier::{Applier, ApplierState, causes};
pub use body::{BodyError, MeteredBody};
pub use call::{Call, ExchangeId};
pub use directory::SharedDirectory;
pub use drain::Drains;
pub use drift::KeyReader;
pub use ingest::{Ingest, IngestError, Reported};
pub use limits::{Held, LimitGuard, OverLimit, Reading, Reservation};
pub use proxy::{Delivery, Proxy, ProxyError, ProxyResponse, ProxySettings};
pub use reconciler::Reconciler;
pub use recorder::{NotAdmitted, Recorder};
pub use request_body::{Form, RequestBody, Upload, UploadSender};
pub use upstream::{Upstream, UpstreamRequest};
