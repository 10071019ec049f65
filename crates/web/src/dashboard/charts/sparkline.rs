//! A small line that shows how a figure went. It says nothing that the figure beside it does not, so
//! screen readers pass it by.

use askama::Template;

use super::scale::Scale;

/// Its width and height.
const WIDTH: i64 = 120;
const HEIGHT: i64 = 28;

/// A small line.
#[derive(Template)]
#[template(path = "charts/sparkline.html")]
pub(crate) struct Sparkline {
    line: String,
    area: String,
}

impl Sparkline {
    /// The line of these values; none where there are fewer than two or nothing but zeros.
    pub(crate) fn of(values: &[i64]) -> Option<Self> {
        let greatest = values.iter().copied().max().filter(|greatest| *greatest > 0)?;
        let gaps = i64::try_from(values.len()).ok()?.checked_sub(1).filter(|gaps| *gaps > 0)?;
        let scale = Scale { end: greatest, ticks: Vec::new() };
        let point = |(place, value): (i64, &i64)| {
            format!("{},{}", place * WIDTH / gaps, HEIGHT - 2 - scale.length(*value, HEIGHT - 4))
        };
        let line = (0..).zip(values).map(point).collect::<Vec<_>>().join(" ");
        Some(Self { area: format!("0,{HEIGHT} {line} {WIDTH},{HEIGHT}"), line })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_needs_two_values_and_something() {
        assert!(
            Sparkline::of(&[]).is_none() && Sparkline::of(&[5]).is_none() && Sparkline::of(&[0, 0]).is_none()
        );
        let drawn = Sparkline::of(&[0, 5, 10]).unwrap();
        assert_eq!(drawn.line, "0,26 60,14 120,2");
        insta::assert_snapshot!(drawn.render().unwrap());
    }
}
