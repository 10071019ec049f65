//! What becomes of reports about what is booked already.

use mai_generation_processing::{
    AuditAction::{Corrected as WasCorrected, Refused},
    GenerationAuditModel, NewGeneration, ProcessedGenerationModel,
    UsageSource::{self, Broadcast, Gateway, GenerationLookup, Manual, Webhook},
    audit::list_audit,
    query::find,
};
use mai_primitives::{MarkupRate, OpenRouterUserId, Usd, UserId};
use mai_storage::{Storage, testing::TestDb};

use super::{
    NOON, books, clock, create_organization, day, generation, id, mismatches, model, on, org, record,
};
use crate::{
    Recorded::{self, Conflict, Corrected, Duplicate, New},
    Totals,
};

/// [`generation`] `gen-1` from another source.
fn from(source: UsageSource) -> NewGeneration {
    NewGeneration { source, ..generation("gen-1") }
}

/// The same at another cost.
fn at(nanos: i64, source: UsageSource) -> NewGeneration {
    NewGeneration { total_cost: Usd::from_nanos(nanos), ..from(source) }
}

fn counted(input_tokens: i64, output_tokens: i64, new: NewGeneration) -> NewGeneration {
    NewGeneration { input_tokens, output_tokens, ..new }
}

fn estimated(input_tokens: i64, output_tokens: i64, new: NewGeneration) -> NewGeneration {
    NewGeneration { tokens_estimated: true, ..counted(input_tokens, output_tokens, new) }
}

/// By another member, of another model.
fn by_ben(new: NewGeneration) -> NewGeneration {
    NewGeneration {
        user_id: UserId::new("ben").unwrap(),
        openrouter_user_id: OpenRouterUserId::new("a_user_ben").unwrap(),
        model_name: model("x-ai/grok-4"),
        ..new
    }
}

fn row(storage: &Storage) -> ProcessedGenerationModel {
    row_of(storage, "gen-1")
}

fn row_of(storage: &Storage, name: &str) -> ProcessedGenerationModel {
    storage.read_blocking(|conn| find(conn, &org("a"), &id(name))).unwrap().unwrap()
}

fn audit(storage: &Storage) -> Vec<GenerationAuditModel> {
    assert_eq!(mismatches(storage, &org("a")), []);
    storage.read_blocking(|conn| list_audit(conn, Some(&org("a")), 100)).unwrap()
}

/// The organization of the tests, with the rate 1.5, to which reports from outside are priced.
fn with_organization(test: impl Fn(&Storage)) {
    TestDb::each(|storage| {
        create_organization(storage, "a", &clock("2026-07-01T00:00:00Z"));
        test(storage);
    });
}

#[test]
fn an_equal_report_with_more_authority_takes_over_the_facts() {
    with_organization(|storage| {
        let webhook = on("2026-07-14", by_ben(from(Webhook)));
        let mut gateway = from(Gateway);
        gateway.markup_rate = MarkupRate::parse("2").unwrap();
        gateway.gateway_key_id = Some("key".into());
        gateway.task = Some("title_generation".into());
        assert_eq!(record(storage, std::slice::from_ref(&webhook)), [New]);
        assert_eq!(record(storage, &[gateway.clone()]), [Duplicate]);
        assert_eq!(row(storage), gateway.row(NOON).unwrap());
        let after = books(storage);
        assert_eq!((after.days.len(), after.users.len(), after.models.len()), (1, 1, 1));
        assert_eq!(after.days[0].usage_date, day("2026-07-15"));
        assert_eq!((after.days[0].total_requests, after.days[0].unique_users), (1, 1));
        assert_eq!(after.days[0].markup_cost, Usd::from_nanos(2_000));
        assert_eq!(after.users[0].user_id.as_str(), "anna");
        assert_eq!(after.days[0].primary_model, Some(model("openai/o3")));
        // And in the other order it is the same.
        assert_eq!(record(storage, &[webhook]), [Duplicate]);
        assert_eq!(books(storage), after);
        assert_eq!(audit(storage), []);
    });
}

/// Only the client says what a call was for, and only our gateway hears it.
#[test]
fn no_report_takes_the_task_away() {
    with_organization(|storage| {
        let gateway = NewGeneration { task: Some("tags_generation".into()), ..from(Gateway) };
        let task = || row(storage).task;
        record(storage, std::slice::from_ref(&gateway));
        assert_eq!(record(storage, &[from(Broadcast)]), [Duplicate]);
        assert_eq!(task(), gateway.task);
        assert_eq!(record(storage, &[at(5_000, GenerationLookup)]), [Corrected]);
        assert_eq!((task(), row(storage).source), (gateway.task.clone(), GenerationLookup));
        // A refused report brings none.
        let other = NewGeneration { task: Some("chat".into()), ..at(7, Gateway) };
        assert_eq!(record(storage, &[other]), [Conflict]);
        assert_eq!(task(), gateway.task);
        // One that comes first has none to take away.
        let second = |source| NewGeneration { id: id("gen-2"), ..from(source) };
        let labelled = NewGeneration { task: gateway.task.clone(), ..second(Gateway) };
        assert_eq!(record(storage, &[second(GenerationLookup)]), [New]);
        assert_eq!(record(storage, &[labelled]), [Duplicate]);
        assert_eq!(row_of(storage, "gen-2").task, gateway.task);
    });
}

