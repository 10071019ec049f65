//! Subscriptions on both databases.

use std::sync::Arc;

use diesel::prelude::*;
use mai_audit_log::{AuditQuery, service::list};
use mai_client_organization::{
    ClientOrganizationForm, ClientOrganizationTable, MemberForm, MemberPatch, MemberRole, MemberSource,
    MemberTable,
};
use mai_global_settings::{Change, GlobalSettingsForm, GlobalSettingsTable, MasterKey};
use mai_primitives::{ManualClock, OrganizationId, UnixTime, UserId};
use mai_storage::{Storage, testing::TestDb};

use crate::{BillingMonth, Error, Subscription, SubscriptionTable};

struct Fixture {
    storage: Storage,
    clock: ManualClock,
    organization: OrganizationId,
    organizations: ClientOrganizationTable,
    members: MemberTable,
    settings: GlobalSettingsTable,
    table: SubscriptionTable,
}

impl Fixture {
    fn at(&self, instant: &str) {
        self.clock.set(instant.parse().unwrap());
    }

    async fn add(&self, user: &str, role: MemberRole) {
        let form = MemberForm {
            user_id: UserId::new(user).unwrap(),
            name: Some(format!("Pani {user}")),
            email: None,
            role,
            source: MemberSource::Api,
            is_active: true,
        };
        self.members.create(&self.organization, form).await.unwrap();
    }

    async fn change(&self, user: &str, patch: MemberPatch) {
        self.members.update(&self.organization, &UserId::new(user).unwrap(), patch).await.unwrap();
    }

    async fn leave(&self, user: &str) {
        self.change(user, MemberPatch { is_active: Some(false), ..MemberPatch::default() }).await;
    }

    async fn come_back(&self, user: &str) {
        self.change(user, MemberPatch { is_active: Some(true), ..MemberPatch::default() }).await;
    }

    async fn month(&self, month: Option<&str>) -> Subscription {
        let month = month.map(|text| text.parse().unwrap());
        self.table.month(&self.organization, month).await.unwrap().subscription
    }

    async fn freeze(&self, month: &str) -> Result<Subscription, Error> {
        self.table.freeze_month(&self.organization, month.parse().unwrap()).await
    }

    async fn tiers(&self, text: &str) {
        let form = GlobalSettingsForm {
            subscription_tiers: Change::Set(text.parse().unwrap()),
            ..GlobalSettingsForm::default()
        };
        self.settings.update_settings(form).await.unwrap();
    }

    fn frozen_entries(&self) -> Vec<(String, String)> {
        let query =
            AuditQuery { action: Some("subscription.freeze".to_owned()), limit: 99, ..Default::default() };
        let entries = self.storage.read_blocking(|conn| list(conn, &query)).unwrap();
        entries.into_iter().map(|entry| (entry.target, entry.details)).collect()
    }
}

/// Runs a test on each database with an organization of the zone Europe/Warsaw, beginning on 2026-10-01.
#[expect(clippy::needless_pass_by_value, reason = "every caller passes a closure that it writes in place")]
fn each(test: impl AsyncFn(&Fixture)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    TestDb::each(|storage| {
        let clock = ManualClock::at("2026-10-01T08:00:00Z".parse().unwrap());
        let (key, now) = (MasterKey::generate().unwrap(), || Arc::new(clock.clone()));
        let organization = OrganizationId::new("a").unwrap();
        let organizations = ClientOrganizationTable::new(storage.clone(), key.clone(), now());
        let form = ClientOrganizationForm {
            id: Some(organization.clone()),
            name: "Pracownia Żuraw".to_owned(),
            ..ClientOrganizationForm::default()
        };
        runtime.block_on(organizations.create(form)).unwrap();
        runtime.block_on(test(&Fixture {
            storage: storage.clone(),
            organization,
            organizations: organizations.clone(),
            members: MemberTable::new(storage.clone(), now()),
            settings: GlobalSettingsTable::new(storage.clone(), key, now()),
            table: SubscriptionTable::new(storage.clone(), now()),
            clock: clock.clone(),
        }));
    });
}

/// Users, price, total and days of each line.
fn figures(subscription: &Subscription) -> (usize, String, String, Vec<(String, u32, String)>) {
    let lines = subscription.lines.iter();
    let lines =
        lines.map(|line| (line.seat.user_id.to_string(), line.days_charged, line.cost.to_string())).collect();
    let (price, total) = (subscription.price_per_user.to_string(), subscription.total.to_string());
    (subscription.lines.len(), price, total, lines)
}

