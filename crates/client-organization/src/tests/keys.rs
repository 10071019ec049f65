use secrecy::{ExposeSecret, SecretString};

use super::{at, each, organization, user};
use crate::{
    Change, Directory, Error, GatewayKeyPatch, GatewayKeyTable, IdentitySecret, MasterKey, NewApiToken,
    NewGatewayKey, Role, TokenRefusal, TokenScope,
};

const IDENTITY_SECRET: &str = "an-identity-secret-that-is-long-enough";

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
            is_open_webui: true,
            identity_secret: Some(IDENTITY_SECRET.into()),
            requests_per_minute: Some(60),
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
        assert!(stored[0].is_trusted_client && stored[0].is_open_webui);
        assert_eq!(stored[0].requests_per_minute, Some(60));
        let sealed = stored[0].identity_secret.as_deref().unwrap();
        assert!(sealed.starts_with("v1:") && !sealed.contains(IDENTITY_SECRET));
        let shown = format!("{stored:?}");
        assert!(!shown.contains(&stored[0].key_hash) && !shown.contains(sealed), "{shown}");
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
        let short = NewGatewayKey { identity_secret: Some("0123456789abcdef".into()), ..new_key("k") };
        let never = NewGatewayKey { requests_per_minute: Some(0), ..new_key("k") };
        for (field, new) in [
            ("name", new_key("")),
            ("expires_at", late),
            ("identity_secret", short),
            ("requests_per_minute", never),
        ] {
            let error = fixture.gateway_keys.create(&organization("A"), new).await.unwrap_err();
            assert!(matches!(&error, Error::Invalid { field: at, .. } if *at == field), "{error}");
            assert!(!error.to_string().contains("0123456789abcdef"), "{error}");
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
        let new = NewGatewayKey {
            user_id: Some(user("u")),
            is_trusted_client: true,
            is_open_webui: true,
            identity_secret: Some(IDENTITY_SECRET.into()),
            requests_per_minute: Some(60),
            ..new_key("k")
        };
        let old = table.create(&organization("A"), new).await.unwrap().model;
        fixture.wait_seconds(1);
        let next = table.rotate(&organization("A"), &old.id, 60).await.unwrap();
        assert_ne!((&next.model.id, &next.model.key_hash), (&old.id, &old.key_hash));
        assert_eq!((next.model.name.as_str(), next.model.user_id.clone()), ("k", Some(user("u"))));
        assert_eq!((next.model.is_trusted_client, next.model.expires_at), (true, None));
        assert_eq!((next.model.is_open_webui, next.model.requests_per_minute), (true, Some(60)));
        let listed = table.list(&organization("A")).await.unwrap();
        assert_eq!((listed[0].expires_at, &listed[1]), (Some(at(1_061)), &next.model));
        // A second rotation does not lengthen the grace.
        table.rotate(&organization("A"), &old.id, 3_600).await.unwrap();
        assert_eq!(table.list(&organization("A")).await.unwrap()[0].expires_at, Some(at(1_061)));
        let directory = fixture.directory();
        let entry = directory.find_key(next.key.expose_secret()).unwrap();
        assert_eq!(entry.id, next.model.id);
        // The secret was sealed again for its new place.
        assert_ne!(next.model.identity_secret, old.identity_secret);
        assert!(matches!(entry.identity_secret, IdentitySecret::Set(_)));
    });
}

