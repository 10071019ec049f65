use std::{
    collections::{BTreeMap, HashMap},
    sync::Mutex,
};

use mai_primitives::{GenerationId, UnixTime};
use mai_storage::{Storage, testing::TestDb};

use super::{NOON, generation, id, org, write_rows};
use crate::pending::{
    LOOKUP_SECONDS, NewPendingGeneration, PendingGenerationModel, PendingReason, PendingState, claim_due,
    count_by_state, delete_pending, insert_pending, list_pending, mark_unresolved, next_pause_seconds,
    postpone,
};

pub(super) fn pending(organization: &str, name: &str, reason: PendingReason) -> NewPendingGeneration {
    let new = generation(organization, name);
    NewPendingGeneration {
        client_org_id: new.client_org_id,
        id: new.id,
        generation_date: new.generation_date,
        user_id: new.user_id,
        openrouter_user_id: new.openrouter_user_id,
        requested_model: Some(new.model_name),
        markup_rate: new.markup_rate,
        streamed: true,
        gateway_key_id: Some("key".into()),
        task: Some("title_generation".into()),
        started_at: new.started_at,
        reason,
        reservation: None,
    }
}

fn insert(storage: &Storage, new: &[NewPendingGeneration]) -> usize {
    storage.write_blocking(|conn| insert_pending(conn, new, NOON)).unwrap()
}

fn claim(storage: &Storage, at: UnixTime, limit: i64) -> Vec<PendingGenerationModel> {
    storage.write_blocking(|conn| claim_due(conn, at, 60, limit)).unwrap()
}

fn list(storage: &Storage) -> Vec<PendingGenerationModel> {
    storage.read_blocking(|conn| list_pending(conn, None, None, 100)).unwrap()
}

#[test]
fn pauses_grow_and_end_after_three_days() {
    let mut age = 0;
    let mut pauses = Vec::new();
    while let Some(pause) = next_pause_seconds(i32::try_from(pauses.len()).unwrap(), age) {
        pauses.push(pause);
        age += pause;
    }
    assert_eq!(&pauses[..6], [1, 1, 2, 3, 5, 8]);
    assert_eq!(pauses.iter().max(), Some(&3_600));
    assert_eq!(age, LOOKUP_SECONDS);
    let growing = &pauses[..pauses.len() - 1];
    assert!(growing.is_sorted());
    assert_eq!(next_pause_seconds(-1, -5), Some(1));
    assert_eq!(next_pause_seconds(i32::MAX, 0), Some(3_600));
    assert_eq!(next_pause_seconds(0, LOOKUP_SECONDS), None);
    assert_eq!(next_pause_seconds(0, i64::MIN), None);
}

#[test]
fn only_what_is_neither_pending_nor_booked_is_inserted() {
    TestDb::each(|storage| {
        write_rows(storage, &[generation("a", "booked")], NOON);
        let batch = [
            pending("a", "booked", PendingReason::Crash),
            pending("a", "gen-1", PendingReason::ClientGone),
            pending("a", "gen-1", PendingReason::Crash),
            pending("b", "booked", PendingReason::Crash),
        ];
        assert_eq!(insert(storage, &batch), 2);
        assert_eq!(insert(storage, &batch), 0);
        let rows = storage.read_blocking(|conn| list_pending(conn, Some(&org("a")), None, 10)).unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].reason, rows[0].attempts), (PendingReason::ClientGone, 0));
        assert_eq!(rows[0].next_attempt_at, NOON.plus_seconds(1));
    });
}

#[test]
fn without_an_id_there_is_nothing_to_look_up() {
    TestDb::each(|storage| {
        insert(
            storage,
            &[
                pending("a", "rec-1", PendingReason::NoGenerationId),
                pending("a", "gen-1", PendingReason::NoUsage),
            ],
        );
        let counts = storage.read_blocking(count_by_state).unwrap();
        assert_eq!(counts, BTreeMap::from([(PendingState::Pending, 1), (PendingState::Unresolved, 1)]));
        let claimed: Vec<_> =
            claim(storage, NOON.plus_seconds(9), 10).into_iter().map(|row| row.id).collect();
        assert_eq!(claimed, [id("gen-1")]);
    });
}

