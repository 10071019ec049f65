//! An incremental parser of server-sent events that holds no event.
//!
//! It follows the parsing rules of the WHATWG HTML standard (section 9.2.6): lines end in LF, CR or CRLF, a leading byte
//! order mark is dropped, lines that begin with a colon are comments, one space after the field's colon is not part of
//! the value, several `data` lines of an event are joined with LF. Data goes to the caller in the pieces in which it
//! arrives, so that an endless line needs no memory.

use memchr::memchr2;

const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// Longest event name kept, in bytes; the known ones are shorter than 40.
const MAX_NAME: usize = 64;

/// What the parser found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// The beginning of a `data` line. The line feed that joins the lines of an event is not part of [`Part::Data`].
    DataLineStart,
    /// A piece of the line's data.
    Data(&'a [u8]),
    /// The end of a `data` line.
    DataLineEnd,
    /// The blank line after an event that had data.
    EventEnd {
        /// The event's name; empty if it had none or one above the cap.
        name: &'a [u8],
        /// What follows the event in the piece that is being read.
        rest: &'a [u8],
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// In the field name, of which these bytes were read.
    Field {
        name: [u8; 5],
        length: usize,
    },
    /// In the value of `data`; `fresh` until its first byte.
    Data {
        fresh: bool,
    },
    Event {
        fresh: bool,
    },
    /// In a comment or an unknown field.
    Ignored,
}

const LINE_START: Line = Line::Field { name: [0; 5], length: 0 };

/// Push parser of an event stream; see the module text.
#[derive(Debug)]
pub(crate) struct SseScan {
    line: Line,
    /// Bytes of the byte order mark seen; 3 once it was read or cannot come any more.
    mark: usize,
    /// The last line ended in CR: an LF that follows belongs to it.
    after_cr: bool,
    has_data: bool,
    name: Vec<u8>,
}

impl SseScan {
    pub(crate) fn new() -> Self {
        Self { line: LINE_START, mark: 0, after_cr: false, has_data: false, name: Vec::new() }
    }

    /// Reads the next piece of the stream, cut anywhere, and calls `on_part` for everything found in it.
    pub(crate) fn feed(&mut self, piece: &[u8], mut on_part: impl FnMut(Part<'_>)) {
        let mut rest = piece;
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while !rest.is_empty() {
            if let Line::Field { name, length } = self.line {
                rest = self.read_field(rest, name, length, &mut on_part);
                continue;
            }
            let end = memchr2(b'\n', b'\r', rest);
            let value = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
            self.read_value(value, &mut on_part);
            rest = rest.get(value.len()..).unwrap_or_default();
            if !rest.is_empty() {
                rest = self.end_line(rest, &mut on_part);
            }
        }
    }

    /// Ends the stream: an event that its blank line did not end yet is ended, as OpenAI's SDK does with its last line.
    pub(crate) fn finish(&mut self, mut on_part: impl FnMut(Part<'_>)) {
        self.end_line(b"\n", &mut on_part);
        self.end_line(b"\n", &mut on_part);
    }

    fn read_field<'a>(
        &mut self,
        input: &'a [u8],
        mut name: [u8; 5],
        mut length: usize,
        on_part: &mut impl FnMut(Part<'_>),
    ) -> &'a [u8] {
        let Some((&byte, rest)) = input.split_first() else { return input };
        if let Some(expected) = BYTE_ORDER_MARK.get(self.mark) {
            if byte == *expected {
                self.mark += 1;
                return rest;
            }
            let broken_mark = self.mark > 0;
            self.mark = BYTE_ORDER_MARK.len();
            if broken_mark {
                self.line = Line::Ignored;
                return input;
            }
        }
        match byte {
            b'\n' | b'\r' => return self.end_line(input, on_part),
            b':' => self.line = self.begin_value(name.get(..length).unwrap_or_default(), on_part),
            _ => match name.get_mut(length) {
                Some(slot) => {
                    *slot = byte;
                    length += 1;
                    self.line = Line::Field { name, length };
                }
                None => self.line = Line::Ignored,
            },
        }
        rest
    }

    fn begin_value(&mut self, name: &[u8], on_part: &mut impl FnMut(Part<'_>)) -> Line {
        match name {
            b"data" => {
                on_part(Part::DataLineStart);
                self.has_data = true;
                Line::Data { fresh: true }
            }
            b"event" => {
                self.name.clear();
                Line::Event { fresh: true }
            }
            _ => Line::Ignored,
        }
    }

    fn read_value(&mut self, value: &[u8], on_part: &mut impl FnMut(Part<'_>)) {
        let without_space = |fresh| if fresh { value.strip_prefix(b" ").unwrap_or(value) } else { value };
        if value.is_empty() {
            return;
        }
        match self.line {
            Line::Data { fresh } => {
                on_part(Part::Data(without_space(fresh)));
                self.line = Line::Data { fresh: false };
            }
            Line::Event { fresh } => {
                self.push_name(without_space(fresh));
                self.line = Line::Event { fresh: false };
            }
            Line::Field { .. } | Line::Ignored => {}
        }
    }

    /// Keeps the name up to one byte above its cap, by which an over-long one is known.
    fn push_name(&mut self, piece: &[u8]) {
        let room = (MAX_NAME + 1).saturating_sub(self.name.len());
        self.name.extend_from_slice(piece.get(..room).unwrap_or(piece));
    }

    /// Ends the line at the CR or LF with which `input` begins.
    fn end_line<'a>(&mut self, input: &'a [u8], on_part: &mut impl FnMut(Part<'_>)) -> &'a [u8] {
        let blank = matches!(self.line, Line::Field { length: 0, .. });
        if let Line::Field { name, length } = self.line {
            // A field name without a colon is a field with an empty value.
            self.line = self.begin_value(name.get(..length).unwrap_or_default(), on_part);
        }
        if matches!(self.line, Line::Data { .. }) {
            on_part(Part::DataLineEnd);
        }
        self.line = LINE_START;
        let rest = self.skip_line_end(input);
        if blank {
            self.end_event(rest, on_part);
        }
        rest
    }

    fn skip_line_end<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        let Some((&byte, rest)) = input.split_first() else { return input };
        if byte == b'\r' {
            self.after_cr = rest.is_empty();
            return rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        rest
    }

    fn end_event(&mut self, rest: &[u8], on_part: &mut impl FnMut(Part<'_>)) {
        if self.has_data {
            let name = if self.name.len() > MAX_NAME { &[] } else { self.name.as_slice() };
            on_part(Part::EventEnd { name, rest });
        }
        self.has_data = false;
        self.name.clear();
    }

    /// Bytes of heap held for what was read.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn capacity(&self) -> usize {
        self.name.capacity()
    }
}

#[cfg(test)]
mod tests;
