use mai_primitives::{MarkupRate, ModelName, Usd};
use mai_storage::{BATCH_ROWS, testing::TestDb};

use super::{NOON, clock_at, day, generation, id, org, table, wait, write_rows};
use crate::{
    Error,
    error::Unbookable,
    failed::{NewFailedCall, count_failed, insert_failed_calls},
    model::{DuplicateCheck, UsageSource},
    query,
};

#[test]
fn a_row_follows_from_the_facts() {
    let mut new = generation("a", "gen-1");
    new.markup_rate = MarkupRate::parse("1.5").unwrap();
    new.total_cost = Usd::from_nanos(3);
    let row = new.row(NOON).unwrap();
    assert_eq!((row.total_tokens, row.markup_cost.nanos()), (15, 4));
}

#[test]
fn what_cannot_be_booked_is_named() {
    let refused = |change: fn(&mut crate::NewGeneration)| {
        let mut new = generation("a", "gen-1");
        change(&mut new);
        match new.row(NOON) {
            Err(Error::Unbookable { reason, .. }) => reason,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(|new| new.total_cost = Usd::from_nanos(-1)), Unbookable::NegativeCost);
    assert_eq!(refused(|new| new.output_tokens = -1), Unbookable::NegativeTokens);
    assert_eq!(refused(|new| new.reasoning_tokens = Some(-1)), Unbookable::NegativeTokens);
    assert_eq!(refused(|new| new.output_tokens = i64::MAX), Unbookable::OutOfRange);
    assert_eq!(refused(|new| new.total_cost = Usd::from_nanos(i64::MAX)), Unbookable::OutOfRange);
}

#[test]
fn sources_have_the_order_of_the_contract() {
    let mut sources = UsageSource::ALL.to_vec();
    sources.sort_by_key(|source| std::cmp::Reverse(source.authority()));
    let names: Vec<_> = sources.into_iter().map(UsageSource::as_str).collect();
    assert_eq!(names, ["generation_lookup", "gateway", "broadcast", "webhook", "manual"]);
}

#[test]
fn rows_come_back_as_they_were_written() {
    TestDb::each(|storage| {
        let row = generation("a", "gen-1").row(NOON).unwrap();
        let read = storage.write_blocking(|conn| {
            query::insert_or_lock(conn, &org("a"), [&row])?;
            query::find(conn, &row.client_org_id, &row.id)
        });
        assert_eq!(read.unwrap(), Some(row.clone()));
    });
}

#[test]
fn each_id_is_new_once_per_organization() {
    TestDb::each(|storage| {
        let batch = [generation("a", "gen-2"), generation("a", "gen-1"), generation("a", "gen-2")];
        assert_eq!(write_rows(storage, &batch, NOON), 2);
        assert_eq!(write_rows(storage, &batch, NOON), 0);
        assert_eq!(write_rows(storage, &[generation("b", "gen-1")], NOON), 1);
        assert_eq!(write_rows(storage, &[], NOON), 0);
    });
}

#[test]
fn batches_longer_than_one_statement() {
    TestDb::each(|storage| {
        let batch: Vec<_> =
            (0..=BATCH_ROWS * 2).map(|number| generation("a", &format!("gen-{number}"))).collect();
        assert_eq!(write_rows(storage, &batch[..=BATCH_ROWS], NOON), BATCH_ROWS + 1);
        assert_eq!(write_rows(storage, &batch, NOON), BATCH_ROWS);
        let ids: Vec<_> = batch.iter().map(|new| &new.id).collect();
        let found = storage.read_blocking(|conn| query::booked_ids(conn, &org("a"), &ids)).unwrap();
        assert_eq!(found.len(), batch.len());
    });
}

#[test]
fn the_id_decides_what_is_a_duplicate() {
    TestDb::each(|storage| {
        write_rows(storage, &[generation("a", "gen-1")], NOON);
        let ledger = table(storage, &clock_at(NOON));
        let check = |organization, name, nanos| {
            let model = ModelName::new("any/model").unwrap();
            wait(ledger.is_duplicate(&org(organization), &id(name), &model, Usd::from_nanos(nanos))).unwrap()
        };
        assert_eq!(check("a", "gen-1", 1_000), DuplicateCheck::Duplicate);
        assert_eq!(check("a", "gen-1", 1_001), DuplicateCheck::Conflict { booked: Usd::from_nanos(1_000) });
        assert_eq!(check("a", "gen-2", 1_000), DuplicateCheck::Unknown);
        assert_eq!(check("b", "gen-1", 1_000), DuplicateCheck::Unknown);
        assert!(wait(ledger.is_processed(&id("gen-1"), &org("a"))).unwrap());
        assert!(!wait(ledger.is_generation_processed(&id("gen-1"), &org("b"))).unwrap());
    });
}

#[test]
fn a_broken_database_is_an_error_and_never_a_no() {
    let missing = "sqlite:/nonexistent/folder/x.db".parse().unwrap();
    let settings = mai_storage::PoolSettings { connections: 1, wait: std::time::Duration::from_millis(200) };
    let storage = mai_storage::Storage::open(&missing, settings);
    let ledger = table(&storage, &clock_at(NOON));
    let answer = wait(ledger.is_processed(&id("gen-1"), &org("a")));
    assert!(matches!(answer, Err(Error::Storage(mai_storage::Error::Unavailable(_)))), "{answer:?}");
}

#[test]
fn days_and_sums() {
    TestDb::each(|storage| {
        let mut late = generation("a", "gen-1");
        late.started_at = NOON.plus_seconds(5);
        let mut other_day = generation("a", "gen-3");
        other_day.generation_date = day("2026-07-16");
        write_rows(storage, &[late, generation("a", "gen-2"), other_day, generation("b", "gen-4")], NOON);
        let ledger = table(storage, &clock_at(NOON));
        let rows = wait(ledger.get_processed_generations_for_date(&org("a"), day("2026-07-15"))).unwrap();
        let ids: Vec<_> = rows.iter().map(|row| row.generation_id.as_str()).collect();
        assert_eq!(ids, ["gen-2", "gen-1"]);
        let sums = |from, to| {
            let stats = wait(ledger.get_processed_generations_stats(&org("a"), day(from), day(to))).unwrap();
            (stats.total_processed, stats.total_cost.nanos(), stats.total_tokens)
        };
        assert_eq!(sums("2026-07-15", "2026-07-16"), (3, 3_000, 45));
        assert_eq!(sums("2026-07-16", "2026-07-31"), (1, 1_000, 15));
        assert_eq!(sums("2026-08-01", "2026-08-31"), (0, 0, 0));
    });
}

#[test]
fn failed_calls_are_counted_once() {
    TestDb::each(|storage| {
        let call = |name: &str, date| NewFailedCall {
            client_org_id: org("a"),
            id: name.into(),
            usage_date: day(date),
            user_id: mai_primitives::UserId::unattributed(),
            requested_model: None,
            status: 502,
            reason: "upstream".into(),
            started_at: NOON,
            created_at: NOON,
        };
        let calls = [call("2", "2026-07-15"), call("1", "2026-07-15"), call("3", "2026-07-16")];
        let insert = || storage.write_blocking(|conn| insert_failed_calls(conn, &calls)).unwrap();
        assert_eq!((insert(), insert()), (3, 0));
        let count = |from, to| {
            storage.read_blocking(|conn| count_failed(conn, &org("a"), day(from), day(to))).unwrap()
        };
        assert_eq!(count("2026-07-01", "2026-07-15"), 2);
        assert_eq!(count("2026-07-15", "2026-07-16"), 3);
        assert_eq!(count("2026-08-01", "2026-08-31"), 0);
    });
}
