//! What programs have written down as JSON, as names and values that people can read.

use serde_json::Value;

use super::frame::Frame;

/// How many entries of a list are shown; longer lists say how many more there are.
const SHOWN: usize = 10;

/// The fields of a JSON object in their order, those of objects within behind a point. What is no object has one
/// value without a name.
pub(crate) fn pairs(frame: &Frame, json: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    match serde_json::from_str(json) {
        Ok(value) => collect(frame, "", &value, &mut found),
        Err(_) => found.push((String::new(), json.to_owned())),
    }
    found
}

fn collect(frame: &Frame, name: &str, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let name = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
                collect(frame, &name, value, found);
            }
        }
        Value::Array(values) if values.iter().any(|value| value.is_object() || value.is_array()) => {
            for (place, value) in (1..).zip(values.iter().take(SHOWN)) {
                collect(frame, &format!("{name}.{place}"), value, found);
            }
            if let Some(more) = values.len().checked_sub(SHOWN).filter(|more| *more > 0) {
                let more = i64::try_from(more).unwrap_or(i64::MAX);
                found.push((name.to_owned(), frame.language.count("ops-more", more)));
            }
        }
        Value::Array(values) => {
            let texts: Vec<String> = values.iter().map(|value| text(frame, value)).collect();
            found.push((name.to_owned(), if texts.is_empty() { "–".to_owned() } else { texts.join(", ") }));
        }
        other => found.push((name.to_owned(), text(frame, other))),
    }
}

fn text(frame: &Frame, value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::Bool(true) => frame.t("ops-yes"),
        Value::Bool(false) => frame.t("ops-no"),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
