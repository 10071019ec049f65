//! Pieces that several pages are made of: tiles, amounts in both currencies, rows of a ranking, and what is
//! said about the exchange rate.

use askama::Template;
use mai_organization::{
    exchange_rates::{CurrentRate, RateOrigin},
    usage_tracking::{Conversion, Totals, stats::series::Metric},
};
use mai_primitives::{Pln, Usd, display, ratio};

use super::{
    charts::{self, Sparkline},
    format,
    frame::Frame,
    language::Language,
};
use crate::api::ApiError;

/// A headline figure.
#[derive(Default)]
pub(crate) struct Tile {
    /// What it is.
    pub(crate) label: String,
    /// The figure.
    pub(crate) figure: String,
    /// What stands below it.
    pub(crate) note: String,
    /// The difference from the time before.
    pub(crate) change: Option<String>,
    /// How it went, as SVG.
    pub(crate) line: String,
    /// How much of a whole is used, in thousandths, and whether that is nearly all.
    pub(crate) progress: Option<(i64, &'static str)>,
}

impl Tile {
    /// A tile with a figure and a note.
    pub(crate) fn new(label: String, figure: String, note: String) -> Self {
        Self { label, figure, note, ..Self::default() }
    }

    /// The same with the difference from the time before, where there was something.
    pub(crate) fn compared(self, now: i64, before: i64) -> Self {
        Self { change: ratio::change_per_million(now, before).map(format::change), ..self }
    }

    /// The same with how it went.
    pub(crate) fn drawn(self, values: &[i64]) -> Result<Self, ApiError> {
        let line = Sparkline::of(values).map(|line| line.render()).transpose();
        Ok(Self { line: line.map_err(|error| ApiError::internal(&error, None))?.unwrap_or_default(), ..self })
    }
}

/// An amount in both currencies.
pub(crate) struct Amount {
    /// In USD.
    pub(crate) usd: String,
    /// In PLN, where a rate is known.
    pub(crate) pln: Option<String>,
    /// Whether a day's rate may still change, and the amount in PLN with it.
    pub(crate) is_estimated: bool,
}

impl Amount {
    /// An amount as it is shown.
    pub(crate) fn new(usd: Usd, pln: Option<Pln>) -> Self {
        Self { usd: display::usd(usd), pln: pln.map(display::pln), is_estimated: false }
    }

    /// The same of this many days whose rate may still change.
    pub(crate) fn estimated(self, days: i64) -> Self {
        Self { is_estimated: days > 0 && self.pln.is_some(), ..self }
    }

    /// The amount in PLN, or nothing.
    pub(crate) fn pln_text(&self) -> &str {
        self.pln.as_deref().unwrap_or_default()
    }
}

/// The figures of a drawing as a table, for whoever cannot see the drawing or wants to copy them.
pub(crate) struct Data {
    /// What it is of.
    pub(crate) label: String,
    /// What the first column is of.
    pub(crate) first_head: String,
    /// The heads of the columns behind it.
    pub(crate) heads: Vec<String>,
    /// The names of the rows with their figures, the sum last.
    pub(crate) rows: Vec<(String, Vec<String>)>,
}

/// Something that can be ranked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// What it is.
    pub(crate) name: String,
    /// Its figure.
    pub(crate) value: i64,
    /// Whether it is all others together.
    pub(crate) is_other: bool,
}

impl Item {
    /// Something of its own.
    pub(crate) const fn new(name: String, value: i64) -> Self {
        Self { name, value, is_other: false }
    }
}

/// A row of a ranking.
pub(crate) struct Ranked {
    /// The place, from 1; none for all others together.
    pub(crate) rank: Option<usize>,
    /// What it is.
    pub(crate) name: String,
    /// Its figure.
    pub(crate) figure: String,
    /// Its part of the whole.
    pub(crate) share: String,
    /// The length of its bar: the same part in thousandths.
    pub(crate) width: i64,
}

/// The greatest of something by a figure, each with its part of the whole. Those without are left out.
pub(crate) fn ranking(items: Vec<Item>, whole: i64, shown: impl Fn(i64) -> String) -> Vec<Ranked> {
    let used = items.into_iter().filter(|item| item.value > 0);
    (1..)
        .zip(used)
        .map(|(rank, Item { name, value, is_other })| Ranked {
            rank: (!is_other).then_some(rank),
            name,
            figure: shown(value),
            share: ratio::parts_per_million(value, whole).map(format::percent).unwrap_or_default(),
            width: charts::width(value, whole),
        })
        .collect()
}

