//! A failure in the middle of a stream, as Open WebUI gets it and as others do.

use mai_mock_openrouter::{Mock, MockSettings};
use mai_tests::{
    client::{Answer, Client},
    gateway::Installation,
    ledger::{assert_equal_to_mock, wait_until},
    on_each_database, run,
};
use serde_json::Value;

/// The data of every event.
fn events(answer: &Answer) -> Vec<Value> {
    let text = String::from_utf8(answer.body.clone()).unwrap().replace("\r\n", "\n").replace('\r', "\n");
    let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
    data.filter_map(|data| serde_json::from_str(data).ok()).collect()
}

/// What Open WebUI shows its user: the first error in an event without choices.
fn shown(answer: &Answer) -> Option<Value> {
    let has_no_choices = |event: &Value| event["choices"].as_array().is_none_or(Vec::is_empty);
    events(answer).into_iter().find(|event| has_no_choices(event) && !event["error"].is_null())
}

#[test]
fn open_webui_is_shown_what_others_get_as_it_is() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let organization = installation.organization("Failures");
        let open_webui = installation.key(&organization.id, &["--open-webui"]);
        let gateway = installation.serve();
        let ask = |key: &str, model: &str, seed| {
            run(Client::new(&gateway.base, key).chat(model, true, seed)).expect("an answer")
        };
        for shape in ["ok", "split-1", "split-random", "one-chunk", "crlf", "cr", "comments,data-lines,bom"] {
            for error in ["error-first", "error-mid"] {
                let model = format!("mock/{error},{shape}");
                let others = ask(&organization.key, &model, 1);
                assert!(others.complete && shown(&others).is_none(), "{model}");
                assert!(is_of_mock(&mock, &others), "{model}: the bytes were changed");
                let ours = ask(&open_webui, &model, 1);
                let event = shown(&ours).unwrap_or_else(|| panic!("{model}: nothing is shown"));
                assert_eq!(event["error"]["message"], "Provider returned error", "{model}");
                assert!(ours.complete && ours.body.len() > others.body.len(), "{model}");
            }
            let model = format!("mock/cut,{shape}");
            let others = ask(&organization.key, &model, 1);
            assert!(!others.complete && shown(&others).is_none(), "{model}");
            let ours = ask(&open_webui, &model, 1);
            assert_eq!(shown(&ours).unwrap()["error"]["code"], "answer_cut_off", "{model}");
            assert!(ours.complete, "{model}");
            // What is well stays as it is.
            let well = ask(&open_webui, &format!("mock/{shape}"), 1);
            assert!(well.complete && shown(&well).is_none() && is_of_mock(&mock, &well), "{shape}");
        }
        // Whoever reads it, the same is booked.
        wait_until("every cost was looked up", || {
            mai_tests::ledger::pending(&database.storage, &organization.id).is_empty()
        });
        assert_equal_to_mock(&database.storage, &organization.id, &mock);
        assert!(gateway.stop().success());
    });
}

fn is_of_mock(mock: &Mock, answer: &Answer) -> bool {
    let hash = answer.sha256();
    mock.ledger().iter().any(|charge| charge.body_sha256.as_deref() == Some(&hash))
}
