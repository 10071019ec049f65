use mai_audit_log::{Actor, ActorKind};

use super::{PASSWORD, each, entry, organization, user};
use crate::{
    AccountPatch, ApiTokenTable, Change, CreatedApiToken, Error, NewAccount, NewApiToken, Role,
    SessionRefusal, SignInRefusal, Standing, TokenRefusal, TokenScope,
};

fn new_account(email: &str, standing: Standing) -> NewAccount {
    NewAccount { email: email.into(), name: " Anna Żółw ".into(), standing }
}

#[test]
fn an_account_is_made_once_for_an_address() {
    each(async |fixture| {
        fixture.organization("A").await;
        let standing = Standing {
            role: Role::Member,
            client_org_id: Some(organization("A")),
            user_id: Some(user("anna")),
        };
        let account =
            fixture.accounts.create(new_account(" Anna@ABC.example ", standing.clone())).await.unwrap();
        assert_eq!((account.email.as_str(), account.name.as_str()), ("anna@abc.example", "Anna Żółw"));
        assert!(account.id.starts_with("account_") && account.is_active && account.password_hash.is_none());
        let again = fixture.accounts.create(new_account("anna@abc.EXAMPLE", Standing::RESELLER)).await;
        assert!(matches!(again, Err(Error::Taken("e-mail address"))), "{again:?}");
        let theirs = fixture.accounts.list(Some(&organization("A"))).await.unwrap();
        assert_eq!(theirs, std::slice::from_ref(&account));
        assert_eq!(fixture.accounts.list(None).await.unwrap(), []);
        assert_eq!(fixture.accounts.get_by_email("ANNA@abc.example").await.unwrap(), Some(account));
        assert!(!fixture.accounts.has_active_reseller().await.unwrap());
        assert_eq!(fixture.last_entries(1).await, [entry("system", "account.create", "ok")]);
    });
}

#[test]
fn accounts_are_made_only_where_they_make_sense() {
    each(async |fixture| {
        fixture.organization("A").await;
        let standing = |role, organization_id: Option<&str>, user_id: Option<&str>| Standing {
            role,
            client_org_id: organization_id.map(organization),
            user_id: user_id.map(user),
        };
        for (field, email, standing) in [
            ("email", "anna", Standing::RESELLER),
            ("role", "a@x", standing(Role::Reseller, Some("A"), None)),
            ("role", "a@x", standing(Role::Reseller, None, Some("u"))),
            ("client_org_id", "a@x", standing(Role::Admin, None, None)),
            ("user_id", "a@x", standing(Role::Member, Some("A"), None)),
        ] {
            let error = fixture.accounts.create(new_account(email, standing)).await.unwrap_err();
            assert!(matches!(&error, Error::Invalid { field: at, .. } if *at == field), "{error}");
        }
        let elsewhere = standing(Role::Admin, Some("nobody"), None);
        let error = fixture.accounts.create(new_account("a@x", elsewhere)).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { what: "organization", .. }), "{error}");
        assert_eq!(fixture.accounts.list(None).await.unwrap(), []);
    });
}

#[test]
fn another_role_ends_the_sessions_and_another_name_does_not() {
    each(async |fixture| {
        fixture.organization("A").await;
        let account = fixture.account("a@x", Some("A")).await;
        let (a, id) = (organization("A"), account.id.as_str());
        let session = fixture.accounts.sign_in("a@x", &PASSWORD.into()).await.unwrap();
        let patch = AccountPatch { name: Some("Anna 2".into()), ..AccountPatch::default() };
        let renamed = fixture.accounts.update(Some(&a), id, patch).await.unwrap();
        assert_eq!((renamed.name.as_str(), renamed.password_hash), ("Anna 2", account.password_hash.clone()));
        assert_eq!(fixture.sessions.find(&session.token).await.unwrap().role, Role::Admin);
        let patch = AccountPatch { role: Some(Role::Member), ..AccountPatch::default() };
        fixture.accounts.update(Some(&a), id, patch).await.unwrap();
        let error = fixture.sessions.find(&session.token).await.unwrap_err();
        assert!(matches!(error, Error::Session(SessionRefusal::Revoked)), "{error}");
        let session = fixture.accounts.sign_in("a@x", &PASSWORD.into()).await.unwrap();
        assert_eq!(fixture.sessions.find(&session.token).await.unwrap().role, Role::Member);
        for patch in [
            AccountPatch { role: Some(Role::Reseller), ..AccountPatch::default() },
            AccountPatch { user_id: Change::Clear, ..AccountPatch::default() },
        ] {
            let error = fixture.accounts.update(Some(&a), id, patch).await.unwrap_err();
            assert!(matches!(error, Error::Invalid { .. }), "{error}");
        }
        assert!(fixture.sessions.find(&session.token).await.is_ok());
    });
}

