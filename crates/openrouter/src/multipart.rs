//! An incremental scan of the text fields of a `multipart/form-data` request.
//!
//! A transcription is asked for with a sound file of many megabytes, which passes through to upstream as it comes. The
//! gateway only has to know who asks for which model, so this scan keeps three small fields and skips the rest at memory
//! speed. It follows RFC 7578 (forms) and RFC 2046, section 5.1 (parts): a part ends at a line break, two hyphens and
//! the boundary, if hyphens, white space or the end of the line come next.

mod header;

use header::{FieldName, Part, disposition, parameters};
use memchr::memchr;

/// Longest boundary that RFC 2046 allows, in bytes.
const MAX_BOUNDARY: usize = 70;

/// Longest value kept, in bytes.
const MAX_VALUE: usize = 512;

/// Longest header line of a part that is looked at, in bytes.
const MAX_LINE: usize = 1024;

/// The fields of a form that the gateway reads.
///
/// A value counts when its part has ended. One that is longer than 512 bytes or no UTF-8 does not count, nor does the
/// part of a file. Of a repeated field the first one counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MultipartFields {
    /// The requested model.
    pub model: Option<String>,
    /// Whether a streamed answer is wanted: the text `true` in any case, or `1`. Missing means no.
    pub stream: bool,
    /// The client's own `user`.
    pub user: Option<String>,
    /// The boundary that ends the form was read.
    pub complete: bool,
}

/// Scan of a form that is cut anywhere, see the fields that it finds in [`MultipartFields`].
///
/// Memory stays below 4 KiB, whatever is fed.
#[derive(Debug)]
pub struct MultipartScan {
    /// The line break, hyphens and boundary that end a part.
    delimiter: Vec<u8>,
    state: State,
    /// The header line being read, or the value of the wanted field.
    buffer: Vec<u8>,
    /// The buffer would have been longer than it may be.
    overflow: bool,
    part: Part,
    has_stream: bool,
    fields: MultipartFields,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In the content of a part, of which the last bytes are this many of the delimiter.
    Content {
        matched: usize,
    },
    /// After the delimiter.
    Delimited,
    /// After the delimiter and one hyphen.
    Hyphen,
    /// After the delimiter and a carriage return.
    Return,
    /// In the white space or text behind the delimiter, up to the end of the line.
    Padding,
    Header,
    /// After the last boundary. What follows is no part of the form.
    End,
}

