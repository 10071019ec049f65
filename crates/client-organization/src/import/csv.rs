//! Members from a CSV file: a header with `user_id` and any of `email`, `name`, `role` and `active`, fields
//! divided by `,` or `;`, UTF-8 with or without a byte order mark.

use csv::{ReaderBuilder, StringRecord, Trim};

use super::{ListedMember, MAX_LISTED, MemberList, Refusal};
use crate::{
    error::{Error, Result},
    members::MemberSource,
};

/// The longest file, in bytes.
pub const MAX_BYTES: usize = 5 * 1024 * 1024;

/// Reads a file. A file that is too long, that is not UTF-8, or whose header cannot be used is refused as
/// a whole.
pub fn parse(bytes: &[u8]) -> Result<MemberList> {
    let refused = |reason: String| Error::invalid("file", reason);
    if bytes.len() > MAX_BYTES {
        return Err(refused(format!("must have at most {MAX_BYTES} bytes")));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| refused(format!("is not UTF-8, from byte {} on", error.valid_up_to())))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter(text))
        .trim(Trim::All)
        .flexible(true)
        .from_reader(text.as_bytes());
    let headers = reader.headers().map_err(|error| refused(error.to_string()))?.clone();
    let columns = Columns::of(&headers)?;
    let mut list = MemberList { source: MemberSource::Csv, members: Vec::new(), refused: Vec::new() };
    let mut lines = Lines { text: text.as_bytes(), at: 0, line: 1 };
    for record in reader.records() {
        let record = record.map_err(|error| refused(error.to_string()))?;
        let line = lines.of(record.position().map_or(0, csv::Position::byte));
        if list.members.len() + list.refused.len() >= MAX_LISTED {
            return Err(refused(format!("must have at most {MAX_LISTED} lines")));
        }
        match columns.read(&record, line) {
            Ok(member) => list.members.push(member),
            Err(reason) => {
                let user_id = cell(&record, columns.user_id).to_owned();
                list.refused.push(Refusal { line, user_id, reason });
            }
        }
    }
    Ok(list)
}

/// What divides the names in the header; names have neither of the two in them.
fn delimiter(text: &str) -> u8 {
    let header = text.lines().next().unwrap_or_default();
    if header.contains(';') { b';' } else { b',' }
}

/// Counts lines. The reader's own count is wrong where lines end with two characters or are empty.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of the record that the reader began to look for at this byte, which is never before the
    /// one of the last call.
    fn of(&mut self, byte: u64) -> u64 {
        let byte = usize::try_from(byte).unwrap_or(usize::MAX);
        while let Some(character) = self.text.get(self.at) {
            if self.at >= byte && !matches!(character, b'\r' | b'\n') {
                break;
            }
            self.line += u64::from(*character == b'\n');
            self.at += 1;
        }
        self.line
    }
}

fn cell(record: &StringRecord, column: Option<usize>) -> &str {
    column.and_then(|index| record.get(index)).unwrap_or_default()
}

/// Where in a line each field stands.
struct Columns {
    count: usize,
    user_id: Option<usize>,
    email: Option<usize>,
    name: Option<usize>,
    role: Option<usize>,
    active: Option<usize>,
}

impl Columns {
    fn of(headers: &StringRecord) -> Result<Self> {
        let mut columns =
            Self { count: headers.len(), user_id: None, email: None, name: None, role: None, active: None };
        for (index, header) in headers.iter().enumerate() {
            let place = match header.to_ascii_lowercase().as_str() {
                "user_id" => &mut columns.user_id,
                "email" => &mut columns.email,
                "name" => &mut columns.name,
                "role" => &mut columns.role,
                "active" => &mut columns.active,
                _ => {
                    let shown: String = header.chars().take(40).collect();
                    let reason = format!(
                        "has a column `{shown}` in its first line; known are user_id, email, name, role and active"
                    );
                    return Err(Error::invalid("file", reason));
                }
            };
            if place.replace(index).is_some() {
                return Err(Error::invalid("file", format!("has the column `{header}` twice")));
            }
        }
        match columns.user_id {
            Some(_) => Ok(columns),
            None => Err(Error::invalid("file", "has no column user_id in its first line")),
        }
    }

    fn read(&self, record: &StringRecord, line: u64) -> Result<ListedMember, String> {
        if record.len() != self.count {
            return Err(format!("has {} fields; the first line has {}", record.len(), self.count));
        }
        let text = |column| cell(record, column).to_owned();
        Ok(ListedMember {
            line,
            user_id: text(self.user_id),
            name: text(self.name),
            email: text(self.email),
            role: text(self.role),
            active: text(self.active),
            joined_at: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(error: &Error) -> String {
        match error {
            Error::Invalid { field: "file", reason } => reason.clone(),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn either_divider_any_order_and_a_byte_order_mark() {
        let expected = |line, user_id: &str, name: &str, email: &str| ListedMember {
            line,
            user_id: user_id.into(),
            name: name.into(),
            email: email.into(),
            ..ListedMember::default()
        };
        let commas = "\u{feff}user_id,Name,email\r\nu1, Żółw ,z@x.example\r\n\r\nu2,\"Nowak, Ewa\",\r\n";
        let table = parse(commas.as_bytes()).unwrap();
        assert_eq!(
            table.members,
            [expected(2, "u1", "Żółw", "z@x.example"), expected(4, "u2", "Nowak, Ewa", "")]
        );
        let semicolons = "EMAIL;USER_ID\nz@x.example;u1\n";
        assert_eq!(parse(semicolons.as_bytes()).unwrap().members, [expected(2, "u1", "", "z@x.example")]);
        assert_eq!(parse(b"user_id\n").unwrap().members, []);
    }

    #[test]
    fn a_line_that_is_no_line_of_the_table_is_told_by_its_number() {
        let text = "user_id,name\nu1,\"two\nlines\"\nu2\nu3,c,d\nu4,d\n";
        let table = parse(text.as_bytes()).unwrap();
        let refused: Vec<_> = table.refused.iter().map(|one| (one.line, one.user_id.as_str())).collect();
        assert_eq!(refused, [(4, "u2"), (5, "u3")]);
        assert!(table.refused[0].reason.contains("1 fields"), "{:?}", table.refused);
        let read: Vec<_> = table.members.iter().map(|one| (one.line, one.name.as_str())).collect();
        assert_eq!(read, [(2, "two\nlines"), (6, "d")]);
    }

    #[test]
    fn files_that_cannot_be_used_at_all() {
        for (bytes, reason) in [
            (&b"name,email\nx,y\n"[..], "no column user_id"),
            (b"", "no column user_id"),
            (b"user_id,salary\nu,1\n", "`salary`"),
            (b"user_id,name,NAME\n", "twice"),
            (b"user_id\nu\xff\n", "from byte 9 on"),
        ] {
            let error = file(&parse(bytes).unwrap_err());
            assert!(error.contains(reason), "{error}");
        }
        let long = vec![b'x'; MAX_BYTES + 1];
        assert!(file(&parse(&long).unwrap_err()).contains("at most"));
        let many = format!("user_id\n{}", "u\n".repeat(MAX_LISTED + 1));
        assert!(file(&parse(many.as_bytes()).unwrap_err()).contains("lines"));
    }
}
