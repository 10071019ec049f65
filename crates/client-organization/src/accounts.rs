//! People who sign in with a password of ours.

use std::{fmt, sync::Arc};

use diesel::prelude::*;
use mai_audit_log::{Actor, ActorKind, Details, NewEntry, append};
use mai_global_settings::Change;
use mai_primitives::{Clock, OrganizationId, UnixTime, UserId};
use mai_storage::{DbConnection, Storage, load_for_update};

use crate::{
    api_tokens::revoke_tokens_of,
    digest,
    error::{Error, Result},
    passwords::Passwords,
    query::require_organization,
    role::{Role, Standing},
    schema::accounts,
    sessions::{SessionOwner, revoke_sessions},
    sign_in_links::{drop_open_links, end_first_start},
    validate,
};

/// An account as it is stored.
#[derive(Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = accounts, treat_none_as_default_value = false)]
pub struct AccountModel {
    /// `account_…`
    pub id: String,
    /// The address, in lower case.
    pub email: String,
    /// What people call the owner.
    pub name: String,
    /// Argon2id in the PHC format; none until the owner has chosen a password.
    pub password_hash: Option<String>,
    /// What the owner may do.
    pub role: Role,
    /// The organization; none for a reseller, and only then.
    pub client_org_id: Option<OrganizationId>,
    /// Who the owner is among the members; always there for the role `member`.
    pub user_id: Option<UserId>,
    /// Whether the owner may sign in.
    pub is_active: bool,
    /// Wrong passwords since the last right one.
    pub failed_attempts: i64,
    /// When the last of them was tried.
    pub last_failed_at: Option<UnixTime>,
    /// Until then no password is looked at.
    pub locked_until: Option<UnixTime>,
    /// When the owner last signed in, by a password or a link.
    pub last_sign_in_at: Option<UnixTime>,
    /// When the row was made.
    pub created_at: UnixTime,
    /// When the row was last changed by somebody.
    pub updated_at: UnixTime,
}

impl AccountModel {
    /// What the owner may do.
    pub fn standing(&self) -> Standing {
        Standing { role: self.role, client_org_id: self.client_org_id.clone(), user_id: self.user_id.clone() }
    }

    /// Whether no password is looked at.
    pub fn is_locked(&self, now: UnixTime) -> bool {
        self.locked_until.is_some_and(|until| now < until)
    }
}

/// Leaves the hash out.
impl fmt::Debug for AccountModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountModel")
            .field("id", &self.id)
            .field("role", &self.role)
            .field("client_org_id", &self.client_org_id)
            .field("user_id", &self.user_id)
            .field("has_password", &self.password_hash.is_some())
            .field("is_active", &self.is_active)
            .field("failed_attempts", &self.failed_attempts)
            .field("locked_until", &self.locked_until)
            .finish_non_exhaustive()
    }
}

/// What a new account is made of. It has no password; a link lets its owner choose one.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The address, which no other account may have.
    pub email: String,
    /// What people call the owner, 1 to 200 characters.
    pub name: String,
    /// What the owner may do, and for whom.
    pub standing: Standing,
}

/// A partial update of an account: what is absent stays as it is. Nobody becomes a reseller or ceases
/// to be one.
#[derive(Debug, Clone, Default)]
pub struct AccountPatch {
    /// 1 to 200 characters.
    pub name: Option<String>,
    /// `admin` or `member`; another role ends the owner's sessions and the API tokens that the owner made.
    pub role: Option<Role>,
    /// Who the owner is among the members; somebody else ends the owner's sessions and tokens.
    pub user_id: Change<UserId>,
    /// Whether the owner may sign in. Whoever may not has no sessions, no links and no API tokens any more.
    pub is_active: Option<bool>,
}

/// The account with an address, in lower case, active or not.
pub(crate) fn account_by_email(conn: &mut DbConnection, email: &str) -> Result<Option<AccountModel>> {
    Ok(accounts::table
        .filter(accounts::email.eq(email))
        .select(AccountModel::as_select())
        .first(conn)
        .optional()?)
}

/// An account that nobody else changes until the transaction ends.
pub(crate) fn lock_account(conn: &mut DbConnection, id: &str) -> Result<Option<AccountModel>> {
    let found: Vec<AccountModel> =
        load_for_update!(conn, accounts::table.find(id).select(AccountModel::as_select()))?;
    Ok(found.into_iter().next())
}

