//! A calendar of activity: a column for each week, a row for each weekday, darker where more was done.

use askama::Template;
use chrono::Datelike;
use mai_primitives::UsageDate;

use crate::dashboard::{format, language::Language};

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
        let mut active = 0;
        let mut month = first.date().month();
        let mut day = first;
        let mut place = 0_i64;
        while day <= today {
            let requests =
                activity.iter().find(|(known, _)| *known == day).map_or(0, |(_, requests)| *requests);
            active += i64::from(requests > 0);
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
        Self {
            title: language.text("activity-title"),
            description: language.count("activity-description", active),
            width: LEFT + columns * STEP,
            height: TOP + 7 * STEP,
            cells,
            labels,
            less: language.text("activity-less"),
            more: language.text("activity-more"),
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
        insta::assert_snapshot!(map.render().unwrap());
    }
}
