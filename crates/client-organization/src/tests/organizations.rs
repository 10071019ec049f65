use mai_primitives::Usd;
use secrecy::{ExposeSecret, SecretString};

use super::{each, organization, rate};
use crate::{
    Change, ClientOrganizationForm, ClientOrganizationPatch, DayRatePolicy, Error, StatementRatePolicy,
};

fn form(name: &str, key: &str) -> ClientOrganizationForm {
    ClientOrganizationForm { name: name.into(), openrouter_api_key: Some(key.into()), ..Default::default() }
}

#[test]
fn what_is_created_is_found_by_id_and_by_key() {
    each(async |fixture| {
        let table = &fixture.organizations;
        let made = table.create(form(" Żółw ", "sk-or-v1-abcd1234")).await.unwrap();
        assert!(made.id.as_str().starts_with("org_"), "{}", made.id);
        assert_eq!(made.id.as_str().len(), 15);
        assert_eq!((made.name.as_str(), made.timezone.as_str()), ("Żółw", "Europe/Warsaw"));
        assert_eq!((made.markup_rate, made.monthly_limit, made.is_active), (None, None, true));
        assert_eq!(made.created_at.seconds(), 1_000);
        assert_eq!(made.calendar().unwrap().zone(), "Europe/Warsaw");
        let key = SecretString::from("sk-or-v1-abcd1234");
        for found in [
            table.get_by_id(&made.id).await,
            table.get_client_by_id(&made.id).await,
            table.get_any_by_id(&made.id).await,
            table.get_by_api_key(&key).await,
            table.get_client_by_api_key(&key).await,
        ] {
            assert_eq!(found.unwrap().as_ref(), Some(&made));
        }
        assert_eq!(table.get_by_api_key(&"sk-or-v1-other".into()).await.unwrap(), None);
        assert_eq!(table.get_by_id(&organization("nobody")).await.unwrap(), None);
        assert_eq!(fixture.revision(), 1);
    });
}

#[test]
fn the_provider_key_is_sealed_at_rest_and_never_shown() {
    each(async |fixture| {
        let made = fixture.organizations.create(form("A", "sk-or-v1-abcd1234")).await.unwrap();
        let stored = made.provider_key.sealed.clone().unwrap();
        assert!(stored.starts_with("v1:") && !stored.contains("abcd"), "{stored}");
        assert_eq!(made.provider_key.last4.as_deref(), Some("1234"));
        let shown = format!("{made:?} {:?}", form("A", "sk-or-v1-abcd1234"));
        assert!(!shown.contains("abcd") && !shown.contains("v1:"), "{shown}");
        let opened = fixture.organizations.provider_key(&made).unwrap().unwrap();
        assert_eq!(opened.expose_secret(), "sk-or-v1-abcd1234");
        // A sealed key that is copied to another organization does not open there.
        let thief = fixture.organization("thief").await;
        let forged = crate::ClientOrganizationModel { provider_key: made.provider_key, ..thief.clone() };
        assert!(matches!(fixture.organizations.provider_key(&forged), Err(Error::Secret(_))));
        assert!(fixture.organizations.provider_key(&thief).unwrap().is_none());
    });
}

#[test]
fn inactive_organizations_are_seen_by_administrators_only() {
    each(async |fixture| {
        let table = &fixture.organizations;
        let made = table.create(form("A", "sk-or-1")).await.unwrap();
        fixture.wait_seconds(5);
        assert!(table.deactivate_client(&made.id).await.unwrap());
        assert_eq!(fixture.revision(), 2);
        assert_eq!(table.get_by_id(&made.id).await.unwrap(), None);
        assert_eq!(table.get_by_api_key(&"sk-or-1".into()).await.unwrap(), None);
        assert_eq!(table.get_all_active_clients().await.unwrap(), []);
        let any = table.get_any_by_id(&made.id).await.unwrap().unwrap();
        assert_eq!((any.is_active, any.updated_at.seconds()), (false, 1_005));
        assert_eq!(table.get_all().await.unwrap(), [any]);

        assert!(table.deactivate(&made.id).await.unwrap(), "it is inactive, as was asked");
        assert_eq!(fixture.revision(), 2, "nothing changed");
        assert!(!table.deactivate(&organization("nobody")).await.unwrap());
        assert!(!table.activate(&organization("nobody")).await.unwrap());
        assert!(table.activate(&made.id).await.unwrap());
        assert!(table.get_by_id(&made.id).await.unwrap().is_some());
        assert_eq!(fixture.revision(), 3);
    });
}

