//! What stands out, in whole numbers. `docs/anomalies.md` explains the figures.
//!
//! The middle of a history is its median and its spread the median absolute deviation (MAD), because a few
//! wild days move neither. For normally distributed figures 1.4826 times the MAD is the standard deviation:
//! <https://en.wikipedia.org/wiki/Median_absolute_deviation#Relation_to_standard_deviation>.

/// How many active days before are the history.
pub const HISTORY_DAYS: i64 = 28;
/// With fewer active days nothing is said.
pub const HISTORY_DAYS_AT_LEAST: usize = 7;
/// A day's spend must lie so much above the median, in nano-dollars: 1 USD.
pub const SPEND_AT_LEAST: i64 = 1_000_000_000;
/// A day's requests must lie so much above the median.
pub const REQUESTS_AT_LEAST: i64 = 50;

/// So many standard deviations above the median stand out.
const DEVIATIONS: i128 = 6;
/// The standard deviation by the MAD, in ten-thousandths.
const SIGMA_BY_MAD: i128 = 14_826;

/// How a day lies in its history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// The median of the history.
    pub median: i64,
    /// The median absolute deviation from it.
    pub deviation: i64,
    /// From which figure on a day stands out.
    pub threshold: i64,
}

impl Judgement {
    /// Whether a day stands out.
    pub const fn stands_out(&self, value: i64) -> bool {
        value >= self.threshold
    }
}

/// Judges by the figures of the active days before; none where there are fewer than
/// [`HISTORY_DAYS_AT_LEAST`].
///
/// A day stands out from the greatest of: the median and six deviations, where a history that hardly varies
/// counts as varying by a tenth of its median; twice the median; and the median and `at_least`.
pub fn judge(history: &[i64], at_least: i64) -> Option<Judgement> {
    if history.len() < HISTORY_DAYS_AT_LEAST {
        return None;
    }
    let figures: Vec<i128> = history.iter().copied().map(i128::from).collect();
    let middle = median(figures.clone())?;
    let deviation = median(figures.into_iter().map(|figure| (figure - middle).abs()).collect())?;
    let spread = (deviation * SIGMA_BY_MAD / 10_000).max(middle / 10);
    let threshold = (middle + DEVIATIONS * spread).max(2 * middle).max(middle + i128::from(at_least.max(1)));
    let stored = |number: i128| i64::try_from(number).unwrap_or(i64::MAX);
    Some(Judgement { median: stored(middle), deviation: stored(deviation), threshold: stored(threshold) })
}

/// The middle figure, or between two of them their mean, rounded down; none of nothing.
fn median(mut figures: Vec<i128>) -> Option<i128> {
    figures.sort_unstable();
    let half = figures.len() / 2;
    let upper = *figures.get(half)?;
    if figures.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *figures.get(half.checked_sub(1)?)?;
    Some((lower + upper).div_euclid(2))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judged(history: &[i64], at_least: i64) -> (i64, i64, i64) {
        let Judgement { median, deviation, threshold } = judge(history, at_least).unwrap();
        (median, deviation, threshold)
    }

    #[test]
    fn thresholds_by_hand() {
        // Never varied: a tenth of the median counts, so 100 + 6 * 10; twice the median is more.
        assert_eq!(judged(&[100; 28], 50), (100, 0, 200));
        // 10, 20 .. 90: median 50, MAD 20, 1.4826 * 20 = 29, 50 + 6 * 29.
        assert_eq!(judged(&[50, 10, 90, 20, 80, 30, 70, 40, 60], 50), (50, 20, 224));
        // Small figures have to rise by the minimum.
        assert_eq!(judged(&[1; 7], 50), (1, 0, 51));
        // One wild day changes nothing.
        assert_eq!(judged(&[100, 100, 100, 100, 100, 100, 1_000_000], 50), (100, 0, 200));
        // Between two in the middle.
        assert_eq!(judged(&[1, 2, 3, 4, 5, 6, 7, 8], 1).0, 4);
        assert_eq!(judged(&[i64::MAX; 7], 1), (i64::MAX, 0, i64::MAX));
    }

    #[test]
    fn a_short_history_says_nothing() {
        assert_eq!(judge(&[1; 6], 1), None);
        assert!(judge(&[1; 7], 1).is_some());
    }

    proptest! {
        #[test]
        fn what_was_usual_never_stands_out(
            history in prop::collection::vec(0..i64::MAX / 4, 7..28),
            at_least in 1..1_000_000_i64,
        ) {
            let judgement = judge(&history, at_least).unwrap();
            prop_assert!(!judgement.stands_out(judgement.median));
            prop_assert!(judgement.threshold >= judgement.median + at_least);
            prop_assert!(judgement.threshold >= judgement.median * 2);
            // More than half of the days lie below by construction.
            let out = history.iter().filter(|figure| judgement.stands_out(**figure)).count();
            prop_assert!(out * 2 <= history.len());
        }

        #[test]
        fn the_order_of_days_does_not_matter(mut history in prop::collection::vec(0..1_000_i64, 7..28)) {
            let before = judge(&history, 50);
            history.reverse();
            prop_assert_eq!(judge(&history, 50), before);
        }
    }
}
