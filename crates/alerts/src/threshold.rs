//! Which parts of a limit are used up.

use mai_primitives::Usd;

/// The parts of a limit that raise an alert, in percent. `WARNING_PERCENT` of the crate `mai-billing`, from where on lists
/// show a warning, is one of them; a test of the crate that uses both holds them together.
pub const THRESHOLDS: [i32; 3] = [50, 80, 100];

/// The thresholds of a limit that `spent` has reached, the lowest first. A limit of zero or less is a
/// lock and has no parts, so it passes none.
pub fn thresholds_passed(limit: Usd, spent: Usd) -> impl Iterator<Item = i32> {
    let (limit, spent) = (i128::from(limit.nanos()), i128::from(spent.nanos()));
    // 100 times 64 bits always fits into 128.
    let is_passed = move |percent: &i32| limit > 0 && spent * 100 >= limit * i128::from(*percent);
    THRESHOLDS.into_iter().filter(is_passed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn passed(limit: i64, spent: i64) -> Vec<i32> {
        thresholds_passed(Usd::from_nanos(limit), Usd::from_nanos(spent)).collect()
    }

    #[test]
    fn a_threshold_is_passed_when_it_is_reached_to_the_nano_dollar() {
        assert_eq!(passed(1_000_000_001, 500_000_000), [0; 0]);
        assert_eq!(passed(1_000_000_001, 500_000_001), [50]);
        assert_eq!(passed(10, 8), [50, 80]);
        assert_eq!(passed(10, 10), [50, 80, 100]);
        assert_eq!(passed(i64::MAX, i64::MAX), [50, 80, 100]);
        assert_eq!(passed(i64::MAX, i64::MIN), [0; 0]);
    }

    #[test]
    fn a_limit_of_zero_is_a_lock_and_no_alert() {
        assert_eq!(passed(0, 0), [0; 0]);
        assert_eq!(passed(0, 7), [0; 0]);
        assert_eq!(passed(-5, 7), [0; 0]);
    }

    proptest! {
        #[test]
        fn more_spending_never_passes_less(limit in 1_i64.., spent in 0_i64.., more in 0_i64..) {
            let later = spent.saturating_add(more);
            prop_assert!(passed(limit, later).starts_with(&passed(limit, spent)));
        }
    }
}
