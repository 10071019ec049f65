//! Stacked bars along time: a bar for each day or month, a part for each series, a line at the total,
//! hatched where it is a forecast, and lighter where the day is not over.
//!
//! The chart is drawn twice, wide and narrow, and the style shows the one that fits, so that its text is
//! readable on every screen. Each bar can be reached by keyboard; the legend then shows that bar's figures.

use askama::Template;

use super::scale::Scale;

/// One of the things that the bars are made of.
pub(crate) struct Series {
    /// What people call it.
    pub(crate) name: String,
    /// Its sum, as it is shown.
    pub(crate) total: String,
    /// Whether it is that of all others together.
    pub(crate) is_other: bool,
}

/// A bar.
pub(crate) struct Bar {
    /// The short name below the axis.
    pub(crate) label: String,
    /// The name in the legend's head and for screen readers.
    pub(crate) title: String,
    /// The parts, in the order of the series.
    pub(crate) parts: Vec<i64>,
    /// The parts as they are shown.
    pub(crate) shown: Vec<String>,
    /// The sum of the parts.
    pub(crate) total: i64,
    /// The sum as it is shown.
    pub(crate) total_shown: String,
    /// Whether more may come.
    pub(crate) is_running: bool,
    /// What is still expected on top.
    pub(crate) expected: i64,
}

/// A chart of stacked bars.
pub(crate) struct Stacked<'a> {
    /// Its heading, for screen readers.
    pub(crate) title: String,
    /// What it shows, for screen readers.
    pub(crate) description: String,
    /// The series.
    pub(crate) series: &'a [Series],
    /// The bars.
    pub(crate) bars: &'a [Bar],
    /// How a value is written beside the axis.
    pub(crate) axis: &'a dyn Fn(i64) -> String,
}

/// One of the two drawings.
#[derive(Template)]
#[template(path = "charts/stacked.html")]
struct Drawing<'a> {
    class: &'static str,
    title: &'a str,
    description: &'a str,
    width: i64,
    height: i64,
    left: i64,
    lines: Vec<Line>,
    columns: Vec<Column<'a>>,
    total_line: String,
}

struct Line {
    y: i64,
    text: String,
}

struct Column<'a> {
    bar: &'a Bar,
    x: i64,
    width: i64,
    /// The whole height, for pointing.
    hit_x: i64,
    hit_width: i64,
    /// Where the label stands, if this column has one.
    label_x: i64,
    has_label: bool,
    parts: Vec<Part>,
    expected: Option<Part>,
    tab_index: &'static str,
    values: String,
}

struct Part {
    class: String,
    y: i64,
    height: i64,
}

/// What is drawn around the bars.
struct Measures {
    class: &'static str,
    width: i64,
    height: i64,
    left: i64,
    /// The least distance of two labels.
    label_room: i64,
}

const WIDE: Measures = Measures { class: "chart wide", width: 860, height: 264, left: 56, label_room: 48 };
const NARROW: Measures =
    Measures { class: "chart narrow", width: 360, height: 240, left: 48, label_room: 52 };
const TOP: i64 = 10;
const BOTTOM: i64 = 26;

