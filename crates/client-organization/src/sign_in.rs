//! Signing in with a password, and choosing another one.
//!
//! Neither the answers nor the time they take tell whether an account exists: a password is hashed and the
//! same statements are sent in every case, and an unknown address, a wrong password and a locked account
//! are refused alike. Wrong passwords are counted in the database, in the transaction that decides, so that attempts which meet,
//! also at different processes, cannot be more than are allowed.

use diesel::prelude::*;
use mai_audit_log::{Actor, ActorKind, Details, NewEntry, append};
use mai_primitives::UnixTime;
use mai_storage::DbConnection;
use secrecy::{ExposeSecret, SecretString};

use crate::{
    accounts::{AccountModel, AccountTable, account_by_email, lock_account, store},
    error::{Error, Result, SignInRefusal},
    query,
    role::Standing,
    schema::members,
    sessions::{
        CreatedSession, SessionKind, SessionModel, SessionOwner, insert_session, log_sign_in, new_session,
        revoke_sessions,
    },
    sign_in_links::drop_open_links,
    validate,
};

/// After so many wrong passwords none is looked at for a while.
const ATTEMPTS: i64 = 5;

/// How long that is at first; twice as long with each further wrong password.
const LOCK_SECONDS: i64 = 15 * 60;

/// A day without a wrong password halves their number, so that slips of months do not add up to a lock.
const QUIET_SECONDS: i64 = 86_400;

/// How long it is at most.
const LONGEST_LOCK_SECONDS: i64 = 86_400;

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

/// Somebody's attempt to be the owner of an address.
struct Attempt<'a> {
    action: &'static str,
    actor: &'a Actor,
    email: &'a str,
    now: UnixTime,
}

impl Attempt<'_> {
    /// Decides on what is true under the lock of the account with this id, if there is one: the password
    /// fitted `right_one`, which must still be the account's. The outer error is the database's.
    fn decide(
        &self,
        conn: &mut DbConnection,
        account: Option<&str>,
        right_one: Option<&str>,
        session: Option<&SessionModel>,
    ) -> Result<Result<(), SignInRefusal>> {
        let account = lock_account(conn, account.unwrap_or(NOBODY))?;
        let is_right = account.as_ref().is_some_and(|account| {
            right_one.is_some()
                && account.password_hash.as_deref() == right_one
                && account.is_active
                && !account.is_locked(self.now)
                && session.is_some_and(|session| session.standing() == account.standing())
        });
        let (true, Some(account), Some(session)) = (is_right, account.clone(), session) else {
            return self.refuse(conn, account).map(|()| Err(SignInRefusal::Password));
        };
        if let Some(refusal) = closed(conn, &account)? {
            self.log(conn, Some(&account), refusal_code(refusal), Details::none())?;
            return Ok(Err(refusal));
        }
        let signed_in = AccountModel {
            failed_attempts: 0,
            last_failed_at: None,
            locked_until: None,
            last_sign_in_at: Some(self.now),
            ..account
        };
        store(conn, &signed_in)?;
        insert_session(conn, session)?;
        log_sign_in(conn, self.actor, session, self.now)?;
        Ok(Ok(()))
    }

    /// Counts a wrong password and locks the account when there were too many. Where nothing is counted,
    /// that is stored for nobody, so that it takes as long.
    fn refuse(&self, conn: &mut DbConnection, account: Option<AccountModel>) -> Result<()> {
        let Some(account) = account else {
            store(conn, &nobody(self.now))?;
            return self.log(conn, None, "unknown_account", Details::none());
        };
        if !account.is_active || account.is_locked(self.now) {
            store(conn, &nobody(self.now))?;
            let why = if account.is_active { "account_locked" } else { "account_inactive" };
            return self.log(conn, Some(&account), why, Details::none());
        }
        let known = faded(account.failed_attempts, account.last_failed_at, self.now);
        let failed_attempts = known.saturating_add(1);
        let locked_until = lock_after(failed_attempts).map(|seconds| self.now.plus_seconds(seconds));
        let last_failed_at = Some(self.now);
        let counted = AccountModel { failed_attempts, last_failed_at, locked_until, ..account };
        store(conn, &counted)?;
        let details = Details::none()
            .with("failed_attempts", failed_attempts)
            .with_some("locked_until", locked_until.map(UnixTime::seconds));
        self.log(conn, Some(&counted), "wrong_password", details)
    }

    /// Every refusal has an entry.
    fn log(
        &self,
        conn: &mut DbConnection,
        account: Option<&AccountModel>,
        result: &str,
        details: Details,
    ) -> Result<()> {
        let organization = account.and_then(|account| account.client_org_id.as_ref());
        let details = details.with_some("account_id", account.map(|account| account.id.as_str()));
        // Some people type their password where the address belongs.
        let tried = if validate::email("email", self.email).is_ok() { self.email } else { "" };
        let entry = NewEntry { result, ..NewEntry::done(organization, self.action, tried) };
        append(conn, self.actor, self.now, &entry.with(details))?;
        Ok(())
    }
}

