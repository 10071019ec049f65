//! Statements: what an organization owes for a month, in PLN.
//!
//! A draft is computed from the daily tables, the seats and the rates of now, each time somebody looks at it, and never
//! stored. Issuing stores it once, under the next number of its series, and nothing changes it any more; its JSON is
//! what is stored, and CSV and PDF are made of nothing else. What later changes in a month that was issued becomes
//! correction lines of the next statement: the difference between the daily tables and what all statements have billed of that month,
//! in USD and, by the rate that billed the month, in PLN.
//!
//! Which rate converts, how VAT is rounded and when a statement has to wait is in `docs/month-close.md`.

pub mod compute;
pub mod document;
mod exact;
mod gather;
mod issuing;
pub mod parties;
pub mod pdf;
pub mod register;
mod schema;
pub mod service;
pub mod vat;
pub mod verify;
mod words;

pub use compute::Hold;
pub use document::{Correction, SeatLines, State, Statement, UsageLine};
pub use parties::{BillingProfile, BillingSettings, Language, Numbering, ProfileForm, SettingsForm};
pub use register::StatementModel;
pub use service::{Closing, Standing, StatementTable};
pub use vat::Vat;

#[cfg(test)]
mod tests;