#[test]
fn a_patch_changes_what_it_names_and_nothing_else() {
    each(async |fixture| {
        fixture.organization("A").await;
        fixture.organization("B").await;
        let table = &fixture.gateway_keys;
        let a = organization("A");
        let new = NewGatewayKey { user_id: Some(user("u")), is_trusted_client: true, ..new_key("k") };
        let created = table.create(&a, new).await.unwrap();
        let id = created.model.id.as_str();
        let secret = created.key.expose_secret();
        let signs = || {
            let directory = fixture.directory();
            matches!(directory.find_key(secret).unwrap().identity_secret, IdentitySecret::Set(_))
        };
        fixture.wait_seconds(1);
        let all = GatewayKeyPatch {
            name: Some(" Open WebUI ".into()),
            is_trusted_client: Some(false),
            is_open_webui: Some(true),
            identity_secret: Change::Set(IDENTITY_SECRET.into()),
            requests_per_minute: Change::Set(1_000),
            expires_at: Change::Set(at(9_000)),
        };
        let updated = table.update(&a, id, all).await.unwrap();
        assert_eq!((updated.name.as_str(), updated.user_id.clone()), ("Open WebUI", Some(user("u"))));
        assert_eq!((updated.is_trusted_client, updated.is_open_webui), (false, true));
        assert_eq!((updated.requests_per_minute, updated.expires_at), (Some(1_000), Some(at(9_000))));
        assert_eq!((updated.created_at, updated.updated_at), (at(1_000), at(1_001)));
        assert!(signs());
        assert_eq!(table.update(&a, id, GatewayKeyPatch::default()).await.unwrap(), updated);
        let cleared = GatewayKeyPatch {
            identity_secret: Change::Clear,
            requests_per_minute: Change::Clear,
            expires_at: Change::Clear,
            ..GatewayKeyPatch::default()
        };
        let cleared = table.update(&a, id, cleared).await.unwrap();
        assert_eq!((cleared.requests_per_minute, cleared.expires_at), (None, None));
        assert!(!signs());
        assert_eq!(table.list(&a).await.unwrap(), [cleared]);

        let foreign = table.update(&organization("B"), id, GatewayKeyPatch::default()).await;
        assert!(matches!(foreign, Err(Error::NotFound { what: "gateway key", .. })));
        table.revoke(&a, id).await.unwrap();
        let revoked = table.update(&a, id, GatewayKeyPatch::default()).await;
        assert!(matches!(revoked, Err(Error::Invalid { field: "id", .. })));
    });
}

#[test]
fn a_wrong_patch_changes_nothing() {
    each(async |fixture| {
        fixture.organization("A").await;
        let a = organization("A");
        let model = fixture.gateway_keys.create(&a, new_key("k")).await.unwrap().model;
        let patch = GatewayKeyPatch::default;
        for (field, wrong) in [
            ("name", GatewayKeyPatch { name: Some(" ".into()), ..patch() }),
            ("expires_at", GatewayKeyPatch { expires_at: Change::Set(at(1_000)), ..patch() }),
            ("requests_per_minute", GatewayKeyPatch { requests_per_minute: Change::Set(-1), ..patch() }),
            ("identity_secret", GatewayKeyPatch { identity_secret: Change::Set("short".into()), ..patch() }),
        ] {
            let error = fixture.gateway_keys.update(&a, &model.id, wrong).await.unwrap_err();
            assert!(matches!(&error, Error::Invalid { field: at, .. } if *at == field), "{error}");
        }
        assert_eq!(fixture.gateway_keys.list(&a).await.unwrap(), [model]);
        assert_eq!(fixture.revision(), 2);
    });
}

/// Losing the master key must not turn a key with signed identities into one without.
#[test]
fn a_secret_that_does_not_open_is_kept_and_not_rotated() {
    each(async |fixture| {
        fixture.organization("A").await;
        let a = organization("A");
        let new = NewGatewayKey { identity_secret: Some(IDENTITY_SECRET.into()), ..new_key("k") };
        let created = fixture.gateway_keys.create(&a, new).await.unwrap();
        let other = MasterKey::generate().unwrap();
        let directory = fixture.storage.read_blocking(|conn| Directory::load(conn, &other)).unwrap();
        let entry = directory.find_key(created.key.expose_secret()).unwrap();
        assert!(matches!(entry.identity_secret, IdentitySecret::Unreadable));
        let clock = std::sync::Arc::new(fixture.clock.clone());
        let table = GatewayKeyTable::new(fixture.storage.clone(), other, clock);
        let refused = table.rotate(&a, &created.model.id, 60).await;
        assert!(matches!(refused, Err(Error::Secret(_))), "{refused:?}");
        assert_eq!(table.list(&a).await.unwrap(), [created.model]);
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
