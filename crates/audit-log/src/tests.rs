//! The chain on both databases.

use std::sync::Barrier;

use diesel::prelude::*;
use mai_primitives::{OrganizationId, UnixTime};
use mai_storage::{Result, Storage, testing::TestDb};

use crate::{
    Actor, ActorKind, AuditQuery, Broken, Details, NewEntry, Verified, append,
    schema::{audit_head, audit_log},
    service::list,
    verify,
};

const NOW: UnixTime = UnixTime::from_seconds(1_795_000_000);

fn write(storage: &Storage, organization: Option<&str>, action: &str, target: &str) -> i64 {
    let organization = organization.map(|id| OrganizationId::new(id).unwrap());
    let actor = Actor::new(ActorKind::Account, "account_1").at(Some("127.0.0.1".into()), None);
    let written: Result<i64> = storage.write_blocking(|conn| {
        let entry = NewEntry::done(organization.as_ref(), action, target)
            .with(Details::none().with("name", "Żółw").with_some("limit", None::<i64>));
        append(conn, &actor, NOW, &entry)
    });
    written.unwrap()
}

fn check(storage: &Storage) -> std::result::Result<Verified, Broken> {
    storage.read_blocking(verify).unwrap()
}

fn damage(storage: &Storage, damage: impl Fn(&mut mai_storage::DbConnection) -> QueryResult<usize>) {
    let done: Result<usize> = storage.write_blocking(|conn| Ok(damage(conn)?));
    assert_eq!(done.unwrap(), 1);
}

#[test]
fn an_unbroken_chain_is_found_unbroken() {
    TestDb::each(|storage| {
        assert_eq!(check(storage), Ok(Verified { entries: 0, head: String::new() }));
        for number in 1..=3 {
            assert_eq!(write(storage, None, "settings.update", &number.to_string()), number);
        }
        let verified = check(storage).unwrap();
        assert_eq!((verified.entries, verified.head.len()), (3, 64));
    });
}

#[test]
fn every_kind_of_damage_is_found() {
    type Damage = fn(&mut mai_storage::DbConnection) -> QueryResult<usize>;
    let cases: [(Damage, Broken); 6] = [
        (
            |conn| diesel::update(audit_log::table.find(2)).set(audit_log::result.eq("denied")).execute(conn),
            Broken::Changed(2),
        ),
        (
            |conn| {
                diesel::update(audit_log::table.find(2))
                    .set(audit_log::request_id.eq(Some("another")))
                    .execute(conn)
            },
            Broken::Changed(2),
        ),
        (
            |conn| diesel::delete(audit_log::table.find(2)).execute(conn),
            Broken::Gap { expected: 2, found: 3 },
        ),
        (
            |conn| diesel::delete(audit_log::table.find(1)).execute(conn),
            Broken::Gap { expected: 1, found: 2 },
        ),
        (
            |conn| diesel::delete(audit_log::table.find(3)).execute(conn),
            Broken::End { expected: 3, found: 2 },
        ),
        (
            |conn| diesel::update(audit_head::table).set(audit_head::hash.eq("0")).execute(conn),
            Broken::End { expected: 3, found: 3 },
        ),
    ];
    for (spoil, broken) in cases {
        TestDb::each(|storage| {
            for target in ["a", "b", "c"] {
                write(storage, None, "settings.update", target);
            }
            damage(storage, spoil);
            assert_eq!(check(storage), Err(broken.clone()));
        });
    }
}

#[test]
fn one_changed_byte_in_any_column_is_found() {
    type Damage = fn(&mut mai_storage::DbConnection) -> QueryResult<usize>;
    macro_rules! change {
        ($column:ident, $to:expr) => {
            (stringify!($column), |conn| {
                diesel::update(audit_log::table.find(2)).set(audit_log::$column.eq($to)).execute(conn)
            })
        };
    }
    let cases: [(&str, Damage); 12] = [
        change!(seq, 12),
        change!(created_at, NOW.plus_seconds(1)),
        change!(actor_kind, ActorKind::ApiToken),
        change!(actor_id, "account_2"),
        change!(remote, Some("127.0.0.2")),
        change!(request_id, Some("")),
        change!(client_org_id, Some("orh")),
        change!(action, "settings.updatf"),
        change!(target, "c"),
        change!(result, "oK"),
        change!(details, "{\"name\":\"Zółw\"}"),
        change!(hash, "0"),
    ];
    for (column, spoil) in cases {
        TestDb::each(|storage| {
            for target in ["a", "b", "c"] {
                write(storage, Some("org"), "settings.update", target);
            }
            damage(storage, spoil);
            let broken = check(storage).unwrap_err();
            let expected =
                if column == "seq" { Broken::Gap { expected: 2, found: 3 } } else { Broken::Changed(2) };
            assert_eq!(broken, expected, "{column}");
        });
    }
}

