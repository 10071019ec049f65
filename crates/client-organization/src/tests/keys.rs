use secrecy::{ExposeSecret, SecretString};

use super::{at, each, organization, user};
use crate::{Error, NewApiToken, NewGatewayKey, Role, TokenRefusal, TokenScope};

fn new_key(name: &str) -> NewGatewayKey {
    NewGatewayKey { name: name.into(), ..Default::default() }
}

fn new_token(role: Role, organization_id: Option<&str>, user_id: Option<&str>) -> NewApiToken {
    NewApiToken {
        name: "script".into(),
        role,
        client_org_id: organization_id.map(organization),
        user_id: user_id.map(user),
        scope: TokenScope::Full,
        expires_at: None,
    }
}

#[test]
fn a_gateway_key_is_shown_once_and_stored_as_its_hash() {
    each(async |fixture| {
        fixture.organization("A").await;
        let new = NewGatewayKey {
            user_id: Some(user("u")),
            is_trusted_client: true,
            expires_at: Some(at(9_000)),
            ..new_key("Open WebUI")
        };
        let created = fixture.gateway_keys.create(&organization("A"), new).await.unwrap();
        let text = created.key.expose_secret();
        assert!(text.starts_with("sk-mai-") && text.len() == 50, "{text}");
        assert_eq!(created.model.key_prefix, text[..12]);
        let stored = fixture.gateway_keys.list(&organization("A")).await.unwrap();
        assert_eq!(stored, [created.model]);
        assert_eq!(stored[0].user_id, Some(user("u")));
        assert!(stored[0].is_trusted_client);
        assert!(!format!("{stored:?}").contains(&stored[0].key_hash));
        assert_eq!(fixture.revision(), 2);
    });
}

#[test]
fn gateway_keys_are_made_only_where_they_make_sense() {
    each(async |fixture| {
        fixture.organization("A").await;
        let unknown = fixture.gateway_keys.create(&organization("nobody"), new_key("k")).await;
        assert!(matches!(unknown, Err(Error::NotFound { what: "organization", .. })));
        let late = NewGatewayKey { expires_at: Some(at(1_000)), ..new_key("k") };
        for (field, new) in [("name", new_key("")), ("expires_at", late)] {
            let error = fixture.gateway_keys.create(&organization("A"), new).await.unwrap_err();
            assert!(matches!(&error, Error::Invalid { field: at, .. } if *at == field), "{error}");
        }
        assert_eq!(fixture.gateway_keys.list(&organization("A")).await.unwrap(), []);
        assert_eq!(fixture.revision(), 1);
    });
}

#[test]
fn a_revoked_gateway_key_stays_revoked() {
    each(async |fixture| {
        fixture.organization("A").await;
        fixture.organization("B").await;
        let id = fixture.gateway_keys.create(&organization("A"), new_key("k")).await.unwrap().model.id;
        let foreign = fixture.gateway_keys.revoke(&organization("B"), &id).await;
        assert!(matches!(foreign, Err(Error::NotFound { what: "gateway key", .. })));
        fixture.wait_seconds(1);
        let revoked = fixture.gateway_keys.revoke(&organization("A"), &id).await.unwrap();
        assert_eq!(revoked.revoked_at, Some(at(1_001)));
        fixture.wait_seconds(1);
        assert_eq!(fixture.gateway_keys.revoke(&organization("A"), &id).await.unwrap(), revoked);
        assert_eq!(fixture.gateway_keys.list(&organization("A")).await.unwrap(), [revoked]);
        let rotated = fixture.gateway_keys.rotate(&organization("A"), &id, 60).await;
        assert!(matches!(rotated, Err(Error::Invalid { field: "id", .. })));
    });
}

#[test]
fn a_rotated_gateway_key_works_for_the_grace_period() {
    each(async |fixture| {
        fixture.organization("A").await;
        let table = &fixture.gateway_keys;
        let new = NewGatewayKey { user_id: Some(user("u")), is_trusted_client: true, ..new_key("k") };
        let old = table.create(&organization("A"), new).await.unwrap().model;
        fixture.wait_seconds(1);
        let next = table.rotate(&organization("A"), &old.id, 60).await.unwrap();
        assert_ne!((&next.model.id, &next.model.key_hash), (&old.id, &old.key_hash));
        assert_eq!((next.model.name.as_str(), next.model.user_id.clone()), ("k", Some(user("u"))));
        assert_eq!((next.model.is_trusted_client, next.model.expires_at), (true, None));
        let listed = table.list(&organization("A")).await.unwrap();
        assert_eq!((listed[0].expires_at, &listed[1]), (Some(at(1_061)), &next.model));
        // A second rotation does not lengthen the grace.
        table.rotate(&organization("A"), &old.id, 3_600).await.unwrap();
        assert_eq!(table.list(&organization("A")).await.unwrap()[0].expires_at, Some(at(1_061)));
        let directory = fixture.directory();
        let entry = directory.find_key(next.key.expose_secret()).unwrap();
        assert_eq!(entry.id, next.model.id);
    });
}