#[test]
fn the_present_month_follows_its_members() {
    each(async |fixture| {
        assert_eq!(figures(&fixture.month(None).await), (0, "79.00".into(), "0.00".into(), vec![]));
        fixture.add("anna", MemberRole::Admin).await;
        fixture.add("bob", MemberRole::Pending).await;
        // 23:30 in Warsaw on the 31st, after the clocks were put back on the 25th.
        fixture.at("2026-10-31T22:30:00Z");
        fixture.add("celina", MemberRole::Member).await;
        let october = fixture.month(None).await;
        let lines = vec![("anna".into(), 31, "79.00".into()), ("celina".into(), 1, "2.55".into())];
        assert_eq!(figures(&october), (2, "79.00".into(), "81.55".into(), lines));
        assert_eq!((october.month.to_string().as_str(), october.frozen_at), ("2026-10", None));
        // Half an hour later it is November, and a whole month for both.
        fixture.at("2026-10-31T23:00:00Z");
        let november = fixture.month(None).await;
        assert_eq!(november.month.to_string(), "2026-11");
        assert_eq!(november.total.to_string(), "158.00");
        let later: BillingMonth = "2026-12".parse().unwrap();
        let refused = fixture.table.month(&fixture.organization, Some(later)).await;
        assert!(matches!(refused, Err(Error::NotBegun(month)) if month == later));
        let nobody = OrganizationId::new("nobody").unwrap();
        let refused = fixture.table.month(&nobody, None).await;
        assert!(matches!(refused, Err(Error::UnknownOrganization(id)) if id == nobody));
    });
}

#[test]
fn a_frozen_month_is_written_once_and_never_changes() {
    each(async |fixture| {
        for user in ["anna", "bob", "celina", "daria"] {
            fixture.add(user, MemberRole::Member).await;
        }
        assert!(matches!(fixture.freeze("2026-10").await, Err(Error::NotOver(_))), "it is not over");
        fixture.at("2026-10-31T22:59:59Z");
        assert!(matches!(fixture.freeze("2026-10").await, Err(Error::NotOver(_))), "a second before");
        fixture.at("2026-11-01T12:00:00Z");
        // Who leaves before the month is frozen was there in it.
        fixture.leave("daria").await;
        let live = fixture.month(Some("2026-10")).await;
        let frozen = fixture.freeze("2026-10").await.unwrap();
        assert_eq!((frozen.total.to_string().as_str(), frozen.lines.len()), ("276.00", 4));
        assert_eq!(Subscription { frozen_at: None, ..frozen.clone() }, live, "what was shown before");
        assert_eq!(fixture.month(None).await.lines.len(), 3);

        fixture.at("2026-12-24T12:00:00Z");
        fixture.leave("anna").await;
        fixture.add("edyta", MemberRole::Admin).await;
        fixture.tiers("1+:1").await;
        assert_eq!(fixture.freeze("2026-10").await.unwrap(), frozen);
        assert_eq!(fixture.month(Some("2026-10")).await, frozen);
        let details = r#"{"total_cost_pln":"276.00","total_users":4}"#;
        assert_eq!(fixture.frozen_entries(), [("2026-10".to_owned(), details.to_owned())]);

        // Late, but by who was there: edyta came after November, and anna left after it.
        let november = fixture.freeze("2026-11").await.unwrap();
        let users: Vec<_> = november.lines.iter().map(|line| line.seat.user_id.as_str()).collect();
        assert_eq!((users, november.total.to_string().as_str()), (vec!["anna", "bob", "celina"], "0.03"));
        assert_eq!(fixture.month(None).await.lines.len(), 3, "bob, celina, edyta");
    });
}

#[test]
fn a_month_that_is_frozen_late_has_who_needed_a_seat_at_its_end() {
    each(async |fixture| {
        for user in ["left", "hopping", "back", "gone"] {
            fixture.add(user, MemberRole::Member).await;
        }
        fixture.add("waiting", MemberRole::Pending).await;
        fixture.at("2026-10-15T12:00:00Z");
        fixture.leave("left").await;
        fixture.leave("back").await;
        let seats = async || {
            let month = fixture.month(Some("2026-10")).await;
            month.lines.iter().map(|line| line.seat.user_id.to_string()).collect::<Vec<_>>()
        };
        fixture.at("2026-10-31T22:59:59Z");
        let at_the_end = seats().await;
        assert_eq!(at_the_end, ["gone", "hopping"]);

        fixture.at("2026-10-31T23:00:00Z");
        fixture.leave("gone").await;
        fixture.come_back("back").await;
        let role = MemberPatch { role: Some(MemberRole::Admin), ..MemberPatch::default() };
        fixture.change("waiting", role).await;
        let name = MemberPatch { name: Change::Set("Nowa".to_owned()), ..MemberPatch::default() };
        fixture.change("left", name).await;
        for second in 1..4 {
            fixture.at(&format!("2026-11-01T08:00:0{second}Z"));
            fixture.leave("hopping").await;
            fixture.come_back("hopping").await;
        }
        fixture.leave("hopping").await;
        assert_eq!(seats().await, at_the_end);
        assert_eq!(fixture.freeze("2026-10").await.unwrap().lines.len(), 2);
        let now = fixture.month(None).await;
        let users: Vec<_> = now.lines.iter().map(|line| line.seat.user_id.as_str()).collect();
        assert_eq!(users, ["back", "waiting"]);
    });
}

