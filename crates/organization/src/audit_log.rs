//! Who changed what, when, from where and with which result.

pub use mai_audit_log::*;
