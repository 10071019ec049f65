//! Forms that change something: who sends them, what was wrong with them, and what was done.
//!
//! A form is sent by POST and carries the proof of its session. A change that was made sends its reader on to a
//! page whose address says so; one that was refused shows the form again with the reason.

use std::fmt;

use actix_web::{HttpResponse, http::StatusCode};
use mai_primitives::Usd;
use serde::Deserialize;

use super::{
    address::{Address, DONE},
    figures::Notice,
    frame::Frame,
    language::Language,
    visit::{Visit, redirect},
};
use crate::api::{ApiError, caller::Caller};

/// A form that asks nothing but to be sure.
#[derive(Deserialize)]
pub(crate) struct Proof {
    /// See [`sender`].
    #[serde(default)]
    pub(crate) csrf_token: String,
}

/// Whoever sent a form, with the proof that it carries.
pub(crate) async fn sender(visit: &Visit, proof: &str) -> Result<Caller, ApiError> {
    Caller::of_form(&visit.request, &visit.api, proof).await
}

/// On to a page that says what was done, by the key of a text that [`done`] knows there.
pub(crate) fn onward(to: &Address, done: &str) -> HttpResponse {
    redirect(&to.with(&[(DONE, done)]).link())
}

/// What the address says was done, if it is one of `known`; an address can be written by anybody.
pub(crate) fn done(visit: &Visit, known: &[&str]) -> Option<Notice> {
    let said = visit.address.get(DONE)?;
    let key = known.iter().find(|key| **key == said)?;
    Some(Notice { kind: "info", text: visit.language.text(key) })
}

/// What was wrong with a form: the text that `texts` has for the field or the code of the refusal, or what the
/// service says. Anything but the sender's own mistake is an error.
pub(crate) fn refused(frame: &Frame, refusal: ApiError, texts: &[(&str, &str)]) -> Result<Notice, ApiError> {
    let is_own = [StatusCode::BAD_REQUEST, StatusCode::CONFLICT, StatusCode::UNPROCESSABLE_ENTITY];
    if !is_own.contains(&refusal.status) {
        return Err(refusal);
    }
    let named = |wanted: &str| texts.iter().find(|(name, _)| *name == wanted).map(|(_, key)| frame.t(key));
    let text = refusal.field.and_then(named).or_else(|| named(refusal.code));
    Ok(Notice { kind: "bad", text: text.unwrap_or_else(|| frame.with("form-refused", &refusal.message)) })
}

/// An amount of USD as people write it, with a point or a comma. `1,000` is refused: some mean a thousand by it.
pub(crate) fn usd(field: &'static str, text: &str) -> Result<Usd, ApiError> {
    let text = text.trim();
    let is_ambiguous = text
        .split_once(',')
        .is_some_and(|(whole, rest)| rest.len() == 3 && !whole.trim_start_matches(['0', '-']).is_empty());
    let plain = Some(text.replace(',', ".")).filter(|_| !is_ambiguous);
    let amount = plain.and_then(|plain| Usd::parse(&plain).ok());
    amount.ok_or_else(|| ApiError::field(field, "is no amount in USD, or could be two"))
}

/// An amount as it is written into a field: `12.5`, in Polish `12,5`. Three places get a fourth there, without which
/// [`usd`] takes it for what could be a thousand.
pub(crate) fn amount(language: Language, amount: impl fmt::Display) -> String {
    let text = amount.to_string();
    match text.split_once('.') {
        Some((whole, places)) if language == Language::Polish && places.len() == 3 => {
            format!("{whole},{places}0")
        }
        Some((whole, places)) if language == Language::Polish => format!("{whole},{places}"),
        _ => text,
    }
}

/// What a form says by `true` or `false`.
pub(crate) fn yes_or_no(field: &'static str, text: &str) -> Result<bool, ApiError> {
    text.parse().map_err(|_| ApiError::field(field, "must be true or false"))
}

/// A question before something that cannot be undone, which names the thing. It stands in the page, because it works
/// without script that way.
pub(crate) struct Confirm {
    /// What is asked.
    pub(crate) title: String,
    /// What will happen.
    pub(crate) text: String,
    /// Where the form goes.
    pub(crate) action: String,
    /// What it carries beside the proof.
    pub(crate) fields: Vec<(&'static str, String)>,
    /// What its button says.
    pub(crate) submit: String,
    /// Where one goes who does not want it.
    pub(crate) cancel: String,
}

#[cfg(test)]
mod tests {
    use mai_primitives::Pln;

    use super::*;

    #[test]
    fn an_amount_is_what_its_writer_means_or_none() {
        for (text, nanos) in [
            ("12.5", 12_500_000_000),
            (" 12,50 ", 12_500_000_000),
            ("0,125", 125_000_000),
            ("1.000", 1_000_000_000),
        ] {
            assert_eq!(usd("cost", text).unwrap(), Usd::from_nanos(nanos), "{text}");
        }
        for text in ["1,000", "12,345", "1,000.50", "1.000,50", "", "x"] {
            assert_eq!(usd("cost", text).unwrap_err().field, Some("cost"), "{text}");
        }
    }

    #[test]
    fn an_amount_stands_in_a_field_as_it_is_read_from_there() {
        for (nanos, english, polish) in [
            (200_000_000_000, "200", "200"),
            (12_500_000_000, "12.5", "12,5"),
            (12_125_000_000, "12.125", "12,1250"),
            (1_000_000_001, "1.000000001", "1,000000001"),
        ] {
            let limit = Usd::from_nanos(nanos);
            let shown = [Language::English, Language::Polish].map(|language| amount(language, limit));
            assert_eq!(shown, [english, polish]);
            for text in shown {
                assert_eq!(usd("cost", &text).unwrap(), limit, "{text}");
            }
        }
        assert_eq!(amount(Language::Polish, Pln::parse("79.00").unwrap()), "79,00");
    }
}
