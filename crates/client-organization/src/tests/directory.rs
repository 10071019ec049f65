use std::num::NonZeroU32;

use diesel::prelude::*;
use mai_global_settings::{GlobalSettingsForm, MasterKey};
use mai_storage::Error as StorageError;
use secrecy::ExposeSecret;

use super::{at, each, organization, rate, user};
use crate::{
    Change, ClientOrganizationForm, ClientOrganizationPatch, Directory, IdentitySecret, MemberForm,
    MemberPatch, MemberRole, MemberSource, NewGatewayKey, UserClientMappingForm,
    members::deactivate_member,
    schema::{client_organizations, gateway_keys},
};

fn key(name: &str) -> NewGatewayKey {
    NewGatewayKey { name: name.into(), ..Default::default() }
}

#[test]
fn holds_all_that_a_call_needs() {
    each(async |fixture| {
        let form = ClientOrganizationForm {
            id: Some(organization("A")),
            name: "Alfa".into(),
            openrouter_api_key: Some("sk-or-1".into()),
            timezone: Some("America/New_York".into()),
            drain_on_disconnect: true,
            site_url: Some("https://chat.a.example".into()),
            ..Default::default()
        };
        fixture.organizations.create(form).await.unwrap();
        for user_id in ["u1", "u2"] {
            let form = UserClientMappingForm {
                user_id: user(user_id),
                client_org_id: organization("A"),
                openrouter_user_id: None,
            };
            fixture.mappings.create_mapping(form).await.unwrap();
        }
        fixture.mappings.deactivate_mapping(&organization("A"), &user("u2")).await.unwrap();
        let new = NewGatewayKey {
            user_id: Some(user("u1")),
            is_trusted_client: true,
            is_open_webui: true,
            requests_per_minute: Some(60),
            expires_at: Some(at(5_000)),
            ..key("k")
        };
        let created = fixture.gateway_keys.create(&organization("A"), new).await.unwrap();

        let directory = fixture.directory();
        assert_eq!(directory.revision, fixture.revision());
        let entry = directory.find_key(created.key.expose_secret()).unwrap();
        assert_eq!((entry.id.as_str(), entry.user_id.clone()), (created.model.id.as_str(), Some(user("u1"))));
        assert_eq!(
            (entry.is_trusted_client, entry.expires_at, entry.revoked),
            (true, Some(at(5_000)), false)
        );
        assert_eq!((entry.is_open_webui, entry.requests_per_minute), (true, NonZeroU32::new(60)));
        assert!(matches!(entry.identity_secret, IdentitySecret::NotSet));
        let owner = &entry.organization;
        assert_eq!(owner.site_url.as_deref(), Some("https://chat.a.example"));
        assert_eq!((owner.id.as_str(), owner.name.as_str(), owner.is_active), ("A", "Alfa", true));
        assert_eq!((owner.calendar.zone(), owner.drain_on_disconnect), ("America/New_York", true));
        assert_eq!(owner.provider_key.as_ref().unwrap().expose_secret(), "sk-or-1");
        assert!(!owner.provider_key_error);
        assert_eq!(owner.openrouter_user_ids.keys().collect::<Vec<_>>(), [&user("u1")]);
        assert!(!format!("{directory:?}").contains("sk-or-1"));
        for wrong in ["", "sk-mai-", &created.model.key_hash, &created.model.key_prefix] {
            assert!(directory.find_key(wrong).is_none(), "{wrong}");
        }
        assert!(directory.organization(&organization("A")).is_some());
        assert!(directory.organization(&organization("nobody")).is_none());
    });
}

#[test]
fn every_change_moves_the_revision_and_shows() {
    each(async |fixture| {
        fixture.organization("A").await;
        let a = organization("A");
        let key = fixture.gateway_keys.create(&a, key("k")).await.unwrap();
        let secret = key.key.expose_secret();
        let mut before = fixture.directory();
        let mut next = || {
            let directory = fixture.directory();
            assert!(directory.revision > before.revision, "{} {}", directory.revision, before.revision);
            before = directory;
            let entry = before.find_key(secret).unwrap();
            (entry.organization.markup_rate, entry.organization.is_active, entry.revoked)
        };
        let default = GlobalSettingsForm { default_markup_rate: Some(rate("1.4")), ..Default::default() };
        fixture.settings.update_settings(default).await.unwrap();
        assert_eq!(next(), (rate("1.4"), true, false));
        let own = ClientOrganizationPatch { markup_rate: Change::Set(rate("2")), ..Default::default() };
        fixture.organizations.update(&a, own).await.unwrap();
        assert_eq!(next(), (rate("2"), true, false));
        fixture.organizations.deactivate(&a).await.unwrap();
        assert_eq!(next(), (rate("2"), false, false));
        fixture.gateway_keys.revoke(&a, &key.model.id).await.unwrap();
        assert_eq!(next(), (rate("2"), false, true));
    });
}