#[test]
fn lists_are_ordered_by_name_and_then_by_id() {
    each(async |fixture| {
        for (id, name) in [("c", "alfa"), ("a", "beta"), ("b", "alfa")] {
            let form = ClientOrganizationForm {
                id: Some(organization(id)),
                name: name.into(),
                ..Default::default()
            };
            fixture.organizations.create_client(form).await.unwrap();
        }
        let ids = |rows: Vec<crate::ClientOrganizationModel>| {
            rows.iter().map(|row| row.id.to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(ids(fixture.organizations.get_all().await.unwrap()), "b c a");
        fixture.organizations.deactivate(&organization("c")).await.unwrap();
        assert_eq!(ids(fixture.organizations.get_all_active().await.unwrap()), "b a");
    });
}

#[test]
fn ids_and_keys_are_unique() {
    each(async |fixture| {
        let table = &fixture.organizations;
        let first = table.create(form("A", "sk-or-1")).await.unwrap();
        let second = table.create(form("B", "sk-or-2")).await.unwrap();
        let revision = fixture.revision();
        assert!(matches!(table.create(form("C", "sk-or-1")).await, Err(Error::Taken("OpenRouter key"))));
        let same_id = ClientOrganizationForm { id: Some(first.id.clone()), ..form("C", "sk-or-3") };
        assert!(matches!(table.create(same_id).await, Err(Error::Taken("organization id"))));
        let same_key = ClientOrganizationPatch {
            openrouter_api_key: Change::Set("sk-or-1".into()),
            ..Default::default()
        };
        let refused = table.update(&second.id, same_key.clone()).await;
        assert!(matches!(refused, Err(Error::Taken("OpenRouter key"))));
        assert_eq!((table.get_all().await.unwrap().len(), fixture.revision()), (2, revision));
        // Its own key is no clash, and organizations without a key are many.
        table.update(&first.id, same_key).await.unwrap();
        fixture.organization("no key").await;
        fixture.organization("no key either").await;
    });
}

#[test]
fn a_patch_changes_what_it_names() {
    each(async |fixture| {
        let table = &fixture.organizations;
        let made = table.create(form("A", "sk-or-1")).await.unwrap();
        let same = table.update(&made.id, ClientOrganizationPatch::default()).await.unwrap();
        assert_eq!(same, made);
        fixture.wait_seconds(7);
        let patch = ClientOrganizationPatch {
            name: Some("B".into()),
            openrouter_api_key: Change::Set("sk-or-9876".into()),
            openrouter_key_hash: Change::Set("hash".into()),
            webhook_secret: Change::Keep,
            markup_rate: Change::Set(rate("1.5")),
            monthly_limit: Change::Set(Usd::parse("100.5").unwrap()),
            billing_email: Change::Set(" b@x.example ".into()),
            timezone: Some("America/New_York".into()),
            drain_on_disconnect: Some(true),
            site_url: Change::Set(" https://chat.b.example/ ".into()),
            day_rate_policy: Some(DayRatePolicy::BeforeDay),
            statement_rate_policy: Some(StatementRatePolicy::BeforeIssueDay),
            is_active: Some(true),
        };
        let all = table.update(&made.id, patch).await.unwrap();
        assert_eq!(table.get_by_id(&made.id).await.unwrap().as_ref(), Some(&all));
        assert_eq!((all.name.as_str(), all.timezone.as_str()), ("B", "America/New_York"));
        assert_eq!(all.provider_key.last4.as_deref(), Some("9876"));
        assert_eq!((all.openrouter_key_hash.as_deref(), all.markup_rate), (Some("hash"), Some(rate("1.5"))));
        assert_eq!((all.billing_email.as_deref(), all.drain_on_disconnect), (Some("b@x.example"), true));
        assert_eq!(all.site_url.as_deref(), Some("https://chat.b.example/"));
        assert_eq!(
            (made.day_rate_policy, all.day_rate_policy),
            (DayRatePolicy::SameDayOrBefore, DayRatePolicy::BeforeDay)
        );
        assert_eq!(made.statement_rate_policy, StatementRatePolicy::BeforePeriodEnd);
        assert_eq!(all.statement_rate_policy, StatementRatePolicy::BeforeIssueDay);
        assert_eq!((all.created_at.seconds(), all.updated_at.seconds()), (1_000, 1_007));
        let clear = ClientOrganizationPatch {
            openrouter_api_key: Change::Clear,
            openrouter_key_hash: Change::Clear,
            markup_rate: Change::Clear,
            monthly_limit: Change::Clear,
            billing_email: Change::Clear,
            site_url: Change::Clear,
            ..Default::default()
        };
        let cleared = table.update_client(&made.id, clear).await.unwrap();
        assert_eq!(cleared.provider_key, crate::ProviderKeyState::default());
        assert_eq!((cleared.openrouter_key_hash, cleared.markup_rate), (None, None));
        assert_eq!((cleared.monthly_limit, cleared.billing_email, cleared.site_url), (None, None, None));
        assert_eq!((cleared.name, cleared.drain_on_disconnect), ("B".into(), true));
        let stored = table.get_by_id(&made.id).await.unwrap().unwrap();
        assert_eq!((stored.markup_rate, stored.provider_key.sealed), (None, None));
        let unknown = table.update(&organization("nobody"), ClientOrganizationPatch::default()).await;
        assert!(matches!(unknown, Err(Error::NotFound { what: "organization", .. })));
    });
}

#[test]
fn wrong_forms_and_patches_change_nothing() {
    each(async |fixture| {
        let table = &fixture.organizations;
        let good = form("A", "sk-or-1");
        let made = table.create(good.clone()).await.unwrap();
        let negative = Usd::from_nanos(-1);
        for (field, wrong) in [
            ("name", ClientOrganizationForm { name: " ".into(), ..good.clone() }),
            ("openrouter_api_key", form("A", "with space")),
            ("monthly_limit", ClientOrganizationForm { monthly_limit: Some(negative), ..good.clone() }),
            ("billing_email", ClientOrganizationForm { billing_email: Some("x".into()), ..good.clone() }),
            ("site_url", ClientOrganizationForm { site_url: Some("x.example".into()), ..good.clone() }),
            ("timezone", ClientOrganizationForm { timezone: Some("Mars".into()), ..good.clone() }),
            ("id", ClientOrganizationForm { id: Some(organization(&"o".repeat(250))), ..good.clone() }),
        ] {
            let error = table.create(wrong).await.unwrap_err();
            assert!(matches!(&error, Error::Invalid { field: at, .. } if *at == field), "{field}: {error}");
        }
        let nothing = ClientOrganizationPatch::default;
        for (field, wrong) in [
            ("name", ClientOrganizationPatch { name: Some(String::new()), ..nothing() }),
            (
                "openrouter_api_key",
                ClientOrganizationPatch { openrouter_api_key: Change::Set("".into()), ..nothing() },
            ),
            ("monthly_limit", ClientOrganizationPatch { monthly_limit: Change::Set(negative), ..nothing() }),
            (
                "billing_email",
                ClientOrganizationPatch { billing_email: Change::Set("x".into()), ..nothing() },
            ),
            ("site_url", ClientOrganizationPatch { site_url: Change::Set("x.example".into()), ..nothing() }),
            ("timezone", ClientOrganizationPatch { timezone: Some("Mars".into()), ..nothing() }),
        ] {
            let error = table.update(&made.id, wrong).await.unwrap_err();
            assert!(matches!(&error, Error::Invalid { field: at, .. } if *at == field), "{field}: {error}");
        }
        assert_eq!(table.get_all().await.unwrap(), [made]);
        assert_eq!(fixture.revision(), 1);
    });
}

#[test]
fn the_single_organization_follows_its_configuration() {
    each(async |fixture| {
        let table = &fixture.organizations;
        assert!(matches!(
            table.ensure_single(form("A", "sk-or-1")).await,
            Err(Error::Invalid { field: "id", .. })
        ));
        let id = organization("mai_client_3af8b2c1");
        let configured = |name, key| ClientOrganizationForm { id: Some(id.clone()), ..form(name, key) };
        let made = table.ensure_single(configured("A", "sk-or-1")).await.unwrap();
        assert_eq!(table.get_by_id(&id).await.unwrap().as_ref(), Some(&made));
        let by_hand = ClientOrganizationPatch {
            markup_rate: Change::Set(rate("2")),
            monthly_limit: Change::Set(Usd::ZERO),
            timezone: Some("Europe/London".into()),
            ..Default::default()
        };
        let by_hand = table.update(&id, by_hand).await.unwrap();

        let revision = fixture.revision();
        assert_eq!(table.ensure_single(configured("A", "sk-or-1")).await.unwrap(), by_hand);
        assert_eq!(fixture.revision(), revision, "a restart changes nothing");

        let renamed = table.ensure_single(configured("B", "sk-or-2")).await.unwrap();
        assert_eq!(table.get_by_id(&id).await.unwrap().as_ref(), Some(&renamed));
        let key = table.provider_key(&renamed).unwrap().unwrap();
        assert_eq!((renamed.name.as_str(), key.expose_secret()), ("B", "sk-or-2"));
        assert_eq!((renamed.markup_rate, renamed.monthly_limit), (Some(rate("2")), Some(Usd::ZERO)));
        assert_eq!(renamed.timezone, "Europe/London");
        assert_eq!(fixture.revision(), revision + 1);
    });
}

#[test]
fn a_key_that_was_made_at_openrouter_is_not_replaced_by_hand() {
    each(async |fixture| {
        let table = &fixture.organizations;
        let id = organization("A");
        let configured = |name, key| ClientOrganizationForm { id: Some(id.clone()), ..form(name, key) };
        let by_hand = table.ensure_single(configured("A", "sk-or-1")).await.unwrap();
        table.set_managed_key(&by_hand, &"sk-or-made".into(), "hash").await.unwrap();
        let again = table.set_managed_key(&by_hand, &"sk-or-late".into(), "late").await;
        assert!(matches!(again, Err(Error::ProviderKeyChanged)), "{again:?}");
        for openrouter_api_key in [Change::Set("sk-or-2".into()), Change::Clear] {
            let patch = ClientOrganizationPatch { openrouter_api_key, ..Default::default() };
            let refused = table.update(&id, patch).await;
            assert!(matches!(refused, Err(Error::ManagedKey)), "{refused:?}");
        }
        // Nor does a start with the key of the environment, which still gives the name.
        for name in ["A", "B"] {
            let row = table.ensure_single(configured(name, "sk-or-1")).await.unwrap();
            let key = table.provider_key(&row).unwrap().unwrap();
            assert_eq!((row.name.as_str(), key.expose_secret()), (name, "sk-or-made"));
            assert_eq!(row.openrouter_key_hash.as_deref(), Some("hash"));
        }
        table.clear_managed_key(&id, "hash").await.unwrap();
        let row = table.ensure_single(configured("B", "sk-or-1")).await.unwrap();
        assert_eq!(table.provider_key(&row).unwrap().unwrap().expose_secret(), "sk-or-1");

        // A key that was entered meanwhile is not what whoever made the new one has seen.
        let patch = ClientOrganizationPatch {
            openrouter_api_key: Change::Set("sk-or-3".into()),
            ..Default::default()
        };
        table.update(&id, patch).await.unwrap();
        let made = table.set_managed_key(&row, &"sk-or-made".into(), "hash").await;
        assert!(matches!(made, Err(Error::ProviderKeyChanged)), "{made:?}");
    });
}
