//! An incremental scan of the keys of one JSON object, at its top level and in one named object directly below.
//!
//! The gateway must find a few small values (id, model, usage) in answers of any size without holding the answer back or
//! copying it. A tree or token parser would have to allocate for every string of the answer; this one skips what it does
//! not want, at memory speed inside strings, and keeps only the raw bytes of the wanted values, each up to a cap.
//!
//! It checks as much of the grammar as it needs to know where those levels are. Inside an unwanted value it counts
//! brackets without pairing their kinds and does not look at numbers, so it accepts some texts that are no JSON.
//! Wanted values are parsed again by their reader.

mod slot;

use memchr::memchr2;
use slot::Slot;
pub(crate) use slot::Value;

/// Deeper nesting than this is taken for an attack; the scan gives up.
const MAX_DEPTH: u32 = 1_000_000;

/// Longest key kept for comparison, in raw bytes: 20 characters, each written as a `\uXXXX` escape.
const MAX_KEY: usize = 120;

/// A key (at most 20 characters) and the longest raw value that is kept of it, in bytes.
pub(crate) type Key = (&'static str, usize);

/// What a scan looks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Keys of the top level.
    pub(crate) top: &'static [Key],
    /// The key of an object at the top level, and keys of that object. Without keys the name makes no difference.
    pub(crate) inner: (&'static str, &'static [Key]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the opening brace.
    Start,
    /// After an opening brace: a key or the closing brace.
    FirstKey,
    /// After a comma: a key.
    NextKey,
    Key,
    Colon,
    BeforeValue,
    StringValue,
    /// Inside an array or object of which only the brackets are counted; this many are open.
    Nested {
        depth: u32,
        in_string: bool,
    },
    Scalar,
    AfterValue,
    Complete,
    Broken,
}

/// What the value that follows is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Nothing,
    /// It goes to the slot with this index, at the level that is being read.
    Slot(usize),
    /// It is the object whose own keys are wanted, if it is an object.
    Inner,
}

/// Push parser over one JSON object; see the module text.
///
/// Memory is bounded by the caps of the wanted values, whatever is fed.
#[derive(Debug)]
pub(crate) struct JsonScan {
    state: State,
    /// The last byte of a string was a backslash.
    escaped: bool,
    key: Vec<u8>,
    key_too_long: bool,
    top: Vec<Slot>,
    inner_name: &'static str,
    inner: Vec<Slot>,
    /// The keys being read are those of the inner object.
    inside: bool,
    target: Target,
}

impl JsonScan {
    /// A scan at the beginning of an object.
    pub(crate) fn new(wanted: Wanted) -> Self {
        let (inner_name, inner) = wanted.inner;
        Self {
            state: State::Start,
            escaped: false,
            key: Vec::new(),
            key_too_long: false,
            top: wanted.top.iter().map(Slot::new).collect(),
            inner_name,
            inner: inner.iter().map(Slot::new).collect(),
            inside: false,
            target: Target::Nothing,
        }
    }

    /// Forgets the object read so far and keeps the buffers for the next one.
    pub(crate) fn reset(&mut self) {
        self.state = State::Start;
        self.inside = false;
        self.target = Target::Nothing;
        for slot in self.top.iter_mut().chain(&mut self.inner) {
            slot.forget();
        }
    }

    /// Reads the next piece, cut anywhere. What follows the object is not read.
    pub(crate) fn feed(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while !rest.is_empty() && !matches!(self.state, State::Complete | State::Broken) {
            rest = self.step(rest);
        }
    }

    /// The closing brace of the object was read.
    pub(crate) fn is_complete(&self) -> bool {
        self.state == State::Complete
    }

