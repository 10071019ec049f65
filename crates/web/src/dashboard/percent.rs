//! The markup as people say it: 30 percent are the factor 1.3.

use mai_primitives::MarkupRate;

use super::{language::Language, visit::Visit};
use crate::api::ApiError;

/// Parts per million in a percent.
const PERCENT: i64 = 10_000;
/// The digits of [`PERCENT`] behind the point.
const PLACES: usize = 4;

/// The rate that is so many percent above the raw cost, with a point or a comma; none of an empty text.
pub(crate) fn markup(field: &'static str, text: &str) -> Result<Option<MarkupRate>, ApiError> {
    let text = text.trim().trim_end_matches('%').trim_end().replace(',', ".");
    if text.is_empty() {
        return Ok(None);
    }
    let refused = || ApiError::field(field, "must be percent with at most four decimals, such as 30 or 12.5");
    let ppm = parts(&text).and_then(|parts| parts.checked_add(100 * PERCENT)).ok_or_else(refused)?;
    MarkupRate::from_ppm(ppm).map(Some).map_err(|_| refused())
}

/// Percent in parts per million.
fn parts(text: &str) -> Option<i64> {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if digits.is_empty() || !is_number(digits) || !is_number(places) || places.len() > PLACES {
        return None;
    }
    let places: i64 = format!("{places:0<PLACES$}").parse().ok()?;
    let magnitude = digits.parse::<i64>().ok()?.checked_mul(PERCENT)?.checked_add(places)?;
    Some(if whole.starts_with('-') { -magnitude } else { magnitude })
}

/// A rate as it is written into a field: `30`, `12.5`, in Polish `12,5`.
pub(crate) fn of_markup(language: Language, rate: MarkupRate) -> String {
    let parts = rate.ppm().saturating_sub(100 * PERCENT);
    let (whole, places) =
        (parts.unsigned_abs() / PERCENT.unsigned_abs(), parts.unsigned_abs() % PERCENT.unsigned_abs());
    let sign = if parts < 0 { "-" } else { "" };
    let point = if language == Language::Polish { ',' } else { '.' };
    match format!("{places:04}").trim_end_matches('0') {
        "" => format!("{sign}{whole}"),
        places => format!("{sign}{whole}{point}{places}"),
    }
}

/// The markup of organizations that have none of their own.
pub(crate) async fn default_markup(visit: &Visit) -> Result<String, ApiError> {
    let settings = visit.api.services.global_settings_db.get_settings().await?;
    let rate = settings.map_or(MarkupRate::DEFAULT, |row| row.default_markup_rate);
    Ok(of_markup(visit.language, rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_are_a_factor_and_back() {
        for (text, ppm, english, polish) in [
            ("30", 1_300_000, "30", "30"),
            (" 12,5 %", 1_125_000, "12.5", "12,5"),
            ("0", 1_000_000, "0", "0"),
            ("-2.25", 977_500, "-2.25", "-2,25"),
            ("0.0001", 1_000_001, "0.0001", "0,0001"),
        ] {
            let rate = markup("markup", text).unwrap().unwrap();
            assert_eq!(rate.ppm(), ppm, "{text}");
            let shown = [Language::English, Language::Polish].map(|language| of_markup(language, rate));
            assert_eq!(shown, [english, polish], "{text}");
        }
        assert_eq!(markup("markup", "  ").unwrap(), None);
        for wrong in ["x", "1.00001", "-100", "-", ".5", "1e3", "99999999999999999999", "1.2.3", "--1"] {
            assert_eq!(markup("markup", wrong).unwrap_err().field, Some("markup"), "{wrong}");
        }
    }
}
