//! Repeatable numbers: every value is a pure function of a seed and an index, so that an answer needs no stored state.

/// The `index`-th number of the stream that `seed` starts (SplitMix64).
pub(crate) const fn mix(seed: u64, index: u64) -> u64 {
    let mut value = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A number from 0 up to but excluding `bound`; 0 when `bound` is 0.
pub(crate) fn below(seed: u64, index: u64, bound: u32) -> u32 {
    mix(seed, index).checked_rem(u64::from(bound)).and_then(|value| u32::try_from(value).ok()).unwrap_or(0)
}

/// `length` letters and digits, as in OpenRouter's ids.
pub(crate) fn alphanumeric(seed: u64, index: u64, length: usize) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = String::with_capacity(length);
    let mut part = 0;
    while text.len() < length {
        let mut value = mix(mix(seed, index), part);
        part += 1;
        // Ten characters use 59.5 of the 64 bits.
        for _ in 0..10.min(length - text.len()) {
            let position = usize::try_from(value % 62).unwrap_or(0);
            text.extend(ALPHABET.get(position).copied().map(char::from));
            value /= 62;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_have_their_length_and_do_not_repeat() {
        let ids: HashSet<String> = (0..10_000).map(|index| alphanumeric(7, index, 20)).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.len() == 20));
    }

    #[test]
    fn below_stays_below() {
        assert!((0..1000).all(|index| below(3, index, 7) < 7));
        assert_eq!(below(3, 1, 0), 0);
    }
}
