use mai_primitives::OpenRouterUserId;

use super::{Fixture, each, organization, user};
use crate::{Error, UserClientMappingForm, UserClientMappingModel, UserClientMappingPatch};

const USER: &str = "00000000-0000-4000-8000-000000000001";

fn form(organization_id: &str, user_id: &str) -> UserClientMappingForm {
    UserClientMappingForm {
        user_id: user(user_id),
        client_org_id: organization(organization_id),
        openrouter_user_id: None,
    }
}

async fn create(fixture: &Fixture, organization: &str, user: &str) -> UserClientMappingModel {
    fixture.mappings.create_mapping(form(organization, user)).await.unwrap()
}

fn openrouter(id: &str) -> OpenRouterUserId {
    OpenRouterUserId::new(id).unwrap()
}

#[test]
fn a_mapping_is_made_found_and_deactivated() {
    each(async |fixture| {
        fixture.organization("A").await;
        let made = create(fixture, "A", USER).await;
        assert!(made.openrouter_user_id.as_str().starts_with("A_user_11e594f4"));
        let table = &fixture.mappings;
        assert_eq!(table.get_user_mapping(&user(USER)).await.unwrap().as_ref(), Some(&made));
        assert_eq!(table.get_mapping_by_user_id(&user(USER)).await.unwrap().as_ref(), Some(&made));
        assert_eq!(table.get_client_users(&organization("A")).await.unwrap(), [made]);
        assert_eq!(fixture.revision(), 2);
        assert!(table.deactivate_mapping(&organization("A"), &user(USER)).await.unwrap());
        assert_eq!(table.get_user_mapping(&user(USER)).await.unwrap(), None);
        assert_eq!(table.get_mappings_by_client_id(&organization("A")).await.unwrap(), []);
        assert_eq!(fixture.revision(), 3);
        assert!(!table.deactivate_mapping(&organization("A"), &user("nobody")).await.unwrap());
        assert!(!table.deactivate_mapping(&organization("B"), &user(USER)).await.unwrap());
        assert_eq!(fixture.revision(), 3);
    });
}

#[test]
fn users_and_openrouter_ids_are_unique_within_an_organization() {
    each(async |fixture| {
        fixture.organization("A").await;
        fixture.organization("B").await;
        let first = create(fixture, "A", "u1").await;
        create(fixture, "A", "u2").await;
        create(fixture, "B", "u1").await;
        let table = &fixture.mappings;
        assert!(matches!(table.create_mapping(form("A", "u1")).await, Err(Error::Taken("user id"))));
        let taken = UserClientMappingForm {
            openrouter_user_id: Some(first.openrouter_user_id.clone()),
            ..form("A", "u3")
        };
        assert!(matches!(table.create_mapping(taken.clone()).await, Err(Error::Taken("OpenRouter user id"))));
        let patch = UserClientMappingPatch {
            openrouter_user_id: Some(first.openrouter_user_id.clone()),
            is_active: None,
        };
        let clash = table.update_mapping(&organization("A"), &user("u2"), patch.clone()).await;
        assert!(matches!(clash, Err(Error::Taken("OpenRouter user id"))));
        table.update_mapping(&organization("A"), &user("u1"), patch).await.unwrap();
        assert!(matches!(
            table.create_mapping(form("nobody", "u1")).await,
            Err(Error::NotFound { what: "organization", .. })
        ));
    });
}

#[test]
fn nobody_maps_to_an_id_that_is_another_organizations() {
    each(async |fixture| {
        for name in ["A", "B"] {
            fixture.organization(name).await;
        }
        create(fixture, "A", "mapped").await;
        let table = &fixture.mappings;
        let to = |organization, user, id| UserClientMappingForm {
            openrouter_user_id: Some(openrouter(id)),
            ..form(organization, user)
        };
        let patch = |id| UserClientMappingPatch { openrouter_user_id: Some(openrouter(id)), is_active: None };
        let a = organization("A");
        for id in ["B_user_0123456789abcdef", "B_user_01234567", "Z_user_01234567"] {
            let made = table.create_mapping(to("A", "u", id)).await;
            assert!(matches!(made, Err(Error::Invalid { field: "openrouter_user_id", .. })), "{id} {made:?}");
            let changed = table.update_mapping(&a, &user("mapped"), patch(id)).await;
            assert!(matches!(changed, Err(Error::Invalid { .. })), "{id} {changed:?}");
        }
        table.create_mapping(to("A", "own", "A_user_01234567")).await.unwrap();

        // An id that tells no organization is whose it was first, as long as it is used.
        table.create_mapping(to("B", "b", "legacy")).await.unwrap();
        for refused in [
            table.create_mapping(to("A", "u", "legacy")).await,
            table.update_mapping(&a, &user("mapped"), patch("legacy")).await,
        ] {
            let error = refused.unwrap_err();
            assert!(matches!(error, Error::Taken("OpenRouter user id")), "{error}");
            assert!(!error.to_string().contains('B'), "{error}");
        }
        table.deactivate_mapping(&organization("B"), &user("b")).await.unwrap();
        table.create_mapping(to("A", "u", "legacy")).await.unwrap();
        let back = UserClientMappingPatch { is_active: Some(true), ..Default::default() };
        let back = table.update_mapping(&organization("B"), &user("b"), back).await;
        assert!(matches!(back, Err(Error::Taken("OpenRouter user id"))), "{back:?}");
        assert!(table.deactivate_mapping(&organization("B"), &user("b")).await.unwrap(), "stays as it is");
    });
}

