//! The audit log: who changed what, when, from where, and with which result.
//!
//! A change and its entry are written in one transaction, by [`append`], so that neither is there
//! without the other. Every service that changes something holds an [`Actor`] and says what it did in
//! its name. Entries form a chain: each holds the hash of itself and of the entry before it, and the
//! head row holds the end, so that an entry that was changed, taken out, put in or cut off is found by
//! [`verify`]. Whoever can write to the database can still make a whole new chain; an export that is
//! kept elsewhere shows that.

pub mod actor;
pub mod chain;
pub mod entry;
pub mod export;
pub mod schema;
pub mod service;

#[cfg(test)]
mod tests;

pub use actor::{Actor, ActorKind};
pub use chain::{Broken, Verified, Walk, append, entries_after, verify};
pub use entry::{AuditEntryModel, CONFIDENTIAL, Details, NewEntry};
pub use service::{AuditLogTable, AuditQuery};
