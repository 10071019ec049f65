use mai_generation_processing::{
    NewPendingGeneration, PendingReason,
    pending::{insert_pending, list_pending},
};
use mai_primitives::{OpenRouterUserId, Usd, UserId};
use mai_storage::testing::TestDb;

use super::{NOON, books, day, generation, id, mismatches, model, on, org, record, try_record, used};
use crate::{
    Error,
    Recorded::{Conflict, Duplicate, New},
    model::{ClientDailyUsageModel, ClientModelDailyUsageModel, ClientUserDailyUsageModel},
};

#[test]
fn one_generation_makes_one_row_in_each_table() {
    TestDb::each(|storage| {
        assert_eq!(record(storage, &[generation("gen-1")]), [New]);
        let books = books(storage);
        let (raw_cost, markup_cost) = (Usd::from_nanos(1_000), Usd::from_nanos(1_500));
        let day = day("2026-07-15");
        let client = ClientDailyUsageModel {
            client_org_id: org("a"),
            usage_date: day,
            total_tokens: 15,
            total_requests: 1,
            raw_cost,
            markup_cost,
            primary_model: Some(model("openai/o3")),
            unique_users: 1,
            created_at: NOON,
            updated_at: NOON,
            usd_pln_rate: None,
            rate_table_no: None,
            rate_effective_date: None,
        };
        let user = ClientUserDailyUsageModel {
            client_org_id: org("a"),
            usage_date: day,
            user_id: UserId::new("anna").unwrap(),
            openrouter_user_id: OpenRouterUserId::new("a_user_0123456789abcdef").unwrap(),
            total_tokens: 15,
            total_requests: 1,
            raw_cost,
            markup_cost,
            created_at: NOON,
            updated_at: NOON,
        };
        let model = ClientModelDailyUsageModel {
            client_org_id: org("a"),
            usage_date: day,
            model_name: model("openai/o3"),
            provider: Some("OpenAI".into()),
            total_tokens: 15,
            total_requests: 1,
            raw_cost,
            markup_cost,
            created_at: NOON,
            updated_at: NOON,
        };
        assert_eq!(client.id(), "a:2026-07-15");
        assert_eq!(user.id(), "a:anna:2026-07-15");
        assert_eq!(model.id(), "a:openai/o3:2026-07-15");
        assert_eq!(books, super::Books { days: vec![client], users: vec![user], models: vec![model] });
    });
}

#[test]
fn repetitions_are_told_apart_and_never_booked() {
    TestDb::each(|storage| {
        let other_cost = |name| used(name, "anna", "openai/o3", 15, 999);
        let mut other_split = generation("gen-1");
        (other_split.input_tokens, other_split.output_tokens) = (5, 10);
        let mut other_model = generation("gen-2");
        other_model.model_name = model("x-ai/grok-4");
        let batch = [
            generation("gen-2"),
            generation("gen-1"),
            generation("gen-1"),
            other_cost("gen-1"),
            other_split.clone(),
            other_model.clone(),
        ];
        assert_eq!(record(storage, &batch), [New, New, Duplicate, Conflict, Conflict, Duplicate]);
        let before = books(storage);
        assert_eq!((before.days[0].total_requests, before.days[0].raw_cost), (2, Usd::from_nanos(2_000)));
        assert_eq!(before.models.len(), 1);

        let again = [other_cost("gen-2"), generation("gen-2"), generation("gen-1"), other_model];
        assert_eq!(record(storage, &again), [Conflict, Duplicate, Duplicate, Duplicate]);
        assert_eq!(books(storage), before);
        assert_eq!(record(storage, &[]), []);
        assert_eq!(mismatches(storage, &org("a")), []);
    });
}

#[test]
fn what_is_derived_follows_the_rows() {
    TestDb::each(|storage| {
        let derived = || {
            let row = books(storage).days.remove(0);
            (row.unique_users, row.primary_model.unwrap().to_string())
        };
        record(storage, &[used("1", "anna", "x/a", 10, 5)]);
        assert_eq!(derived(), (1, "x/a".into()));
        record(storage, &[used("2", "ben", "x/b", 11, 1)]);
        assert_eq!(derived(), (2, "x/b".into()));
        // The same tokens and more cost, then everything the same and a name that comes first.
        // In byte order an upper-case letter precedes, whatever the database's locale says.
        record(storage, &[used("3", "ben", "x/a", 1, 0)]);
        assert_eq!(derived(), (2, "x/a".into()));
        record(storage, &[used("4", "cleo", "x/B", 11, 5)]);
        assert_eq!(derived(), (3, "x/B".into()));
        record(storage, &[used("5", "cleo", "x/A", 11, 5)]);
        assert_eq!(derived(), (3, "x/A".into()));
        assert_eq!(mismatches(storage, &org("a")), []);
    });
}

