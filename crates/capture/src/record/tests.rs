use mai_primitives::{MarkupRate, OpenRouterUserId, OrganizationId, UnixTime, UsageDate, UserId};
use proptest::{option::of, prelude::*};

use super::*;
use crate::{
    call::{ExchangeId, NewMember, tests::call},
    limits::Held,
};

/// Texts that an id may have: any script, any punctuation.
fn text() -> impl Strategy<Value = String> {
    r"\PC{1,60}".prop_filter("ids are not blank", |text| !text.trim().is_empty())
}

fn days() -> impl Strategy<Value = UsageDate> {
    (0_u64..40_000).prop_map(|days| UsageDate::parse("1999-12-31").unwrap().plus_days(days))
}

prop_compose! {
    fn calls()(
        organization in text(),
        user in text(),
        openrouter_user in text(),
        model in of(text()),
        markup_ppm in 1..i64::MAX,
        seconds in any::<i64>(),
        usage_date in days(),
        streamed in any::<bool>(),
        gateway_key_id in of(any::<String>()),
        task in of(any::<String>()),
        new_member in of((of(any::<String>()), of(any::<String>()), of(any::<String>()))),
        held in of((any::<i64>(), text(), of(text()))),
    ) -> Call {
        Call {
            exchange: ExchangeId::new(),
            organization: OrganizationId::new(organization).unwrap(),
            user: UserId::new(user).unwrap(),
            openrouter_user: OpenRouterUserId::new(openrouter_user).unwrap(),
            requested_model: model.map(|name| ModelName::new(name).unwrap()),
            markup_rate: MarkupRate::from_ppm(markup_ppm).unwrap(),
            started_at: UnixTime::from_seconds(seconds),
            usage_date,
            streamed,
            gateway_key_id,
            task,
            new_member: new_member.map(|(name, email, role)| NewMember { name, email, role }),
            held: held.map(|(nanos, user, model)| Held {
                nanos,
                user: UserId::new(user).unwrap(),
                model: model.map(|name| ModelName::new(name).unwrap()),
            }),
        }
    }
}

prop_compose! {
    fn usages()(
        model in of(text()),
        serving_provider in of(any::<String>()),
        tokens in any::<[i64; 2]>(),
        parts in [of(any::<i64>()), of(any::<i64>()), of(any::<i64>())],
        cost_nanos in any::<i64>(),
        cost_text in any::<String>(),
        is_byok in any::<bool>(),
        tokens_estimated in any::<bool>(),
    ) -> ExactUsage {
        ExactUsage {
            model: model.map(|name| ModelName::new(name).unwrap()),
            serving_provider,
            input_tokens: tokens[0],
            output_tokens: tokens[1],
            cached_tokens: parts[0],
            cache_write_tokens: parts[1],
            reasoning_tokens: parts[2],
            cost_nanos,
            cost_text,
            is_byok,
            tokens_estimated,
        }
    }
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        usages().prop_map(Outcome::Exact),
        prop::sample::select(PendingReason::ALL).prop_map(|reason| Outcome::Unknown { reason }),
        (any::<u16>(), any::<String>()).prop_map(|(status, reason)| Outcome::Failed { status, reason }),
    ]
}

fn records() -> impl Strategy<Value = Record> {
    let id = || text().prop_map(|id| GenerationId::new(id).unwrap());
    let opened = || (calls(), id()).prop_map(|(call, generation_id)| Opened { call, generation_id });
    prop_oneof![
        calls().prop_map(|call| Record::Sent(Sent { call })),
        opened().prop_map(Record::Opened),
        (calls(), of(id()))
            .prop_map(|(call, generation_id)| Record::Carried(OpenCall { call, generation_id })),
        (calls(), of(id()), outcomes(), prop::sample::select(UsageSource::ALL)).prop_map(
            |(call, generation_id, outcome, source)| {
                Record::Settled(Settled { call, generation_id, outcome, source })
            }
        ),
    ]
}

proptest! {
    #[test]
    fn every_record_reads_back(record in records()) {
        let bytes = record.to_bytes().unwrap();
        prop_assert_eq!(Record::from_bytes(&bytes).unwrap(), record);
    }

    #[test]
    fn a_part_of_a_record_is_none(record in records(), at: prop::sample::Index) {
        let bytes = record.to_bytes().unwrap();
        prop_assert!(Record::from_bytes(&bytes[..at.index(bytes.len())]).is_err());
    }
}

const OLD_CALL: &str = r#"{"exchange":"mai-0197","organization":"org_test","user":"user-1",
    "openrouter_user":"org_test_user_0123456789abcdef","requested_model":"openai/gpt-4o-mini",
    "markup_rate":1300000,"started_at":1795310285,"usage_date":"2026-11-22","streamed":true}"#;

