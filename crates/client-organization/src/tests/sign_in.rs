use mai_audit_log::{Actor, ActorKind, AuditQuery};
use secrecy::{ExposeSecret, SecretString};

use super::{Fixture, PASSWORD, at, each, entry, organization};
use crate::{Error, SessionKind, SessionRefusal, SignInRefusal};

async fn refusal(fixture: &Fixture, email: &str, password: &str) -> SignInRefusal {
    match fixture.accounts.sign_in(email, &password.into()).await {
        Err(Error::SignIn(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_right_password_begins_a_session() {
    each(async |fixture| {
        fixture.organization("A").await;
        let account = fixture.account("a@x", Some("A")).await;
        let actor = Actor::new(ActorKind::Stranger, "").at(Some("192.0.2.1".into()), Some("req".into()));
        let table = fixture.accounts.acting_as(actor);
        let session = table.sign_in(" A@X ", &PASSWORD.into()).await.unwrap();
        let secret = session.token.expose_secret();
        assert!(secret.starts_with("mai-session-") && secret.len() == 55, "{secret}");
        let found = fixture.sessions.find(&session.token).await.unwrap();
        assert_eq!(found, session.model);
        assert_eq!((found.kind, found.account_id.as_ref()), (SessionKind::Password, Some(&account.id)));
        assert_eq!(found.standing(), account.standing());
        let stored = fixture.accounts.get(&account.id).await.unwrap().unwrap();
        assert_eq!(stored.last_sign_in_at, Some(at(1_000)));
        let query = AuditQuery { limit: 1, ..AuditQuery::default() };
        let logged = fixture.audit_log.list(query).await.unwrap().remove(0);
        assert_eq!((logged.action.as_str(), logged.target.as_str()), ("session.create", found.id.as_str()));
        assert_eq!((logged.actor_kind, logged.actor_id), (ActorKind::Account, account.id));
        assert_eq!(
            (logged.remote.as_deref(), logged.request_id.as_deref()),
            (Some("192.0.2.1"), Some("req"))
        );
        assert!(!format!("{found:?}").contains(&found.token_hash));
        assert!(!format!("{stored:?}").contains("argon2"));
    });
}

#[test]
fn nobody_learns_which_accounts_there_are() {
    each(async |fixture| {
        fixture.organization("A").await;
        fixture.account("a@x", Some("A")).await;
        let standing = crate::Standing::RESELLER;
        let new = crate::NewAccount { email: "invited@x".into(), name: "I".into(), standing };
        fixture.accounts.create(new).await.unwrap();
        for (email, password, result) in [
            ("a@x", "a wrong password", "wrong_password"),
            ("nobody@x", "a wrong password", "unknown_account"),
            ("", "", "unknown_account"),
            ("hunter2hunter2", "a@x", "unknown_account"),
            ("invited@x", "", "wrong_password"),
            ("a@x", &"x".repeat(100_000), "wrong_password"),
        ] {
            assert_eq!(refusal(fixture, email, password).await, SignInRefusal::Password);
            assert_eq!(fixture.last_entries(1).await, [entry("stranger", "account.sign_in", result)]);
        }
        let query = AuditQuery { limit: 1, ..AuditQuery::default() };
        let logged = fixture.audit_log.list(query).await.unwrap().remove(0);
        assert_eq!((logged.target.as_str(), logged.client_org_id), ("a@x", Some(organization("A"))));
        let query = AuditQuery { limit: 100, ..AuditQuery::default() };
        let log = format!("{:?}", fixture.audit_log.list(query).await.unwrap());
        assert!(log.contains("nobody@x") && !log.contains("hunter2"), "{log}");
    });
}

#[test]
fn five_wrong_passwords_lock_the_account_and_the_right_one_opens_it_later() {
    each(async |fixture| {
        fixture.organization("A").await;
        let account = fixture.account("a@x", Some("A")).await;
        for _ in 0..4 {
            refusal(fixture, "a@x", "a wrong password").await;
        }
        assert!(fixture.accounts.sign_in("a@x", &PASSWORD.into()).await.is_ok());
        for _ in 0..5 {
            refusal(fixture, "a@x", "a wrong password").await;
        }
        let locked = fixture.accounts.get(&account.id).await.unwrap().unwrap();
        assert_eq!((locked.failed_attempts, locked.locked_until), (5, Some(at(1_000 + 900))));
        fixture.wait_seconds(899);
        assert_eq!(refusal(fixture, "a@x", PASSWORD).await, SignInRefusal::Password);
        assert_eq!(fixture.last_entries(1).await, [entry("stranger", "account.sign_in", "account_locked")]);
        // What is tried meanwhile does not lengthen it.
        fixture.wait_seconds(1);
        refusal(fixture, "a@x", "a wrong password").await;
        let locked = fixture.accounts.get(&account.id).await.unwrap().unwrap();
        assert_eq!((locked.failed_attempts, locked.locked_until), (6, Some(at(1_900 + 1_800))));
        fixture.wait_seconds(1_800);
        assert!(fixture.accounts.sign_in("a@x", &PASSWORD.into()).await.is_ok());
        let open = fixture.accounts.get(&account.id).await.unwrap().unwrap();
        assert_eq!((open.failed_attempts, open.locked_until), (0, None));
    });
}

#[test]
fn attempts_that_meet_are_counted_one_by_one() {
    each(async |fixture| {
        fixture.organization("A").await;
        let account = fixture.account("a@x", Some("A")).await;
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    let runtime =
                        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                    runtime.block_on(refusal(fixture, "a@x", "a wrong password"))
                });
            }
        });
        let locked = fixture.accounts.get(&account.id).await.unwrap().unwrap();
        assert_eq!((locked.failed_attempts, locked.locked_until), (5, Some(at(1_900))));
        let entries = fixture.last_entries(20).await;
        let counted = |result: &str| entries.iter().filter(|entry| entry.2 == result).count();
        assert_eq!((counted("wrong_password"), counted("account_locked")), (5, 15), "{entries:?}");
    });
}

