//! Alerts: what organizations and the reseller want to hear of without asking.
//!
//! An alert is raised once for what it is about and its period ([`raise`]), by whichever process comes first,
//! and in the same transaction a delivery is made for each destination that wants it. A [`Deliverer`] of any
//! process takes what is due into its hands for a while, sends it by a signed webhook or by mail, and writes
//! down what became of it; what fails is tried again with growing pauses, and can be replayed.

pub mod address;
pub mod alert;
pub mod backlog;
pub mod deliverer;
pub mod deliveries;
pub mod delivery;
pub mod destination;
pub mod destinations;
pub mod error;
pub mod mail;
pub mod mail_text;
pub mod retention;
pub mod schema;
pub mod service;
pub mod signature;
pub mod threshold;

#[cfg(test)]
mod tests;
mod webhook;

pub use address::Reach;
pub use alert::{AlertKind, AlertModel, Measure, NewAlert, Scope};
pub use backlog::{Backlog, backlog};
pub use deliverer::Deliverer;
pub use deliveries::{DeliveryQuery, DeliveryTable};
pub use delivery::{DeliveryModel, DeliveryState};
pub use destination::{Channel, DestinationModel, DestinationPatch, Language, NewDestination, WithSecret};
pub use destinations::DestinationTable;
pub use error::{Error, Result};
pub use mail::Mailer;
pub use retention::{Cleaned, clean};
pub use service::{AlertQuery, AlertTable, raise};
pub use threshold::{THRESHOLDS, thresholds_passed};
