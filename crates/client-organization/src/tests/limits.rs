//! Limits of members and models.

use std::collections::HashSet;

use diesel::RunQueryDsl;
use mai_audit_log::{Actor, ActorKind};
use mai_primitives::Usd;
use mai_storage::{BATCH_ROWS, on_backend};

use super::{Fixture, each, entry, organization, user};
use crate::{
    ClientOrganizationPatch, Error, LimitScope, LimitSubject, Limits, UsageLimitModel, UsageLimitTable,
    external_ids,
    schema::usage_limits,
    usage_limits::{LIMITS_AT_MOST, limited_organizations},
};

fn usd(text: &str) -> Usd {
    Usd::parse(text).unwrap()
}

fn table(fixture: &Fixture) -> UsageLimitTable {
    let table = UsageLimitTable::new(fixture.storage.clone(), std::sync::Arc::new(fixture.clock.clone()));
    table.acting_as(Actor::new(ActorKind::CommandLine, ""))
}

fn limits(fixture: &Fixture, id: &str) -> Limits {
    fixture.directory().organization(&organization(id)).unwrap().limits.clone()
}

#[test]
fn limits_reach_the_directory_and_the_audit_log() {
    each(async |fixture| {
        fixture.organization("A").await;
        fixture.organization("B").await;
        fixture.member("A", true).await;
        assert!(limits(fixture, "A").is_empty());
        let (table, id) = (table(fixture), organization("A"));
        let before = fixture.revision();
        table.set(&id, (LimitScope::Member, "u"), usd("2.5")).await.unwrap();
        table.set(&id, (LimitScope::Model, "openai/o3"), usd("1")).await.unwrap();
        table.set(&id, (LimitScope::Model, "openai/o3"), usd("0")).await.unwrap();
        assert!(fixture.revision() > before);
        // The same again is no change.
        table.set(&id, (LimitScope::Model, "openai/o3"), usd("0")).await.unwrap();
        let patch = ClientOrganizationPatch {
            monthly_limit: crate::Change::Set(usd("100")),
            ..ClientOrganizationPatch::default()
        };
        fixture.organizations.update(&id, patch).await.unwrap();
        let found = limits(fixture, "A");
        let model = mai_primitives::ModelName::new("openai/o3").unwrap();
        assert_eq!(found.organization(), Some(usd("100")));
        assert_eq!((found.member(&user("u")), found.model(&model)), (Some(usd("2.5")), Some(usd("0"))));
        assert_eq!(found.subjects().count(), 3);
        assert!(limits(fixture, "B").is_empty());
        let listed = table.list(&id).await.unwrap();
        let shown: Vec<_> = listed.iter().map(|row| (row.scope, row.subject.as_str())).collect();
        assert_eq!(shown, [(LimitScope::Member, "u"), (LimitScope::Model, "openai/o3")]);
        assert_eq!(listed[0].about().unwrap(), LimitSubject::Member(user("u")));

        table.clear(&id, (LimitScope::Member, "u")).await.unwrap();
        assert_eq!(limits(fixture, "A").member(&user("u")), None);
        let gone = table.clear(&id, (LimitScope::Member, "u")).await;
        assert!(matches!(gone, Err(Error::NotFound { what: "limit", .. })), "{gone:?}");
        let entries = fixture.last_entries(5).await;
        let [a, b, c, _, d] = &entries[..] else { panic!("{entries:?}") };
        for set in [a, b, c] {
            assert_eq!(*set, entry("command_line", "usage_limit.set", "ok"));
        }
        assert_eq!(*d, entry("command_line", "usage_limit.clear", "ok"));
    });
}

#[test]
fn what_cannot_be_a_limit_is_refused() {
    each(async |fixture| {
        fixture.organization("A").await;
        let (table, id) = (table(fixture), organization("A"));
        let one = usd("1");
        let refused = table.set(&id, (LimitScope::Member, "nobody"), one).await;
        assert!(matches!(refused, Err(Error::NotFound { what: "member", .. })), "{refused:?}");
        let refused = table.set(&organization("X"), (LimitScope::Model, "a/b"), one).await;
        assert!(matches!(refused, Err(Error::NotFound { what: "organization", .. })), "{refused:?}");
        for (subject, amount, field) in
            [("a/b:free", "1", "subject"), (" ", "1", "subject"), ("a/b", "-1", "monthly_limit")]
        {
            let refused = table.set(&id, (LimitScope::Model, subject), usd(amount)).await;
            assert!(
                matches!(&refused, Err(Error::Invalid { field: named, .. }) if *named == field),
                "{refused:?}"
            );
        }
        assert!(table.list(&id).await.unwrap().is_empty());
    });
}

#[test]
fn an_organization_cannot_have_any_number_of_limits() {
    each(async |fixture| {
        fixture.organization("A").await;
        fixture.organization("B").await;
        let (table, id) = (table(fixture), organization("A"));
        let row = |number| UsageLimitModel {
            client_org_id: organization("A"),
            scope: LimitScope::Model,
            subject: format!("a/{number}"),
            monthly_limit: usd("1"),
            updated_at: crate::tests::at(1),
        };
        let rows: Vec<_> = (1..LIMITS_AT_MOST).map(row).collect();
        fixture
            .storage
            .write_blocking(|conn| {
                for rows in rows.chunks(BATCH_ROWS) {
                    on_backend!(conn, inner => diesel::insert_into(usage_limits::table)
                        .values(rows)
                        .execute(inner))?;
                }
                Ok::<_, Error>(())
            })
            .unwrap();
        table.set(&id, (LimitScope::Model, "a/last"), usd("1")).await.unwrap();
        let refused = table.set(&id, (LimitScope::Model, "a/more"), usd("1")).await;
        assert!(matches!(&refused, Err(Error::Invalid { field: "subject", .. })), "{refused:?}");
        // Those that are there can be changed, and taking one away makes room.
        table.set(&id, (LimitScope::Model, "a/last"), usd("2")).await.unwrap();
        table.clear(&id, (LimitScope::Model, "a/1")).await.unwrap();
        table.set(&id, (LimitScope::Model, "a/more"), usd("1")).await.unwrap();
        table.set(&organization("B"), (LimitScope::Model, "a/more"), usd("1")).await.unwrap();
        let limited = fixture.storage.read_blocking(limited_organizations).unwrap();
        assert_eq!(limited, HashSet::from([organization("A"), organization("B")]));
    });
}

#[test]
fn a_further_id_counts_for_its_member() {
    each(async |fixture| {
        fixture.organization("A").await;
        fixture.member("A", true).await;
        let (id, now) = (organization("A"), crate::tests::at(2_000));
        let added = fixture.storage.write_blocking(|conn| {
            external_ids::add_external_id(conn, &id, &user("e-mail"), &user("u"), now)
        });
        added.unwrap();
        let behind = |limits: &Limits| limits.member_behind(&user("e-mail")).clone();
        assert_eq!(behind(&limits(fixture, "A")), user("e-mail"), "nobody is limited");
        table(fixture).set(&id, (LimitScope::Member, "u"), usd("1")).await.unwrap();
        assert_eq!(behind(&limits(fixture, "A")), user("u"));
    });
}
