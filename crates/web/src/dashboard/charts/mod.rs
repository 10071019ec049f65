//! Charts as SVG, made here: they take their colours from the style by classes, have titles, roles and
//! descriptions, and need no script. All coordinates are whole numbers.

mod heat_map;
mod scale;
mod sparkline;
mod stacked;

pub(crate) use heat_map::HeatMap;
pub(crate) use sparkline::Sparkline;
pub(crate) use stacked::{Bar, Series, Stacked};

use mai_primitives::ratio;

/// How many series have a colour of their own; the others share that of "Other".
pub(crate) const COLOURS: usize = 7;

/// The whole width of a bar.
pub(crate) const FULL: i64 = 1_000;

/// A share in thousandths of a bar's width, at least one where there is something.
pub(crate) fn width(part: i64, whole: i64) -> i64 {
    if part <= 0 || whole <= 0 {
        return 0;
    }
    let thousandths =
        ratio::parts_per_million(part, whole).map_or(FULL, |ppm| ppm.saturating_add(500) / 1_000);
    thousandths.clamp(1, FULL)
}

#[cfg(test)]
mod tests {
    use super::{FULL, width};

    #[test]
    fn a_bar_shows_whatever_is_more_than_nothing() {
        assert_eq!(
            [width(0, 5), width(1, 1_000_000), width(1, 2), width(i64::MAX, i64::MAX), width(1, 0)],
            [0, 1, 500, FULL, 0]
        );
    }

    #[test]
    fn bars_of_different_values_are_not_equally_long() {
        assert_eq!([width(9_914, 10_000), width(9_916, 10_000)], [991, 992]);
        assert_eq!([width(3, 2), width(i64::MAX, 1)], [FULL, FULL]);
    }
}
