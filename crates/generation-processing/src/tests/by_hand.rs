use mai_primitives::{ModelName, Usd};
use mai_storage::{Storage, testing::TestDb};

use super::{NOON, clock_at, generation, id, org, pending::pending, table, wait};
use crate::{
    Error, ProcessedGenerationTable,
    audit::{AuditAction, GenerationAuditModel, insert_audit},
    model::{NewGeneration, UsageSource},
    pending::{
        PendingGenerationModel, PendingReason, PendingState, insert_pending, list_pending, mark_unresolved,
        rest,
    },
};

fn insert(storage: &Storage, rows: &[(&str, &str, PendingReason)]) {
    let rows: Vec<_> = rows.iter().map(|(org, name, reason)| pending(org, name, *reason)).collect();
    storage.write_blocking(|conn| insert_pending(conn, &rows, NOON)).unwrap();
}

fn row(storage: &Storage, name: &str) -> PendingGenerationModel {
    let rows = storage.read_blocking(|conn| list_pending(conn, None, None, 100)).unwrap();
    rows.into_iter().find(|row| row.id == id(name)).unwrap()
}

fn ids(rows: &[PendingGenerationModel]) -> Vec<&str> {
    rows.iter().map(|row| row.id.as_str()).collect()
}

fn service(storage: &Storage) -> ProcessedGenerationTable {
    table(storage, &clock_at(NOON.plus_seconds(7)))
}

#[test]
fn a_dismissed_generation_leaves_an_audit_row_with_the_reason() {
    TestDb::each(|storage| {
        insert(storage, &[("a", "gen-1", PendingReason::Crash), ("a", "gen-2", PendingReason::NoAnswer)]);
        let ledger = service(storage);
        for blank in ["", " \n"] {
            assert!(matches!(wait(ledger.dismiss(&org("a"), &id("gen-2"), blank)), Err(Error::NoReason)));
        }
        wait(ledger.dismiss(&org("a"), &id("gen-2"), " not on the invoice ")).unwrap();
        let again = wait(ledger.dismiss(&org("a"), &id("gen-2"), "again"));
        assert!(matches!(again, Err(Error::NotPending(name)) if name == id("gen-2")));
        let other_organization = wait(ledger.dismiss(&org("b"), &id("gen-1"), "not mine"));
        assert!(matches!(other_organization, Err(Error::NotPending(_))));

        let left = wait(ledger.list_pending(None, None, 10)).unwrap();
        assert_eq!(ids(&left), ["gen-1"]);
        let audit = wait(ledger.list_audit(Some(&org("a")), 10)).unwrap();
        assert_eq!((audit.len(), audit[0].action), (1, AuditAction::Dismissed));
        assert_eq!(audit[0].reason.as_deref(), Some("not on the invoice"));
        assert_eq!((audit[0].generation_id.as_str(), audit[0].created_at), ("gen-2", NOON.plus_seconds(7)));
        assert_eq!(audit[0].reported_user_id.as_ref().unwrap().as_str(), "anna");
        assert_eq!((audit[0].reported_cost, audit[0].booked_cost), (None, None));
    });
}

#[test]
fn what_was_given_up_can_be_looked_up_again_where_there_is_something_to_look_up() {
    TestDb::each(|storage| {
        let ledger = service(storage);
        let again = |name| wait(ledger.look_up_again(&org("a"), &id(name)));
        for reason in PendingReason::ALL {
            insert(storage, &[("a", reason.as_str(), *reason)]);
            let first = row(storage, reason.as_str()).state;
            assert_eq!(first == PendingState::Pending, reason.can_be_looked_up(), "{reason}");
            let given_up = |conn: &mut _| mark_unresolved(conn, &org("a"), &id(reason.as_str()), "why", NOON);
            assert!(storage.write_blocking(given_up).unwrap());
            match again(reason.as_str()) {
                Ok(()) => {
                    let row = row(storage, reason.as_str());
                    assert_eq!(row.state, PendingState::Pending);
                    assert_eq!(
                        (row.next_attempt_at, row.last_error.as_deref()),
                        (NOON.plus_seconds(7), Some("why"))
                    );
                }
                Err(Error::NothingToLookUp { reason: named, .. }) => assert_eq!(named, *reason),
                Err(other) => panic!("{other}"),
            }
        }
        assert!(matches!(again("gen-9"), Err(Error::NotPending(_))));
        let listed = |state| {
            let rows = wait(ledger.list_pending(Some(&org("a")), Some(state), 100)).unwrap();
            let mut names: Vec<_> = rows.iter().map(|row| row.id.to_string()).collect();
            names.sort_unstable();
            names
        };
        assert_eq!(
            listed(PendingState::Pending),
            ["client_gone", "cost_unknown", "crash", "error_event", "no_usage", "upstream_cut"]
        );
        assert_eq!(
            listed(PendingState::Unresolved),
            ["conflict", "no_answer", "no_generation_id", "unbookable"]
        );
        assert!(wait(ledger.list_pending(Some(&org("b")), None, 100)).unwrap().is_empty());
    });
}

