//! Whole documents.

use crate::{Align, Block, Column, Document, Party, Row, Table, render};

const POLISH: &str = "Zażółć gęślą jaźń ZAŻÓŁĆ GĘŚLĄ JAŹŃ";

fn document(rows: usize) -> Document {
    let party = |heading: &str| Party {
        heading: heading.to_owned(),
        lines: vec![POLISH.to_owned(), "ul. Świętokrzyska 1, 00-360 Warszawa".to_owned()],
    };
    let column = |title: &str, width, align| Column { title: title.to_owned(), width, align };
    let row = |number: usize| Row {
        cells: vec![format!("model/{number} o bardzo długiej nazwie {POLISH}"), number.to_string()],
        is_total: number + 1 == rows,
    };
    Document {
        title: "Rozliczenie 2026/11/0001".to_owned(),
        language: "pl",
        author: "Żuraw sp. z o.o.".to_owned(),
        footer: "To nie jest faktura.".to_owned(),
        blocks: vec![
            Block::Title("Rozliczenie 2026/11/0001".to_owned()),
            Block::Facts(vec![("Okres:".to_owned(), "2026-10".to_owned()), ("A:".to_owned(), String::new())]),
            Block::Parties([party("Sprzedawca"), party("Nabywca")]),
            Block::Heading("Zużycie".to_owned()),
            Block::Table(Table {
                columns: vec![column("Model", 3, Align::Left), column("Żądania", 1, Align::Right)],
                rows: (0..rows).map(row).collect(),
                indent: 0,
            }),
            Block::Paragraph(POLISH.repeat(20)),
            Block::Notice("語 \u{1f600} \u{7} są zastąpione".to_owned()),
        ],
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

#[test]
fn the_same_document_gives_the_same_tagged_bytes() {
    let bytes = render(&document(3)).unwrap();
    assert_eq!(bytes, render(&document(3)).unwrap());
    assert_ne!(bytes, render(&document(4)).unwrap());
    assert!(bytes.starts_with(b"%PDF-1.7"));
    for text in
        ["/StructTreeRoot", "/Lang(pl)", "/MarkInfo", "/Marked true", "pdfuaid:part", "/DisplayDocTitle true"]
    {
        assert!(holds(&bytes, text), "{text}");
    }
    for text in ["CreationDate", "ModDate", "xmp:CreateDate"] {
        assert!(!holds(&bytes, text), "{text}");
    }
}

#[test]
fn long_tables_and_empty_ones_can_be_written() {
    for rows in [0, 1, 200] {
        let bytes = render(&document(rows)).unwrap();
        assert_eq!(holds(&bytes, "/Type/Pages/Count 1/"), rows < 200, "{rows}");
    }
}

#[test]
fn all_polish_letters_are_in_both_faces() {
    let fonts = crate::font::Fonts::load().unwrap();
    for letter in "ąćęłńóśźżĄĆĘŁŃÓŚŹŻ„”–—…€\u{a0}zł×".chars() {
        assert_eq!(fonts.shown(&letter.to_string()), letter.to_string());
    }
    assert_eq!(fonts.shown("a\u{1f600}b\u{7}"), "a?b ");
}

#[test]
fn texts_break_at_spaces_and_long_words_anywhere() {
    let fonts = crate::font::Fonts::load().unwrap();
    let face = crate::font::Face::Regular;
    let text = "ala ma kota i aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa psa";
    let lines = fonts.lines(face, 10.0, 60.0, text);
    assert!(lines.len() > 3, "{lines:?}");
    assert_eq!(lines.concat(), text);
    assert!(lines.iter().all(|line| fonts.width(face, 10.0, line.trim_end()) <= 60.0), "{lines:?}");
    assert_eq!(fonts.lines(face, 10.0, 60.0, ""), [""]);
    assert_eq!(fonts.lines(face, 10.0, 60.0, "openai/gpt-4o-mini"), ["openai/gpt-", "4o-mini"]);
}
