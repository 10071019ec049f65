//! The tokens with which programs call the API.

use std::{fmt, sync::Arc};

use diesel::prelude::*;
use mai_audit_log::{Actor, ActorKind, Details, NewEntry, append};
use mai_primitives::{Clock, OrganizationId, UnixTime, UserId};
use mai_storage::{DbConnection, Storage, text_enum};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::{
    accounts::lock_account,
    digest,
    error::{Error, Result, SessionRefusal, TokenRefusal},
    last_use::LastUses,
    query::require_organization,
    role::{Activity, Role, Standing},
    schema::{api_tokens, client_organizations, members},
    validate,
};

/// What every API token begins with.
pub const TOKEN_PREFIX: &str = "mai-token-";

text_enum! {
    /// Whether a token may change anything.
    pub enum TokenScope {
        /// Everything that its role may.
        Full = "full",
        /// What its role may read.
        Read = "read",
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
    pub role: Role,
    /// The organization; none for a reseller, and only then.
    pub client_org_id: Option<OrganizationId>,
    /// The member whose token it is; always there for the role `member`.
    pub user_id: Option<UserId>,
    /// Whether the token may change anything.
    pub scope: TokenScope,
    /// The account that made it, itself or by another token; the token ends with it.
    pub created_by: Option<String>,
    /// When it was last used, at most about a minute late; none means never.
    pub last_used_at: Option<UnixTime>,
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
            .field("scope", &self.scope)
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
    pub role: Role,
    /// The organization; none for a reseller, and only then.
    pub client_org_id: Option<OrganizationId>,
    /// The member whose token it is; needed for the role `member`, refused for a reseller.
    pub user_id: Option<UserId>,
    /// Whether the token may change anything.
    pub scope: TokenScope,
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
    uses: LastUses,
}

impl ApiTokenTable {
    /// A service on `storage`.
    pub fn new(storage: Storage, clock: Arc<dyn Clock>) -> Self {
        Self { storage, clock, actor: Actor::system(), uses: LastUses::default() }
    }

    /// The same service in the name of `actor`, whom the audit log will tell.
    #[must_use]
    pub fn acting_as(&self, actor: Actor) -> Self {
        Self { actor, ..self.clone() }
    }

    /// Makes a token. An unknown organization is [`Error::NotFound`]. Whoever makes it in the name of an
    /// account that was deactivated in the same moment gets none ([`Error::Session`]).
    pub async fn create(&self, new: NewApiToken) -> Result<CreatedApiToken> {
        let (now, actor) = (self.clock.now().into(), self.actor.clone());
        let standing = Standing {
            role: new.role,
            client_org_id: new.client_org_id.clone(),
            user_id: new.user_id.clone(),
        };
        standing.check()?;
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
            scope: new.scope,
            created_by: None,
            last_used_at: None,
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
                let model = ApiTokenModel { created_by: creator(conn, &actor)?, ..model.clone() };
                diesel::insert_into(api_tokens::table).values(&model).execute(conn)?;
                let details = Details::none()
                    .with("name", model.name.as_str())
                    .with("token_prefix", model.token_prefix.as_str())
                    .with("role", model.role.as_str())
                    .with("scope", model.scope.as_str())
                    .with_some("user_id", model.user_id.as_ref().map(UserId::as_str))
                    .with_some("expires_at", model.expires_at.map(UnixTime::seconds));
                let entry = NewEntry::done(model.client_org_id.as_ref(), "api_token.create", &model.id);
                append(conn, &actor, now, &entry.with(details))?;
                Ok::<_, Error>(model)
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

    /// What a presented token may do, or [`Error::Token`] when it opens nothing. That it was used is
    /// noted, and written by [`Self::write_last_used`].
    pub async fn verify(&self, presented: &SecretString) -> Result<ApiTokenModel> {
        let hash = digest::sha256_hex(presented.expose_secret());
        let wanted = hash.clone();
        let found = self.storage.read(move |conn| token_with_activity(conn, &wanted)).await?;
        let (token, (organization, member)) = found.ok_or(TokenRefusal::Unknown)?;
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
        if organization == Some(false) {
            return Err(TokenRefusal::InactiveOrganization.into());
        }
        if member == Some(false) {
            return Err(TokenRefusal::InactiveMember.into());
        }
        self.uses.note(&token.id, token.last_used_at, now);
        Ok(token)
    }

    /// Writes which tokens were used since the last time.
    pub async fn write_last_used(&self) -> Result<()> {
        let uses = self.uses.take();
        if uses.is_empty() {
            return Ok(());
        }
        let written = uses.clone();
        let outcome = self
            .storage
            .write(move |conn| {
                for (id, at) in &written {
                    let before = api_tokens::last_used_at.is_null().or(api_tokens::last_used_at.lt(*at));
                    diesel::update(api_tokens::table.find(id).filter(before))
                        .set(api_tokens::last_used_at.eq(Some(*at)))
                        .execute(conn)?;
                }
                Ok(())
            })
            .await;
        if outcome.is_err() {
            self.uses.put_back(uses);
        }
        outcome
    }
}

/// The account behind whoever makes a token. It stays as it is until the transaction ends, so that no token
/// is made behind the back of those who take the account's tokens away.
fn creator(conn: &mut DbConnection, actor: &Actor) -> Result<Option<String>> {
    let account = match actor.kind() {
        ActorKind::Account => Some(actor.id().to_owned()),
        ActorKind::ApiToken => api_tokens::table
            .find(actor.id())
            .select(api_tokens::created_by)
            .first::<Option<String>>(conn)
            .optional()?
            .flatten(),
        _ => None,
    };
    let Some(id) = account else { return Ok(None) };
    match lock_account(conn, &id)? {
        Some(account) if !account.is_active => Err(SessionRefusal::Revoked.into()),
        // Without a row there is nobody to deactivate.
        account => Ok(account.map(|_| id)),
    }
}

/// Takes back what an account, whose row is locked, has made, each with an entry in the audit log.
pub(crate) fn revoke_tokens_of(
    conn: &mut DbConnection,
    actor: &Actor,
    account: &str,
    now: UnixTime,
) -> Result<()> {
    let theirs: Vec<(String, Option<OrganizationId>)> = api_tokens::table
        .filter(api_tokens::created_by.eq(account).and(api_tokens::revoked_at.is_null()))
        .order(api_tokens::id)
        .select((api_tokens::id, api_tokens::client_org_id))
        .load(conn)?;
    for (id, organization) in theirs {
        let still = api_tokens::table.find(&id).filter(api_tokens::revoked_at.is_null());
        if diesel::update(still).set(api_tokens::revoked_at.eq(Some(now))).execute(conn)? > 0 {
            let details = Details::none().with("account_id", account);
            let entry = NewEntry::done(organization.as_ref(), "api_token.revoke", &id).with(details);
            append(conn, actor, now, &entry)?;
        }
    }
    Ok(())
}

/// A token, and whether its organization and its member are active, where it has them.
fn token_with_activity(
    conn: &mut DbConnection,
    token_hash: &str,
) -> Result<Option<(ApiTokenModel, Activity)>> {
    let organization = client_organizations::id.nullable().eq(api_tokens::client_org_id);
    let member = members::client_org_id
        .nullable()
        .eq(api_tokens::client_org_id)
        .and(members::user_id.nullable().eq(api_tokens::user_id));
    Ok(api_tokens::table
        .left_join(client_organizations::table.on(organization))
        .left_join(members::table.on(member))
        .filter(api_tokens::token_hash.eq(token_hash))
        .select((
            ApiTokenModel::as_select(),
            (client_organizations::is_active.nullable(), members::is_active.nullable()),
        ))
        .first(conn)
        .optional()?)
}
