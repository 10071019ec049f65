//! Numbers, days and times as people of a language write them. Money is written by
//! [`mai_primitives::display`], which both languages share. Everything is counted in whole numbers.

use chrono::{Datelike, NaiveDate};
use mai_billing::limits::LimitState;
use mai_primitives::{OrganizationCalendar, UnixTime, UsageDate, Usd, UsdPlnRate};

use super::language::Language;

/// No-break space.
const NBSP: char = '\u{a0}';

const ENGLISH_MONTHS: [(&str, &str); 12] = [
    ("Jan", "January"),
    ("Feb", "February"),
    ("Mar", "March"),
    ("Apr", "April"),
    ("May", "May"),
    ("Jun", "June"),
    ("Jul", "July"),
    ("Aug", "August"),
    ("Sep", "September"),
    ("Oct", "October"),
    ("Nov", "November"),
    ("Dec", "December"),
];

const POLISH_MONTHS: [(&str, &str); 12] = [
    ("sty", "styczeń"),
    ("lut", "luty"),
    ("mar", "marzec"),
    ("kwi", "kwiecień"),
    ("maj", "maj"),
    ("cze", "czerwiec"),
    ("lip", "lipiec"),
    ("sie", "sierpień"),
    ("wrz", "wrzesień"),
    ("paź", "październik"),
    ("lis", "listopad"),
    ("gru", "grudzień"),
];

/// From Monday on.
const ENGLISH_WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const POLISH_WEEKDAYS: [&str; 7] = ["pon.", "wt.", "śr.", "czw.", "pt.", "sob.", "niedz."];

/// `1,234,567` or `1 234 567`; Polish groups begin at five digits.
pub(crate) fn number(language: Language, number: i64) -> String {
    let (separator, least) = match language {
        Language::English => (',', 4),
        Language::Polish => (NBSP, 5),
    };
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (place, digit) in digits.chars().enumerate() {
        let behind = digits.len() - place;
        if place > 0 && behind.is_multiple_of(3) && digits.len() >= least {
            text.push(separator);
        }
        text.push(digit);
    }
    text
}

/// A short form for axes and tiles: `940`, `1.2K`, `3.4M`, `1.2B`; in Polish `1,2 tys.`, `3,4 mln`, `1,2 mld`.
pub(crate) fn compact(language: Language, value: i64) -> String {
    let magnitude = value.unsigned_abs();
    let scales = [(1_000_000_000_u64, "B", "mld"), (1_000_000, "M", "mln"), (1_000, "K", "tys.")];
    // From 999,500 on it is a million already, because three digits are shown.
    let found = scales.into_iter().find(|(scale, ..)| magnitude >= scale - scale / 2_000);
    let Some((scale, english, polish)) = found else { return number(language, value) };
    let sign = if value < 0 { "-" } else { "" };
    let tenths = magnitude / (scale / 10) + u64::from(magnitude % (scale / 10) >= scale / 20);
    let (whole, tenth) = (tenths / 10, tenths % 10);
    let digits = |point: char| match (whole, tenth) {
        (100.., _) => ((magnitude + scale / 2) / scale).to_string(),
        (_, 0) => whole.to_string(),
        _ => format!("{whole}{point}{tenth}"),
    };
    match language {
        Language::English => format!("{sign}{}{english}", digits('.')),
        Language::Polish => format!("{sign}{}{NBSP}{polish}", digits(',')),
    }
}

/// Parts per million as whole percent; what is more than nothing is never shown as nothing.
pub(crate) fn percent(ppm: i64) -> String {
    match ppm {
        1..5_000 => "<1%".to_owned(),
        _ => format!("{}%", rounded_percent(ppm)),
    }
}

/// How much of a limit is used, by the whole percent that tells where it stands; nothing only where nothing is
/// used.
pub(crate) fn used_percent(language: Language, state: &LimitState) -> String {
    match state.percent() {
        0 if state.used() > Usd::ZERO => "<1%".to_owned(),
        percent => format!("{}%", number(language, percent)),
    }
}

/// A difference in parts per million: `+12%`, `−3%`, `0%`.
pub(crate) fn change(ppm: i64) -> String {
    let percent = rounded_percent(ppm);
    match percent {
        1.. => format!("+{percent}%"),
        0 => "0%".to_owned(),
        _ => format!("\u{2212}{}%", percent.unsigned_abs()),
    }
}

/// Half away from zero.
fn rounded_percent(ppm: i64) -> i64 {
    let half = if ppm < 0 { -5_000 } else { 5_000 };
    ppm.saturating_add(half) / 10_000
}

