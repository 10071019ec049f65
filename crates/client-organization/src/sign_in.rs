//! Signing in with a password, and choosing another one.
//!
//! Neither the answers nor the time they take tell whether an account exists: a password is hashed and the
//! same statements are sent in every case, and an unknown address, a wrong password and a locked account
//! are refused alike. Wrong passwords are counted in the database, in the transaction that decides, so that
//! attempts which meet, also at different processes, cannot be more than are allowed.

use diesel::prelude::*;
use mai_audit_log::{Actor, ActorKind, NewEntry, append};
use mai_primitives::UnixTime;
use mai_storage::DbConnection;
use secrecy::{ExposeSecret, SecretString};

use self::attempt::Attempt;
use crate::{
    accounts::{AccountModel, AccountTable, account_by_email, lock_account, store},
    error::{Error, Result, SignInRefusal},
    query,
    schema::members,
    sessions::{
        CreatedSession, SessionKind, SessionModel, SessionOwner, insert_session, new_session, revoke_sessions,
    },
    sign_in_links::drop_open_links,
};

mod attempt;

/// How long after opening a link its session may choose a password without knowing the present one.
const LINK_GRACE_SECONDS: i64 = 3_600;

impl AccountTable {
    /// Signs in with address and password. [`Error::SignIn`] when nobody is signed in, and
    /// [`Error::Busy`] when too many try at once.
    pub async fn sign_in(&self, email: &str, password: &SecretString) -> Result<CreatedSession> {
        let email = email.trim().to_lowercase();
        let known = self.storage.read({
            let email = email.clone();
            move |conn| account_by_email(conn, &email)
        });
        let known = known.await?;
        let right_one = self.right_one(known.as_ref(), password).await?;
        let (now, actor) = (self.now(), stranger(&self.actor));
        let account = known.as_ref().map(|account| account.id.clone());
        let session = match known.filter(|_| right_one.is_some()) {
            Some(account) => {
                Some(new_session(SessionKind::Password, Some(account.id.clone()), account.standing(), now)?)
            }
            None => None,
        };
        let model = session.as_ref().map(|session| session.model.clone());
        let outcome = self.storage.write(move |conn| {
            let attempt = Attempt { action: "account.sign_in", actor: &actor, email: &email, now };
            attempt.decide(conn, account.as_deref(), right_one.as_deref(), model.as_ref())
        });
        match (outcome.await?, session) {
            (Ok(()), Some(session)) => Ok(session),
            (Ok(()), None) => Err(SignInRefusal::Password.into()),
            (Err(refusal), _) => Err(refusal.into()),
        }
    }

    /// Chooses another password for the owner of a session, ends all of the owner's sessions and begins
    /// a new one. `current` is needed except in the first hour of a session that a link began.
    pub async fn change_password(
        &self,
        session: &SessionModel,
        current: Option<&SecretString>,
        new: &SecretString,
    ) -> Result<CreatedSession> {
        let account = match &session.account_id {
            Some(id) => self.get(id).await?,
            None => None,
        };
        let account =
            account.ok_or_else(|| Error::invalid("session", "is not that of an account with a password"))?;
        let now = self.now();
        let is_fresh_link =
            session.kind == SessionKind::Link && now <= session.created_at.plus_seconds(LINK_GRACE_SECONDS);
        // The new one first: who made a mistake in it has not tried the current one.
        let hash = self.passwords.hash(new).await?;
        if !is_fresh_link {
            let current =
                current.ok_or_else(|| Error::invalid("current", "the current password is needed"))?;
            self.confirm(&account, current).await?;
        }
        let created = new_session(SessionKind::Password, Some(account.id.clone()), account.standing(), now)?;
        let (model, actor, used) = (created.model.clone(), self.actor.clone(), account.password_hash.clone());
        self.storage
            .write(move |conn| {
                let old = lock_account(conn, &account.id)?;
                let unchanged = old.filter(|old| {
                    old.is_active && old.password_hash == used && old.standing() == account.standing()
                });
                // Somebody else has just changed it; what was confirmed is no longer true.
                let old = unchanged.ok_or(SignInRefusal::CurrentPassword)?;
                set_password(conn, old, hash.clone(), now)?;
                insert_session(conn, &model)?;
                let entry =
                    NewEntry::done(account.client_org_id.as_ref(), "account.change_password", &account.id);
                append(conn, &actor, now, &entry)?;
                Ok::<_, Error>(())
            })
            .await?;
        Ok(created)
    }

