//! Charts as SVG, made here: they take their colours from the style by classes, have titles, roles and
//! descriptions, and need no script. All coordinates are whole numbers.

mod heat_map;
mod scale;
mod sparkline;
mod stacked;

pub(crate) use heat_map::HeatMap;
pub(crate) use sparkline::Sparkline;
pub(crate) use stacked::{Bar, Series, Stacked};

/// How many series have a colour of their own; the others share that of "Other".
pub(crate) const COLOURS: usize = 7;

/// A share in whole hundredths of a bar's width, at least one where there is something.
pub(crate) fn width(part: i64, whole: i64) -> i64 {
    if part <= 0 || whole <= 0 {
        return 0;
    }
    let hundredths = i128::from(part) * 100 / i128::from(whole);
    i64::try_from(hundredths).unwrap_or(100).clamp(1, 100)
}

#[cfg(test)]
mod tests {
    use super::width;

    #[test]
    fn a_bar_shows_whatever_is_more_than_nothing() {
        assert_eq!(
            [width(0, 5), width(1, 1_000_000), width(1, 2), width(i64::MAX, i64::MAX), width(1, 0)],
            [0, 1, 50, 100, 0]
        );
    }
}
