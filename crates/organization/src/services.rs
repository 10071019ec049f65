//! [`OrganizationServices`]: the services of one database, made once and handed on.

use std::sync::Arc;

use mai_audit_log::{Actor, AuditLogTable};
use mai_primitives::{Clock, UsdPlnRate};
use mai_storage::Storage;

use crate::{
    client_organization::{
        AccountTable, ApiTokenTable, ClientOrganizationDB, GatewayKeyTable, MasterKey, MemberTable,
        Passwords, SessionTable, SignInLinkTable, UsageLimitTable, UserClientMappingDB,
    },
    exchange_rates::ExchangeRateTable,
    generation_processing::ProcessedGenerationDB,
    global_settings::GlobalSettingsDB,
    usage_tracking::ClientUsageDB,
};

/// The services of one database. Clones share it.
#[derive(Clone)]
#[expect(clippy::struct_field_names, reason = "the names are those of the original's singletons")]
pub struct OrganizationServices {
    /// Settings that hold for all organizations.
    pub global_settings_db: GlobalSettingsDB,
    /// Organizations.
    pub client_organization_db: ClientOrganizationDB,
    /// The ids under which OpenRouter knows the members.
    pub user_client_mapping_db: UserClientMappingDB,
    /// Recording usage and reading statistics.
    pub client_usage_db: ClientUsageDB,
    /// The ledger.
    pub processed_generation_db: ProcessedGenerationDB,
    /// The keys that open the gateway.
    pub gateway_key_db: GatewayKeyTable,
    /// What members and models may cost in a month.
    pub usage_limit_db: UsageLimitTable,
    /// The people of the organizations.
    pub member_db: MemberTable,
    /// The tokens that open the API.
    pub api_token_db: ApiTokenTable,
    /// People who sign in with a password.
    pub account_db: AccountTable,
    /// Signed-in browsers.
    pub session_db: SessionTable,
    /// Links that sign in once.
    pub sign_in_link_db: SignInLinkTable,
    /// What is stored of NBP's tables.
    pub exchange_rate_db: ExchangeRateTable,
    /// Who changed what.
    pub audit_log_db: AuditLogTable,
}

impl OrganizationServices {
    /// The services on `storage`, which seal secrets with `secrets` and take the present from
    /// `clock`.
    #[expect(clippy::needless_pass_by_value, reason = "whoever calls hands over what the services share")]
    pub fn new(storage: Storage, secrets: MasterKey, clock: Arc<dyn Clock>) -> Self {
        let clock = || Arc::clone(&clock);
        Self {
            global_settings_db: GlobalSettingsDB::new(storage.clone(), secrets.clone(), clock()),
            client_organization_db: ClientOrganizationDB::new(storage.clone(), secrets.clone(), clock()),
            user_client_mapping_db: UserClientMappingDB::new(storage.clone(), clock()),
            client_usage_db: ClientUsageDB::new(storage.clone(), clock()),
            processed_generation_db: ProcessedGenerationDB::new(storage.clone(), clock()),
            gateway_key_db: GatewayKeyTable::new(storage.clone(), secrets.clone(), clock()),
            usage_limit_db: UsageLimitTable::new(storage.clone(), clock()),
            member_db: MemberTable::new(storage.clone(), clock()),
            api_token_db: ApiTokenTable::new(storage.clone(), clock()),
            account_db: AccountTable::new(storage.clone(), clock(), Passwords::default()),
            session_db: SessionTable::new(storage.clone(), secrets.clone(), clock()),
            sign_in_link_db: SignInLinkTable::new(storage.clone(), clock()),
            exchange_rate_db: ExchangeRateTable::new(storage.clone(), None),
            audit_log_db: AuditLogTable::new(storage.clone(), clock()),
        }
    }

    /// The same services, which convert by the configured `fallback` where no table of NBP is known, and
    /// say so.
    #[must_use]
    pub fn with_fallback_rate(self, fallback: Option<UsdPlnRate>) -> Self {
        Self {
            client_usage_db: self.client_usage_db.with_fallback_rate(fallback),
            exchange_rate_db: self.exchange_rate_db.with_fallback(fallback),
            ..self
        }
    }

    /// The same services in the name of `actor`: the audit log tells it of every change.
    #[must_use]
    pub fn acting_as(&self, actor: &Actor) -> Self {
        let actor = || actor.clone();
        Self {
            global_settings_db: self.global_settings_db.acting_as(actor()),
            client_organization_db: self.client_organization_db.acting_as(actor()),
            user_client_mapping_db: self.user_client_mapping_db.acting_as(actor()),
            client_usage_db: self.client_usage_db.acting_as(actor()),
            processed_generation_db: self.processed_generation_db.acting_as(actor()),
            gateway_key_db: self.gateway_key_db.acting_as(actor()),
            usage_limit_db: self.usage_limit_db.acting_as(actor()),
            member_db: self.member_db.acting_as(actor()),
            api_token_db: self.api_token_db.acting_as(actor()),
            account_db: self.account_db.acting_as(actor()),
            session_db: self.session_db.acting_as(actor()),
            sign_in_link_db: self.sign_in_link_db.acting_as(actor()),
            exchange_rate_db: self.exchange_rate_db.clone(),
            audit_log_db: self.audit_log_db.clone(),
        }
    }
}