#[test]
fn further_ids_of_members_are_not_mapped_to_others() {
    each(async |fixture| {
        fixture.organization("A").await;
        fixture.member("A", true).await;
        let (a, table) = (organization("A"), &fixture.mappings);
        fixture.members.add_external_id(&a, &user("u.nowak"), &user("u")).await.unwrap();
        let further = table.create_mapping(form("A", "u.nowak")).await;
        assert!(matches!(further, Err(Error::ExternalId { .. })), "{further:?}");
        create(fixture, "A", "other").await;
        let form =
            UserClientMappingForm { openrouter_user_id: Some(openrouter("u.nowak")), ..form("A", "another") };
        let made = table.create_mapping(form).await;
        assert!(matches!(made, Err(Error::Taken("OpenRouter user id"))), "{made:?}");
        let patch =
            UserClientMappingPatch { openrouter_user_id: Some(openrouter("u.nowak")), is_active: None };
        let changed = table.update_mapping(&a, &user("other"), patch.clone()).await;
        assert!(matches!(changed, Err(Error::Taken("OpenRouter user id"))), "{changed:?}");
        table.update_mapping(&a, &user("u"), patch).await.unwrap();
    });
}

#[test]
fn an_update_touches_only_its_own_organization() {
    each(async |fixture| {
        fixture.organization("A").await;
        fixture.organization("B").await;
        create(fixture, "A", "u").await;
        let other = create(fixture, "B", "u").await;
        fixture.wait_seconds(3);
        let patch =
            UserClientMappingPatch { openrouter_user_id: Some(openrouter("by-hand")), is_active: Some(true) };
        let changed = fixture.mappings.update_mapping(&organization("A"), &user("u"), patch).await.unwrap();
        assert_eq!(changed.openrouter_user_id, openrouter("by-hand"));
        assert_eq!((changed.created_at.seconds(), changed.updated_at.seconds()), (1_000, 1_003));
        assert_eq!(fixture.mappings.get_client_users(&organization("A")).await.unwrap(), [changed]);
        assert_eq!(fixture.mappings.get_client_users(&organization("B")).await.unwrap(), [other]);
        let unknown = fixture
            .mappings
            .update_mapping(&organization("A"), &user("nobody"), UserClientMappingPatch::default())
            .await;
        assert!(matches!(unknown, Err(Error::NotFound { .. })));
    });
}

#[test]
fn of_several_organizations_the_mapping_that_changed_last_counts() {
    each(async |fixture| {
        for name in ["A", "B", "C"] {
            fixture.organization(name).await;
            create(fixture, name, "u").await;
        }
        let found = async || {
            let mapping = fixture.mappings.get_user_mapping(&user("u")).await.unwrap();
            mapping.unwrap().client_org_id.to_string()
        };
        assert_eq!(found().await, "A", "all changed in the same second: the first id");
        fixture.wait_seconds(1);
        let patch = UserClientMappingPatch::default();
        fixture.mappings.update_mapping(&organization("B"), &user("u"), patch).await.unwrap();
        assert_eq!(found().await, "B");
        fixture.mappings.deactivate_mapping(&organization("B"), &user("u")).await.unwrap();
        assert_eq!(found().await, "A");
    });
}

#[test]
fn foreign_ids_lead_to_the_member() {
    each(async |fixture| {
        fixture.organization("A").await;
        fixture.organization("B").await;
        let made = create(fixture, "A", USER).await;
        create(fixture, "A", "other").await;
        let find = async |organization_id: &str, external: &str| {
            let found = fixture
                .mappings
                .get_user_by_external_id(&organization(organization_id), &openrouter(external))
                .await;
            found.unwrap().map(|user| user.to_string())
        };
        assert_eq!(find("A", made.openrouter_user_id.as_str()).await.as_deref(), Some(USER));
        assert_eq!(find("A", "A_user_11e594f4").await.as_deref(), Some(USER), "the original's form");
        for (organization, unknown) in
            [("A", "A_user_00000000"), ("A", "B_user_11e594f4"), ("B", "B_user_11e594f4"), ("A", "else")]
        {
            assert_eq!(find(organization, unknown).await, None, "{unknown} in {organization}");
        }
        // An explicit mapping goes before what the hash says.
        let explicit = UserClientMappingForm {
            openrouter_user_id: Some(openrouter("A_user_11e594f4")),
            ..form("A", "explicit")
        };
        fixture.mappings.create_mapping(explicit).await.unwrap();
        assert_eq!(find("A", "A_user_11e594f4").await.as_deref(), Some("explicit"));
    });
}