/// Whether anybody could sign in for the reseller.
pub(crate) fn has_active_reseller(conn: &mut DbConnection) -> Result<bool> {
    let active = accounts::role.eq(Role::Reseller).and(accounts::is_active.eq(true));
    let found = accounts::table.filter(active).select(accounts::id).first::<String>(conn).optional()?;
    Ok(found.is_some())
}

/// The reseller's active accounts, which nobody else changes until the transaction ends.
fn lock_active_resellers(conn: &mut DbConnection) -> Result<Vec<String>> {
    Ok(load_for_update!(
        conn,
        accounts::table
            .filter(accounts::role.eq(Role::Reseller).and(accounts::is_active.eq(true)))
            .order(accounts::id)
            .select(accounts::id)
    )?)
}

/// Makes, lists and changes accounts, and signs their owners in.
///
/// Where an organization is asked for, none means the accounts of the reseller.
#[derive(Clone)]
pub struct AccountTable {
    pub(crate) storage: Storage,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) actor: Actor,
    pub(crate) passwords: Passwords,
}

impl AccountTable {
    /// A service on `storage` that hashes with `passwords`.
    pub fn new(storage: Storage, clock: Arc<dyn Clock>, passwords: Passwords) -> Self {
        Self { storage, clock, actor: Actor::system(), passwords }
    }

    /// The same service in the name of `actor`, whom the audit log will tell.
    #[must_use]
    pub fn acting_as(&self, actor: Actor) -> Self {
        Self { actor, ..self.clone() }
    }

    /// Makes an account without a password. With an account of the reseller the first start is over: see
    /// [`SignInLinkTable::create_first`](crate::SignInLinkTable::create_first). An address that another account has is [`Error::Taken`], an
    /// unknown organization is [`Error::NotFound`].
    pub async fn create(&self, new: NewAccount) -> Result<AccountModel> {
        let (now, actor): (UnixTime, _) = (self.clock.now().into(), self.actor.clone());
        new.standing.check()?;
        // The session of the first start becomes one of this account: its owner is signed in already.
        let is_signed_in = actor.kind() == ActorKind::Link && new.standing.role == Role::Reseller;
        let account = AccountModel {
            id: digest::new_id("account_")?,
            email: validate::email("email", &new.email)?.to_lowercase(),
            name: validate::name(&new.name)?,
            password_hash: None,
            role: new.standing.role,
            client_org_id: new.standing.client_org_id,
            user_id: new.standing.user_id,
            is_active: true,
            failed_attempts: 0,
            last_failed_at: None,
            locked_until: None,
            last_sign_in_at: is_signed_in.then_some(now),
            created_at: now,
            updated_at: now,
        };
        let created = self
            .storage
            .write(move |conn| {
                if let Some(organization) = &account.client_org_id {
                    require_organization(conn, organization)?;
                }
                if account_by_email(conn, &account.email)?.is_some() {
                    return Err(Error::Taken("e-mail address"));
                }
                diesel::insert_into(accounts::table).values(&account).execute(conn)?;
                if account.role == Role::Reseller {
                    end_first_start(conn, &actor, &account.id, now)?;
                }
                log(conn, &actor, "account.create", &account, now)?;
                Ok(account.clone())
            })
            .await;
        match created {
            // Somebody else was faster.
            Err(Error::Storage(mai_storage::Error::Unique(_))) => Err(Error::Taken("e-mail address")),
            other => other,
        }
    }

    /// The accounts of an organization, or of the reseller, active or not, by address.
    pub async fn list(&self, organization: Option<&OrganizationId>) -> Result<Vec<AccountModel>> {
        let organization = organization.cloned();
        self.storage
            .read(move |conn| {
                let all =
                    accounts::table.order(accounts::email).select(AccountModel::as_select()).into_boxed();
                let theirs = match organization {
                    Some(organization) => all.filter(accounts::client_org_id.eq(organization)),
                    None => all.filter(accounts::client_org_id.is_null()),
                };
                Ok(theirs.load(conn)?)
            })
            .await
    }

