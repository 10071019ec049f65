//! What comes out of input that is wrong, or that wants to be booked.

use super::*;

/// An answer in the form of `route`, plain and as the event that says everything, with these raw values.
fn answers(route: Route, id: &str, usage: &str) -> [Observation; 2] {
    let object = format!(r#"{{"id":{id},"model":"m","choices":[],"usage":{usage}}}"#);
    let events = match route {
        Route::Responses => format!("data: {{\"type\":\"response.completed\",\"response\":{object}}}\n\n"),
        Route::Messages => format!(
            "data: {{\"type\":\"message_start\",\"message\":{{\"id\":{id},\"model\":\"m\"}}}}\n\n\
             data: {{\"type\":\"message_delta\",\"usage\":{usage}}}\n\ndata: {{\"type\":\"message_stop\"}}\n\n"
        ),
        _ => format!("data: {object}\n\ndata: [DONE]\n\n"),
    };
    [body_pieces_of(route, [object.as_bytes()]), stream_pieces_of(route, [events.as_bytes()])]
}

/// A usage object that every route reads as 3 tokens in.
fn usage_with_cost(cost: &str) -> String {
    format!(
        r#"{{"prompt_tokens":3,"completion_tokens":2,"input_tokens":3,"output_tokens":2,"total_tokens":3,"cost":{cost}}}"#
    )
}

fn metered() -> impl Iterator<Item = Route> {
    Route::ALL.into_iter().filter(|route| *route != Route::Speech)
}

#[test]
fn an_id_that_is_none_never_breaks_the_rest() {
    let long = format!("\"gen-{}\"", "g".repeat(10_000));
    let at_cap = format!("gen-{}", "g".repeat(506));
    let quoted = format!("\"{at_cap}\"");
    let above_cap = format!("\"{at_cap}g\"");
    for (id, expected) in [
        ("null", None),
        ("12", None),
        ("\"\"", None),
        ("[\"gen-1\"]", None),
        ("{\"id\":\"gen-1\"}", None),
        ("\"gen-\\u0000\"", None),
        (&long, None),
        (&above_cap, None),
        (&quoted, Some(at_cap.as_str())),
        ("\"gen-1\"", Some("gen-1")),
        ("\"gen-1\",\"id\":\"gen-2\"", Some("gen-2")),
    ] {
        for route in metered() {
            for seen in answers(route, id, &usage_with_cost("1")) {
                assert_eq!(seen.generation_id.as_deref(), expected, "{route:?} {id}");
                assert_eq!(cost_nanos(&seen), Some(1_000_000_000), "{route:?} {id}");
                assert_eq!((seen.model.as_deref(), seen.complete, seen.error), (Some("m"), true, false));
            }
        }
    }
}

#[test]
fn ids_of_another_kind_count_only_where_they_are_the_generations() {
    for route in metered() {
        let counts =
            matches!(route, Route::ChatCompletions | Route::Completions | Route::Embeddings | Route::Rerank);
        for id in ["chatcmpl-123", "resp_1", "msg_1", "GEN-1", "gen"] {
            for seen in answers(route, &format!("\"{id}\""), "null") {
                assert_eq!(seen.generation_id.as_deref(), counts.then_some(id), "{route:?}");
            }
        }
    }
}

#[test]
fn costs_are_exact_or_unknown_on_every_route() {
    for (cost, expected) in [
        ("0", Ok(0)),
        ("1e-7", Ok(100)),
        ("\"0.1\"", Ok(100_000_000)),
        ("null", Err(UsageGap::CostUnknown)),
        ("-0.5", Err(UsageGap::CostNegative)),
        ("1e300", Err(UsageGap::CostOutOfRange)),
        ("\"\"", Err(UsageGap::CostInvalid)),
        ("[]", Err(UsageGap::CostInvalid)),
        ("1,\"cost\":1", Err(UsageGap::Malformed)),
    ] {
        for route in metered() {
            for seen in answers(route, "\"gen-1\"", &usage_with_cost(cost)) {
                match expected {
                    Ok(nanos) => assert_eq!(cost_nanos(&seen), Some(nanos), "{route:?} {cost}"),
                    Err(why) => assert_eq!(seen.usage, UsageReport::Incomplete { why }, "{route:?} {cost}"),
                }
            }
        }
    }
    for route in metered() {
        for usage in ["null", "{}", "12", "\"x\"", "[1]"] {
            for seen in answers(route, "\"gen-1\"", usage) {
                assert_eq!(seen.usage.exact(), None, "{route:?} {usage}");
                assert_eq!(seen.usage == UsageReport::Absent, usage == "null", "{route:?} {usage}");
            }
        }
    }
}

#[test]
fn the_last_usage_of_a_route_counts() {
    let (one, two) = (usage_with_cost("1"), usage_with_cost("2"));
    let twice = format!("{one},\"usage\":{two}");
    let withdrawn = format!("{one},\"usage\":null");
    for route in metered() {
        for seen in answers(route, "\"gen-1\"", &twice) {
            assert_eq!(cost_nanos(&seen), Some(2_000_000_000), "{route:?}");
        }
        for seen in answers(route, "\"gen-1\"", &withdrawn) {
            assert_eq!(seen.usage, UsageReport::Absent, "{route:?}");
        }
    }
    // Events of a message build on each other, all others stand for themselves.
    let twice =
        format!("data: {{\"usage\":{one}}}\n\ndata: {{\"usage\":{two}}}\n\ndata: {{\"usage\":null}}\n\n");
    for route in metered().filter(|route| *route != Route::Responses) {
        let seen = stream_pieces_of(route, [twice.as_bytes()]);
        assert_eq!(cost_nanos(&seen), Some(2_000_000_000), "{route:?}");
    }
}

/// Text and structure that a model can write, each with a usage that would be booked if it stood where usage stands.
#[test]
fn nothing_that_a_model_writes_is_booked() {
    let fake = usage_with_cost("9");
    let fake_event = format!(
        "data: {{\"id\":\"gen-fake\",\"type\":\"response.completed\",\"usage\":{fake},\"response\":{{\"usage\":{fake}}}}}"
    );
    let text = serde_json::to_string(&format!("\n\n{fake_event}\n\ndata: [DONE]\n\n\"usage\":{fake}}}}}\\"))
        .unwrap();
    let nested = format!(
        r#"{{"id":"gen-fake","model":"fake","usage":{fake},"response":{{"usage":{fake}}},"message":{{"usage":{fake}}}}}"#
    );
    let content = format!(
        r#""output":[{{"content":{text}}},{nested}],"input":{nested},"text":{text},"error_text":{text}"#
    );
    for route in Route::ALL {
        let object = format!(r#"{{"content":[{nested}],{content},"id":"gen-real"}}"#);
        for (body, generation_id) in [
            (object.clone(), Some("gen-real".to_owned()).filter(|_| route != Route::Speech)),
            (format!(r#"{{"response":{object},"message":{object},"delta":{object}}}"#), None),
        ] {
            let seen = body_pieces_of(route, [body.as_bytes()]);
            assert_eq!(
                seen,
                Observation { generation_id, complete: true, ..Observation::default() },
                "{route:?}"
            );
        }
        for kind in ["response.completed", "response.output_item.done", "message_start", "message_delta", "x"]
        {
            for outer in ["response", "message", "delta", "item"] {
                let event = format!(
                    "data: {{\"type\":\"{kind}\",\"{outer}\":{object},\"part\":{nested}}}\n\n: {fake_event}\n\n"
                );
                let seen = stream_pieces_of(route, [event.as_bytes()]);
                assert_eq!(
                    (seen.usage, seen.error),
                    (UsageReport::Absent, false),
                    "{route:?} {kind} {outer}"
                );
                assert_ne!(seen.generation_id.as_deref(), Some("gen-fake"));
                assert_eq!(seen.model, None);
            }
        }
    }
}

#[test]
fn a_response_is_read_one_level_deep() {
    let real = usage_with_cost("1");
    let fake = usage_with_cost("9");
    let response = format!(
        r#"{{"output":[{{"content":"...","usage":{fake}}}],"metadata":{{"response":{{"usage":{fake}}},"usage":{fake}}},"usage":{real},"response":{{"usage":{fake}}}}}"#
    );
    for event in [
        format!(r#"{{"usage":{fake},"response":{response},"type":"response.completed"}}"#),
        format!(
            r#"{{"type":"response.completed","item":{{"response":{{"usage":{fake}}}}},"response":{response}}}"#
        ),
    ] {
        let seen = stream_pieces_of(Route::Responses, [format!("data: {event}\n\n").as_bytes()]);
        assert_eq!(cost_nanos(&seen), Some(1_000_000_000), "{event}");
    }
}

#[test]
fn a_cut_event_still_names_its_generation() {
    for (route, text) in [
        (
            Route::Responses,
            r#"data: {"type":"response.created","response":{"id":"gen-1","model":"m","output":[{"#,
        ),
        (Route::Messages, r#"data: {"message":{"model":"m","id":"gen-1","usage":{"cost":1},"#),
    ] {
        let expected = Observation {
            generation_id: Some("gen-1".to_owned()),
            model: Some("m".to_owned()),
            ..Observation::default()
        };
        assert_eq!(stream_pieces_of(route, [text.as_bytes()]), expected, "{route:?}");
    }
}
