//! Tables as text: CSV, and JSON lines.

use serde_json::Value;

use super::{columns::Cell, table::Rows};
use crate::api::usage::instant;

/// A form of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum TextFormat {
    /// RFC 4180, in UTF-8, with a head line.
    Csv {
        /// Whether it begins with a byte order mark, without which Excel takes it for another encoding.
        bom: bool,
    },
    /// One JSON object per line.
    JsonLines,
}

impl TextFormat {
    /// What comes before all rows.
    pub(in crate::api) fn head(self, names: &[&'static str]) -> String {
        match self {
            Self::JsonLines => String::new(),
            Self::Csv { bom } => {
                let mut head = if bom { "\u{feff}".to_owned() } else { String::new() };
                line(&mut head, names.iter().map(|name| (*name).to_owned()));
                head
            }
        }
    }

    /// Some rows.
    pub(in crate::api) fn rows(self, names: &[&'static str], rows: &Rows) -> String {
        let mut text = String::with_capacity(rows.len() * names.len() * 12);
        for row in rows {
            match self {
                Self::Csv { .. } => line(&mut text, row.iter().map(field)),
                Self::JsonLines => object(&mut text, names, row),
            }
        }
        text
    }
}

/// A line of CSV.
fn line(text: &mut String, fields: impl Iterator<Item = String>) {
    for (place, field) in fields.enumerate() {
        if place > 0 {
            text.push(',');
        }
        text.push_str(&field);
    }
    text.push_str("\r\n");
}

/// A field of CSV.
fn field(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => quoted(&harmless(text)),
        Cell::Number(number) => number.to_string(),
        Cell::Usd(amount) => amount.to_string(),
        Cell::Pln(amount) => amount.to_string(),
        Cell::Decimal(decimal) => decimal.clone(),
        Cell::Day(day) => day.to_string(),
        Cell::Instant(at) => instant(*at),
        Cell::Flag(flag) => flag.to_string(),
        Cell::Nothing => String::new(),
    }
}

/// A text that no spreadsheet takes for a formula: an apostrophe stands before what would begin one, also
/// behind what another separator of lists would begin a cell with, as Excel's is a semicolon in Polish. Names
/// come from strangers, and a formula can send a table's content away:
/// <https://owasp.org/www-community/attacks/CSV_Injection>.
fn harmless(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 1);
    let mut begins = true;
    for letter in text.chars() {
        let is_formula = matches!(letter, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠');
        if begins && (is_formula || safe.is_empty() && letter.is_control()) {
            safe.push('\'');
        }
        begins = matches!(letter, ';' | '\t' | '\r' | '\n') || begins && matches!(letter, ' ' | '"' | '\'');
        safe.push(letter);
    }
    safe
}

/// A text with quotes around it where it needs them.
fn quoted(text: &str) -> String {
    if text.contains(['"', ',', ';', '\t', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// A row as a line of JSON. Numbers have all their digits.
fn object(text: &mut String, names: &[&'static str], row: &[Cell]) {
    text.push('{');
    for (place, (name, cell)) in names.iter().zip(row).enumerate() {
        if place > 0 {
            text.push(',');
        }
        text.push_str(&Value::from(*name).to_string());
        text.push(':');
        text.push_str(&value(cell));
    }
    text.push_str("}\n");
}

fn value(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => Value::from(text.as_str()).to_string(),
        Cell::Day(_) | Cell::Instant(_) => Value::from(field(cell)).to_string(),
        Cell::Number(_) | Cell::Usd(_) | Cell::Pln(_) | Cell::Decimal(_) | Cell::Flag(_) => field(cell),
        Cell::Nothing => "null".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use mai_primitives::{UnixTime, UsageDate, Usd};
    use proptest::prelude::*;

    use super::*;

    /// Reads CSV by the grammar of RFC 4180.
    fn parse(text: &str) -> Vec<Vec<String>> {
        let (mut rows, mut row, mut field, mut is_quoted) = (Vec::new(), Vec::new(), String::new(), false);
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '"' if is_quoted && letters.peek() == Some(&'"') => field.extend(letters.next()),
                '"' => is_quoted = !is_quoted,
                ',' if !is_quoted => row.push(std::mem::take(&mut field)),
                '\r' if !is_quoted && letters.peek() == Some(&'\n') => {
                    letters.next();
                    row.push(std::mem::take(&mut field));
                    rows.push(std::mem::take(&mut row));
                }
                other => field.push(other),
            }
        }
        assert!(!is_quoted && row.is_empty() && field.is_empty());
        rows
    }

    #[test]
    fn a_table_in_both_forms() {
        let rows = vec![vec![
            Cell::Text("Anna \"A\", b\nc".into()),
            Cell::Number(-5),
            Cell::Usd(Usd::from_nanos(-1)),
            Cell::Decimal("33.333333".into()),
            Cell::Day(UsageDate::parse("2026-07-15").unwrap()),
            Cell::Instant(UnixTime::from_seconds(0)),
            Cell::Flag(true),
            Cell::Nothing,
        ]];
        let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let csv = TextFormat::Csv { bom: true };
        assert_eq!(csv.head(&names), "\u{feff}a,b,c,d,e,f,g,h\r\n");
        assert_eq!(
            csv.rows(&names, &rows),
            "\"Anna \"\"A\"\", b\nc\",-5,-0.000000001,33.333333,2026-07-15,1970-01-01T00:00:00Z,true,\r\n"
        );
        assert_eq!(
            TextFormat::JsonLines.rows(&names, &rows),
            "{\"a\":\"Anna \\\"A\\\", b\\nc\",\"b\":-5,\"c\":-0.000000001,\"d\":33.333333,\"e\":\"2026-07-15\",\
             \"f\":\"1970-01-01T00:00:00Z\",\"g\":true,\"h\":null}\n"
        );
        assert_eq!(TextFormat::JsonLines.head(&names), "");
    }

    #[test]
    fn formulas_are_defused() {
        for text in ["=1+1", "+1", "-1", "@a", "\ta", "\ra", "\na", "＝1", " =1"] {
            let csv = TextFormat::Csv { bom: false }.rows(&["a"], &vec![vec![Cell::Text(text.into())]]);
            assert_eq!(
                parse(&csv),
                [[text.replacen(
                    text.trim_start_matches(' '),
                    &format!("'{}", text.trim_start_matches(' ')),
                    1
                )]]
            );
        }
        let behind = ["x;=cmd|' /C calc'!A0;", "x;  +1", "x\t@a", "x\n-1", "x;\"=1"];
        let safe = ["x;'=cmd|' /C calc'!A0;", "x;  '+1", "x\t'@a", "x\n'-1", "x;\"'=1"];
        assert_eq!(behind.map(harmless), safe);
        assert!(quoted("a;b").starts_with('"'));
        assert_eq!(field(&Cell::Text("a=1".into())), "a=1");
        assert_eq!(field(&Cell::Number(-1)), "-1");
    }

    proptest! {
        #[test]
        fn whatever_people_are_called_comes_back(texts in prop::collection::vec("\\PC*|[\",;\r\n'a=-]*", 1..5)) {
            let row: Vec<Cell> = texts.iter().cloned().map(Cell::Text).collect();
            let names: Vec<&'static str> = ["a", "b", "c", "d", "e"].into_iter().take(texts.len()).collect();
            let csv = TextFormat::Csv { bom: false }.rows(&names, &vec![row.clone()]);
            let expected: Vec<String> = texts.iter().map(|text| harmless(text)).collect();
            prop_assert_eq!(parse(&csv), vec![expected]);
            let json = TextFormat::JsonLines.rows(&names, &vec![row]);
            let json: serde_json::Value = serde_json::from_str(&json).unwrap();
            for (name, text) in names.iter().zip(&texts) {
                prop_assert_eq!(json[*name].as_str(), Some(text.as_str()));
            }
        }
    }
}