#[test]
fn another_password_ends_every_session() {
    each(async |fixture| {
        fixture.organization("A").await;
        fixture.account("a@x", Some("A")).await;
        let table = &fixture.accounts;
        let [first, other] = [
            table.sign_in("a@x", &PASSWORD.into()).await.unwrap(),
            table.sign_in("a@x", &PASSWORD.into()).await.unwrap(),
        ];
        let new = SecretString::from("another horse battery");
        let without = table.change_password(&first.model, None, &new).await.unwrap_err();
        assert!(matches!(without, Error::Invalid { field: "current", .. }), "{without}");
        let short = table.change_password(&first.model, Some(&PASSWORD.into()), &"short".into()).await;
        assert!(matches!(short, Err(Error::Invalid { field: "password", .. })), "{short:?}");
        let wrong = table.change_password(&first.model, Some(&"a wrong password".into()), &new).await;
        assert!(matches!(wrong, Err(Error::SignIn(SignInRefusal::CurrentPassword))), "{wrong:?}");
        let entries = fixture.last_entries(1).await;
        assert_eq!(entries, [entry("system", "account.change_password", "wrong_password")]);
        assert!(fixture.sessions.find(&first.token).await.is_ok());

        let next = table.change_password(&first.model, Some(&PASSWORD.into()), &new).await.unwrap();
        for ended in [&first, &other] {
            let error = fixture.sessions.find(&ended.token).await.unwrap_err();
            assert!(matches!(error, Error::Session(SessionRefusal::Revoked)), "{error}");
        }
        assert!(fixture.sessions.find(&next.token).await.is_ok());
        assert_eq!(refusal(fixture, "a@x", PASSWORD).await, SignInRefusal::Password);
        assert!(table.sign_in("a@x", &new).await.is_ok());
    });
}

#[test]
fn the_current_password_cannot_be_guessed_in_a_stolen_session() {
    each(async |fixture| {
        fixture.organization("A").await;
        fixture.account("a@x", Some("A")).await;
        let session = fixture.accounts.sign_in("a@x", &PASSWORD.into()).await.unwrap().model;
        let new = SecretString::from("another horse battery");
        for _ in 0..5 {
            let wrong = fixture.accounts.change_password(&session, Some(&"a wrong one".into()), &new).await;
            assert!(matches!(wrong, Err(Error::SignIn(SignInRefusal::CurrentPassword))), "{wrong:?}");
        }
        let right = fixture.accounts.change_password(&session, Some(&PASSWORD.into()), &new).await;
        assert!(matches!(right, Err(Error::SignIn(SignInRefusal::CurrentPassword))), "{right:?}");
    });
}

#[test]
fn the_people_of_an_inactive_organization_stay_outside() {
    each(async |fixture| {
        fixture.organization("A").await;
        fixture.account("a@x", Some("A")).await;
        let session = fixture.accounts.sign_in("a@x", &PASSWORD.into()).await.unwrap();
        fixture.member("A", false).await;
        assert_eq!(refusal(fixture, "a@x", PASSWORD).await, SignInRefusal::InactiveMember);
        let error = fixture.sessions.find(&session.token).await.unwrap_err();
        assert!(matches!(error, Error::Session(SessionRefusal::InactiveMember)), "{error}");
        fixture.member("A", true).await;
        assert!(fixture.sessions.find(&session.token).await.is_ok());

        fixture.organizations.deactivate(&organization("A")).await.unwrap();
        assert_eq!(refusal(fixture, "a@x", PASSWORD).await, SignInRefusal::InactiveOrganization);
        let entries = fixture.last_entries(1).await;
        assert_eq!(entries, [entry("stranger", "account.sign_in", "organization_inactive")]);
        // Whoever does not know the password does not learn that either.
        assert_eq!(refusal(fixture, "a@x", "a wrong password").await, SignInRefusal::Password);
        let error = fixture.sessions.find(&session.token).await.unwrap_err();
        assert!(matches!(error, Error::Session(SessionRefusal::InactiveOrganization)), "{error}");
        fixture.organizations.activate(&organization("A")).await.unwrap();
        assert!(fixture.sessions.find(&session.token).await.is_ok());
    });
}

#[test]
fn slips_of_long_ago_do_not_lock_an_account() {
    each(async |fixture| {
        fixture.organization("A").await;
        let account = fixture.account("a@x", Some("A")).await;
        let failed = async || fixture.accounts.get(&account.id).await.unwrap().unwrap().failed_attempts;
        for _ in 0..4 {
            refusal(fixture, "a@x", "a wrong password").await;
        }
        fixture.wait_seconds(86_399);
        assert_eq!(failed().await, 4);
        fixture.wait_seconds(1);
        refusal(fixture, "a@x", "a wrong password").await;
        assert_eq!(failed().await, 3, "half of four, and one");
        assert!(fixture.accounts.sign_in("a@x", &PASSWORD.into()).await.is_ok());
        assert_eq!(failed().await, 0);
    });
}
