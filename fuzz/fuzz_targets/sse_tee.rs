//! Streamed answers of every route: the first byte chooses the route and the next four how the rest is cut.
#![no_main]

mod chunks;

use chunks::chunks;
use libfuzzer_sys::fuzz_target;
use mai_openrouter::{Observation, Route, StreamTee};

/// More than the values of all keys of a route, and less than the gateway promises to hold per stream.
const MOST_HELD: usize = 48 * 1024;

fn read<'a>(route: Route, pieces: impl Iterator<Item = &'a [u8]>) -> Observation {
    let mut tee = StreamTee::keeping_error(route);
    let mut done = false;
    for piece in pieces {
        let progress = tee.feed(piece);
        assert!(
            !(done && (progress.done || progress.usage || progress.first_id)),
            "something came after the end"
        );
        assert!(progress.error_ends_at.is_none_or(|at| at <= piece.len()));
        done |= progress.done;
        assert!(tee.capacity() <= MOST_HELD);
    }
    tee.finish()
}

fuzz_target!(|data: &[u8]| {
    let Some((&[route, ref lengths @ ..], stream)) = data.split_first_chunk::<5>() else { return };
    let route = Route::ALL[usize::from(route) % Route::ALL.len()];
    let whole = read(route, std::iter::once(stream));
    assert_eq!(read(route, chunks(stream, lengths)), whole);
    if let Some(usage) = whole.usage.exact() {
        assert!(usage.cost.nanos() >= 0 && usage.input_tokens >= 0 && usage.output_tokens >= 0);
    }
});
