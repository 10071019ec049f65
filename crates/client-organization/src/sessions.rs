//! Signed-in browsers.

use std::{fmt, sync::Arc};

use diesel::prelude::*;
use mai_audit_log::{Actor, ActorKind, Details, NewEntry, append};
use mai_global_settings::MasterKey;
use mai_primitives::{Clock, OrganizationId, UnixTime, UserId};
use mai_storage::{Storage, text_enum};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

pub use self::query::revoke_sessions;
use self::query::session_with_activity;
pub(crate) use self::query::{insert_session, log_sign_in};
use crate::{
    digest,
    error::{Error, Result, SessionRefusal},
    last_use::LastUses,
    role::{Role, Standing},
    schema::sessions,
};

mod query;

/// What the secret of every session begins with.
pub const SESSION_PREFIX: &str = "mai-session-";

/// How long a session lasts at most.
pub const LIFETIME_SECONDS: i64 = 14 * 86_400;

/// How long a session may go unused.
pub const IDLE_SECONDS: i64 = 86_400;

text_enum! {
    /// How somebody signed in.
    pub enum SessionKind {
        /// With e-mail address and password.
        Password = "password",
        /// With a one-time link.
        Link = "link",
        /// With a session of Open WebUI.
        OpenWebui = "open_webui",
    }
}

/// A session as it is stored, without its secret.
#[derive(Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = sessions, treat_none_as_default_value = false)]
pub struct SessionModel {
    /// Hex SHA-256 of the secret.
    pub token_hash: String,
    /// `session_…`, by which a session is named.
    pub id: String,
    /// How its owner signed in.
    pub kind: SessionKind,
    /// The account; none where the person has none of ours.
    pub account_id: Option<String>,
    /// What may be done.
    pub role: Role,
    /// The organization; none for a reseller, and only then.
    pub client_org_id: Option<OrganizationId>,
    /// Who it is among the members.
    pub user_id: Option<UserId>,
    /// The session token of Open WebUI; [`SessionTable::open_webui_token`] opens it.
    pub sealed_token: Option<String>,
    /// When the session ends in any case.
    pub expires_at: UnixTime,
    /// When it was ended; none means it was not.
    pub revoked_at: Option<UnixTime>,
    /// When it was last used, at most about a minute late.
    pub last_seen_at: UnixTime,
    /// When the row was made.
    pub created_at: UnixTime,
}

impl SessionModel {
    /// What its owner may do.
    pub fn standing(&self) -> Standing {
        Standing { role: self.role, client_org_id: self.client_org_id.clone(), user_id: self.user_id.clone() }
    }

    /// In whose name its owner acts.
    pub fn actor(&self) -> Actor {
        match (&self.account_id, self.kind, &self.user_id) {
            (Some(account), ..) => Actor::new(ActorKind::Account, account),
            (None, SessionKind::OpenWebui, Some(user)) => Actor::new(ActorKind::OpenWebui, user.as_str()),
            (None, ..) => Actor::new(ActorKind::Link, &self.id),
        }
    }

    /// Whose session it is.
    pub fn owner(&self) -> SessionOwner {
        match (&self.account_id, &self.client_org_id, &self.user_id) {
            (Some(account), ..) => SessionOwner::Account(account.clone()),
            (None, Some(organization), Some(user)) => SessionOwner::User(organization.clone(), user.clone()),
            (None, ..) => SessionOwner::Nobody(self.id.clone()),
        }
    }
}

/// Leaves out the hash and the sealed token.
impl fmt::Debug for SessionModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionModel")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("account_id", &self.account_id)
            .field("role", &self.role)
            .field("client_org_id", &self.client_org_id)
            .field("user_id", &self.user_id)
            .field("expires_at", &self.expires_at)
            .field("revoked_at", &self.revoked_at)
            .finish_non_exhaustive()
    }
}

/// Whose sessions are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionOwner {
    /// Those of an account.
    Account(String),
    /// Those of a member without an account of ours.
    User(OrganizationId, UserId),
    /// This one only, of somebody who has nothing but it.
    Nobody(String),
}

/// A new session. This is the only time that its secret is there.
#[derive(Debug)]
pub struct CreatedSession {
    /// `mai-session-` and 32 random bytes in URL-safe base64.
    pub token: SecretString,
    /// What is stored of it.
    pub model: SessionModel,
}

