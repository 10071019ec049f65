//! The service and the queries on both databases.

use std::sync::Arc;

use mai_primitives::{ManualClock, MarkupRate, UnixTime};
use mai_storage::{Storage, testing::TestDb};
use secrecy::ExposeSecret;

use crate::{
    BillableRoles, Change, Error, GlobalSettingsForm, GlobalSettingsTable, MasterKey, SecretError,
    SubscriptionTiers, bump_revision, query, revision,
};

struct Fixture {
    storage: Storage,
    clock: ManualClock,
    table: GlobalSettingsTable,
}

impl Fixture {
    fn revision(&self) -> i64 {
        self.storage.read_blocking(revision).unwrap()
    }

    fn rate_at(&self, seconds: i64) -> String {
        let at = UnixTime::from_seconds(seconds);
        self.storage.read_blocking(|conn| query::default_markup_rate_at(conn, at)).unwrap().to_string()
    }
}

/// Runs a test on each database, beginning at 1,000 Unix seconds.
#[expect(clippy::needless_pass_by_value, reason = "every caller passes a closure that it writes in place")]
fn each(test: impl AsyncFn(&Fixture)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    TestDb::each(|storage| {
        let clock = ManualClock::at("1970-01-01T00:16:40Z".parse().unwrap());
        let key = MasterKey::generate().unwrap();
        let table = GlobalSettingsTable::new(storage.clone(), key, Arc::new(clock.clone()));
        runtime.block_on(test(&Fixture { storage: storage.clone(), clock, table }));
    });
}

fn rate(text: &str) -> GlobalSettingsForm {
    GlobalSettingsForm { default_markup_rate: Some(MarkupRate::parse(text).unwrap()), ..Default::default() }
}

#[test]
fn settings_are_created_once_and_patched() {
    each(async |fixture| {
        let table = &fixture.table;
        assert_eq!(table.get_settings().await.unwrap(), None);
        let form = GlobalSettingsForm {
            openrouter_provisioning_key: Change::Set("sk-or-prov-1".into()),
            billing_currency: Some("USD".into()),
            ..Default::default()
        };
        let created = table.create_settings(form).await.unwrap();
        assert_eq!((created.default_markup_rate, created.id.as_str()), (MarkupRate::DEFAULT, "global"));
        assert_eq!((created.created_at.seconds(), fixture.revision()), (1_000, 1));
        assert!(matches!(
            table.create_settings(rate("2")).await,
            Err(Error::Storage(mai_storage::Error::Unique(_)))
        ));
        assert_eq!(fixture.revision(), 1, "a refused change is no change");

        fixture.clock.advance_millis(60_000);
        let changed = table.update_settings(rate("1.5")).await.unwrap();
        assert_eq!(table.get_settings().await.unwrap().as_ref(), Some(&changed));
        assert_eq!(changed.openrouter_provisioning_key, created.openrouter_provisioning_key);
        assert_eq!((changed.created_at.seconds(), changed.updated_at.seconds()), (1_000, 1_060));
        assert_eq!(fixture.revision(), 2);

        let clear = GlobalSettingsForm { openrouter_provisioning_key: Change::Clear, ..Default::default() };
        table.create_or_update_settings(clear).await.unwrap();
        let cleared = table.get_settings().await.unwrap().unwrap();
        assert_eq!(cleared.openrouter_provisioning_key, None);
        assert_eq!(cleared.default_markup_rate.to_string(), "1.5");
    });
}

#[test]
fn an_update_creates_what_is_missing() {
    each(async |fixture| {
        let made = fixture.table.update_settings(rate("1.25")).await.unwrap();
        assert_eq!(fixture.table.get_settings().await.unwrap(), Some(made));
        let default = fixture.storage.read_blocking(query::default_markup_rate).unwrap();
        assert_eq!(default.to_string(), "1.25");
    });
}

#[test]
fn wrong_forms_change_nothing() {
    each(async |fixture| {
        let euro = GlobalSettingsForm { billing_currency: Some("EUR".into()), ..Default::default() };
        assert!(
            matches!(fixture.table.update_settings(euro).await, Err(Error::Currency(text)) if text == "EUR")
        );
        for key in ["", "two words", "żółw", &"x".repeat(513)] {
            let form = GlobalSettingsForm {
                openrouter_provisioning_key: Change::Set(key.into()),
                ..Default::default()
            };
            let error = fixture.table.update_settings(form).await.unwrap_err();
            assert!(matches!(error, Error::ProvisioningKey), "{key}: {error}");
        }
        assert_eq!(fixture.table.get_settings().await.unwrap(), None);
        assert_eq!(fixture.revision(), 0);
    });
}

