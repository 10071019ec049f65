//! Usage of somebody who is registered under another id: by whatever way it comes, it is the member's.

use std::sync::Arc;

use diesel::prelude::*;
use mai_client_organization::{MemberForm, MemberRole, MemberSource, MemberTable, external_ids};
use mai_generation_processing::schema::{failed_calls, pending_generations};
use mai_openrouter::MockGenerationSource;
use mai_primitives::{OrganizationId, UnixTime, UserId};
use mai_storage::{Storage, testing::TestDb};
use mai_usage_tracking::{Assignment, assign::assign, verify::Days};

use crate::{
    books::{Books, NO_USAGE, append, apply_all, clock, exact, failed, new_settled, open},
    looking_up::{KEY, directory, found, reconciler, wait_for},
    run,
};

fn user(id: &str) -> UserId {
    UserId::new(id).unwrap()
}

fn org_a() -> OrganizationId {
    OrganizationId::new("org_a").unwrap()
}

/// Registers a member of `org_a`.
async fn register(storage: &Storage, id: &str) {
    let form = MemberForm {
        user_id: user(id),
        name: None,
        email: None,
        role: MemberRole::Member,
        source: MemberSource::Api,
        is_active: true,
    };
    MemberTable::new(storage.clone(), Arc::new(clock())).create(&org_a(), form).await.unwrap();
}

#[test]
fn records_of_the_journal_are_the_member_s_whatever_they_are() {
    TestDb::each(|storage| {
        run(async {
            directory(storage, "org_a", Some(KEY)).await;
            register(storage, "real").await;
            let folder = tempfile::tempdir().unwrap();
            let journal = open(&folder);
            let records = [("gen-1", exact(10)), ("gen-2", NO_USAGE), ("gen-3", failed())];
            let records = records.map(|(id, outcome)| new_settled("org_a", id, outcome));
            append(&journal, &records).await;
            // While they wait in the journal somebody says who anna is.
            storage
                .write_blocking(|conn| {
                    external_ids::together(conn, &org_a())?;
                    external_ids::add_external_id(
                        conn,
                        &org_a(),
                        &user("anna"),
                        &user("real"),
                        UnixTime::from_seconds(1),
                    )
                })
                .unwrap();
            apply_all(&journal, storage).await;
            let books = Books::of(storage, "org_a");
            assert_eq!(books.ledger[0].user_id, user("real"));
            let (waits, called) = storage
                .read_blocking(|conn| {
                    let waits = pending_generations::table.select(pending_generations::user_id);
                    let called = failed_calls::table.select(failed_calls::user_id);
                    Ok::<_, mai_storage::Error>((waits.first::<UserId>(conn)?, called.first::<UserId>(conn)?))
                })
                .unwrap();
            assert_eq!((waits, called), (user("real"), user("real")));
        });
    });
}

#[test]
fn a_generation_that_is_assigned_while_it_is_looked_up_is_booked_for_the_member() {
    TestDb::each(|storage| {
        run(async {
            let (clock, directory) = (clock(), directory(storage, "org_a", Some(KEY)).await);
            register(storage, "real").await;
            wait_for(storage, &clock, &["gen-1"]);
            storage
                .write_blocking(|conn| {
                    let row = diesel::update(pending_generations::table);
                    let nobody = UserId::unattributed();
                    Ok::<_, mai_storage::Error>(
                        row.set(pending_generations::user_id.eq(nobody)).execute(conn)?,
                    )
                })
                .unwrap();
            let mut source = MockGenerationSource::new();
            let books = storage.clone();
            source.expect_generation().once().returning(move |_, id| {
                let (books, answer) = (books.clone(), found(id, 70));
                Box::pin(async move {
                    let assignment = Assignment {
                        from: UserId::unattributed(),
                        to: user("real"),
                        days: Days::default(),
                        merge: false,
                    };
                    let now = UnixTime::from_seconds(2);
                    let moved =
                        books.write(move |conn| assign(conn, &org_a(), &assignment, now)).await.unwrap();
                    assert_eq!(moved.pending, 1);
                    Ok(answer)
                })
            });
            reconciler(storage, &directory, &clock, source).round().await.unwrap();
            let books = Books::of(storage, "org_a");
            assert_eq!((books.ledger.len(), books.pending.len()), (1, 0));
            assert_eq!(books.ledger[0].user_id, user("real"));
        });
    });
}
