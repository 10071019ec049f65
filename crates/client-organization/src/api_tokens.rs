//! The tokens with which programs call the API.

use std::{fmt, sync::Arc};

use diesel::prelude::*;
use mai_audit_log::{Actor, Details, NewEntry, append};
use mai_primitives::{Clock, OrganizationId, UnixTime, UserId};
use mai_storage::{Storage, text_enum};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::{
    digest,
    error::{Error, Result, TokenRefusal},
    query::require_organization,
    schema::api_tokens,
    validate,
};

/// What every API token begins with.
pub const TOKEN_PREFIX: &str = "mai-token-";

text_enum! {
    /// What a token may do.
    pub enum ApiTokenRole {
        /// Everything, for all organizations.
        Reseller = "reseller",
        /// Everything of one organization.
        Admin = "admin",
        /// One member's own usage and the organization's summary.
        Member = "member",
    }
}

/// A token as it is stored, without the token.
#[derive(Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = api_tokens)]
pub struct ApiTokenModel {
    /// `token_…`
    pub id: String,
    /// Hex SHA-256 of the token.
    pub token_hash: String,
    /// The first twelve characters of the token, by which people tell tokens apart.
    pub token_prefix: String,
    /// What people call the token.
    pub name: String,
    /// What the token may do.
    pub role: ApiTokenRole,
    /// The organization; none for a reseller, and only then.
    pub client_org_id: Option<OrganizationId>,
    /// The member whose token it is; always there for the role `member`.
    pub user_id: Option<UserId>,
    /// From when on the token does not work; none means never.
    pub expires_at: Option<UnixTime>,
    /// When the token was taken back; none means it was not.
    pub revoked_at: Option<UnixTime>,
    /// When the row was made.
    pub created_at: UnixTime,
}

/// Leaves the hash out: it opens nothing, but it has no place in a log.
impl fmt::Debug for ApiTokenModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiTokenModel")
            .field("id", &self.id)
            .field("token_prefix", &self.token_prefix)
            .field("name", &self.name)
            .field("role", &self.role)
            .field("client_org_id", &self.client_org_id)
            .field("user_id", &self.user_id)
            .field("expires_at", &self.expires_at)
            .field("revoked_at", &self.revoked_at)
            .finish_non_exhaustive()
    }
}

/// What a new token is made of.
#[derive(Debug, Clone)]
pub struct NewApiToken {
    /// 1 to 200 characters.
    pub name: String,
    /// What the token may do.
    pub role: ApiTokenRole,
    /// The organization; none for a reseller, and only then.
    pub client_org_id: Option<OrganizationId>,
    /// The member whose token it is; needed for the role `member`, refused for a reseller.
    pub user_id: Option<UserId>,
    /// From when on the token does not work; none means never.
    pub expires_at: Option<UnixTime>,
}

/// A new token. This is the only time that the token itself is there.
#[derive(Debug)]
pub struct CreatedApiToken {
    /// `mai-token-` and 32 random bytes in URL-safe base64.
    pub token: SecretString,
    /// What is stored of it.
    pub model: ApiTokenModel,
}

/// Makes, lists, takes back and verifies API tokens.
#[derive(Clone)]
pub struct ApiTokenTable {
    storage: Storage,
    clock: Arc<dyn Clock>,
    actor: Actor,
}

impl ApiTokenTable {
    /// A service on `storage`.
    pub fn new(storage: Storage, clock: Arc<dyn Clock>) -> Self {
        Self { storage, clock, actor: Actor::system() }
    }

    /// The same service in the name of `actor`, whom the audit log will tell.
    #[must_use]
    pub fn acting_as(&self, actor: Actor) -> Self {
        Self { actor, ..self.clone() }
    }

    /// Makes a token. An unknown organization is [`Error::NotFound`].
    pub async fn create(&self, new: NewApiToken) -> Result<CreatedApiToken> {
        let (now, actor) = (self.clock.now().into(), self.actor.clone());
        check_scope(&new)?;
        validate::expiry(new.expires_at, now)?;
        let generated = digest::new_key(TOKEN_PREFIX)?;
        let model = ApiTokenModel {
            id: digest::new_id("token_")?,
            token_hash: generated.hash,
            token_prefix: generated.prefix,
            name: validate::name(&new.name)?,
            role: new.role,
            client_org_id: new.client_org_id,
            user_id: new.user_id,
            expires_at: new.expires_at,
            revoked_at: None,
            created_at: now,
        };
        let model = self
            .storage
            .write(move |conn| {
                if let Some(organization) = &model.client_org_id {
                    require_organization(conn, organization)?;
                }
                diesel::insert_into(api_tokens::table).values(&model).execute(conn)?;
                let details = Details::none()
                    .with("name", model.name.as_str())
                    .with("token_prefix", model.token_prefix.as_str())
                    .with("role", model.role.as_str());
                let entry = NewEntry::done(model.client_org_id.as_ref(), "api_token.create", &model.id);
                append(conn, &actor, now, &entry.with(details))?;
                Ok::<_, Error>(model.clone())
            })
            .await?;
        Ok(CreatedApiToken { token: generated.key, model })
    }

