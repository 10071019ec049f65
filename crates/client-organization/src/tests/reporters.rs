use std::collections::BTreeSet;

use diesel::prelude::*;
use mai_primitives::{OpenRouterUserId, UserId};
use secrecy::ExposeSecret;

use super::{Fixture, at, each, organization, user};
use crate::{
    Change, ClientOrganizationForm, ClientOrganizationPatch, Error, UserClientMappingForm,
    UserClientMappingModel, WebhookSecret,
    mapping::insert_missing,
    openrouter_user_id,
    schema::client_organizations::{dsl, table},
    users_behind,
};

fn sent_as(id: &str) -> OpenRouterUserId {
    OpenRouterUserId::new(id).unwrap()
}

async fn map(fixture: &Fixture, org: &str, name: &str, as_id: Option<&str>) -> OpenRouterUserId {
    let form = UserClientMappingForm {
        user_id: user(name),
        client_org_id: organization(org),
        openrouter_user_id: as_id.map(sent_as),
    };
    fixture.mappings.create_mapping(form).await.unwrap().openrouter_user_id
}

fn behind(fixture: &Fixture, org: &str, id: &str) -> Option<UserId> {
    let ids = BTreeSet::from([sent_as(id)]);
    let org = organization(org);
    let found = fixture.storage.read_blocking(|conn| users_behind(conn, &org, &ids)).unwrap();
    assert!(found.len() <= 1, "{found:?}");
    found.get(&sent_as(id)).cloned()
}

#[test]
fn an_openrouter_id_of_either_length_finds_its_user() {
    each(async |fixture| {
        fixture.organization("A_%").await;
        fixture.organization("B").await;
        let anna = map(fixture, "A_%", "anna", None).await;
        let bert = openrouter_user_id(&organization("A_%"), &user("bert")).unwrap();
        let short = &bert.as_str()[..bert.as_str().len() - 8];
        map(fixture, "A_%", "bert", Some(short)).await;
        map(fixture, "A_%", "carl", Some("webhook_carl")).await;
        let gone = map(fixture, "A_%", "gone", None).await;
        fixture.mappings.deactivate_mapping(&organization("A_%"), &user("gone")).await.unwrap();

        let anna_short = &anna.as_str()[..anna.as_str().len() - 8];
        for (id, expected) in [
            (anna.as_str(), Some("anna")),
            (anna_short, Some("anna")),
            (short, Some("bert")),
            (bert.as_str(), Some("bert")),
            ("webhook_carl", Some("carl")),
            (gone.as_str(), None),
            ("A_%_user_00000000", None),
            ("B_user_11e594f4", None),
            ("nobody knows", None),
        ] {
            assert_eq!(behind(fixture, "A_%", id), expected.map(user), "{id}");
        }
        assert_eq!(behind(fixture, "B", anna.as_str()), None, "another organization's id");
        let nobody = openrouter_user_id(&organization("B"), &UserId::unattributed()).unwrap();
        assert_eq!(behind(fixture, "B", nobody.as_str()), Some(UserId::unattributed()));
    });
}

#[test]
fn eight_digits_that_two_users_share_are_nobodys() {
    each(async |fixture| {
        fixture.organization("A").await;
        // Found by search: the SHA-256 of both begins with d977d49a.
        let (one, other) = ("user-20491", "user-32057");
        let first = map(fixture, "A", one, None).await;
        let short = first.as_str()[..first.as_str().len() - 8].to_owned();
        assert_eq!(behind(fixture, "A", &short), Some(user(one)));
        let second = map(fixture, "A", other, None).await;
        assert!(second.as_str().starts_with(&short) && second != first);
        assert_eq!(behind(fixture, "A", &short), None);
        assert_eq!(behind(fixture, "A", second.as_str()), Some(user(other)));
    });
}

#[test]
fn a_report_names_its_organization_by_key_or_by_user() {
    each(async |fixture| {
        let form = ClientOrganizationForm {
            id: Some(organization("A")),
            name: "Alfa".into(),
            openrouter_api_key: Some("sk-or-alfa".into()),
            ..Default::default()
        };
        fixture.organizations.create(form).await.unwrap();
        for org in ["B", "C"] {
            fixture.organization(org).await;
        }
        map(fixture, "B", "b", Some("legacy-b")).await;
        // By first calls only: whoever maps by hand is refused.
        let both = ["B", "C"].map(|org| UserClientMappingModel {
            client_org_id: organization(org),
            user_id: user("both"),
            openrouter_user_id: sent_as("legacy-both"),
            is_active: true,
            created_at: at(1),
            updated_at: at(1),
        });
        assert_eq!(fixture.storage.write_blocking(|conn| insert_missing(conn, &both)).unwrap(), 2);
        let directory = fixture.directory();
        let by_key = |key| directory.organization_by_provider_key(key).map(|entry| entry.id.clone());
        assert_eq!(by_key("sk-or-alfa"), Some(organization("A")));
        for unknown in ["", "sk-or-alf", "sk-or-alfa "] {
            assert_eq!(by_key(unknown), None, "{unknown}");
        }
        for (id, expected) in [
            ("A_user_0123456789abcdef", Some("A")),
            ("A_user_01234567", Some("A")),
            ("legacy-b", Some("B")),
            ("legacy-both", None),
            ("Z_user_0123456789abcdef", None),
            ("user_2abc", None),
        ] {
            let found = directory.organization_of(&sent_as(id)).map(|entry| entry.id.clone());
            assert_eq!(found, expected.map(organization), "{id}");
        }
    });
}

#[test]
fn a_webhook_secret_is_sealed_for_its_organization_and_can_be_taken_away() {
    each(async |fixture| {
        for org in ["A", "B"] {
            fixture.organization(org).await;
        }
        let set = async |secret| {
            let patch = ClientOrganizationPatch { webhook_secret: secret, ..Default::default() };
            fixture.organizations.update(&organization("A"), patch).await
        };
        let is_set =
            |org: &str| match &fixture.directory().organization(&organization(org)).unwrap().webhook_secret {
                WebhookSecret::Set(secret) => Some(secret.expose_secret().to_owned()),
                WebhookSecret::NotSet => None,
                WebhookSecret::Unreadable => Some("unreadable".to_owned()),
            };
        let before = fixture.revision();
        let sealed = set(Change::Set("a secret of 20 bytes".replace(' ', "-").into())).await.unwrap();
        assert!(fixture.revision() > before);
        assert!(!format!("{sealed:?}").contains("secret-of"));
        assert_eq!((is_set("A").as_deref(), is_set("B")), (Some("a-secret-of-20-bytes"), None));

        // Another organization's secret does not open.
        let stolen = sealed.webhook_secret.clone();
        let copy = |conn: &mut mai_storage::DbConnection| {
            let row = diesel::update(table.find("B")).set(dsl::webhook_secret.eq(stolen.clone()));
            Ok::<_, mai_storage::Error>(row.execute(conn)?)
        };
        fixture.storage.write_blocking(copy).unwrap();
        assert_eq!(is_set("B").as_deref(), Some("unreadable"));

        for bad in ["", "fifteen-letters", "with space in it!!", &"x".repeat(513)] {
            let refused = set(Change::Set(bad.into())).await.unwrap_err();
            assert!(matches!(refused, Error::Invalid { field: "webhook_secret", .. }), "{bad}");
        }
        set(Change::Keep).await.unwrap();
        assert!(is_set("A").is_some());
        set(Change::Clear).await.unwrap();
        assert_eq!(is_set("A"), None);
    });
}
