use std::collections::BTreeMap;

use mai_storage::testing::TestDb;
use proptest::prelude::*;

use super::{Fixture, at, each, organization, user};
use crate::{
    Error, MemberForm, MemberRole, MemberSource, SeenMember, UserClientMappingForm, members::members_of,
    openrouter_user_id, register_seen,
};

fn seen(organization_id: &str, user_id: &str) -> SeenMember {
    SeenMember {
        user_id: user(user_id),
        openrouter_user_id: openrouter_user_id(&organization(organization_id), &user(user_id)).unwrap(),
        name: None,
        email: None,
        role: None,
        source: MemberSource::Gateway,
    }
}

fn named(user_id: &str, name: &str, email: &str) -> SeenMember {
    SeenMember { name: Some(name.into()), email: Some(email.into()), ..seen("A", user_id) }
}

fn register(fixture: &Fixture, seen: &[SeenMember], now: i64) -> usize {
    let storage = &fixture.storage;
    storage.write_blocking(|conn| register_seen(conn, &organization("A"), seen, at(now))).unwrap()
}

fn member(user_id: &str) -> MemberForm {
    MemberForm {
        user_id: user(user_id),
        name: None,
        email: None,
        role: MemberRole::Member,
        source: MemberSource::Csv,
        is_active: true,
    }
}

#[test]
fn new_members_are_registered_and_mapped_once() {
    each(async |fixture| {
        fixture.organization("A").await;
        let calls = [seen("A", "u2"), named("u1", "Ewa", "ewa@x.example"), seen("A", "u2")];
        assert_eq!(register(fixture, &calls, 2_000), 4);
        assert_eq!(fixture.revision(), 1, "no gateway needs to load it");
        let members = fixture.members.list(&organization("A")).await.unwrap();
        assert_eq!(members.iter().map(|one| one.user_id.as_str()).collect::<Vec<_>>(), ["u1", "u2"]);
        assert_eq!((members[0].name.as_deref(), members[0].role), (Some("Ewa"), MemberRole::Member));
        assert_eq!((members[1].name.as_deref(), members[1].created_at), (None, at(2_000)));
        let mappings = fixture.mappings.get_client_users(&organization("A")).await.unwrap();
        assert_eq!(mappings.len(), 2);
        assert_eq!(mappings[1].openrouter_user_id, seen("A", "u2").openrouter_user_id);
        assert_eq!(register(fixture, &calls, 3_000), 0);
        assert_eq!(fixture.members.list(&organization("A")).await.unwrap(), members);
    });
}

#[test]
fn names_and_addresses_are_filled_in_and_followed() {
    each(async |fixture| {
        fixture.organization("A").await;
        register(fixture, &[seen("A", "u")], 2_000);
        assert_eq!(register(fixture, &[named("u", "Ewa", "ewa@x.example")], 2_001), 1);
        assert_eq!(register(fixture, &[seen("A", "u")], 2_002), 0, "silence takes nothing away");
        let married =
            SeenMember { email: None, role: Some(MemberRole::Admin), ..named("u", "Ewa Nowak", "") };
        assert_eq!(register(fixture, &[married], 2_003), 1);
        let row = fixture.members.get(&organization("A"), &user("u")).await.unwrap().unwrap();
        assert_eq!((row.name.as_deref(), row.email.as_deref()), (Some("Ewa Nowak"), Some("ewa@x.example")));
        assert_eq!(row.role, MemberRole::Member, "a call does not promote whom we know");
        assert_eq!((row.created_at, row.updated_at), (at(2_000), at(2_003)));
        assert_eq!(fixture.revision(), 1);
    });
}

#[test]
fn what_strangers_send_cannot_stop_the_booking() {
    each(async |fixture| {
        fixture.organization("A").await;
        let long = "ż".repeat(5_000);
        let calls =
            [named("u1", "a\0b\n", "  "), named("u2", &long, "not an address"), seen("A", "unattributed")];
        assert_eq!(register(fixture, &calls, 2_000), 4);
        let members = fixture.members.list(&organization("A")).await.unwrap();
        assert_eq!((members[0].name.as_deref(), members[0].email.as_deref()), (Some("ab"), None));
        assert_eq!(members[1].name.as_ref().unwrap().chars().count(), 200);
        assert_eq!(members.len(), 2, "nobody is not a member");
        assert_eq!(register(fixture, &calls, 2_001), 0);

        let refused = fixture
            .storage
            .write_blocking(|conn| register_seen(conn, &organization("nobody"), &[seen("A", "u")], at(1)));
        assert!(matches!(refused, Err(Error::NotFound { what: "organization", .. })));
    });
}

