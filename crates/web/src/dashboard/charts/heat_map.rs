//! A calendar of activity: a column for each week, a row for each weekday, darker where more was done.

use askama::Template;
use chrono::Datelike;
use mai_primitives::UsageDate;

use crate::dashboard::{figures::Data, format, language::Language};

/// The side of a cell and the step to the next.
const CELL: i64 = 12;
const STEP: i64 = 15;
/// What is left for the names of months above and of weekdays beside.
const TOP: i64 = 18;
const LEFT: i64 = 40;

struct Cell {
    x: i64,
    y: i64,
    /// 0 to 4.
    level: i64,
    title: String,
}

struct Label {
    x: i64,
    y: i64,
    text: String,
}

/// A calendar of activity.
#[derive(Template)]
#[template(path = "charts/heat_map.html")]
pub(crate) struct HeatMap {
    title: String,
    description: String,
    width: i64,
    height: i64,
    cells: Vec<Cell>,
    labels: Vec<Label>,
    less: String,
    more: String,
    /// The first day, and the requests of each day from there on.
    days: (UsageDate, Vec<i64>),
}

impl HeatMap {
    /// The map of `weeks` weeks up to the one of `today`, from requests by day.
    pub(crate) fn of(
        language: Language,
        activity: &[(UsageDate, i64)],
        today: UsageDate,
        weeks: u64,
    ) -> Self {
        let greatest = activity.iter().map(|(_, requests)| *requests).max().unwrap_or(0);
        let weekday = u64::from(today.date().weekday().num_days_from_monday());
        let first = today.minus_days((weeks - 1) * 7 + weekday);
        let (mut cells, mut labels) = (Vec::new(), Vec::new());
        let mut counts = Vec::new();
        let mut month = first.date().month();
        let mut day = first;
        let mut place = 0_i64;
        while day <= today {
            let requests =
                activity.iter().find(|(known, _)| *known == day).map_or(0, |(_, requests)| *requests);
            counts.push(requests);
            let (x, y) = (LEFT + place / 7 * STEP, TOP + place % 7 * STEP);
            if day.date().month() != month && place % 7 == 0 {
                month = day.date().month();
                labels.push(Label { x, y: TOP - 6, text: format::short_month(language, day).to_owned() });
            }
            cells.push(Cell {
                x,
                y,
                level: level(requests, greatest),
                title: title(language, day, requests),
            });
            place += 1;
            day = day.plus_days(1);
        }
        for row in [0, 2, 4] {
            let text = format::weekday(language, first.plus_days(row)).to_owned();
            let y = TOP + i64::try_from(row).unwrap_or(0) * STEP + CELL - 2;
            labels.push(Label { x: 0, y, text });
        }
        let columns = i64::try_from(weeks).unwrap_or(0);
        let active = counts.iter().filter(|requests| **requests > 0).count();
        Self {
            title: language.text("activity-title"),
            description: language.count("activity-description", i64::try_from(active).unwrap_or(i64::MAX)),
            width: LEFT + columns * STEP,
            height: TOP + 7 * STEP,
            cells,
            labels,
            less: language.text("activity-less"),
            more: language.text("activity-more"),
            days: (first, counts),
        }
    }

    /// The same as a table: a row for each week with requests, the newest first, and a column for each weekday.
    pub(crate) fn data(&self, language: Language) -> Data {
        let (first, counts) = &self.days;
        let number = |requests: &i64| format::number(language, *requests);
        let weeks = (0_u64..).step_by(7).zip(counts.chunks(7));
        let used = weeks.filter(|(_, week)| week.iter().any(|requests| *requests > 0));
        let mut rows: Vec<(String, Vec<String>)> = used
            .map(|(start, week)| {
                let to_come = std::iter::repeat_n("–".to_owned(), 7 - week.len());
                let name = format::date(language, first.plus_days(start));
                (name, week.iter().map(number).chain(to_come).collect())
            })
            .collect();
        rows.reverse();
        let sum = |weekday: usize| {
            let days = counts.iter().skip(weekday).step_by(7);
            number(&days.fold(0_i64, |sum, requests| sum.saturating_add(*requests)))
        };
        rows.push((language.text("total"), (0..7).map(sum).collect()));
        let weekday = |place| format::weekday(language, first.plus_days(place)).to_owned();
        Data {
            label: self.title.clone(),
            first_head: language.text("activity-week"),
            heads: (0..7).map(weekday).collect(),
            rows,
        }
    }
}

fn title(language: Language, day: UsageDate, requests: i64) -> String {
    let date = format::date(language, day);
    format!("{} {date}: {}", format::weekday(language, day), language.count("requests-count", requests))
}

/// The quarter of the greatest in which a value is; 0 for nothing.
fn level(value: i64, greatest: i64) -> i64 {
    if value <= 0 || greatest <= 0 {
        return 0;
    }
    let quarter = (i128::from(value) * 4 + i128::from(greatest) - 1) / i128::from(greatest);
    i64::try_from(quarter).unwrap_or(4).clamp(1, 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> UsageDate {
        UsageDate::parse(text).unwrap()
    }

    #[test]
    fn levels_are_quarters() {
        assert_eq!([0, 1, 25, 26, 50, 75, 76, 100].map(|value| level(value, 100)), [0, 1, 1, 2, 2, 3, 4, 4]);
    }

    #[test]
    fn the_map_ends_today_and_begins_on_a_monday() {
        let activity = [(day("2026-11-02"), 3), (day("2026-11-10"), 12)];
        let map = HeatMap::of(Language::Polish, &activity, day("2026-11-11"), 3);
        assert_eq!(
            (map.cells.len(), map.cells[0].title.as_str()),
            (17, "pon. 26\u{a0}paź\u{a0}2026: 0 żądań")
        );
        let data = map.data(Language::English);
        let rows: Vec<_> = data.rows.iter().map(|(week, days)| (week.as_str(), days.join(" "))).collect();
        let expected = [
            ("9\u{a0}Nov\u{a0}2026", "0 12 0 – – – –"),
            ("2\u{a0}Nov\u{a0}2026", "3 0 0 0 0 0 0"),
            ("Total", "3 12 0 0 0 0 0"),
        ];
        assert_eq!(rows, expected.map(|(week, days)| (week, days.to_owned())));
        insta::assert_snapshot!(map.render().unwrap());
    }
}
