//! What becomes of an attempt to be the owner of an account, under the account's lock.

use mai_audit_log::{Actor, Details, NewEntry, append};
use mai_primitives::UnixTime;
use mai_storage::DbConnection;

use super::{closed, refusal_code};
use crate::{
    accounts::{AccountModel, lock_account, store},
    error::{Result, SignInRefusal},
    role::Standing,
    sessions::{SessionModel, insert_session, log_sign_in},
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

/// Somebody's attempt to be the owner of an address.
pub(super) struct Attempt<'a> {
    pub(super) action: &'static str,
    pub(super) actor: &'a Actor,
    pub(super) email: &'a str,
    pub(super) now: UnixTime,
}

impl Attempt<'_> {
    /// Decides on what is true under the lock of the account with this id, if there is one: the password
    /// fitted `right_one`, which must still be the account's. The outer error is the database's.
    pub(super) fn decide(
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
    pub(super) fn refuse(&self, conn: &mut DbConnection, account: Option<AccountModel>) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use diesel::{connection::InstrumentationEvent, prelude::*};
    use mai_audit_log::ActorKind;
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