fn months(language: Language, date: NaiveDate) -> (&'static str, &'static str) {
    let names = match language {
        Language::English => &ENGLISH_MONTHS,
        Language::Polish => &POLISH_MONTHS,
    };
    let place = usize::try_from(date.month0()).unwrap_or(0);
    names.get(place).copied().unwrap_or_default()
}

/// `22 Nov 2026`, `22 lis 2026`.
pub(crate) fn date(language: Language, day: UsageDate) -> String {
    format!("{}{NBSP}{}{NBSP}{}", day.date().day(), months(language, day.date()).0, day.date().year())
}

/// `22 Nov`, `22 lis`.
pub(crate) fn short_date(language: Language, day: UsageDate) -> String {
    format!("{}{NBSP}{}", day.date().day(), months(language, day.date()).0)
}

/// `November 2026`, `listopad 2026`.
pub(crate) fn month(language: Language, day: UsageDate) -> String {
    format!("{} {}", months(language, day.date()).1, day.date().year())
}

/// `Nov`, `lis`.
pub(crate) fn short_month(language: Language, day: UsageDate) -> &'static str {
    months(language, day.date()).0
}

/// `Sun`, `niedz.`
pub(crate) fn weekday(language: Language, day: UsageDate) -> &'static str {
    let names = match language {
        Language::English => &ENGLISH_WEEKDAYS,
        Language::Polish => &POLISH_WEEKDAYS,
    };
    let place = usize::try_from(day.date().weekday().num_days_from_monday()).unwrap_or(0);
    names.get(place).copied().unwrap_or_default()
}

/// The day and the time of an instant on the organization's clock: `22 Nov 2026, 14:05`.
pub(crate) fn instant(language: Language, calendar: OrganizationCalendar, at: UnixTime) -> String {
    let day = calendar.day_at(at).map(|day| date(language, day)).unwrap_or_default();
    format!("{day}, {}", calendar.time_of_day(at))
}

/// How long ago something was: `5 minutes ago`.
pub(crate) fn ago(language: Language, now: UnixTime, at: UnixTime) -> String {
    let seconds = now.seconds().saturating_sub(at.seconds()).max(0);
    match seconds {
        ..60 => language.text("ago-now"),
        60..3_600 => language.count("ago-minutes", seconds / 60),
        3_600..86_400 => language.count("ago-hours", seconds / 3_600),
        86_400..2_592_000 => language.count("ago-days", seconds / 86_400),
        2_592_000..31_536_000 => language.count("ago-months", seconds / 2_592_000),
        _ => language.count("ago-years", seconds / 31_536_000),
    }
}

/// A rate with its four decimals: `3.6370`, `3,6370`.
pub(crate) fn rate(language: Language, rate: UsdPlnRate) -> String {
    let (steps, point) = (rate.ten_thousandths(), if language == Language::Polish { ',' } else { '.' });
    format!("{}{point}{:04}", steps / 10_000, steps % 10_000)
}

#[cfg(test)]
mod tests {
    use mai_billing::BillingMonth;
    use mai_organization::client_organization::limits::LimitSubject;
    use mai_primitives::{OrganizationId, Pln, Usd, display};

    use super::*;
    use Language::{English, Polish};

    fn day(text: &str) -> UsageDate {
        UsageDate::parse(text).unwrap()
    }

    #[test]
    fn numbers_are_grouped_as_each_language_does() {
        for (value, english, polish) in [
            (0, "0", "0"),
            (999, "999", "999"),
            (1_234, "1,234", "1234"),
            (12_345, "12,345", "12\u{a0}345"),
            (1_234_567, "1,234,567", "1\u{a0}234\u{a0}567"),
            (-1_234_567, "-1,234,567", "-1\u{a0}234\u{a0}567"),
        ] {
            assert_eq!((number(English, value).as_str(), number(Polish, value).as_str()), (english, polish));
        }
        assert_eq!(number(English, i64::MIN), "-9,223,372,036,854,775,808");
    }

    #[test]
    fn short_forms_are_rounded_to_tenths() {
        for (value, english, polish) in [
            (0, "0", "0"),
            (940, "940", "940"),
            (999, "999", "999"),
            (1_000, "1K", "1\u{a0}tys."),
            (1_249, "1.2K", "1,2\u{a0}tys."),
            (1_250, "1.3K", "1,3\u{a0}tys."),
            (999_499, "999K", "999\u{a0}tys."),
            (999_500, "1M", "1\u{a0}mln"),
            (3_420_000, "3.4M", "3,4\u{a0}mln"),
            (250_400_000, "250M", "250\u{a0}mln"),
            (1_200_000_000, "1.2B", "1,2\u{a0}mld"),
            (-1_500, "-1.5K", "-1,5\u{a0}tys."),
        ] {
            assert_eq!(
                (compact(English, value).as_str(), compact(Polish, value).as_str()),
                (english, polish),
                "{value}"
            );
        }
    }

