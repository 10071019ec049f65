//! Axes with round numbers.

/// An axis from zero to a round number at or above the greatest value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scale {
    /// The end of the axis.
    pub(super) end: i64,
    /// Where its lines are, from zero to the end.
    pub(super) ticks: Vec<i64>,
}

impl Scale {
    /// The axis for values up to `greatest` with at most five lines above zero.
    pub(super) fn up_to(greatest: i64) -> Self {
        let greatest = greatest.clamp(1, i64::MAX / 10);
        let mut magnitude = 1_i64;
        let step = loop {
            let fits = [1, 2, 5].map(|digit| digit * magnitude).into_iter().find(|step| step * 4 >= greatest);
            if let Some(step) = fits {
                break step;
            }
            magnitude *= 10;
        };
        let count = greatest.div_euclid(step) + i64::from(greatest % step > 0);
        Self { end: step * count, ticks: (0..=count).map(|line| line * step).collect() }
    }

    /// The length of a value on an axis of so many units.
    pub(super) fn length(&self, value: i64, units: i64) -> i64 {
        let length = i128::from(value.max(0)) * i128::from(units) / i128::from(self.end.max(1));
        i64::try_from(length).unwrap_or(units).min(units)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_at_round_numbers() {
        assert_eq!(Scale::up_to(0).ticks, [0, 1]);
        assert_eq!(Scale::up_to(4).ticks, [0, 1, 2, 3, 4]);
        assert_eq!(Scale::up_to(17).ticks, [0, 5, 10, 15, 20]);
        assert_eq!(Scale::up_to(81_000).ticks, [0, 50_000, 100_000]);
        assert_eq!(Scale::up_to(1_200_000_000).end, 1_500_000_000);
        let greatest = Scale::up_to(i64::MAX);
        assert!(greatest.ticks.len() <= 5 && greatest.end > 0);
    }

    #[test]
    fn lengths_are_exact_and_stay_within() {
        let scale = Scale::up_to(200);
        assert_eq!([0, 100, 200, 900, -5].map(|value| scale.length(value, 240)), [0, 120, 240, 240, 0]);
    }
}
