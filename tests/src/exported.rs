//! Exports, read back by other code than what has written them.

use std::{collections::BTreeMap, io::Cursor};

use calamine::{Data, Reader, Xlsx};
use mai_primitives::Usd;

use crate::statistics::Figures;

/// A row of an export by the names of its columns.
pub type Row = BTreeMap<String, String>;

/// The figures of a row. One without a count of requests is one generation.
pub fn figures(row: &Row) -> Figures {
    let number =
        |name: &str| row.get(name).map_or(1, |text| text.parse().expect("it is as an export should be"));
    let nanos = |name: &str| {
        row.get(name).map_or(0, |text| Usd::parse(text).expect("it is as an export should be").nanos())
    };
    Figures {
        tokens: number("total_tokens"),
        requests: number("total_requests"),
        cost: nanos("markup_cost"),
        raw_cost: nanos("raw_cost"),
    }
}

/// Reads JSON lines; each value as it is written.
pub fn json_lines(body: &[u8]) -> Vec<Row> {
    let text = std::str::from_utf8(body).expect("it is as an export should be");
    let row = |line: &str| {
        let object: BTreeMap<String, Box<serde_json::value::RawValue>> =
            serde_json::from_str(line).expect("it is as an export should be");
        object.into_iter().map(|(name, value)| (name, value.get().trim_matches('"').to_owned())).collect()
    };
    text.lines().map(row).collect()
}

/// Reads CSV by the grammar of RFC 4180.
pub fn csv(body: &[u8], has_mark: bool) -> Vec<Row> {
    let text = std::str::from_utf8(body).expect("it is as an export should be");
    assert_eq!(text.starts_with('\u{feff}'), has_mark);
    let text = text.trim_start_matches('\u{feff}');
    let (mut lines, mut line, mut field, mut is_quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if is_quoted && letters.peek() == Some(&'"') => field.extend(letters.next()),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => line.push(std::mem::take(&mut field)),
            '\r' if !is_quoted => {
                assert_eq!(letters.next(), Some('\n'));
                line.push(std::mem::take(&mut field));
                lines.push(std::mem::take(&mut line));
            }
            other => field.push(other),
        }
    }
    assert!(line.is_empty() && field.is_empty(), "it ends with a line");
    let names = lines.remove(0);
    let row = |line: Vec<String>| {
        assert_eq!(line.len(), names.len());
        names.iter().cloned().zip(line).collect()
    };
    lines.into_iter().map(row).collect()
}

/// Reads the one sheet of an XLSX file.
pub fn sheet(body: Vec<u8>) -> Vec<Row> {
    let mut workbook = Xlsx::new(Cursor::new(body)).expect("it is as an export should be");
    let sheets = workbook.sheet_names();
    assert_eq!(sheets.len(), 1);
    let range = workbook.worksheet_range(&sheets[0]).expect("it is as an export should be");
    let mut rows = range.rows();
    let names: Vec<String> =
        rows.next().expect("it is as an export should be").iter().map(ToString::to_string).collect();
    let text = |cell: &Data| match cell {
        // The shortest text that names the double.
        Data::Float(double) => double.to_string(),
        other => other.to_string(),
    };
    rows.map(|row| names.iter().cloned().zip(row.iter().map(text)).collect()).collect()
}
