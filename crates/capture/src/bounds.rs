//! What one generation may use at most to be booked.
//!
//! A day's sums are 64-bit. One absurd figure in them, and every later generation of that day would
//! leave the range and could not be booked any more. Whoever reports usage decides what it says, so the
//! figures of a single generation are bounded far above every real one and far below what a sum holds.

use mai_generation_processing::NewGeneration;
use mai_primitives::Usd;

/// The most tokens of one generation, prompt and answer together. The largest context windows have some
/// millions; nine million generations of this size fit into one sum.
pub const TOKENS_AT_MOST: i64 = 1_000_000_000_000;

/// The highest raw cost of one generation: 1,000,000 USD. Some thousands of them fit into one sum.
pub const COST_AT_MOST: Usd = Usd::from_nanos(1_000_000_000_000_000);

/// Why a generation says more than can be true, if it does.
pub(crate) fn absurdity(generation: &NewGeneration) -> Option<&'static str> {
    let parts = [generation.cached_tokens, generation.cache_write_tokens, generation.reasoning_tokens];
    let total = generation.input_tokens.saturating_add(generation.output_tokens);
    let mut counts =
        parts.into_iter().flatten().chain([generation.input_tokens, generation.output_tokens, total]);
    if counts.any(|count| count > TOKENS_AT_MOST) {
        return Some("cannot be booked: one generation has at most 1,000,000,000,000 tokens");
    }
    (generation.total_cost > COST_AT_MOST)
        .then_some("cannot be booked: one generation costs at most 1,000,000 USD")
}
