//! `/audio/speech`: bytes that look like sound and say nothing about their cost.

use crate::random::mix;
use bytes::Bytes;

/// Bytes of an MPEG frame: layer III, 128 kbit/s, 44.1 kHz.
const FRAME: usize = 417;

/// Frame `index`: a valid header and noise.
pub(crate) fn sound(seed: u64, index: u64) -> Bytes {
    let noise = mix(seed, index);
    let mut frame = vec![0xff, 0xfb, 0x90, 0x00];
    (0..).map(|part| mix(noise, part)).take(FRAME / 8).for_each(|part| frame.extend(part.to_le_bytes()));
    frame.resize(FRAME, 0);
    frame.into()
}
