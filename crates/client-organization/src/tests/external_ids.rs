use std::collections::BTreeSet;

use mai_primitives::{OpenRouterUserId, UserId};

use super::{Fixture, at, each, organization, user};
use crate::{
    Error, MemberForm, MemberPatch, MemberRole, MemberSource, SeenMember, UserClientMappingModel,
    external_ids::{members_called, redirect},
    mapping::insert_missing,
    openrouter_user_id, register_seen, users_behind,
};

fn form(user_id: &str) -> MemberForm {
    MemberForm {
        user_id: user(user_id),
        name: None,
        email: None,
        role: MemberRole::Member,
        source: MemberSource::Api,
        is_active: true,
    }
}

async fn member(fixture: &Fixture, user_id: &str) {
    fixture.members.create(&organization("A"), form(user_id)).await.unwrap();
}

async fn add(fixture: &Fixture, external: &str, user_id: &str) -> Result<bool, Error> {
    fixture.members.add_external_id(&organization("A"), &user(external), &user(user_id)).await
}

fn behind(fixture: &Fixture, id: &OpenRouterUserId) -> Option<String> {
    let ids = BTreeSet::from([id.clone()]);
    let mut found =
        fixture.storage.read_blocking(|conn| users_behind(conn, &organization("A"), &ids)).unwrap();
    found.remove(id).map(|user| user.to_string())
}

fn redirected(fixture: &Fixture, users: &[&str]) -> Vec<String> {
    let mut users: Vec<UserId> = users.iter().map(|id| user(id)).collect();
    fixture.storage.read_blocking(|conn| redirect(conn, &organization("A"), &mut users)).unwrap();
    users.into_iter().map(|user| user.to_string()).collect()
}

#[test]
fn a_further_id_leads_to_its_member_until_it_is_taken_away() {
    each(async |fixture| {
        for name in ["A", "B"] {
            fixture.organization(name).await;
        }
        member(fixture, "anna").await;
        assert!(add(fixture, "a.nowak", "anna").await.unwrap());
        assert!(!add(fixture, "a.nowak", "anna").await.unwrap(), "once is enough");
        let theirs = fixture.members.external_ids(&organization("A"), &user("anna")).await.unwrap();
        assert_eq!(theirs, [user("a.nowak")]);
        assert_eq!(redirected(fixture, &["a.nowak", "other", "anna"]), ["anna", "other", "anna"]);
        assert_eq!(behind(fixture, &OpenRouterUserId::new("a.nowak").unwrap()).as_deref(), Some("anna"));
        let elsewhere =
            fixture.storage.read_blocking(|conn| members_called(conn, &organization("B"), ["a.nowak"]));
        assert!(elsewhere.unwrap().is_empty(), "another organization's ids are its own");

        let table = &fixture.members;
        let (a, external) = (organization("A"), user("a.nowak"));
        let others = table.remove_external_id(&a, &external, &user("ben")).await;
        assert!(matches!(others, Err(Error::NotFound { .. })), "{others:?}");
        table.remove_external_id(&a, &external, &user("anna")).await.unwrap();
        let gone = table.remove_external_id(&a, &external, &user("anna")).await;
        assert!(matches!(gone, Err(Error::NotFound { .. })), "{gone:?}");
        assert_eq!(redirected(fixture, &["a.nowak"]), ["a.nowak"]);
    });
}

