use super::*;
use proptest::prelude::*;

fn parse(raw: &str, route: Route) -> UsageReport {
    let mut reported = Reported::default();
    reported.add(raw.as_bytes(), route);
    reported.report(route)
}

fn parse_usage(raw: &[u8]) -> UsageReport {
    parse(std::str::from_utf8(raw).unwrap(), Route::ChatCompletions)
}

fn with_cost(cost: &str) -> UsageReport {
    parse_usage(
        format!(r#"{{"prompt_tokens":3,"completion_tokens":2,"total_tokens":99,"cost":{cost}}}"#).as_bytes(),
    )
}

fn gap(raw: &str) -> UsageGap {
    match parse_usage(raw.as_bytes()) {
        UsageReport::Incomplete { why } => why,
        other => panic!("{raw} gave {other:?}"),
    }
}

fn byok(cost: &str, upstream: &str) -> String {
    format!(
        r#"{{"prompt_tokens":3,"completion_tokens":2,"cost":{cost},"is_byok":true,"cost_details":{{"upstream_inference_cost":{upstream},
            "upstream_inference_prompt_cost":0.03076,"upstream_inference_completions_cost":0.189}}}}"#
    )
}

#[test]
fn reads_every_member() {
    let raw = br#"{"prompt_tokens":194,"completion_tokens":2,"total_tokens":196,"cost":0.0000057915,"is_byok":false,
        "prompt_tokens_details":{"cached_tokens":7,"cache_write_tokens":5,"audio_tokens":0,"video_tokens":0},
        "cost_details":{"upstream_inference_cost":0.00000585,"upstream_inference_prompt_cost":0.0000048},
        "completion_tokens_details":{"reasoning_tokens":1,"image_tokens":0,"audio_tokens":0},
        "server_tool_use_details":{"tool_calls_requested":0}}"#;
    let expected = Usage {
        input_tokens: 194,
        output_tokens: 2,
        cached_tokens: Some(7),
        cache_write_tokens: Some(5),
        reasoning_tokens: Some(1),
        cost: Usd::from_nanos(5792),
        cost_text: "0.0000057915".to_owned(),
        is_byok: false,
    };
    assert_eq!(parse_usage(raw), UsageReport::Exact(expected));
}

#[test]
fn costs_are_read_from_their_text() {
    for (cost, nanos) in [
        ("1e-7", 100),
        ("5.7915e-06", 5792),
        ("4E-6", 4000),
        ("0.0013162506673300167", 1_316_251),
        ("0", 0),
        ("0.0", 0),
        ("12", 12_000_000_000),
        ("\"0.1\"", 100_000_000),
        ("\"1e-7\"", 100),
    ] {
        let report = with_cost(cost);
        let usage = report.exact().unwrap();
        assert_eq!(usage.cost.nanos(), nanos, "{cost}");
        assert_eq!(usage.cost_text, cost.trim_matches('"'));
        assert_eq!((usage.input_tokens, usage.output_tokens), (3, 2));
    }
}

