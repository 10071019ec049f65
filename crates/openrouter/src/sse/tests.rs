use super::*;
use proptest::prelude::*;

/// Events as `name|data`, the way the standard dispatches them, and `.` for the end of a data line.
fn events(pieces: &[&[u8]]) -> Vec<String> {
    let mut found = Vec::new();
    let mut data: Option<String> = None;
    let mut collect = |part: Part<'_>| match part {
        Part::DataLineStart => match &mut data {
            Some(data) => data.push('\n'),
            None => data = Some(String::new()),
        },
        Part::Data(piece) => data.as_mut().unwrap().extend(piece.iter().copied().map(char::from)),
        Part::DataLineEnd => found.push(".".to_owned()),
        Part::EventEnd { name, .. } => {
            found.push(format!("{}|{}", String::from_utf8_lossy(name), data.take().unwrap()));
        }
    };
    let mut scan = SseScan::new();
    for piece in pieces {
        scan.feed(piece, &mut collect);
    }
    scan.finish(&mut collect);
    found
}

#[test]
fn reads_the_examples_of_the_standard() {
    for (stream, expected) in [
        ("data: YHOO\ndata: +2\ndata: 10\n\n", vec![".", ".", ".", "|YHOO\n+2\n10"]),
        (
            ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
            vec![".", "|first event", ".", "|second event", ".", "| third event"],
        ),
        ("data\n\ndata\ndata\n\ndata:\n\n", vec![".", "|", ".", ".", "|\n", ".", "|"]),
        ("data:test\n\ndata: test\n\n", vec![".", "|test", ".", "|test"]),
        (
            "event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\nevent: add\ndata: 113411\n\n",
            vec![".", "add|73857293", ".", "remove|2153", ".", "add|113411"],
        ),
    ] {
        for line_end in ["\n", "\r", "\r\n"] {
            let stream = stream.replace('\n', line_end);
            assert_eq!(events(&[stream.as_bytes()]), expected, "{stream:?}");
        }
    }
}

#[test]
fn other_fields_and_comments_are_ignored() {
    let stream = "retry: 10\nid: 7\ndatas: no\nDATA: no\n data: no\nevents: no\n:data: no\nlonger than five: no\ndata: yes\n\n";
    assert_eq!(events(&[stream.as_bytes()]), [".", "|yes"]);
}

#[test]
fn a_name_without_data_is_forgotten() {
    assert_eq!(events(&[b"event: error\n\ndata: 1\n\n"]), [".", "|1"]);
    assert_eq!(events(&[b"event: a\nevent: b\ndata: 1\nevent\n\n"]), [".", "|1"]);
    assert_eq!(events(&[b"event: a\nevent:b\ndata: 1\n\n"]), [".", "b|1"]);
}

#[test]
fn a_name_above_its_cap_counts_as_none() {
    let name = "n".repeat(MAX_NAME);
    assert_eq!(
        events(&[format!("event: {name}\ndata: 1\n\n").as_bytes()]),
        [".".to_owned(), format!("{name}|1")]
    );
    assert_eq!(events(&[format!("event: {name}n\ndata: 1\n\n").as_bytes()]), [".", "|1"]);
}

#[test]
fn one_byte_order_mark_is_dropped_and_only_at_the_beginning() {
    assert_eq!(events(&["\u{feff}data: 1\n\n".as_bytes()]), [".", "|1"]);
    assert_eq!(events(&["\u{feff}\u{feff}data: 1\n\n".as_bytes()]), Vec::<String>::new());
    assert_eq!(events(&["\n\u{feff}data: 1\n\n".as_bytes()]), Vec::<String>::new());
    assert_eq!(events(&[b"\xEFdata: 1\ndata: 2\n\n"]), [".", "|2"]);
    assert_eq!(events(&[b"\xEF\xBB\ndata: 2\n\n"]), [".", "|2"]);
}

#[test]
fn only_the_first_space_of_a_value_is_dropped() {
    assert_eq!(events(&[b"data:", b" a", b" b\nevent: c", b" d\n\n"]), [".", "c d|a b"]);
}

#[test]
fn the_end_of_the_stream_ends_line_and_event() {
    assert_eq!(events(&[b"data: 1"]), [".", "|1"]);
    assert_eq!(events(&[b"data: 1\r"]), [".", "|1"]);
    assert_eq!(events(&[b"data: 1\n\n"]), [".", "|1"]);
}

#[test]
fn a_line_feed_after_a_carriage_return_is_no_blank_line() {
    assert_eq!(events(&[b"data: 1\r", b"\ndata: 2\r", b"", b"\n\r", b"\n"]), [".", ".", "|1\n2"]);
    assert_eq!(events(&[b"data: 1\r", b"\rdata: 2"]), [".", "|1", ".", "|2"]);
}

proptest! {
    #[test]
    fn cuts_do_not_matter(stream in "(data|event|id|da|:|\u{feff}|: ?|[a {}]{0,9}|\r|\n|\r\n){0,40}", cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        let stream = stream.as_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
        prop_assert_eq!(events(&pieces), events(&[stream]));
    }
}
