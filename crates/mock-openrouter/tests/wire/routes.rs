//! The shapes of each route: events, objects, ids and errors.

use crate::client::{Answer, KEY, body, charge, order, order_with, path, raw, send, start, ways};
use crate::meter::{self, events};
use mai_mock_openrouter::{Behaviour, Mock, Route};
use serde_json::Value;

/// Events with their parsed payloads; `[DONE]` is null.
fn parsed(answer: &Answer) -> Vec<(String, Value)> {
    let parse = |(name, data): (String, String)| (name, serde_json::from_str(&data).unwrap_or_default());
    events(answer).into_iter().map(parse).collect()
}

fn names(answer: &Answer) -> Vec<String> {
    let mut names: Vec<String> = events(answer).into_iter().map(|(name, _)| name).collect();
    names.dedup();
    names
}

#[test]
fn ids_begin_as_their_route_says() {
    let mock = start();
    for (route, stream) in ways() {
        let prefix = match route {
            Route::Embeddings => "gen-emb-",
            Route::Rerank => "gen-rerank-",
            Route::Speech => "gen-tts-",
            Route::Transcriptions => "gen-stt-",
            _ => "gen-",
        };
        let answer = order(&mock, route, "mock/ok", stream);
        let id = answer.header("x-generation-id").unwrap();
        assert!(id.starts_with(&format!("{prefix}1")), "{id}");
        assert_eq!(mock.ledger().pop().unwrap().id, id);
        let body = match (route, stream) {
            (Route::Images | Route::Speech | Route::Transcriptions, _) => continue,
            (Route::Responses, true) => parsed(&answer)[0].1["response"]["id"].clone(),
            (Route::Messages, true) => parsed(&answer)[0].1["message"]["id"].clone(),
            (_, true) => parsed(&answer)[0].1["id"].clone(),
            (_, false) => answer.json()["id"].clone(),
        };
        match route {
            Route::Responses => assert!(body.as_str().unwrap().starts_with("resp_")),
            Route::Messages => assert!(body.as_str().unwrap().starts_with("msg_")),
            _ => assert_eq!(body, id),
        }
    }
}

#[test]
fn completions_carry_text() {
    let mock = start();
    let stream = parsed(&order(&mock, Route::Completions, "openai/o3", true));
    assert_eq!((stream.len(), stream.last().unwrap().1.is_null()), (22, true));
    let pieces = stream.iter().filter_map(|(_, event)| event["choices"][0]["text"].as_str());
    let plain = order(&mock, Route::Completions, "openai/o3", false).json();
    assert_eq!(pieces.collect::<String>(), plain["choices"][0]["text"]);
    assert_eq!(
        (&stream[0].1["object"], &plain["object"]),
        (&"text_completion".into(), &"text_completion".into())
    );
    assert!(stream[20].1["usage"]["cost"].is_number());
}

#[test]
fn a_response_counts_its_events_and_ends_with_everything() {
    let mock = start();
    let answer = order(&mock, Route::Responses, "openai/o3", true);
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(
        names(&answer),
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
            "",
        ]
    );
    let events = parsed(&answer);
    let (done, events) = events.split_last().unwrap();
    assert!(done.1.is_null() && answer.text().ends_with("data: [DONE]\n\n"));
    for (number, (name, event)) in events.iter().enumerate() {
        assert_eq!((&event["sequence_number"], &event["type"]), (&number.into(), &name.as_str().into()));
    }
    let deltas: String = events.iter().filter_map(|(_, event)| event["delta"].as_str()).collect();
    let response = &events.last().unwrap().1["response"];
    let item = &response["output"][0];
    assert_eq!((&response["status"], &item["status"]), (&"completed".into(), &"completed".into()));
    assert_eq!(item["content"][0]["text"], deltas.as_str());
    let whole = events.iter().find(|(name, _)| name == "response.output_text.done").unwrap();
    assert_eq!((&whole.1["text"], &whole.1["item_id"]), (&deltas.as_str().into(), &item["id"]));
    assert!(events[0].1["response"]["usage"].is_null() && events[1].1["response"]["usage"].is_null());
    let plain = order(&mock, Route::Responses, "openai/o3", false).json();
    assert_eq!(plain["output"][0]["content"][0]["text"], deltas.as_str());
    assert_eq!(plain["usage"]["output_tokens"], mock.ledger()[1].completion_tokens);
}

