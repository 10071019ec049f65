//! The services on both databases.

mod destinations;
mod mail;
mod raising;
mod retention;

use std::sync::Arc;

use mai_client_organization::{
    ClientOrganizationForm, ClientOrganizationTable, MemberForm, MemberRole, MemberSource, MemberTable,
};
use mai_global_settings::MasterKey;
use mai_primitives::{ManualClock, OrganizationId, UserId};
use mai_storage::{Storage, testing::TestDb};

use crate::{
    AlertKind, AlertTable, Channel, DeliveryModel, DeliveryQuery, DeliveryTable, DestinationTable, Language,
    Measure, NewAlert, NewDestination, Reach, Scope,
};

struct Fixture {
    storage: Storage,
    clock: ManualClock,
    master_key: MasterKey,
    alerts: AlertTable,
    destinations: DestinationTable,
    deliveries: DeliveryTable,
}

fn org(id: &str) -> OrganizationId {
    OrganizationId::new(id).unwrap()
}

fn webhook(owner: Option<&str>) -> NewDestination {
    NewDestination {
        client_org_id: owner.map(org),
        channel: Channel::Webhook,
        target: "https://hooks.example/alerts".into(),
        name: "Hook".into(),
        language: Language::English,
        wants_limits: true,
        wants_anomalies: true,
    }
}

fn mail(owner: Option<&str>) -> NewDestination {
    NewDestination {
        channel: Channel::Email,
        target: "alerts@client.example".into(),
        language: Language::Polish,
        ..webhook(owner)
    }
}

/// That `threshold` percent of the organization's limit is used in 2026-11.
fn limit(organization: &str, threshold: i32) -> NewAlert {
    NewAlert {
        client_org_id: org(organization),
        kind: AlertKind::LimitReached,
        scope: Scope::Organization,
        subject: String::new(),
        period: "2026-11".into(),
        threshold,
        measure: Measure::Spend,
        value: 8_100_000_000,
        bound: 10_000_000_000,
        typical: None,
    }
}

impl Fixture {
    async fn every_delivery(&self) -> Vec<DeliveryModel> {
        self.deliveries.list(DeliveryQuery { limit: 999, ..DeliveryQuery::default() }).await.unwrap()
    }
}

/// Runs a test on each database with the organizations `a` (Żółw) and `b`, beginning on 2026-11-26.
#[expect(clippy::needless_pass_by_value, reason = "every caller passes a closure that it writes in place")]
fn each(test: impl AsyncFn(&Fixture)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    TestDb::each(|storage| {
        let clock = ManualClock::at("2026-11-26T08:00:00Z".parse().unwrap());
        let (key, now) = (MasterKey::generate().unwrap(), || Arc::new(clock.clone()));
        let organizations = ClientOrganizationTable::new(storage.clone(), key.clone(), now());
        let members = MemberTable::new(storage.clone(), now());
        runtime.block_on(async {
            for (id, name) in [("a", "Żółw <&> Syn"), ("b", "B")] {
                let form =
                    ClientOrganizationForm { id: Some(org(id)), name: name.into(), ..Default::default() };
                organizations.create(form).await.unwrap();
            }
            let form = MemberForm {
                user_id: UserId::new("anna").unwrap(),
                name: Some("Anna Gęś".into()),
                email: None,
                role: MemberRole::Member,
                source: MemberSource::Api,
                is_active: true,
            };
            members.create(&org("a"), form).await.unwrap();
            test(&Fixture {
                storage: storage.clone(),
                master_key: key.clone(),
                alerts: AlertTable::new(storage.clone(), now()),
                destinations: DestinationTable::new(storage.clone(), now(), key.clone(), Reach::Public),
                deliveries: DeliveryTable::new(storage.clone(), now()),
                clock: clock.clone(),
            })
            .await;
        });
    });
}
