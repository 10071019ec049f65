use secrecy::{ExposeSecret, SecretString};

use super::{Fixture, PASSWORD, each, entry, organization};
use crate::{Error, NewAccount, Role, SessionKind, SessionOwner, SessionRefusal, SignInRefusal, Standing};

async fn refusal(fixture: &Fixture, token: &SecretString) -> SignInRefusal {
    match fixture.links.redeem(token).await {
        Err(Error::SignIn(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_link_signs_in_as_the_reseller_once() {
    each(async |fixture| {
        let link = fixture.links.create_first().await.unwrap();
        let text = link.token.expose_secret();
        assert!(text.starts_with("mai-link-") && text.len() == 52, "{text}");
        let session = fixture.links.redeem(&link.token).await.unwrap();
        let found = fixture.sessions.find(&session.token).await.unwrap();
        assert_eq!((found.kind, found.account_id.clone()), (SessionKind::Link, None));
        assert_eq!(found.standing(), Standing::RESELLER);
        assert_eq!(refusal(fixture, &link.token).await, SignInRefusal::UsedLink);
        assert_eq!(refusal(fixture, &"mai-link-unknown".into()).await, SignInRefusal::UnknownLink);
        let error = fixture.accounts.change_password(&found, None, &PASSWORD.into()).await.unwrap_err();
        assert!(matches!(error, Error::Invalid { field: "session", .. }), "{error}");
        assert_eq!(
            fixture.last_entries(4).await,
            [
                entry("system", "sign_in_link.create", "ok"),
                entry("link", "session.create", "ok"),
                entry("stranger", "sign_in_link.use", "used_link"),
                entry("stranger", "sign_in_link.use", "unknown_link"),
            ]
        );
    });
}

#[test]
fn of_twenty_who_have_the_link_one_is_signed_in() {
    each(async |fixture| {
        let link = fixture.links.create_first().await.unwrap();
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let redeem = || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                runtime.block_on(fixture.links.redeem(&link.token))
            };
            let threads: Vec<_> = (0..20).map(|_| scope.spawn(redeem)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let signed_in = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let used =
            |outcome: &Result<_, Error>| matches!(outcome, Err(Error::SignIn(SignInRefusal::UsedLink)));
        assert_eq!((signed_in, outcomes.iter().filter(|outcome| used(outcome)).count()), (1, 19));
    });
}

#[test]
fn an_invitation_lets_its_owner_choose_a_password_within_an_hour() {
    each(async |fixture| {
        fixture.organization("A").await;
        let a = organization("A");
        let standing = Standing { role: Role::Admin, client_org_id: Some(a.clone()), user_id: None };
        let new = NewAccount { email: "a@x".into(), name: "Anna".into(), standing };
        let account = fixture.accounts.create(new).await.unwrap();
        for other in [None, Some(organization("B"))] {
            let error = fixture.links.create(other.as_ref(), &account.id).await.unwrap_err();
            assert!(matches!(error, Error::NotFound { what: "account", .. }), "{error}");
        }
        let old = fixture.links.create(Some(&a), &account.id).await.unwrap();
        let link = fixture.links.create(Some(&a), &account.id).await.unwrap();
        assert_eq!(refusal(fixture, &old.token).await, SignInRefusal::UnknownLink);
        let session = fixture.links.redeem(&link.token).await.unwrap().model;
        assert_eq!(
            (session.account_id.as_ref(), session.client_org_id.as_ref()),
            (Some(&account.id), Some(&a))
        );
        let stored = fixture.accounts.get(&account.id).await.unwrap().unwrap();
        assert_eq!((account.last_sign_in_at, stored.last_sign_in_at), (None, Some(session.created_at)));
        fixture.wait_seconds(3_601);
        let late = fixture.accounts.change_password(&session, None, &PASSWORD.into()).await;
        assert!(matches!(late, Err(Error::Invalid { field: "current", .. })), "{late:?}");
        let link = fixture.links.create(Some(&a), &account.id).await.unwrap();
        let session = fixture.links.redeem(&link.token).await.unwrap().model;
        fixture.wait_seconds(3_600);
        fixture.accounts.change_password(&session, None, &PASSWORD.into()).await.unwrap();
        assert!(fixture.accounts.sign_in("a@x", &PASSWORD.into()).await.is_ok());
    });
}

#[test]
fn a_link_opens_a_locked_account_and_ends_with_a_day() {
    each(async |fixture| {
        fixture.organization("A").await;
        let account = fixture.account("a@x", Some("A")).await;
        let a = organization("A");
        for _ in 0..5 {
            let wrong = fixture.accounts.sign_in("a@x", &"a wrong password".into()).await;
            assert!(wrong.is_err());
        }
        let link = fixture.links.create(Some(&a), &account.id).await.unwrap();
        fixture.links.redeem(&link.token).await.unwrap();
        assert!(fixture.accounts.sign_in("a@x", &PASSWORD.into()).await.is_ok());

        let link = fixture.links.create(Some(&a), &account.id).await.unwrap();
        fixture.organizations.deactivate(&a).await.unwrap();
        assert_eq!(refusal(fixture, &link.token).await, SignInRefusal::InactiveOrganization);
        fixture.organizations.activate(&a).await.unwrap();
        fixture.wait_seconds(86_400);
        assert_eq!(refusal(fixture, &link.token).await, SignInRefusal::ExpiredLink);
        assert_eq!(fixture.links.purge().await.unwrap(), 3);
        assert_eq!(refusal(fixture, &link.token).await, SignInRefusal::UnknownLink);
    });
}

#[test]
fn a_new_password_takes_earlier_links_away() {
    each(async |fixture| {
        fixture.organization("A").await;
        let account = fixture.account("a@x", Some("A")).await;
        let link = fixture.links.create(Some(&organization("A")), &account.id).await.unwrap();
        let session = fixture.accounts.sign_in("a@x", &PASSWORD.into()).await.unwrap().model;
        let new = SecretString::from("another horse battery");
        fixture.accounts.change_password(&session, Some(&PASSWORD.into()), &new).await.unwrap();
        assert_eq!(refusal(fixture, &link.token).await, SignInRefusal::UnknownLink);
    });
}

#[test]
fn with_an_account_of_the_reseller_the_first_start_is_over() {
    each(async |fixture| {
        let outdated = fixture.links.create_first().await.unwrap();
        let used = fixture.links.create_first().await.unwrap();
        assert_eq!(refusal(fixture, &outdated.token).await, SignInRefusal::UnknownLink);
        let lost = fixture.links.redeem(&used.token).await.unwrap();
        let used = fixture.links.create_first().await.unwrap();
        let own = fixture.links.redeem(&used.token).await.unwrap();
        let open = fixture.links.create_first().await.unwrap();

        let new = NewAccount { email: "r@x".into(), name: "R".into(), standing: Standing::RESELLER };
        let account = fixture.accounts.acting_as(own.model.actor()).create(new).await.unwrap();
        assert_eq!(
            fixture.last_entries(2).await,
            [entry("link", "session.end_all", "ok"), entry("link", "account.create", "ok")]
        );
        let error = fixture.sessions.find(&lost.token).await.unwrap_err();
        assert!(matches!(error, Error::Session(SessionRefusal::Revoked)), "{error}");
        assert_eq!(refusal(fixture, &open.token).await, SignInRefusal::UnknownLink);

        // The session in which the account was made is the account's, and can be ended as one.
        let kept = fixture.sessions.find(&own.token).await.unwrap();
        assert_eq!(kept.account_id.as_ref(), Some(&account.id));
        let stored = fixture.accounts.get(&account.id).await.unwrap().unwrap();
        assert_eq!(stored.last_sign_in_at, Some(account.created_at));
        let owner = SessionOwner::Account(account.id.clone());
        assert_eq!(fixture.sessions.list(&owner).await.unwrap().len(), 1);
        fixture.sessions.revoke(&owner, &kept.id).await.unwrap();
        assert!(fixture.sessions.find(&own.token).await.is_err());

        let late = fixture.links.create_first().await.unwrap();
        assert_eq!(refusal(fixture, &late.token).await, SignInRefusal::SupersededLink);
        let entries = fixture.last_entries(1).await;
        assert_eq!(entries, [entry("stranger", "sign_in_link.use", "superseded_link")]);
    });
}

#[test]
fn an_account_of_an_organization_leaves_the_first_start_open() {
    each(async |fixture| {
        fixture.organization("A").await;
        let link = fixture.links.create_first().await.unwrap();
        let session = fixture.links.redeem(&link.token).await.unwrap();
        fixture.account("a@x", Some("A")).await;
        assert_eq!(fixture.sessions.find(&session.token).await.unwrap().account_id, None);
    });
}
