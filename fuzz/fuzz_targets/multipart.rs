//! Forms: the first four bytes choose how the rest is cut, the first line of the rest is the `Content-Type`.
#![no_main]

mod chunks;

use chunks::chunks;
use libfuzzer_sys::fuzz_target;
use mai_openrouter::{MultipartFields, MultipartScan};

/// What the scan promises to stay below.
const MOST_HELD: usize = 4096;

fn read<'a>(content_type: &str, pieces: impl Iterator<Item = &'a [u8]>) -> Option<MultipartFields> {
    let mut scan = MultipartScan::new(content_type)?;
    for piece in pieces {
        scan.feed(piece);
        assert!(scan.capacity() < MOST_HELD);
    }
    Some(scan.fields().clone())
}

fuzz_target!(|data: &[u8]| {
    let Some((lengths, rest)) = data.split_first_chunk::<4>() else { return };
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (content_type, body) = rest.split_at(end);
    let Ok(content_type) = std::str::from_utf8(content_type) else { return };
    let body = body.get(1..).unwrap_or_default();
    let whole = read(content_type, std::iter::once(body));
    assert_eq!(read(content_type, chunks(body, lengths)), whole);
    if let Some(fields) = whole {
        assert!([fields.model, fields.user].iter().flatten().all(|value| value.len() <= 512));
    }
});
