//! Changes that meet must neither lose one another nor fail.

use std::sync::{Barrier, Mutex};

use mai_primitives::Usd;
use tokio::runtime::Runtime;

use super::{Fixture, at, each, organization, rate, user};
use crate::{
    Change, ClientOrganizationPatch, Error, MemberForm, MemberPatch, MemberRole, MemberSource, SeenMember,
    UserClientMappingForm, external_ids::together, openrouter_user_id, register_seen,
};

const ROUNDS: i64 = 15;

/// What a thread does in each round.
type Work<'a> = &'a (dyn Fn(&Fixture, &Runtime, i64) + Sync);

fn on_threads(fixture: &Fixture, work: &[Work<'_>]) {
    std::thread::scope(|scope| {
        for one in work {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                for round in 1..=ROUNDS {
                    one(fixture, &runtime, round);
                }
            });
        }
    });
}

#[test]
fn patches_of_different_fields_do_not_undo_one_another() {
    each(async |fixture| {
        fixture.organization("A").await;
        let patch = |runtime: &Runtime, patch| {
            runtime.block_on(fixture.organizations.update(&organization("A"), patch)).unwrap();
        };
        on_threads(
            fixture,
            &[
                &|_, runtime, round| {
                    let limit = Change::Set(Usd::from_nanos(round));
                    patch(runtime, ClientOrganizationPatch { monthly_limit: limit, ..Default::default() });
                },
                &|_, runtime, round| {
                    let name = Some(format!("name {round}"));
                    patch(runtime, ClientOrganizationPatch { name, ..Default::default() });
                },
                &|_, runtime, round| {
                    let markup_rate = Change::Set(rate(&format!("1.{round:02}")));
                    patch(runtime, ClientOrganizationPatch { markup_rate, ..Default::default() });
                },
            ],
        );
        let row = fixture.organizations.get_by_id(&organization("A")).await.unwrap().unwrap();
        assert_eq!(row.monthly_limit, Some(Usd::from_nanos(ROUNDS)));
        assert_eq!(row.name, format!("name {ROUNDS}"));
        assert_eq!(row.markup_rate, Some(rate("1.15")));
        assert_eq!(fixture.revision(), 1 + 3 * ROUNDS);
    });
}

#[test]
fn members_seen_by_several_processes_at_once_are_registered_once() {
    each(async |fixture| {
        fixture.organization("A").await;
        let a = organization("A");
        let seen: Vec<SeenMember> = (0..60)
            .map(|index| {
                let user_id = user(&format!("u{index}"));
                SeenMember {
                    openrouter_user_id: openrouter_user_id(&a, &user_id).unwrap(),
                    user_id,
                    name: None,
                    email: None,
                    role: None,
                    source: MemberSource::Gateway,
                }
            })
            .collect();
        let register = |fixture: &Fixture, _: &Runtime, round: i64| {
            let upto = usize::try_from(round * 4).unwrap();
            fixture
                .storage
                .write_blocking(|conn| register_seen(conn, &organization("A"), &seen[..upto], at(round)))
                .unwrap();
        };
        let import = |fixture: &Fixture, runtime: &Runtime, round: i64| {
            let forms = vec![MemberForm {
                user_id: user(&format!("u{round}")),
                name: None,
                email: None,
                role: MemberRole::Member,
                source: MemberSource::Csv,
                is_active: true,
            }];
            runtime.block_on(fixture.members.upsert(&organization("A"), forms)).unwrap();
        };
        on_threads(fixture, &[&register, &register, &import]);
        assert_eq!(fixture.members.list(&a).await.unwrap().len(), 60);
        assert_eq!(fixture.mappings.get_client_users(&a).await.unwrap().len(), 60);
    });
}

#[test]
fn a_mapping_by_hand_and_a_first_call_may_meet() {
    each(async |fixture| {
        fixture.organization("A").await;
        let a = organization("A");
        let of = |round: i64| {
            let user_id = user(&format!("u{round}"));
            (openrouter_user_id(&a, &user_id).unwrap(), user_id)
        };
        // Nobody may panic between two meetings, or the other one waits for ever.
        let (meeting, failures) = (Barrier::new(2), Mutex::new(Vec::new()));
        let register = |fixture: &Fixture, _: &Runtime, round: i64| {
            let (openrouter_user_id, user_id) = of(round);
            let (name, email, role, source) = (None, None, None, MemberSource::Gateway);
            let seen = [SeenMember { user_id, openrouter_user_id, name, email, role, source }];
            meeting.wait();
            let registered = fixture.storage.write_blocking(|conn| register_seen(conn, &a, &seen, at(round)));
            failures.lock().unwrap().extend(registered.err());
        };
        let create = |fixture: &Fixture, runtime: &Runtime, round: i64| {
            let (client_org_id, user_id) = (a.clone(), of(round).1);
            let form = UserClientMappingForm { user_id, client_org_id, openrouter_user_id: None };
            meeting.wait();
            let created = runtime.block_on(fixture.mappings.create_mapping(form));
            failures.lock().unwrap().extend(created.err().filter(|error| !matches!(error, Error::Taken(_))));
        };
        on_threads(fixture, &[&register, &create]);
        assert!(failures.lock().unwrap().is_empty(), "{failures:?}");
        let mapped = fixture.mappings.get_client_users(&a).await.unwrap().len();
        assert_eq!(i64::try_from(mapped), Ok(ROUNDS));
    });
}

/// An id that calls for the first time becomes a member, or it is a further id of one, never both.
#[test]
fn a_further_id_and_a_first_call_may_meet() {
    each(async |fixture| {
        fixture.organization("A").await;
        fixture.member("A", true).await;
        let a = organization("A");
        let id = |round: i64| user(&format!("u{round}"));
        let (meeting, failures) = (Barrier::new(3), Mutex::new(Vec::new()));
        let register = |fixture: &Fixture, _: &Runtime, round: i64| {
            let user_id = id(round);
            let openrouter_user_id = openrouter_user_id(&a, &user_id).unwrap();
            let (name, email, role, source) = (None, None, None, MemberSource::Gateway);
            let seen = [SeenMember { user_id, openrouter_user_id, name, email, role, source }];
            meeting.wait();
            let registered = fixture.storage.write_blocking(|conn| {
                together(conn, &a)?;
                register_seen(conn, &a, &seen, at(round))
            });
            failures.lock().unwrap().extend(registered.err());
        };
        let add = |fixture: &Fixture, runtime: &Runtime, round: i64| {
            meeting.wait();
            let added = runtime.block_on(fixture.members.add_external_id(&a, &id(round), &user("u")));
            failures.lock().unwrap().extend(added.err().filter(|error| !matches!(error, Error::Taken(_))));
        };
        let change = |fixture: &Fixture, runtime: &Runtime, _: i64| {
            let patch = MemberPatch { name: Change::Set("Anna".into()), ..MemberPatch::default() };
            meeting.wait();
            let changed = runtime.block_on(fixture.members.update(&a, &user("u"), patch));
            failures.lock().unwrap().extend(changed.err());
        };
        on_threads(fixture, &[&register, &add, &change]);
        assert!(failures.lock().unwrap().is_empty(), "{failures:?}");
        let members: Vec<_> =
            fixture.members.list(&a).await.unwrap().into_iter().map(|member| member.user_id).collect();
        let further = fixture.members.external_ids(&a, &user("u")).await.unwrap();
        assert!(further.iter().all(|id| !members.contains(id)), "{members:?} {further:?}");
        assert_eq!(members.len() - 1 + further.len(), usize::try_from(ROUNDS).unwrap());
    });
}
