//! Links that sign in once: that of the first start, invitations, and links to choose another password.

use std::{fmt, sync::Arc};

use diesel::prelude::*;
use mai_audit_log::{Actor, ActorKind, Details, NewEntry, append};
use mai_primitives::{Clock, OrganizationId, UnixTime, UserId};
use mai_storage::{DbConnection, Storage};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    accounts::{AccountModel, has_active_reseller, lock_account, store},
    digest,
    error::{Error, Result, SignInRefusal},
    role::{Role, Standing},
    schema::{sessions, sign_in_links},
    sessions::{CreatedSession, SessionKind, SessionModel, insert_session, log_sign_in, new_session},
    sign_in::{closed, refusal_code, stranger},
};

/// What the token of every link begins with.
pub const LINK_PREFIX: &str = "mai-link-";

/// How long a link can be used.
pub const LINK_SECONDS: i64 = 86_400;

/// A link as it is stored, without its token.
#[derive(Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = sign_in_links, treat_none_as_default_value = false)]
pub struct SignInLinkModel {
    /// Hex SHA-256 of the token.
    pub token_hash: String,
    /// The account that it signs in to; none where there is none yet, as at the first start.
    pub account_id: Option<String>,
    /// What may be done.
    pub role: Role,
    /// The organization; none for a reseller, and only then.
    pub client_org_id: Option<OrganizationId>,
    /// Who it is among the members.
    pub user_id: Option<UserId>,
    /// From when on it does not work.
    pub expires_at: UnixTime,
    /// When it was used; none means it was not.
    pub used_at: Option<UnixTime>,
    /// When it was made.
    pub created_at: UnixTime,
}

/// Leaves the hash out.
impl fmt::Debug for SignInLinkModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignInLinkModel")
            .field("account_id", &self.account_id)
            .field("role", &self.role)
            .field("client_org_id", &self.client_org_id)
            .field("user_id", &self.user_id)
            .field("expires_at", &self.expires_at)
            .field("used_at", &self.used_at)
            .finish_non_exhaustive()
    }
}

/// A new link. This is the only time that its token is there.
#[derive(Debug)]
pub struct CreatedSignInLink {
    /// `mai-link-` and 32 random bytes in URL-safe base64.
    pub token: SecretString,
    /// From when on it does not work.
    pub expires_at: UnixTime,
}

/// Removes the links of an account that nobody has used, so that they open nothing any more.
pub(crate) fn drop_open_links(conn: &mut DbConnection, account: &str) -> Result<()> {
    let open = sign_in_links::account_id.eq(account).and(sign_in_links::used_at.is_null());
    diesel::delete(sign_in_links::table.filter(open)).execute(conn)?;
    Ok(())
}

/// Removes the links without an account that nobody has used.
fn drop_first_links(conn: &mut DbConnection) -> Result<()> {
    let open = sign_in_links::account_id.is_null().and(sign_in_links::used_at.is_null());
    diesel::delete(sign_in_links::table.filter(open)).execute(conn)?;
    Ok(())
}

/// Ends what the first start has given to whoever came first, as the reseller has an account by now: links
/// without an account, and the sessions that began with one. The session in which the account is made
/// becomes one of the account, so that its owner can go on and can be signed out.
pub(crate) fn end_first_start(
    conn: &mut DbConnection,
    actor: &Actor,
    account: &str,
    now: UnixTime,
) -> Result<()> {
    // The links first: who uses one meanwhile has changed its row, so that this waits and sees the session.
    drop_first_links(conn)?;
    let first = sessions::account_id.is_null().and(sessions::role.eq(Role::Reseller));
    if actor.kind() == ActorKind::Link {
        diesel::update(sessions::table.filter(first).filter(sessions::id.eq(actor.id())))
            .set(sessions::account_id.eq(Some(account)))
            .execute(conn)?;
    }
    let ended = diesel::update(sessions::table.filter(first).filter(sessions::revoked_at.is_null()))
        .set(sessions::revoked_at.eq(Some(now)))
        .execute(conn)?;
    if ended > 0 {
        let details = Details::none().with("sessions", ended);
        append(conn, actor, now, &NewEntry::done(None, "session.end_all", "first start").with(details))?;
    }
    Ok(())
}