#[test]
fn a_report_with_more_authority_corrects_the_books() {
    with_organization(|storage| {
        let wrong = on("2026-07-14", by_ben(at(700, Webhook)));
        record(storage, &[wrong, NewGeneration { id: id("gen-2"), ..by_ben(from(Gateway)) }]);
        let lookup = counted(20, 30, at(5_000, GenerationLookup));
        assert_eq!(record(storage, std::slice::from_ref(&lookup)), [Corrected]);
        assert_eq!(row(storage), lookup.row(NOON).unwrap());

        let books = books(storage);
        assert_eq!(books.days.len(), 1, "the day that lost its only generation is gone");
        let totals = |tokens, nanos| Totals {
            tokens,
            requests: 1,
            raw_cost: Usd::from_nanos(nanos),
            markup_cost: Usd::from_nanos(nanos / 2 * 3),
        };
        assert_eq!((books.days[0].total_tokens, books.days[0].raw_cost.nanos()), (65, 6_000));
        let users: Vec<_> = books
            .users
            .iter()
            .map(|row| {
                let (tokens, requests) = (row.total_tokens, row.total_requests);
                let totals =
                    Totals { tokens, requests, raw_cost: row.raw_cost, markup_cost: row.markup_cost };
                (row.user_id.as_str(), totals)
            })
            .collect();
        assert_eq!(users, [("anna", totals(50, 5_000)), ("ben", totals(15, 1_000))]);

        let audit = audit(storage);
        assert_eq!((audit.len(), audit[0].action), (1, WasCorrected));
        assert_eq!(
            (audit[0].booked_source, audit[0].reported_source),
            (Some(Webhook), Some(GenerationLookup))
        );
        let nanos = |cost: Option<Usd>| cost.unwrap().nanos();
        assert_eq!((nanos(audit[0].booked_cost), nanos(audit[0].reported_cost)), (700, 5_000));
        assert_eq!((audit[0].booked_input_tokens, audit[0].reported_output_tokens), (Some(10), Some(30)));
        assert_eq!(audit[0].booked_user_id.as_ref().unwrap().as_str(), "ben");
        assert_eq!(audit[0].reported_model_name, Some(model("openai/o3")));
        assert_eq!(
            (audit[0].booked_date, audit[0].reported_date),
            (Some(day("2026-07-14")), Some(day("2026-07-15")))
        );
    });
}

#[test]
fn a_report_without_more_authority_changes_nothing_and_leaves_one_audit_row() {
    with_organization(|storage| {
        record(storage, &[from(Gateway)]);
        let before = (row(storage), books(storage));
        let refused = [at(1, Gateway), at(1, Broadcast), counted(10, 6, from(Webhook)), at(0, Manual)];
        assert_eq!(record(storage, &refused), [Conflict; 4]);
        assert_eq!(record(storage, &refused), [Conflict; 4]);
        assert_eq!(record(storage, &[at(2, Broadcast)]), [Conflict]);
        assert_eq!((row(storage), books(storage)), before);
        let audit = audit(storage);
        assert!(audit.iter().all(|row| row.action == Refused && row.booked_source == Some(Gateway)));
        let mut reported: Vec<_> = audit
            .iter()
            .map(|row| (row.reported_source.unwrap().as_str(), row.reported_cost.unwrap().nanos()))
            .collect();
        reported.sort_unstable();
        let expected =
            [("broadcast", 1), ("broadcast", 2), ("gateway", 1), ("manual", 0), ("webhook", 1_000)];
        assert_eq!(reported, expected);
    });
}

#[test]
fn native_counts_are_kept_before_an_estimate_in_any_order() {
    with_organization(|storage| {
        let lookup = estimated(9, 4, from(GenerationLookup));
        let broadcast = counted(10, 6, from(Broadcast));
        let webhook = counted(10, 5, from(Webhook));
        let orders: [(&[&NewGeneration], &[Recorded]); 5] = [
            (&[&lookup, &webhook, &broadcast], &[New, Duplicate, Corrected]),
            (&[&lookup, &broadcast, &webhook], &[New, Duplicate, Conflict]),
            (&[&webhook, &lookup, &broadcast], &[New, Duplicate, Corrected]),
            (&[&webhook, &broadcast, &lookup], &[New, Corrected, Duplicate]),
            (&[&broadcast, &webhook, &lookup], &[New, Conflict, Duplicate]),
        ];
        for (number, (reports, expected)) in orders.into_iter().enumerate() {
            let renamed: Vec<_> = reports
                .iter()
                .map(|report| NewGeneration { id: id(&format!("order-{number}")), ..(*report).clone() })
                .collect();
            let recorded: Vec<_> =
                renamed.iter().flat_map(|report| record(storage, std::slice::from_ref(report))).collect();
            assert_eq!(recorded, expected, "{number}");
            let row = storage.read_blocking(|conn| find(conn, &org("a"), &renamed[0].id)).unwrap().unwrap();
            assert_eq!((row.source, row.tokens_source), (GenerationLookup, Broadcast), "{number}");
            assert_eq!((row.input_tokens, row.output_tokens, row.total_tokens), (10, 6, 16), "{number}");
            assert!(!row.tokens_estimated);
        }
        audit(storage);
    });
}

