//! Which days a page is about: a named range that moves with time, or two days.

use std::collections::HashMap;

use mai_billing::BillingMonth;
use mai_organization::usage_tracking::{DayRange, Days};
use mai_primitives::UsageDate;

use super::{address::Address, format, frame::Link, language::Language, visit::Visit};
use crate::api::ApiError;

/// A month that a page is about, and how to come to the months beside it.
pub(crate) struct Months {
    /// What the month is called.
    pub(crate) label: String,
    /// The month before.
    pub(crate) previous: Link,
    /// The month after; none where that is still to come.
    pub(crate) next: Option<Link>,
}

impl Months {
    /// The months around `month`, none of which is after the present one.
    pub(crate) fn around(visit: &Visit, month: BillingMonth, present: BillingMonth) -> Self {
        let link = |month: BillingMonth| {
            let code = month.first().date().format("%Y-%m").to_string();
            Link {
                href: visit.address.with(&[("month", &code), ("page", "")]).link(),
                label: format::month(visit.language, month.first()),
                is_current: false,
            }
        };
        Self {
            label: format::month(visit.language, month.first()),
            previous: link(month.before()),
            next: (month < present).then(|| link(month.after())),
        }
    }
}

/// The most days that a page is asked about: ten years.
const MOST_DAYS: i64 = 3_660;

/// A range that moves with time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Preset {
    ThisMonth,
    LastMonth,
    SevenDays,
    ThirtyDays,
    NinetyDays,
    TwelveMonths,
}

impl Preset {
    const ALL: [Self; 6] = [
        Self::ThisMonth,
        Self::LastMonth,
        Self::SevenDays,
        Self::ThirtyDays,
        Self::NinetyDays,
        Self::TwelveMonths,
    ];

    const fn code(self) -> &'static str {
        match self {
            Self::ThisMonth => "this-month",
            Self::LastMonth => "last-month",
            Self::SevenDays => "7d",
            Self::ThirtyDays => "30d",
            Self::NinetyDays => "90d",
            Self::TwelveMonths => "12m",
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::ThisMonth => "range-this-month",
            Self::LastMonth => "range-last-month",
            Self::SevenDays => "range-7d",
            Self::ThirtyDays => "range-30d",
            Self::NinetyDays => "range-90d",
            Self::TwelveMonths => "range-12m",
        }
    }

    /// Its first and its last day.
    fn days(self, today: UsageDate) -> (UsageDate, UsageDate) {
        let this_month = today.first_of_month();
        match self {
            Self::ThisMonth => (this_month, today),
            Self::LastMonth => (this_month.minus_days(1).first_of_month(), this_month.minus_days(1)),
            Self::SevenDays => (today.minus_days(6), today),
            Self::ThirtyDays => (today.minus_days(29), today),
            Self::NinetyDays => (today.minus_days(89), today),
            // The present month and the eleven before it.
            Self::TwelveMonths => {
                let first = (0..11).fold(this_month, |month, _| month.minus_days(1).first_of_month());
                (first, today)
            }
        }
    }
}

/// The days of a page, and how to choose others.
pub(crate) struct Range {
    /// The days.
    pub(crate) days: DayRange,
    /// Whether they are the present month up to today.
    pub(crate) is_this_month: bool,
    /// What they are called: `1 Nov – 26 Nov 2026`.
    pub(crate) label: String,
    /// The named ranges.
    pub(crate) presets: Vec<Link>,
    /// Whether none of them is chosen.
    pub(crate) is_custom: bool,
    /// What the form for two days keeps.
    pub(crate) fields: Vec<(String, String)>,
    /// The last day that can be chosen.
    pub(crate) today: UsageDate,
    /// Where the form leads.
    pub(crate) action: String,
}

