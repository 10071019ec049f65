use secrecy::{ExposeSecret, SecretString};

use super::{Fixture, PASSWORD, at, each, entry, organization, user};
use crate::{Error, Role, SessionKind, SessionOwner, SessionRefusal, Standing, sessions::LIFETIME_SECONDS};

const DAY: i64 = 86_400;

async fn refusal(fixture: &Fixture, token: &SecretString) -> SessionRefusal {
    match fixture.sessions.find(token).await {
        Err(Error::Session(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_session_ends_unused_after_a_day_and_used_after_two_weeks() {
    each(async |fixture| {
        fixture.account("r@x", None).await;
        let session = fixture.accounts.sign_in("r@x", &PASSWORD.into()).await.unwrap();
        fixture.wait_seconds(DAY - 1);
        assert!(fixture.sessions.find(&session.token).await.is_ok());
        fixture.sessions.write_last_seen().await.unwrap();
        for _ in 0..13 {
            fixture.wait_seconds(DAY - 1);
            let found = fixture.sessions.find(&session.token).await.unwrap();
            assert!(found.last_seen_at < found.created_at.plus_seconds(LIFETIME_SECONDS));
            fixture.sessions.write_last_seen().await.unwrap();
        }
        fixture.wait_seconds(14);
        assert_eq!(refusal(fixture, &session.token).await, SessionRefusal::Expired);

        let other = fixture.accounts.sign_in("r@x", &PASSWORD.into()).await.unwrap();
        fixture.wait_seconds(DAY);
        assert_eq!(refusal(fixture, &other.token).await, SessionRefusal::Expired);
        assert_eq!(refusal(fixture, &"mai-session-unknown".into()).await, SessionRefusal::Unknown);
    });
}

#[test]
fn the_last_use_is_written_once_a_minute() {
    each(async |fixture| {
        fixture.account("r@x", None).await;
        let session = fixture.accounts.sign_in("r@x", &PASSWORD.into()).await.unwrap();
        let used_at = async |seconds| {
            fixture.wait_seconds(seconds);
            fixture.sessions.find(&session.token).await.unwrap();
            fixture.sessions.write_last_seen().await.unwrap();
            fixture.sessions.find(&session.token).await.unwrap().last_seen_at
        };
        assert_eq!(used_at(59).await, at(1_000));
        assert_eq!(used_at(1).await, at(1_060));
        assert_eq!(used_at(59).await, at(1_060));
    });
}

#[test]
fn owners_see_and_end_only_their_own_sessions() {
    each(async |fixture| {
        fixture.organization("A").await;
        let account = fixture.account("a@x", Some("A")).await;
        fixture.account("r@x", None).await;
        let table = &fixture.sessions;
        let first = fixture.accounts.sign_in("a@x", &PASSWORD.into()).await.unwrap();
        fixture.wait_seconds(1);
        let second = fixture.accounts.sign_in("a@x", &PASSWORD.into()).await.unwrap();
        let foreign = fixture.accounts.sign_in("r@x", &PASSWORD.into()).await.unwrap();
        let owner = SessionOwner::Account(account.id);
        assert_eq!(first.model.owner(), owner);
        let listed = table.list(&owner).await.unwrap();
        // The third one is that of the password that was chosen.
        assert_eq!((listed.len(), &listed[0]), (3, &second.model));
        let error = table.revoke(&owner, &foreign.model.id).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { what: "session", .. }), "{error}");
        assert!(table.find(&foreign.token).await.is_ok());

        table.revoke(&owner, &first.model.id).await.unwrap();
        table.revoke(&owner, &first.model.id).await.unwrap();
        assert_eq!(refusal(fixture, &first.token).await, SessionRefusal::Revoked);
        assert_eq!(table.list(&owner).await.unwrap().len(), 2);
        let a = organization("A");
        assert_eq!(table.revoke_all(Some(&a), &owner).await.unwrap(), 2);
        assert_eq!(refusal(fixture, &second.token).await, SessionRefusal::Revoked);
        assert_eq!(table.list(&owner).await.unwrap(), []);
        assert_eq!(
            fixture.last_entries(2).await,
            [entry("system", "session.end", "ok"), entry("system", "session.end_all", "ok")]
        );
        assert!(table.find(&foreign.token).await.is_ok());
    });
}

#[test]
fn a_session_of_open_webui_keeps_its_token_sealed_and_ends_with_it() {
    each(async |fixture| {
        fixture.organization("A").await;
        let table = &fixture.sessions;
        let standing =
            Standing { role: Role::Member, client_org_id: Some(organization("A")), user_id: Some(user("u")) };
        let token = SecretString::from("eyJ.token.of-open-webui");
        let session = table.create_open_webui(standing.clone(), &token, at(1_100)).await.unwrap();
        let entries = fixture.last_entries(1).await;
        assert_eq!(entries, [entry("open_webui", "session.create", "ok")]);
        let found = table.find(&session.token).await.unwrap();
        assert_eq!((found.kind, found.account_id.clone()), (SessionKind::OpenWebui, None));
        assert_eq!(found.standing(), standing);
        assert!(!found.sealed_token.clone().unwrap().contains("of-open-webui"));
        let opened = table.open_webui_token(&found).unwrap().unwrap();
        assert_eq!(opened.expose_secret(), token.expose_secret());
        let owner = SessionOwner::User(organization("A"), user("u"));
        assert_eq!((found.owner(), table.list(&owner).await.unwrap().len()), (owner.clone(), 1));
        fixture.wait_seconds(100);
        assert_eq!(refusal(fixture, &session.token).await, SessionRefusal::Expired);

        let late = table.create_open_webui(standing, &token, at(i64::MAX)).await.unwrap();
        assert_eq!(late.model.expires_at, at(1_100 + LIFETIME_SECONDS));
        assert_eq!(table.revoke_all(Some(&organization("A")), &owner).await.unwrap(), 2);
        assert_eq!(refusal(fixture, &late.token).await, SessionRefusal::Revoked);
    });
}

#[test]
fn ended_sessions_are_removed() {
    each(async |fixture| {
        let account = fixture.account("r@x", None).await;
        let owner = SessionOwner::Account(account.id);
        let table = &fixture.sessions;
        let signed_in = async || fixture.accounts.sign_in("r@x", &PASSWORD.into()).await.unwrap();
        let [ended, unused] = [signed_in().await, signed_in().await];
        table.revoke(&owner, &ended.model.id).await.unwrap();
        // Whoever comes back soon still learns what happened.
        assert_eq!(table.purge().await.unwrap(), 0);
        fixture.wait_seconds(DAY);
        let open = signed_in().await;
        assert_eq!(refusal(fixture, &ended.token).await, SessionRefusal::Revoked);
        assert!(table.purge().await.unwrap() >= 2);
        for gone in [&ended, &unused] {
            assert_eq!(refusal(fixture, &gone.token).await, SessionRefusal::Unknown);
        }
        assert!(table.find(&open.token).await.is_ok());
    });
}
