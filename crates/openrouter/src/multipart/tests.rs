use super::*;
use proptest::prelude::*;

const TYPE: &str = "multipart/form-data; boundary=XYZ";

fn scan_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> MultipartFields {
    let mut scan = MultipartScan::new(TYPE).unwrap();
    for piece in pieces {
        scan.feed(piece);
    }
    scan.fields().clone()
}

fn scan(body: &str) -> MultipartFields {
    scan_pieces([body.as_bytes()])
}

fn fields(model: Option<&str>, stream: bool, user: Option<&str>) -> MultipartFields {
    MultipartFields { model: model.map(str::to_owned), stream, user: user.map(str::to_owned), complete: true }
}

/// One text field as clients write it, and the end of the form.
fn field(name: &str, value: &str) -> String {
    format!("--XYZ\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

const END: &str = "--XYZ--\r\n";

/// A request as OpenAI's Python client sends it, with a file that holds most of what could be taken for a boundary.
const SAMPLE: &str = "--XYZ\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nopenai/whisper-1\r\n\
    --XYZ\r\nContent-Disposition: form-data; name=\"stream\"\r\n\r\ntrue\r\n\
    --XYZ\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a;b\\\"name=\\\"user.mp3\"\r\nContent-Type: audio/mpeg\r\n\r\n\
    --XYZ\r\n\r\n--XY\r\r\n--XYZA\r\n--XYZ-\r\n--XYZ\r\r\n\n--XYZ\nContent-Disposition: form-data; name=\"user\"\r\n\r\nfile\r\n-XYZ--\r\n\
    --XYZ\r\ncontent-disposition:form-data;name=user\r\nX-Other: 1\r\n\r\n\r\n--Zażółć\r\n--XYZ_\r\n\
    --XYZ--\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nepilogue\r\n--XYZ--\r\n";

#[test]
fn reads_a_form() {
    let expected = fields(Some("openai/whisper-1"), true, Some("\r\n--Zażółć\r\n--XYZ_"));
    assert_eq!(scan(SAMPLE), expected);
    for at in 0..=SAMPLE.len() {
        let (left, right) = SAMPLE.as_bytes().split_at(at);
        assert_eq!(scan_pieces([left, right]), expected, "{at}");
    }
    assert_eq!(scan_pieces(SAMPLE.as_bytes().chunks(1)), expected);
}

#[test]
fn finds_the_boundary_in_the_content_type() {
    for text in [
        "multipart/form-data; boundary=XYZ",
        "Multipart/Form-Data;charset=utf-8 ; Boundary=\"XYZ\"",
        "multipart/form-data; a=\"; boundary=no\"; x; boundary = XYZ ; b",
        "multipart/form-data;boundary=\"X\\YZ\"",
    ] {
        let mut scan = MultipartScan::new(text).unwrap();
        scan.feed((field("model", "m") + END).as_bytes());
        assert_eq!(scan.fields().model.as_deref(), Some("m"), "{text}");
    }
    let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
    for text in [
        "",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"a \"",
        "multipart/form-data; boundary=\"a\r\nb\"",
        "multipart/form-data; boundary=ż",
        "multipart/mixed; boundary=XYZ",
        "application/json; boundary=XYZ",
        &long,
    ] {
        assert!(MultipartScan::new(text).is_none(), "{text}");
    }
    let mut scan = MultipartScan::new("multipart/form-data; boundary=\"a b'()+_,-./:=?\"").unwrap();
    scan.feed((field("model", "m") + END).replace("XYZ", "a b'()+_,-./:=?").as_bytes());
    assert_eq!(*scan.fields(), fields(Some("m"), false, None));
}

#[test]
fn streams_are_asked_for_by_true_or_one() {
    for (value, expected) in [
        ("true", true),
        ("True", true),
        ("1", true),
        ("false", false),
        ("0", false),
        ("", false),
        ("yes", false),
    ] {
        assert_eq!(scan(&(field("stream", value) + END)).stream, expected, "{value}");
    }
}

#[test]
fn the_first_of_a_repeated_field_counts() {
    let body = ["a", "b"].map(|value| field("model", value) + &field("user", value)).concat();
    assert_eq!(
        scan(&(body + &field("stream", "0") + &field("stream", "1") + END)),
        fields(Some("a"), false, Some("a"))
    );
}

#[test]
fn other_parts_are_no_fields() {
    let none = fields(None, false, None);
    let part = |headers: &str| scan(&format!("--XYZ\r\n{headers}\r\n\r\nm\r\n{END}"));
    for headers in [
        "Content-Disposition: form-data; name=\"file\"",
        "Content-Disposition: form-data; name=\"models\"",
        "Content-Disposition: form-data; name=\"Model\"",
        "Content-Disposition: form-data; filename=\"model\"",
        "Content-Disposition: form-data; name=\"model\"; filename=\"m.txt\"",
        "Content-Disposition: form-data; filename*=UTF-8''m.txt; name=\"model\"",
        "Content-Disposition: attachment; name=\"model\"",
        "Content-Disposition",
        "X: form-data; name=\"model\"",
        "Content-Disposition: form-data; name=\"model",
    ] {
        let expected =
            if headers.ends_with("\"model") { fields(Some("m"), false, None) } else { none.clone() };
        assert_eq!(part(headers), expected, "{headers}");
    }
    let padded = format!("Content-Disposition: form-data; x=\"{}\"; name=\"model\"", "x".repeat(2000));
    assert_eq!(part(&padded), none);
    let late =
        format!("Content-Disposition: form-data; name=\"model\"; x=\"{}\"; filename=f", "x".repeat(2000));
    assert_eq!(part(&late), none);
    assert_eq!(part(&format!("Content-Disposition: form-data; name=\"model\"\r\n{padded}")), none);
    assert_eq!(
        part(&format!("X: {padded}\r\nContent-Disposition: form-data; name=\"model\"")).model,
        Some("m".into())
    );
}

#[test]
fn values_have_a_cap_and_an_encoding() {
    let at_cap = "m".repeat(512);
    assert_eq!(scan(&(field("model", &at_cap) + END)).model, Some(at_cap));
    assert_eq!(
        scan(&(field("model", &"m".repeat(513)) + &field("user", "u") + END)),
        fields(None, false, Some("u"))
    );
    let body = [field("model", "").trim_end().as_bytes(), b"\r\n\r\n\xff\xfe\r\n", END.as_bytes()].concat();
    assert_eq!(scan_pieces([body.as_slice()]), fields(None, false, None));
}

#[test]
fn a_part_counts_when_it_has_ended() {
    let whole = field("model", "m") + END;
    for (length, model, complete) in [
        (whole.len(), Some("m"), true),
        (whole.len() - 2, Some("m"), true),
        (whole.len() - 3, None, false),
        (whole.find("\r\nm").unwrap() + 3, None, false),
    ] {
        let found = scan(&whole[..length]);
        assert_eq!((found.model.as_deref(), found.complete), (model, complete), "{length}");
    }
    let preamble = format!("This is no part.\r\n{}", field("model", "m") + END);
    assert_eq!(scan(&preamble), fields(Some("m"), false, None));
    for padding in [" ", "\t", " \t x"] {
        let padded = whole.replacen("--XYZ\r\n", &format!("--XYZ{padding}\r\n"), 1);
        assert_eq!(scan(&padded), fields(Some("m"), false, None), "{padding:?}");
    }
    assert_eq!(scan(&whole.replace("\r\n", "\n")), MultipartFields::default());
}

#[test]
fn endless_parts_need_no_memory() {
    let piece = vec![b'a'; 64 * 1024];
    for start in [
        String::new(),
        "--XYZ".to_owned(),
        "--XYZ ".to_owned(),
        "--XYZ\r\nContent-Disposition: ".to_owned(),
        field("model", &"m".repeat(512))
            + &field("user", &"u".repeat(512))
            + field("user", "").trim_end()
            + "\r\n\r\n",
        field("file", ""),
        END.to_owned(),
    ] {
        let mut scan = MultipartScan::new(TYPE).unwrap();
        scan.feed(start.as_bytes());
        for _ in 0..16 {
            scan.feed(&piece);
        }
        assert!(scan.capacity() < 4096, "{start} holds {}", scan.capacity());
    }
}

/// A part: its name, whether it is a file, and its content.
type Sent = (String, bool, Vec<u8>);

/// What could be taken for a boundary, or for a header.
const LOOKALIKES: [&[u8]; 12] = [
    b"\r\n--XY",
    b"\r\n--XYZx",
    b"\r",
    b"\n",
    b"--XYZ",
    b"\r\n",
    b"-",
    b"true",
    b"\r\n--XYZ-x",
    b"\r\n--XYZ\rx",
    b"\xff",
    b"content-disposition: form-data; name=\"user\"\r\n\r\n",
];

/// A client chooses a boundary that its parts do not contain.
fn contains_delimiter(content: &[u8]) -> bool {
    let ended = [content, b"\r\n"].concat();
    ended.windows(9).any(|window| {
        window.starts_with(b"\r\n--XYZ")
            && (matches!(window[7], b' ' | b'\t') || matches!(&window[7..], b"--" | b"\r\n"))
    })
}

fn contents() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::collection::vec(prop::sample::select(LOOKALIKES.as_slice()), 0..12);
    prop_oneof![prop::collection::vec(any::<u8>(), 0..60), pieces.prop_map(|pieces| pieces.concat())]
        .prop_filter("no boundary within", |content| !contains_delimiter(content))
}

fn parts() -> impl Strategy<Value = Vec<Sent>> {
    let name = prop::sample::select(["model", "stream", "user", "file", "language"].as_slice());
    prop::collection::vec((name.prop_map(str::to_owned), any::<bool>(), contents()), 0..6)
}

fn body_of(parts: &[Sent]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, is_file, content) in parts {
        let file = if *is_file { "; filename=\"f.mp3\"" } else { "" };
        body.extend(
            format!("--XYZ\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n").bytes(),
        );
        body.extend(content);
        body.extend(b"\r\n");
    }
    body.extend(END.bytes());
    body
}

