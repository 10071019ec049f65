//! Plain answers, read as those of every route: the first four bytes choose how the rest is cut.
#![no_main]

mod chunks;

use chunks::chunks;
use libfuzzer_sys::fuzz_target;
use mai_openrouter::{BodyTee, Observation, Route};

/// More than the values of all keys of a route, and less than the gateway promises to hold per answer.
const MOST_HELD: usize = 48 * 1024;

fn read<'a>(route: Route, pieces: impl Iterator<Item = &'a [u8]>) -> Observation {
    let mut tee = BodyTee::new(route);
    for piece in pieces {
        tee.feed(piece);
        assert!(tee.capacity() <= MOST_HELD);
    }
    tee.finish()
}

fuzz_target!(|data: &[u8]| {
    let Some((lengths, body)) = data.split_first_chunk::<4>() else { return };
    for route in Route::ALL {
        let whole = read(route, std::iter::once(body));
        assert_eq!(read(route, chunks(body, lengths)), whole, "{route:?}");
        if let Some(usage) = whole.usage.exact() {
            assert!(usage.cost.nanos() >= 0 && usage.input_tokens >= 0 && usage.output_tokens >= 0);
            let details = [usage.cached_tokens, usage.cache_write_tokens, usage.reasoning_tokens];
            assert!(details.iter().flatten().all(|count| *count >= 0));
            assert_ne!(route, Route::Speech);
        }
    }
});