#[test]
fn each_day_has_its_own_rows() {
    TestDb::each(|storage| {
        let batch = [
            on("2026-07-16", used("1", "anna", "x/a", 1, 10)),
            on("2026-07-15", used("2", "anna", "x/a", 2, 20)),
            on("2026-07-16", used("3", "ben", "x/b", 3, 30)),
        ];
        record(storage, &batch);
        let books = books(storage);
        let days: Vec<_> = books.days.iter().map(|row| (row.total_tokens, row.unique_users)).collect();
        assert_eq!(days, [(2, 1), (4, 2)]);
        assert_eq!((books.users.len(), books.models.len()), (3, 3));
        assert_eq!(mismatches(storage, &org("a")), []);
    });
}

#[test]
fn a_model_without_an_author_has_no_provider() {
    TestDb::each(|storage| {
        record(storage, &[used("1", "anna", "my-model", 1, 1), used("2", "anna", "new-lab/m", 1, 1)]);
        let providers: Vec<_> = books(storage).models.into_iter().map(|row| row.provider).collect();
        assert_eq!(providers, [None, Some("new-lab".to_owned())]);
    });
}

#[test]
fn what_is_settled_no_longer_waits() {
    TestDb::each(|storage| {
        let pending = |name: &str| {
            let new = generation(name);
            NewPendingGeneration {
                client_org_id: new.client_org_id,
                id: new.id,
                generation_date: new.generation_date,
                user_id: new.user_id,
                openrouter_user_id: new.openrouter_user_id,
                requested_model: None,
                markup_rate: new.markup_rate,
                streamed: false,
                gateway_key_id: None,
                task: None,
                started_at: NOON,
                reason: PendingReason::ClientGone,
                reservation: None,
            }
        };
        let waiting = ["gen-1", "gen-2"].map(pending);
        storage.write_blocking(|conn| insert_pending(conn, &waiting, NOON)).unwrap();
        let left = || {
            let rows = storage.read_blocking(|conn| list_pending(conn, None, None, 10)).unwrap();
            rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
        };
        // Refused work leaves the queue as it is.
        let wrong = used("gen-9", "anna", "x/a", -1, 1);
        assert!(try_record(storage, &[generation("gen-1"), wrong]).is_err());
        assert_eq!(left(), [id("gen-1"), id("gen-2")]);
        record(storage, &[generation("gen-1"), generation("gen-3")]);
        assert_eq!(left(), [id("gen-2")]);
    });
}

#[test]
fn a_foreign_generation_is_refused_with_the_whole_batch() {
    TestDb::each(|storage| {
        let mut foreign = generation("gen-2");
        foreign.client_org_id = org("b");
        let outcome = try_record(storage, &[generation("gen-1"), foreign]);
        assert!(matches!(outcome, Err(Error::ForeignGeneration { id, .. }) if id.as_str() == "gen-2"));
        assert!(books(storage).days.is_empty());
        assert_eq!(mismatches(storage, &org("a")), []);
    });
}

#[test]
fn a_sum_that_leaves_the_range_books_nothing() {
    TestDb::each(|storage| {
        let costs = |name, nanos| {
            let mut new = used(name, "anna", "x/a", 1, nanos);
            new.markup_rate = mai_primitives::MarkupRate::parse("1").unwrap();
            new
        };
        // In memory, within one batch.
        let half = i64::MAX / 3 * 2;
        let outcome = try_record(storage, &[costs("1", half), costs("2", half)]);
        assert!(matches!(outcome, Err(Error::OutOfRange("raw costs"))), "{outcome:?}");
        // In the database, on top of what is there: a day of an organization ends at ten million dollars.
        let six_million = 6_000_000_000_000_000;
        assert_eq!(record(storage, &[costs("1", six_million)]), [New]);
        let before = books(storage);
        let outcome = try_record(storage, &[generation("3"), costs("2", six_million)]);
        assert!(matches!(&outcome, Err(Error::Storage(cause)) if !cause.is_transient()), "{outcome:?}");
        assert_eq!(books(storage), before);
        // The ledger forgot the refused ones as well: they can be booked elsewhere.
        assert_eq!(
            record(storage, &[generation("3"), on("2026-07-16", costs("2", six_million))]),
            [New, New]
        );
        assert_eq!(mismatches(storage, &org("a")), []);
    });
}
