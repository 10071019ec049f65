//! What the tees hold, whatever they are fed.

use super::*;

#[test]
fn endless_input_needs_no_memory() {
    let piece = vec![b'a'; 64 * 1024];
    for route in Route::ALL {
        for start in [
            "",
            "data: ",
            "data: {\"usage\":\"",
            "data: {\"id\":\"",
            "data: {\"choices\":[{}],\"error\":\"",
            "data: {\"",
            ": ",
            "event: ",
            "data: {\"a\":[{\"b\":\"",
            "data: {\"response\":{\"usage\":\"",
            "data: {\"response\":{\"output\":[{\"content\":\"",
            "data: {\"response\":{\"",
            "data: {\"message\":{\"usage\":\"",
            "data: {\"type\":\"",
        ] {
            let mut tee = StreamTee::keeping_error(route);
            let mut plain = BodyTee::new(route);
            tee.feed(start.as_bytes());
            plain.feed(start.trim_start_matches("data: ").as_bytes());
            for _ in 0..8 {
                tee.feed(&piece);
                plain.feed(&piece);
            }
            let held = [tee.capacity(), plain.capacity()];
            assert!(held.iter().all(|held| *held < 48 * 1024), "{route:?} {start} holds {held:?}");
        }
    }
}

#[test]
fn a_line_of_64_mebibytes_needs_no_memory() {
    let piece = vec![b'a'; 64 * 1024];
    let mut tee = StreamTee::keeping_error(CHAT);
    let mut plain = BodyTee::new(CHAT);
    let mut response = StreamTee::new(Route::Responses);
    tee.feed(b"data: {\"choices\":\"");
    plain.feed(b"{\"choices\":\"");
    response.feed(b"data: {\"type\":\"response.completed\",\"response\":{\"output\":[{\"text\":\"");
    for _ in 0..1024 {
        tee.feed(&piece);
        plain.feed(&piece);
        response.feed(&piece);
    }
    assert!(tee.capacity() < 1024 && plain.capacity() < 1024 && response.capacity() < 1024);
    tee.feed(b"\",\"id\":\"gen-1\"}\n\n");
    plain.feed(b"\",\"id\":\"gen-1\"}");
    let usage = r#""usage":{"input_tokens":1,"output_tokens":1,"cost":1}"#;
    response.feed(format!("\"}}],\"id\":\"gen-1\",{usage}}}}}\n\n").as_bytes());
    assert_eq!(tee.finish().generation_id.as_deref(), Some("gen-1"));
    assert_eq!(plain.finish().generation_id.as_deref(), Some("gen-1"));
    let seen = response.finish();
    assert_eq!((seen.generation_id.as_deref(), cost_nanos(&seen)), (Some("gen-1"), Some(1_000_000_000)));
}

#[test]
fn long_values_are_bounded_in_sum() {
    let value = "x".repeat(15_000);
    let members = ["id", "model", "provider", "usage", "error", "type"].map(|key| {
        format!(
            "\"{key}\":\"{}\",",
            value
                .get(
                    ..match key {
                        "usage" => 15_000,
                        "error" => 8_000,
                        _ => 500,
                    }
                )
                .unwrap()
        )
    });
    for route in Route::ALL {
        let mut tee = BodyTee::new(route);
        let mut stream = StreamTee::keeping_error(route);
        for start in ["data: {", "\"response\":{", "\"x\":1},\"message\":{"] {
            stream.feed(start.as_bytes());
            tee.feed(start.trim_start_matches("data: ").as_bytes());
            for piece in members.concat().as_bytes().chunks(100) {
                tee.feed(piece);
                stream.feed(piece);
            }
        }
        let held = [tee.capacity(), stream.capacity()];
        assert!(held.iter().all(|held| *held < 48 * 1024), "{route:?} holds {held:?}");
    }
}