#[test]
fn an_organizations_generations_become_due_or_rest_together() {
    TestDb::each(|storage| {
        insert(
            storage,
            &[
                ("a", "1", PendingReason::Crash),
                ("a", "2", PendingReason::NoAnswer),
                ("b", "3", PendingReason::Crash),
            ],
        );
        let mut earlier = pending("a", "4", PendingReason::Crash);
        earlier.started_at = NOON.plus_seconds(-1);
        storage.write_blocking(|conn| insert_pending(conn, std::slice::from_ref(&earlier), NOON)).unwrap();
        let due = |names: [&str; 4]| {
            names.map(|name| row(storage, name).next_attempt_at.seconds() - NOON.seconds())
        };
        let rests =
            |until| storage.write_blocking(|conn| rest(conn, &org("a"), NOON.plus_seconds(until), NOON));
        assert_eq!(rests(60).unwrap(), 2);
        assert_eq!(due(["1", "2", "3", "4"]), [60, 1, 1, 60]);
        assert_eq!(rests(30).unwrap(), 0, "a shorter rest wakes nobody");
        assert!(["1", "4"].iter().all(|name| row(storage, name).attempts == 0));

        let ledger = service(storage);
        assert_eq!(wait(ledger.make_due(&org("a"), NOON)).unwrap(), 1);
        assert_eq!(due(["1", "2", "3", "4"]), [7, 1, 1, 60]);
        assert_eq!(wait(ledger.make_due(&org("a"), NOON.plus_seconds(-1))).unwrap(), 2);
        assert_eq!(due(["1", "2", "3", "4"]), [7, 1, 1, 7]);
        assert_eq!(row(storage, "2").state, PendingState::Unresolved);
    });
}

#[test]
fn the_audit_has_each_report_once_and_the_newest_first() {
    TestDb::each(|storage| {
        let report = |organization: &str, name: &str, nanos, later| {
            let new = NewGeneration {
                total_cost: Usd::from_nanos(nanos),
                source: UsageSource::Webhook,
                ..generation(organization, name)
            };
            new.row(NOON.plus_seconds(later)).unwrap()
        };
        let write = |action, reported: &crate::ProcessedGenerationModel| {
            let booked = generation(reported.client_org_id.as_str(), reported.id.as_str()).row(NOON).unwrap();
            let row = GenerationAuditModel::of_report(action, &booked, reported);
            storage.write_blocking(|conn| insert_audit(conn, &[row.clone(), row.clone()])).unwrap();
        };
        let first = report("a", "gen-1", 5, 0);
        write(AuditAction::Refused, &first);
        // The same report later, and at the same time a report of which one thing differs.
        write(AuditAction::Refused, &report("a", "gen-1", 5, 9));
        write(AuditAction::Corrected, &report("a", "gen-1", 5, 1));
        write(AuditAction::Refused, &report("a", "gen-1", 6, 2));
        let mut other_model = report("a", "gen-1", 5, 3);
        other_model.model_name = ModelName::new("x-ai/grok-4").unwrap();
        write(AuditAction::Refused, &other_model);
        write(AuditAction::Refused, &report("b", "gen-1", 5, 4));

        let ledger = service(storage);
        let later = |rows: &[GenerationAuditModel]| {
            rows.iter().map(|row| row.created_at.seconds() - NOON.seconds()).collect::<Vec<_>>()
        };
        let of_a = wait(ledger.list_audit(Some(&org("a")), 10)).unwrap();
        assert_eq!(later(&of_a), [3, 2, 1, 0]);
        assert_eq!(of_a[3].reported_cost, Some(Usd::from_nanos(5)));
        assert_eq!(later(&wait(ledger.list_audit(None, 2)).unwrap()), [4, 3]);
    });
}