/// Makes links and lets them be used.
#[derive(Clone)]
pub struct SignInLinkTable {
    storage: Storage,
    clock: Arc<dyn Clock>,
    actor: Actor,
}

impl SignInLinkTable {
    /// A service on `storage`.
    pub fn new(storage: Storage, clock: Arc<dyn Clock>) -> Self {
        Self { storage, clock, actor: Actor::system() }
    }

    /// The same service in the name of `actor`, whom the audit log will tell.
    #[must_use]
    pub fn acting_as(&self, actor: Actor) -> Self {
        Self { actor, ..self.clone() }
    }

    /// A link for whoever is to make the first account of the reseller; earlier ones work no longer. Once
    /// there is such an account, neither the link nor a session that began with it works any more.
    pub async fn create_first(&self) -> Result<CreatedSignInLink> {
        let (link, row) = self.new_link(None, Standing::RESELLER)?;
        let (now, actor) = (row.created_at, self.actor.clone());
        self.storage
            .write(move |conn| {
                drop_first_links(conn)?;
                store_link(conn, &actor, &row, now)
            })
            .await?;
        Ok(link)
    }

    /// A link for the owner of an active account of this organization, or of the reseller; earlier ones
    /// work no longer. Another account is [`Error::NotFound`], an inactive one [`Error::Invalid`].
    pub async fn create(
        &self,
        organization: Option<&OrganizationId>,
        account: &str,
    ) -> Result<CreatedSignInLink> {
        let (organization, account) = (organization.cloned(), account.to_owned());
        // Its standing is filled in from the account, under the account's lock.
        let (link, row) = self.new_link(Some(account.clone()), Standing::RESELLER)?;
        let (now, actor) = (row.created_at, self.actor.clone());
        self.storage
            .write(move |conn| {
                let found = lock_account(conn, &account)?.filter(|found| found.client_org_id == organization);
                let found = found.ok_or_else(|| Error::not_found("account", account.as_str()))?;
                if !found.is_active {
                    return Err(Error::invalid("id", "the account is inactive"));
                }
                drop_open_links(conn, &account)?;
                let row = SignInLinkModel {
                    role: found.role,
                    client_org_id: found.client_org_id,
                    user_id: found.user_id,
                    ..row.clone()
                };
                store_link(conn, &actor, &row, now)
            })
            .await?;
        Ok(link)
    }

    fn new_link(
        &self,
        account_id: Option<String>,
        standing: Standing,
    ) -> Result<(CreatedSignInLink, SignInLinkModel)> {
        let now: UnixTime = self.clock.now().into();
        let generated = digest::new_key(LINK_PREFIX)?;
        let expires_at = now.plus_seconds(LINK_SECONDS);
        let row = SignInLinkModel {
            token_hash: generated.hash,
            account_id,
            role: standing.role,
            client_org_id: standing.client_org_id,
            user_id: standing.user_id,
            expires_at,
            used_at: None,
            created_at: now,
        };
        Ok((CreatedSignInLink { token: generated.key, expires_at }, row))
    }

    /// Signs in whoever has a link that nobody has used, and takes note that it is used now. Of several
    /// who come at once one is signed in. [`Error::SignIn`] says why nobody is.
    ///
    /// Wrong passwords of its account are forgotten: the owner is here.
    pub async fn redeem(&self, presented: &SecretString) -> Result<CreatedSession> {
        let hash = digest::sha256_hex(presented.expose_secret());
        let (now, actor): (UnixTime, _) = (self.clock.now().into(), self.actor.clone());
        // The secret is made outside of the transaction, which may run more than once.
        let draft = new_session(SessionKind::Link, None, Standing::RESELLER, now)?;
        let (token, draft) = (draft.token, draft.model);
        let outcome = self.storage.write(move |conn| {
            let link = match usable_link(conn, &hash, now)? {
                Ok(link) => link,
                Err((link, refusal)) => {
                    log_refusal(conn, &actor, link.as_ref(), refusal, now)?;
                    return Ok(Err(refusal));
                }
            };
            let session = SessionModel {
                account_id: link.account_id,
                role: link.role,
                client_org_id: link.client_org_id,
                user_id: link.user_id,
                ..draft.clone()
            };
            insert_session(conn, &session)?;
            log_sign_in(conn, &actor, &session, now)?;
            Ok::<_, Error>(Ok(session))
        });
        let model = outcome.await??;
        Ok(CreatedSession { token, model })
    }