/// Makes a session without storing it.
pub(crate) fn new_session(
    kind: SessionKind,
    account_id: Option<String>,
    standing: Standing,
    now: UnixTime,
) -> Result<CreatedSession> {
    let generated = digest::new_key(SESSION_PREFIX)?;
    let model = SessionModel {
        token_hash: generated.hash,
        id: digest::new_id("session_")?,
        kind,
        account_id,
        role: standing.role,
        client_org_id: standing.client_org_id,
        user_id: standing.user_id,
        sealed_token: None,
        expires_at: now.plus_seconds(LIFETIME_SECONDS),
        revoked_at: None,
        last_seen_at: now,
        created_at: now,
    };
    Ok(CreatedSession { token: generated.key, model })
}

/// Makes, finds and ends sessions.
#[derive(Clone)]
pub struct SessionTable {
    storage: Storage,
    master_key: MasterKey,
    clock: Arc<dyn Clock>,
    actor: Actor,
    uses: LastUses,
}

impl SessionTable {
    /// A service on `storage` that seals the tokens of Open WebUI with `master_key`.
    pub fn new(storage: Storage, master_key: MasterKey, clock: Arc<dyn Clock>) -> Self {
        Self { storage, master_key, clock, actor: Actor::system(), uses: LastUses::default() }
    }

    /// The same service in the name of `actor`, whom the audit log will tell.
    #[must_use]
    pub fn acting_as(&self, actor: Actor) -> Self {
        Self { actor, ..self.clone() }
    }

    /// A session of somebody who is signed in at Open WebUI: it lives until `ends_at`, and no longer
    /// than others do. The token is kept, sealed, so that Open WebUI can be asked again.
    pub async fn create_open_webui(
        &self,
        standing: Standing,
        token: &SecretString,
        ends_at: UnixTime,
    ) -> Result<CreatedSession> {
        standing.check()?;
        let now: UnixTime = self.clock.now().into();
        let mut session = new_session(SessionKind::OpenWebui, None, standing, now)?;
        let model = &mut session.model;
        model.expires_at = model.expires_at.min(ends_at);
        model.sealed_token = Some(self.master_key.seal(&token_context(&model.id), token)?);
        let (model, actor) = (session.model.clone(), self.actor.clone());
        self.storage
            .write(move |conn| {
                insert_session(conn, &model)?;
                log_sign_in(conn, &actor, &model, now)
            })
            .await?;
        Ok(session)
    }

    /// The session with a secret, or [`Error::Session`] when it opens nothing. That it was used is
    /// noted, and written by [`Self::write_last_seen`].
    pub async fn find(&self, presented: &SecretString) -> Result<SessionModel> {
        let hash = digest::sha256_hex(presented.expose_secret());
        let wanted = hash.clone();
        let found = self.storage.read(move |conn| session_with_activity(conn, &wanted)).await?;
        let (session, (organization, member)) = found.ok_or(SessionRefusal::Unknown)?;
        // The index compares in variable time, but only hashes; this comparison is the one that counts.
        if !bool::from(session.token_hash.as_bytes().ct_eq(hash.as_bytes())) {
            return Err(SessionRefusal::Unknown.into());
        }
        if session.revoked_at.is_some() {
            return Err(SessionRefusal::Revoked.into());
        }
        let now: UnixTime = self.clock.now().into();
        let ends_at = session.expires_at.min(session.last_seen_at.plus_seconds(IDLE_SECONDS));
        if ends_at <= now {
            return Err(SessionRefusal::Expired.into());
        }
        if organization == Some(false) {
            return Err(SessionRefusal::InactiveOrganization.into());
        }
        if member == Some(false) {
            return Err(SessionRefusal::InactiveMember.into());
        }
        self.uses.note(&session.id, Some(session.last_seen_at), now);
        Ok(session)
    }

    /// The token of Open WebUI behind a session, or none where there is none.
    pub fn open_webui_token(&self, session: &SessionModel) -> Result<Option<SecretString>> {
        let sealed = session.sealed_token.as_deref();
        Ok(sealed.map(|sealed| self.master_key.open(&token_context(&session.id), sealed)).transpose()?)
    }

