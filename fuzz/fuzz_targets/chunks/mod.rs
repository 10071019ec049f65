//! Cuts of an input, chosen by the input itself.

/// `bytes` in pieces of the lengths that `lengths` give over and over; empty pieces are among them.
pub fn chunks<'a>(bytes: &'a [u8], lengths: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let whole = lengths.iter().all(|length| *length == 0);
    let mut lengths = lengths.iter().cycle();
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let length =
            if whole { rest.len() } else { lengths.next().map_or(rest.len(), |length| usize::from(*length)) };
        let (piece, after) = rest.split_at(length.min(rest.len()));
        rest = after;
        Some(piece)
    })
}
