//! The services and the queries on both databases.

mod accounts;
mod concurrency;
mod directory;
mod external_ids;
mod import;
mod keys;
mod limits;
mod mappings;
mod members;
mod organizations;
mod rates;
mod reporters;
mod sealed;
mod sessions;
mod sign_in;
mod sign_in_links;
mod snapshot;

use std::sync::Arc;

use mai_audit_log::{AuditLogTable, AuditQuery};
use mai_global_settings::{GlobalSettingsTable, MasterKey, revision};
use mai_primitives::{ManualClock, MarkupRate, OrganizationId, UnixTime, UserId};
use mai_storage::{Storage, testing::TestDb};

use crate::{
    AccountModel, AccountTable, ApiTokenTable, ClientOrganizationForm, ClientOrganizationModel,
    ClientOrganizationTable, Directory, GatewayKeyTable, MemberForm, MemberRole, MemberSource, MemberTable,
    NewAccount, Passwords, Role, SessionTable, SignInLinkTable, Standing, UserClientMappingTable,
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
    accounts: AccountTable,
    sessions: SessionTable,
    links: SignInLinkTable,
    audit_log: AuditLogTable,
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
            api_tokens: ApiTokenTable::new(storage.clone(), time.clone()),
            accounts: AccountTable::new(storage.clone(), time.clone(), Passwords::weak()),
            sessions: SessionTable::new(storage.clone(), master_key.clone(), time.clone()),
            links: SignInLinkTable::new(storage.clone(), time.clone()),
            audit_log: AuditLogTable::new(storage.clone(), time),
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

    /// An account of the reseller, or of an organization's administrator, with a password.
    async fn account(&self, email: &str, organization_id: Option<&str>) -> AccountModel {
        let standing = match organization_id {
            Some(id) => Standing {
                role: Role::Admin,
                client_org_id: Some(organization(id)),
                user_id: Some(user("u")),
            },
            None => Standing::RESELLER,
        };
        let new = NewAccount { email: email.into(), name: "Anna".into(), standing };
        let account = self.accounts.create(new).await.unwrap();
        let owner = organization_id.map(organization);
        let link = self.links.create(owner.as_ref(), &account.id).await.unwrap();
        let session = self.links.redeem(&link.token).await.unwrap();
        self.accounts.change_password(&session.model, None, &PASSWORD.into()).await.unwrap();
        self.accounts.get(&account.id).await.unwrap().unwrap()
    }

    /// Makes the user `u` of an organization known, active or not.
    async fn member(&self, organization_id: &str, is_active: bool) {
        let form = MemberForm {
            user_id: user("u"),
            name: None,
            email: None,
            role: MemberRole::Member,
            source: MemberSource::Api,
            is_active,
        };
        self.members.upsert(&organization(organization_id), vec![form]).await.unwrap();
    }

    /// Kind of actor, action and result of the last entries of the audit log, the oldest first.
    async fn last_entries(&self, number: i64) -> Vec<(String, String, String)> {
        let query = AuditQuery { limit: number, ..AuditQuery::default() };
        let entries = self.audit_log.list(query).await.unwrap();
        let entries = entries.into_iter().rev();
        entries.map(|entry| (entry.actor_kind.to_string(), entry.action, entry.result)).collect()
    }
}

/// The password of every account of the tests.
const PASSWORD: &str = "correct horse battery";

/// An entry of the audit log, as [`Fixture::last_entries`] has it.
fn entry(actor: &str, action: &str, result: &str) -> (String, String, String) {
    (actor.to_owned(), action.to_owned(), result.to_owned())
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
