//! From many runs to one table: medians over the rounds, ratios and differences, all in whole numbers.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// What the load generator measured in one run. Times are in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) requests_per_second: u64,
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
    pub(super) max_us: u64,
    pub(super) first_byte_p50_us: u64,
    pub(super) first_byte_p99_us: u64,
}

/// One load that is put on every target.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) stream: bool,
    pub(super) connections: u64,
    /// Calls per second by a fixed timetable; none means as many as go.
    pub(super) rate: Option<u64>,
}

/// Every case.
pub(super) const CASES: [Case; 6] = [
    Case { name: "plain, 1 connection", stream: false, connections: 1, rate: None },
    Case { name: "plain, 32 connections", stream: false, connections: 32, rate: None },
    Case { name: "stream, 1 connection", stream: true, connections: 1, rate: None },
    Case { name: "stream, 32 connections", stream: true, connections: 32, rate: None },
    Case { name: "plain, whole answer", stream: false, connections: 32, rate: Some(500) },
    Case { name: "stream, first byte", stream: true, connections: 32, rate: Some(500) },
];

/// What a load is put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Target {
    Direct,
    MaiUsage,
    Nginx,
}

impl Target {
    pub(super) const ALL: [Self; 3] = [Self::Direct, Self::MaiUsage, Self::Nginx];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::MaiUsage => "mai-usage",
            Self::Nginx => "nginx",
        }
    }
}

/// One load on one target.
#[derive(Debug, Serialize)]
pub(super) struct Run {
    pub(super) case: &'static Case,
    pub(super) target: Target,
    pub(super) round: u32,
    pub(super) measured: Measured,
}

/// The median over the rounds of one figure; none where the target was not measured.
fn median(runs: &[Run], case: &Case, target: Target, figure: impl Fn(&Measured) -> u64) -> Option<u64> {
    let of_interest = runs.iter().filter(|run| run.case == case && run.target == target);
    let mut figures: Vec<u64> = of_interest.map(|run| figure(&run.measured)).collect();
    figures.sort_unstable();
    figures.get(figures.len() / 2).copied()
}

/// Both tables, in Markdown.
pub(super) fn tables(runs: &[Run]) -> String {
    let mut text = String::from(
        "| requests per second | direct | mai-usage | nginx | mai-usage : nginx |\n|---|--:|--:|--:|--:|\n",
    );
    for case in CASES.iter().filter(|case| case.rate.is_none()) {
        let rate = |target| median(runs, case, target, |measured| measured.requests_per_second);
        let [direct, ours, nginx] = Target::ALL.map(rate);
        let ratio = ours.zip(nginx).map(|(ours, nginx)| ratio(ours, nginx));
        row(&mut text, case.name, &[shown(direct), shown(ours), shown(nginx), or_missing(ratio)]);
    }
    text.push_str(
        "\n| at 500 requests/s, in µs | direct | mai-usage | added | nginx | added by nginx |\n\
         |---|--:|--:|--:|--:|--:|\n",
    );
    for case in CASES.iter().filter(|case| case.rate.is_some()) {
        type Figure = fn(&Measured) -> u64;
        let figures: [(&str, Figure); 2] = if case.stream {
            [("p50", |measured| measured.first_byte_p50_us), ("p99", |measured| measured.first_byte_p99_us)]
        } else {
            [("p50", |measured| measured.p50_us), ("p99", |measured| measured.p99_us)]
        };
        for (name, figure) in figures {
            let [direct, ours, nginx] = Target::ALL.map(|target| median(runs, case, target, figure));
            let added =
                |one: Option<u64>| or_missing(one.zip(direct).map(|(one, direct)| added(one, direct)));
            let cells = [shown(direct), shown(ours), added(ours), shown(nginx), added(nginx)];
            row(&mut text, &format!("{}, {name}", case.name), &cells);
        }
    }
    text
}

fn row(text: &mut String, name: &str, cells: &[String]) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
}

fn shown(figure: Option<u64>) -> String {
    or_missing(figure.map(|figure| figure.to_string()))
}

fn or_missing(text: Option<String>) -> String {
    text.unwrap_or_else(|| "not installed".to_owned())
}

/// With two decimals, rounded down.
fn ratio(ours: u64, other: u64) -> String {
    let hundredths = (ours * 100).checked_div(other).unwrap_or(0);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn added(ours: u64, direct: u64) -> String {
    format!("{:+}", ours.cast_signed() - direct.cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(target: Target, figures: [u64; 3]) -> Vec<Run> {
        let measured = |figure| Measured {
            requests_per_second: figure,
            p50_us: figure,
            p99_us: 2 * figure,
            first_byte_p50_us: 3 * figure,
            first_byte_p99_us: 4 * figure,
            ..Measured::default()
        };
        let rounds = || (1..).zip(figures);
        let run = |case: &'static Case| {
            rounds().map(move |(round, figure)| Run { case, target, round, measured: measured(figure) })
        };
        CASES.iter().flat_map(run).collect()
    }

    #[test]
    fn tables_show_medians_ratios_and_differences() {
        let mut all = runs(Target::Direct, [100, 900, 200]);
        all.extend(runs(Target::MaiUsage, [150, 140, 160]));
        let without = tables(&all);
        assert!(without.contains("| plain, 1 connection | 200 | 150 | not installed | not installed |"));
        assert!(without.contains("| stream, first byte, p99 | 800 | 600 | -200 | not installed |"));
        all.extend(runs(Target::Nginx, [400, 400, 400]));
        let with = tables(&all);
        assert!(with.contains("| stream, 32 connections | 200 | 150 | 400 | 0.37 |"), "{with}");
        assert!(with.contains("| plain, whole answer, p50 | 200 | 150 | -50 | 400 | +200 |"), "{with}");
    }
}