/// Whoever acts, as long as nobody knows who that is.
pub(crate) fn stranger(actor: &Actor) -> Actor {
    Actor::new(ActorKind::Stranger, "")
        .at(actor.remote().map(str::to_owned), actor.request_id().map(str::to_owned))
}

/// The id of no account.
const NOBODY: &str = "";

/// What is stored where there is no account, which changes no row.
fn nobody(now: UnixTime) -> AccountModel {
    let Standing { role, client_org_id, user_id } = Standing::RESELLER;
    AccountModel {
        id: NOBODY.to_owned(),
        email: String::new(),
        name: String::new(),
        password_hash: None,
        role,
        client_org_id,
        user_id,
        is_active: false,
        failed_attempts: 0,
        last_failed_at: None,
        locked_until: None,
        last_sign_in_at: None,
        created_at: now,
        updated_at: now,
    }
}

/// How many of the wrong passwords still count: half of them after each quiet day.
fn faded(failed_attempts: i64, last: Option<UnixTime>, now: UnixTime) -> i64 {
    let quiet = last.map_or(0, |last| now.seconds().saturating_sub(last.seconds()).max(0));
    failed_attempts >> (quiet / QUIET_SECONDS).min(62)
}

/// For how many seconds no password is looked at after so many wrong ones, if for any.
fn lock_after(failed_attempts: i64) -> Option<i64> {
    let more = failed_attempts.checked_sub(ATTEMPTS).filter(|more| *more >= 0)?;
    let factor = u32::try_from(more).ok().and_then(|more| 2_i64.checked_pow(more));
    let seconds = factor.and_then(|factor| LOCK_SECONDS.checked_mul(factor));
    Some(seconds.map_or(LONGEST_LOCK_SECONDS, |seconds| seconds.min(LONGEST_LOCK_SECONDS)))
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use diesel::connection::InstrumentationEvent;
    use mai_storage::testing::TestDb;

    use super::*;
    use crate::schema::accounts;

    /// The statements that refusing an attempt sends, without their values.
    fn statements(conn: &mut DbConnection, account: Option<&str>, now: UnixTime) -> Vec<String> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        conn.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::StartQuery { query, .. } = event {
                let text = query.to_string();
                let text = text.split(" -- binds").next().unwrap_or_default().to_owned();
                log.lock().unwrap().push(text);
            }
        });
        let actor = Actor::new(ActorKind::Stranger, "");
        let attempt = Attempt { action: "account.sign_in", actor: &actor, email: "a@x.example", now };
        let outcome = attempt.decide(conn, account, None, None).unwrap();
        assert_eq!(outcome, Err(SignInRefusal::Password));
        conn.set_instrumentation(|_: InstrumentationEvent<'_>| {});
        let seen = seen.lock().unwrap().clone();
        assert!(seen.len() > 4, "{seen:?}");
        seen
    }

    #[test]
    fn every_refusal_sends_the_same_statements() {
        TestDb::each(|storage| {
            let now = UnixTime::from_seconds(1_000);
            let known = [("open", true, None), ("locked", true, Some(2_000)), ("inactive", false, None)];
            let sent: Result<Vec<Vec<String>>> = storage.write_blocking(|conn| {
                for (id, is_active, locked_until) in known {
                    let account = AccountModel {
                        id: id.to_owned(),
                        email: format!("{id}@x.example"),
                        is_active,
                        locked_until: locked_until.map(UnixTime::from_seconds),
                        ..nobody(now)
                    };
                    diesel::insert_into(accounts::table).values(&account).execute(conn)?;
                }
                let ids = [None, Some("unknown"), Some("open"), Some("locked"), Some("inactive")];
                Ok(ids.map(|id| statements(conn, id, now)).into())
            });
            let sent = sent.unwrap();
            for other in &sent[1..] {
                assert_eq!(other, &sent[0]);
            }
        });
    }

    #[test]
    fn a_quiet_day_halves_what_was_wrong() {
        let last = UnixTime::from_seconds(1_000);
        for (failed, seconds, left) in [
            (4, 0, 4),
            (4, 86_399, 4),
            (4, 86_400, 2),
            (5, 86_400, 2),
            (12, 3 * 86_400, 1),
            (4, 400 * 86_400, 0),
            (4, -86_400, 4),
        ] {
            assert_eq!(faded(failed, Some(last), last.plus_seconds(seconds)), left, "{failed} {seconds}");
        }
        assert_eq!(faded(4, None, last), 4);
    }

    #[test]
    fn locks_grow_up_to_a_day() {
        for (attempts, minutes) in [
            (0, None),
            (4, None),
            (5, Some(15)),
            (6, Some(30)),
            (7, Some(60)),
            (11, Some(960)),
            (12, Some(1_440)),
            (100, Some(1_440)),
            (i64::MAX, Some(1_440)),
        ] {
            assert_eq!(lock_after(attempts).map(|seconds| seconds / 60), minutes, "{attempts}");
        }
    }
}