impl Range {
    /// The range that an address names; without one the present month.
    pub(crate) fn of(address: &Address, language: Language, today: UsageDate) -> Result<Self, ApiError> {
        let day = |name: &'static str| {
            let parsed = address.get(name).map(UsageDate::parse).transpose();
            parsed.map_err(|_| ApiError::field(name, "must be a day as YYYY-MM-DD"))
        };
        let (start, end) = (day("start_date")?, day("end_date")?);
        let (preset, (from, to)) = match (start, end, address.get("range")) {
            (None, None, code) => {
                let code = code.unwrap_or(Preset::ThisMonth.code());
                let preset = Preset::ALL.into_iter().find(|preset| preset.code() == code);
                let preset = preset.ok_or_else(|| ApiError::field("range", "is none that we know"))?;
                (Some(preset), preset.days(today))
            }
            (start, end, _) => {
                let to = end.unwrap_or(today).min(today);
                (None, (start.unwrap_or_else(|| to.first_of_month()), to))
            }
        };
        let days = DayRange::new(from, to).map_err(|error| ApiError::field("start_date", error))?;
        if days.days() > MOST_DAYS {
            return Err(ApiError::field("start_date", "is more than ten years before the last day"));
        }
        let presets = Preset::ALL.into_iter().map(|one| Link {
            href: address
                .with(&[("range", one.code()), ("start_date", ""), ("end_date", ""), ("page", "")])
                .link(),
            label: language.text(one.label()),
            is_current: preset == Some(one),
        });
        Ok(Self {
            is_this_month: days == DayRange::new(today.first_of_month(), today).unwrap_or(days),
            label: label(language, days),
            presets: presets.collect(),
            is_custom: preset.is_none(),
            fields: address.fields(&["range", "start_date", "end_date", "page"]),
            action: address.path().to_owned(),
            days,
            today,
        })
    }

    /// As the statistics are asked.
    pub(crate) fn asked(&self) -> Days {
        Days { start: Some(self.days.from()), end: Some(self.days.to()) }
    }

    /// What something comes to on each of the days, 0 where there is nothing of it.
    pub(crate) fn each_day(&self, values: impl IntoIterator<Item = (UsageDate, i64)>) -> Vec<i64> {
        let mut sums: HashMap<UsageDate, i64> = HashMap::new();
        for (day, value) in values {
            let sum = sums.entry(day).or_default();
            *sum = sum.saturating_add(value);
        }
        let days = (0..).map(|ahead| self.days.from().plus_days(ahead));
        let days = days.take_while(|day| *day <= self.days.to());
        days.map(|day| sums.get(&day).copied().unwrap_or(0)).collect()
    }

    /// The first day for a form.
    pub(crate) fn from(&self) -> String {
        self.days.from().to_string()
    }

    /// The last day for a form.
    pub(crate) fn to(&self) -> String {
        self.days.to().to_string()
    }
}

fn label(language: Language, days: DayRange) -> String {
    let (from, to) = (days.from(), days.to());
    if from == to {
        return format::date(language, to);
    }
    let same_year = from.date().format("%Y").to_string() == to.date().format("%Y").to_string();
    let first = if same_year { format::short_date(language, from) } else { format::date(language, from) };
    format!("{first} – {}", format::date(language, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> UsageDate {
        UsageDate::parse(text).unwrap()
    }

    fn range(query: &[(&str, &str)]) -> Result<(String, String), ApiError> {
        let address = Address::to("/x").with(query);
        let range = Range::of(&address, Language::English, day("2026-11-26"))?;
        Ok((range.from(), range.to()))
    }

    fn texts(from: &str, to: &str) -> (String, String) {
        (from.to_owned(), to.to_owned())
    }

    #[test]
    fn named_ranges_move_with_time() {
        for (code, from, to) in [
            ("this-month", "2026-11-01", "2026-11-26"),
            ("last-month", "2026-10-01", "2026-10-31"),
            ("7d", "2026-11-20", "2026-11-26"),
            ("30d", "2026-10-28", "2026-11-26"),
            ("90d", "2026-08-29", "2026-11-26"),
            ("12m", "2025-12-01", "2026-11-26"),
        ] {
            assert_eq!(range(&[("range", code)]), Ok(texts(from, to)), "{code}");
        }
    }

    #[test]
    fn two_days_go_before_a_name_and_end_today() {
        let custom = [("range", "7d"), ("start_date", "2026-11-03"), ("end_date", "2027-01-01")];
        assert_eq!(range(&custom), Ok(texts("2026-11-03", "2026-11-26")));
        assert_eq!(range(&[("end_date", "2026-09-10")]), Ok(texts("2026-09-01", "2026-09-10")));
        assert_eq!(range(&[]), Ok(texts("2026-11-01", "2026-11-26")));
    }

    #[test]
    fn days_without_anything_are_days_with_nothing() {
        let address = Address::to("/x").with(&[("start_date", "2026-11-23")]);
        let range = Range::of(&address, Language::English, day("2026-11-26")).unwrap();
        let values = [("2026-11-25", 2), ("2026-11-24", 1), ("2026-11-24", 4), ("2026-11-22", 9)];
        assert_eq!(range.each_day(values.map(|(date, value)| (day(date), value))), [0, 5, 2, 0]);
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for wrong in [
            &[("range", "x")][..],
            &[("start_date", "x")],
            &[("start_date", "2026-11-27")],
            &[("start_date", "1999-01-01")],
        ] {
            assert!(range(wrong).is_err(), "{wrong:?}");
        }
    }
}