    /// The tokens of an organization, or those of the reseller, also those that no longer work, by the
    /// time they were made.
    pub async fn list(&self, organization: Option<&OrganizationId>) -> Result<Vec<ApiTokenModel>> {
        let organization = organization.cloned();
        self.storage
            .read(move |conn| {
                let tokens = api_tokens::table
                    .order((api_tokens::created_at, api_tokens::id))
                    .select(ApiTokenModel::as_select())
                    .into_boxed();
                let theirs = match organization {
                    Some(organization) => tokens.filter(api_tokens::client_org_id.eq(organization)),
                    None => tokens.filter(api_tokens::client_org_id.is_null()),
                };
                Ok(theirs.load(conn)?)
            })
            .await
    }

    /// Takes a token of an organization, or of the reseller, back for good. Doing so again keeps the
    /// first time. A token that is not theirs is [`Error::NotFound`].
    pub async fn revoke(&self, organization: Option<&OrganizationId>, id: &str) -> Result<()> {
        let (organization, id) = (organization.cloned(), id.to_owned());
        let (now, actor): (UnixTime, _) = (self.clock.now().into(), self.actor.clone());
        self.storage
            .write(move |conn| {
                let owner = api_tokens::table
                    .find(&id)
                    .select(api_tokens::client_org_id)
                    .first::<Option<OrganizationId>>(conn)
                    .optional()?;
                if owner.as_ref() != Some(&organization) {
                    return Err(Error::not_found("API token", id.as_str()));
                }
                diesel::update(api_tokens::table.find(&id).filter(api_tokens::revoked_at.is_null()))
                    .set(api_tokens::revoked_at.eq(Some(now)))
                    .execute(conn)?;
                append(conn, &actor, now, &NewEntry::done(organization.as_ref(), "api_token.revoke", &id))?;
                Ok(())
            })
            .await
    }

    /// What a presented token may do, or [`Error::Token`] when it opens nothing. Whether its
    /// organization is active is for the caller to decide.
    pub async fn verify(&self, presented: &SecretString) -> Result<ApiTokenModel> {
        let hash = digest::sha256_hex(presented.expose_secret());
        let wanted = hash.clone();
        let found = self
            .storage
            .read(move |conn| {
                Ok::<_, Error>(
                    api_tokens::table
                        .filter(api_tokens::token_hash.eq(&wanted))
                        .select(ApiTokenModel::as_select())
                        .first(conn)
                        .optional()?,
                )
            })
            .await?;
        let token = found.ok_or(TokenRefusal::Unknown)?;
        // The index compares in variable time, but only hashes; this comparison is the one that counts.
        if !bool::from(token.token_hash.as_bytes().ct_eq(hash.as_bytes())) {
            return Err(TokenRefusal::Unknown.into());
        }
        if token.revoked_at.is_some() {
            return Err(TokenRefusal::Revoked.into());
        }
        let now: UnixTime = self.clock.now().into();
        if token.expires_at.is_some_and(|at| at <= now) {
            return Err(TokenRefusal::Expired.into());
        }
        Ok(token)
    }
}

fn check_scope(new: &NewApiToken) -> Result<()> {
    match (new.role, &new.client_org_id, &new.user_id) {
        (ApiTokenRole::Reseller, None, None)
        | (ApiTokenRole::Admin, Some(_), _)
        | (ApiTokenRole::Member, Some(_), Some(_)) => Ok(()),
        (ApiTokenRole::Reseller, ..) => {
            Err(Error::invalid("role", "a reseller's token has no organization and no user"))
        }
        (_, None, _) => Err(Error::invalid("client_org_id", "is needed for this role")),
        (_, _, None) => Err(Error::invalid("user_id", "is needed for the role `member`")),
    }
}