    #[test]
    fn percents_are_whole_and_never_hide_something() {
        let shown = [0, 1, 4_999, 5_000, 14_999, 444_444, 445_000, 1_000_000].map(percent);
        assert_eq!(shown, ["0%", "<1%", "<1%", "1%", "1%", "44%", "45%", "100%"]);
        let changes = [0, 123_456, -30_000, -4_000, 2_500_000].map(change);
        assert_eq!(changes, ["0%", "+12%", "\u{2212}3%", "0%", "+250%"]);
    }

    #[test]
    fn a_limit_is_used_up_only_when_nothing_is_left() {
        let usd = |text| Usd::parse(text).unwrap();
        for (used, limit, shown) in [
            ("0", "200", "0%"),
            ("0.01", "200", "<1%"),
            ("1", "200", "<1%"),
            ("2", "200", "1%"),
            ("199.99", "200", "99%"),
            ("200", "200", "100%"),
            ("275.02", "200", "137%"),
            ("5", "0", "100%"),
            ("0", "0", "100%"),
            ("2500", "100", "2,500%"),
        ] {
            let state = LimitState {
                client_org_id: OrganizationId::new("a").unwrap(),
                month: BillingMonth::of(day("2026-11-22")),
                subject: LimitSubject::Organization,
                limit: usd(limit),
                spent: usd(used),
                pending: Usd::ZERO,
            };
            assert_eq!(used_percent(English, &state), shown, "{used} of {limit}");
        }
    }

    #[test]
    fn days_and_months_have_their_names() {
        let sunday = day("2026-11-22");
        assert_eq!(
            (date(English, sunday).as_str(), date(Polish, sunday).as_str()),
            ("22\u{a0}Nov\u{a0}2026", "22\u{a0}lis\u{a0}2026")
        );
        assert_eq!(
            (short_date(English, sunday).as_str(), weekday(Polish, sunday)),
            ("22\u{a0}Nov", "niedz.")
        );
        assert_eq!(
            (month(English, sunday).as_str(), month(Polish, day("2026-02-01")).as_str()),
            ("November 2026", "luty 2026")
        );
        assert_eq!(weekday(English, day("2026-11-23")), "Mon");
        assert_eq!(short_month(Polish, day("2026-10-01")), "paź");
    }

    #[test]
    fn instants_are_on_the_organizations_clock() {
        // Half past eleven in the evening in UTC is the next day in Warsaw.
        let at = UnixTime::from_seconds(1_784_158_200);
        assert_eq!(instant(English, OrganizationCalendar::default(), at), "16\u{a0}Jul\u{a0}2026, 01:30");
    }

    #[test]
    fn how_long_ago_has_the_right_plural() {
        let now = UnixTime::from_seconds(100_000_000);
        let shown = |language, seconds: i64| ago(language, now, now.plus_seconds(-seconds));
        assert_eq!(
            [0, 59, 60, 300].map(|seconds| shown(English, seconds)),
            ["just now", "just now", "1 minute ago", "5 minutes ago"]
        );
        assert_eq!(
            [60, 180, 300, 7_200, 172_800].map(|seconds| shown(Polish, seconds)),
            ["1 minutę temu", "3 minuty temu", "5 minut temu", "2 godziny temu", "2 dni temu"]
        );
        // A clock that is a little behind does not foretell.
        assert_eq!(shown(English, -30), "just now");
    }

    /// The goldens of the original's formatting.
    #[test]
    fn money_is_the_same_in_both_languages() {
        let usd = ["0", "0.000123", "0.0000001", "0.00999999", "0.01", "12345.678", "-3.5"]
            .map(|text| display::usd(Usd::parse(text).unwrap()));
        assert_eq!(usd, ["$0.00", "$0.000123", "$0.000000", "$0.010000", "$0.01", "$12,345.68", "-$3.50"]);
        assert_eq!(
            display::dual(Usd::from_nanos(1_000_000_000), Some(Pln::from_grosz(123_450))),
            "$1.00 (1234,50\u{a0}zł)"
        );
        assert_eq!(rate(Polish, UsdPlnRate::parse("3.637").unwrap()), "3,6370");
    }
}
