//! The services and the queries on both databases.

mod concurrency;
mod directory;
mod keys;
mod mappings;
mod members;
mod organizations;
mod rates;
mod reporters;
mod sealed;
mod snapshot;

use std::sync::Arc;

use mai_global_settings::{GlobalSettingsTable, MasterKey, revision};
use mai_primitives::{ManualClock, MarkupRate, OrganizationId, UnixTime, UserId};
use mai_storage::{Storage, testing::TestDb};

use crate::{
    ApiTokenTable, ClientOrganizationForm, ClientOrganizationModel, ClientOrganizationTable, Directory,
    GatewayKeyTable, MemberTable, UserClientMappingTable,
};

/// All services on one database, whose clock begins at 1,000 Unix seconds.
struct Fixture {
    storage: Storage,
    clock: ManualClock,
    master_key: MasterKey,
    settings: GlobalSettingsTable,
    organizations: ClientOrganizationTable,
    mappings: UserClientMappingTable,
    members: MemberTable,
    gateway_keys: GatewayKeyTable,
    api_tokens: ApiTokenTable,
}

impl Fixture {
    fn new(storage: &Storage) -> Self {
        let clock = ManualClock::at("1970-01-01T00:16:40Z".parse().unwrap());
        let time = Arc::new(clock.clone());
        let master_key = MasterKey::generate().unwrap();
        Self {
            settings: GlobalSettingsTable::new(storage.clone(), master_key.clone(), time.clone()),
            organizations: ClientOrganizationTable::new(storage.clone(), master_key.clone(), time.clone()),
            mappings: UserClientMappingTable::new(storage.clone(), time.clone()),
            members: MemberTable::new(storage.clone(), time.clone()),
            gateway_keys: GatewayKeyTable::new(storage.clone(), master_key.clone(), time.clone()),
            api_tokens: ApiTokenTable::new(storage.clone(), time),
            storage: storage.clone(),
            clock,
            master_key,
        }
    }

    fn revision(&self) -> i64 {
        self.storage.read_blocking(revision).unwrap()
    }

    fn directory(&self) -> Directory {
        self.storage.read_blocking(|conn| Directory::load(conn, &self.master_key)).unwrap()
    }

    fn wait_seconds(&self, seconds: i64) {
        self.clock.advance_millis(seconds * 1_000);
    }

    /// An organization with this name and id.
    async fn organization(&self, name: &str) -> ClientOrganizationModel {
        let form =
            ClientOrganizationForm { id: Some(organization(name)), name: name.into(), ..Default::default() };
        self.organizations.create(form).await.unwrap()
    }
}

/// Runs a test on each database.
#[expect(clippy::needless_pass_by_value, reason = "every caller passes a closure that it writes in place")]
fn each(test: impl AsyncFn(&Fixture)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    TestDb::each(|storage| runtime.block_on(test(&Fixture::new(storage))));
}

fn organization(id: &str) -> OrganizationId {
    OrganizationId::new(id).unwrap()
}

fn user(id: &str) -> UserId {
    UserId::new(id).unwrap()
}

fn rate(text: &str) -> MarkupRate {
    MarkupRate::parse(text).unwrap()
}

fn at(seconds: i64) -> UnixTime {
    UnixTime::from_seconds(seconds)
}