#[test]
fn a_deactivated_account_has_no_sessions_and_no_links() {
    each(async |fixture| {
        fixture.organization("A").await;
        fixture.organization("B").await;
        let account = fixture.account("a@x", Some("A")).await;
        let (a, id) = (organization("A"), account.id.as_str());
        let session = fixture.accounts.sign_in("a@x", &PASSWORD.into()).await.unwrap();
        let link = fixture.links.create(Some(&a), id).await.unwrap();
        let off = || AccountPatch { is_active: Some(false), ..AccountPatch::default() };
        for other in [Some(organization("B")), None] {
            let error = fixture.accounts.update(other.as_ref(), id, off()).await.unwrap_err();
            assert!(matches!(error, Error::NotFound { what: "account", .. }), "{error}");
        }
        assert!(fixture.sessions.find(&session.token).await.is_ok());
        fixture.accounts.update(Some(&a), id, off()).await.unwrap();
        assert_eq!(fixture.last_entries(1).await, [entry("system", "account.deactivate", "ok")]);
        let error = fixture.sessions.find(&session.token).await.unwrap_err();
        assert!(matches!(error, Error::Session(SessionRefusal::Revoked)), "{error}");
        let error = fixture.links.redeem(&link.token).await.unwrap_err();
        assert!(matches!(error, Error::SignIn(SignInRefusal::UnknownLink)), "{error}");
        let error = fixture.links.create(Some(&a), id).await.unwrap_err();
        assert!(matches!(error, Error::Invalid { field: "id", .. }), "{error}");
        let error = fixture.accounts.sign_in("a@x", &PASSWORD.into()).await.unwrap_err();
        assert!(matches!(error, Error::SignIn(SignInRefusal::Password)), "{error}");
        assert_eq!(fixture.last_entries(1).await, [entry("stranger", "account.sign_in", "account_inactive")]);
        let on = AccountPatch { is_active: Some(true), ..AccountPatch::default() };
        fixture.accounts.update(Some(&a), id, on).await.unwrap();
        assert!(fixture.accounts.sign_in("a@x", &PASSWORD.into()).await.is_ok());
    });
}

#[test]
fn the_last_active_account_of_the_reseller_stays() {
    each(async |fixture| {
        fixture.organization("A").await;
        fixture.account("admin@x", Some("A")).await;
        let ids = [fixture.account("r1@x", None).await.id, fixture.account("r2@x", None).await.id];
        // Each takes the other one away, at once: one of them must stay.
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let threads = ids.each_ref().map(|id| {
                scope.spawn(move || {
                    let runtime =
                        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                    let off = AccountPatch { is_active: Some(false), ..AccountPatch::default() };
                    runtime.block_on(fixture.accounts.update(None, id, off))
                })
            });
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
        assert!(outcomes.iter().any(|outcome| matches!(outcome, Err(Error::LastReseller))), "{outcomes:?}");
        assert!(fixture.accounts.has_active_reseller().await.unwrap());
    });
}

#[test]
fn the_tokens_of_an_account_end_with_it() {
    each(async |fixture| {
        fixture.organization("A").await;
        let account = fixture.account("a@x", Some("A")).await;
        let other = fixture.account("b@x", Some("A")).await;
        let (a, id) = (organization("A"), account.id.as_str());
        let as_account = |id: &str| fixture.api_tokens.acting_as(Actor::new(ActorKind::Account, id));
        let token = async |table: &ApiTokenTable| {
            let new = NewApiToken {
                name: "t".into(),
                role: Role::Admin,
                client_org_id: Some(a.clone()),
                user_id: None,
                scope: TokenScope::Full,
                expires_at: None,
            };
            table.create(new).await
        };
        let revoked = async |token: &CreatedApiToken| match fixture.api_tokens.verify(&token.token).await {
            Ok(_) => false,
            Err(Error::Token(TokenRefusal::Revoked)) => true,
            Err(other) => panic!("{other}"),
        };
        let own = token(&as_account(id)).await.unwrap();
        assert_eq!(own.model.created_by.as_deref(), Some(id));
        let by_own = Actor::new(ActorKind::ApiToken, &own.model.id);
        let grandchild = token(&fixture.api_tokens.acting_as(by_own)).await.unwrap();
        let [others, nobodys] =
            [token(&as_account(&other.id)).await.unwrap(), token(&fixture.api_tokens).await.unwrap()];
        assert_eq!((nobodys.model.created_by.as_deref(), nobodys.model.role), (None, Role::Admin));

        let renamed = AccountPatch { name: Some("Anna 2".into()), ..AccountPatch::default() };
        fixture.accounts.update(Some(&a), id, renamed).await.unwrap();
        assert!(!revoked(&own).await);
        let off = AccountPatch { is_active: Some(false), ..AccountPatch::default() };
        fixture.accounts.update(Some(&a), id, off).await.unwrap();
        assert!(revoked(&own).await && revoked(&grandchild).await);
        assert!(!revoked(&others).await && !revoked(&nobodys).await);
        assert_eq!(
            fixture.last_entries(3).await,
            [
                entry("system", "api_token.revoke", "ok"),
                entry("system", "api_token.revoke", "ok"),
                entry("system", "account.deactivate", "ok"),
            ]
        );
        let late = token(&as_account(id)).await;
        assert!(matches!(late, Err(Error::Session(SessionRefusal::Revoked))), "{late:?}");

        let member = AccountPatch { role: Some(Role::Member), ..AccountPatch::default() };
        fixture.accounts.update(Some(&a), &other.id, member).await.unwrap();
        assert!(revoked(&others).await && !revoked(&nobodys).await);
    });
}
