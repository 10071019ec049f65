use super::*;
use proptest::prelude::*;

const WANTED: [Key; 3] = [("id", 16), ("usage", 64), ("error", 8)];
const UNCAPPED: [Key; 2] = [("id", 1 << 20), ("usage", 1 << 20)];
const FLAT: Wanted = Wanted { top: &WANTED, inner: ("", &[]) };
const INNER: Wanted = Wanted { top: &WANTED, inner: ("inner", &WANTED) };

fn scan(pieces: &[&[u8]]) -> JsonScan {
    scan_for(FLAT, pieces)
}

fn scan_for(wanted: Wanted, pieces: &[&[u8]]) -> JsonScan {
    let mut scan = JsonScan::new(wanted);
    for piece in pieces {
        scan.feed(piece);
    }
    scan
}

fn raw<'a>(scan: &'a JsonScan, name: &str) -> Option<&'a str> {
    raw_text(scan.value(name))
}

fn inner_raw<'a>(scan: &'a JsonScan, name: &str) -> Option<&'a str> {
    raw_text(scan.inner_value(name))
}

fn raw_text(value: Value<'_>) -> Option<&str> {
    match value {
        Value::Raw(bytes) => Some(std::str::from_utf8(bytes).unwrap()),
        Value::Absent | Value::TooLong => None,
    }
}