#[test]
fn an_organization_pays_for_months_at_whose_end_it_is_there_and_active() {
    each(async |fixture| {
        // The register from which anna comes knows her for longer than we know the organization.
        fixture.add("anna", MemberRole::Admin).await;
        let of_old = fixture.storage.write_blocking(|conn| {
            use mai_client_organization::schema::members as t;
            let row = diesel::update(t::table).set(t::created_at.eq(UnixTime::from_seconds(1_700_000_000)));
            Ok::<_, mai_storage::Error>(row.execute(conn)?)
        });
        assert_eq!(of_old.unwrap(), 1);
        // Closed on the first of November before the month was frozen, open again on the last of January.
        fixture.at("2026-11-01T07:00:00Z");
        assert!(fixture.organizations.deactivate(&fixture.organization).await.unwrap());
        fixture.at("2027-01-31T12:00:00Z");
        assert!(fixture.organizations.activate(&fixture.organization).await.unwrap());

        fixture.at("2027-02-03T12:00:00Z");
        let mut totals = Vec::new();
        for (_, month) in fixture.table.unfrozen_months().await.unwrap() {
            let frozen = fixture.freeze(&month.to_string()).await.unwrap();
            totals.push((month.to_string(), frozen.total.to_string()));
        }
        let expected = [("2026-10", "79.00"), ("2026-11", "0.00"), ("2026-12", "0.00"), ("2027-01", "79.00")];
        assert_eq!(totals, expected.map(|(month, total)| (month.to_owned(), total.to_owned())));
        assert_eq!(fixture.month(Some("2026-09")).await.lines, [], "before it was there");
    });
}

#[test]
fn what_is_open_behind_a_frozen_month_is_frozen_with_it() {
    each(async |fixture| {
        fixture.add("anna", MemberRole::Admin).await;
        fixture.at("2027-01-02T12:00:00Z");
        fixture.freeze("2026-12").await.unwrap();
        assert_eq!(fixture.table.unfrozen_months().await.unwrap(), []);
        let months: Vec<String> = fixture.frozen_entries().into_iter().map(|(month, _)| month).collect();
        assert_eq!(months, ["2026-12", "2026-11", "2026-10"]);
    });
}

#[test]
fn an_empty_month_is_frozen_as_well() {
    each(async |fixture| {
        fixture.at("2026-11-01T12:00:00Z");
        let frozen = fixture.freeze("2026-10").await.unwrap();
        assert_eq!((frozen.lines.len(), frozen.current, frozen.total.grosz()), (0, None, 0));
        fixture.add("anna", MemberRole::Admin).await;
        assert_eq!(fixture.month(Some("2026-10")).await, frozen);
    });
}

#[test]
fn the_settings_say_what_a_seat_costs_and_who_needs_one() {
    each(async |fixture| {
        for (user, role) in [("anna", MemberRole::Admin), ("bob", MemberRole::Pending)] {
            fixture.add(user, role).await;
        }
        fixture.tiers("1-1:10000,2+:9950").await;
        assert_eq!(fixture.month(None).await.total.to_string(), "100.00");
        let form = GlobalSettingsForm {
            billable_roles: Change::Set("admin,pending".parse().unwrap()),
            ..GlobalSettingsForm::default()
        };
        fixture.settings.update_settings(form).await.unwrap();
        let month = fixture.month(None).await;
        assert_eq!((month.total.to_string().as_str(), month.current), ("199.00", Some(1)));
    });
}

#[test]
fn several_processes_freeze_a_month_once() {
    each(async |fixture| {
        fixture.add("anna", MemberRole::Member).await;
        fixture.at("2026-11-01T12:00:00Z");
        let (a, b, c) =
            tokio::join!(fixture.freeze("2026-10"), fixture.freeze("2026-10"), fixture.freeze("2026-10"));
        let frozen = [a, b, c].map(Result::unwrap);
        assert!(frozen.iter().all(|month| *month == frozen[0]));
        assert_eq!(fixture.frozen_entries().len(), 1);
    });
}
