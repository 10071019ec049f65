//! Walks the top-level members of a JSON object and says where in the text they stand; and the elements of an array.
//!
//! With the positions a member can be replaced or cut out while every other byte stays as its sender wrote it. The whole
//! text is validated on the way, without recursion and without a tree.

use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// One member of the object, as it stands in the text.
pub(crate) struct Member<'a> {
    /// The key with its quotes and escapes.
    raw_key: &'a str,
    /// The value as it was written.
    pub(crate) value: &'a str,
    /// From the key's opening quote to the end of the value.
    pub(crate) span: Range<usize>,
}

impl Member<'_> {
    /// Where the value stands.
    pub(crate) fn value_span(&self) -> Range<usize> {
        self.span.end.saturating_sub(self.value.len())..self.span.end
    }

    /// The key is one of `names`, however it is escaped.
    pub(crate) fn name_of(&self, names: &[&'static str]) -> Option<&'static str> {
        let plain = self.raw_key.trim_matches('"');
        if !plain.contains('\\') {
            return names.iter().find(|name| **name == plain).copied();
        }
        let decoded: String = serde_json::from_str(self.raw_key).ok()?;
        names.iter().find(|name| **name == decoded).copied()
    }
}

/// Calls `on_member` for every top-level member in order. An error means that `body` is not one valid JSON object.
pub(crate) fn visit_members<'a>(body: &'a [u8], on_member: impl FnMut(Member<'a>)) -> serde_json::Result<()> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    Members { body, on_member }.deserialize(&mut deserializer)?;
    deserializer.end()
}

struct Members<'a, F> {
    body: &'a [u8],
    on_member: F,
}

impl<'a, F: FnMut(Member<'a>)> DeserializeSeed<'a> for Members<'a, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a, F: FnMut(Member<'a>)> Visitor<'a> for Members<'a, F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((key, value)) = map.next_entry::<&'a RawValue, &'a RawValue>()? {
            let (raw_key, value) = (key.get(), value.get());
            let start = offset(self.body, raw_key);
            let end = offset(self.body, value).saturating_add(value.len());
            (self.on_member)(Member { raw_key, value, span: start..end });
        }
        Ok(())
    }
}

/// Calls `on_element` with the text of every element in order. An error means that `body` is not one valid JSON array.
pub(crate) fn visit_elements<'a>(body: &'a [u8], on_element: impl FnMut(&'a str)) -> serde_json::Result<()> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    Elements(on_element).deserialize(&mut deserializer)?;
    deserializer.end()
}

struct Elements<F>(F);

impl<'a, F: FnMut(&'a str)> DeserializeSeed<'a> for Elements<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'a, F: FnMut(&'a str)> Visitor<'a> for Elements<F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON array")
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut sequence: A) -> Result<(), A::Error> {
        while let Some(element) = sequence.next_element::<&'a RawValue>()? {
            (self.0)(element.get());
        }
        Ok(())
    }
}

/// Where `part`, which was borrowed from `whole`, begins in it.
fn offset(whole: &[u8], part: &str) -> usize {
    part.as_ptr().addr().saturating_sub(whole.as_ptr().addr())
}