fn first_of(parts: &[Sent], wanted: &str) -> Option<String> {
    let texts = parts.iter().filter(|(name, is_file, _)| name == wanted && !is_file);
    let mut texts = texts.filter(|(_, _, content)| content.len() <= MAX_VALUE);
    texts.find_map(|(_, _, content)| String::from_utf8(content.clone()).ok())
}

fn cut<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

proptest! {
    #[test]
    fn any_form_is_read_however_cut(parts in parts(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let body = body_of(&parts);
        let stream = first_of(&parts, "stream").is_some_and(|text| text == "1" || text.eq_ignore_ascii_case("true"));
        let expected = MultipartFields {
            model: first_of(&parts, "model"),
            user: first_of(&parts, "user"),
            stream,
            complete: true,
        };
        prop_assert_eq!(&scan_pieces([body.as_slice()]), &expected);
        prop_assert_eq!(&scan_pieces(cut(&body, &cuts)), &expected);
        prop_assert_eq!(&scan_pieces(body.chunks(1)), &expected);
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(
        body in "(--XYZ|\r\n|\r|\n|-|:|;|=|\"|\\\\|content-disposition|form-data|name|model|user|[ a]{0,3}){0,60}",
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let whole = scan_pieces([body.as_bytes()]);
        prop_assert_eq!(&scan_pieces(cut(body.as_bytes(), &cuts)), &whole);
        let _ = MultipartScan::new(&format!("multipart/form-data;{body}"));
    }
}