impl Stacked<'_> {
    /// Both drawings.
    pub(crate) fn render(&self) -> askama::Result<String> {
        Ok(self.drawing(&WIDE).render()? + &self.drawing(&NARROW).render()?)
    }

    fn drawing(&self, measures: &Measures) -> Drawing<'_> {
        let greatest = self.bars.iter().map(|bar| bar.total.saturating_add(bar.expected)).max().unwrap_or(0);
        let scale = Scale::up_to(greatest);
        let plot = measures.height - TOP - BOTTOM;
        let floor = measures.height - BOTTOM;
        let lines = scale
            .ticks
            .iter()
            .map(|tick| Line { y: floor - scale.length(*tick, plot), text: (self.axis)(*tick) });
        let count = i64::try_from(self.bars.len()).unwrap_or(1).max(1);
        let room = measures.width - measures.left;
        // Every so many bars have a label, counted back from the last one.
        let every = (measures.label_room * count + room - 1) / room.max(1);
        let columns: Vec<Column<'_>> = (0..)
            .zip(self.bars)
            .map(|(place, bar)| {
                let (start, end) =
                    (measures.left + place * room / count, measures.left + (place + 1) * room / count);
                let gap = ((end - start) / 5).clamp(1, 8);
                Column {
                    bar,
                    x: start + gap / 2,
                    width: (end - start - gap).max(1),
                    hit_x: start,
                    hit_width: end - start,
                    label_x: i64::midpoint(start, end).min(measures.width - 18),
                    has_label: place % every.max(1) == 0,
                    parts: self.parts(bar, &scale, plot, floor),
                    expected: expected(bar, &scale, plot, floor),
                    tab_index: if place == 0 { "0" } else { "-1" },
                    values: bar.shown.join("|"),
                }
            })
            .collect();
        let counted = columns.iter().filter(|column| column.bar.total > 0);
        let caps = counted.map(|column| {
            format!("M{} {}h{}", column.x, floor - scale.length(column.bar.total, plot), column.width)
        });
        Drawing {
            class: measures.class,
            title: &self.title,
            description: &self.description,
            width: measures.width,
            height: measures.height,
            left: measures.left,
            lines: lines.collect(),
            total_line: caps.collect(),
            columns,
        }
    }

    /// The parts from the floor up. Heights are differences of rounded ends, so that they leave no gaps.
    fn parts(&self, bar: &Bar, scale: &Scale, plot: i64, floor: i64) -> Vec<Part> {
        let (mut sum, mut end) = (0_i64, 0_i64);
        let mut parts = Vec::new();
        for (place, value) in bar.parts.iter().enumerate() {
            sum = sum.saturating_add(*value);
            let next = scale.length(sum, plot);
            if next > end {
                let is_other = self.series.get(place).is_some_and(|series| series.is_other);
                let class = if is_other { "other".to_owned() } else { format!("s{}", place + 1) };
                parts.push(Part { class, y: floor - next, height: next - end });
            }
            end = next;
        }
        parts
    }
}

fn expected(bar: &Bar, scale: &Scale, plot: i64, floor: i64) -> Option<Part> {
    let from = scale.length(bar.total, plot);
    let to = scale.length(bar.total.saturating_add(bar.expected), plot);
    (to > from).then(|| Part { class: String::new(), y: floor - to, height: to - from })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(label: &str, parts: [i64; 2]) -> Bar {
        Bar {
            label: label.to_owned(),
            title: format!("{label} Nov"),
            shown: parts.iter().map(|part| format!("${part}")).collect(),
            total: parts.iter().sum(),
            total_shown: format!("${}", parts.iter().sum::<i64>()),
            parts: parts.to_vec(),
            is_running: false,
            expected: 0,
        }
    }

    fn chart<'a>(series: &'a [Series], bars: &'a [Bar]) -> Stacked<'a> {
        Stacked {
            title: "Cost".into(),
            description: "By model".into(),
            series,
            bars,
            axis: &|value| format!("${value}"),
        }
    }

    fn series() -> [Series; 2] {
        [("<img src=x onerror=alert(1)>", false), ("Other", true)].map(|(name, is_other)| Series {
            name: name.to_owned(),
            total: "$12".to_owned(),
            is_other,
        })
    }

    #[test]
    fn a_chart_of_three_days_and_a_forecast() {
        let (series, mut bars) = (series(), vec![bar("1", [3, 1]), bar("2", [0, 0]), bar("3", [5, 2])]);
        bars[2].is_running = true;
        bars[2].expected = 1;
        bars.push(Bar { expected: 4, ..bar("4", [0, 0]) });
        insta::assert_snapshot!(chart(&series, &bars).render().unwrap());
    }

    #[test]
    fn parts_add_up_to_the_bar_without_gaps() {
        let series = series();
        let bars = [bar("1", [333, 334]), bar("2", [1, 999])];
        let chart = chart(&series, &bars);
        for column in chart.drawing(&WIDE).columns {
            // What is too small for a unit has no part of its own.
            for two in column.parts.windows(2) {
                assert_eq!(two[1].y + two[1].height, two[0].y);
            }
            let (lowest, highest) = (column.parts.first().unwrap(), column.parts.last().unwrap());
            let drawn: i64 = column.parts.iter().map(|part| part.height).sum();
            assert_eq!(lowest.y + lowest.height - highest.y, drawn);
        }
    }

    #[test]
    fn nothing_at_all_is_an_empty_chart() {
        let drawn = chart(&[], &[]).render().unwrap();
        assert!(drawn.contains("<svg") && !drawn.contains("class=\"bar"));
    }

    #[test]
    fn text_is_never_markup() {
        let bars = [Bar { title: "<script>".into(), ..bar("1", [1, 1]) }];
        let drawn = chart(&series(), &bars).render().unwrap();
        assert!(!drawn.contains("<script>"), "{drawn}");
    }
}
