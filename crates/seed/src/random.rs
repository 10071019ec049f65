//! Numbers that look random and follow from a key alone, on every machine and for ever. The seed's
//! promise of equal rows for equal seeds would break if a library changed its generator.

/// SplitMix64, by Steele, Lea and Flood: <https://doi.org/10.1145/2714064.2660195>.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// A sequence of its own for each key.
    pub(crate) fn keyed(key: &[u64]) -> Self {
        let mut random = Self(0);
        for part in key {
            random.0 ^= part;
            random.0 = random.next();
        }
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `end` - 1, or 0 when `end` is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next().checked_rem(end).unwrap_or(0)
    }

    /// One of `choices`, each as likely as its weight says.
    pub(crate) fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (index, weight) in weights.iter().enumerate() {
            if left < *weight {
                return index;
            }
            left -= weight;
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_that_of_the_paper() {
        // The reference implementation's first outputs for the seed 1234567.
        let mut random = Random(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| random.next()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn keys_have_sequences_of_their_own() {
        let first = |key: &[u64]| Random::keyed(key).next();
        let firsts = [first(&[1]), first(&[2]), first(&[1, 2]), first(&[2, 1]), first(&[1, 0])];
        for (index, one) in firsts.iter().enumerate() {
            assert!(!firsts[..index].contains(one));
        }
    }

    #[test]
    fn choices_follow_their_weights() {
        let mut random = Random::keyed(&[7]);
        let mut counts = [0_u32; 3];
        for _ in 0..10_000 {
            counts[random.weighted(&[70, 0, 30])] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!((6_500..7_500).contains(&counts[0]), "{counts:?}");
    }
}
