//! Client organizations and everybody and everything that belongs to one: members, the ids under
//! which OpenRouter knows them, gateway keys, API tokens, accounts
//! with their sessions, limits, and the markup rate of every instant.
//!
//! [`Directory`] is what a gateway keeps of it in memory. Every change of what the directory holds
//! increases [`mai_global_settings::revision`] in the same transaction, except that members who turn
//! up in the traffic are mapped without it: see [`register`].

pub mod accounts;
pub mod api_tokens;
pub mod directory;
pub mod error;
pub mod external_ids;
pub mod gateway_keys;
pub mod identity_secret;
pub mod import;
pub mod limits;
pub mod mapping;
pub mod member_changes;
pub mod member_query;
pub mod members;
pub mod model;
pub mod openrouter_user;
pub mod passwords;
pub mod query;
pub mod register;
pub mod role;
pub mod schema;
pub mod sealed;
pub mod service;
pub mod sessions;
pub mod sign_in_links;
pub mod snapshot;
pub mod usage_limits;
pub mod webhook_secret;

mod attribution;
mod digest;
mod last_use;
mod reporters;
mod sign_in;
mod stored;
#[cfg(test)]
mod tests;
mod validate;

pub use accounts::{AccountModel, AccountPatch, AccountTable, NewAccount};
pub use api_tokens::{ApiTokenModel, ApiTokenTable, CreatedApiToken, NewApiToken, TokenScope};
pub use attribution::users_behind;
pub use directory::{Directory, GatewayKeyEntry, OrganizationEntry};
pub use error::{Error, Result, SessionRefusal, SignInRefusal, TokenRefusal};
pub use gateway_keys::{CreatedGatewayKey, GatewayKeyModel, GatewayKeyPatch, GatewayKeyTable, NewGatewayKey};
pub use identity_secret::{IdentitySecret, new_identity_secret};
pub use import::{ImportOptions, ImportReport, ListedMember, MemberList, Refusal};
pub use limits::{LimitScope, LimitSubject, Limits};
pub use mai_exchange_rates::{DayRatePolicy, StatementRatePolicy};
pub use mai_global_settings::{Change, MasterKey, revision};
pub use mapping::{
    UserClientMappingForm, UserClientMappingModel, UserClientMappingPatch, UserClientMappingTable,
};
pub use member_query::MemberQuery;
pub use members::{MemberForm, MemberModel, MemberPatch, MemberRole, MemberSource, MemberTable};
pub use model::{ClientOrganizationForm, ClientOrganizationModel, ClientOrganizationPatch, ProviderKeyState};
pub use openrouter_user::{ParsedOpenRouterUserId, openrouter_user_id, parse_openrouter_user_id};
pub use passwords::Passwords;
pub use register::{SeenMember, register_seen};
pub use role::{Role, Standing};
/// The table itself, for queries in Diesel's language; the original's class of the same name.
pub use schema::client_organizations::table as ClientOrganization;
/// The table itself, for queries in Diesel's language; the original's class of the same name.
pub use schema::user_client_mapping::table as UserClientMapping;
pub use service::ClientOrganizationTable;
pub use sessions::{CreatedSession, SessionKind, SessionModel, SessionOwner, SessionTable};
pub use sign_in_links::{CreatedSignInLink, SignInLinkTable};
pub use snapshot::{Snapshot, SnapshotError};
pub use usage_limits::{UsageLimitModel, UsageLimitTable};
pub use webhook_secret::{WebhookSecret, new_webhook_secret};