#[test]
fn captures_raw_top_level_values() {
    let scan = scan(&[b" {\"id\" : \"a\\\"b\",\n\"n\":[1,{}], \"usage\":{\"a\":[1, 2]} , \"error\":null} "]);
    assert!(scan.is_complete());
    assert_eq!(raw(&scan, "id"), Some(r#""a\"b""#));
    assert_eq!(raw(&scan, "usage"), Some(r#"{"a":[1, 2]}"#));
    assert_eq!(raw(&scan, "error"), Some("null"));
    assert_eq!(scan.value("other"), Value::Absent);
}

#[test]
fn captures_nothing_below_the_top_level() {
    let scan = scan(&[
        br#"{"a":{"id":"x","b":[{"usage":1}]},"text":"\"usage\":{\"a\":1},\\","c":[[["id"]]],"d":"}{\"id\":1"}"#,
    ]);
    assert!(scan.is_complete());
    assert_eq!(WANTED.map(|(name, _)| scan.value(name)), [Value::Absent; 3]);
}

#[test]
fn captures_the_values_of_one_inner_object() {
    let text = br#"{"id":1,"inner":{"id":"a","x":{"id":2,"usage":3},"y":[{"inner":{"id":4}}],"usage":{"usage":5},"inner":{"error":6}},"usage":7,"other":{"error":8}}"#;
    let scan = scan_for(INNER, &[text]);
    assert!(scan.is_complete());
    assert_eq!(["id", "usage", "error"].map(|name| raw(&scan, name)), [Some("1"), Some("7"), None]);
    let inner = ["id", "usage", "error"].map(|name| inner_raw(&scan, name));
    assert_eq!(inner, [Some("\"a\""), Some(r#"{"usage":5}"#), None]);
}

#[test]
fn an_inner_value_that_is_no_object_has_no_keys() {
    for value in ["null", "1", "\"{\\\"id\\\":1}\"", "[{\"id\":1}]", "{}", "{\"x\":{\"id\":1}}"] {
        let scan = scan_for(INNER, &[format!("{{\"inner\":{value},\"id\":2}}").as_bytes()]);
        assert_eq!(
            (scan.is_complete(), inner_raw(&scan, "id"), raw(&scan, "id")),
            (true, None, Some("2")),
            "{value}"
        );
    }
    for broken in
        ["{\"inner\":{\"id\":1}", "{\"inner\":{\"id\":1}}}", "{\"inner\":{\"id\":1]}", "{\"inner\":{id:1}}"]
    {
        let scan = scan_for(INNER, &[broken.as_bytes()]);
        assert_eq!(scan.is_complete(), broken.ends_with("}}}"), "{broken}");
    }
}

#[test]
fn of_a_repeated_inner_object_the_last_counts() {
    for (text, id) in [
        (r#"{"inner":{"id":1,"error":2},"inner":{"id":3}}"#, Some("3")),
        (r#"{"inner":{"id":1,"error":2},"inn\u0065r":null}"#, None),
    ] {
        let scan = scan_for(INNER, &[text.as_bytes()]);
        assert_eq!((inner_raw(&scan, "id"), inner_raw(&scan, "error")), (id, None), "{text}");
    }
}

#[test]
fn without_an_inner_name_an_empty_key_is_like_any_other() {
    let scan = scan(&[br#"{"":{"id":1}}"#]);
    assert_eq!(
        (scan.is_complete(), scan.value("id"), scan.inner_value("id")),
        (true, Value::Absent, Value::Absent)
    );
}

#[test]
fn values_hold_no_more_than_their_caps() {
    let mut scan = JsonScan::new(Wanted { top: &[("usage", 1000)], inner: ("inner", &[("usage", 1000)]) });
    for text in ["{\"usage\":\"", "\",\"inner\":{\"usage\":\""] {
        scan.feed(text.as_bytes());
        (0..998).for_each(|_| scan.feed(b"a"));
    }
    scan.feed(b"\"}}");
    assert!(scan.is_complete() && raw(&scan, "usage").is_some());
    // The buffer of the keys comes on top of the two values.
    assert!(scan.capacity() <= 2000 + 16, "{}", scan.capacity());
}

#[test]
fn the_last_of_a_repeated_key_wins() {
    assert_eq!(raw(&scan(&[br#"{"id":"a","id":"b"}"#]), "id"), Some("\"b\""));
    assert_eq!(scan(&[br#"{"id":"a","id":"much too long for it"}"#]).value("id"), Value::TooLong);
    assert_eq!(scan(&[br#"{"id":"a","id":"cut"#]).value("id"), Value::Absent);
}

#[test]
fn a_value_at_its_cap_is_kept_and_one_above_is_dropped() {
    assert_eq!(raw(&scan(&[br#"{"error":"123456"}"#]), "error"), Some("\"123456\""));
    let long = scan(&[br#"{"error":"12"#, br#"34567","id":1}"#]);
    assert_eq!(long.value("error"), Value::TooLong);
    assert_eq!(raw(&long, "id"), Some("1"));
}

#[test]
fn escaped_keys_are_decoded() {
    assert_eq!(raw(&scan(&[br#"{"\u0069\u0064":7}"#]), "id"), Some("7"));
    assert_eq!(raw(&scan(&[br#"{"i\u0064":8,"i\d":9}"#]), "id"), Some("8"));
    let endless = format!("{{\"{}id\":7,\"id\":8}}", "x".repeat(10_000));
    let cut = scan(&[b"{\"id", "x".repeat(200).as_bytes(), b"\":7}"]);
    assert_eq!((cut.is_complete(), cut.value("id")), (true, Value::Absent));
    let scan = scan(&[endless.as_bytes()]);
    assert_eq!(raw(&scan, "id"), Some("8"));
    assert!(scan.capacity() < 1024);
}

#[test]
fn what_is_no_object_is_never_complete() {
    for text in [
        "",
        " ",
        "[]",
        "\"id\"",
        "1",
        "{",
        "{]",
        "{,}",
        "{\"id\"}",
        "{\"id\":}",
        "{\"id\":1,}",
        "{id:1}",
        "{\"id\" 1}",
        "{\"id\":1 2}",
        "{\"id\":1;}",
        "{\"id\":\"a\"",
        "{\"id\":[1}",
        "[DONE]",
        "\u{feff}{}",
    ] {
        assert!(!scan(&[text.as_bytes()]).is_complete(), "{text}");
    }
}

#[test]
fn a_broken_object_keeps_what_came_before() {
    let scan = scan(&[br#"{"id":1,,"error":2}"#]);
    assert_eq!((raw(&scan, "id"), raw(&scan, "error")), (Some("1"), None));
}

#[test]
fn bytes_after_the_object_are_not_read() {
    let scan = scan(&[b"{\"id\":1}", b"{\"id\":2}"]);
    assert!(scan.is_complete());
    assert_eq!(raw(&scan, "id"), Some("1"));
}

#[test]
fn deep_nesting_is_counted_up_to_a_limit() {
    let nested =
        |depth: usize| [br#"{"a":"#.to_vec(), vec![b'['; depth], vec![b']'; depth], b"}".to_vec()].concat();
    let limit = usize::try_from(MAX_DEPTH).unwrap();
    assert!(scan(&[&nested(limit)]).is_complete());
    assert!(!scan(&[&nested(limit + 1)]).is_complete());
}

#[test]
fn reset_forgets_and_reuses() {
    let mut scan = scan(&[br#"{"id":"a","usage":{"a":1},"error":{"a":"too long"}, "broken" "#]);
    let before = scan.capacity();
    scan.reset();
    assert_eq!(WANTED.map(|(name, _)| scan.value(name)), [Value::Absent; 3]);
    scan.feed(br#"{"id":"b"}"#);
    assert!(scan.is_complete());
    assert_eq!(raw(&scan, "id"), Some("\"b\""));
    assert_eq!(scan.capacity(), before);
}

/// JSON values of every kind, with keys and strings that try to mislead the scan.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let text = prop_oneof![
        Just("id".to_owned()),
        Just("usage".to_owned()),
        Just("\"id\":1,".to_owned()),
        Just("\\".to_owned()),
        ".{0,8}"
    ];
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        text.clone().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map(text.clone(), inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn agrees_with_a_full_parser(members in prop::collection::btree_map("id|usage|error|inner|.{0,4}", json(), 0..6), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6), pretty: bool) {
        let object = serde_json::Value::Object(members.into_iter().collect());
        let text = if pretty { serde_json::to_vec_pretty(&object) } else { serde_json::to_vec(&object) }.unwrap();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len())).collect();
        cuts.sort_unstable();
        let mut scan = JsonScan::new(Wanted { top: &UNCAPPED, inner: ("inner", &UNCAPPED) });
        let mut start = 0;
        for cut in cuts.into_iter().chain([text.len()]) {
            scan.feed(&text[start..cut]);
            start = cut;
        }
        prop_assert!(scan.is_complete());
        for name in ["id", "usage"] {
            let found = raw(&scan, name).map(|text| serde_json::from_str::<serde_json::Value>(text).unwrap());
            prop_assert_eq!(found.as_ref(), object.get(name));
            let found = inner_raw(&scan, name).map(|text| serde_json::from_str::<serde_json::Value>(text).unwrap());
            prop_assert_eq!(found.as_ref(), object.get("inner").and_then(|inner| inner.get(name)));
        }
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200), hint in "[{}\\[\\]\",:\\\\iduse0n ]{0,60}") {
        let scan = scan_for(INNER, &[&bytes, hint.as_bytes(), &bytes]);
        prop_assert!(scan.capacity() <= 2 * MAX_KEY + 2 * 88);
    }
}