#[test]
fn one_unreadable_row_does_not_take_the_others_down() {
    each(async |fixture| {
        let mut keys = Vec::new();
        for id in ["A", "B", "C", "D"] {
            let form = ClientOrganizationForm {
                id: Some(organization(id)),
                name: id.into(),
                openrouter_api_key: Some(format!("sk-or-{id}").into()),
                ..Default::default()
            };
            fixture.organizations.create(form).await.unwrap();
            keys.push(fixture.gateway_keys.create(&organization(id), key("k")).await.unwrap());
        }
        fixture
            .storage
            .write_blocking::<_, StorageError>(|conn| {
                let rows = client_organizations::table;
                diesel::update(rows.find("B"))
                    .set(client_organizations::openrouter_api_key.eq("v1:00000000:AAAA"))
                    .execute(conn)?;
                diesel::update(rows.find("C"))
                    .set(client_organizations::timezone.eq("Mars/Olympus"))
                    .execute(conn)?;
                diesel::update(gateway_keys::table.filter(gateway_keys::client_org_id.eq("D")))
                    .set(gateway_keys::key_hash.eq("no hash"))
                    .execute(conn)?;
                Ok(())
            })
            .unwrap();
        let directory = fixture.directory();
        let find = |index: usize| directory.find_key(keys[index].key.expose_secret());
        assert!(find(0).unwrap().organization.provider_key.is_some());
        let without_key = &find(1).unwrap().organization;
        assert!(without_key.provider_key.is_none() && without_key.provider_key_error);
        assert!(find(2).is_none() && find(3).is_none());
        let mut ids: Vec<_> = directory.organizations().map(|entry| entry.id.to_string()).collect();
        ids.sort();
        assert_eq!(ids, ["A", "B", "D"]);
    });
}

#[test]
fn another_master_key_opens_nothing_but_serves_the_rest() {
    each(async |fixture| {
        let form = ClientOrganizationForm {
            name: "A".into(),
            openrouter_api_key: Some("sk-or-1".into()),
            ..Default::default()
        };
        let id = fixture.organizations.create(form).await.unwrap().id;
        let other = MasterKey::generate().unwrap();
        let directory = fixture.storage.read_blocking(|conn| Directory::load(conn, &other)).unwrap();
        let entry = directory.organization(&id).unwrap();
        assert!(entry.provider_key.is_none() && entry.provider_key_error);
    });
}

#[test]
fn inactive_members_are_known_by_each_of_their_ids() {
    each(async |fixture| {
        for name in ["A", "B"] {
            fixture.organization(name).await;
        }
        let (a, members) = (organization("A"), &fixture.members);
        for name in ["anna", "old", "ben"] {
            members.create(&a, form(name)).await.unwrap();
        }
        members.create(&organization("B"), form("anna")).await.unwrap();
        let mut revision = 0;
        let mut inactive = |expected: &[&str]| {
            let directory = fixture.directory();
            assert!(directory.revision > revision, "every change moves the revision");
            revision = directory.revision;
            let of = |id: &str| directory.organization(&organization(id)).unwrap().inactive_users.clone();
            assert_eq!(of("A"), expected.iter().map(|id| user(id)).collect());
            assert!(of("B").is_empty());
        };
        let set = async |name: &str, is_active| {
            let patch = MemberPatch { is_active: Some(is_active), ..MemberPatch::default() };
            members.update(&a, &user(name), patch).await.unwrap();
        };
        inactive(&[]);
        set("anna", false).await;
        inactive(&["anna"]);
        members.add_external_id(&a, &user("a.nowak"), &user("anna")).await.unwrap();
        inactive(&["anna", "a.nowak"]);
        set("old", false).await;
        inactive(&["anna", "a.nowak", "old"]);
        // Whoever is registered a second time is the member that the id leads to.
        members.add_external_id(&a, &user("old"), &user("ben")).await.unwrap();
        inactive(&["anna", "a.nowak"]);
        set("anna", true).await;
        inactive(&[]);
        fixture.storage.write_blocking(|conn| deactivate_member(conn, &a, &user("ben"), at(1))).unwrap();
        inactive(&["ben", "old"]);
    });
}

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
