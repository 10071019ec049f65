//! The languages of the pages and their texts.
//!
//! Texts stand in `locales/en` and `locales/pl`, whose files have the same keys; a test compares them and
//! finds text that stands in a template instead. Fluent knows the plural forms, of which Polish has three.

use std::sync::LazyLock;

use actix_web::{HttpRequest, http::header};
use fluent_bundle::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle};
use unic_langid::LanguageIdentifier;

use super::format;

/// A language of the pages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Language {
    /// English, also for whoever asks for a language that we do not have.
    #[default]
    English,
    /// Polish.
    Polish,
}

/// The texts of each language as they stand in the files.
const ENGLISH_TEXTS: [&str; 5] = [
    include_str!("../../locales/en/common.ftl"),
    include_str!("../../locales/en/limits.ftl"),
    include_str!("../../locales/en/members.ftl"),
    include_str!("../../locales/en/statements.ftl"),
    include_str!("../../locales/en/reseller.ftl"),
];
const POLISH_TEXTS: [&str; 5] = [
    include_str!("../../locales/pl/common.ftl"),
    include_str!("../../locales/pl/limits.ftl"),
    include_str!("../../locales/pl/members.ftl"),
    include_str!("../../locales/pl/statements.ftl"),
    include_str!("../../locales/pl/reseller.ftl"),
];

static ENGLISH: LazyLock<FluentBundle<FluentResource>> = LazyLock::new(|| bundle("en", &ENGLISH_TEXTS));
static POLISH: LazyLock<FluentBundle<FluentResource>> = LazyLock::new(|| bundle("pl", &POLISH_TEXTS));

/// What cannot be read is left out; a test sees to it that everything can.
fn bundle(code: &str, files: &[&str]) -> FluentBundle<FluentResource> {
    let language: LanguageIdentifier = code.parse().unwrap_or_default();
    let mut bundle = FluentBundle::new_concurrent(vec![language]);
    // The marks around what is put in are for texts of mixed directions, which these are not.
    bundle.set_use_isolating(false);
    for texts in files {
        let resource = FluentResource::try_new((*texts).to_owned()).unwrap_or_else(|(readable, errors)| {
            tracing::error!(code, ?errors, "a text of the pages cannot be read");
            readable
        });
        if let Err(errors) = bundle.add_resource(resource) {
            tracing::error!(code, ?errors, "a text of the pages is there twice");
        }
    }
    bundle
}