#[test]
fn a_claim_lasts_for_its_lease() {
    TestDb::each(|storage| {
        insert(storage, &[pending("a", "gen-1", PendingReason::Crash)]);
        assert!(claim(storage, NOON, 10).is_empty());
        let first = claim(storage, NOON.plus_seconds(1), 10);
        assert_eq!((first.len(), first[0].attempts), (1, 1));
        assert_eq!(first[0].next_attempt_at, NOON.plus_seconds(61));
        assert!(claim(storage, NOON.plus_seconds(60), 10).is_empty());
        assert_eq!(claim(storage, NOON.plus_seconds(61), 10)[0].attempts, 2);
        assert_eq!(list(storage), claim_view(storage));
    });
}

/// The rows of organization `a`, which are all there are.
fn claim_view(storage: &Storage) -> Vec<PendingGenerationModel> {
    storage.read_blocking(|conn| list_pending(conn, Some(&org("a")), None, 100)).unwrap()
}

#[test]
fn a_claim_takes_the_longest_waiting_up_to_its_limit() {
    TestDb::each(|storage| {
        let batch: Vec<_> =
            ["a", "b", "c"].map(|organization| pending(organization, "gen", PendingReason::Crash)).into();
        insert(storage, &batch);
        let set = |organization, at| {
            storage
                .write_blocking(|conn| postpone(conn, &org(organization), &id("gen"), at, "not found", NOON))
        };
        assert!(set("a", NOON.plus_seconds(30)).unwrap());
        assert!(set("b", NOON.plus_seconds(10)).unwrap());
        assert!(!set("unknown", NOON).unwrap());
        let claimed = claim(storage, NOON.plus_seconds(40), 2);
        let mut organizations: Vec<_> = claimed.iter().map(|row| row.client_org_id.as_str()).collect();
        organizations.sort_unstable();
        assert_eq!(organizations, ["b", "c"]);
    });
}

#[test]
fn an_end_without_a_result_stays_visible() {
    TestDb::each(|storage| {
        insert(
            storage,
            &[pending("a", "gen-1", PendingReason::Crash), pending("a", "gen-2", PendingReason::Crash)],
        );
        let long = "e".repeat(600);
        let end =
            |name| storage.write_blocking(|conn| mark_unresolved(conn, &org("a"), &id(name), &long, NOON));
        assert!(end("gen-1").unwrap());
        assert!(!end("gen-9").unwrap());
        let row = list(storage).into_iter().find(|row| row.id == id("gen-1")).unwrap();
        assert_eq!((row.state, row.last_error.map(|text| text.len())), (PendingState::Unresolved, Some(500)));
        assert_eq!(claim(storage, NOON.plus_seconds(999), 10).len(), 1);
        let delete = || {
            storage.write_blocking(|conn| {
                delete_pending(conn, &org("a"), &[id("gen-1"), id("gen-2"), id("gen-3")])
            })
        };
        assert_eq!((delete().unwrap(), delete().unwrap()), (2, 0));
        assert!(list(storage).is_empty());
    });
}

#[test]
fn several_claimers_never_get_the_same_generation() {
    TestDb::each(|storage| {
        let batch: Vec<_> = (0..200)
            .map(|number| pending(["a", "b"][number % 2], &format!("gen-{number}"), PendingReason::Crash))
            .collect();
        assert_eq!(insert(storage, &batch), 200);
        let claims: Mutex<HashMap<GenerationId, u32>> = Mutex::new(HashMap::new());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    loop {
                        let claimed = claim(storage, NOON.plus_seconds(5), 7);
                        let mut claims = claims.lock().unwrap();
                        for row in &claimed {
                            *claims.entry(row.id.clone()).or_default() += 1;
                        }
                        // Another claimer may have taken all that this one saw, so that only the
                        // count tells the end.
                        if claims.len() == 200 {
                            break;
                        }
                    }
                });
            }
        });
        let claims = claims.into_inner().unwrap();
        assert!(claims.values().all(|count| *count == 1), "{claims:?}");
        assert!(list(storage).iter().all(|row| row.attempts == 1));
    });
}