#[test]
fn the_default_rate_of_any_instant_is_known() {
    each(async |fixture| {
        assert_eq!(fixture.storage.read_blocking(query::default_markup_rate).unwrap(), MarkupRate::DEFAULT);
        fixture.table.create_settings(rate("1.5")).await.unwrap();
        fixture.clock.advance_millis(100_000);
        fixture.table.update_settings(rate("1.6")).await.unwrap();
        // The last of two changes in one second counts.
        fixture.table.update_settings(rate("1.7")).await.unwrap();
        fixture.clock.advance_millis(100_000);
        fixture.table.update_settings(GlobalSettingsForm::default()).await.unwrap();
        for (seconds, expected) in
            [(0, "1.3"), (999, "1.3"), (1_000, "1.5"), (1_099, "1.5"), (1_100, "1.7"), (9_999, "1.7")]
        {
            assert_eq!(fixture.rate_at(seconds), expected, "{seconds}");
        }
    });
}

#[test]
fn the_key_is_sealed_at_rest_and_never_shown() {
    each(async |fixture| {
        let form = GlobalSettingsForm {
            openrouter_provisioning_key: Change::Set("sk-or-prov-1".into()),
            ..Default::default()
        };
        assert!(!format!("{form:?}").contains("prov-1"));
        let settings = fixture.table.update_settings(form).await.unwrap();
        let stored = settings.openrouter_provisioning_key.clone().unwrap();
        assert!(stored.starts_with("v1:") && !stored.contains("prov-1"), "{stored}");
        assert!(!format!("{settings:?}").contains("v1:"));
        let opened = fixture.table.provisioning_key(&settings).unwrap().unwrap();
        assert_eq!(opened.expose_secret(), "sk-or-prov-1");

        let other = GlobalSettingsTable::new(
            fixture.storage.clone(),
            MasterKey::generate().unwrap(),
            Arc::new(fixture.clock.clone()),
        );
        assert!(matches!(
            other.provisioning_key(&settings),
            Err(Error::Secret(SecretError::OtherMasterKey { .. }))
        ));
    });
}

#[test]
fn no_increase_of_the_revision_is_lost() {
    TestDb::each(|storage| {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        storage.write_blocking(bump_revision).unwrap();
                    }
                });
            }
        });
        assert_eq!(storage.read_blocking(revision).unwrap(), 100);
    });
}

#[test]
fn tiers_and_roles_are_changed_cleared_and_audited() {
    each(async |fixture| {
        let table = &fixture.table;
        let read = || fixture.storage.read_blocking(query::subscription).unwrap();
        assert_eq!(read(), (SubscriptionTiers::default(), BillableRoles::default()), "without settings");
        let tiers: SubscriptionTiers = "1-2:10000,3+:9950".parse().unwrap();
        let roles: BillableRoles = "admin,member,pending".parse().unwrap();
        let form = GlobalSettingsForm {
            subscription_tiers: Change::Set(tiers.clone()),
            billable_roles: Change::Set(roles.clone()),
            ..Default::default()
        };
        table.update_settings(form).await.unwrap();
        table.update_settings(rate("2")).await.unwrap();
        assert_eq!(read(), (tiers, roles), "another change keeps them");
        let form = GlobalSettingsForm { subscription_tiers: Change::Clear, ..Default::default() };
        let cleared = table.update_settings(form).await.unwrap();
        assert_eq!((cleared.subscription_tiers, read().0), (None, SubscriptionTiers::default()));
        let query = mai_audit_log::AuditQuery { limit: 9, ..Default::default() };
        let entries =
            fixture.storage.read_blocking(|conn| mai_audit_log::service::list(conn, &query)).unwrap();
        let told: Vec<&str> = entries.iter().map(|entry| entry.details.as_str()).collect();
        assert_eq!(
            told,
            [
                r#"{"subscription_tiers":"cleared"}"#,
                r#"{"default_markup_rate":"2"}"#,
                r#"{"billable_roles":"admin,member,pending","subscription_tiers":"1-2:10000,3+:9950"}"#,
            ]
        );
    });
}