#[test]
fn a_message_tells_its_input_first_and_its_output_and_cost_last() {
    let mock = start();
    // A seed of which the cache has both read and written.
    let seeded = |stream, seed: u64| {
        order_with(&mock, Route::Messages, "openai/o3", stream, &[("x-mock-seed", &seed.to_string())])
    };
    let seed = (0..100).find(|seed| {
        seeded(false, *seed);
        let charge = mock.ledger().pop().unwrap();
        charge.cached_tokens > 0 && charge.cache_write_tokens > 0
    });
    let answer = seeded(true, seed.unwrap());
    let charge = mock.ledger().pop().unwrap();
    assert_eq!(
        names(&answer),
        [
            "message_start",
            "content_block_start",
            "ping",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
    );
    let events = parsed(&answer);
    for (name, event) in &events {
        assert_eq!(event["type"], name.as_str());
    }
    let start = &events[0].1["message"]["usage"];
    let parts = ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"];
    let input: i64 = parts.iter().filter_map(|name| start[name].as_i64()).sum();
    assert_eq!(
        (input, &start["cache_read_input_tokens"]),
        (charge.prompt_tokens, &charge.cached_tokens.into())
    );
    assert_eq!(start["cache_creation_input_tokens"], charge.cache_write_tokens);
    assert!(start.get("cost").is_none());
    let end = &events[events.len() - 2].1;
    assert_eq!(
        (&end["delta"]["stop_reason"], &end["usage"]["input_tokens"]),
        (&"end_turn".into(), &Value::Null)
    );
    assert_eq!(end["usage"]["output_tokens"], charge.completion_tokens);
    assert_eq!(raw(&answer.text(), "cost"), charge.cost_text);
    let plain = seeded(false, seed.unwrap()).json();
    let text: String = events.iter().filter_map(|(_, event)| event["delta"]["text"].as_str()).collect();
    assert_eq!((&plain["content"][0]["text"], &plain["type"]), (&text.as_str().into(), &"message".into()));
    assert!(!answer.text().contains("[DONE]"));
}

#[test]
fn messages_without_usage_keep_their_tokens() {
    let mock = start();
    for stream in [true, false] {
        let told = meter::read(Route::Messages, &order(&mock, Route::Messages, "mock/no-usage", stream));
        let charge = mock.ledger().pop().unwrap();
        assert_eq!((told.input, told.output), (Some(charge.prompt_tokens), Some(charge.completion_tokens)));
        assert_eq!(told.cost, None);
    }
    let response = order(&mock, Route::Responses, "mock/no-usage", true);
    let events = parsed(&response);
    assert!(events[events.len() - 2].1["response"]["usage"].is_null());
    for (route, stream) in ways().filter(|(route, _)| *route != Route::Messages && *route != Route::Speech) {
        let text = order(&mock, route, "mock/no-usage", stream).text();
        assert!(!text.contains("\"cost\":"), "{route:?}");
    }
}

#[test]
fn usage_twice_is_told_twice() {
    let mock = start();
    let text = order(&mock, Route::Messages, "mock/usage-twice", true).text();
    assert_eq!(text.matches("event: message_delta").count(), 2);
    assert_eq!(text.matches("\"stop_reason\":\"end_turn\"").count(), 1);
    let text = order(&mock, Route::Responses, "mock/usage-twice", true).text();
    assert_eq!(
        (text.matches("event: response.in_progress").count(), text.matches("\"cost\":").count()),
        (2, 2)
    );
    let events = parsed(&order(&mock, Route::Messages, "mock/usage-middle", true));
    let position = events.iter().position(|(name, _)| name == "message_delta").unwrap();
    assert_eq!(events[position + 1].0, "content_block_delta");
    // Of a response the completed one is the last and the only one with a usage.
    let answer = order(&mock, Route::Responses, "mock/usage-middle", true);
    let (events, names) = (parsed(&answer), names(&answer));
    assert_eq!(names[names.len() - 2..], ["response.completed", ""]);
    assert_eq!(answer.text().matches("\"cost\":").count(), 1);
    assert!(events[events.len() - 2].1["response"]["usage"]["cost"].is_number());
}

#[test]
fn embeddings_are_numbers_or_base64_of_the_same() {
    let mock = start();
    let ask = |format: &str| {
        let body = format!(r#"{{"model":"mock/ok","input":["a","b","c"],"encoding_format":"{format}"}}"#);
        let bearer = format!("Bearer {KEY}");
        let headers = [("authorization", bearer.as_str()), ("x-mock-seed", "3")];
        send(&mock, "POST", &path(Route::Embeddings), &headers, &body).json()
    };
    let (numbers, encoded) = (ask("float"), ask("base64"));
    assert_eq!((numbers["object"].as_str(), numbers["data"].as_array().unwrap().len()), (Some("list"), 3));
    for (number, code) in
        std::iter::zip(numbers["data"].as_array().unwrap(), encoded["data"].as_array().unwrap())
    {
        let bytes = base64::Engine::decode(
            &base64::engine::general_purpose::STANDARD,
            code["embedding"].as_str().unwrap(),
        );
        let bytes = bytes.unwrap();
        let decoded = bytes.chunks(4).map(|bits| f64::from(f32::from_le_bytes(bits.try_into().unwrap())));
        let vector = number["embedding"].as_array().unwrap().iter().map(|number| number.as_f64().unwrap());
        assert!(decoded.eq(vector));
        assert_eq!(number["index"], code["index"]);
    }
    let usage = &numbers["usage"];
    assert_eq!((&usage["prompt_tokens"], usage.get("completion_tokens")), (&usage["total_tokens"], None));
}

#[test]
fn a_ranking_names_its_documents() {
    let mock = start();
    let ranking = order(&mock, Route::Rerank, "mock/ok", false).json();
    let results = ranking["results"].as_array().unwrap();
    let texts: Vec<&str> =
        results.iter().map(|result| result["document"]["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["\"pong\"", "ping"]);
    assert_eq!((&results[0]["index"], &results[1]["index"]), (&1.into(), &0.into()));
    assert!(results[0]["relevance_score"].as_f64() > results[1]["relevance_score"].as_f64());
    assert_eq!(ranking["usage"]["search_units"], 1);
    assert_eq!(ranking["usage"]["total_tokens"], charge(&mock).prompt_tokens);
}

#[test]
fn an_image_is_base64_of_a_png() {
    let mock = start();
    let answer = order(&mock, Route::Images, "mock/ok", false).json();
    let image = answer["data"][0]["b64_json"].as_str().unwrap();
    let image = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, image).unwrap();
    assert!(image.starts_with(b"\x89PNG\r\n\x1a\n") && image.ends_with(b"IEND\xae\x42\x60\x82"));
    assert_eq!(answer["usage"]["completion_tokens"], charge(&mock).completion_tokens);
}

#[test]
fn a_transcription_is_ordered_with_a_form_or_with_json() {
    let mock = start();
    let form = "--=b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nmock/ok\r\n\
        --=b\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nanna\r\n\
        --=b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\r\n--=b--\r\n";
    let bearer = format!("Bearer {KEY}");
    let headers =
        [("authorization", bearer.as_str()), ("content-type", "multipart/form-data; boundary=\"=b\"")];
    let ask = |body: &str| send(&mock, "POST", &path(Route::Transcriptions), &headers, body);
    let answer = ask(form);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let ledger = mock.ledger();
    assert_eq!((ledger[0].user.as_deref(), ledger[0].requested_model.as_str()), (Some("anna"), "mock/ok"));
    let json = order(&mock, Route::Transcriptions, "mock/ok", false).json();
    for answer in [answer.json(), json] {
        assert!(!answer["text"].as_str().unwrap().is_empty());
        let usage = &answer["usage"];
        assert!(usage["seconds"].as_f64().is_some_and(|seconds| (1.0..61.0).contains(&seconds)));
        let sum = usage["input_tokens"].as_i64().unwrap() + usage["output_tokens"].as_i64().unwrap();
        assert_eq!(usage["total_tokens"], sum);
    }
    assert_eq!(ask(&form[..form.len() - 10]).status, 400, "a form that is not complete");
    assert_eq!(mock.charge_count(), 2);
}

#[test]
fn sound_comes_in_pieces_and_tells_nothing() {
    let mock = start();
    let answer = order(&mock, Route::Speech, "mock/ok", true);
    assert_eq!(answer.header("content-type"), Some("audio/mpeg"));
    assert!(answer.complete && answer.chunks.len() == 19);
    assert!(answer.chunks.iter().all(|frame| frame.starts_with(&[0xff, 0xfb]) && frame.len() == 417));
    assert!(!charge(&mock).total.is_zero() && !charge(&mock).streamed);
    let long = order_with(&mock, Route::Speech, "mock/endless-line", false, &[("x-mock-mib", "2")]);
    assert_eq!(long.body().len(), (2 << 20) + 19 * 417);
}

#[test]
fn endless_lines_are_valid_on_each_route() {
    let mock = start();
    for (route, stream) in ways().filter(|(route, _)| *route != Route::Speech) {
        let answer = order(&mock, route, "mock/endless-line", stream);
        assert!(answer.complete && answer.body().len() > 1 << 20, "{route:?}");
        let told = meter::read(route, &answer);
        assert_eq!(told.cost, mock.ledger().pop().map(|charge| charge.cost_text), "{route:?}");
        if stream {
            let longest = answer.text().lines().map(str::len).max();
            assert!(longest > Some(1 << 20) && parsed(&answer).len() > 20, "{route:?}");
        } else {
            answer.json();
        }
    }
}

/// The answer, and what was charged for it.
fn fail(
    mock: &Mock,
    route: Route,
    behaviour: Behaviour,
    stream: bool,
) -> (Answer, mai_mock_openrouter::Charge) {
    let answer = order(mock, route, &behaviour.model(), stream);
    assert_eq!(answer.status, 200, "{route:?} {behaviour}");
    (answer, mock.ledger().pop().unwrap())
}

#[test]
fn errors_come_in_the_shape_of_the_route() {
    let mock = start();
    for (route, stream) in ways() {
        for behaviour in [Behaviour::ErrorFirst, Behaviour::ErrorPlain200, Behaviour::ErrorMid] {
            let (answer, charge) = fail(&mock, route, behaviour, stream);
            let in_part =
                stream || matches!(route, Route::ChatCompletions | Route::Completions | Route::Responses);
            let is_charged = behaviour == Behaviour::ErrorMid && in_part;
            assert_eq!(!charge.total.is_zero(), is_charged, "{route:?} {behaviour}");
            assert_eq!((charge.finish_reason, charge.cancelled), (Some("error"), false));
            assert!(!answer.text().contains("\"cost\":"), "{route:?} {behaviour}");
            if stream {
                let events = parsed(&answer);
                let (name, last) = events.last().unwrap();
                assert_eq!(events.len() == 1, !is_charged, "{route:?} {behaviour}");
                match route {
                    Route::Responses if is_charged => {
                        assert_eq!(
                            (name.as_str(), &last["response"]["status"]),
                            ("response.failed", &"failed".into())
                        );
                    }
                    Route::Responses => {
                        assert_eq!((name.as_str(), &last["sequence_number"]), ("error", &0.into()));
                    }
                    Route::Messages => {
                        assert_eq!(
                            (name.as_str(), &last["error"]["type"]),
                            ("error", &"overloaded_error".into())
                        );
                    }
                    _ => assert_eq!((name.as_str(), &last["error"]["code"]), ("", &502.into())),
                }
            } else {
                let json = answer.json();
                let error = match route {
                    Route::ChatCompletions | Route::Completions => &json["choices"][0]["error"],
                    _ => &json["error"],
                };
                assert!(error["message"].is_string(), "{route:?} {behaviour}: {json}");
            }
        }
    }
}

#[test]
fn statuses_are_answered_in_the_shape_of_the_route() {
    let mock = start();
    for route in Route::ALL {
        for status in [400, 401, 402, 403, 404, 429, 500, 502, 503, 529] {
            let answer = order(&mock, route, &format!("mock/status-{status}"), true);
            assert_eq!(answer.status, status);
            let json = answer.json();
            assert!(json["error"]["message"].is_string());
            if route == Route::Messages {
                assert_eq!(json["type"], "error");
                assert!(json["error"]["type"].as_str().unwrap().ends_with("_error"));
            } else {
                assert_eq!(json["error"]["code"], status);
            }
        }
        let key = [("x-api-key", KEY)];
        assert_eq!(send(&mock, "POST", &path(route), &key, &body(route, "mock/ok", false)).status, 401);
        assert_eq!(order(&mock, route, "mock/tipo", false).status, 400);
    }
    assert!(mock.ledger().is_empty());
}

#[test]
fn models_of_other_outputs_are_listed_when_asked_for() {
    let mock = start();
    let list = |query: &str| {
        let json = send(&mock, "GET", &format!("/api/v1/models{query}"), &[], "").json();
        json["data"].as_array().unwrap().iter().map(|model| model["id"].to_string()).collect::<Vec<String>>()
    };
    let text = list("");
    assert!(!text.iter().any(|id| id.contains("embedding")));
    assert_eq!(list("?output_modalities=embeddings"), ["\"openai/text-embedding-3-small\""]);
    assert_eq!(list("?output_modalities=all").len(), text.len() + 5);
}
