//! The few header lines that matter in a form: `Content-Disposition` and parameters (RFC 2045, section 5.1).

use std::borrow::Cow;

/// A field of a form that the gateway reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldName {
    Model,
    Stream,
    User,
}

/// What a part of a form is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A file, another field, or what stands before the first part.
    Skipped,
    Field(FieldName),
}

/// What the part is by a `Content-Disposition` header line; none for every other line.
pub(super) fn disposition(line: &str) -> Option<Part> {
    let (name, value) = line.split_once(':')?;
    if !name.trim().eq_ignore_ascii_case("content-disposition") {
        return None;
    }
    let (kind, rest) = value.split_once(';').unwrap_or((value, ""));
    let mut part = Part::Skipped;
    for (name, value) in parameters(rest) {
        if name.eq_ignore_ascii_case("filename") || name.eq_ignore_ascii_case("filename*") {
            return Some(Part::Skipped);
        }
        if name.eq_ignore_ascii_case("name") {
            part = match value.as_ref() {
                "model" => Part::Field(FieldName::Model),
                "stream" => Part::Field(FieldName::Stream),
                "user" => Part::Field(FieldName::User),
                _ => Part::Skipped,
            };
        }
    }
    let is_field = kind.trim().eq_ignore_ascii_case("form-data");
    Some(if is_field { part } else { Part::Skipped })
}

/// The parameters of a header value, from behind its first semicolon: names as written, values without their quotes.
pub(super) fn parameters(text: &str) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start_matches([' ', '\t', ';']);
            if rest.is_empty() {
                return None;
            }
            let end = rest.find(['=', ';']).unwrap_or(rest.len());
            let (name, after) = rest.split_at_checked(end)?;
            let Some(value) = after.strip_prefix('=') else {
                // A name without a value.
                rest = after;
                continue;
            };
            let (value, after) = parameter_value(value.trim_start());
            rest = after;
            return Some((name.trim(), value));
        }
    })
}

/// A quoted or bare value, and what follows it.
fn parameter_value(text: &str) -> (Cow<'_, str>, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at_checked(text.find(';').unwrap_or(text.len())).unwrap_or((text, ""));
        return (Cow::Borrowed(value.trim_end()), rest);
    };
    let mut value = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => value.extend(characters.next()),
            _ => value.push(character),
        }
    }
    // What stands between the closing quote and the next semicolon means nothing.
    let rest = characters.as_str();
    (
        Cow::Owned(value),
        rest.split_at_checked(rest.find(';').unwrap_or(rest.len())).map_or("", |(_, rest)| rest),
    )
}