    /// Removes links that can no longer be used; how many.
    pub async fn purge(&self) -> Result<usize> {
        let now: UnixTime = self.clock.now().into();
        self.storage
            .write(move |conn| {
                let over = sign_in_links::expires_at.le(now);
                Ok(diesel::delete(sign_in_links::table.filter(over)).execute(conn)?)
            })
            .await
    }
}

fn store_link(conn: &mut DbConnection, actor: &Actor, row: &SignInLinkModel, now: UnixTime) -> Result<()> {
    diesel::insert_into(sign_in_links::table).values(row).execute(conn)?;
    let details =
        Details::none().with("role", row.role.as_str()).with("expires_at", row.expires_at.seconds());
    let target = row.account_id.as_deref().unwrap_or_default();
    let entry = NewEntry::done(row.client_org_id.as_ref(), "sign_in_link.create", target);
    append(conn, actor, now, &entry.with(details))?;
    Ok(())
}

/// A link that is used from now on, or why it cannot be. The account's row is locked before the link's,
/// as everybody does it.
fn usable_link(
    conn: &mut DbConnection,
    hash: &str,
    now: UnixTime,
) -> Result<Result<SignInLinkModel, (Option<SignInLinkModel>, SignInRefusal)>> {
    let link: Option<SignInLinkModel> =
        sign_in_links::table.find(hash).select(SignInLinkModel::as_select()).first(conn).optional()?;
    let Some(link) = link else { return Ok(Err((None, SignInRefusal::UnknownLink))) };
    let account = match &link.account_id {
        Some(id) => lock_account(conn, id)?,
        None => None,
    };
    let refusal = if link.used_at.is_some() {
        Some(SignInRefusal::UsedLink)
    } else if link.expires_at <= now {
        Some(SignInRefusal::ExpiredLink)
    } else {
        match &account {
            Some(account) if !account.is_active => Some(SignInRefusal::InactiveAccount),
            Some(account) => closed(conn, account)?,
            None if has_active_reseller(conn)? => Some(SignInRefusal::SupersededLink),
            None => None,
        }
    };
    if let Some(refusal) = refusal {
        return Ok(Err((Some(link), refusal)));
    }
    // Only one of those who have read the link as unused changes the row. No row at all means that the
    // account has changed meanwhile, which took its links away.
    let used = diesel::update(sign_in_links::table.find(hash).filter(sign_in_links::used_at.is_null()))
        .set(sign_in_links::used_at.eq(Some(now)))
        .execute(conn)?;
    if used == 0 {
        return Ok(Err((Some(link), SignInRefusal::UsedLink)));
    }
    if let Some(account) = account {
        let signed_in = AccountModel {
            failed_attempts: 0,
            last_failed_at: None,
            locked_until: None,
            last_sign_in_at: Some(now),
            ..account
        };
        store(conn, &signed_in)?;
    }
    Ok(Ok(link))
}

fn log_refusal(
    conn: &mut DbConnection,
    actor: &Actor,
    link: Option<&SignInLinkModel>,
    refusal: SignInRefusal,
    now: UnixTime,
) -> Result<()> {
    let target = link.and_then(|link| link.account_id.as_deref()).unwrap_or_default();
    let organization = link.and_then(|link| link.client_org_id.as_ref());
    let entry = NewEntry::done(organization, "sign_in_link.use", target);
    append(conn, &stranger(actor), now, &NewEntry { result: refusal_code(refusal), ..entry })?;
    Ok(())
}
