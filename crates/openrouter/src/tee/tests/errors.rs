//! Errors that a stream of choices hides, for clients that must be shown them.

use super::*;

/// What a tee that keeps errors has seen, and where each event with a hidden error has ended.
fn kept<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Observation, Vec<usize>) {
    let mut tee = StreamTee::keeping_error(CHAT);
    let (mut before, mut ends) = (0, Vec::new());
    for piece in pieces {
        ends.extend(tee.feed(piece).error_ends_at.map(|at| before + at));
        before += piece.len();
    }
    (tee.finish(), ends)
}

fn error_of(text: &str) -> StreamError {
    kept([text.as_bytes()]).0.stream_error
}

fn hidden(text: &str) -> StreamError {
    StreamError::Hidden(Some(text.as_bytes().to_vec()))
}

#[test]
fn an_error_beside_choices_is_kept_and_its_end_is_told() {
    let error = r#"{"code":429,"message":"Rate limit exceeded","metadata":{"error_type":"rate_limit_exceeded","provider_code":"rate_limited"}}"#;
    let (seen, ends) = kept([ERROR_STREAM.as_bytes()]);
    assert_eq!((seen.stream_error, ends, seen.error), (hidden(error), vec![ERROR_STREAM.len()], true));
    // Where nobody asks for it nothing is kept, and otherwise the same is seen.
    let plain = stream(ERROR_STREAM);
    assert_eq!(plain, Observation { stream_error: StreamError::None, ..kept([ERROR_STREAM.as_bytes()]).0 });
    assert_eq!(StreamTee::new(CHAT).feed(ERROR_STREAM.as_bytes()).error_ends_at, None);
}

#[test]
fn the_end_is_that_of_the_event_and_not_of_the_chunk() {
    for line_end in ["\n", "\r", "\r\n"] {
        let event = ERROR_STREAM.replace('\n', line_end);
        let before = format!("data: {{\"id\":\"gen-1\",\"choices\":[]}}{line_end}{line_end}");
        let text = format!("{before}{event}data: [DONE]{line_end}{line_end}");
        let end = before.len() + event.len();
        assert_eq!(kept([text.as_bytes()]).1, [end]);
        for at in 0..text.len() {
            let (left, right) = text.as_bytes().split_at(at);
            let (seen, ends) = kept([left, right]);
            // Of a CR LF that is cut, the CR ends the event.
            let is_end =
                |told: &usize| *told == end || (line_end == "\r\n" && *told + 1 == end && at == *told);
            assert!(ends.len() == 1 && ends.iter().all(is_end), "{ends:?}, not {end}, cut at {at}");
            assert!(matches!(seen.stream_error, StreamError::Hidden(Some(_))) && seen.complete);
        }
        assert_eq!(kept(text.as_bytes().chunks(1)).1.len(), 1);
    }
}

#[test]
fn what_a_client_sees_anyway_is_not_hidden() {
    for (event, expected) in [
        (r#"{"error":{"code":1}}"#, StreamError::Visible),
        (r#"{"error":{"code":1},"choices":[]}"#, StreamError::Visible),
        (r#"{"error":{"code":1},"choices": [ ] }"#, StreamError::Visible),
        (r#"{"choices":null,"error":"x"}"#, StreamError::Visible),
        (r#"{"choices":[{}],"error":"x"}"#, hidden("\"x\"")),
        (r#"{"choices":[{"delta":{"content":"a"}}],"error": { "code" : 1 } }"#, hidden(r#"{ "code" : 1 }"#)),
        (r#"{"choices":[{}],"error":null}"#, StreamError::None),
        (r#"{"choices":[{"error":{"code":1}}]}"#, StreamError::None),
        (r#"{"choices":[{"delta":{"content":"\"error\":{}"}}]}"#, StreamError::None),
        (r#"{"choices":[{}],"error":{"code":1}"#, StreamError::None),
    ] {
        assert_eq!(error_of(&format!("data: {event}\n\n")), expected, "{event}");
    }
}

#[test]
fn of_several_errors_the_first_counts() {
    let event = |code: u8| format!("data: {{\"error\":{code},\"choices\":[{{}}]}}\n\n");
    let text = event(1) + &event(2);
    let (seen, ends) = kept([text.as_bytes()]);
    assert_eq!((seen.stream_error, ends), (hidden("1"), vec![event(1).len()]));
    let (seen, ends) = kept([format!("data: {{\"error\":7}}\n\n{text}").as_bytes()]);
    assert_eq!((seen.stream_error, ends), (StreamError::Visible, vec![]));
}

#[test]
fn an_event_that_no_blank_line_ends_has_no_end_and_is_kept() {
    for text in [ERROR_STREAM.trim_end().to_owned(), format!("{}\n", ERROR_STREAM.trim_end())] {
        let (seen, ends) = kept([text.as_bytes()]);
        assert!(matches!(seen.stream_error, StreamError::Hidden(Some(_))) && ends.is_empty(), "{text:?}");
    }
}

#[test]
fn an_error_of_any_length_is_noticed_and_a_long_one_not_kept() {
    let event = |length: usize| {
        let text = "x".repeat(length);
        format!("data: {{\"choices\":[{{}}],\"error\":{{\"message\":\"{text}\"}}}}\n\n")
    };
    let around = r#"{"message":""}"#.len();
    assert!(
        matches!(error_of(&event(8 * 1024 - around)), StreamError::Hidden(Some(text)) if text.len() == 8 * 1024)
    );
    assert_eq!(error_of(&event(8 * 1024 - around + 1)), StreamError::Hidden(None));
    assert_eq!(error_of(&event(1 << 20)), StreamError::Hidden(None));
}

#[test]
fn only_streams_of_choices_are_read_for_it() {
    for route in Route::ALL {
        let keeps = matches!(route, Route::ChatCompletions | Route::Completions);
        let tee = StreamTee::keeping_error(route);
        assert_eq!(tee.keeps_error(), keeps, "{route:?}");
        assert!(!StreamTee::new(route).keeps_error());
    }
}

proptest! {
    #[test]
    fn keeping_errors_changes_nothing_else(bytes in mutated(), cuts in cuts()) {
        let (seen, ends) = kept(cut(&bytes, &cuts));
        prop_assert!(ends.len() <= 1 && ends.iter().all(|end| *end <= bytes.len()));
        prop_assert_eq!(&seen.stream_error, &kept([bytes.as_slice()]).0.stream_error);
        prop_assert_eq!(Observation { stream_error: StreamError::None, ..seen }, stream_pieces([bytes.as_slice()]));
    }
}