#[test]
fn what_cannot_be_a_further_id() {
    each(async |fixture| {
        fixture.organization("A").await;
        for name in ["anna", "ben"] {
            member(fixture, name).await;
        }
        let nobody = openrouter_user_id(&organization("A"), &UserId::unattributed()).unwrap();
        for id in ["anna", "unattributed", "manual_admin", nobody.as_str()] {
            let refused = add(fixture, id, "anna").await;
            assert!(matches!(refused, Err(Error::Invalid { field: "external_user_id", .. })), "{id}");
        }
        assert!(matches!(add(fixture, "x", "nobody").await, Err(Error::NotFound { what: "member", .. })));
        assert!(matches!(add(fixture, "ben", "anna").await, Err(Error::Taken(_))), "he is a member");
        let bens = openrouter_user_id(&organization("A"), &user("ben")).unwrap();
        assert!(matches!(add(fixture, bens.as_str(), "anna").await, Err(Error::Taken(_))));
        add(fixture, bens.as_str(), "ben").await.unwrap();
        add(fixture, "b", "ben").await.unwrap();
        let refused = add(fixture, "b", "anna").await;
        assert!(matches!(refused, Err(Error::ExternalId { member, .. }) if member == user("ben")));
        let refused = add(fixture, "c", "b").await;
        assert!(matches!(refused, Err(Error::ExternalId { .. })), "b is not a member");
    });
}

#[test]
fn a_further_id_is_never_a_member_of_its_own() {
    each(async |fixture| {
        fixture.organization("A").await;
        let a = organization("A");
        member(fixture, "anna").await;
        member(fixture, "old").await;
        let inactive = MemberPatch { is_active: Some(false), ..MemberPatch::default() };
        fixture.members.update(&a, &user("old"), inactive).await.unwrap();
        add(fixture, "older", "old").await.unwrap();
        add(fixture, "old", "anna").await.unwrap();
        assert_eq!(redirected(fixture, &["old", "older"]), ["anna", "anna"], "and whoever was old");

        // A mapping that is older than this leads on as well.
        let id = openrouter_user_id(&a, &user("old")).unwrap();
        assert_eq!(behind(fixture, &id).as_deref(), Some("anna"));

        let active = MemberPatch { is_active: Some(true), ..MemberPatch::default() };
        let back = fixture.members.update(&a, &user("old"), active).await;
        assert!(matches!(back, Err(Error::ExternalId { .. })));
        let again = fixture.members.create(&a, form("older")).await;
        assert!(matches!(again, Err(Error::ExternalId { .. })));
        let listed = fixture.members.upsert(&a, vec![form("older")]).await;
        assert!(matches!(listed, Err(Error::ExternalId { .. })));
        let seen = SeenMember {
            openrouter_user_id: openrouter_user_id(&a, &user("older")).unwrap(),
            user_id: user("older"),
            name: Some("Anna".into()),
            email: None,
            role: None,
            source: MemberSource::Gateway,
        };
        let written = fixture
            .storage
            .write_blocking(|conn| register_seen(conn, &a, std::slice::from_ref(&seen), at(1)));
        assert_eq!(written.unwrap(), 0);
    });
}

#[test]
fn an_exact_mapping_decides_before_a_further_id_and_that_before_the_hash() {
    each(async |fixture| {
        fixture.organization("A").await;
        let a = organization("A");
        for name in ["anna", "ben", "cleo"] {
            member(fixture, name).await;
        }
        let full = openrouter_user_id(&a, &user("anna")).unwrap();
        let short = OpenRouterUserId::new(&full.as_str()[..full.as_str().len() - 8]).unwrap();
        assert_eq!(behind(fixture, &short).as_deref(), Some("anna"), "by the hash");
        add(fixture, short.as_str(), "ben").await.unwrap();
        assert_eq!(behind(fixture, &short).as_deref(), Some("ben"));
        // Nobody makes such a mapping any more; a first call that meets the assignment could.
        let mapping = UserClientMappingModel {
            client_org_id: a,
            user_id: user("dora"),
            openrouter_user_id: short.clone(),
            is_active: true,
            created_at: at(1),
            updated_at: at(1),
        };
        let written =
            fixture.storage.write_blocking(|conn| insert_missing(conn, std::slice::from_ref(&mapping)));
        assert_eq!(written.unwrap(), 1);
        assert_eq!(behind(fixture, &short).as_deref(), Some("dora"));
    });
}