impl MultipartScan {
    /// A scan of the body of a request with this `Content-Type`; none if that is no `multipart/form-data` with a boundary
    /// of 1 to 70 bytes.
    pub fn new(content_type: &str) -> Option<Self> {
        let (kind, rest) = content_type.split_once(';')?;
        if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
            return None;
        }
        let boundary = parameters(rest).find(|(name, _)| name.eq_ignore_ascii_case("boundary"))?.1;
        let is_graphic = boundary.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if boundary.is_empty() || boundary.len() > MAX_BOUNDARY || boundary.ends_with(' ') || !is_graphic {
            return None;
        }
        Some(Self {
            delimiter: [b"\r\n--", boundary.as_bytes()].concat(),
            // The first boundary may stand at the very beginning, where no line break precedes it.
            state: State::Content { matched: 2 },
            buffer: Vec::new(),
            overflow: false,
            part: Part::Skipped,
            has_stream: false,
            fields: MultipartFields::default(),
        })
    }

    /// Reads the next bytes of the body, cut anywhere.
    pub fn feed(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while let Some((&byte, after)) = rest.split_first() {
            rest = match self.state {
                State::Content { matched } => self.read_content(rest, matched),
                State::Header => self.read_header(rest),
                State::End => return,
                State::Padding => {
                    if byte == b'\n' {
                        self.begin_headers();
                    }
                    after
                }
                State::Delimited | State::Hyphen | State::Return => {
                    if self.read_after_delimiter(byte) {
                        after
                    } else {
                        rest
                    }
                }
            };
        }
    }

    /// What was found so far.
    pub fn fields(&self) -> &MultipartFields {
        &self.fields
    }

    /// Bytes of heap held for what was read, found values included.
    #[cfg(any(test, feature = "testing"))]
    pub fn capacity(&self) -> usize {
        let texts =
            [&self.fields.model, &self.fields.user].map(|text| text.as_ref().map_or(0, String::capacity));
        texts.iter().fold(self.buffer.capacity().saturating_add(self.delimiter.capacity()), |sum, held| {
            sum.saturating_add(*held)
        })
    }

    fn read_content<'a>(&mut self, input: &'a [u8], matched: usize) -> &'a [u8] {
        if matched == 0 {
            // Only a carriage return can begin the delimiter.
            let skipped = memchr(b'\r', input).unwrap_or(input.len());
            let (content, rest) = input.split_at_checked(skipped).unwrap_or((input, &[]));
            self.keep_content(content);
            if !rest.is_empty() {
                self.state = State::Content { matched: 1 };
            }
            return rest.get(1..).unwrap_or_default();
        }
        let expected = self.delimiter.get(matched..).unwrap_or_default();
        let same = expected.iter().zip(input).take_while(|(expected, byte)| expected == byte).count();
        let matched = matched.saturating_add(same);
        let rest = input.get(same..).unwrap_or_default();
        if matched == self.delimiter.len() {
            self.state = State::Delimited;
        } else if rest.is_empty() {
            self.state = State::Content { matched };
        } else {
            self.resume_content(matched, &[]);
        }
        rest
    }

    /// Goes on with a content in which some bytes of the delimiter and `then` came by themselves.
    fn resume_content(&mut self, matched: usize, then: &[u8]) {
        if self.part != Part::Skipped {
            let delimiter = std::mem::take(&mut self.delimiter);
            self.keep_content(delimiter.get(..matched).unwrap_or_default());
            self.keep_content(then);
            self.delimiter = delimiter;
        }
        self.state = State::Content { matched: 0 };
    }

    /// Decides with the bytes behind a delimiter whether it is one. False if `byte` must be read again.
    fn read_after_delimiter(&mut self, byte: u8) -> bool {
        let whole = self.delimiter.len();
        match (self.state, byte) {
            (State::Delimited, b'-') => self.state = State::Hyphen,
            (State::Delimited, b'\r') => self.state = State::Return,
            (State::Delimited, b' ' | b'\t') => {
                self.end_part();
                self.state = State::Padding;
            }
            (State::Hyphen, b'-') => {
                self.end_part();
                self.fields.complete = true;
                self.state = State::End;
            }
            (State::Return, b'\n') => {
                self.end_part();
                self.begin_headers();
            }
            (State::Hyphen, _) => {
                self.resume_content(whole, b"-");
                return false;
            }
            (State::Return, _) => {
                self.resume_content(whole, &[]);
                // The carriage return may begin the true delimiter.
                self.state = State::Content { matched: 1 };
                return false;
            }
            _ => {
                self.resume_content(whole, &[]);
                return false;
            }
        }
        true
    }

    fn begin_headers(&mut self) {
        self.part = Part::Skipped;
        self.clear_buffer();
        self.state = State::Header;
    }

    fn read_header<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        let end = memchr(b'\n', input);
        let (line, rest) = end.and_then(|end| input.split_at_checked(end)).unwrap_or((input, &[]));
        self.keep(line, MAX_LINE);
        if end.is_none() {
            return rest;
        }
        let line = self.buffer.strip_suffix(b"\r").unwrap_or(&self.buffer);
        if line.is_empty() {
            self.state = State::Content { matched: 0 };
        } else if let Some(part) = std::str::from_utf8(line).ok().and_then(disposition) {
            // What a line says that was read in part is not known.
            self.part = if self.overflow { Part::Skipped } else { part };
        }
        self.clear_buffer();
        rest.get(1..).unwrap_or_default()
    }

    fn end_part(&mut self) {
        let Part::Field(name) = self.part else { return };
        let text = std::str::from_utf8(&self.buffer).ok().filter(|_| !self.overflow);
        if let Some(text) = text.map(str::to_owned) {
            self.take_field(name, text);
        }
        self.part = Part::Skipped;
    }

    fn take_field(&mut self, name: FieldName, text: String) {
        match name {
            FieldName::Model if self.fields.model.is_none() => self.fields.model = Some(text),
            FieldName::User if self.fields.user.is_none() => self.fields.user = Some(text),
            FieldName::Stream if !self.has_stream => {
                self.has_stream = true;
                self.fields.stream = text.eq_ignore_ascii_case("true") || text == "1";
            }
            _ => {}
        }
    }

    fn keep_content(&mut self, content: &[u8]) {
        if self.part != Part::Skipped {
            self.keep(content, MAX_VALUE);
        }
    }

    /// Keeps as much as there may be, so that the cuts of the input make no difference.
    fn keep(&mut self, piece: &[u8], at_most: usize) {
        let room = at_most.saturating_sub(self.buffer.len());
        self.overflow |= piece.len() > room;
        self.buffer.extend_from_slice(piece.get(..room).unwrap_or(piece));
    }

    fn clear_buffer(&mut self) {
        self.buffer.clear();
        self.overflow = false;
    }
}

#[cfg(test)]
mod tests;