    /// The sessions of an owner that have not ended, the newest first.
    pub async fn list(&self, owner: &SessionOwner) -> Result<Vec<SessionModel>> {
        let (owner, now): (_, UnixTime) = (owner.clone(), self.clock.now().into());
        self.storage
            .read(move |conn| {
                let open = sessions::table
                    .filter(sessions::revoked_at.is_null().and(sessions::expires_at.gt(now)))
                    .filter(sessions::last_seen_at.gt(now.plus_seconds(-IDLE_SECONDS)))
                    .order((sessions::created_at.desc(), sessions::id))
                    .select(SessionModel::as_select())
                    .into_boxed();
                let theirs = match owner {
                    SessionOwner::Account(account) => open.filter(sessions::account_id.eq(account)),
                    SessionOwner::User(organization, user) => open.filter(
                        sessions::client_org_id
                            .eq(organization)
                            .and(sessions::user_id.eq(user))
                            .and(sessions::account_id.is_null()),
                    ),
                    SessionOwner::Nobody(id) => open.filter(sessions::id.eq(id)),
                };
                Ok(theirs.load(conn)?)
            })
            .await
    }

    /// Ends one session of an owner. Doing so again keeps the first time. A session that is not theirs
    /// is [`Error::NotFound`].
    pub async fn revoke(&self, owner: &SessionOwner, id: &str) -> Result<()> {
        let (owner, id, actor) = (owner.clone(), id.to_owned(), self.actor.clone());
        let now: UnixTime = self.clock.now().into();
        self.storage
            .write(move |conn| {
                let session: Option<SessionModel> = sessions::table
                    .filter(sessions::id.eq(&id))
                    .select(SessionModel::as_select())
                    .first(conn)
                    .optional()?;
                let Some(session) = session.filter(|session| session.owner() == owner) else {
                    return Err(Error::not_found("session", id.as_str()));
                };
                let ended = diesel::update(sessions::table.find(&session.token_hash))
                    .filter(sessions::revoked_at.is_null())
                    .set(sessions::revoked_at.eq(Some(now)))
                    .execute(conn)?;
                if ended > 0 {
                    let organization = session.client_org_id.as_ref();
                    append(conn, &actor, now, &NewEntry::done(organization, "session.end", &id))?;
                }
                Ok(())
            })
            .await
    }

    /// Ends all sessions of an owner; how many.
    pub async fn revoke_all(
        &self,
        organization: Option<&OrganizationId>,
        owner: &SessionOwner,
    ) -> Result<usize> {
        let (organization, owner, actor) = (organization.cloned(), owner.clone(), self.actor.clone());
        let now: UnixTime = self.clock.now().into();
        self.storage
            .write(move |conn| {
                let ended = revoke_sessions(conn, &owner, now)?;
                let target = match &owner {
                    SessionOwner::Account(id) | SessionOwner::Nobody(id) => id.as_str(),
                    SessionOwner::User(_, user) => user.as_str(),
                };
                let details = Details::none().with("sessions", ended);
                let entry = NewEntry::done(organization.as_ref(), "session.end_all", target).with(details);
                append(conn, &actor, now, &entry)?;
                Ok::<_, Error>(ended)
            })
            .await
    }

    /// Writes which sessions were used since the last time.
    pub async fn write_last_seen(&self) -> Result<()> {
        let uses = self.uses.take();
        if uses.is_empty() {
            return Ok(());
        }
        let written = uses.clone();
        let outcome = self
            .storage
            .write(move |conn| {
                for (id, at) in &written {
                    diesel::update(sessions::table.filter(sessions::id.eq(id)))
                        .filter(sessions::last_seen_at.lt(*at))
                        .set(sessions::last_seen_at.eq(*at))
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

    /// Removes sessions that ended; how many.
    pub async fn purge(&self) -> Result<usize> {
        let now: UnixTime = self.clock.now().into();
        self.storage
            .write(move |conn| {
                let ended = sessions::expires_at
                    .le(now)
                    .or(sessions::last_seen_at.le(now.plus_seconds(-IDLE_SECONDS)))
                    .or(sessions::revoked_at.le(now.plus_seconds(-IDLE_SECONDS)));
                Ok(diesel::delete(sessions::table.filter(ended)).execute(conn)?)
            })
            .await
    }
}

/// The place for which a token of Open WebUI is sealed.
fn token_context(id: &str) -> String {
    format!("sessions/sealed_token/{id}")
}