/// The webhook's report fits the look-up's cost, and came while the gateway's other cost was booked.
#[test]
fn native_counts_of_a_refused_report_complete_a_later_estimate() {
    with_organization(|storage| {
        let (gateway, webhook) = (at(20, Gateway), counted(7, 8, at(10, Webhook)));
        let lookup = estimated(5, 5, at(10, GenerationLookup));
        let recorded: Vec<_> = [gateway.clone(), webhook.clone(), lookup.clone()]
            .into_iter()
            .flat_map(|report| record(storage, &[report]))
            .collect();
        assert_eq!(recorded, [New, Conflict, Corrected]);
        let completed = row(storage);
        assert_eq!((completed.total_cost.nanos(), completed.source), (10, GenerationLookup));
        assert_eq!((completed.input_tokens, completed.output_tokens), (7, 8));
        assert_eq!((completed.tokens_source, completed.tokens_estimated), (Webhook, false));
        // All at once it is the same; so is the order in which the webhook comes last.
        for (name, order) in
            [("x", [gateway.clone(), webhook.clone(), lookup.clone()]), ("y", [gateway, lookup, webhook])]
        {
            record(storage, &order.map(|report| NewGeneration { id: id(name), ..report }));
            let other = storage.read_blocking(|conn| find(conn, &org("a"), &id(name))).unwrap().unwrap();
            assert_eq!(ProcessedGenerationModel { id: id("gen-1"), ..other }, completed, "{name}");
        }
        audit(storage);
    });
}

#[test]
fn an_estimate_is_compared_by_its_cost_alone() {
    with_organization(|storage| {
        record(storage, &[from(Gateway)]);
        assert_eq!(record(storage, &[estimated(1, 1, from(Webhook))]), [Duplicate]);
        assert_eq!(record(storage, &[estimated(1, 1, from(GenerationLookup))]), [Duplicate]);
        let row = row(storage);
        assert_eq!((row.source, row.tokens_source), (GenerationLookup, Gateway));
        assert_eq!((row.input_tokens, row.output_tokens, row.tokens_estimated), (10, 5, false));
        assert_eq!(record(storage, &[estimated(10, 5, at(999, Webhook))]), [Conflict]);
        assert_eq!(audit(storage).len(), 1);
    });
}

#[test]
fn reports_of_one_batch_arrive_one_after_the_other() {
    with_organization(|storage| {
        let batch =
            [at(1, Manual), at(1, Webhook), at(2, Gateway), at(1, Broadcast), at(2, GenerationLookup)];
        assert_eq!(record(storage, &batch), [New, Duplicate, Corrected, Conflict, Duplicate]);
        assert_eq!(row(storage), at(2, GenerationLookup).row(NOON).unwrap());
        let books = books(storage);
        assert_eq!((books.days[0].total_requests, books.days[0].raw_cost.nanos()), (1, 2));
        assert_eq!(audit(storage).len(), 2);
    });
}

#[test]
fn reports_from_outside_are_priced_with_the_rate_of_their_start() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-10T00:00:00Z");
        let organizations = create_organization(storage, "a", &clock);
        clock.set("2026-07-14T00:00:00Z".parse().unwrap());
        let patch = mai_client_organization::ClientOrganizationPatch {
            markup_rate: mai_client_organization::Change::Set(MarkupRate::parse("3").unwrap()),
            ..Default::default()
        };
        super::wait(organizations.update(&org("a"), patch)).unwrap();
        let carried = MarkupRate::parse("9").unwrap();
        let days = 86_400;
        for (source, ago, price) in [
            (Webhook, 0, 3_000),
            (Webhook, 3 * days, 1_500),
            (Broadcast, 3 * days, 1_500),
            (Manual, 0, 3_000),
            (Gateway, 3 * days, 9_000),
            (GenerationLookup, 0, 9_000),
        ] {
            let name = id(&format!("{source}-{ago}"));
            let new = NewGeneration {
                id: name.clone(),
                markup_rate: carried,
                started_at: NOON.plus_seconds(-ago),
                ..from(source)
            };
            assert_eq!(record(storage, &[new]), [New]);
            let row = storage.read_blocking(|conn| find(conn, &org("a"), &name)).unwrap().unwrap();
            assert_eq!(row.markup_cost.nanos(), price, "{name}");
        }
        assert_eq!(mismatches(storage, &org("a")), []);
    });
}