    /// Refuses anything but the present password of an account, and counts it as an attempt.
    async fn confirm(&self, account: &AccountModel, password: &SecretString) -> Result<()> {
        let right_one = self.right_one(Some(account), password).await?;
        if right_one.is_some() {
            return Ok(());
        }
        let (now, actor, id) = (self.now(), self.actor.clone(), account.id.clone());
        self.storage
            .write(move |conn| {
                let Some(account) = lock_account(conn, &id)? else { return Ok(()) };
                let email = account.email.clone();
                let attempt =
                    Attempt { action: "account.change_password", actor: &actor, email: &email, now };
                attempt.refuse(conn, Some(account))
            })
            .await?;
        Err(SignInRefusal::CurrentPassword.into())
    }

    /// The hash that the password fits, where the account may use one now. Takes as long in any case.
    async fn right_one(
        &self,
        account: Option<&AccountModel>,
        password: &SecretString,
    ) -> Result<Option<String>> {
        let now = self.now();
        let usable = account.filter(|account| account.is_active && !account.is_locked(now));
        let hash = usable.and_then(|account| account.password_hash.clone());
        // Longer ones than any that may be chosen cost nothing.
        let is_possible = password.expose_secret().len() <= 4 * 256;
        let tried = if is_possible { password.clone() } else { SecretString::default() };
        let fits = self.passwords.verify(&tried, hash.clone()).await?;
        Ok(hash.filter(|_| fits && is_possible))
    }

    pub(crate) fn now(&self) -> UnixTime {
        self.clock.now().into()
    }
}

/// Stores a password, forgets wrong ones, and ends what was signed in before.
fn set_password(conn: &mut DbConnection, old: AccountModel, hash: String, now: UnixTime) -> Result<()> {
    let new = AccountModel {
        password_hash: Some(hash),
        failed_attempts: 0,
        last_failed_at: None,
        locked_until: None,
        updated_at: now,
        ..old
    };
    store(conn, &new)?;
    revoke_sessions(conn, &SessionOwner::Account(new.id.clone()), now)?;
    drop_open_links(conn, &new.id)
}

/// Whoever acts, as long as nobody knows who that is.
pub(crate) fn stranger(actor: &Actor) -> Actor {
    Actor::new(ActorKind::Stranger, "")
        .at(actor.remote().map(str::to_owned), actor.request_id().map(str::to_owned))
}

/// Why an account whose owner has proved to be it is closed all the same, if it is.
pub(crate) fn closed(conn: &mut DbConnection, account: &AccountModel) -> Result<Option<SignInRefusal>> {
    let Some(id) = &account.client_org_id else { return Ok(None) };
    if query::organization(conn, id)?.is_none_or(|organization| !organization.is_active) {
        return Ok(Some(SignInRefusal::InactiveOrganization));
    }
    let Some(user) = &account.user_id else { return Ok(None) };
    let is_active = members::table.find((id, user)).select(members::is_active).first(conn).optional()?;
    Ok((is_active == Some(false)).then_some(SignInRefusal::InactiveMember))
}

/// What the audit log says of a refusal.
pub(crate) const fn refusal_code(refusal: SignInRefusal) -> &'static str {
    match refusal {
        SignInRefusal::Password | SignInRefusal::CurrentPassword => "wrong_password",
        SignInRefusal::UnknownLink => "unknown_link",
        SignInRefusal::UsedLink => "used_link",
        SignInRefusal::ExpiredLink => "expired_link",
        SignInRefusal::SupersededLink => "superseded_link",
        SignInRefusal::InactiveAccount => "account_inactive",
        SignInRefusal::InactiveOrganization => "organization_inactive",
        SignInRefusal::InactiveMember => "member_inactive",
    }
}