#[test]
fn an_export_can_be_walked_elsewhere() {
    TestDb::each(|storage| {
        write(storage, Some("org"), "settings.update", "a");
        write(storage, None, "settings.update", "Żółw \"2\"");
        let rows = storage.read_blocking(|conn| crate::entries_after(conn, 0, 10)).unwrap();
        let export: String = rows.into_iter().map(|row| crate::export::line(row).unwrap()).collect();
        let walked = |export: &str| -> std::result::Result<Verified, Broken> {
            let mut walk = crate::Walk::default();
            for line in export.lines() {
                walk.step(&crate::export::parse(line).unwrap())?;
            }
            Ok(walk.seen())
        };
        assert_eq!(walked(&export), check(storage));
        assert_eq!(walked(&export.replace("Żółw \\\"2", "Żółw \\\"3")), Err(Broken::Changed(2)));
        assert!(crate::export::parse("{}").is_err());
    });
}

#[test]
fn writers_of_one_moment_follow_one_another() {
    TestDb::each(|storage| {
        let barrier = Barrier::new(8);
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    for number in 0..5 {
                        write(storage, Some("org"), "member.update", &format!("{thread}-{number}"));
                    }
                });
            }
        });
        assert_eq!(check(storage).unwrap().entries, 40);
    });
}

#[test]
fn a_refused_change_leaves_no_entry() {
    TestDb::each(|storage| {
        let refused: Result<()> = storage.write_blocking(|conn| {
            append(conn, &Actor::system(), NOW, &NewEntry::done(None, "settings.update", ""))?;
            Err(mai_storage::Error::NotFound)
        });
        assert!(refused.is_err());
        assert_eq!(check(storage).unwrap().entries, 0);
    });
}

#[test]
fn lists_by_organization_action_and_place() {
    TestDb::each(|storage| {
        write(storage, Some("a"), "gateway_key.create", "1");
        write(storage, Some("b"), "gateway_key.create", "2");
        write(storage, Some("a"), "gateway_key.revoke", "3");
        write(storage, Some("a"), "member.update", "4");
        let targets = |query: AuditQuery| {
            let rows = storage.read_blocking(|conn| list(conn, &AuditQuery { limit: 10, ..query.clone() }));
            rows.unwrap().into_iter().map(|row| row.target).collect::<Vec<_>>()
        };
        let a = || Some(OrganizationId::new("a").unwrap());
        assert_eq!(targets(AuditQuery::default()), ["4", "3", "2", "1"]);
        assert_eq!(targets(AuditQuery { organization: a(), ..AuditQuery::default() }), ["4", "3", "1"]);
        let keys = |action: &str| AuditQuery { action: Some(action.into()), ..AuditQuery::default() };
        assert_eq!(targets(keys("gateway_key")), ["3", "2", "1"]);
        assert_eq!(targets(keys("gateway_key.revoke")), ["3"]);
        assert_eq!(targets(keys("%")), Vec::<String>::new());
        let by = |actor: &str| AuditQuery { actor: Some(actor.into()), ..AuditQuery::default() };
        assert_eq!(targets(by("nobody")), [""; 0]);
        assert_eq!(targets(by("account_1")), ["4", "3", "2", "1"]);
        assert_eq!(targets(AuditQuery { before: Some(3), ..AuditQuery::default() }), ["2", "1"]);
        assert_eq!(targets(AuditQuery { from: Some(NOW.plus_seconds(1)), ..AuditQuery::default() }), [""; 0]);
        assert_eq!(targets(AuditQuery { to: Some(NOW), ..AuditQuery::default() }), [""; 0]);
    });
}

#[test]
fn what_strangers_send_is_cut() {
    TestDb::each(|storage| {
        write(storage, None, "session.create", &format!("a\0{}", "x".repeat(10_000)));
        let row = storage.read_blocking(|conn| list(conn, &AuditQuery { limit: 1, ..Default::default() }));
        assert_eq!(row.unwrap()[0].target.len(), 300);
        assert!(check(storage).is_ok());
    });
}