/// A journal outlives the program that wrote it: what these texts say must stay readable.
#[test]
fn journals_of_earlier_versions_stay_readable() {
    let exchange: ExchangeId = serde_json::from_str(r#""mai-0197""#).unwrap();
    let call = Call { exchange, ..call() };
    let generation_id = GenerationId::new("gen-1").unwrap();
    let opened = Opened { call: call.clone(), generation_id: generation_id.clone() };
    let usage = ExactUsage {
        model: None,
        serving_provider: None,
        input_tokens: 3,
        output_tokens: 2,
        cached_tokens: None,
        cache_write_tokens: None,
        reasoning_tokens: None,
        cost_nanos: 5_792,
        cost_text: "5.7915e-06".to_owned(),
        is_byok: false,
        tokens_estimated: false,
    };
    let settled =
        |generation_id, outcome| Record::Settled(Settled::by_gateway(call.clone(), generation_id, outcome));
    let known = [
        (r#""sent""#, Record::Sent(Sent { call: call.clone() })),
        (r#""opened","generation_id":"gen-1""#, Record::Opened(opened.clone())),
        (r#""carried","generation_id":"gen-1""#, Record::Carried(opened.into())),
        (r#""carried""#, Record::Carried(Sent { call: call.clone() }.into())),
        (
            r#""settled","generation_id":"gen-1","outcome":{"outcome":"exact","input_tokens":3,"output_tokens":2,
               "cost_nanos":5792,"cost_text":"5.7915e-06","is_byok":false}"#,
            settled(Some(generation_id), Outcome::Exact(usage)),
        ),
        (
            r#""settled","outcome":{"outcome":"unknown","reason":"client_gone"}"#,
            settled(None, Outcome::Unknown { reason: PendingReason::ClientGone }),
        ),
        (
            r#""settled","outcome":{"outcome":"failed","status":429,"reason":"upstream_status"}"#,
            settled(None, Outcome::Failed { status: 429, reason: "upstream_status".to_owned() }),
        ),
    ];
    for (text, record) in known {
        let text = format!(r#"{{"kind":{text},"call":{OLD_CALL}}}"#);
        assert_eq!(Record::from_bytes(text.as_bytes()).unwrap(), record, "{text}");
    }
}

#[test]
fn what_is_no_record_is_refused() {
    let wrong_rate = OLD_CALL.replace("1300000", "0");
    for text in [
        String::new(),
        "null".to_owned(),
        "{}".to_owned(),
        r#"{"kind":"opened"}"#.to_owned(),
        format!(r#"{{"kind":"closed","generation_id":"gen-1","call":{OLD_CALL}}}"#),
        format!(r#"{{"kind":"opened","generation_id":"","call":{OLD_CALL}}}"#),
        format!(r#"{{"kind":"opened","generation_id":"gen-1","call":{wrong_rate}}}"#),
        format!(
            r#"{{"kind":"settled","call":{OLD_CALL},"outcome":{{"outcome":"unknown","reason":"a mood"}}}}"#
        ),
        format!(r#"{{"kind":"opened","generation_id":"gen-1","call":{OLD_CALL}}} "#) + "{}",
    ] {
        assert!(Record::from_bytes(text.as_bytes()).is_err(), "{text}");
    }
}

fn usage() -> Usage {
    Usage {
        input_tokens: 3,
        output_tokens: 2,
        cached_tokens: Some(1),
        cache_write_tokens: None,
        reasoning_tokens: Some(0),
        cost: Usd::from_nanos(5_792),
        cost_text: "5.7915e-06".to_owned(),
        is_byok: true,
    }
}

fn observation(usage: UsageReport, error: bool) -> Observation {
    Observation {
        model: Some("openai/o3".into()),
        provider: Some("OpenAI".into()),
        usage,
        error,
        ..Observation::default()
    }
}

#[test]
fn an_outcome_is_exact_only_where_upstream_said_so() {
    let usage = usage();
    let of = |usage, error| Outcome::of(&observation(usage, error), PendingReason::NoUsage);
    for error in [false, true] {
        let Outcome::Exact(exact) = of(UsageReport::Exact(usage.clone()), error) else { panic!() };
        assert_eq!((exact.cost(), exact.cost_text.as_str()), (usage.cost, "5.7915e-06"));
        assert_eq!((exact.input_tokens, exact.output_tokens), (3, 2));
        assert_eq!((exact.cached_tokens, exact.reasoning_tokens), (Some(1), Some(0)));
        assert_eq!((exact.cache_write_tokens, exact.is_byok), (None, true));
        assert_eq!(exact.model, ModelName::new("openai/o3").ok());
        assert_eq!(exact.serving_provider.as_deref(), Some("OpenAI"));
        let gap = UsageReport::Incomplete { why: mai_openrouter::UsageGap::CostUnknown };
        assert_eq!(of(gap, error), Outcome::Unknown { reason: PendingReason::CostUnknown });
    }
    let unknown = |reason| Outcome::Unknown { reason };
    assert_eq!(of(UsageReport::Absent, true), unknown(PendingReason::ErrorEvent));
    assert_eq!(of(UsageReport::Absent, false), unknown(PendingReason::NoUsage));
}

#[test]
fn names_that_cannot_be_stored_are_left_out() {
    let usage = ExactUsage::new(&usage(), Some("a\0b"), None);
    assert_eq!(usage.model, None);
}

#[test]
fn a_log_shows_what_was_used_and_not_the_member_s_name_or_address() {
    let said = NewMember { name: Some("Zofia".into()), email: Some("z@example.com".into()), role: None };
    let call = Call { new_member: Some(said), ..call() };
    let usage = ExactUsage::new(&usage(), None, None);
    let settled = Settled::by_gateway(call.clone(), None, Outcome::Exact(usage));
    let opened = Opened { call: call.clone(), generation_id: GenerationId::new("gen-1").unwrap() };
    for record in [Record::Sent(Sent { call }), Record::Opened(opened), Record::Settled(settled)] {
        let text = record.to_log().unwrap();
        assert!(!text.contains("Zofia") && !text.contains("example.com"), "{text}");
        assert!(text.contains(record.call().exchange.as_generation_id().as_str()), "{text}");
    }
}