#[test]
fn an_api_token_is_verified_until_it_expires_or_is_revoked() {
    each(async |fixture| {
        fixture.organization("A").await;
        let table = &fixture.api_tokens;
        let new =
            NewApiToken { expires_at: Some(at(1_010)), ..new_token(Role::Member, Some("A"), Some("u")) };
        let created = table.create(new).await.unwrap();
        assert!(created.token.expose_secret().starts_with("mai-token-"));
        assert_eq!(table.verify(&created.token).await.unwrap(), created.model);
        let refusal = async |token: &SecretString| match table.verify(token).await {
            Err(Error::Token(refusal)) => refusal,
            other => panic!("{other:?}"),
        };
        assert_eq!(refusal(&"mai-token-".into()).await, TokenRefusal::Unknown);
        assert_eq!(refusal(&created.model.token_hash.as_str().into()).await, TokenRefusal::Unknown);
        fixture.wait_seconds(9);
        assert!(table.verify(&created.token).await.is_ok());
        fixture.wait_seconds(1);
        assert_eq!(refusal(&created.token).await, TokenRefusal::Expired);
        table.revoke(Some(&organization("A")), &created.model.id).await.unwrap();
        assert_eq!(refusal(&created.token).await, TokenRefusal::Revoked);
        assert!(!format!("{created:?}").contains(created.token.expose_secret()));
    });
}

#[test]
fn the_scope_of_an_api_token_fits_its_role() {
    each(async |fixture| {
        use Role::{Admin, Member, Reseller};
        fixture.organization("A").await;
        for (role, organization_id, user_id, wrong) in [
            (Reseller, None, None, None),
            (Reseller, Some("A"), None, Some("role")),
            (Reseller, None, Some("u"), Some("role")),
            (Admin, Some("A"), None, None),
            (Admin, Some("A"), Some("u"), None),
            (Admin, None, None, Some("client_org_id")),
            (Member, Some("A"), Some("u"), None),
            (Member, Some("A"), None, Some("user_id")),
            (Member, None, Some("u"), Some("client_org_id")),
        ] {
            let outcome = fixture.api_tokens.create(new_token(role, organization_id, user_id)).await;
            let field = match outcome {
                Ok(_) => None,
                Err(Error::Invalid { field, .. }) => Some(field),
                Err(other) => panic!("{other}"),
            };
            assert_eq!(field, wrong, "{role} {organization_id:?} {user_id:?}");
        }
        let unknown = fixture.api_tokens.create(new_token(Admin, Some("nobody"), None)).await;
        assert!(matches!(unknown, Err(Error::NotFound { what: "organization", .. })));
        assert_eq!(fixture.api_tokens.list(Some(&organization("A"))).await.unwrap().len(), 3);
        assert_eq!(fixture.api_tokens.list(None).await.unwrap().len(), 1);
    });
}

#[test]
fn api_tokens_are_revoked_by_their_owner_only() {
    each(async |fixture| {
        fixture.organization("A").await;
        fixture.organization("B").await;
        let table = &fixture.api_tokens;
        let token = table.create(new_token(Role::Admin, Some("A"), None)).await.unwrap();
        let b = organization("B");
        for other in [None, Some(&b)] {
            let refused = table.revoke(other, &token.model.id).await;
            assert!(matches!(refused, Err(Error::NotFound { what: "API token", .. })));
        }
        assert!(table.verify(&token.token).await.is_ok());
        let a = organization("A");
        table.revoke(Some(&a), &token.model.id).await.unwrap();
        fixture.wait_seconds(1);
        table.revoke(Some(&a), &token.model.id).await.unwrap();
        assert_eq!(
            table.list(Some(&a)).await.unwrap()[0].revoked_at,
            Some(at(1_000)),
            "the first time counts"
        );
        let reseller = table.create(new_token(Role::Reseller, None, None)).await.unwrap();
        table.revoke(None, &reseller.model.id).await.unwrap();
        assert!(matches!(table.verify(&reseller.token).await, Err(Error::Token(TokenRefusal::Revoked))));
    });
}

#[test]
fn the_token_of_an_inactive_organization_or_member_opens_nothing() {
    each(async |fixture| {
        fixture.organization("A").await;
        let table = &fixture.api_tokens;
        let token = table.create(new_token(Role::Member, Some("A"), Some("u"))).await.unwrap().token;
        let refusal = async || match table.verify(&token).await {
            Err(Error::Token(refusal)) => Some(refusal),
            Ok(_) => None,
            Err(other) => panic!("{other}"),
        };
        // A member that nobody has registered yet may have a token.
        assert_eq!(refusal().await, None);
        fixture.member("A", false).await;
        assert_eq!(refusal().await, Some(TokenRefusal::InactiveMember));
        fixture.member("A", true).await;
        assert_eq!(refusal().await, None);
        fixture.organizations.deactivate(&organization("A")).await.unwrap();
        assert_eq!(refusal().await, Some(TokenRefusal::InactiveOrganization));
        fixture.organizations.activate(&organization("A")).await.unwrap();
        assert_eq!(refusal().await, None);
    });
}

#[test]
fn the_last_use_of_a_token_is_written_once_a_minute() {
    each(async |fixture| {
        let table = &fixture.api_tokens;
        let new = NewApiToken { scope: TokenScope::Read, ..new_token(Role::Reseller, None, None) };
        let token = table.create(new).await.unwrap();
        assert_eq!((token.model.scope, token.model.last_used_at), (TokenScope::Read, None));
        let used_at = async |seconds| {
            fixture.wait_seconds(seconds);
            table.verify(&token.token).await.unwrap();
            table.write_last_used().await.unwrap();
            table.verify(&token.token).await.unwrap().last_used_at
        };
        assert_eq!(used_at(0).await, Some(at(1_000)));
        assert_eq!(used_at(59).await, Some(at(1_000)));
        assert_eq!(used_at(1).await, Some(at(1_060)));
    });
}