impl Language {
    /// Its code in HTML, cookies and addresses.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Polish => "pl",
        }
    }

    /// The language of a code such as `pl` or `pl-PL`.
    pub(crate) fn of_code(code: &str) -> Option<Self> {
        match code.split('-').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "en" => Some(Self::English),
            "pl" => Some(Self::Polish),
            _ => None,
        }
    }

    /// The language that a browser likes best among ours.
    pub(crate) fn accepted(request: &HttpRequest) -> Self {
        let header = request.headers().get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let mut best = (0, Self::default());
        for part in header.unwrap_or_default().split(',') {
            let (code, quality) = part.split_once(';').unwrap_or((part, "q=1"));
            let quality = thousandths(quality.trim().trim_start_matches("q="));
            if let Some(language) = Self::of_code(code)
                && quality > best.0
            {
                best = (quality, language);
            }
        }
        best.1
    }

    /// The text of a key.
    pub(crate) fn text(self, key: &str) -> String {
        self.format(key, None)
    }

    /// The text of a key with `$value` in it.
    pub(crate) fn with(self, key: &str, value: &str) -> String {
        self.with_all(key, &[("value", value)])
    }

    /// The text of a key with several values in it.
    pub(crate) fn with_all(self, key: &str, values: &[(&'static str, &str)]) -> String {
        let mut arguments = FluentArgs::new();
        for (name, value) in values {
            arguments.set(*name, FluentValue::from(*value));
        }
        self.format(key, Some(&arguments))
    }

    /// The text of a key for `$n` of something; `$shown` is the number as it is written.
    pub(crate) fn count(self, key: &str, n: i64) -> String {
        let mut arguments = FluentArgs::new();
        arguments.set("n", FluentValue::from(n));
        arguments.set("shown", FluentValue::from(format::number(self, n)));
        self.format(key, Some(&arguments))
    }

    fn format(self, key: &str, arguments: Option<&FluentArgs<'_>>) -> String {
        let bundle = match self {
            Self::English => &ENGLISH,
            Self::Polish => &POLISH,
        };
        let Some(pattern) = bundle.get_message(key).and_then(|message| message.value()) else {
            tracing::error!(key, "a text of the pages is missing");
            return key.to_owned();
        };
        let mut errors = Vec::new();
        let text = bundle.format_pattern(pattern, arguments, &mut errors).into_owned();
        if !errors.is_empty() {
            tracing::error!(key, ?errors, "a text of the pages lacks a value");
        }
        text
    }
}

/// A quality of `Accept-Language` in thousandths; what is none is 0.
fn thousandths(text: &str) -> u32 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    match (whole.parse::<u32>(), digits.parse::<u32>()) {
        (Ok(whole), Ok(fraction)) => whole.saturating_mul(1_000).saturating_add(fraction).min(1_000),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use actix_web::test::TestRequest;

    use super::*;

    fn accepted(header: &str) -> Language {
        let request = TestRequest::default().insert_header((header::ACCEPT_LANGUAGE, header));
        Language::accepted(&request.to_http_request())
    }

    #[test]
    fn the_browser_says_which_language() {
        assert_eq!(accepted("pl-PL,pl;q=0.9,en-US;q=0.8"), Language::Polish);
        assert_eq!(accepted("de, en;q=0.5, pl;q=0.75"), Language::Polish);
        assert_eq!(accepted("en-GB, pl"), Language::English);
        for other in ["", "de", "pl;q=0", "*;q=1", ";;q", "pl;q=x"] {
            assert_eq!(accepted(other), Language::English, "{other}");
        }
    }

    /// Keys and the names of their values.
    fn keys(files: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
        let texts = files.concat();
        let resource = FluentResource::try_new(texts.clone()).map_err(|(_, errors)| errors).unwrap();
        let count = resource.entries().count();
        let mut found = BTreeMap::new();
        let mut last = String::new();
        for line in texts.lines() {
            if let Some((key, _)) =
                line.split_once(" = ").filter(|_| line.starts_with(|c: char| c.is_ascii_lowercase()))
            {
                last = key.to_owned();
                assert!(found.insert(last.clone(), BTreeSet::new()).is_none(), "{last} is there twice");
            }
            for part in line.split('$').skip(1) {
                let name = part.chars().take_while(char::is_ascii_alphanumeric).collect();
                found.get_mut(&last).unwrap().insert(name);
            }
        }
        let comments = texts.lines().filter(|line| line.starts_with('#')).count();
        assert!(count <= found.len() + comments, "{count} entries, {} keys", found.len());
        found
    }

    #[test]
    fn both_languages_have_the_same_texts_with_the_same_values() {
        let (english, polish) = (keys(&ENGLISH_TEXTS), keys(&POLISH_TEXTS));
        assert_eq!(english.keys().collect::<Vec<_>>(), polish.keys().collect::<Vec<_>>());
        for (key, values) in &english {
            // A number may be left out where its word says it, as in "yesterday".
            let named = |values: &BTreeSet<String>| {
                values.iter().filter(|name| *name != "n" && *name != "shown").cloned().collect::<Vec<_>>()
            };
            assert_eq!(named(values), named(&polish[key]), "{key}");
        }
    }

    #[test]
    fn polish_has_three_plural_forms() {
        let forms = [1, 3, 22].map(|n| Language::Polish.count("users-count", n));
        assert_eq!(forms, ["1 użytkownik", "3 użytkowników", "22 użytkowników"]);
        let forms = [1, 2, 5, 12, 22, 25].map(|n| Language::Polish.count("models-count", n));
        assert_eq!(forms, ["1 model", "2 modele", "5 modeli", "12 modeli", "22 modele", "25 modeli"]);
        let forms = [1, 2, 5, 12, 22, 112].map(|n| Language::Polish.count("requests-count", n));
        assert_eq!(forms, ["1 żądanie", "2 żądania", "5 żądań", "12 żądań", "22 żądania", "112 żądań"]);
        assert_eq!([1, 2].map(|n| Language::English.count("requests-count", n)), ["1 request", "2 requests"]);
    }

    /// All files below a folder with their texts.
    fn files(folder: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut folders = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
                }
            }
        }
        found
    }

    #[test]
    fn no_template_has_text_of_its_own() {
        let allowed = [
            "mAI", "Usage", "USD", "PLN", "NBP", "CSV", "XLSX", "JSONL", "EN", "PL", "API", "nbsp", "middot",
        ];
        for (path, text) in files("templates") {
            let mut rest = text.as_str();
            let mut shown = String::new();
            // What askama and HTML mean by their marks is no text.
            while let Some(at) = rest.find(['{', '<']) {
                shown.push_str(&rest[..at]);
                rest = &rest[at..];
                let end = match rest.as_bytes() {
                    [b'{', b'{', ..] => "}}",
                    [b'{', b'%', ..] => "%}",
                    [b'{', b'#', ..] => "#}",
                    [b'<', ..] => ">",
                    _ => "{",
                };
                let over = rest.find(end).unwrap_or_else(|| panic!("{path}: {end} is missing")) + end.len();
                shown.push(' ');
                rest = &rest[over..];
            }
            shown.push_str(rest);
            let words = shown.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
            let foreign: Vec<_> = words.filter(|word| !allowed.contains(word)).collect();
            assert!(foreign.is_empty(), "{path}: {foreign:?}");
            for attribute in ["title=\"", "aria-label=\"", "placeholder=\"", "alt=\""] {
                for value in text.split(attribute).skip(1) {
                    assert!(value.starts_with("{{"), "{path}: {attribute}{}", &value[..value.len().min(20)]);
                }
            }
        }
    }

    #[test]
    fn every_text_is_used_and_every_used_text_is_there() {
        let keys = keys(&ENGLISH_TEXTS);
        let sources = [files("templates"), files("src/dashboard")].concat();
        let all: String = sources
            .iter()
            .filter(|(path, _)| !path.ends_with("language.rs"))
            .map(|(_, text)| text.as_str())
            .collect();
        let unused: Vec<_> = keys.keys().filter(|key| !all.contains(&format!("\"{key}\""))).collect();
        assert!(unused.is_empty(), "no page has {unused:?}");
        for call in [".t(\"", ".text(\"", ".with(\"", ".with_all(\"", ".count(\""] {
            for part in all.split(call).skip(1) {
                let key = part.split('"').next().unwrap();
                assert!(keys.contains_key(key), "{key} has no text");
            }
        }
    }
}