    /// One account, active or not, or none.
    pub async fn get(&self, id: &str) -> Result<Option<AccountModel>> {
        let id = id.to_owned();
        self.storage
            .read(move |conn| {
                let found = accounts::table.find(&id).select(AccountModel::as_select()).first(conn);
                Ok(found.optional()?)
            })
            .await
    }

    /// The account with an address, active or not, or none.
    pub async fn get_by_email(&self, email: &str) -> Result<Option<AccountModel>> {
        let email = email.trim().to_lowercase();
        self.storage.read(move |conn| account_by_email(conn, &email)).await
    }

    /// Whether anybody could sign in for the reseller.
    pub async fn has_active_reseller(&self) -> Result<bool> {
        self.storage.read(has_active_reseller).await
    }

    /// Changes what the patch names, of an account of this organization or of the reseller; another
    /// one is [`Error::NotFound`]. The reseller's last active account cannot be deactivated
    /// ([`Error::LastReseller`]).
    pub async fn update(
        &self,
        organization: Option<&OrganizationId>,
        id: &str,
        patch: AccountPatch,
    ) -> Result<AccountModel> {
        let (organization, id, actor) = (organization.cloned(), id.to_owned(), self.actor.clone());
        let now: UnixTime = self.clock.now().into();
        let name = patch.name.as_deref().map(validate::name).transpose()?;
        let patch = AccountPatch { name, ..patch };
        self.storage
            .write(move |conn| {
                let others = if organization.is_none() { lock_active_resellers(conn)? } else { Vec::new() };
                let old = lock_account(conn, &id)?.filter(|old| old.client_org_id == organization);
                let old = old.ok_or_else(|| Error::not_found("account", id.as_str()))?;
                let new = patch.apply(&old, now);
                new.standing().check()?;
                let ends = old.is_active && !new.is_active;
                if ends && organization.is_none() && !others.iter().any(|other| *other != id) {
                    return Err(Error::LastReseller);
                }
                store(conn, &new)?;
                if ends || new.standing() != old.standing() {
                    revoke_sessions(conn, &SessionOwner::Account(id.clone()), now)?;
                    drop_open_links(conn, &id)?;
                    revoke_tokens_of(conn, &actor, &id, now)?;
                }
                let action = match (old.is_active, new.is_active) {
                    (true, false) => "account.deactivate",
                    (false, true) => "account.activate",
                    _ => "account.update",
                };
                log(conn, &actor, action, &new, now)?;
                Ok(new)
            })
            .await
    }
}

impl AccountPatch {
    fn apply(&self, old: &AccountModel, now: UnixTime) -> AccountModel {
        let patch = self.clone();
        let old = old.clone();
        AccountModel {
            name: patch.name.unwrap_or(old.name),
            role: patch.role.unwrap_or(old.role),
            user_id: patch.user_id.apply(old.user_id),
            is_active: patch.is_active.unwrap_or(old.is_active),
            updated_at: now,
            ..old
        }
    }
}

/// Stores everything of an account that can change.
pub(crate) fn store(conn: &mut DbConnection, account: &AccountModel) -> Result<()> {
    diesel::update(accounts::table.find(&account.id))
        .set((
            (
                accounts::name.eq(&account.name),
                accounts::role.eq(account.role),
                accounts::user_id.eq(&account.user_id),
                accounts::is_active.eq(account.is_active),
                accounts::updated_at.eq(account.updated_at),
            ),
            (
                accounts::password_hash.eq(&account.password_hash),
                accounts::failed_attempts.eq(account.failed_attempts),
                accounts::last_failed_at.eq(account.last_failed_at),
                accounts::locked_until.eq(account.locked_until),
                accounts::last_sign_in_at.eq(account.last_sign_in_at),
            ),
        ))
        .execute(conn)?;
    Ok(())
}

fn log(
    conn: &mut DbConnection,
    actor: &Actor,
    action: &str,
    account: &AccountModel,
    now: UnixTime,
) -> Result<()> {
    let details = Details::none()
        .with("email", account.email.as_str())
        .with("name", account.name.as_str())
        .with("role", account.role.as_str())
        .with("is_active", account.is_active)
        .with_some("user_id", account.user_id.as_ref().map(UserId::as_str));
    let entry = NewEntry::done(account.client_org_id.as_ref(), action, &account.id).with(details);
    append(conn, actor, now, &entry)?;
    Ok(())
}
