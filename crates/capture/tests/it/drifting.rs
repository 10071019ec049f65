//! What OpenRouter has charged to the keys is read and compared with the ledger.

use std::sync::{Arc, Mutex};

use mai_capture::{KeyReader, SharedDirectory};
use mai_client_organization::{
    Change, ClientOrganizationForm, ClientOrganizationPatch, ClientOrganizationTable, Directory, MasterKey,
};
use mai_openrouter::{KeyUsage, LookupError, MockKeyUsageSource};
use mai_primitives::{ManualClock, OrganizationId, Usd};
use mai_storage::{Storage, testing::TestDb};
use mai_usage_tracking::drift::{DriftDay, days};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    books::{append, apply_all, day, exact, new_settled, open},
    run,
};

/// An OpenRouter whose figures a test sets: key, total and daily in nano-dollars.
type Figures = Arc<Mutex<Vec<(&'static str, i64, i64)>>>;

struct Scene {
    storage: Storage,
    clock: ManualClock,
    figures: Figures,
    master_key: MasterKey,
    table: ClientOrganizationTable,
    reader: KeyReader,
}

impl Scene {
    async fn new(storage: &Storage, organizations: &[(&str, Option<&str>)]) -> Self {
        let clock = ManualClock::at("2026-11-22T10:00:00Z".parse().unwrap());
        let master_key = MasterKey::generate().unwrap();
        let table =
            ClientOrganizationTable::new(storage.clone(), master_key.clone(), Arc::new(clock.clone()));
        for (id, key) in organizations {
            let form = ClientOrganizationForm {
                id: Some(OrganizationId::new(id).unwrap()),
                name: (*id).to_owned(),
                openrouter_api_key: key.map(SecretString::from),
                ..ClientOrganizationForm::default()
            };
            table.create(form).await.unwrap();
        }
        let figures = Figures::default();
        let reader = KeyReader {
            source: Arc::new(source(&figures)),
            storage: storage.clone(),
            directory: load(storage, &master_key),
            clock: Arc::new(clock.clone()),
        };
        Self { storage: storage.clone(), clock, figures, master_key, table, reader }
    }

    async fn read(&self, at: &str, figures: &[(&'static str, i64, i64)]) {
        self.clock.set(at.parse().unwrap());
        *self.figures.lock().unwrap() = figures.to_vec();
        self.reader.round().await;
    }

    fn report(&self, today: &str) -> Vec<DriftDay> {
        self.storage.read_blocking(|conn| days(conn, None, day("2026-11-01"), day(today))).unwrap()
    }
}

fn load(storage: &Storage, master_key: &MasterKey) -> SharedDirectory {
    SharedDirectory::new(storage.read_blocking(|conn| Directory::load(conn, master_key)).unwrap())
}

/// A key that has no figures is refused.
fn source(figures: &Figures) -> MockKeyUsageSource {
    let figures = Arc::clone(figures);
    let mut source = MockKeyUsageSource::new();
    source.expect_key_usage().returning(move |key| {
        let figures = figures.lock().unwrap();
        let of_key = figures.iter().find(|(known, ..)| *known == key.expose_secret());
        let answer = of_key.map(|(_, total, daily)| KeyUsage {
            total: Usd::from_nanos(*total),
            daily: Usd::from_nanos(*daily),
        });
        Box::pin(async move { answer.ok_or(LookupError::Unauthorized) })
    });
    source
}

fn nanos(amount: Option<Usd>) -> Option<i64> {
    amount.map(Usd::nanos)
}

#[test]
fn a_day_is_compared_over_a_midnight_of_utc() {
    TestDb::each(|storage| {
        run(async {
            let scene = Scene::new(storage, &[("org_a", Some("sk-or-v1-aaaa")), ("org_idle", None)]).await;
            let folder = tempfile::tempdir().unwrap();
            let journal = open(&folder);
            append(&journal, &[new_settled("org_a", "gen-1", exact(700))]).await;
            apply_all(&journal, storage).await;
            scene.read("2026-11-22T23:46:00Z", &[("sk-or-v1-aaaa", 1_000, 900)]).await;
            // OpenRouter's clock may show the next day already, or ours.
            scene.read("2026-11-22T23:59:30Z", &[("sk-or-v1-aaaa", 1_000, 0)]).await;
            scene.read("2026-11-23T00:00:59Z", &[("sk-or-v1-aaaa", 1_000, 900)]).await;
            let report = scene.report("2026-11-22");
            assert_eq!(report.len(), 1);
            assert_eq!((nanos(report[0].captured), nanos(report[0].billed)), (Some(700), Some(900)));
            assert!(report[0].running);
            scene.read("2026-11-23T00:01:00Z", &[("sk-or-v1-aaaa", 1_000, 0)]).await;
            // The look-up of a call of yesterday comes late.
            append(&journal, &[new_settled("org_a", "gen-2", exact(200))]).await;
            apply_all(&journal, storage).await;
            assert_eq!(nanos(scene.report("2026-11-23")[0].difference()), Some(-200));
            scene.read("2026-11-23T00:16:00Z", &[("sk-or-v1-aaaa", 1_000, 0)]).await;
            let report = scene.report("2026-11-23");
            assert_eq!((nanos(report[0].difference()), report[0].ratio()), (Some(0), Some(10_000)));
            assert_eq!(report[0].keys, [("aaaa".to_owned(), Usd::from_nanos(900))]);
        });
    });
}

#[test]
fn a_replaced_key_is_read_from_then_on_and_a_refused_one_does_not_hold_up_others() {
    TestDb::each(|storage| {
        run(async {
            let mut scene =
                Scene::new(storage, &[("org_a", Some("sk-or-v1-aaaa")), ("org_b", Some("sk-or-v1-bbbb"))])
                    .await;
            scene.read("2026-11-22T10:01:00Z", &[("sk-or-v1-bbbb", 5, 5)]).await;
            assert_eq!(scene.report("2026-11-22").len(), 1);
            scene.read("2026-11-22T10:16:00Z", &[("sk-or-v1-aaaa", 9, 9), ("sk-or-v1-bbbb", 5, 5)]).await;
            let patch = ClientOrganizationPatch {
                openrouter_api_key: Change::Set("sk-or-v1-cccc".into()),
                ..ClientOrganizationPatch::default()
            };
            scene.table.update(&OrganizationId::new("org_a").unwrap(), patch).await.unwrap();
            scene.reader.directory = load(storage, &scene.master_key);
            scene.read("2026-11-22T10:31:00Z", &[("sk-or-v1-cccc", 100, 0), ("sk-or-v1-bbbb", 5, 5)]).await;
            scene.read("2026-11-23T00:01:00Z", &[("sk-or-v1-cccc", 140, 0), ("sk-or-v1-bbbb", 6, 0)]).await;
            let report = scene.report("2026-11-23");
            let lines: Vec<_> = report
                .iter()
                .map(|day| {
                    let keys: Vec<_> = day.keys.iter().map(|(last4, _)| last4.as_str()).collect();
                    (day.usage_date.day_of_month(), day.client_org_id.as_str(), keys, nanos(day.billed))
                })
                .collect();
            assert_eq!(
                lines,
                [
                    (22, "org_a", vec!["aaaa", "cccc"], None),
                    (22, "org_b", vec!["bbbb"], Some(6)),
                    (23, "org_a", vec!["cccc"], Some(0)),
                    (23, "org_b", vec!["bbbb"], Some(0)),
                ]
            );
        });
    });
}
