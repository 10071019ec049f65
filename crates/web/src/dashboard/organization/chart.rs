//! The main chart of a page: bars by day, or by month where there are many days, with a legend that shows the
//! figures of the bar that is pointed at, and the same figures as a table.

use chrono::Datelike;
use mai_organization::usage_tracking::stats::series::Metric;
use mai_primitives::UsageDate;

use crate::{
    api::ApiError,
    dashboard::{
        charts::{Bar, COLOURS, Series, Stacked},
        figures::{self, Data},
        format,
        frame::Frame,
        range::Range,
    },
};

/// The most days that have a bar of their own.
const DAYS_WITH_BARS: i64 = 92;

/// What one series is on each day on which it is something.
pub(crate) struct Line {
    /// What people call it.
    pub(crate) name: String,
    /// Whether it is that of all others together.
    pub(crate) is_other: bool,
    /// Its sum.
    pub(crate) total: i64,
    /// Its days.
    pub(crate) days: Vec<(UsageDate, i64)>,
}

/// A line of the legend.
pub(crate) struct Key {
    /// The class of its colour.
    pub(crate) class: String,
    /// What people call it.
    pub(crate) name: String,
    /// Its sum.
    pub(crate) total: String,
}

/// A chart with its legend and its table.
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) svg: String,
    pub(crate) label: String,
    pub(crate) total: String,
    pub(crate) keys: Vec<Key>,
    /// Whether some of it is a forecast.
    pub(crate) has_forecast: bool,
    /// A row for each bar, a column for each series.
    pub(crate) data: Data,
}

/// The time of a bar.
struct Span {
    first: UsageDate,
    last: UsageDate,
    label: String,
    title: String,
}

fn spans(frame: &Frame, from: UsageDate, to: UsageDate, by_month: bool) -> Vec<Span> {
    let language = frame.language;
    let mut spans = Vec::new();
    let mut first = from;
    while first <= to {
        let last = if by_month {
            first.first_of_month().plus_days(u64::from(first.days_in_month()) - 1).min(to)
        } else {
            first
        };
        let is_first_of_month = first.date().day() == 1;
        let (label, title) = if by_month {
            (format::short_month(language, first).to_owned(), format::month(language, first))
        } else {
            let day = first.date().day().to_string();
            let label =
                if is_first_of_month || spans.is_empty() { format::short_date(language, first) } else { day };
            (label, format!("{} {}", format::weekday(language, first), format::date(language, first)))
        };
        spans.push(Span { first, last, label, title });
        first = last.plus_days(1);
    }
    spans
}

/// The chart of some lines, which add up to the whole, with what is still expected of today and the days after it.
pub(crate) fn chart(
    frame: &Frame,
    range: &Range,
    metric: Metric,
    title: String,
    lines: &[Line],
    expected: &[(UsageDate, i64)],
) -> Result<Chart, ApiError> {
    let language = frame.language;
    let by_month = range.days.days() > DAYS_WITH_BARS;
    let to = expected.last().map_or(range.days.to(), |(day, _)| *day);
    let value = |value: i64| figures::metric(language, metric, value);
    let sum = |days: &[(UsageDate, i64)], span: &Span| {
        let within = days.iter().filter(|(day, _)| *day >= span.first && *day <= span.last);
        within.fold(0_i64, |sum, (_, value)| sum.saturating_add(*value))
    };
    let spans = spans(frame, range.days.from(), to, by_month);
    let bars: Vec<Bar> = spans
        .into_iter()
        .map(|span| {
            let parts: Vec<i64> = lines.iter().map(|line| sum(&line.days, &span)).collect();
            let total = parts.iter().fold(0_i64, |sum, part| sum.saturating_add(*part));
            let coming = sum(expected, &span);
            let is_running = span.first <= range.today && span.last >= range.today;
            let total_shown = match (is_running, coming > 0) {
                (true, true) => {
                    let (total, coming) = (value(total), value(coming));
                    let values = [("value", total.as_str()), ("expected", coming.as_str())];
                    language.with_all("chart-today", &values)
                }
                (true, false) => frame.with("chart-so-far", &value(total)),
                (false, true) => frame.with("chart-expected", &value(coming)),
                (false, false) => value(total),
            };
            Bar {
                shown: parts.iter().map(|part| value(*part)).collect(),
                parts,
                total,
                total_shown,
                is_running,
                expected: coming,
                label: span.label,
                title: span.title,
            }
        })
        .collect();
    let series: Vec<Series> = lines
        .iter()
        .map(|line| Series { name: line.name.clone(), total: value(line.total), is_other: line.is_other })
        .collect();
    let whole = lines.iter().fold(0_i64, |sum, line| sum.saturating_add(line.total));
    let drawn = Stacked {
        title: title.clone(),
        description: frame.with("chart-description", &range.label),
        series: &series,
        bars: &bars,
        axis: &|value| figures::on_axis(language, metric, value),
    };
    let svg = drawn.render().map_err(|error| ApiError::internal(&error, None))?;
    let keys = (1..).zip(&series).map(|(place, series): (usize, _)| Key {
        class: if series.is_other { "other".to_owned() } else { format!("s{}", place.min(COLOURS)) },
        name: series.name.clone(),
        total: series.total.clone(),
    });
    let sums = series.iter().map(|series| series.total.clone()).chain([value(whole)]);
    let mut rows: Vec<(String, Vec<String>)> = bars
        .iter()
        .filter(|bar| bar.total > 0)
        .map(|bar| (bar.title.clone(), bar.shown.iter().cloned().chain([value(bar.total)]).collect()))
        .collect();
    rows.push((frame.t("total"), sums.collect()));
    let data = Data {
        label: title.clone(),
        first_head: frame.t(if by_month { "month" } else { "date" }),
        heads: series.iter().map(|series| series.name.clone()).chain([frame.t("total")]).collect(),
        rows,
    };
    Ok(Chart {
        title,
        svg,
        label: range.label.clone(),
        total: value(whole),
        keys: keys.collect(),
        has_forecast: expected.iter().any(|(_, value)| *value > 0),
        data,
    })
}