#[test]
fn an_unknown_or_impossible_cost_is_no_zero() {
    let long = format!("0.{}", "0".repeat(200));
    for (cost, why) in [
        ("null", UsageGap::CostUnknown),
        ("-1", UsageGap::CostNegative),
        ("-1e-30", UsageGap::CostNegative),
        ("1e300", UsageGap::CostOutOfRange),
        ("\"free\"", UsageGap::CostInvalid),
        ("\"\"", UsageGap::CostInvalid),
        ("\" 0.1\"", UsageGap::CostInvalid),
        ("\"NaN\"", UsageGap::CostInvalid),
        ("true", UsageGap::CostInvalid),
        ("{}", UsageGap::CostInvalid),
        ("[0.1]", UsageGap::CostInvalid),
        (&long, UsageGap::CostInvalid),
    ] {
        assert_eq!(with_cost(cost), UsageReport::Incomplete { why }, "{cost}");
    }
    assert_eq!(gap(r#"{"prompt_tokens":3,"completion_tokens":2}"#), UsageGap::CostUnknown);
}

#[test]
fn byok_adds_the_providers_charge_and_rounds_once() {
    for (cost, upstream, nanos) in [
        ("0", "0.21976", 219_760_000),
        ("0.001", "0.21976", 220_760_000),
        ("4e-10", "4e-10", 1),
        ("\"0.1\"", "0", 100_000_000),
    ] {
        let report = parse_usage(byok(cost, upstream).as_bytes());
        let usage = report.exact().unwrap();
        assert_eq!(usage.cost.nanos(), nanos, "{cost} + {upstream}");
        assert_eq!(usage.cost_text, format!("{}+{upstream}", cost.trim_matches('"')));
        assert!(usage.is_byok);
    }
}

#[test]
fn byok_needs_both_charges() {
    assert_eq!(gap(&byok("0", "null")), UsageGap::UpstreamCostUnknown);
    assert_eq!(gap(&byok("null", "0.2")), UsageGap::CostUnknown);
    assert_eq!(gap(&byok("1", "-0.5")), UsageGap::CostNegative);
    assert_eq!(gap(&byok("9223372036", "9223372036")), UsageGap::CostOutOfRange);
    let head = r#"{"prompt_tokens":3,"completion_tokens":2,"cost":0,"is_byok":true"#;
    for details in ["", r#","cost_details":null"#, r#","cost_details":{}"#, r#","cost_details":[0.2]"#] {
        assert_eq!(gap(&format!("{head}{details}}}")), UsageGap::UpstreamCostUnknown);
    }
}

#[test]
fn without_byok_the_providers_charge_is_not_read() {
    for flag in ["", r#","is_byok":false"#, r#","is_byok":null"#] {
        let raw = format!(
            r#"{{"prompt_tokens":1,"completion_tokens":1,"cost":0.0072395{flag},"cost_details":{{"upstream_inference_cost":0.0022395}}}}"#
        );
        assert_eq!(parse_usage(raw.as_bytes()).exact().unwrap().cost.nanos(), 7_239_500);
    }
}

#[test]
fn token_counts_must_be_whole_numbers() {
    for (tokens, why) in [
        ("null", UsageGap::TokensUnknown),
        ("-1", UsageGap::TokensInvalid),
        ("-0", UsageGap::TokensInvalid),
        ("12.0", UsageGap::TokensInvalid),
        ("1e2", UsageGap::TokensInvalid),
        ("\"12\"", UsageGap::TokensInvalid),
        ("9223372036854775808", UsageGap::TokensInvalid),
        ("[]", UsageGap::TokensInvalid),
    ] {
        assert_eq!(
            gap(&format!(r#"{{"prompt_tokens":{tokens},"completion_tokens":2,"cost":1}}"#)),
            why,
            "{tokens}"
        );
        assert_eq!(
            gap(&format!(r#"{{"prompt_tokens":2,"completion_tokens":{tokens},"cost":1}}"#)),
            why,
            "{tokens}"
        );
    }
    assert_eq!(gap(r#"{"prompt_tokens":2,"cost":1}"#), UsageGap::TokensUnknown);
}

#[test]
fn details_may_be_missing_or_strange() {
    for details in [
        "null",
        "{}",
        "[1,2,3,4]",
        "7",
        r#"{"cached_tokens":null,"reasoning_tokens":-1}"#,
        r#"{"cached_tokens":"x"}"#,
    ] {
        let raw = format!(
            r#"{{"prompt_tokens":1,"completion_tokens":1,"cost":1,"prompt_tokens_details":{details},"completion_tokens_details":{details}}}"#
        );
        let report = parse_usage(raw.as_bytes());
        let usage = report.exact().unwrap();
        assert_eq!(
            (usage.cached_tokens, usage.cache_write_tokens, usage.reasoning_tokens),
            (None, None, None)
        );
    }
}

#[test]
fn what_is_no_usage_object_is_malformed() {
    for raw in [
        "0.0015",
        "[]",
        "[1,2,3,false,{},{},{}]",
        "\"x\"",
        "{",
        r#"{"cost":1,"cost":2}"#,
        r#"{"is_byok":"yes"}"#,
    ] {
        assert_eq!(gap(raw), UsageGap::Malformed, "{raw}");
    }
}

proptest! {
    #[test]
    fn any_nano_amount_is_read_exactly(nanos in 0..=i64::MAX, shift in 0..9_usize) {
        let digits = format!("{nanos:010}");
        let (whole, fraction) = digits.split_at(digits.len() - 9 + shift);
        let text = if shift == 9 { whole.to_owned() } else { format!("{whole}.{fraction}e-{shift}") };
        prop_assert_eq!(with_cost(&text).exact().unwrap().cost.nanos(), nanos);
    }

    #[test]
    fn arbitrary_texts_do_no_harm(raw in "[{}\\[\\]\",:\\\\a-z_0-9.e-]{0,60}", cost in "[-+0-9.eE\" ]{0,12}") {
        let _ = parse_usage(raw.as_bytes());
        if let UsageReport::Exact(usage) = with_cost(&cost) {
            prop_assert!(usage.cost.nanos() >= 0);
        }
    }
}

/// Input and output tokens, those of the cache read and written, and reasoning.
fn counts(report: &UsageReport) -> (i64, i64, [Option<i64>; 3]) {
    let usage = report.exact().unwrap_or_else(|| panic!("{report:?}"));
    let parts = [usage.cached_tokens, usage.cache_write_tokens, usage.reasoning_tokens];
    (usage.input_tokens, usage.output_tokens, parts)
}

/// A usage object with every name that any route has, each with a number of its own.
const EVERY_NAME: &str = r#"{"prompt_tokens":1,"completion_tokens":2,"input_tokens":4,"output_tokens":8,"total_tokens":16,
    "search_units":32,"seconds":64.5,"cache_read_input_tokens":128,"cache_creation_input_tokens":256,
    "prompt_tokens_details":{"cached_tokens":3,"cache_write_tokens":5},"completion_tokens_details":{"reasoning_tokens":6},
    "input_tokens_details":{"cached_tokens":7,"cache_write_tokens":9},
    "output_tokens_details":{"reasoning_tokens":10,"thinking_tokens":11},"cost":0.5}"#;

#[test]
fn each_route_has_names_of_its_own() {
    let none = [None; 3];
    for (route, expected) in [
        (Route::ChatCompletions, (1, 2, [Some(3), Some(5), Some(6)])),
        (Route::Completions, (1, 2, [Some(3), Some(5), Some(6)])),
        (Route::Images, (1, 2, [Some(3), Some(5), Some(6)])),
        (Route::Embeddings, (1, 2, [Some(3), Some(5), Some(6)])),
        (Route::Responses, (4, 8, [Some(7), Some(9), Some(10)])),
        (Route::Transcriptions, (4, 8, [Some(7), Some(9), Some(10)])),
        (Route::Messages, (4 + 128 + 256, 8, [Some(128), Some(256), Some(11)])),
        (Route::Rerank, (16, 0, none)),
    ] {
        let report = parse(EVERY_NAME, route);
        assert_eq!(counts(&report), expected, "{route:?}");
        assert_eq!(report.exact().unwrap().cost.nanos(), 500_000_000);
    }
}

#[test]
fn where_nothing_is_completed_the_output_is_zero() {
    let none = [None; 3];
    let embeddings = r#"{"prompt_tokens":6,"total_tokens":6,"cost":1.2e-7}"#;
    assert_eq!(counts(&parse(embeddings, Route::Embeddings)), (6, 0, none));
    let rerank = r#"{"search_units":1,"total_tokens":150,"cost":0.002}"#;
    assert_eq!(counts(&parse(rerank, Route::Rerank)), (150, 0, none));
    for route in Route::ALL {
        let report = parse(embeddings, route);
        let knows = matches!(route, Route::Embeddings | Route::Rerank);
        assert_eq!(report.exact().is_some(), knows, "{route:?}");
    }
}

#[test]
fn counts_that_a_route_does_not_report_are_unknown() {
    let unknown = |why| UsageReport::Incomplete { why };
    for (raw, route, why) in [
        (r#"{"search_units":1,"cost":0.002}"#, Route::Rerank, UsageGap::TokensUnknown),
        (r#"{"search_units":1,"total_tokens":150}"#, Route::Rerank, UsageGap::CostUnknown),
        (r#"{"total_tokens":6,"cost":1}"#, Route::Embeddings, UsageGap::TokensUnknown),
        (r#"{"type":"duration","seconds":9.2}"#, Route::Transcriptions, UsageGap::CostUnknown),
        (r#"{"type":"duration","seconds":9.2,"cost":0.001}"#, Route::Transcriptions, UsageGap::TokensUnknown),
        (r#"{"output_tokens":1,"cost":1}"#, Route::Messages, UsageGap::TokensUnknown),
        (r#"{"input_tokens":1,"cost":1}"#, Route::Responses, UsageGap::TokensUnknown),
    ] {
        assert_eq!(parse(raw, route), unknown(why), "{raw}");
    }
}

#[test]
fn cache_tokens_of_messages_must_be_known_to_be_added() {
    for (cache, expected) in [
        ("", Ok(10)),
        (r#","cache_read_input_tokens":null,"cache_creation_input_tokens":null"#, Ok(10)),
        (r#","cache_read_input_tokens":5"#, Ok(15)),
        (r#","cache_creation_input_tokens":7,"cache_read_input_tokens":5"#, Ok(22)),
        (r#","cache_read_input_tokens":-5"#, Err(UsageGap::TokensInvalid)),
        (r#","cache_creation_input_tokens":"5""#, Err(UsageGap::TokensInvalid)),
        (r#","cache_read_input_tokens":9223372036854775807"#, Err(UsageGap::TokensInvalid)),
    ] {
        let report =
            parse(&format!(r#"{{"input_tokens":10,"output_tokens":1,"cost":1{cache}}}"#), Route::Messages);
        match expected {
            Ok(input) => assert_eq!(counts(&report).0, input, "{cache}"),
            Err(why) => assert_eq!(report, UsageReport::Incomplete { why }, "{cache}"),
        }
    }
}

#[test]
fn later_objects_complete_earlier_ones() {
    let mut reported = Reported::default();
    reported.add(
        br#"{"input_tokens":10,"output_tokens":1,"cache_read_input_tokens":5,"cost":null}"#,
        Route::Messages,
    );
    assert_eq!(reported.report(Route::Messages), UsageReport::Incomplete { why: UsageGap::CostUnknown });
    reported.add(
        br#"{"input_tokens":null,"output_tokens":15,"cache_read_input_tokens":null,"cost":0,"is_byok":true}"#,
        Route::Messages,
    );
    reported.add(br#"{"cost_details":{"upstream_inference_cost":0.25},"is_byok":null}"#, Route::Messages);
    let report = reported.report(Route::Messages);
    assert_eq!(counts(&report), (15, 15, [Some(5), None, None]));
    assert_eq!(report.exact().unwrap().cost_text, "0+0.25");
    // What could not be read may have said anything.
    reported.add(b"[]", Route::Messages);
    reported.add(br#"{"output_tokens":16}"#, Route::Messages);
    assert_eq!(reported.report(Route::Messages), UsageReport::Incomplete { why: UsageGap::Malformed });
}
