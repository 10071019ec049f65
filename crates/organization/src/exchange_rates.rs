//! What one US dollar is worth in PLN, by NBP.

pub use mai_exchange_rates::*;