    /// The value of a wanted key of the top level; of a repeated key the last one.
    pub(crate) fn value(&self, name: &str) -> Value<'_> {
        self.top.iter().find(|slot| slot.name == name).map_or(Value::Absent, Slot::value)
    }

    /// The value of a wanted key of the inner object; of a repeated object or key the last one.
    pub(crate) fn inner_value(&self, name: &str) -> Value<'_> {
        self.inner.iter().find(|slot| slot.name == name).map_or(Value::Absent, Slot::value)
    }

    /// Bytes of heap held for what was read.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn capacity(&self) -> usize {
        let slots = self.top.iter().chain(&self.inner);
        slots.fold(self.key.capacity(), |sum, slot| sum.saturating_add(slot.capacity()))
    }

    /// Reads one token or as much of it as there is, and returns what follows.
    fn step<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        match self.state {
            State::Key => self.read_key(input),
            State::StringValue => self.read_string(input),
            State::Nested { depth, in_string } => self.read_nested(input, depth, in_string),
            State::Scalar => self.read_scalar(input),
            _ => self.read_structure(input),
        }
    }

    /// Whitespace, and the punctuation of the levels that are read.
    fn read_structure<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        let Some((&byte, rest)) = input.split_first() else { return input };
        if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
            return rest;
        }
        self.state = match (self.state, byte) {
            (State::Start, b'{') => State::FirstKey,
            (State::FirstKey | State::NextKey, b'"') => {
                self.key.clear();
                self.key_too_long = false;
                self.escaped = false;
                State::Key
            }
            (State::FirstKey | State::AfterValue, b'}') if self.inside => {
                self.inside = false;
                State::AfterValue
            }
            (State::FirstKey | State::AfterValue, b'}') => State::Complete,
            (State::Colon, b':') => State::BeforeValue,
            (State::BeforeValue, _) => return self.begin_value(byte, input, rest),
            (State::AfterValue, b',') => State::NextKey,
            _ => State::Broken,
        };
        rest
    }

    fn begin_value<'a>(&mut self, byte: u8, input: &'a [u8], rest: &'a [u8]) -> &'a [u8] {
        self.escaped = false;
        self.state = match byte {
            b'{' if self.target == Target::Inner => {
                self.inside = true;
                State::FirstKey
            }
            b'"' => State::StringValue,
            b'{' | b'[' => State::Nested { depth: 1, in_string: false },
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                self.state = State::Scalar;
                return input;
            }
            _ => State::Broken,
        };
        self.capture(&[byte]);
        rest
    }

    fn read_key<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        let (text, rest, closed) = split_string(input, &mut self.escaped);
        if self.key_too_long || self.key.len().saturating_add(text.len()) > MAX_KEY {
            self.key_too_long = true;
        } else {
            self.key.extend_from_slice(text);
        }
        if closed {
            self.target = self.wanted_target();
            if let Some(slot) = self.target_slot() {
                slot.open();
            }
            if self.target == Target::Inner {
                // Of a repeated object only the last one counts.
                for slot in &mut self.inner {
                    slot.forget();
                }
            }
            self.state = State::Colon;
        }
        rest
    }

    /// What the key just read names; the key buffer holds its raw text with the closing quote.
    fn wanted_target(&self) -> Target {
        if self.key_too_long {
            return Target::Nothing;
        }
        let raw = self.key.strip_suffix(b"\"").unwrap_or(&self.key);
        if !raw.contains(&b'\\') {
            return self.target_of(raw);
        }
        let quoted = [b"\"", self.key.as_slice()].concat();
        serde_json::from_slice::<String>(&quoted)
            .map_or(Target::Nothing, |name| self.target_of(name.as_bytes()))
    }

    fn target_of(&self, name: &[u8]) -> Target {
        let slots = if self.inside { &self.inner } else { &self.top };
        if let Some(index) = slots.iter().position(|slot| slot.name.as_bytes() == name) {
            return Target::Slot(index);
        }
        let is_inner = !self.inside && name == self.inner_name.as_bytes();
        if is_inner { Target::Inner } else { Target::Nothing }
    }

    fn read_string<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        let (text, rest, closed) = split_string(input, &mut self.escaped);
        self.capture(text);
        if closed {
            self.end_value();
        }
        rest
    }

    fn read_scalar<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        let is_scalar = |byte: &u8| matches!(byte, b'+' | b'-' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'E');
        let length = input.iter().position(|byte| !is_scalar(byte)).unwrap_or(input.len());
        let (text, rest) = input.split_at_checked(length).unwrap_or((input, &[]));
        self.capture(text);
        if !rest.is_empty() {
            self.end_value();
        }
        rest
    }

    fn read_nested<'a>(&mut self, input: &'a [u8], mut depth: u32, mut in_string: bool) -> &'a [u8] {
        let mut rest = input;
        while !rest.is_empty() {
            if in_string {
                let (_, after, closed) = split_string(rest, &mut self.escaped);
                rest = after;
                in_string = !closed;
                continue;
            }
            let is_mark = |byte: &u8| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']');
            let Some(mark) = rest.iter().position(is_mark) else {
                rest = &[];
                break;
            };
            let Some((&byte, after)) = rest.get(mark..).and_then(<[u8]>::split_first) else { break };
            rest = after;
            match byte {
                b'"' => in_string = true,
                b'{' | b'[' => depth = depth.saturating_add(1),
                _ => depth = depth.saturating_sub(1),
            }
            if depth == 0 || depth > MAX_DEPTH {
                break;
            }
        }
        let used = input.len().saturating_sub(rest.len());
        self.capture(input.get(..used).unwrap_or(input));
        match depth {
            0 => self.end_value(),
            1..=MAX_DEPTH => self.state = State::Nested { depth, in_string },
            _ => self.state = State::Broken,
        }
        rest
    }

    fn end_value(&mut self) {
        if let Some(slot) = self.target_slot() {
            slot.close();
        }
        self.target = Target::Nothing;
        self.state = State::AfterValue;
    }

    fn capture(&mut self, piece: &[u8]) {
        if let Some(slot) = self.target_slot() {
            slot.push(piece);
        }
    }

    fn target_slot(&mut self) -> Option<&mut Slot> {
        let Target::Slot(index) = self.target else { return None };
        let slots = if self.inside { &mut self.inner } else { &mut self.top };
        slots.get_mut(index)
    }
}

/// Splits `input`, which lies inside a string, after the closing quote.
///
/// Returns the text with the quote, what follows, and whether the string ended. `escaped` carries a trailing backslash
/// from piece to piece.
fn split_string<'a>(input: &'a [u8], escaped: &mut bool) -> (&'a [u8], &'a [u8], bool) {
    let mut at = 0;
    while let Some(rest) = input.get(at..).filter(|rest| !rest.is_empty()) {
        if *escaped {
            *escaped = false;
            at += 1;
            continue;
        }
        let Some(found) = memchr2(b'"', b'\\', rest) else { break };
        at += found + 1;
        if rest.get(found) == Some(&b'\\') {
            *escaped = true;
        } else {
            let (text, rest) = input.split_at_checked(at).unwrap_or((input, &[]));
            return (text, rest, true);
        }
    }
    (input, &[], false)
}

#[cfg(test)]
mod tests;