/// The first of a ranking, and all others in a row of their own, so that the whole adds up.
pub(crate) fn top(mut items: Vec<Item>, at_most: usize, other: String) -> Vec<Item> {
    items.sort_by_key(|item| std::cmp::Reverse(item.value));
    let used = items.iter().filter(|item| item.value > 0).count();
    if used > at_most + 1 {
        let rest = items.split_off(at_most);
        let value = rest.iter().fold(0_i64, |sum, item| sum.saturating_add(item.value));
        items.push(Item { name: other, value, is_other: true });
    }
    items
}

/// A figure of a metric as it is shown.
pub(crate) fn metric(language: Language, metric: Metric, value: i64) -> String {
    match metric {
        Metric::Cost => display::usd(Usd::from_nanos(value)),
        Metric::Tokens | Metric::Requests => format::number(language, value),
    }
}

/// The same beside an axis, where there is little room.
pub(crate) fn on_axis(language: Language, metric: Metric, value: i64) -> String {
    const DOLLAR: i64 = 1_000_000_000;
    match metric {
        Metric::Cost if value >= 1_000 * DOLLAR => format!("${}", format::compact(language, value / DOLLAR)),
        Metric::Cost if value % DOLLAR == 0 => format!("${}", value / DOLLAR),
        Metric::Cost => display::usd(Usd::from_nanos(value)),
        Metric::Tokens | Metric::Requests => format::compact(language, value),
    }
}

/// Nano-dollars of the client's price.
pub(crate) fn cost(totals: &Totals) -> i64 {
    totals.markup_cost.nanos()
}

/// Something that a reader should know before the figures.
pub(crate) struct Notice {
    /// `info` or `warning`.
    pub(crate) kind: &'static str,
    /// What it says.
    pub(crate) text: String,
}

/// What is to be known about the rate: nothing where it is NBP's.
pub(crate) fn rate_notices(frame: &Frame, conversion: &Conversion) -> Vec<Notice> {
    let key = match conversion.current.as_ref() {
        None => "notice-no-rate",
        Some(rate) if rate.is_fallback() => "notice-fallback-rate",
        Some(_) => return Vec::new(),
    };
    vec![Notice { kind: "warning", text: frame.t(key) }]
}

/// What the foot says about the rate.
pub(crate) fn rate_line(frame: &Frame, rate: &CurrentRate) -> String {
    let shown = format::rate(frame.language, rate.rate);
    match &rate.origin {
        RateOrigin::Nbp { table_no, effective_date } => {
            let day = format::date(frame.language, *effective_date);
            frame.language.with_all("foot-rate", &[("rate", &shown), ("table", table_no), ("day", &day)])
        }
        RateOrigin::Fallback => frame.with("foot-rate-fallback", &shown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(values: &[i64]) -> Vec<Item> {
        values.iter().map(|value| Item::new(value.to_string(), *value)).collect()
    }

    #[test]
    fn what_is_not_among_the_first_is_summed() {
        let shown = top(items(&[1, 9, 2, 3, 0]), 2, "other".into());
        let shown: Vec<_> =
            shown.iter().map(|item| (item.name.as_str(), item.value, item.is_other)).collect();
        assert_eq!(shown, [("9", 9, false), ("3", 3, false), ("other", 3, true)]);
        // One more is not hidden behind a row that would take its place.
        assert_eq!(top(items(&[1, 9, 2]), 2, "other".into()).len(), 3);
    }

    #[test]
    fn a_ranking_has_parts_of_the_whole() {
        let rows = ranking(items(&[50, 25, 0]), 100, |value| value.to_string());
        let rows: Vec<_> = rows.iter().map(|row| (row.rank, row.share.as_str(), row.width)).collect();
        assert_eq!(rows, [(Some(1), "50%", 500), (Some(2), "25%", 250)]);
    }

    #[test]
    fn an_axis_is_short() {
        let shown = |metric, value| on_axis(Language::English, metric, value);
        assert_eq!(shown(Metric::Cost, 5_000_000_000), "$5");
        assert_eq!(shown(Metric::Cost, 500_000_000), "$0.50");
        assert_eq!(shown(Metric::Cost, 2_000_000_000_000), "$2K");
        assert_eq!(shown(Metric::Tokens, 1_500_000), "1.5M");
    }
}
