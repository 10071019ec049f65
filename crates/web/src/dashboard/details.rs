//! What programs have written down as JSON, as names and values that people can read.

use mai_primitives::{OrganizationCalendar, UnixTime};
use serde_json::Value;

use super::{format, frame::Frame};

/// How many entries of a list are shown; longer lists say how many more there are.
const SHOWN: usize = 10;

/// Whose words and whose times the texts have.
struct Reader<'a> {
    frame: &'a Frame,
    calendar: OrganizationCalendar,
}

/// The fields of a JSON object in their order, those of objects within behind a point. What is no object has one
/// value without a name. Instants, which are Unix seconds there, are shown as times of the calendar.
pub(crate) fn pairs(frame: &Frame, calendar: OrganizationCalendar, json: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    match serde_json::from_str(json) {
        Ok(value) => Reader { frame, calendar }.collect("", &value, &mut found),
        Err(_) => found.push((String::new(), json.to_owned())),
    }
    found
}

impl Reader<'_> {
    fn collect(&self, name: &str, value: &Value, found: &mut Vec<(String, String)>) {
        match value {
            Value::Object(fields) => {
                for (field, value) in fields {
                    let name = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
                    self.collect(&name, value, found);
                }
            }
            Value::Array(values) if values.iter().any(|value| value.is_object() || value.is_array()) => {
                for (place, value) in (1..).zip(values.iter().take(SHOWN)) {
                    self.collect(&format!("{name}.{place}"), value, found);
                }
                if let Some(more) = values.len().checked_sub(SHOWN).filter(|more| *more > 0) {
                    let more = i64::try_from(more).unwrap_or(i64::MAX);
                    found.push((name.to_owned(), self.frame.language.count("ops-more", more)));
                }
            }
            Value::Array(values) => {
                let texts: Vec<String> = values.iter().map(|value| self.text(name, value)).collect();
                found.push((
                    name.to_owned(),
                    if texts.is_empty() { "–".to_owned() } else { texts.join(", ") },
                ));
            }
            other => found.push((name.to_owned(), self.text(name, other))),
        }
    }

    fn text(&self, name: &str, value: &Value) -> String {
        match value {
            Value::Null => "–".to_owned(),
            Value::String(text) => text.clone(),
            Value::Number(seconds) if name.ends_with("_at") || name.ends_with("timestamp") => {
                let at = seconds.as_i64().map(UnixTime::from_seconds);
                at.map_or_else(
                    || seconds.to_string(),
                    |at| format::instant(self.frame.language, self.calendar, at),
                )
            }
            other => other.to_string(),
        }
    }
}