#[test]
fn an_openrouter_id_of_another_member_stays_with_it() {
    each(async |fixture| {
        fixture.organization("A").await;
        let by_hand = UserClientMappingForm {
            user_id: user("first"),
            client_org_id: organization("A"),
            openrouter_user_id: Some(seen("A", "second").openrouter_user_id),
        };
        fixture.mappings.create_mapping(by_hand).await.unwrap();
        assert_eq!(register(fixture, &[seen("A", "second")], 2_000), 1, "the member, without a mapping");
        assert_eq!(register(fixture, &[seen("A", "second")], 2_001), 0);
    });
}

#[test]
fn more_members_than_one_statement_carries() {
    each(async |fixture| {
        fixture.organization("A").await;
        let calls: Vec<_> = (0..2_500).rev().map(|index| seen("A", &format!("u{index:04}"))).collect();
        assert_eq!(register(fixture, &calls, 2_000), 5_000);
        assert_eq!(register(fixture, &calls, 2_000), 0);
        assert_eq!(fixture.members.list(&organization("A")).await.unwrap().len(), 2_500);
    });
}

#[test]
fn lists_replace_what_is_known() {
    each(async |fixture| {
        fixture.organization("A").await;
        register(fixture, &[named("u1", "Ewa", "ewa@x.example")], 2_000);
        fixture.wait_seconds(5_000);
        let forms = vec![
            MemberForm { name: Some("Jan".into()), role: MemberRole::Admin, ..member("u2") },
            MemberForm { is_active: false, ..member("u1") },
        ];
        assert_eq!(fixture.members.upsert(&organization("A"), forms).await.unwrap(), 2);
        let members = fixture.members.list(&organization("A")).await.unwrap();
        assert_eq!((members[0].name.as_deref(), members[0].is_active), (None, false));
        assert_eq!((members[0].source, members[0].created_at), (MemberSource::Csv, at(2_000)));
        assert_eq!((members[1].role, members[1].updated_at), (MemberRole::Admin, at(6_000)));
        assert_eq!(fixture.members.get(&organization("B"), &user("u1")).await.unwrap(), None);
        assert_eq!(fixture.revision(), 2);

        let twice = vec![member("u3"), member("u4"), member("u3")];
        let wrong_address = MemberForm { email: Some("x".into()), ..member("u3") };
        for (field, forms) in [("user_id", twice), ("email", vec![wrong_address])] {
            let error = fixture.members.upsert(&organization("A"), forms).await.unwrap_err();
            assert!(matches!(&error, Error::Invalid { field: at, .. } if *at == field), "{error}");
        }
        assert!(matches!(
            fixture.members.upsert(&organization("nobody"), vec![member("u")]).await,
            Err(Error::NotFound { .. })
        ));
        assert_eq!(
            (fixture.members.list(&organization("A")).await.unwrap().len(), fixture.revision()),
            (2, 2)
        );
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However the calls are cut into batches, each member ends with the last name that was said.
    #[test]
    fn batches_do_not_matter(
        calls in prop::collection::vec((0_u8..4, prop::option::of("[a-c]")), 0..20),
        batch in 1_usize..6,
    ) {
        let database = TestDb::sqlite();
        let fixture = Fixture::new(&database.storage);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(fixture.organization("A"));
        let mut expected = BTreeMap::<String, Option<String>>::new();
        let mut all = Vec::new();
        for (index, name) in calls {
            let id = format!("u{index}");
            let entry = expected.entry(id.clone()).or_default();
            *entry = name.clone().or(entry.take());
            all.push(SeenMember { name, ..seen("A", &id) });
        }
        for calls in all.chunks(batch) {
            register(&fixture, calls, 2_000);
        }
        let members = database.storage.read_blocking(|conn| members_of(conn, &organization("A"))).unwrap();
        let found: BTreeMap<_, _> =
            members.into_iter().map(|row| (row.user_id.to_string(), row.name)).collect();
        prop_assert_eq!(found, expected);
    }
}
