//! The ledger of processed generations, pending generations and failed calls.

pub use mai_generation_processing::*;

/// The type of the singleton service; [`crate::OrganizationServices`] holds it.
pub type ProcessedGenerationDB = ProcessedGenerationTable;
